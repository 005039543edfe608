# SPDX-License-Identifier: Apache-2.0
"""The torture messages of RFC 4475's list (conclave_test/torture.py) at the edge over UDP and TCP, and at the daemons as if
the edge had let them through: what is valid is answered as such, what is not gets an error or nothing, and after each the
next call goes through. Nothing dies and no log shows a crash.
"""
import contextlib
import re
import select
import socket
import time

import pytest

from conclave_test import c3p, certs
from conclave_test.sip import insecure_tls
from conclave_test.sipmsg import Msg, digest
from conclave_test.stack import PARTS, children
from conclave_test.torture import DOMAIN, MESSAGES, Here

SILENCE_S = 0.5
CRASH = re.compile(r"segfault|signal 11|core dumped|AddressSanitizer|runtime error|lua:? .*(?:attempt to|error running|stack traceback)|BUG:|CRITICAL", re.I)


def processes(stack):
    return {p: (stack.pid(p), len(children(stack.pid(p)))) for p in PARTS}


@pytest.fixture
def calls(stack):
    """after(): a call goes through now. Before and after the test the same processes run."""
    before = processes(stack)
    ua = stack.ua("carol")

    def after(name):
        start = time.monotonic()
        call = c3p.talk(ua, stack.room(), timeout=6)
        assert call.bye().code == 200, name
        call.close()
        assert time.monotonic() - start < 4, f"the call after {name} took too long"
    yield after
    assert processes(stack) == before and all(stack.running(p) for p in PARTS)
    for p in PARTS:
        found = CRASH.search(stack.new_log(p))
        assert not found, f"{p}: {found.group(0)}"


def final(data, call_id):
    """The code of the first final response in data, or 0."""
    for head in re.split(rb"(?=SIP/2\.0 \d{3} )", data):
        m = re.match(rb"SIP/2\.0 ([2-6]\d\d) ", head)
        if m and (call_id.encode() in head or b"torture" not in head):
            return int(m.group(1))
    return 0


def exchange(sock, data, call_id, limit=3.0, silence=SILENCE_S):
    """What came back: (code of the final response or 0, all bytes). Silence is believed after `silence` seconds."""
    sock.setblocking(False)
    got, quiet_at, end = b"", time.monotonic() + silence, time.monotonic() + limit
    with contextlib.suppress(OSError):
        sock.sendall(data) if hasattr(sock, "sendall") else sock.send(data)
    while time.monotonic() < end and (got or time.monotonic() < quiet_at):
        ready = select.select([sock], [], [], 0.05)[0] or getattr(sock, "pending", int)()
        try:
            chunk = sock.recv(65536) if ready else None
        except (BlockingIOError, OSError) as e:
            if isinstance(e, ConnectionError):
                break
            continue
        if chunk == b"":
            break
        got += chunk or b""
        if final(got, call_id):
            return final(got, call_id), got
    return 0, got


def judge(t, code, wanted):
    """None, or what is wrong with that answer."""
    if wanted:
        return None if code in wanted else f"wanted one of {wanted}"
    if t.kind == "response":
        return None if code == 0 else "a response was answered"
    if t.kind == "valid":
        return None if 200 <= code < 500 and code != 400 or code == 501 else "it is valid"
    refused = code == 0 or 400 <= code < 500 or code in (501, 505, 606)
    return None if refused or t.kind == "lenient" and 200 <= code < 400 else "it is not valid"


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_torture_at_the_edge(stack, calls, transport):
    wrong = {}
    for i, t in enumerate(MESSAGES):
        if t.datagram and transport != "udp":
            continue
        kind = socket.SOCK_DGRAM if transport == "udp" else socket.SOCK_STREAM
        with socket.socket(socket.AF_INET, kind) as s:
            s.bind((f"127.0.{2 if transport == 'udp' else 3}.{i + 1}", 0))      # one source each: nobody pays for another's
            s.connect(stack.udp)
            here = Here(transport.upper(), s.getsockname())
            code, got = exchange(s, t.make(here), here.call_id)
            fault = judge(t, code, t.edge)
            if fault:
                wrong[f"{t.section} {t.name}"] = (code, fault, got[:300])
            assert b"second-in-the-datagram" not in got, "octets behind a datagram's message are no message"
        calls(t.name)
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong.items())


