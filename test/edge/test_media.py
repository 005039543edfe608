# SPDX-License-Identifier: Apache-2.0
"""When the media relay comes in, and that it leaves again."""
import re
import socket
import urllib.request

import pytest

from sip import reply_to
from test_calls import AV, ROOM, SDP, redirects, routes_of

NAT = SDP.replace(b"IN IP4 127.0.0.1", b"IN IP4 10.1.2.3")
DTLS = (b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 UDP/TLS/RTP/SAVPF 0\r\n"
        b"a=rtcp-mux\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuvwx\r\na=setup:actpass\r\n"
        b"a=candidate:1 1 UDP 2130706431 127.0.0.1 4000 typ host\r\na=fingerprint:sha-256 " + b":".join([b"AB"] * 32) + b"\r\n")


def sessions(group):
    text = urllib.request.urlopen(group.addr["metrics"]["rtpengine"], timeout=5).read().decode()
    return int(float(re.search(r'^rtpengine_sessions\{type="own"\} (\S+)', text, re.M).group(1)))


def mcu_answer(offer):
    """SDP of an MCU: the offered profile, an own address."""
    m = re.search(rb"m=audio \d+ (\S+) (\d+)", offer.body)
    crypto = b"".join(line + b"\r\n" for line in offer.body.split(b"\r\n") if line.startswith(b"a=crypto:"))[:200].split(b"\r\n")[0]
    return SDP.replace(b"4000 RTP/SAVP 0", b"5000 " + m.group(1) + b" " + m.group(2)) + (crypto + b"\r\n" if crypto else b"")


@pytest.mark.parametrize("name,sdp,relayed", [("direct", SDP, False), ("nat", NAT, True), ("dtls", DTLS, True)], ids=["direct", "nat", "dtls"])
def test_the_relay_is_used_only_by_the_rule(group, daemons, name, sdp, relayed):
    focus, mcu = daemons
    focus.answer = redirects
    before = sessions(group)
    c = group.client("tcp")
    c.authed("INVITE", ROOM, group.passwords["alice"], body=sdp)
    at_focus, invite = focus.wait("INVITE"), mcu.wait("INVITE")
    assert at_focus.body == sdp
    port = int(re.search(rb"m=audio (\d+)", invite.body).group(1))
    assert (port >= group.base + 20) == relayed and (b"10.1.2.3" not in invite.body or not relayed)
    assert b"RTP/SAVP " in invite.body and (name == "dtls" or b"fingerprint" not in invite.body)
    assert sessions(group) == before + relayed
    mcu.conns[-1].sendall(reply_to(invite, 200, "OK", f"<{AV};oc-mcu=mcu-1>;isfocus", tag="mt", body=mcu_answer(invite),
                                   extra=["Content-Type: application/sdp"]))
    ok = c.wait(200)
    assert (b" 5000 " not in ok.body) == relayed
    assert (b"a=fingerprint" in ok.body) == (name == "dtls")
    c.ack(ok, AV + ";oc-mcu=mcu-1", routes_of(ok))
    mcu.wait("ACK")
    # the MCU changes the session: its re-INVITE towards the client is relayed too
    contact = invite.get("Contact").split("<")[1].split(">")[0]
    link = mcu.out()
    link.send(link.request("INVITE", contact, from_uri=ROOM, callid=invite.get("Call-ID"), cseq=9, tag="mt", to="sip:alice@conclave.test",
                           to_tag="ft1", routes=invite.all("Record-Route"), body=mcu_answer(invite), contact=f"<{AV};oc-mcu=mcu-1>"))
    again = c.wait("INVITE")
    assert (b" 5000 " not in again.body) == relayed
    c.send(reply_to(again, 200, "OK", f"<sip:alice@{c.me};transport=tcp>", body=sdp.replace(b"actpass", b"active"), extra=["Content-Type: application/sdp"]))
    back = link.wait(200)
    assert (b" 4000 " not in back.body) == relayed
    c.send(c.request("BYE", AV + ";oc-mcu=mcu-1", callid=ok.get("Call-ID"), cseq=9, to=ROOM, to_tag="mt"))
    bye = mcu.wait("BYE")
    mcu.conns[-1].sendall(reply_to(bye, 200, "OK"))
    c.wait(200)
    assert sessions(group) == before


def test_a_refused_call_leaves_no_relay_session(group, daemons):
    focus, mcu = daemons
    focus.answer = redirects
    mcu.answer = lambda m: [reply_to(m, 488, "No")] if m.method == "INVITE" else []
    before = sessions(group)
    c = group.client("tcp")
    c.authed("INVITE", ROOM, group.passwords["alice"], body=NAT)
    c.wait(488)
    assert sessions(group) == before


def test_a_body_that_the_relay_cannot_read_gets_488(group, daemons):
    focus, mcu = daemons
    focus.answer = redirects
    c = group.client("tcp")
    c.authed("INVITE", ROOM, group.passwords["alice"], body=b"v=0\r\nc=IN IP4 10.1.2.3\r\nm=\xff\r\n")
    assert "media relay" in c.wait(488).get("ms-diagnostics")
    assert not mcu.seen
