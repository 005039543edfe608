# SPDX-License-Identifier: Apache-2.0
"""A scripted SIP user agent over UDP, TCP or TLS with a blocking interface.

One socket and one reader thread per UA. What arrives: a response goes to its transaction by branch; a request goes to
its dialog by Call-ID and tag, is answered at once (200; a BENOTIFY not at all) and remembered there, so that a test
looks at it when it likes. Everything waits with a limit and says what it waited for.
"""
import os
import queue
import select
import socket
import ssl
import threading
import time
import uuid

from .sipmsg import Msg, digest, header_params, split_commas, take_messages, uri_of

T1 = 0.5
WOULD_BLOCK = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class SipError(Exception):
    """A final response that the caller did not want."""
    def __init__(self, msg):
        super().__init__(msg.start)
        self.msg, self.code = msg, msg.code


class SipTimeout(Exception):
    pass


class Closed(SipTimeout):
    """The connection is gone."""


def token(n=8):
    return os.urandom(n).hex()


class Txn:
    """A client transaction: repeats over UDP, collects responses, acknowledges refused INVITEs."""
    def __init__(self, ua, msg):
        self.ua, self.msg, self.method = ua, msg, msg.method
        self.responses, self.q = [], queue.Queue()
        ua.txns[msg.branch] = self

    def start(self):
        self.ua.send(self.msg)
        if self.ua.transport == "udp":
            threading.Thread(target=self._repeat, daemon=True).start()
        return self

    def _repeat(self):
        wait = T1
        for _ in range(6):
            time.sleep(wait)
            if self.responses or self.ua.closed.is_set():
                return
            try:
                self.ua.send(self.msg)
            except OSError:
                return
            wait = min(wait * 2, 4)

    def on_response(self, r):
        self.responses.append(r)
        if self.method == "INVITE" and r.code >= 300:
            self.ua.send(self._ack(r))
        self.q.put(r)

    def _ack(self, r):
        keep = [(n, v) for n, v in self.msg.headers if n.lower() in ("via", "route", "from", "call-id", "max-forwards")]
        return Msg(f"ACK {self.msg.uri} SIP/2.0", keep + [("To", r.get("To")), ("CSeq", f"{self.msg.cseq[0]} ACK")])

    def cancel(self):
        keep = [(n, v) for n, v in self.msg.headers if n.lower() in ("via", "route", "from", "to", "call-id", "max-forwards")]
        msg = Msg(f"CANCEL {self.msg.uri} SIP/2.0", keep + [("CSeq", f"{self.msg.cseq[0]} CANCEL")])
        self.ua.send(msg)

    def wait(self, timeout=8):
        """The final response."""
        end = time.monotonic() + timeout
        while True:
            try:
                r = self.q.get(timeout=min(0.1, max(0.01, end - time.monotonic())))
                if r.code >= 200:
                    return r
            except queue.Empty:
                if self.ua.closed.is_set():
                    raise Closed(f"{self.ua}: connection closed before an answer to {self.msg.start}")
                if time.monotonic() > end:
                    raise SipTimeout(f"{self.ua}: no final answer in {timeout} s to {self.msg.start}"
                                     f" (had {[x.start for x in self.responses]})")


