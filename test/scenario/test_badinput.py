# SPDX-License-Identifier: Apache-2.0
"""Malformed SIP, SDP, XML, HTTP and RTP, and replays. A running call hears nothing of it; every part lives on."""
import http.client
import os
import random
import socket
import ssl
import struct
import time

import pytest

from conclave_test import c3p, certs, rtp
from conclave_test.sip import UA, Closed, SipError, SipTimeout, insecure_tls, token
from conclave_test.stack import PARTS

A, B = 520, 640
ALL = [A, B]
DOMAIN = "conclave.test"
ALICE = f"sip:alice@{DOMAIN}"


@pytest.fixture(scope="module")
def call(stack):
    """Two users in a call for the length of this module."""
    legs = [c3p.talk(stack.ua(u), stack.room(), tone=f) for u, f in (("carol", A), ("dave", B))]
    legs[0].leg.wait_heard({B}, ALL)
    yield legs
    for c in legs:
        assert c.bye().code == 200
        c.close()


@pytest.fixture(autouse=True)
def nobody_notices(stack, call):
    pids = {p: stack.pid(p) for p in PARTS}
    yield
    call[0].leg.keeps_hearing({B}, ALL, 0.35)
    call[1].leg.keeps_hearing({A}, ALL, 0.35)
    assert {p: stack.pid(p) for p in PARTS} == pids and all(stack.running(p) for p in PARTS)
    assert stack.ua("alice").request("OPTIONS", f"sip:{DOMAIN}", auth=False).code >= 200


def sip_lines(ua, **change):
    """An INVITE as text with some header lines replaced (None: left out)."""
    lines = {"start": f"INVITE sip:lobby@{DOMAIN} SIP/2.0", "Via": ua.via(), "Max-Forwards": "70", "From": f"<{ALICE}>;tag=1",
             "To": f"<sip:lobby@{DOMAIN}>", "Call-ID": token(), "CSeq": "1 INVITE", "Contact": ua.contact, "Content-Length": "0"}
    lines.update(change)
    out = [v if k == "start" else f"{k}: {v}" for k, v in lines.items() if v is not None]
    return ("\r\n".join(out) + "\r\n\r\n").encode()


BAD_SIP = {
    "noise": lambda ua: os.urandom(600), "text": lambda ua: b"GET / HTTP/1.1\r\n\r\n", "a start line only": lambda ua: b"INVITE\r\n\r\n",
    "no headers": lambda ua: b"INVITE sip:a@b SIP/2.0\r\n\r\n", "no Via": lambda ua: sip_lines(ua, Via=None),
    "no From": lambda ua: sip_lines(ua, From=None), "no Call-ID": lambda ua: sip_lines(ua, **{"Call-ID": None}),
    "no CSeq": lambda ua: sip_lines(ua, CSeq=None), "CSeq of another method": lambda ua: sip_lines(ua, CSeq="1 BYE"),
    "CSeq too large": lambda ua: sip_lines(ua, CSeq="99999999999 INVITE"), "a negative length": lambda ua: sip_lines(ua, **{"Content-Length": "-5"}),
    "a huge length": lambda ua: sip_lines(ua, **{"Content-Length": "999999999"}), "two lengths": lambda ua: sip_lines(ua, **{"l": "7"}),
    "a bad URI": lambda ua: sip_lines(ua, start="INVITE sip:[::zz SIP/2.0"), "another version": lambda ua: sip_lines(ua, start=f"INVITE sip:lobby@{DOMAIN} SIP/7.3"),
    "a long header": lambda ua: sip_lines(ua, Subject="x" * 60000), "many headers": lambda ua: sip_lines(ua, **{f"X-{i}": "y" for i in range(800)}),
    "a NUL": lambda ua: sip_lines(ua, Subject="a\0b"), "no hops left": lambda ua: sip_lines(ua, **{"Max-Forwards": "0"}),
    "a bad Contact": lambda ua: sip_lines(ua, Contact="<<<>>>;;;"), "a response to nothing": lambda ua: b"SIP/2.0 200 OK\r\nVia: " + ua.via().encode() +
    b"\r\nFrom: <sip:a@b>;tag=1\r\nTo: <sip:a@b>;tag=2\r\nCall-ID: z\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n",
}


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_malformed_sip_at_the_edge(stack, transport):
    for name, make in BAD_SIP.items():
        ua = stack.ua("alice", transport, bind="127.0.0.33")
        data = make(ua)
        if transport == "udp" and len(data) > 60000:
            data = data[:60000]
        try:
            ua.send(data)
            time.sleep(0.03)
        except (Closed, OSError):
            pass
        assert not any(b"SIP/2.0 2" in d.split(b"\r\n")[0] for _, way, d in ua.log if way == "<"), name
        ua.close()


