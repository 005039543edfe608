# SPDX-License-Identifier: Apache-2.0
"""The attendant: a phone dials sip:conference@DOMAIN, is asked for number and pass code, and is in that conference."""
import contextlib
import time

import pytest

from conclave_test import c3p, prompts, rtp
from conclave_test.prompts import heard, wait
from conclave_test.sip import SipError

STACK_OPTIONS = ("--prompts", "en")
A, B, C = 520, 930, 1210
ALL = [A, B, C]
PIN = "4711"


@pytest.fixture(scope="module")
def board(stack):
    """A room with a PIN, and its number."""
    return stack.admin("focusd", cmd="add", name="board", organizer="alice", policy="anonymous", pin=PIN)["number"]


def dial(ua, stack, end, tone=None, **kw):
    since = time.monotonic()
    call = end(c3p.talk(ua, stack.room("conference"), tone=tone, **kw))
    call.since = since
    return call


def sounds(call, hz):
    """Is that tone there, as loud as it is sent? Speech has a little of every pitch."""
    return rtp.level_db(call.leg.pcm(time.monotonic() - 0.5), hz) > -26


def enter(call, number, pin, keys=None):
    """Types both as they are asked for."""
    keys = keys or call.leg.dtmf
    wait(call.leg, "enter-number", call.since)
    keys(number + "#")
    wait(call.leg, "enter-pin", call.since)
    keys(pin + "#")
    call.since = time.monotonic()


def roster(stack, room="board"):
    return [u["entity"] for u in stack.admin("focusd", cmd="show", conf=room)["roster"]
            if any(e["status"] == "connected" for e in u["endpoints"])]


def test_the_right_number_and_pass_code_lead_into_the_conference(stack, end, board):
    inside = end(c3p.talk(stack.ua("alice"), stack.room("board"), tone=A))
    trunk = dial(stack.trunk(), stack, end, B, srtp=False)
    enter(trunk, board, PIN)
    trunk.leg.wait_heard({A}, ALL)
    inside.leg.wait_heard({B}, ALL)
    inside.leg.keeps_hearing({B}, ALL, 0.6)
    stack.wait("the roster", lambda: any(e.startswith("sip:phone-") for e in roster(stack)))
    invites = [m for m in trunk.ua.log if m[1] == "<" and m[2].startswith((b"INVITE", b"REFER"))]
    assert not invites and len({p.ssrc for p in trunk.leg.packets}) == 1, "the phone notices nothing"
    assert trunk.bye().code == 200
    stack.wait("he is out", lambda: not any(e.startswith("sip:phone-") for e in roster(stack)))
    inside.leg.wait_heard(set(), ALL)
    inside.bye()


def test_a_registered_user_comes_in_as_himself_over_srtp(stack, end, board):
    inside = end(c3p.talk(stack.ua("alice"), stack.room("board"), tone=A))
    bob = dial(stack.ua("bob", "udp", register=True), stack, end, B)
    enter(bob, board, PIN)
    bob.leg.wait_heard({A}, ALL)
    inside.leg.wait_heard({B}, ALL)
    assert "sip:bob@conclave.test" in roster(stack)
    r = bob.reinvite(bob.leg.offer("sendonly", version=2))         # the dialog goes on: hold, resume
    assert r.code == 200
    time.sleep(0.5)
    bob.leg.accept(bob.reinvite(bob.leg.offer("sendrecv", version=3)).body.decode())
    bob.leg.wait_heard({A}, ALL)
    bob.leg.dtmf("*6")                           # and his keys are commands now
    inside.leg.wait_heard(set(), ALL)
    assert bob.bye().code == 200 and inside.bye().code == 200


def test_a_wrong_pass_code_and_then_the_right_one(stack, end, board):
    inside = end(c3p.talk(stack.ua("alice"), stack.room("board"), tone=A))
    bob = dial(stack.ua("bob"), stack, end, B)
    enter(bob, board, "0000")
    wait(bob.leg, "wrong-pin", bob.since)
    assert not sounds(bob, A) and not sounds(inside, B)
    enter(bob, board, PIN)
    bob.leg.wait_heard({A}, ALL)
    bob.bye(), inside.bye()