class Dialog:
    """State of one dialog and the requests that came in it."""
    def __init__(self, ua, call_id, local, remote, target, routes, cseq, remote_cseq=0):
        self.ua, self.call_id, self.local, self.remote = ua, call_id, local, remote
        self.target, self.routes, self.cseq, self.remote_cseq = target, routes, cseq, remote_cseq
        self.requests, self.cond, self.ended = [], threading.Condition(), threading.Event()
        self.local_sdp = None
        ua.dialogs.setdefault(call_id, []).append(self)

    @property
    def local_tag(self):
        return header_params(self.local)["tag"]

    @property
    def remote_tag(self):
        return header_params(self.remote).get("tag")

    def build(self, method, headers=(), body=b"", ctype=None):
        if method not in ("ACK", "CANCEL"):
            self.cseq += 1
        return self.ua.build(method, self.target, headers, body, ctype, dialog=self)

    def forge(self, by, method, *args, own_name=False):
        """A request of this dialog as another UA, who knows the dialog, would send it; in this user's name or in his own."""
        msg = self.build(method, *args)
        msg.set("Via", by.via())
        if own_name:
            msg.set("From", msg.get("From").replace(self.ua.user, by.user))
        return msg

    def request(self, method, headers=(), body=b"", ctype=None, timeout=8):
        return self.ua.transact(self.build(method, headers, body, ctype), timeout=timeout, dialog=self)

    def bye(self, timeout=8):
        r = self.request("BYE", timeout=timeout)
        self.ended.set()
        return r

    def on_request(self, msg):
        """Reader thread: keeps the request, answers it."""
        fresh = msg.cseq[0] > self.remote_cseq or msg.method == "ACK"
        if fresh and msg.method != "ACK":
            self.remote_cseq = msg.cseq[0]
        if msg.method not in ("BENOTIFY", "ACK"):
            handler = self.ua.handlers.get(msg.method)
            answer = handler(self, msg) if handler else self._answer(msg)
            if answer:
                self.ua.send(answer)
        if msg.method == "BYE":
            self.ended.set()
        if fresh:
            self.arrived(msg)
            with self.cond:
                self.requests.append((time.monotonic(), msg))
                self.cond.notify_all()

    def _answer(self, msg):
        if msg.method == "INVITE":
            if msg.contact:
                self.target = msg.contact
            return self.ua.response(msg, 200, [("Contact", self.ua.contact)], self.local_sdp or b"",
                                    "application/sdp" if self.local_sdp else None)
        return self.ua.response(msg, 200, [("Allow", "INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,NOTIFY")]
                                if msg.method == "OPTIONS" else [])

    def arrived(self, msg):
        """For subclasses; reader thread."""

    def wait_request(self, method, timeout=5, after=0):
        """The first request of that method after the first `after` requests."""
        end = time.monotonic() + timeout
        with self.cond:
            while True:
                for _, m in self.requests[after:]:
                    if m.method == method:
                        return m
                if not self.cond.wait(max(0, end - time.monotonic())):
                    raise SipTimeout(f"{self.ua}: no {method} in {timeout} s in dialog {self.call_id}")


class Call(Dialog):
    """An INVITE dialog; `answer` is the 200."""
    def __init__(self, ua, invite, answer):
        super().__init__(ua, invite.call_id, invite.get("From"), answer.get("To"), answer.contact,
                         list(reversed(answer.all("Record-Route"))), invite.cseq[0])
        self.invite, self.answer, self.sdp = invite, answer, answer.body.decode("utf-8", "replace")
        self.local_sdp = invite.body
        self.ack_bytes = None

    def ack(self):
        self.ack_bytes = self.build("ACK").encode()
        self.ua.send(self.ack_bytes)
        return self

    def reinvite(self, sdp=None, timeout=8):
        r = self.request("INVITE", [("Contact", self.ua.contact)], sdp or self.local_sdp, "application/sdp", timeout)
        if r.code == 200:
            self.ack()
            self.sdp = r.body.decode()
            self.local_sdp = sdp or self.local_sdp
        return r


