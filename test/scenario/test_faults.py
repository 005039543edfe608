# SPDX-License-Identifier: Apache-2.0
"""Parts die in the middle of calls: what goes on, what is cleaned up, how fast, and what a client notices."""
import os
import signal
import time

import pytest

from conclave_test import c3p, rtp
from conclave_test.c3p import Participant
from conclave_test.sip import SipError, SipTimeout
from conclave_test.stack import SmallDisk

A, B, C = 520, 640, 930
ALL = [A, B, C]
ALICE, BOB, CAROL = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol"))


@pytest.fixture
def call(stack, end):
    """alice (C3P client, chair) and bob (UDP phone) in the room, both heard, both in the roster."""
    focus = stack.focus()
    settled(stack)
    alice = end(Participant(stack.ua("alice", register=True), focus, tone=A))
    bob = c3p.talk(stack.ua("bob", "udp", register=True), stack.room(), tone=B)
    end(bob)
    alice.leg.wait_heard({B}, ALL)
    bob.leg.wait_heard({A}, ALL)
    alice.wait("bob", lambda: alice.roster.connected(BOB, "audio-video"))
    time.sleep(0.3)
    return alice, bob, focus


def settled(stack, limit=15):
    """The test before may have restarted something: a first call goes through."""
    eventually(lambda: c3p.talk(stack.ua("dave"), stack.room()).close(), limit, "after the test before", 1.0)


def eventually(call, limit, what, wait=0.3):
    """call(), again while it is refused; its value. Each try is a phone of its own: one that focusd has sent to an mcu counts as
    one of the sixteen that a user may have for ten seconds, whatever became of it."""
    start = time.monotonic()
    while True:
        try:
            return call()
        except SipError as e:
            assert time.monotonic() - start < limit, f"{what}: a new caller still gets {e} after {limit} s"
            time.sleep(wait)


def joins_and_talks(stack, end, user="carol", tone=C):
    return end(c3p.talk(stack.ua(user), stack.room(), tone=tone))


def test_a_killed_focusd_leaves_the_audio_and_comes_back_with_roster_and_dialogs(stack, end, call):
    alice, bob, focus = call
    version = alice.roster.version
    stack.kill("focusd")
    bob.leg.keeps_hearing({A}, ALL, 1.0)
    with pytest.raises((SipError, SipTimeout)) as e:
        c3p.talk(stack.ua("carol"), stack.room(), timeout=6)
    assert not isinstance(e.value, SipError) or e.value.code in (408, 480, 500, 503, 504)
    stack.restart("focusd")
    alice.wait("a document after the restart", lambda: alice.roster.version > version, 8)
    assert alice.roster.version == version + 1 and alice.roster.history[-1][1] == "full"
    assert set(alice.roster.users) == {ALICE, BOB} and alice.roster.connected(BOB, "audio-video")
    r = alice.focus.info(c3p.lock(focus, True))
    assert r.code == "success", "the old dialog takes commands"
    alice.wait("locked", lambda: alice.roster.state("locked") == "true")
    assert alice.focus.info(c3p.lock(focus, False)).code == "success"
    carol = eventually(lambda: joins_and_talks(stack, end), 2, "focusd was restarted")
    bob.leg.wait_heard({A, C}, ALL)
    alice.wait("carol", lambda: alice.roster.connected(CAROL, "audio-video"))
    carol.bye()
    alice.wait("carol left", lambda: CAROL not in alice.roster.users)
    assert bob.bye().code == 200
    alice.wait("bob left", lambda: BOB not in alice.roster.users)


def test_who_hangs_up_while_focusd_is_down_is_not_in_the_roster_afterwards(stack, end, call):
    alice, bob, focus = call
    stack.kill("focusd")
    assert bob.bye().code == 200, "the leg's own server is there"
    alice.leg.wait_heard(set(), ALL)
    stack.restart("focusd")
    alice.wait("bob is gone", lambda: BOB not in alice.roster.users, 8)


def test_a_killed_mcu_is_gone_from_the_roster_within_two_seconds_and_the_next_call_works(stack, end, call):
    alice, bob, focus = call
    at = time.monotonic()
    stack.kill("mcu")
    alice.wait("no audio endpoint is left", lambda: not any(
        "connected" in [s for s, _ in u["endpoints"].get("audio-video", [])] for u in alice.roster.users.values()), 4)
    assert time.monotonic() - at < 2.0
    assert "focus" in alice.roster.users[ALICE]["endpoints"], "the focus dialog lives"
    stack.restart("mcu")
    one = eventually(lambda: joins_and_talks(stack, end, "carol", C), 2, "the mcu was restarted")
    two = joins_and_talks(stack, end, "dave", A)
    one.leg.wait_heard({A}, ALL)
    two.leg.wait_heard({C}, ALL)
    alice.wait("carol", lambda: alice.roster.connected(CAROL, "audio-video"))
    one.bye(), two.bye()


def test_a_killed_edge_and_relay_leave_direct_audio_and_dialogs_can_be_ended(stack, end, call):
    alice, bob, focus = call
    stack.kill("kamailio")
    stack.kill("rtpengine")
    bob.leg.keeps_hearing({A}, ALL, 1.0)
    stack.restart("rtpengine")
    stack.restart("kamailio")
    alice.ua.close()
    alice.ua.connect()
    assert alice.ua.register().code == 200
    assert bob.ua.register().code == 200
    assert alice.sub.refresh().code == 200, "tells the focus where the client is now"
    bob.leg.keeps_hearing({A}, ALL, 0.6)
    assert alice.focus.info(c3p.by_conf("getConference", focus)).code == "success"
    carol = eventually(lambda: joins_and_talks(stack, end), 4, "the edge was restarted")
    bob.leg.wait_heard({A, C}, ALL)
    assert bob.bye().code == 200 and alice.audio.bye().code == 200 and carol.bye().code == 200
    alice.wait("the roster went on", lambda: list(alice.roster.users) == [ALICE], 5)


def test_every_part_ends_on_sigterm_and_starts_again(stack, end):
    for part in ("mcu", "focusd", "rtpengine", "kamailio"):
        stack.kill(part, signal.SIGTERM)
        stack.restart(part)
    settled(stack)
    c = joins_and_talks(stack, end)
    d = joins_and_talks(stack, end, "dave", A)
    c.leg.wait_heard({A}, ALL)
    c.bye(), d.bye()


def test_a_full_disk_under_the_store_is_503_and_passes(end):
    """The group runs in a mount namespace of its own with a small tmpfs as DIR/db (no privilege needed)."""
    s = end(SmallDisk("db", 1536))
    alice = s.ua("alice")
    first = c3p.schedule(alice)
    seen = end(Participant(alice, first))
    s.fill()
    results = []
    for _ in range(64):
        r = c3p.service(alice, c3p.add_conference(c3p.new_id(), "x" * 500))
        results.append(r.sip)
    assert results[-1] == 503, (results, r.msg)
    with pytest.raises(SipError) as e:
        c3p.join(s.ua("bob"), first)
    assert e.value.code == 503
    time.sleep(0.4)
    assert list(seen.roster.users) == [ALICE], "nobody shows whose join was not committed"
    assert s.running("focusd")
    s.free()
    assert c3p.schedule(alice)
    end(Participant(s.ua("bob"), first))
    seen.wait("bob", lambda: BOB in seen.roster.users)
