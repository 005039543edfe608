# SPDX-License-Identifier: Apache-2.0
"""The roster as clients see it: a C3P client over TLS and a phone on UDP follow the same conference, document by
document. Roster.apply() fails at the first gap, wrong order or partial user; here their content is compared.
"""
import re
import time

import pytest

from conclave_test import c3p
from conclave_test.roster import NS
from conclave_test.sip import SipError, uri_of

A, B = 520, 640
ALICE, BOB, CAROL = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol"))
ON = [("connected", {})]


def audio(status="sendrecv", ingress="unblock"):
    return [("connected", {"audio": (status, ingress)})]


def same(*followers):
    """All followers arrive at one version and then hold the same elements."""
    for (sub, roster) in followers:
        top = max(r.version for _, r in followers)
        sub.wait(f"version {top}", lambda: roster.version >= top)
    versions = {r.version for _, r in followers}
    assert len(versions) == 1, versions
    first = followers[0][1]
    for _, other in followers[1:]:
        assert first.users == other.users
        assert first.difference(other) == []


def expect(followers, users, what):
    """Every follower shows exactly these users."""
    for sub, roster in followers:
        try:
            sub.wait(what, lambda: roster.users == users)
        except Exception as e:
            raise AssertionError(f"{what}: {e}; shows {roster.users}") from e
    same(*followers)


def test_every_step_of_a_conference_shows_in_both_rosters(stack, end):
    focus = stack.focus()
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    f = [(alice.sub, alice.roster)]
    expect(f, {ALICE: {"role": "presenter", "endpoints": {"focus": ON}}}, "alice joined")

    bob = c3p.talk(stack.ua("bob", "udp", register=True), stack.room(), tone=B)     # a phone that knows no C3P
    end(bob)
    phone = c3p.watch(bob.ua, bob.answer.contact)
    f.append(phone)
    expect(f, {ALICE: {"role": "presenter", "endpoints": {"focus": ON}},
               BOB: {"role": "attendee", "endpoints": {"audio-video": audio()}}}, "bob called")
    assert alice.roster.locked == {k: False for k in alice.roster.locked}

    alice.call(A)
    now = {ALICE: {"role": "presenter", "endpoints": {"focus": ON, "audio-video": audio()}},
           BOB: {"role": "attendee", "endpoints": {"audio-video": audio()}}}
    expect(f, now, "alice called")
    bob.leg.wait_heard({A}, [A, B])

    endpoint, media = alice.roster.media(BOB)
    assert alice.focus.info(c3p.mute(focus, BOB, endpoint, media.get("id"))).code == "success"
    now[BOB] = {"role": "attendee", "endpoints": {"audio-video": audio("recvonly", "block")}}
    expect(f, now, "bob is muted")
    alice.leg.wait_heard(set(), [A, B])
    assert alice.focus.info(c3p.mute(focus, BOB, endpoint, media.get("id"), block=False)).code == "success"
    now[BOB] = {"role": "attendee", "endpoints": {"audio-video": audio()}}
    expect(f, now, "bob is heard again")
    alice.leg.wait_heard({B}, [A, B])

    assert alice.focus.info(c3p.lock(focus, True)).code == "success"
    for sub, roster in f:
        sub.wait("locked", lambda: roster.state("locked") == "true")
    same(*f)
    assert len(alice.roster.locked) >= 2 and all(alice.roster.locked.values()), alice.roster.locked
    with pytest.raises(SipError) as e:
        c3p.join(stack.ua("carol"), focus)
    assert e.value.code == 403
    with pytest.raises(SipError) as e:
        c3p.talk(stack.ua("carol"), stack.room())
    assert e.value.code == 403
    assert alice.focus.info(c3p.lock(focus, False)).code == "success"
    for sub, roster in f:
        sub.wait("unlocked", lambda: roster.state("locked") == "false")

    assert alice.focus.info(c3p.role(focus, BOB, "presenter")).code == "success"
    now[BOB]["role"] = "presenter"
    expect(f, now, "bob is presenter")

    carol = end(c3p.Participant(stack.ua("carol"), focus))
    f.append((carol.sub, carol.roster))
    now[CAROL] = {"role": "attendee", "endpoints": {"focus": ON}}
    expect(f, now, "carol joined")
    carol.close()
    del now[CAROL]
    f.pop()
    expect(f, now, "carol left")

    alice.audio.bye()
    now[ALICE] = {"role": "presenter", "endpoints": {"focus": ON}}
    expect(f, now, "alice hung up the audio")
    assert bob.bye().code == 200
    assert phone[0].terminated.wait(3), "the phone's subscription ends with its call"
    expect(f[:1], now and {ALICE: now[ALICE]}, "bob left")
    versions = [v for v, _ in alice.roster.history]
    assert versions == list(range(versions[0], versions[0] + len(versions))), versions
    assert [s for _, s in alice.roster.history].count("full") == 1, alice.roster.history


