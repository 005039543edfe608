# SPDX-License-Identifier: Apache-2.0
"""How a subscription begins and ends: the first document in the answer, extension by notification, the end in another dialog."""
import time

import pytest

from conclave_test import c3p
from conclave_test.roster import Roster

ALICE, BOB, CAROL = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol"))
PIGGYBACK = [("Supported", "ms-piggyback-first-notify")]


def configure(stack, section, **values):
    """Sets values of focusd.conf and starts focusd anew."""
    conf = stack.dir / "etc" / "focusd.conf"
    lines = "".join(f"{k} = {v}\n" for k, v in values.items())
    conf.write_text(conf.read_text() + f"\n[{section}]\n{lines}")
    stack.restart("focusd")


class Leaves:
    """Ends a focus dialog after the test."""
    def __init__(self, call):
        self.call = call

    def close(self):
        if not self.call.ended.is_set():
            self.call.bye(3)


@pytest.fixture
def joined(end):
    def join(ua, focus):
        call = c3p.join(ua, focus)
        end(Leaves(call))
        return call
    return join


def subscribed(ua, focus, headers, expires=None):
    roster = Roster(focus)
    sub = ua.subscribe(focus, roster, headers, expires)
    return sub, roster


def test_the_first_document_comes_in_the_answer_and_takes_the_place_of_the_first_notification(stack, end, joined):
    focus = c3p.schedule(stack.ua("alice"), views=("audio-video", "chat"))
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    before = stack.metrics("focusd")["conclave_focus_documents_piggybacked_total"]
    bob = stack.ua("bob")
    joined(bob, focus)
    sub, roster = subscribed(bob, focus, c3p.SIPE)
    answer = sub.answer
    assert answer.code == 200 and answer.get("Content-Type") == "application/conference-info+xml"
    assert answer.get("Event") == "conference" and answer.get("Subscription-State") == f"active;expires={answer.get('Expires')}"
    assert "isfocus" in answer.get("Contact") and "ms-piggyback-first-notify" in ",".join(answer.all("Supported"))
    assert roster.history[0][1] == "full" and set(roster.users) == {ALICE, BOB} and roster.conf_uri("chat")
    first = int(answer.get("ms-piggyback-cseq"))
    assert sub.requests == [], "no notification besides"
    assert stack.metrics("focusd")["conclave_focus_documents_piggybacked_total"] == before + 1
    assert alice.focus.info(c3p.role(focus, BOB, "presenter")).code == "success"
    sub.wait("the second document", lambda: roster.role(BOB) == "presenter")
    method, msg = sub.requests[0][1].method, sub.requests[0][1]
    assert method == "BENOTIFY" and msg.cseq[0] == first + 1, "its number follows the piggybacked one's"
    assert roster.history[1][0] == roster.history[0][0] + 1
    alice.wait("the same", lambda: alice.roster.version == roster.version)
    assert alice.roster.difference(roster) == []


def test_a_subscriber_with_notify_may_have_it_too_and_one_on_udp_gets_it_by_notify(stack, end, joined):
    focus = c3p.schedule(stack.ua("alice"))
    end(c3p.Participant(stack.ua("alice"), focus))
    bob = stack.ua("bob")
    joined(bob, focus)
    sub, roster = subscribed(bob, focus, PIGGYBACK, 3600)
    assert sub.answer.body and roster.version
    assert sub.refresh().code == 200
    sub.wait("a full document behind the refresh", lambda: len(roster.history) == 2)
    assert roster.history[1][1] == "full" and [m.method for _, m in sub.requests] == ["NOTIFY"]
    assert sub.end().code == 200 and sub.terminated.wait(3)

    carol = stack.ua("carol", "udp", register=True)
    end(c3p.talk(carol, stack.room()))
    sub, roster = subscribed(carol, stack.focus(), PIGGYBACK, 3600)
    assert not sub.answer.body and sub.answer.get("ms-piggyback-cseq") is None
    sub.wait("the document", lambda: roster.version)


def test_it_waits_for_the_pace_like_any_newcomer_and_nobody_is_forgotten(stack, end, joined):
    """Twelve join and subscribe at once: each gets its document in the answer, at a version that the next one follows."""
    focus = c3p.schedule(stack.ua("alice"))
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    others = []
    for i in range(12):
        ua = stack.ua("bob")
        joined(ua, focus)
        others.append(subscribed(ua, focus, c3p.SIPE))
        assert others[-1][0].answer.body and others[-1][1].history[0][1] == "full"
    assert alice.focus.info(c3p.role(focus, BOB, "presenter")).code == "success"
    for sub, roster in others:
        sub.wait("the change", lambda: roster.role(BOB) == "presenter")
        assert [s for _, s in roster.history].count("full") == 1, roster.history
    assert len({r.version for _, r in others}) == 1


def test_after_a_kill_the_subscription_goes_on_with_a_higher_number(stack, end, joined):
    focus = c3p.schedule(stack.ua("alice"))
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    first = int(alice.sub.answer.get("ms-piggyback-cseq"))
    seen = len(alice.roster.history)
    stack.kill("focusd")
    stack.restart("focusd")
    alice.wait("a full document from the new focusd", lambda: "full" in [s for _, s in alice.roster.history[seen:]], 10)
    assert alice.sub.requests[-1][1].cseq[0] > first


@pytest.fixture
def short(stack):
    """Subscriptions of three seconds."""
    before = (stack.dir / "etc" / "focusd.conf").read_text()
    configure(stack, "notify", default_s=60, min_s=1, max_s=60)
    yield
    (stack.dir / "etc" / "focusd.conf").write_text(before)
    stack.restart("focusd")


def test_autoextend_outlives_a_quiet_time_and_a_plain_subscription_does_not(stack, end, joined, short):
    focus = c3p.schedule(stack.ua("alice"))
    alice, bob = stack.ua("alice"), stack.ua("bob")
    joined(alice, focus)
    joined(bob, focus)
    kept, kept_roster = subscribed(alice, focus, c3p.SIPE, 2)
    plain, plain_roster = subscribed(bob, focus, PIGGYBACK, 2)
    assert kept.answer.get("Expires") == plain.answer.get("Expires") == "2"
    assert plain.terminated.wait(6), "nobody refreshed it"
    assert not kept.terminated.is_set()
    time.sleep(1)
    joined(stack.ua("carol"), focus)
    kept.wait("carol", lambda: CAROL in kept_roster.users)
    assert kept.requests[-1][1].get("Subscription-State") == "active;expires=60", "each notification extends it"
    assert CAROL not in plain_roster.users


def test_an_end_in_another_dialog_creates_nothing_before_and_after_the_bye(stack, end, joined):
    focus = c3p.schedule(stack.ua("alice"))
    end(c3p.Participant(stack.ua("alice"), focus))
    bob = stack.ua("bob")
    call = joined(bob, focus)
    sub, roster = subscribed(bob, focus, c3p.SIPE)
    count = stack.metrics("focusd")["conclave_focus_subscriptions"]
    for leave in (False, True):
        if leave:
            assert call.bye().code == 200
        r = bob.subscribe(focus, headers=c3p.SIPE, expires=0).answer
        assert (r.code, r.get("Expires"), r.body) == (200, "0", b"") and r.get("Subscription-State").startswith("terminated")
        assert r.get("ms-piggyback-cseq") is None
    stack.wait("only his own went", lambda: stack.metrics("focusd")["conclave_focus_subscriptions"] == count - 1)