@pytest.mark.parametrize("where", ["focus_sip", "mcu_sip"])
def test_malformed_sip_from_the_edge_itself(stack, where):
    """A daemon trusts its edge's name, not its messages."""
    ctx = insecure_tls()
    ctx.load_cert_chain(certs.issue(stack.dir, "edge", stack.dir / f"{where}-bad.pem",
                                    ["edge.conclave.internal", "edge-1.edge.conclave.internal"]))
    addr = getattr(stack, where)
    for name, make in BAD_SIP.items():
        with UA(addr, "alice", DOMAIN, None, "tls", tls=ctx) as ua:
            try:
                ua.send(make(ua))
                time.sleep(0.02)
            except Closed:
                pass
    with UA(addr, "alice", DOMAIN, None, "tls", tls=ctx) as ua:
        rng = random.Random(7)
        whole = sip_lines(ua, **{"P-Asserted-Identity": f"<{ALICE}>", "Conclave-Access": "user;media=srtp"})
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(rng.randint(1, 12)):
            data[rng.randrange(len(data))] = rng.randrange(256)
        with UA(addr, "alice", DOMAIN, None, "tls", tls=ctx) as ua:
            try:
                ua.send(bytes(data[:rng.randint(20, len(data))] if rng.random() < 0.3 else data))
            except Closed:
                pass
    with UA(addr, "alice", DOMAIN, None, "tls", tls=ctx) as ua:
        assert ua.request("OPTIONS", f"sip:x@{addr[0]}").code == 200


def bad_sdps():
    leg = rtp.Leg()
    good = leg.offer()
    leg.stop()
    return {
        "noise": "\x01\x02\x03", "a line only": "v=0\r\n", "no media": good.split("m=")[0], "no port": good.replace(f"m=audio {leg.port}", "m=audio x"),
        "a port out of range": good.replace(f"m=audio {leg.port}", "m=audio 99999"), "no payloads": good.replace(" 0 101\r\n", "\r\n"),
        "a short key": good.replace("inline:", "inline:AAAA|"), "a key that is no base64": good.replace("inline:", "inline:!!!!"),
        "an unknown suite": good.replace("AES_CM_128", "ROT_13"), "no crypto line": "\r\n".join(l for l in good.split("\r\n") if "crypto" not in l),
        "a bad address": good.replace("c=IN IP4 127.0.0.1", "c=IN IP4 300.1.2.3.4"), "a name as address": good.replace("c=IN IP4 127.0.0.1", "c=IN IP4 evil.example"),
        "a thousand attributes": good + "a=x:y\r\n" * 5000, "a thousand streams": good + "m=audio 9 RTP/SAVP 0\r\n" * 500,
        "an endless line": good + "a=" + "z" * 30000 + "\r\n", "an odd clock": good.replace("PCMU/8000", "PCMU/0"),
        "another version": good.replace("v=0", "v=9"), "an rtpmap out of range": good + "a=rtpmap:9999 PCMU/8000\r\n",
    }


def test_malformed_sdp_gets_an_answer_and_no_call_or_a_sound_one(stack):
    ua = stack.ua("alice", register=True)
    for name, sdp in bad_sdps().items():
        try:
            c = ua.invite(stack.room(), sdp, timeout=5)
        except SipError as e:
            assert e.code in (400, 403, 413, 415, 488, 500, 513, 606), (name, e)
            assert e.code != 500, (name, e)
        except Closed:
            ua = stack.ua("alice", register=True)
        else:
            assert rtp.Sdp(c.sdp).port > 0, name
            assert c.bye().code == 200, name


def test_a_body_of_another_type_is_415(stack):
    with pytest.raises(SipError) as e:
        stack.ua("alice").invite(stack.room(), "{}", "application/json")
    assert e.value.code == 415


READABLE = ("wide", "another encoding", "a long attribute")      # odd, but a lenient reader understands them: refused or understood