def with_credentials(data, challenge, password):
    """The message as a client repeats it after a challenge: credentials, next CSeq, another branch."""
    method, uri = data.split(b" ", 2)[:2]
    answer = digest(challenge, method.decode(), uri.decode(), "alice", password)
    head, _, rest = data.partition(b"\r\n")
    rest = re.sub(rb"(?im)^(cseq\s*:\s*)0*7\b", rb"\g<1>8", rest, 1).replace(b"branch=z9hG4bK", b"branch=z9hG4bKx", 1)
    return head + b"\r\nProxy-Authorization: " + answer.encode() + b"\r\n" + rest


def hang_up(sock, got, here):
    """ACK and BYE of a call that was taken."""
    ok = Msg.parse(got[got.index(b"SIP/2.0 200"):])
    routes = [("Route", r) for r in reversed(ok.all("Record-Route"))]
    for cseq, method in ((8, "ACK"), (9, "BYE")):
        head = [("Via", here.via().partition(": ")[2]), ("Max-Forwards", "70"), *routes, ("From", ok.get("From")), ("To", ok.get("To")),
                ("Call-ID", ok.call_id), ("CSeq", f"{cseq} {method}")]
        msg = Msg(f"{method} {ok.contact} SIP/2.0", head).encode()
        if method == "ACK":
            sock.setblocking(True)
            sock.sendall(msg)
    assert exchange(sock, msg, here.call_id, 5.0, 5.0)[0] == 200


@pytest.mark.parametrize("name,codes", [("wsinv", (200,)), ("longreq", (200, 403, 413, 513)), ("baddate", (200, 400)), ("invut", (415,)), ("sdp01", (200, 406)),
                                        ("mpart01", (404, 405, 480)), ("escruri", (200, 400, 403, 404))])
def test_what_is_challenged_is_understood_to_its_end_with_credentials(stack, calls, name, codes):
    """Through the edge, the focus and the media server; what one of them cannot read must not be left without an answer."""
    t = next(t for t in MESSAGES if t.name == name)
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as s:
        s.bind(("127.0.4.1", 0))
        s.connect(stack.tcp)
        here = Here("TCP", s.getsockname())
        data = t.make(here)
        code, got = exchange(s, data, here.call_id)
        if code == 407:
            challenge = re.search(rb"(?im)^Proxy-Authenticate: ([^\r\n]*)", got).group(1).decode()
            code, got = exchange(s, with_credentials(data, challenge, stack.users["alice"]), here.call_id, 6.0, 6.0)
        assert code in codes, got[:400]
        if code == 200:
            hang_up(s, got, here)
    calls(name)


IDENTITY = "P-Asserted-Identity: <sip:{}@conclave.test>\r\nConclave-Access: user;media=srtp\r\n"


@pytest.mark.parametrize("where", ["focus_sip", "mcu_sip"])
def test_torture_at_a_daemon_from_its_edge(stack, calls, where):
    """With the edge's own certificate and its headers of identity."""
    ctx = insecure_tls()
    ctx.load_cert_chain(certs.issue(stack.dir, "edge", stack.dir / f"{where}-torture.pem", ["edge.conclave.internal", "edge-1.edge.conclave.internal"]))
    wrong = {}
    for t in MESSAGES:                  # each of another user: what is announced and never comes counts against one
        if t.datagram:
            continue
        with socket.create_connection(getattr(stack, where), timeout=5) as plain, ctx.wrap_socket(plain, server_hostname=DOMAIN) as s:
            here = Here("TLS", plain.getsockname() if plain.fileno() >= 0 else s.getsockname(), IDENTITY.format(t.name))
            code, got = exchange(s, t.make(here), here.call_id)
            fault = judge(t, code, t.daemon)
            if fault:
                wrong[f"{t.section} {t.name}"] = (code, fault, got[:300])
        calls(t.name)
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong.items())


def test_the_list_is_whole():
    sections = [t.section for t in MESSAGES]
    assert len(sections) == len(set(sections)) == 49
    for head, n in (("3.1.1.", 13), ("3.1.2.", 19), ("3.3.", 15)):
        assert sorted(int(s[len(head):]) for s in sections if s.startswith(head) and s[len(head):].isdigit()) == list(range(1, n + 1))
    assert {"3.2.1", "3.4.1"} <= set(sections)
