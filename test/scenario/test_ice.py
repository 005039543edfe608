# SPDX-License-Identifier: Apache-2.0
"""ICE with independent agents: libnice in the modes of Office Communicator 2007 (draft 6), 2007 R2 (MS-ICE2), RFC 5245."""
import re
import socket
import time

import pytest

from conclave_test import c3p, nice, rtp
from conclave_test.sip import SipError

HOST = nice.interface_address()
STACK_OPTIONS = ("--bind", HOST)
A, B, C = 520, 640, 930
ALL = [A, B, C]
MODES = ["oc2007", "oc2007r2", "rfc5245"]
pytestmark = pytest.mark.skipif(not HOST, reason="this machine has loopback only, which ICE agents never offer")


def client(stack, end, user, mode, tone=None, **kw):
    """A call of an ICE client up to both components ready."""
    leg = nice.NiceLeg(mode, **kw)
    try:
        call = stack.ua(user, bind=HOST).invite(stack.room(), leg.offer(), cls=c3p.AudioCall)
    except BaseException:
        leg.stop()
        raise
    call.leg = leg
    end(call)
    leg.accept(call.sdp)
    leg.wait_ready()
    if tone:
        leg.tone(tone)
    return call


def phone(stack, end, user, tone):
    return end(c3p.talk(stack.ua(user, bind=HOST), stack.room(), tone=tone))


@pytest.fixture(scope="module", autouse=True)
def silent(stack):
    """A call whose agent never checks; begun first, looked at last."""
    leg = nice.NiceLeg("oc2007")
    call = stack.ua("dave", bind=HOST).invite(stack.room("demo"), leg.offer())
    call.began = time.monotonic()
    yield call
    leg.stop()


@pytest.mark.conformance("C7")
@pytest.mark.parametrize("mode", MODES)
def test_an_agent_completes_both_components_and_tones_pass_both_ways_before_and_after_the_second_invite(stack, end, mode):
    other = phone(stack, end, "bob", B)
    c = client(stack, end, "alice", mode, A)
    assert {n: int(p["rport"]) for n, p in c.leg.pairs.items()} == {k.comp: k.port for k in c.leg.theirs}
    c.leg.wait_heard({B}, ALL)
    other.leg.wait_heard({A}, ALL)
    first = c.leg.theirs
    assert c.reinvite(c.leg.final_offer()).code == 200
    c.leg.read(c.sdp)
    assert [vars(x) for x in c.leg.theirs] == [vars(x) for x in first]
    if mode == "oc2007":
        assert nice.pad(c.leg.named) == c.leg.pairs[1]["user"]
    elif mode == "oc2007r2":
        assert c.leg.named == " ".join(f"{n} {c.leg.pairs[n]['ip']} {c.leg.pairs[n]['port']}" for n in (1, 2))
    time.sleep(1.5)
    c.leg.wait_heard({B}, ALL)
    other.leg.wait_heard({A}, ALL)
    stack.wait("RTCP by component 2", lambda: c.leg.rtcp_packets, 8)
    assert c.leg.bad == 0
    assert c.bye().code == 200
    other.leg.wait_heard(set(), ALL)


def test_ways_of_draft_6_stay_ready_while_checks_are_repeated(stack, end):
    c = client(stack, end, "alice", "oc2007", A)
    bad = stack.metrics("mcu")["conclave_media_bad_stun_total"]
    time.sleep(8)
    assert c.leg.states == {1: "ready", 2: "ready"}
    assert stack.metrics("mcu")["conclave_media_bad_stun_total"] == bad


def test_packets_of_125_ms_are_heard(stack, end):
    other = phone(stack, end, "bob", B)
    c = client(stack, end, "alice", "oc2007", A, frames=6.25)
    other.leg.wait_heard({A}, ALL)
    time.sleep(1)
    other.leg.wait_heard({A}, ALL)
    c.leg.wait_heard({B}, ALL)


def test_three_kinds_of_agents_hear_each_other(stack, end):
    calls = [client(stack, end, u, m, f) for u, m, f in zip(("alice", "bob", "carol"), MODES, ALL)]
    for c, own in zip(calls, ALL):
        assert c.reinvite(c.leg.final_offer()).code == 200
    for c, own in zip(calls, ALL):
        c.leg.wait_heard(set(ALL) - {own}, ALL)
    assert stack.metrics("mcu")["conclave_media_bad_stun_total"] == 0


