# SPDX-License-Identifier: Apache-2.0
"""Small SIP peers for the tests of the edge: a client over UDP, TCP or TLS, and a daemon (focus or MCU) behind mutual TLS.

They say exactly what a test tells them to, also what is wrong. Everything received is kept; wait() looks for it.
"""
import hashlib
import itertools
import queue
import re
import select
import socket
import ssl
import threading
import time

_n = itertools.count(1)


def token(prefix="t"):
    return f"{prefix}{time.monotonic_ns()}x{next(_n)}"


class Msg:
    def __init__(self, data):
        head, _, self.body = data.partition(b"\r\n\r\n")
        lines = head.decode("utf-8", "replace").split("\r\n")
        self.first, self.headers = lines[0], []
        for line in lines[1:]:
            k, _, v = line.partition(":")
            self.headers.append((k.strip(), v.strip()))
        self.is_reply = self.first.startswith("SIP/2.0")
        self.code = int(self.first.split()[1]) if self.is_reply else 0
        self.method = self.first.split()[0] if not self.is_reply else self.get("CSeq").split()[1]
        self.ruri = "" if self.is_reply else self.first.split()[1]

    def all(self, name):
        return [v for k, v in self.headers if k.lower() == name.lower()]

    def get(self, name):
        return (self.all(name) or [""])[0]

    def __repr__(self):
        return f"<{self.first} {self.get('Call-ID')}>"


def take(buf):
    """One message off the front of a stream, or (None, buf)."""
    buf = buf.lstrip(b"\r\n")
    end = buf.find(b"\r\n\r\n")
    if end < 0:
        return None, buf
    m = re.search(rb"(?im)^(?:content-length|l)\s*:\s*(\d+)", buf[:end + 2])
    total = end + 4 + (int(m.group(1)) if m else 0)
    return (Msg(buf[:total]), buf[total:]) if len(buf) >= total else (None, buf)


def reply_to(req, code, text="", contact="", extra=(), body=b"", tag=None):
    out = [f"SIP/2.0 {code} {text or 'X'}"]
    out += [f"Via: {v}" for v in req.all("Via")]
    if code > 100:
        out += [f"Record-Route: {v}" for v in req.all("Record-Route")]
    to = req.get("To")
    if "tag=" not in to and code > 100:
        to += f";tag={tag or token('srv')}"
    out += [f"From: {req.get('From')}", f"To: {to}", f"Call-ID: {req.get('Call-ID')}", f"CSeq: {req.get('CSeq')}"]
    if contact:
        out.append(f"Contact: {contact}")
    out += list(extra) + [f"Content-Length: {len(body)}", "", ""]
    return "\r\n".join(out).encode() + body


def digest(msg, user, password, method, uri):
    """The Authorization header that answers the challenge in msg."""
    name = "WWW-Authenticate" if msg.code == 401 else "Proxy-Authenticate"
    p = dict(re.findall(r'(\w+)="?([^",]+)"?', msg.get(name)))
    h = lambda s: hashlib.md5(s.encode()).hexdigest()  # noqa: E731
    cnonce, nc = token("c"), "00000001"
    r = h(f"{h(user + ':' + p['realm'] + ':' + password)}:{p['nonce']}:{nc}:{cnonce}:auth:{h(method + ':' + uri)}")
    return (("Authorization" if msg.code == 401 else "Proxy-Authorization") +
            f': Digest username="{user}", realm="{p["realm"]}", nonce="{p["nonce"]}", uri="{uri}", response="{r}", '
            f"qop=auth, nc={nc}, cnonce=\"{cnonce}\", algorithm=MD5")


class TlsSocket:
    """A TLS connection that one thread reads while another writes: OpenSSL wants one at a time."""

    def __init__(self, sock):
        self.sock, self.lock = sock, threading.Lock()
        sock.settimeout(0)

    def _turn(self, call, *args):
        while True:
            try:
                with self.lock:
                    return call(*args)
            except ssl.SSLWantReadError:
                select.select([self.sock], [], [], 5)
            except ssl.SSLWantWriteError:
                select.select([], [self.sock], [], 5)

    def recv(self, n):
        return self._turn(self.sock.recv, n)

    def sendall(self, data):
        while data:
            data = data[self._turn(self.sock.send, data):]

    def shutdown(self, how):
        self.sock.shutdown(how)

    def close(self):
        self.sock.close()