class Subscription(Dialog):
    """A SUBSCRIBE dialog; documents (piggybacked or notified) go to `sink(body)` in the order of their arrival."""
    def __init__(self, ua, request, sink):
        self.sink, self.failure, self.documents, self.terminated = sink, None, [], threading.Event()
        super().__init__(ua, request.call_id, request.get("From"), request.get("To"), None, [], request.cseq[0])
        self.event = request.get("Event")

    def confirm(self, answer):
        self.remote, self.answer = answer.get("To"), answer
        self.target = answer.contact or self.target
        self.routes = list(reversed(answer.all("Record-Route")))
        if answer.body:
            self._document(answer)

    def arrived(self, msg):
        if msg.method in ("NOTIFY", "BENOTIFY"):
            if msg.body:
                self._document(msg)
            if msg.get("Subscription-State", "").startswith("terminated"):
                self.terminated.set()           # last: who waits for it looks at the document

    def _document(self, msg):
        with self.cond:                         # wait() looks at what is whole
            self.documents.append((time.monotonic(), msg))
            if self.sink and self.failure is None:
                try:
                    self.sink(msg.body)
                except Exception as e:      # shown to the test thread by wait()
                    self.failure = e
            self.cond.notify_all()

    def wait(self, what, pred, timeout=5):
        """Waits until pred() is true; a document that could not be applied fails at once."""
        end = time.monotonic() + timeout
        with self.cond:
            while True:
                if self.failure:
                    raise self.failure
                if pred():
                    return time.monotonic()
                if not self.cond.wait(max(0, min(0.2, end - time.monotonic()))) and time.monotonic() > end:
                    raise SipTimeout(f"{self.ua}: roster did not show within {timeout} s: {what}")

    def refresh(self, expires=3600):
        r = self.request("SUBSCRIBE", [("Event", self.event), ("Contact", self.ua.contact), ("Expires", str(expires)),
                                       ("Accept", "application/conference-info+xml")])
        if r.code == 200 and r.body:
            self._document(r)
        return r

    def end(self):
        return self.refresh(0)


