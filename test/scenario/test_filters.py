# SPDX-License-Identifier: Apache-2.0
"""Media filters of roles ("mute all"): shown in the audio entity-view, for who comes later, and what is left of them when the
MCU is lost, focusd is killed, or nobody is in the audio conference yet.
"""
import pytest

from conclave_test import c3p
from conclave_test import commands as cmd
from conclave_test.c3p import Participant, mcu_uri
from conclave_test.roster import MSCI, NS

A, B, C, D = 520, 930, 1210, 1500
ALL = [A, B, C, D]
ALICE, BOB, CAROL, DAVE = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol", "dave"))


def rules(p):
    """What the document says: {role: (ingress, egress, may own, exceptions)}; None where nothing is said."""
    view = [v for v in p.roster.tree.findall("msci:conference-view/msci:entity-view", NS) if v.get("entity") == mcu_uri(p.focus_uri)][0]
    out = {}
    for e in view.findall("msci:entity-state/msci:mediaFiltersRules/*", NS):
        role = e.findtext("msci:role", namespaces=NS)
        ingress, egress, own, but = out.get(role, (None, None, None, []))
        but = but + [u.text for u in e.findall("oc:exceptUser", NS)]
        if e.tag == f"{{{MSCI}}}initialFilters":
            ingress, egress = (e.findtext(f"msci:{n}", namespaces=NS) for n in ("ingressFilter", "egressFilter"))
        else:
            own = e.findtext("msci:value", namespaces=NS)
        out[role] = (ingress, egress, own, but)
    return out


def ok(r, sip=202):
    assert (r.sip, r.code) == (sip, "success"), r


@pytest.fixture
def three(stack, end):
    focus = c3p.schedule(stack.ua("alice"), views=("audio-video", "chat"))
    return [focus] + [end(Participant(stack.ua(u), focus, tone=f)) for u, f in (("alice", A), ("bob", B), ("carol", C))]


def muted(p):
    return {u for u in (ALICE, BOB, CAROL, DAVE) if p.roster.ingress(u) == "block"}


def test_the_rules_show_in_the_entity_view_and_nowhere_else(three, stack, end):
    focus, alice, bob, carol = three
    assert rules(alice) == {}
    ok(alice.focus.info(cmd.filters(focus, "attendee", "block", own="false", but=[CAROL])))
    for p in (alice, bob, carol):
        p.wait("the rule", lambda: rules(p) == {"attendee": ("block", None, "false", [CAROL])})
    alice.wait("bob alone is muted", lambda: muted(alice) == {BOB})
    ok(alice.focus.info(cmd.filters(focus, egress="unblock")))
    alice.wait("a second rule", lambda: rules(alice) == {"default": (None, "unblock", None, [ALICE]),
                                                         "attendee": ("block", None, "false", [CAROL])})
    dave = end(Participant(stack.ua("dave"), focus))
    assert rules(dave) == rules(alice)
    cmd.same(alice, bob, carol, dave)
    info = bob.focus.info(c3p.by_conf("getConference", focus)).cmd.find("ci:conference-info", NS)
    assert bob.roster.difference(info) == []
    chat = [v for v in alice.roster.tree.findall("msci:conference-view/msci:entity-view", NS) if ":chat:" in v.get("entity")][0]
    assert chat.find(".//msci:mediaFiltersRules", NS) is None
    endpoint, media = bob.roster.media(BOB)
    r = bob.focus.info(c3p.mute(focus, BOB, endpoint, media.get("id"), block=False))
    assert (r.code, r.reason) == ("failure", "unauthorized"), r
    ok(alice.focus.info(cmd.filters(focus, "attendee", "unblock")))
    alice.wait("lifted, and said so", lambda: rules(alice)["attendee"] == ("unblock", None, "false", [ALICE]) and not muted(alice))
    alice.leg.wait_heard({B, C}, ALL)


def test_what_cannot_be_applied_changes_nothing(three):
    focus, alice, bob, carol = three
    ok(alice.focus.info(cmd.filters(focus, "attendee", "block", but=[CAROL])))
    alice.wait("the rule", lambda: rules(alice) and muted(alice) == {BOB})
    before, version = rules(alice), alice.roster.version
    for c, reason in ((cmd.filters(focus, "king", "block"), "invalidRole"), (cmd.filters(focus, "attendee", "half"), "requestMalformed"),
                      (cmd.filters(focus, "attendee", own="maybe"), "requestMalformed"),
                      (cmd.filters(focus, "attendee", "block", media="video"), "mediaNotSupported"),
                      (cmd.filters(focus, "attendee", "block", but=[f"sip:u{i}@conclave.test" for i in range(257)]), "requestTooLarge")):
        r = alice.focus.info(c)
        assert (r.sip, r.code, r.reason) == (603, "failure", reason), (c[:200], r)
    assert (rules(alice), alice.roster.version) == (before, version)


def test_an_mcu_that_does_not_answer_has_the_rules_taken_back(three, stack):
    import os
    import signal
    focus, alice, bob, carol = three
    pid = stack.pid("mcu")
    os.kill(pid, signal.SIGSTOP)
    try:
        r = alice.focus.info(cmd.filters(focus, "attendee", "block"), timeout=15)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert (r.code, r.reason) in (("failure", "timeout"), ("failure", "mcuTypeNotAvailable")), r
    alice.wait("no rule", lambda: rules(alice) == {} and not muted(alice), 8)