def test_three_wrong_entries_end_the_call(stack, end, board):
    bob = dial(stack.ua("bob"), stack, end)
    for pin in ("1", "22", "333"):
        enter(bob, board, pin)
        wait(bob.leg, "wrong-pin", bob.since)
    wait(bob.leg, "goodbye", bob.since)
    stack.wait("BYE", bob.ended.is_set, 8)
    stack.wait("no leg is left", lambda: not roster(stack, "conference"))


def test_an_unknown_number_sounds_like_a_wrong_pass_code(stack, end, board):
    bob = dial(stack.ua("bob"), stack, end)
    enter(bob, "99", "")
    wait(bob.leg, "wrong-pin", bob.since)
    enter(bob, board, "")
    wait(bob.leg, "wrong-pin", bob.since)
    bob.bye()


def test_keys_as_sound_will_do(stack, end, board):
    inside = end(c3p.talk(stack.ua("alice"), stack.room("board"), tone=A))
    leg = rtp.Leg("PCMA", telephone_event=None)
    since = time.monotonic()
    bob = stack.ua("bob").invite(stack.room("conference"), leg.offer(), cls=c3p.AudioCall)
    bob.leg, bob.since = leg.accept(bob.sdp), since
    end(bob)
    enter(bob, board, PIN, lambda keys: prompts.press(bob.leg, keys))
    bob.leg.tone(B)
    bob.leg.wait_heard({A}, ALL)
    inside.leg.wait_heard({B}, ALL)
    bob.bye(), inside.bye()


def test_a_locked_conference_is_told_to_who_knows_the_pass_code(stack, end, board):
    inside = end(c3p.talk(stack.ua("alice"), stack.room("board"), tone=A))
    stack.admin("focusd", cmd="lock", conf="board", locked=True)
    bob = dial(stack.ua("bob"), stack, end, B)
    enter(bob, board, "0000")
    wait(bob.leg, "wrong-pin", bob.since)
    enter(bob, board, PIN)
    wait(bob.leg, "locked", bob.since)
    assert not sounds(inside, B)
    stack.admin("focusd", cmd="lock", conf="board", locked=False)
    enter(bob, board, PIN)
    bob.leg.wait_heard({A}, ALL)
    bob.bye(), inside.bye()


def test_a_scheduled_conference_has_a_number_and_one_without_pass_code_needs_none(stack, end):
    alice = stack.ua("alice")
    conf_id = c3p.new_id()
    r = c3p.service(alice, c3p.add_conference(conf_id, policy="anonymous"))
    assert r.code == "success"
    number = r.cmd.find(".//{http://schemas.microsoft.com/rtc/2005/08/confinfoextensions}pstn-access/"
                        "{http://schemas.microsoft.com/rtc/2005/08/confinfoextensions}id").text
    assert number.isdigit() and len(number) == 7 and number in stack.confctl("show", conf_id)
    chair = end(c3p.Participant(alice, c3p.focus_uri("alice", conf_id), A))
    trunk = dial(stack.trunk(), stack, end, B, srtp=False)
    enter(trunk, number, "")
    trunk.leg.wait_heard({A}, ALL)
    chair.leg.wait_heard({B}, ALL)
    chair.wait("the phone", lambda: any(u.startswith("sip:phone-") for u in chair.roster.users))
    trunk.bye()


def test_callers_of_the_attendant_hear_and_see_nothing_of_each_other(stack, end, board):
    one, two = dial(stack.ua("alice"), stack, end, A), dial(stack.ua("bob"), stack, end, B)
    for c in (one, two):
        wait(c.leg, "enter-number", c.since)
    time.sleep(3)
    assert not sounds(two, A) and not sounds(one, B)
    contact = one.answer.contact
    with pytest.raises(SipError) as e:
        c3p.watch(one.ua, contact.split(";oc-mcu")[0])
    assert e.value.code == 403
    with pytest.raises(SipError) as e:
        c3p.join(two.ua, contact.split(";oc-mcu")[0].replace(":audio-video:", ":focus:"))
    assert e.value.code == 403
    one.bye(), two.bye()