def test_a_full_document_at_any_time_is_what_the_partial_ones_made(stack, end):
    """Roster.apply() compares a full document of the present version with its own; getConference gives another."""
    focus = stack.focus()
    alice = end(c3p.Participant(stack.ua("alice"), focus, tone=A))
    bob = end(c3p.Participant(stack.ua("bob"), focus, tone=B))
    for p in (alice, bob):
        p.wait("both talk", lambda: p.roster.connected(ALICE, "audio-video") and p.roster.connected(BOB, "audio-video"))
    same((alice.sub, alice.roster), (bob.sub, bob.roster))
    time.sleep(0.4)
    r = alice.sub.refresh()
    assert r.code == 200
    seen = len(alice.sub.documents)
    alice.wait("a full document", lambda: alice.roster.history[-1][1] == "full" or len(alice.sub.documents) > seen)
    answer = alice.focus.info(c3p.by_conf("getConference", focus))
    assert answer.code == "success"
    info = answer.cmd.find("ci:conference-info", NS)
    assert alice.roster.difference(info) == [] and int(info.get("version")) == alice.roster.version


def test_a_document_that_is_too_large_for_an_answer_says_so_and_comes_in_parts(stack, end):
    with stack.configured("focusd", "[notify]\nmax_bytes = 4096"):
        focus = c3p.schedule(stack.ua("alice"))
        alice = c3p.join(stack.ua("alice"), focus)
        assert alice.info(c3p.by_conf("getConference", focus)).code == "success"
        many = [alice] + [c3p.join(stack.ua(u), focus) for u in ("bob", "carol", "dave") for _ in range(4)]
        r = alice.info(c3p.by_conf("getConference", focus))
        assert (r.sip, r.code, r.reason) == (603, "failure", "requestTooLarge"), r
        parts = []
        sub = alice.ua.subscribe(focus, parts.append)
        stack.wait("all of them, in parts", lambda: len({u for p in parts for u in re.findall(rb'<user entity="([^"]+)"', p)}) == 4)
        assert len(parts) > 1 and max(map(len, parts)) <= 4096 + 4096
        assert sub.end().code == 200
        assert [c.bye().code for c in many] == [200] * 13


def test_a_crowd_gets_what_happens_meanwhile_in_one_document(stack, end):
    """[notify] rate: ten subscriptions at ten notifications a second, so a document a second."""
    with stack.configured("focusd", "[notify]\nrate = 10"):
        alice = end(c3p.Participant(stack.ua("alice"), stack.focus()))
        came = []
        for _ in range(9):
            alice.ua.subscribe(alice.focus_uri, lambda doc: came.append(time.monotonic()))
        time.sleep(2.5)
        came.clear()
        began = alice.roster.version
        for i in range(8):
            assert alice.focus.info(c3p.lock(alice.focus_uri, not i % 2)).code == "success"
        alice.wait("unlocked, after all", lambda: alice.roster.version > began and not alice.roster.locked["conference"])
        time.sleep(2.2)
        assert alice.roster.version - began <= 3, "at once, and what was gathered a second later"
        assert not alice.roster.locked["conference"]
        gaps = [b - a for a, b in zip(came, came[1:]) if b - a > 0.3]
        assert gaps and min(gaps) > 0.8, came