def test_before_anybody_talks_the_answer_is_at_once_and_the_first_to_come_is_muted(stack, end):
    focus = c3p.schedule(stack.ua("alice"))
    alice = end(Participant(stack.ua("alice"), focus))
    ok(alice.focus.info(cmd.filters(focus, "attendee", "block")), 200)
    alice.wait("the rule", lambda: rules(alice) == {"attendee": ("block", None, None, [ALICE])})
    bob = end(Participant(stack.ua("bob"), focus, tone=B))
    alice.call(A)
    alice.wait("bob is muted", lambda: muted(alice) == {BOB} and alice.roster.connected(ALICE, "audio-video"))
    bob.leg.wait_heard({A}, ALL)
    alice.leg.keeps_hearing(set(), ALL, 0.6)


def test_a_replaced_mcu_has_the_rules_and_their_exceptions(three, stack, end):
    focus, alice, bob, carol = three
    ok(alice.focus.info(cmd.filters(focus, "attendee", "block", own="false", but=[CAROL])))
    alice.wait("the rule", lambda: muted(alice) == {BOB})
    stack.kill("mcu")
    alice.wait("nobody has audio", lambda: not any(alice.roster.endpoints(u, "audio-video") for u in (ALICE, BOB, CAROL)), 8)
    assert rules(alice) == {"attendee": ("block", None, "false", [CAROL])}
    stack.restart("mcu")
    stack.wait("the new mcu is known", lambda: stack.metrics("focusd")["conclave_factory_mcus"] >= 2, 8)
    for p, tone in ((alice, A), (bob, B), (carol, C)):
        p.audio.leg.stop()
        p.audio = None
        stack.wait("a call", lambda: again(p, tone), 10)
    dave = end(Participant(stack.ua("dave"), focus, tone=D))
    alice.wait("the same as before, and the newcomer", lambda: muted(alice) == {BOB, DAVE} and alice.roster.connected(CAROL, "audio-video"), 8)
    alice.leg.wait_heard({C}, ALL)
    dave.leg.wait_heard({A, C}, ALL)
    r = bob.focus.info(c3p.mute(focus, BOB, *keyed(bob, BOB), block=False))
    assert (r.code, r.reason) == ("failure", "unauthorized"), r


def keyed(p, user):
    endpoint, media = p.roster.media(user)
    return endpoint, media.get("id")


def again(p, tone):
    try:
        return p.call(tone)
    except (c3p.SipError, c3p.SipTimeout):
        return None


def test_a_killed_focusd_knows_the_rules_and_tells_the_mcu_again(three, stack, end):
    focus, alice, bob, carol = three
    ok(alice.focus.info(cmd.filters(focus, "attendee", "block", but=[CAROL])))
    alice.wait("the rule", lambda: muted(alice) == {BOB})
    endpoint, media_id = keyed(alice, BOB)
    assert alice.focus.info(c3p.mute(focus, BOB, endpoint, media_id, block=False)).code == "success"      # by hand
    alice.wait("bob is open", lambda: not muted(alice))
    full = [s for _, s in alice.roster.history].count("full")
    stack.kill("focusd")
    stack.restart("focusd")
    alice.wait("a full document", lambda: [s for _, s in alice.roster.history].count("full") > full, 8)
    assert rules(alice) == {"attendee": ("block", None, None, [CAROL])}
    dave = end(Participant(stack.ua("dave"), focus, tone=D))
    alice.wait("dave is muted", lambda: muted(alice) == {DAVE})
    alice.leg.wait_heard({B, C}, ALL)
    dave.leg.wait_heard({A, B, C}, ALL)


def test_rules_end_with_the_conference(stack, end):
    focus = c3p.schedule(stack.ua("alice"))
    alice = Participant(stack.ua("alice"), focus)
    ok(alice.focus.info(cmd.filters(focus, "attendee", "block")), 200)
    alice.wait("the rule", lambda: rules(alice))
    assert alice.focus.info(c3p.by_conf("deleteConference", focus)).code == "success"
    assert alice.focus.ended.wait(5)
    alice = end(Participant(stack.ua("alice"), focus))
    assert rules(alice) == {}


def test_modify_conference_shows_the_same_rules(three):
    focus, alice, bob, carol = three
    state = ('<msci:mediaFiltersRules><msci:initialFilters><msci:role>attendee</msci:role><msci:ingressFilter>block</msci:ingressFilter>'
             '</msci:initialFilters><msci:mayModifyOwnFilters><msci:role>attendee</msci:role><msci:value>false</msci:value>'
             "</msci:mayModifyOwnFilters></msci:mediaFiltersRules>")
    ok(alice.focus.info(cmd.modify_mcu(focus, state)))
    alice.wait("muted and shown", lambda: muted(alice) == {BOB, CAROL} and rules(alice) == {"attendee": ("block", None, "false", [ALICE])})
    alice.leg.wait_heard(set(), ALL)
    nothing = '<msci:mediaFiltersRules ci:state="full"/>'
    ok(alice.focus.info(cmd.modify_mcu(focus, nothing)))
    alice.wait("no rules", lambda: not muted(alice) and rules(alice) == {})
    alice.leg.wait_heard({B, C}, ALL)
