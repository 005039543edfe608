# SPDX-License-Identifier: Apache-2.0
"""What people expect of a conference bridge: announcements, music for who is alone, commands by keys. Judged by
correlation with the announcements' own WAV files, and by tones."""
import math
import os
import signal
import struct
import time
import wave

import pytest

from conclave_test import c3p, prompts, rtp
from conclave_test.prompts import heard, wait

STACK_OPTIONS = ("--prompts", "en")
A, B = 520, 1210
ALL = [A, B]
MUSIC = [220, 277, 330, 440]                     # notes of the music's first chord


def call(ua, stack, end, tone=None, room="lobby", **kw):
    return end(c3p.talk(ua, stack.room(room), tone=tone, **kw))


def loudness(leg, seconds):
    pcm = leg.pcm(time.monotonic() - seconds).astype(float)
    return 20 * math.log10(max(1.0, math.sqrt((pcm ** 2).mean())) / 32768)


def test_who_is_alone_hears_so_and_then_music_until_somebody_comes(stack, end):
    at = time.monotonic()
    a = call(stack.ua("alice"), stack, end)
    wait(a.leg, "alone", at)
    stack.wait("music", lambda: -45 < loudness(a.leg, 1.5) < -24 and not heard(a.leg, "alone", time.monotonic() - 1.6), 8)
    b = call(stack.ua("bob"), stack, end, B)
    a.leg.wait_heard({B}, ALL)
    b.leg.quiet()
    time.sleep(1)
    assert loudness(a.leg, 0.5) < -60, "the music has stopped"
    at = time.monotonic()
    b.bye()
    wait(a.leg, "alone", at)                     # and again, now that he is alone again
    a.bye()


def test_muting_by_keys_is_told_to_the_one_who_does_it(stack, end):
    a, b = (call(stack.ua(u), stack, end, f) for u, f in (("alice", A), ("bob", B)))
    a.leg.wait_heard({B}, ALL)
    since = time.monotonic()
    b.leg.dtmf("*6")
    wait(b.leg, "muted", since)
    a.leg.wait_heard(set(), ALL)
    assert not heard(a.leg, "muted", since)
    since = time.monotonic()
    b.leg.dtmf("*6")
    wait(b.leg, "unmuted", since)
    a.leg.wait_heard({B}, ALL)
    a.bye(), b.bye()


def test_a_phone_without_telephone_events_presses_its_keys_as_sound(stack, end):
    a = call(stack.ua("alice"), stack, end, A)
    leg = rtp.Leg("PCMA", telephone_event=None)
    b = stack.ua("bob").invite(stack.room(), leg.offer(), cls=c3p.AudioCall)
    b.leg = leg.accept(b.sdp)
    end(b)
    assert "telephone-event" not in b.sdp
    b.leg.wait_heard({A}, ALL)
    since = time.monotonic()
    prompts.press(b.leg, "*6")
    wait(b.leg, "muted", since)
    b.leg.tone(B)
    time.sleep(0.6)
    assert a.leg.heard(ALL) == set()
    since = time.monotonic()
    prompts.press(b.leg, "*6")                   # he is muted, and heard all the same where it matters
    wait(b.leg, "unmuted", since)
    b.leg.tone(B)
    a.leg.wait_heard({B}, ALL)
    a.bye(), b.bye()


def test_volume_by_keys_is_the_listeners_own(stack, end):
    a, b, c = call(stack.ua("alice"), stack, end, A), call(stack.ua("bob"), stack, end), call(stack.ua("carol"), stack, end)
    b.leg.wait_heard({A}, ALL)
    time.sleep(1)
    before = b.leg.levels([A])[A]
    b.leg.dtmf("*7*7")
    time.sleep(3)
    down = b.leg.levels([A])[A]
    assert -7.5 < down - before < -4.5
    assert abs(c.leg.levels([A])[A] - before) < 1
    b.leg.dtmf("*8*8*8")
    time.sleep(3)
    assert 1.5 < b.leg.levels([A])[A] - before < 4.5
    for x in (a, b, c):
        x.bye()


def test_a_raised_hand_is_in_the_roster_and_in_confctl(stack, end):
    chair = end(c3p.Participant(stack.ua("alice"), stack.focus()))
    a, b = call(stack.ua("bob"), stack, end), call(stack.ua("carol"), stack, end)
    hand = "{urn:x-conclave:c3p:1}hand"
    up = lambda: [e.get(hand) for e in chair.roster.endpoints("sip:bob@conclave.test", "audio-video")]
    chair.wait("bob", lambda: len(up()) == 1)
    since = time.monotonic()
    a.leg.dtmf("*5")
    wait(a.leg, "hand-up", since)
    chair.wait("the hand", lambda: up() == ["true"])
    assert "hand" in stack.confctl("show", "lobby")
    stack.kill("focusd")
    stack.restart("focusd")
    stack.wait("the hand after a restart", lambda: "hand" in stack.confctl("show", "lobby"), 10)
    since = time.monotonic()
    a.leg.dtmf("*5")
    wait(a.leg, "hand-down", since)
    stack.wait("no hand", lambda: "hand" not in stack.confctl("show", "lobby"), 5)
    a.bye(), b.bye()