class UA:
    def __init__(self, edge, user, domain="conclave.test", password=None, transport="tls", bind="127.0.0.1", tls=None,
                 display=None, host=None):
        self.edge, self.user, self.domain, self.password = edge, user, domain, password
        self.transport, self.bind, self.tls, self.display, self.host = transport, bind, tls, display, host
        self.aor = f"sip:{user}@{domain}"
        self.instance, self.epid = f"urn:uuid:{uuid.uuid4()}", token(5)
        self.txns, self.dialogs, self.handlers = {}, {}, {}
        self.requests, self.on_invite, self.log = queue.Queue(), None, []
        self.lock, self.closed, self.sock = threading.Lock(), threading.Event(), None
        self.connect()

    def __repr__(self):
        return f"<UA {self.user} {self.transport}>"

    # --- the wire
    def connect(self):
        """Opens (or opens again) the socket; dialogs stay."""
        self.closed = threading.Event()
        if self.transport == "udp":
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            s.bind((self.bind, self.sock.getsockname()[1] if self.sock else 0))
            s.connect(self.edge)
        else:
            s = socket.create_connection(self.edge, timeout=5, source_address=(self.bind, 0))
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self.transport == "tls":
                s = (self.tls or insecure_tls()).wrap_socket(s, server_hostname=self.domain)
            s.setblocking(False)         # one lock for reads and writes: OpenSSL wants a connection in one thread at a time
        self.sock, self.addr = s, s.getsockname()
        reader = self._read_udp if self.transport == "udp" else self._read_stream
        self.thread = threading.Thread(target=reader, args=(s, self.closed), daemon=True)
        self.thread.start()

    def close(self):
        self.closed.set()
        try:
            if self.transport != "udp":
                self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        if self.thread is not threading.current_thread():
            self.thread.join(2)
        self.sock.close()

    __enter__ = lambda self: self

    def __exit__(self, *exc):
        self.close()

    def send(self, msg):
        data = msg if isinstance(msg, bytes) else msg.encode()
        self.log.append((time.time(), ">", data))
        with self.lock:
            try:
                self.sock.send(data) if self.transport == "udp" else self._send_all(data)
            except ConnectionRefusedError:
                pass                    # UDP: an ICMP of an earlier datagram; time-outs tell
            except OSError as e:
                self.closed.set()
                raise Closed(f"{self}: {e}") from e

    def _send_all(self, data, limit=10):
        end = time.monotonic() + limit
        while data:
            try:
                data = data[self.sock.send(data):]
            except WOULD_BLOCK:
                select.select([], [self.sock], [], 0.1)
                if time.monotonic() > end:
                    raise OSError(f"not written within {limit} s") from None

    def _read_udp(self, sock, closed):
        while not closed.is_set():
            if not select.select([sock], [], [], 0.2)[0]:
                continue
            try:
                self._incoming(sock.recv(65536))
            except ConnectionRefusedError:
                continue
            except OSError:
                return

    def _read_stream(self, sock, closed):
        data = b""
        try:
            while not closed.is_set():
                if not (getattr(sock, "pending", lambda: 0)() or select.select([sock], [], [], 0.2)[0]):
                    continue
                try:
                    with self.lock:
                        chunk = sock.recv(65536)
                except WOULD_BLOCK:
                    continue
                if not chunk:
                    break
                messages, data = take_messages(data + chunk)
                for whole in messages:
                    self._incoming(whole)
        except (OSError, ValueError):
            pass
        closed.set()

    def _incoming(self, data):
        if not data.strip(b"\r\n\0"):
            return
        self.log.append((time.time(), "<", data))
        msg = Msg.parse(data)
        try:
            self._response(msg) if msg.is_response else self._request(msg)
        except SipTimeout:
            pass

    def _response(self, msg):
        txn = self.txns.get(msg.branch)
        number, method = msg.cseq
        if txn and method == txn.method:
            again = txn.responses and txn.responses[-1].code >= 200
            if again and method == "INVITE" and msg.code // 100 == 2:
                for d in self.dialogs.get(msg.call_id, []):
                    if isinstance(d, Call) and d.ack_bytes:
                        self.send(d.ack_bytes)
            elif not again:
                txn.on_response(msg)
            elif method == "INVITE":
                self.send(txn._ack(msg))

    def _request(self, msg):
        for d in self.dialogs.get(msg.call_id, []):
            if d.local_tag == msg.tag("To"):
                d.on_request(msg)
                return
        self.requests.put(msg)
        if msg.method == "INVITE" and self.on_invite:
            self.on_invite(self, msg)
        elif msg.method == "OPTIONS":
            self.send(self.response(msg, 200))
        elif msg.method not in ("ACK", "BENOTIFY"):
            self.send(self.response(msg, 481 if msg.tag("To") else 501))

    # --- messages
    @property
    def contact(self):
        host = self.host or self.addr[0]
        return (f"<sip:{self.user}@{host}:{self.addr[1]};transport={self.transport}>"
                f";+sip.instance=\"<{self.instance}>\"")

    def via(self):
        host = self.host or self.addr[0]
        return f"SIP/2.0/{self.transport.upper()} {host}:{self.addr[1]};branch=z9hG4bK{token()};rport"

    def build(self, method, uri, headers=(), body=b"", ctype=None, dialog=None, to=None, from_=None, call_id=None):
        """A complete request, not sent."""
        if dialog:
            from_value, to_value, call_id, cseq = dialog.local, dialog.remote, dialog.call_id, dialog.cseq
            routes = [("Route", r) for r in dialog.routes]
        else:
            name = f'"{self.display}" ' if self.display else ""
            from_value = from_ or f"{name}<{self.aor}>;tag={token()};epid={self.epid}"
            to_value, call_id, cseq, routes = to or f"<{uri}>", call_id or f"{token()}@test", 1, []
        head = [("Via", self.via()), ("Max-Forwards", "70")] + routes + [
            ("From", from_value), ("To", to_value), ("Call-ID", call_id), ("CSeq", f"{cseq} {method}"),
            ("User-Agent", "conclave-test")] + list(headers)
        if ctype:
            head.append(("Content-Type", ctype))
        return Msg(f"{method} {uri} SIP/2.0", head, body)

    def response(self, request, code, headers=(), body=b"", ctype=None, to_tag=None):
        keep = [(n, v) for n, v in request.headers if n.lower() in ("via", "from", "to", "call-id", "cseq", "record-route")]
        if to_tag and not request.tag("To"):
            keep = [(n, f"{v};tag={to_tag}" if n.lower() == "to" else v) for n, v in keep]
        keep += list(headers) + ([("Content-Type", ctype)] if ctype else [])
        return Msg(f"SIP/2.0 {code} {'OK' if code == 200 else 'Answer'}", keep, body)

    def start(self, msg):
        return Txn(self, msg).start()

    def transact(self, msg, timeout=8, dialog=None, auth=True):
        """Sends a request, answers a challenge (one of each kind, more only when the nonce was stale), returns the final
        response."""
        answered = set()
        while True:
            r = self.start(msg).wait(timeout)
            if not auth or not self.may_answer(r, answered):
                return r
            msg = self.authorize(msg, r)
            if dialog:
                dialog.cseq = msg.cseq[0]

    def may_answer(self, r, answered):
        if r.code not in (401, 407) or self.password is None:
            return False
        text = (r.get("WWW-Authenticate") or r.get("Proxy-Authenticate") or "").lower()
        again = r.code in answered and (len(answered) > 3 or "stale=true" not in text.replace('"', ""))
        answered.add(r.code if r.code not in answered else (r.code, len(answered)))
        return not again

    def authorize(self, msg, challenge, count=1, user=None, password=None):
        """The request again with credentials, one CSeq and one branch further."""
        ask, answer = (("WWW-Authenticate", "Authorization") if challenge.code == 401
                       else ("Proxy-Authenticate", "Proxy-Authorization"))
        again = msg.copy()
        again.set("Via", self.via())
        again.set("CSeq", f"{msg.cseq[0] + 1} {msg.method}")
        again.set(answer, digest(challenge.get(ask), msg.method, msg.uri, user or self.user, password or self.password,
                                 count=count))
        return again

    # --- what a client does
    def request(self, method, uri, headers=(), body=b"", ctype=None, timeout=8, auth=True, **kw):
        return self.transact(self.build(method, uri, headers, body, ctype, **kw), timeout, auth=auth)

    def register(self, expires=600, timeout=8, ok=True):
        r = self.request("REGISTER", f"sip:{self.domain}", [("Contact", self.contact), ("Expires", str(expires))],
                         to=f"<{self.aor}>", timeout=timeout)
        if ok and r.code != 200:
            raise SipError(r)
        return r

    def invite(self, uri, body, ctype="application/sdp", headers=(), timeout=10, cls=Call, auth=True, **kw):
        """Calls and acknowledges; a refusal is a SipError."""
        msg = self.build("INVITE", uri, [("Contact", self.contact), ("Allow", "INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,NOTIFY")]
                         + list(headers), body, ctype, **kw)
        r = self.transact(msg, timeout, auth=auth)
        msg = self.txns[r.branch].msg
        if r.code // 100 != 2:
            raise SipError(r)
        return cls(self, msg, r).ack()

    def subscribe(self, uri, sink=None, headers=(), expires=3600, event="conference", ok=True, timeout=8):
        extra = [("Event", event), ("Accept", "application/conference-info+xml"), ("Contact", self.contact)]
        if expires is not None:
            extra.append(("Expires", str(expires)))
        msg = self.build("SUBSCRIBE", uri, extra + list(headers))
        sub = Subscription(self, msg, sink)
        r = self.transact(msg, timeout, dialog=sub)
        if ok and r.code != 200:
            raise SipError(r)
        sub.confirm(r)
        return sub

    def wait_request(self, method, timeout=5):
        """The next request outside of known dialogs."""
        end = time.monotonic() + timeout
        while True:
            try:
                msg = self.requests.get(timeout=max(0.01, end - time.monotonic()))
            except queue.Empty:
                raise SipTimeout(f"{self}: no {method} in {timeout} s") from None
            if msg.method == method:
                return msg


def insecure_tls():
    """Believes every server: for tests that are not about the server's certificate."""
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
    return ctx


def verified_tls(ca, cert=None, key=None):
    ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    ctx.check_hostname = False
    ctx.load_verify_locations(ca)
    if cert:
        ctx.load_cert_chain(cert, key)
    return ctx


__all__ = ["UA", "Call", "Dialog", "Subscription", "Txn", "SipError", "SipTimeout", "Closed", "Msg", "token",
           "insecure_tls", "verified_tls", "uri_of", "split_commas", "header_params"]