class Peer:
    """Something with a socket that receives messages into a queue."""

    def __init__(self):
        self.inbox, self.seen, self.answer = queue.Queue(), [], None

    def _got(self, msg, send):
        self.seen.append(msg)
        if self.answer:
            for data in self.answer(msg) or ():
                send(data)
        self.inbox.put(msg)

    def wait(self, want, timeout=4.0):
        """The next message with this method or code; others are skipped."""
        end = time.monotonic() + timeout
        while True:
            left = end - time.monotonic()
            try:
                m = self.inbox.get(timeout=max(left, 0.001))
            except queue.Empty:
                raise AssertionError(f"no {want}; seen {self.seen[-6:]}") from None
            if (m.is_reply and m.code == want) or (not m.is_reply and m.method == want):
                return m

    def silent(self, seconds=0.6):
        """True when nothing (but provisional replies) comes for a while."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            try:
                m = self.inbox.get(timeout=0.05)
            except queue.Empty:
                continue
            if not (m.is_reply and m.code == 100):
                return False
        return True

    def _stream(self, sock):
        buf = b""
        try:
            while True:
                data = sock.recv(65536)
                if not data:
                    return
                buf += data
                while True:
                    msg, buf = take(buf)
                    if not msg:
                        break
                    self._got(msg, sock.sendall)
        except (OSError, ValueError):
            return


class Client(Peer):
    def __init__(self, addr, proto="tcp", ca=None, source="127.0.0.1", cert=None, domain="conclave.test"):
        super().__init__()
        host, port = addr.rsplit(":", 1)
        self.addr, self.proto, self.domain = (host, int(port)), proto, domain
        if proto == "udp":
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self.sock.bind((source, 0))
            self.me = "%s:%d" % self.sock.getsockname()[:2]
            threading.Thread(target=self._datagrams, daemon=True).start()
        else:
            self.sock = socket.create_connection(self.addr, 4, (source, 0))
            if proto == "tls":
                ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                ctx.check_hostname = False
                ctx.load_verify_locations(ca)
                if cert:
                    ctx.load_cert_chain(cert + ".pem", cert + ".key")
                self.sock = ctx.wrap_socket(self.sock, server_hostname=domain)
            self.sock.settimeout(None)
            self.me = "%s:%d" % self.sock.getsockname()[:2]
            if proto == "tls":
                self.sock = TlsSocket(self.sock)
            threading.Thread(target=self._stream, args=(self.sock,), daemon=True).start()

    def _datagrams(self):
        while True:
            try:
                data = self.sock.recv(65536)
            except OSError:
                return
            if data.strip():
                self._got(Msg(data), self.send)

    def send(self, data):
        if self.proto == "udp":
            self.sock.sendto(data, self.addr)
        else:
            self.sock.sendall(data)

    def close(self):
        # Shut down first: a closed descriptor's number is given to the next socket while our reader still sleeps on it.
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def request(self, method, uri, user="alice", callid=None, cseq=1, extra=(), to=None, tag="ft1", to_tag="", body=b"", routes=(),
                from_uri=None, contact=None, branch=None, ctype="application/sdp"):
        from_uri = from_uri or f"sip:{user}@{self.domain}"
        lines = [f"{method} {uri} SIP/2.0", f"Via: SIP/2.0/{self.proto.upper()} {self.me};branch={branch or 'z9hG4bK' + token('b')};rport",
                 "Max-Forwards: 70", f"From: <{from_uri}>;tag={tag}", f"To: <{to or uri}>" + (f";tag={to_tag}" if to_tag else ""),
                 f"Call-ID: {callid or token('call')}", f"CSeq: {cseq} {method}",
                 f"Contact: {contact or '<sip:' + user + '@' + self.me + ';transport=' + self.proto + '>'}"]
        lines += [f"Route: {r}" for r in routes] + list(extra)
        if body:
            lines.append(f"Content-Type: {ctype}")
        lines += [f"Content-Length: {len(body)}", "", ""]
        return "\r\n".join(lines).encode() + body

    def authed(self, method, uri, password, user="alice", expect=407, **kw):
        """Sends, answers the challenge; returns nothing: the test waits for what it wants."""
        kw.setdefault("callid", token("call"))
        extra = list(kw.pop("extra", ()))
        cseq = kw.pop("cseq", 1)
        self.send(self.request(method, uri, user=user, cseq=cseq, extra=extra, **kw))
        ch = self.wait(expect)
        if method == "INVITE":
            self.ack(ch, uri, user=user, **{k: v for k, v in kw.items() if k in ("from_uri",)})
        self.send(self.request(method, uri, user=user, cseq=cseq + 1, extra=extra + [digest(ch, user, password, method, uri)], **kw))
        return kw["callid"]

    def ack(self, reply, uri, routes=(), user="alice", from_uri=None):
        lines = [f"ACK {uri} SIP/2.0", f"Via: {reply.get('Via')}" if reply.code >= 300 else
                 f"Via: SIP/2.0/{self.proto.upper()} {self.me};branch=z9hG4bK{token('b')};rport", "Max-Forwards: 70",
                 f"From: {reply.get('From')}", f"To: {reply.get('To')}", f"Call-ID: {reply.get('Call-ID')}",
                 f"CSeq: {reply.get('CSeq').split()[0]} ACK"]
        lines += [f"Route: {r}" for r in routes] + ["Content-Length: 0", "", ""]
        self.send("\r\n".join(lines).encode())


class Daemon(Peer):
    """A focus or MCU: a TLS listener that wants the edge's certificate, and a connection of its own to the edge's peer listener."""

    def __init__(self, group, node, port, cert=None):
        super().__init__()
        self.group, self.node, self.port, self.conns = group, node, port, []
        self.cert = cert or group.path(f"certs/{node}")
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(self.cert + ".pem", self.cert + ".key")
        ctx.load_verify_locations(group.path("ca/servers.pem"))
        ctx.verify_mode = ssl.CERT_REQUIRED
        self.lsock = socket.socket()
        self.lsock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.lsock.bind(("127.0.0.1", port))
        self.lsock.listen(16)
        self.ctx, self.up = ctx, True
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while self.up:
            try:
                raw = self.lsock.accept()[0]
                conn = TlsSocket(self.ctx.wrap_socket(raw, server_side=True))
            except OSError:
                continue
            self.conns.append(conn)
            threading.Thread(target=self._stream, args=(conn,), daemon=True).start()

    def _got(self, msg, send):
        if msg.method == "OPTIONS" and not msg.is_reply and "edge@" in msg.get("From") and not msg.get("Conclave-Gone"):
            return send(reply_to(msg, 200, "OK"))
        super()._got(msg, send)

    def out(self):
        """A connection to the edge's peer listener, as this daemon."""
        return Client(self.group.addr["sip"]["peer"], "tls", ca=self.group.path("ca/servers.pem"), cert=self.cert)

    def close(self):
        self.up = False
        self.lsock.shutdown(socket.SHUT_RDWR)
        self.lsock.close()
        for c in self.conns:
            c.close()
