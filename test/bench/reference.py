# SPDX-License-Identifier: Apache-2.0
"""The reference for joins: Kamailio as a bare relay (reference/kamailio.cfg) and a responder that answers at once.

The responder gives what the real servers gave (bodies of the same size): 200 to INVITE, SERVICE and INFO, 200 and a NOTIFY to
SUBSCRIBE; OPTIONS makes it notify all subscriptions.
With challenge=True it asks for a digest as the real edge does, once for each of the two, and the relay carries that too.
"""
import contextlib
import shutil
import socket
import ssl
import subprocess
import tempfile
import threading
import time
from pathlib import Path

from conclave_test.sipmsg import Msg, take_messages

HERE = Path(__file__).resolve().parent
WORKERS = 4                              # as in the real edge
CHALLENGE = 'Digest realm="conclave.test", nonce="0123456789abcdef0123456789abcdef", qop="auth"'


def module_dir():
    for d in ("/usr/lib/x86_64-linux-gnu/kamailio/modules", *map(str, Path("/usr/lib").glob("*/kamailio/modules"))):
        if Path(d).is_dir():
            return d
    raise SystemExit("Kamailio's modules are not installed")


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def stream_messages(sock):
    """Whole SIP messages of a connection."""
    data = b""
    while True:
        chunk = sock.recv(65536)
        if not chunk:
            return
        messages, data = take_messages(data + chunk)
        yield from map(Msg.parse, messages)


class Responder:
    def __init__(self, cert, key, answer, document, challenge):
        self.answer, self.document, self.challenge = answer, document, challenge
        self.subscribed, self.cseq, self.on_command = [], 1, None    # None: the answer to INVITE
        ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ctx.load_cert_chain(cert, key)
        self.ctx, self.listener = ctx, socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                conn, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(conn,), daemon=True).start()

    def _serve(self, conn):
        with contextlib.suppress(OSError):
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls = self.ctx.wrap_socket(conn, server_side=True)
            for m in stream_messages(tls):
                for out in self.on(m):
                    tls.sendall(out.encode())

    def on(self, m):
        if m.is_response or m.method == "ACK":
            return []
        if self.challenge and m.method in ("INVITE", "SUBSCRIBE") and not m.get("Proxy-Authorization"):
            return [self.reply(m, 407, [("Proxy-Authenticate", CHALLENGE)])]
        me = [("Contact", f"<sip:responder@127.0.0.1:{self.port};transport=tls>")]
        if m.method == "INVITE":
            return [self.reply(m, 200, me + [("Content-Type", "application/cccp+xml")], self.answer)]
        if m.method == "SUBSCRIBE":
            self.subscribed.append(m)
            return [self.reply(m, 200, me + [("Expires", "3600")]), self.notify(m, me)]
        if m.method == "OPTIONS":                # all subscriptions are notified on this connection
            self.cseq += 1
            return [self.reply(m, 200), *(self.notify(x, me, self.cseq) for x in self.subscribed)]
        if m.method in ("SERVICE", "INFO"):
            return [self.reply(m, 200, [("Content-Type", "application/cccp+xml")], self.on_command or self.answer)]
        return [self.reply(m, 200)]

    @staticmethod
    def reply(m, code, headers=(), body=b""):
        keep = [(n, v + ";tag=responder" if n.lower() == "to" and "tag=" not in v else v) for n, v in m.headers
                if n.lower() in ("via", "from", "to", "call-id", "cseq", "record-route")]
        return Msg(f"SIP/2.0 {code} {'OK' if code == 200 else 'Challenge'}", keep + list(headers), body)

    def notify(self, m, me, cseq=1):
        routes = [("Route", r) for r in m.all("Record-Route")]
        return Msg(f"NOTIFY {m.contact} SIP/2.0", [
            ("Via", f"SIP/2.0/TLS 127.0.0.1:{self.port};branch=z9hG4bKn{cseq}{m.branch[-12:]}")] + routes + [
            ("Max-Forwards", "70"), ("From", m.get("To") + ";tag=responder"), ("To", m.get("From")), ("Call-ID", m.get("Call-ID")),
            ("CSeq", f"{cseq} NOTIFY"), ("Event", "conference"), ("Subscription-State", "active;expires=3600"),
            ("Content-Type", "application/conference-info+xml")] + me, self.document)

    def close(self):
        self.listener.close()


class Relay:
    """The bare Kamailio; pids() of all its processes."""
    def __init__(self, stack_dir, to_port, kids):
        self.dir, self.port, self.kids = Path(tempfile.mkdtemp(prefix="conclave-bench-")), free_port(), kids
        shutil.copy(stack_dir / "certs" / "client-facing.pem", self.dir / "server.pem")
        shutil.copy(stack_dir / "certs" / "client-facing.key", self.dir / "server.key")
        text = (HERE / "reference" / "kamailio.cfg").read_text()
        for word, value in (("DIR", self.dir), ("PORT", self.port), ("TO", to_port), ("WORKERS", WORKERS), ("MODULES", module_dir())):
            text = text.replace(f"@{word}@", str(value))
        (self.dir / "kamailio.cfg").write_text(text)
        self.log = open(self.dir / "log", "wb")
        self.proc = subprocess.Popen(["kamailio", "-DD", "-E", "-f", str(self.dir / "kamailio.cfg"), "-Y", str(self.dir), "-m", "128", "-M", "16"],
                                     stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        end = time.monotonic() + 10
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                if self.proc.poll() is not None or time.monotonic() > end:
                    self.proc.kill()
                    raise SystemExit(f"the reference Kamailio does not start:\n{(self.dir / 'log').read_text()[-2000:]}") from None
                time.sleep(0.05)
        time.sleep(0.3)

    def pids(self):
        return [self.proc.pid, *self.kids(self.proc.pid)]

    def close(self):
        self.proc.terminate()
        try:
            self.proc.wait(5)
        except subprocess.TimeoutExpired:
            self.proc.kill()
        self.log.close()
        shutil.rmtree(self.dir, ignore_errors=True)
