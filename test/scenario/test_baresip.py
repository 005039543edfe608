# SPDX-License-Identifier: Apache-2.0
"""Three instances of baresip with different codecs: what each recorded holds exactly the tones of the others."""
import time

import pytest

from conclave_test import c3p, rtp
from conclave_test.baresip import Baresip

TONES = {"bob": (520, "opus"), "carol": (640, "G722"), "dave": (930, "PCMU")}
ALL = [520, 640, 930]


@pytest.fixture
def three(stack, end):
    phones = {u: end(Baresip(stack, u, hz, codec)) for u, (hz, codec) in TONES.items()}
    for p in phones.values():
        p.wait_registered()
    for p in phones.values():
        p.dial(stack.room())
    return phones


@pytest.fixture
def chair(stack, end):
    """A C3P client of the room's organizer who listens."""
    focus = stack.focus()
    return end(c3p.Participant(stack.ua("alice"), focus))


def parts(pcm, rate, start, stop):
    return pcm[int(start * rate):int(stop * rate)]


def test_each_hears_exactly_the_tones_of_the_others(stack, three):
    time.sleep(2.5)
    for p in three.values():
        p.hangup()
    for user, (own, _) in TONES.items():
        pcm, rate = three[user].heard()
        tail = parts(pcm, rate, len(pcm) / rate - 1.5, len(pcm) / rate - 0.3)
        got = rtp.levels(tail, ALL, rate)
        assert {hz for hz, db in got.items() if db > rtp.HEARD_DB} == set(ALL) - {own}, (user, got)
        assert got[own] < max(got.values()) - 25, f"{user} hears itself: {got}"


def test_mute_by_c3p_removes_a_tone_within_a_second(stack, three, chair):
    chair.call()
    chair.leg.wait_heard(set(ALL), ALL)
    bob = f"sip:bob@conclave.test"
    chair.wait("bob's audio", lambda: chair.roster.media(bob))
    endpoint, media = chair.roster.media(bob)
    at = time.monotonic()
    r = chair.focus.info(c3p.mute(chair.focus_uri, bob, endpoint, media.get("id")))
    assert r.code == "success", r
    chair.leg.wait_heard({640, 930}, ALL, timeout=2)
    assert chair.leg.tone_stopped(520, at) < 1.0
    chair.wait("the filter", lambda: chair.roster.ingress(bob) == "block")
    chair.focus.info(c3p.mute(chair.focus_uri, bob, endpoint, media.get("id"), block=False))
    chair.leg.wait_heard(set(ALL), ALL, timeout=2)
    chair.wait("the filter", lambda: chair.roster.ingress(bob) != "block")


def test_kick_ends_the_call(stack, three, chair):
    carol = "sip:carol@conclave.test"
    chair.wait("carol", lambda: chair.roster.user(carol) is not None)
    seen = len(three["carol"].events)
    r = chair.focus.info(c3p.delete_user(chair.focus_uri, carol))
    assert r.code == "success", r
    three["carol"].wait_event("CALL_CLOSED", 3, seen)
    chair.wait("carol is gone", lambda: chair.roster.user(carol) is None)


def test_star_6_mutes_the_phone_that_sent_it(stack, three, chair):
    chair.call()
    chair.leg.wait_heard(set(ALL), ALL)
    three["dave"].dtmf("*6")
    chair.leg.wait_heard({520, 640}, ALL, timeout=5)
    chair.wait("the filter", lambda: chair.roster.ingress("sip:dave@conclave.test") == "block")
    three["dave"].dtmf("*6")
    chair.leg.wait_heard(set(ALL), ALL, timeout=5)