def test_a_focus_that_is_killed_meanwhile_goes_on_where_it_was(stack, end, board):
    inside = end(c3p.talk(stack.ua("alice"), stack.room("board"), tone=A))
    bob = dial(stack.ua("bob"), stack, end, B)
    wait(bob.leg, "enter-number", bob.since)
    bob.leg.dtmf(board + "#")
    wait(bob.leg, "enter-pin", bob.since)
    stack.kill("focusd")
    bob.leg.dtmf(PIN + "#")
    since = time.monotonic()
    wait(bob.leg, "wait", since, timeout=12)     # he is told that it takes a moment
    stack.restart("focusd")
    bob.leg.wait_heard({A}, ALL, timeout=15)
    inside.leg.wait_heard({B}, ALL)
    stack.wait("the roster", lambda: "sip:bob@conclave.test" in roster(stack), 10)
    bob.bye(), inside.bye()


def test_who_says_nothing_is_asked_again_and_then_let_go(stack, end):
    bob = dial(stack.ua("bob"), stack, end)
    first = wait(bob.leg, "enter-number", bob.since)
    second = wait(bob.leg, "enter-number", first + 6, timeout=15)
    assert second - first > 8
    wait(bob.leg, "goodbye", second, timeout=30)
    stack.wait("BYE", bob.ended.is_set, 5)


def test_who_guesses_is_refused_for_a_while_and_others_are_not(stack, end):
    vault = stack.admin("focusd", cmd="add", name="vault", organizer="alice", policy="anonymous", pin=PIN)["number"]
    carol = stack.ua("carol")
    with contextlib.suppress(SipError):
        for n in range(4):
            call = dial(carol, stack, end)
            for pin in range(3):
                if not call.ended.is_set():
                    enter(call, vault, f"{n}{pin}")
                    stack.wait("an answer", lambda: heard(call.leg, "wrong-pin", call.since) or
                               heard(call.leg, "no-access", call.since) or call.ended.is_set(), 12)
            stack.wait("BYE", call.ended.is_set, 10)
    with pytest.raises(SipError) as e:
        dial(carol, stack, end)
    assert e.value.code == 403
    bob = dial(stack.ua("bob"), stack, end, B)
    enter(bob, vault, PIN)
    stack.wait("bob is in", lambda: "sip:bob@conclave.test" in roster(stack, "vault"))
    bob.bye()
    log = stack.new_log("focusd") + stack.new_log("mcu")
    assert PIN not in log and "passcode>" not in log


def test_a_conference_on_another_media_server_is_told_and_the_caller_may_enter_one_that_is_here(stack, end, board):
    """His call cannot leave its server, see docs/operating.md."""
    stack.add_mcu()
    bob = dial(stack.ua("bob"), stack, end, B)
    wait(bob.leg, "enter-number", bob.since)
    here = stack.admin("focusd", cmd="show", conf="conference")["mcu"]
    for i in range(16):
        number = stack.admin("focusd", cmd="add", name=f"far{i}", organizer="alice", policy="anonymous", pin=PIN)["number"]
        inside = end(c3p.talk(stack.ua("alice"), stack.room(f"far{i}"), tone=A))
        if stack.admin("focusd", cmd="show", conf=f"far{i}")["mcu"] != here:
            break
        inside.bye()
    assert stack.admin("focusd", cmd="show", conf=f"far{i}")["mcu"] != here, "the factory used one server alone"
    enter(bob, number, PIN)
    wait(bob.leg, "busy", bob.since)
    assert not sounds(inside, B)
    stack.wait("he is not in the roster", lambda: roster(stack, f"far{i}") == ["sip:alice@conclave.test"])
    enter(bob, board, PIN)
    stack.wait("he is in a conference that had no server yet", lambda: "sip:bob@conclave.test" in roster(stack))
    assert stack.admin("focusd", cmd="show", conf="board")["mcu"] == here
    bob.bye(), inside.bye()
