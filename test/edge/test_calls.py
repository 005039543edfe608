# SPDX-License-Identifier: Apache-2.0
"""Calls into conferences through the real edge; focus and MCU are played by the test."""
import pytest

from conftest import announce
from sip import reply_to, token

ROOM = "sip:lobby@conclave.test"
AV = "sip:lobby@conclave.test;gruu;opaque=app:conf:audio-video:id:L0BBY"
FOCUS = "sip:lobby@conclave.test;gruu;opaque=app:conf:focus:id:L0BBY"
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"
CARRIER = "sip:+4930123@carrier.example"
FORGED = ["P-Asserted-Identity: <sip:ceo@conclave.test>", "P-Preferred-Identity: <sip:ceo@conclave.test>",
          "Remote-Party-ID: <sip:ceo@conclave.test>", "Conclave-Access: trunk;media=any", "Conclave-Followed: mcu"]


def redirects(msg):
    if msg.method == "INVITE" and not msg.is_reply:
        return [reply_to(msg, 100, "Trying"), reply_to(msg, 302, "Moved", f"<{AV};oc-mcu=mcu-1;oc-ticket=T1>")]
    return []


def accepts(msg):
    if not msg.is_reply and msg.method != "ACK":
        invite = msg.method == "INVITE"
        return [reply_to(msg, 200, "OK", f"<{AV};oc-mcu=mcu-1>;isfocus", body=SDP if invite else b"",
                         extra=["Content-Type: application/sdp"] if invite else [], tag="mcutag")]
    return []


def focus_accepts(msg):
    if not msg.is_reply and msg.method != "ACK":
        return [reply_to(msg, 200, "OK", f"<{FOCUS}>;isfocus", tag="focustag", extra=["Expires: 600"])]
    return []


def routes_of(reply):
    return list(reversed(reply.all("Record-Route")))


def test_a_trunk_calls_a_room_and_the_redirect_is_followed_to_the_mcu(group, daemons):
    focus, mcu = daemons
    focus.answer, mcu.answer = redirects, accepts
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("INVITE", ROOM, from_uri=CARRIER, body=SDP, extra=[f"P-Asserted-Identity: <{CARRIER}>"] + FORGED[1:]))
    at_focus, at_mcu = focus.wait("INVITE"), mcu.wait("INVITE")
    ok = c.wait(200)
    assert at_focus.ruri == ROOM
    assert at_focus.all("P-Asserted-Identity") == [f"<{CARRIER}>"]
    assert at_focus.all("Conclave-Access") == ["trunk;media=any;name=trunk-127.0.0.2"]
    assert at_focus.get("Conclave-Followed") == "" and at_focus.get("Remote-Party-ID") == ""
    assert "oc-ticket=T1" in at_mcu.ruri and at_mcu.all("Conclave-Followed") == ["mcu"]
    assert len(at_mcu.all("P-Asserted-Identity")) == 1 and len(at_mcu.all("Conclave-Access")) == 1
    assert not [m for m in c.seen if m.code == 302]

    target, routes = f"{AV};oc-mcu=mcu-1", routes_of(ok)
    c.ack(ok, target, routes)
    ack = mcu.wait("ACK")
    assert ack.ruri == target and not ack.all("Route")
    c.send(c.request("BYE", target, from_uri=CARRIER, callid=ok.get("Call-ID"), cseq=2, to=ROOM, to_tag="mcutag", routes=routes))
    bye = mcu.wait("BYE")
    assert bye.all("P-Asserted-Identity") == [f"<{CARRIER}>"] and not bye.all("Route")
    c.wait(200)


@pytest.mark.parametrize("proto", ["udp", "tcp", "tls"])
def test_a_user_is_challenged_then_identified_and_keeps_the_dialog(group, daemons, proto):
    focus, mcu = daemons
    focus.answer, mcu.answer = redirects, accepts
    c = group.client(proto)
    call = c.authed("INVITE", ROOM, group.passwords["alice"], body=SDP, extra=FORGED)
    at_focus = focus.wait("INVITE")
    assert at_focus.all("P-Asserted-Identity") == ["<sip:alice@conclave.test>"]
    assert at_focus.all("Conclave-Access") == ["user;media=srtp" + (";udp" if proto == "udp" else "")]
    assert not at_focus.all("Proxy-Authorization") and not at_focus.all("P-Preferred-Identity")
    assert ";alias=" in at_focus.get("Contact")
    ok = c.wait(200)
    mcu.wait("INVITE")
    target, routes = f"{AV};oc-mcu=mcu-1", routes_of(ok)
    c.ack(ok, target, routes)
    mcu.wait("ACK")
    c.send(c.request("INFO", target, callid=call, cseq=5, to=ROOM, to_tag="mcutag", routes=routes, body=b"x", extra=FORGED))
    info = mcu.wait("INFO")
    assert info.all("P-Asserted-Identity") == ["<sip:alice@conclave.test>"] and info.all("Conclave-Followed") == []
    c.wait(200)
    c.send(c.request("BYE", target, callid=call, cseq=6, to=ROOM, to_tag="mcutag"))    # without Route: still ours
    mcu.wait("BYE")
    c.wait(200)


