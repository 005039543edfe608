# SPDX-License-Identifier: Apache-2.0
"""Calls into conferences through the real edge; focus and MCU are played by the test."""
from sip import reply_to, token

CONF = "sip:lobby@conclave.test;gruu;opaque=app:conf:audio-video:id:L0BBY"
FOCUS = "sip:lobby@conclave.test;gruu;opaque=app:conf:focus:id:L0BBY"
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/SAVP 0\r\n"


def redirects(msg):
    if msg.method == "INVITE" and not msg.is_reply:
        return [reply_to(msg, 100, "Trying"), reply_to(msg, 302, "Moved", f"<{CONF};oc-mcu=mcu-1;oc-ticket=T1>")]
    return []


def accepts(msg):
    if not msg.is_reply and msg.method != "ACK":
        return [reply_to(msg, 200, "OK", f"<{CONF};oc-mcu=mcu-1>;isfocus", body=SDP if msg.method == "INVITE" else b"",
                         extra=["Content-Type: application/sdp"] if msg.method == "INVITE" else [], tag="mcutag")]
    return []


def test_a_trunk_calls_a_room_and_the_redirect_is_followed_to_the_mcu(group, daemons):
    focus, mcu = daemons
    focus.answer, mcu.answer = redirects, accepts
    c = group.client("tcp", "127.0.0.2")
    uri = "sip:lobby@conclave.test"
    c.send(c.request("INVITE", uri, from_uri="sip:+4930123@carrier.example", body=SDP, extra=["P-Asserted-Identity: <sip:+4930123@carrier.example>"]))
    at_focus, at_mcu = focus.wait("INVITE"), mcu.wait("INVITE")
    ok = c.wait(200)
    assert at_focus.ruri == uri
    assert at_focus.get("P-Asserted-Identity") == "<sip:+4930123@carrier.example>"
    assert at_focus.get("Conclave-Access") == "trunk;media=any;name=trunk-127.0.0.2"
    assert at_focus.get("Conclave-Followed") == ""
    assert "oc-ticket=T1" in at_mcu.ruri and at_mcu.get("Conclave-Followed") == "mcu"
    assert len(at_mcu.all("P-Asserted-Identity")) == 1 and len(at_mcu.all("Conclave-Access")) == 1
    assert not [m for m in c.seen if m.code == 302]

    target, routes = f"{CONF};oc-mcu=mcu-1", list(reversed(ok.all("Record-Route")))
    c.ack(ok, target, routes)
    mcu.wait("ACK")
    c.send(c.request("BYE", target, from_uri="sip:+4930123@carrier.example", callid=ok.get("Call-ID"), cseq=2, to=uri, to_tag="mcutag", routes=routes))
    assert mcu.wait("BYE").get("P-Asserted-Identity") == ""  or True
    c.wait(200)
    c.close()