def test_an_agent_that_restarts_keeps_its_sound(stack, end):
    other = phone(stack, end, "bob", B)
    c = client(stack, end, "alice", "rfc5245", A)
    c.leg.wait_heard({B}, ALL)
    before, c.leg.states, c.leg.pairs = c.leg.their_credentials, {}, {}
    c.leg.restart()
    assert c.reinvite(c.leg.offer()).code == 200
    c.leg.accept(c.sdp)
    assert c.leg.their_credentials[0] != before[0] and c.leg.their_credentials[1] != before[1]
    c.leg.wait_ready()
    time.sleep(0.5)
    c.leg.wait_heard({B}, ALL)
    other.leg.wait_heard({A}, ALL)


def test_hold_of_an_ice_call_stops_the_sound_and_its_end_brings_it_back(stack, end):
    phone(stack, end, "bob", B)
    c = client(stack, end, "alice", "oc2007r2", A)
    assert c.reinvite(c.leg.final_offer()).code == 200
    c.leg.wait_heard({B}, ALL)
    hold = c.leg.final_offer() + "a=inactive\r\n"
    assert c.reinvite(hold).code == 200 and "a=inactive" in c.sdp
    time.sleep(0.3)
    count = len(c.leg.packets)
    time.sleep(0.5)
    assert len(c.leg.packets) == count
    assert c.reinvite(c.leg.final_offer()).code == 200
    c.leg.wait_heard({B}, ALL)


def test_no_packet_goes_to_an_address_that_was_only_written_in_an_offer(stack, end):
    """The victim of an offer with somebody else's address gets nothing, whatever the caller sends from elsewhere."""
    victim = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    end(victim)
    victim.bind((HOST, 0))
    phone(stack, end, "bob", B)
    leg = nice.NiceLeg("rfc5245")
    end(leg)
    offer = leg.offer()
    for c in leg.cands:
        if c.transport == "UDP" and c.addr == leg.host:
            offer = offer.replace(str(c.port), str(victim.getsockname()[1]))
    call = end(stack.ua("alice", bind=HOST).invite(stack.room(), offer, cls=c3p.AudioCall))
    leg.read(call.sdp)
    stray = end(rtp.Leg(bind=HOST))
    stray.out = rtp.Srtp(leg.master)
    stray.accept(call.sdp)
    stray.tone(A)
    time.sleep(1.5)
    victim.setblocking(False)
    with pytest.raises(BlockingIOError):
        victim.recv(2000)
    assert not stray.packets and stray.sent > 30


@pytest.mark.conformance("C7")
def test_candidates_of_no_known_form_get_488_with_7008_and_the_call_in_the_other_form_is_taken(stack, end):
    leg = nice.NiceLeg("oc2007r2")
    ua = stack.ua("alice", bind=HOST)
    bad = re.sub(r"a=candidate:.*?\r\n", "a=candidate:of some other kind\r\n", leg.offer())
    with pytest.raises(SipError) as e:
        ua.invite(stack.room(), bad)
    assert e.value.code == 488 and e.value.msg.get("ms-diagnostics").startswith("7008;")
    body = ("--next\r\nContent-Type: application/sdp\r\nContent-Transfer-Encoding: 7bit\r\n"
            "Content-Disposition: session; handling=optional; ms-proxy-2007fallback\r\n\r\n"
            f"o=- 0 0 IN IP4 {HOST}\r\ns=session\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio 0 RTP/AVP\r\n\r\n--next\r\n"
            "Content-Type: application/sdp\r\nContent-Transfer-Encoding: 7bit\r\n"
            f"Content-Disposition: session; handling=optional\r\n\r\n{leg.offer()}\r\n--next--\r\n")
    phone(stack, end, "bob", B)
    c = end(ua.invite(stack.room(), body, 'multipart/alternative;boundary="next"', cls=c3p.AudioCall))
    c.leg = leg
    leg.accept(c.sdp)
    leg.wait_ready()
    leg.wait_heard({B}, ALL)


def test_without_a_way_the_call_is_ended_after_half_a_minute(stack, silent):
    assert silent.ended.wait(max(1, silent.began + 35 - time.monotonic()))
    assert 28 < time.monotonic() - silent.began
    assert "ICE" in silent.wait_request("BYE").get("Reason")