def bad_xmls(focus):
    good = c3p.request(c3p.lock(focus, True), ALICE, focus)
    laughs = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
    return {
        "noise": os.urandom(300), "cut off": good[:len(good) // 2], "deep": b"<a>" * 20000, "wide": good.replace(b"<conferenceKeys", b"<x/>" * 20000 + b"<conferenceKeys"),
        "entities": f'<!DOCTYPE r [<!ENTITY l0 "ha">{laughs}]><request xmlns="urn:ietf:params:xml:ns:cccp">&l9;</request>'.encode(),
        "an outside entity": b'<!DOCTYPE r [<!ENTITY f SYSTEM "file:///etc/passwd">]><request xmlns="urn:ietf:params:xml:ns:cccp" requestId="1">&f;</request>',
        "another encoding": good.decode().replace("<?xml version=\"1.0\"?>", "<?xml version=\"1.0\" encoding=\"UTF-16\"?>").encode(),
        "an unbound prefix": good.replace(b"<modifyConferenceLock>", b"<zz:modifyConferenceLock>").replace(b"</modifyC", b"</zz:modifyC"),
        "a long attribute": good.replace(b'requestId="', b'requestId="' + b"9" * 50000),
        "bad UTF-8": good.replace(b"<locked>", b"<locked>\xff\xfe"),
    }


def test_malformed_xml_in_a_focus_dialog_is_400_and_the_dialog_lives(stack):
    ua = stack.ua("alice", register=True)
    focus = c3p.schedule(ua)
    dialog = c3p.join(ua, focus)
    for name, body in bad_xmls(focus).items():
        r = dialog.info(None, raw=body)
        assert r.sip in (400, 413, 513) or name in READABLE and r.sip == 200, (name, r)
    r = dialog.info(c3p.by_conf("getConference", focus))
    assert r.code == "success"
    assert dialog.bye().code == 200


def test_a_message_larger_than_the_edge_takes_ends_that_connection_only(stack):
    ua = stack.ua("alice")
    focus = c3p.focus_uri("alice", c3p.new_id())
    try:
        r = ua.request("SERVICE", c3p.factory_uri("alice"), [("Contact", ua.contact)], b"<a>" + b"x" * 400000 + b"</a>", c3p.CTYPE, timeout=5)
        assert r.code in (400, 413, 513), r.start
    except SipTimeout:
        pass
    assert focus and stack.ua("alice").register().code == 200


def test_malformed_http_and_c3p_between_the_servers(stack):
    file = lambda role: certs.issue(stack.dir, role, stack.dir / f"bad-{role}.pem",
                                    [f"{role}.conclave.internal", f"{role}-1.{role}.conclave.internal"])
    for addr, path, role in ((stack.focus_http, "/LiveServer/MCUFactory/", "mcu"), (stack.focus_http, "/LiveServer/Focus/", "mcu"),
                             (stack.mcu_http, "/LiveServer/AVMCU/", "focus")):
        ctx = insecure_tls()
        ctx.load_cert_chain(file(role))
        for raw in (os.urandom(500), b"POST\r\n\r\n", b"POST %s HTTP/1.1\r\nContent-Length: -1\r\n\r\n" % path.encode(),
                    b"POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" % path.encode(),
                    b"POST %s HTTP/1.1\r\n" % path.encode() + b"X: y\r\n" * 3000 + b"\r\n"):
            with socket.create_connection(addr, timeout=3) as s, ctx.wrap_socket(s, server_hostname=None) as t:
                try:
                    t.sendall(raw)
                    t.settimeout(0.2)
                    t.recv(1000)
                except (OSError, ssl.SSLError):
                    pass
        for name, body in bad_xmls("sip:a@conclave.test;gruu;opaque=app:conf:focus:id:AAAAAAAA").items():
            conn = http.client.HTTPSConnection(*addr, timeout=3, context=ctx)
            try:
                conn.request("POST", path, body, {"Content-Type": "application/cccp+xml; charset=utf-8"})
                status = conn.getresponse().status
                assert status in (400, 403, 404, 409, 413) or name in READABLE and status == 200, name
            except (OSError, http.client.HTTPException):
                pass                    # closed: as good
            finally:
                conn.close()


# --- media
def test_noise_and_malformed_rtp_at_a_legs_port(stack, call):
    stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    header = struct.pack(">BBHII", 0x80, 0, 1, 160, 7)
    for c in call:
        for addr in (c.leg.peer, (c.leg.peer[0], c.leg.peer[1] + 1)):
            for data in (b"", b"\x80", os.urandom(11), os.urandom(172), os.urandom(1400), header, b"\x8f" + header[1:] + b"x" * 20,
                         b"\x90" + header[1:] + b"\xbe\xde\xff\xff" + b"x" * 30, b"\xa0" + header[1:] + b"\xff" * 30,
                         b"\x80\xc8\xff\xff" + b"x" * 40, b"\x81\xc9\x00\x00", struct.pack(">HH", 1, 8) + os.urandom(16)):
                for _ in range(3):
                    stranger.sendto(data, addr)
    stranger.close()


def test_malformed_packets_from_the_phone_itself_cost_only_itself(stack, call):
    c = c3p.talk(stack.ua("alice", register=True), stack.room())
    leg = c.leg
    leg.quiet()
    for payload in (b"", b"x", b"\xff" * 1300):
        for pt in (0, 8, 13, 101, 96, 127):
            leg.send(leg.packet(pt, payload))
            leg.seq = (leg.seq + 1) & 0xffff
    for raw in (b"", b"\x80", os.urandom(12), os.urandom(300)):
        leg.send(raw, raw=True)
    leg.send(leg.packet(0, b"\xff" * 160, seq=(leg.seq + 20000) & 0xffff))
    leg.wait_heard({A, B}, ALL)
    assert c.bye().code == 200
    c.close()


def counter(metrics, word):
    return sum(v for k, v in metrics.items() if word in k)


def test_replayed_media_is_dropped_and_counted(stack, call):
    leg = call[0].leg
    before = counter(stack.metrics("mcu"), "replay")
    for _ in range(30):
        leg.rtp.sendto(leg.last_sent, leg.peer)
        time.sleep(0.002)
    stack.wait("replays are counted", lambda: counter(stack.metrics("mcu"), "replay") >= before + 20, 3)


def test_media_with_a_wrong_key_is_not_heard(stack, call):
    wrong = rtp.Srtp(os.urandom(30))
    leg = call[0].leg
    pcm = rtp.g711_encode("PCMU", (10000 * __import__("numpy").sin(__import__("numpy").arange(160) * 2 * 3.14159 * 1500 / 8000)).astype("int16"))
    for i in range(40):
        leg.rtp.sendto(wrong.protect(leg.packet(0, pcm, seq=(leg.seq + 1 + i) & 0xffff)), leg.peer)
        time.sleep(0.01)
    assert call[1].leg.heard([A, 1500], 0.4) == {A}


def test_a_stranger_cannot_take_over_a_stream(stack, call):
    """Packets replayed from another address do not move where the leg's audio is sent."""
    thief = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    thief.bind(("127.0.0.44", 0))
    for _ in range(20):
        thief.sendto(call[0].leg.last_sent, call[0].leg.peer)
        time.sleep(0.01)
    thief.settimeout(0.5)
    with pytest.raises(socket.timeout):
        thief.recv(2000)
    thief.close()


# --- replays of signalling
def test_a_replayed_request_is_not_done_twice(stack):
    ua = stack.ua("alice", "udp", register=True)
    focus = c3p.schedule(ua)
    dialog = c3p.join(ua, focus)
    sub, roster = c3p.watch(ua, focus)
    assert dialog.info(c3p.lock(focus, True)).code == "success"
    sub.wait("locked", lambda: roster.state("locked") == "true")
    captured = [d for _, way, d in ua.log if way == ">" and d.startswith(b"INFO")][-1]
    assert dialog.info(c3p.lock(focus, False)).code == "success"
    sub.wait("unlocked", lambda: roster.state("locked") == "false")
    version = roster.version
    other = stack.ua("alice", "udp")
    for sender in (ua, other):
        sender.send(captured)           # the old transaction, word for word
        sender.send(captured.replace(b"branch=z9hG4bK", b"branch=z9hG4bKnew"))
    time.sleep(0.6)
    assert roster.state("locked") == "false" and roster.version == version
    assert dialog.bye().code == 200


def test_a_flood_of_keep_alives_fills_no_log_and_holds_nobody_up(stack):
    """Of a client that reads nothing, over TLS."""
    log = stack.dir / "log" / "kamailio.log"
    before, sent = log.stat().st_size, 0
    for _ in range(2):
        flood = insecure_tls().wrap_socket(socket.create_connection(stack.tls))
        flood.settimeout(1)
        end = time.monotonic() + 3
        try:
            while time.monotonic() < end:
                flood.sendall(b"\r\n\r\n" * 2000)
                sent += 8000
        except OSError:
            pass
        flood.close()
    began = time.monotonic()
    for _ in range(8):                           # one at every worker, more or less
        ua = stack.ua("alice", register=True)
        ua.send(b"\r\n\r\n")
        ua.register()
        ua.close()
    assert time.monotonic() - began < 3
    assert sent > 500_000, "it was a flood"
    assert log.stat().st_size - before < 200_000


def test_half_open_and_idle_connections_do_not_block_others(stack):
    socks = []
    for addr in (stack.tcp, stack.tls, stack.peer, stack.focus_sip, stack.focus_http, stack.mcu_sip, stack.mcu_http):
        for data in (b"", b"\x16\x03\x01", b"INVITE sip:"):
            s = socket.create_connection(addr, timeout=3)
            if data:
                s.sendall(data)
            socks.append(s)
    c = c3p.talk(stack.ua("alice", register=True), stack.room())
    c.leg.wait_heard({A, B}, ALL)
    c.close()
    for s in socks:
        s.close()