def test_a_focus_dialog_carries_info_notify_and_bye_both_ways(group, daemons):
    focus, _ = daemons
    focus.answer = focus_accepts
    c = group.client("tls")
    call = c.authed("INVITE", FOCUS, group.passwords["alice"], body=b"<a/>", ctype="application/cccp+xml")
    invite, ok = focus.wait("INVITE"), c.wait(200)
    c.ack(ok, FOCUS, routes_of(ok))
    focus.wait("ACK")
    c.send(c.request("INFO", FOCUS, callid=call, cseq=4, to_tag="focustag", routes=routes_of(ok), body=b"<b/>", ctype="application/cccp+xml"))
    assert focus.wait("INFO").body == b"<b/>"
    c.wait(200)
    # The focus's own requests go over its own connection, to the first Route of the dialog.
    out = focus.link
    routes = invite.all("Record-Route")
    contact = invite.get("Contact").split("<")[1].split(">")[0]
    for method in ("NOTIFY", "INFO", "BYE"):
        out.send(out.request(method, contact, from_uri=FOCUS, callid=call, cseq=7, tag="focustag", to="sip:alice@conclave.test", to_tag="ft1",
                             routes=routes, body=b"<n/>", extra=["Conclave-Node: focus-1;addr=127.0.0.1:1"]))
        got = c.wait(method)
        assert got.body == b"<n/>" and not got.all("Conclave-Node")
        c.send(reply_to(got, 200, "OK"))
        out.wait(200)


def tell(group, daemons, proto, method, size):
    """bob subscribes and gets a document of so many bytes: his client, the focus's connection, what he got."""
    focus, _ = daemons
    focus.answer = focus_accepts
    c, out = group.client(proto), focus.link
    call = c.authed("SUBSCRIBE", FOCUS, group.passwords["bob"], user="bob", extra=["Event: conference"])
    sub = focus.wait("SUBSCRIBE")
    c.wait(200)
    contact = sub.get("Contact").split("<")[1].split(">")[0]
    out.send(out.request(method, contact, from_uri=FOCUS, callid=call, cseq=1, tag="focustag", to="sip:bob@conclave.test", to_tag="ft1",
                         routes=sub.all("Record-Route"), body=b"x" * size, ctype="application/conference-info+xml"))
    got = c.wait(method)
    assert len(got.body) == size
    return c, out, got


@pytest.mark.conformance("T14")
@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_a_benotify_is_forwarded_without_a_transaction(group, daemons, proto):
    c, out, got = tell(group, daemons, proto, "BENOTIFY", 6000)
    c.send(reply_to(got, 200, "OK"))
    assert out.silent()


def test_a_document_of_190_kb_reaches_a_tls_client(group, daemons):
    c, out, got = tell(group, daemons, "tls", "NOTIFY", 190000)
    c.send(reply_to(got, 200, "OK", extra=FORGED))
    answer = out.wait(200)
    assert not answer.all("P-Asserted-Identity") and not answer.all("Conclave-Access")


def test_a_frozen_focus_costs_one_timeout_and_its_late_answer_goes_nowhere(group, daemons):
    focus, _ = daemons
    focus.answer = lambda m: []
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("SUBSCRIBE", FOCUS, from_uri=CARRIER, extra=["Event: conference"]))
    late = focus.wait("SUBSCRIBE")
    assert c.wait(503, 8).get("Retry-After")
    focus.conns[-1].sendall(reply_to(late, 200, "OK", f"<{FOCUS}>"))
    assert c.silent()


def test_service_reaches_the_focus_factory(group, daemons):
    focus, _ = daemons
    focus.answer = focus_accepts
    c = group.client("tls")
    uri = "sip:alice@conclave.test;gruu;opaque=app:conf:focusfactory"
    c.authed("SERVICE", uri, group.passwords["alice"], body=b"<request/>", ctype="application/cccp+xml")
    got = focus.wait("SERVICE")
    assert got.ruri == uri and got.all("P-Asserted-Identity") == ["<sip:alice@conclave.test>"]
    assert not got.all("Record-Route")
    c.wait(200)


def test_an_anonymous_caller_reaches_the_focus_without_identity_and_is_remembered_after_200(group, daemons):
    focus, mcu = daemons
    focus.answer = focus_accepts
    c = group.client("tls")
    anon = "sip:guest1@anonymous.invalid"
    call = token("call")
    c.send(c.request("INVITE", FOCUS, from_uri=anon, callid=call, extra=FORGED))
    got, ok = focus.wait("INVITE"), c.wait(200)
    assert not got.all("P-Asserted-Identity") and got.all("Conclave-Access") == ["anonymous;media=srtp"]
    c.ack(ok, FOCUS, routes_of(ok))
    focus.wait("ACK")
    c.send(c.request("INFO", FOCUS, from_uri=anon, callid=call, cseq=2, to_tag="focustag"))
    assert focus.wait("INFO").all("Conclave-Access") == ["anonymous;media=srtp"]
    c.wait(200)
    c.send(c.request("INVITE", ROOM, from_uri=anon))                       # a plain address: not anonymous
    c.wait(407)