def test_the_number_of_participants_is_told(stack, end):
    calls = [call(stack.ua(u), stack, end) for u in ("alice", "bob", "carol")]
    time.sleep(0.5)
    since = time.monotonic()
    calls[0].leg.dtmf("*2")
    at = wait(calls[0].leg, "count-before", since)
    number = wait(calls[0].leg, "3", since)
    assert at < number < wait(calls[0].leg, "count-after", since)
    assert not heard(calls[1].leg, "count-before", since)
    for c in calls:
        c.bye()


def test_presenters_lock_by_keys_and_all_hear_it_and_attendees_cannot(stack, end):
    a, b = call(stack.ua("alice"), stack, end), call(stack.ua("bob"), stack, end)       # alice is the organizer
    chair = end(c3p.Participant(stack.ua("alice"), stack.focus()))
    since = time.monotonic()
    b.leg.dtmf("*9")
    wait(b.leg, "not-now", since)
    assert not chair.roster.locked["conference"]
    since = time.monotonic()
    a.leg.dtmf("*9")
    wait(a.leg, "locked", since)
    wait(b.leg, "locked", since)
    chair.wait("the lock", lambda: all(chair.roster.locked.values()))
    with pytest.raises(c3p.SipError) as e:
        call(stack.ua("carol"), stack, end)
    assert e.value.code == 403
    since = time.monotonic()
    a.leg.dtmf("*9")
    wait(b.leg, "unlocked", since)
    chair.wait("it open", lambda: not any(chair.roster.locked.values()))
    a.bye(), b.bye()


def test_help_tells_each_command_and_its_keys(stack, end):
    a, b = call(stack.ua("alice"), stack, end), call(stack.ua("bob"), stack, end)
    since = time.monotonic()
    b.leg.dtmf("*0")
    at = wait(b.leg, "help-mute", since)
    star = wait(b.leg, "star", since)
    assert at < star < wait(b.leg, "6", since)
    wait(b.leg, "help-hand", since, timeout=15)
    assert not heard(b.leg, "help-lock", since), "not for an attendee"
    a.bye(), b.bye()


def test_a_phone_on_hold_plays_no_music_into_the_room(stack, end):
    a, b = call(stack.ua("alice"), stack, end, A), call(stack.ua("bob"), stack, end)
    b.leg.wait_heard({A}, ALL)
    r = a.reinvite(a.leg.offer("sendonly", version=2))
    assert r.code == 200
    a.leg.tone(B)                                # the phone's music
    time.sleep(1)
    b.leg.keeps_hearing(set(), ALL, 0.9)
    r = a.reinvite(a.leg.offer("sendrecv", version=3))
    a.leg.accept(r.body.decode())
    b.leg.wait_heard({B}, ALL)
    a.bye(), b.bye()


def test_recordings_of_the_operator_come_first_and_a_broken_one_is_a_tone(stack, end):
    own = stack.dir / "etc" / "prompts"
    (own / "en").mkdir()
    with wave.open(str(own / "en" / "muted.wav"), "wb") as w:
        w.setnchannels(2)
        w.setsampwidth(2)
        w.setframerate(44100)
        pcm = (int(8000 * math.sin(2 * math.pi * B * i / 44100)) for i in range(44100))
        w.writeframes(b"".join(struct.pack("<hh", v, v) for v in pcm))
    (own / "unmuted.wav").write_bytes(b"RIFF, but no more than that")
    os.kill(stack.pid("mcu"), signal.SIGHUP)
    stack.wait("a line in the log", lambda: "unmuted.wav: not a WAV file" in stack.new_log("mcu"), 5)
    a, b = call(stack.ua("alice"), stack, end), call(stack.ua("bob"), stack, end)
    time.sleep(0.5)
    b.leg.dtmf("*6")
    b.leg.wait_heard({B}, ALL)
    time.sleep(1)
    since = time.monotonic()
    b.leg.dtmf("*6")
    wait(b.leg, "unmuted", since)                # the installed one, as ours cannot be read
    (own / "unmuted.wav").unlink()
    a.bye(), b.bye()
