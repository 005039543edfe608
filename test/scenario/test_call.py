# SPDX-License-Identifier: Apache-2.0
"""Plain phones: they dial a room and hear the others. Judged by the tones that come back."""
import time

import pytest

from conclave_test import c3p, rtp
from conclave_test.sip import SipError, uri_of

A, B, C, D = 520, 640, 930, 1210
ALL = [A, B, C, D]


def call(ua, stack, end, tone=None, **kw):
    return end(c3p.talk(ua, stack.room(), tone=tone, **kw))


def test_a_trunk_call_with_plain_pcmu_over_tcp_hears_a_user_and_is_heard(stack, end):
    user = call(stack.ua("alice"), stack, end, A)
    trunk = call(stack.trunk(), stack, end, B, srtp=False)
    assert trunk.leg.answer.profile == "RTP/AVP" and trunk.leg.codec == "PCMU"
    trunk.leg.wait_heard({A}, ALL)
    user.leg.wait_heard({B}, ALL)
    assert trunk.bye().code == 200 and user.bye().code == 200


def test_a_udp_phone_with_digest_and_srtp_hears_a_tls_phone(stack, end):
    phone = stack.ua("bob", "udp", register=True)
    one = call(phone, stack, end, A)
    two = call(stack.ua("carol"), stack, end, B, codec="PCMA")
    assert one.leg.answer.profile == "RTP/SAVP" and two.leg.codec == "PCMA"
    one.leg.wait_heard({B}, ALL)
    two.leg.wait_heard({A}, ALL)
    assert one.leg.bad == two.leg.bad == 0
    assert one.bye().code == 200 and two.bye().code == 200


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_plain_rtp_of_a_user_is_refused_with_488(stack, transport):
    leg = rtp.Leg(srtp=False)
    with pytest.raises(SipError) as e:
        stack.ua("bob", transport).invite(stack.room(), leg.offer())
    leg.stop()
    assert e.value.code == 488


def test_three_talkers_hear_exactly_the_two_others(stack, end):
    calls = [call(stack.ua(u), stack, end, f) for u, f in (("alice", A), ("bob", B), ("carol", C))]
    for c, own in zip(calls, (A, B, C)):
        c.leg.wait_heard({A, B, C} - {own}, ALL)
    for c, own in zip(calls, (A, B, C)):
        c.leg.keeps_hearing({A, B, C} - {own}, ALL, 0.6)
    calls[2].bye()
    calls[0].leg.wait_heard({B}, ALL, timeout=2)
    calls[1].leg.wait_heard({A}, ALL, timeout=2)
    for c in calls[:2]:
        assert c.bye().code == 200


def test_who_comes_and_goes_with_silence_is_no_tone(stack, end):
    a, b = (call(stack.ua(u), stack, end) for u in ("alice", "bob"))
    a.leg.tone(A)
    b.leg.wait_heard({A}, ALL)
    at = time.monotonic()
    a.leg.quiet()
    b.leg.wait_heard(set(), ALL)
    assert b.leg.tone_stopped(A, at) < 0.6
    a.bye(), b.bye()


def test_a_room_is_one_room_and_another_is_another(stack, end):
    stack.admin("focusd", cmd="add", name="second", organizer="alice")
    a, b = call(stack.ua("alice"), stack, end, A), c3p.talk(stack.ua("bob"), stack.room("second"), tone=B)
    end(b)
    c = c3p.talk(stack.ua("carol"), stack.room("second"), tone=C)
    end(c)
    b.leg.wait_heard({C}, ALL)
    c.leg.wait_heard({B}, ALL)
    assert a.leg.heard(ALL) == set()
    for x in (a, b, c):
        x.bye()


def test_the_client_sees_one_invite_and_no_ticket(stack, end):
    ua = stack.ua("alice")
    c = call(ua, stack, end)
    seen = b"".join(data for _, way, data in ua.log if way == "<")
    assert b"SIP/2.0 302" not in seen and b"oc-ticket" not in seen and b"SIP/2.0 183" not in seen
    contact = c.answer.all("Contact")[0]
    assert "isfocus" in contact.partition(">")[2] and "opaque=app:conf:audio-video:id:" in uri_of(contact)
    assert c.sdp.count("a=crypto:") == 1 and c.leg.answer.payloads[0] == 0
    c.bye()


def test_hold_and_resume_by_re_invite_keep_port_key_and_source(stack, end):
    a, b = (call(stack.ua(u), stack, end, f) for u, f in (("alice", A), ("bob", B)))
    a.leg.wait_heard({B}, ALL)
    before = (a.leg.answer.port, a.leg.answer.key, a.leg.packets[-1].ssrc)
    r = a.reinvite(a.leg.offer("sendonly", version=2))
    assert r.code == 200 and rtp.Sdp(r.body.decode()).direction == "recvonly"
    time.sleep(0.3)
    count = len(a.leg.packets)
    time.sleep(0.4)
    assert len(a.leg.packets) - count <= 2, "a held leg is sent no audio"
    r = a.reinvite(a.leg.offer("sendrecv", version=3))
    a.leg.accept(r.body.decode())
    a.leg.wait_heard({B}, ALL)
    assert (a.leg.answer.port, a.leg.answer.key, a.leg.packets[-1].ssrc) == before
    b.leg.wait_heard({A}, ALL)
    a.bye(), b.bye()


def test_a_re_invite_cannot_leave_srtp(stack, end):
    a = call(stack.ua("alice"), stack, end)
    plain = rtp.Leg(srtp=False)
    end(plain)
    assert a.reinvite(plain.offer(version=2)).code == 488
    assert a.bye().code == 200


def test_a_digit_sequence_mutes_and_unmutes_the_own_phone(stack, end):
    a, b = (call(stack.ua(u), stack, end, f) for u, f in (("alice", A), ("bob", B)))
    a.leg.wait_heard({B}, ALL)
    b.leg.dtmf("*6")
    a.leg.wait_heard(set(), ALL, timeout=4)
    b.leg.dtmf("*6")
    a.leg.wait_heard({B}, ALL, timeout=4)
    a.bye(), b.bye()


def test_no_codec_in_common_is_488_and_no_sdp_is_not_a_crash(stack):
    ua, leg = stack.ua("alice"), rtp.Leg()
    offer = leg.offer().replace(" 0 101", " 97").replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:97 AMR-WB/16000")
    for body, codes in ((offer, {488}), ("", {200, 400, 488})):
        try:
            c = ua.invite(stack.room(), body)
            assert 200 in codes
            c.bye()
        except SipError as e:
            assert e.code in codes
    leg.stop()


def test_an_unknown_address_is_404_and_a_foreign_domain_is_refused(stack):
    ua, leg = stack.ua("alice"), rtp.Leg()
    for uri, codes in (("sip:nothere@conclave.test", {404, 480}), ("sip:x@elsewhere.example", {403, 404, 488, 478})):
        with pytest.raises(SipError) as e:
            ua.invite(uri, leg.offer())
        assert e.value.code in codes, uri
    leg.stop()


def test_after_all_calls_ended_the_mcu_holds_no_leg(stack):
    def legs():
        answer = stack.admin("mcu", cmd="stats")
        return sum(v for k, v in answer.items() if k in ("legs", "users") and isinstance(v, int))
    stack.wait("no leg left", lambda: legs() == 0, 3)