def test_the_pass_code_challenge_of_the_focus_reaches_the_anonymous_caller(group, daemons):
    focus, _ = daemons
    focus.answer = lambda m: [reply_to(m, 401, "Unauthorized", extra=['WWW-Authenticate: Digest realm="conf", nonce="1"'])] if m.method == "INVITE" else []
    c = group.client("tls")
    c.send(c.request("INVITE", FOCUS, from_uri="sip:g@anonymous.invalid"))
    r = c.wait(401)
    assert r.get("WWW-Authenticate").startswith('Digest realm="conf"')
    c.ack(r, FOCUS, from_uri="sip:g@anonymous.invalid")


def test_cancel_reaches_the_mcu(group, daemons):
    focus, mcu = daemons
    focus.answer = redirects
    mcu.answer = lambda m: [reply_to(m, 180, "Ringing")] if m.method == "INVITE" else [reply_to(m, 200, "OK")] if m.method == "CANCEL" else []
    c = group.client("tcp", "127.0.0.2")
    branch, call = "z9hG4bK" + token(), token("call")
    c.send(c.request("INVITE", ROOM, from_uri=CARRIER, branch=branch, callid=call, body=SDP))
    invite = mcu.wait("INVITE")
    c.wait(180)
    c.send(c.request("CANCEL", ROOM, from_uri=CARRIER, branch=branch, callid=call))
    mcu.wait("CANCEL")
    mcu.conns[-1].sendall(reply_to(invite, 487, "Request Terminated"))
    c.wait(487)


def test_an_owner_redirect_is_followed_once_to_another_focus(group, daemons):
    focus, mcu = daemons
    hops = []

    def answer(m):
        if m.method != "INVITE":
            return []
        hops.append(m.get("Conclave-Followed"))
        if len(hops) == 1:
            return [reply_to(m, 302, "Moved", f"<{FOCUS};oc-focus=focus-1>")]
        return [reply_to(m, 200, "OK", f"<{FOCUS}>;isfocus", tag="focustag")]

    focus.answer = answer
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("INVITE", FOCUS, from_uri=CARRIER))
    c.wait(200)
    assert hops == ["", "owner"]


@pytest.mark.parametrize("contact", [f"<{AV};oc-mcu=mcu-9;oc-ticket=T>", "<sip:evil@203.0.113.5>", "<sip:x@203.0.113.5;oc-mcu=mcu-1;oc-ticket=T>", "garbage"])
def test_a_redirect_to_an_unknown_place_is_not_followed(group, daemons, contact):
    focus, mcu = daemons
    focus.answer = lambda m: [reply_to(m, 302, "Moved", contact)] if m.method == "INVITE" else []
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("INVITE", ROOM, from_uri=CARRIER, body=SDP))
    r = c.wait(502)
    assert "ms-diagnostics" in {k for k, _ in r.headers}
    assert not mcu.seen and not [m for m in c.seen if m.code == 302]


def test_an_mcu_that_redirects_again_is_not_followed(group, daemons):
    focus, mcu = daemons
    focus.answer, mcu.answer = redirects, redirects
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("INVITE", ROOM, from_uri=CARRIER, body=SDP))
    assert 'redirected the request too often' in c.wait(502).get("ms-diagnostics")


def test_errors_of_the_focus_reach_the_caller_as_they_are(group, daemons):
    focus, _ = daemons
    focus.answer = lambda m: [reply_to(m, 486, "Busy Here", extra=["X-Why: full"])] if m.method == "INVITE" else []
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("INVITE", ROOM, from_uri=CARRIER))
    assert c.wait(486).get("X-Why") == "full"


def test_options_to_the_edge_and_to_a_room(group, daemons):
    focus, _ = daemons
    focus.answer = focus_accepts
    c = group.client("udp")
    c.send(c.request("OPTIONS", "sip:" + group.addr["sip"]["udp"]))
    c.wait(200)
    c.authed("OPTIONS", ROOM, group.passwords["alice"])
    focus.wait("OPTIONS")
    c.wait(200)


def test_a_dead_mcu_gives_503_with_a_reason(group, daemons):
    focus, mcu = daemons
    announce(focus.link, "mcu-dead", f"127.0.0.1:{group.base + 19}")
    focus.answer = lambda m: [reply_to(m, 302, "Moved", f"<{AV};oc-mcu=mcu-dead;oc-ticket=T>")] if m.method == "INVITE" else []
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("INVITE", ROOM, from_uri=CARRIER, body=SDP))
    r = c.wait(503, 12)
    assert "media server" in r.get("ms-diagnostics") and r.get("Retry-After")