@pytest.mark.conformance("T13")
def test_a_newcomer_begins_at_the_present_version(stack, end):
    focus = stack.focus()
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    bob = end(c3p.Participant(stack.ua("bob"), focus, sipe=False))
    carol = end(c3p.Participant(stack.ua("carol"), focus))
    alice.wait("three", lambda: len(alice.roster.users) == 3)
    for p in (bob, carol):
        p.wait("three", lambda: len(p.roster.users) == 3)
    same(*((p.sub, p.roster) for p in (alice, bob, carol)))
    assert bob.roster.history[0][1] == carol.roster.history[0][1] == "full"


def test_benotify_and_autoextend_are_granted_to_who_asks(stack, end):
    focus = stack.focus()
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    answer = alice.sub.answer
    assert answer.code == 200 and int(answer.get("Expires")) >= 1200
    if answer.body:                         # the first document may come in the 200; then it replaces a notification
        assert answer.get("ms-piggyback-cseq") and answer.get("Subscription-State", "").startswith("active")
    assert "com.microsoft.autoextend" in ",".join(answer.all("Supported"))
    end(c3p.Participant(stack.ua("bob"), focus))
    alice.wait("bob", lambda: BOB in alice.roster.users)
    assert {m.method for _, m in alice.sub.requests} == {"BENOTIFY"}
    assert all(m.get("Subscription-State", "").startswith("active") for _, m in alice.sub.requests)


def test_a_plain_subscriber_gets_notify_and_a_final_one(stack, end):
    focus = stack.focus()
    alice = end(c3p.Participant(stack.ua("alice"), focus, sipe=False))
    assert {m.method for _, m in alice.sub.requests} == {"NOTIFY"}
    assert alice.sub.end().code == 200
    assert alice.sub.terminated.wait(3)


def test_who_is_not_in_the_conference_is_refused_a_subscription(stack):
    with pytest.raises(SipError) as e:
        c3p.watch(stack.ua("dave"), stack.focus())
    assert e.value.code == 403
    r = stack.ua("dave").subscribe(stack.focus(), expires=0, ok=False).answer
    assert r.code in (200, 403) and not r.body


def test_the_sipe_unsubscribe_out_of_dialog_has_no_document(stack, end):
    focus = stack.focus()
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    sub = alice.ua.subscribe(focus, headers=c3p.SIPE, expires=0)
    assert sub.answer.get("Expires") == "0" and sub.answer.get("Subscription-State", "").startswith("terminated")
    assert not sub.answer.body
    assert alice.focus.bye().code == 200


def test_another_event_package_is_489(stack, end):
    alice = end(c3p.Participant(stack.ua("alice"), stack.focus()))
    assert alice.ua.subscribe(alice.focus_uri, event="presence", ok=False).answer.code == 489


def test_a_burst_of_changes_is_few_documents_and_none_is_lost(stack, end):
    focus = stack.focus()
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    end(c3p.Participant(stack.ua("bob"), focus))
    alice.wait("bob", lambda: BOB in alice.roster.users)
    time.sleep(0.3)
    before, start = alice.roster.version, time.monotonic()
    for i in range(20):
        assert alice.focus.info(c3p.role(focus, BOB, "presenter" if i % 2 == 0 else "attendee")).code == "success"
    took = time.monotonic() - start
    time.sleep(0.6)
    assert alice.roster.role(BOB) == "attendee"
    assert alice.roster.version - before <= 3 + took / 0.25, (alice.roster.version - before, took)


def test_a_trunk_caller_is_a_user_of_his_own(stack, end):
    focus = stack.focus()
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    calls = [c3p.talk(stack.trunk("+15550100"), stack.room(), srtp=False) for _ in range(2)]
    for c in calls:
        end(c)
    alice.wait("two callers", lambda: len(alice.roster.users) == 3)
    others = [d for u, d in alice.roster.users.items() if u != ALICE]
    assert all(d["role"] == "attendee" and list(d["endpoints"]) == ["audio-video"] for d in others)
    for c in calls:
        c.bye()
    alice.wait("gone", lambda: len(alice.roster.users) == 1)
