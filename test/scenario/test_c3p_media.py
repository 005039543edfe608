# SPDX-License-Identifier: Apache-2.0
"""Commands about media as clients see them: answers, documents element by element, what is left of them for newcomers and
after a restart, and the acceptance checks C2, C9, C10 and C16 by name. The rest of what the MCU does: test_media_commands.py.
"""
import time

import pytest

from conclave_test import c3p
from conclave_test import commands as cmd
from conclave_test.c3p import Participant, mcu_uri
from conclave_test.commands import NO_ENDPOINT, NOBODY, Steady, outcome
from conclave_test.roster import NS
from conclave_test.sip import SipError

A, B, C = 520, 930, 1210
ALL = [A, B, C]
ALICE, BOB, CAROL = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol"))
OPEN, MUTED = ("sendrecv", "unblock"), ("recvonly", "block")


def audio(roster, user):
    """(status, ingress filter) of the user's audio."""
    found = roster.users.get(user, {"endpoints": {}})["endpoints"].get("audio-video")
    return found[0][1].get("audio") if found else None


@pytest.fixture
def three(stack, end):
    """alice organizes, bob and carol are attendees; all talk."""
    focus = c3p.schedule(stack.ua("alice"))
    who = [end(Participant(stack.ua(u), focus, tone=f)) for u, f in (("alice", A), ("bob", B), ("carol", C))]
    for p in who:
        p.wait("three talk", lambda: all(audio(p.roster, u) == OPEN for u in (ALICE, BOB, CAROL)))
    return focus, *who


def keyed(p, user):
    endpoint, media = p.roster.media(user)
    return endpoint, media.get("id")


# --- the acceptance checks
@pytest.mark.conformance("C9")
def test_c9_a_self_mute_shows_in_roster_and_mix_and_needs_no_reinvite(three):
    focus, alice, bob, carol = three
    alice.leg.wait_heard({B, C}, ALL)
    endpoint, media_id = keyed(bob, BOB)
    for block, state, heard in ((True, MUTED, {C}), (False, OPEN, {B, C})):
        r = bob.focus.info(c3p.mute(focus, BOB, endpoint, media_id, block))
        assert (r.sip, r.code, r.command) == (202, "success", "modifyEndpointMedia")
        for p in (alice, bob, carol):
            p.wait("the filter", lambda: audio(p.roster, BOB) == state)
        alice.leg.wait_heard(heard, ALL)
        with Steady(alice, bob):                                            # what is set already is no change
            assert bob.focus.info(c3p.mute(focus, BOB, endpoint, media_id, block)).code == "success"
    assert [m.method for _, m in bob.audio.requests] == [] and not bob.audio.ended.is_set()
    cmd.same(alice, bob, carol)


@pytest.mark.conformance("C10")
def test_c10_an_attendee_mutes_nobody_else(stack, three):
    focus, alice, bob, carol = three
    time.sleep(0.4)
    asked = stack.metrics("focusd")["conclave_focus_mcu_commands_total"]
    with Steady(alice, bob):
        for c in (c3p.mute(focus, CAROL, *keyed(bob, CAROL)), cmd.filters(focus, "attendee", "block"), cmd.filters(focus, ingress="block"),
                  cmd.delete_media(focus, CAROL, *keyed(bob, CAROL)), cmd.endpoint_role(focus, BOB, keyed(bob, BOB)[0], "presenter")):
            assert outcome(bob.focus.info(c)) == (403, 3014, "failure", "unauthorized"), c
    assert stack.metrics("focusd")["conclave_focus_mcu_commands_total"] == asked
    alice.leg.keeps_hearing({B, C}, ALL, 0.6)


@pytest.mark.conformance("C16")
def test_c16_a_lock_shows_in_every_view_refuses_new_calls_and_keeps_the_old(stack, three, end):
    focus, alice, bob, carol = three
    assert alice.focus.info(c3p.lock(focus, True)).code == "success"
    for p in (alice, bob):
        p.wait("locked", lambda: all(p.roster.locked.values()) and mcu_uri(focus) in p.roster.locked)
    with pytest.raises(SipError) as e:
        c3p.join(stack.ua("dave"), focus)
    assert e.value.code == 403
    with pytest.raises(SipError) as e:
        c3p.talk(stack.ua("dave"), mcu_uri(focus))
    assert e.value.code == 403
    alice.leg.keeps_hearing({B, C}, ALL, 0.6)
    bob.audio.close()
    bob.call(B)                                                             # who is inside may call again
    alice.leg.wait_heard({B, C}, ALL)


@pytest.mark.conformance("C2", "T9")
def test_c2_a_call_needs_a_focus_dialog_of_the_same_identity_in_the_same_conference(stack, three):
    focus, alice, bob, carol = three
    other = c3p.schedule(stack.ua("alice"))
    for ua, uri in ((stack.ua("dave"), mcu_uri(focus)), (bob.ua, mcu_uri(other))):
        with pytest.raises(SipError) as e:
            c3p.talk(ua, uri)
        assert (e.value.code, e.value.msg.diagnostics) == (403, 3014)


# --- modifyUsersMediaFilters
def test_mute_all_spares_presenters_exceptions_and_whom_it_did_not_mean(stack, three, end):
    focus, alice, bob, carol = three
    alice.leg.wait_heard({B, C}, ALL)
    before = alice.roster.version
    r = alice.focus.info(cmd.filters(focus, "attendee", "block", but=[CAROL]))
    assert (r.sip, r.code, r.command) == (202, "success", "modifyUsersMediaFilters"), r
    for p in (alice, bob, carol):
        p.wait("bob alone is muted", lambda: [audio(p.roster, u) for u in (ALICE, BOB, CAROL)] == [OPEN, MUTED, OPEN])
    alice.leg.wait_heard({C}, ALL)
    bob.leg.wait_heard({A, C}, ALL)
    time.sleep(0.4)
    assert alice.roster.version - before <= 3, "one or two documents for all of it"
    dave = end(Participant(stack.ua("dave"), focus, tone=1500))             # a newcomer of that role
    alice.wait("dave is muted", lambda: audio(alice.roster, "sip:dave@conclave.test") == MUTED)
    alice.leg.wait_heard({C}, ALL + [1500])
    carol.audio.close()
    carol.call(C)                                                           # the exception stays one
    alice.wait("carol is open", lambda: audio(alice.roster, CAROL) == OPEN)
    alice.leg.wait_heard({C}, ALL + [1500])
    assert alice.focus.info(cmd.filters(focus, "attendee", "unblock")).code == "success"
    alice.leg.wait_heard({B, C, 1500}, ALL + [1500])
    cmd.same(alice, bob, dave)


def test_egress_filters_make_them_deaf_not_mute(three):
    focus, alice, bob, carol = three
    bob.leg.wait_heard({A, C}, ALL)
    r = alice.focus.info(cmd.filters(focus, "attendee", egress="block"))
    assert r.code == "success", r
    bob.leg.quiet()
    alice.leg.wait_heard({C}, ALL)
    start = time.monotonic()
    while bob.leg.heard(ALL, 0.3) and time.monotonic() < start + 5:
        time.sleep(0.05)
    assert not bob.leg.heard(ALL, 0.3)
    alice.wait("the filter", lambda: alice.roster.media(BOB)[1].findtext("msci:media-egress-filter", namespaces=NS) == "block")
    assert alice.focus.info(cmd.filters(focus, "attendee", egress="unblock")).code == "success"
    bob.leg.wait_heard({A, C}, ALL)


def bad_input(focus, alice):
    endpoint, media_id = keyed(alice, BOB)
    mine, _ = keyed(alice, ALICE)
    malformed, no_endpoint, no_media = (603, "requestMalformed"), (603, "endpointDoesntExist"), "mediaDoesntExist"
    mute = c3p.mute(focus, BOB, endpoint, media_id)
    return [
        ("mute, nobody", c3p.mute(focus, NOBODY, endpoint, media_id), (603, "userDoesntExist")),
        ("mute, no endpoint", c3p.mute(focus, BOB, NO_ENDPOINT, media_id), no_endpoint),
        ("mute, somebody else's endpoint", c3p.mute(focus, BOB, mine, media_id), no_endpoint),
        ("mute, the focus endpoint", c3p.mute(focus, BOB, alice.roster.endpoints(BOB, "focus")[0].get("entity"), 1), no_endpoint),
        ("mute, no media", c3p.mute(focus, BOB, endpoint, 77), (603, no_media)),
        ("mute, no element", mute.replace("<ci:media ", "<ci:medium ").replace("</ci:media>", "</ci:medium>"), malformed),
        ("mute, half", mute.replace(">block<", ">half<"), malformed),
        ("filters, nothing", cmd.filters(focus, "attendee"), malformed),
        ("filters, half", cmd.filters(focus, "attendee", "half"), malformed),
        ("filters, king", cmd.filters(focus, "king", "block"), (None, "invalidRole")),
        ("filters, video", cmd.filters(focus, "attendee", "block", media="video"), (None, "mediaNotSupported")),
        ("filters, no MCU", cmd.filters(focus, "attendee", "block").replace(cmd.at_mcu(focus), ""), (400, "requestMalformed")),
        ("role, nobody", cmd.endpoint_role(focus, NOBODY, endpoint, "presenter"), (603, "userDoesntExist")),
        ("role, no endpoint", cmd.endpoint_role(focus, BOB, NO_ENDPOINT, "presenter"), no_endpoint),
        ("role, the focus endpoint", cmd.endpoint_role(focus, BOB, alice.roster.endpoints(BOB, "focus")[0].get("entity"), "presenter"), no_endpoint),
        ("role, king", cmd.endpoint_role(focus, BOB, endpoint, "king"), (603, "invalidRole")),
        ("add, nobody", cmd.add_media(focus, NOBODY, endpoint), (603, "userDoesntExist")),
        ("add, no endpoint", cmd.add_media(focus, BOB, NO_ENDPOINT), no_endpoint),
        ("add, what is there", cmd.add_media(focus, BOB, endpoint, media="audio"), (202, "mediaExists")),
        ("add, what no MCU has", cmd.add_media(focus, BOB, endpoint), (202, "mediaNotSupported")),
        ("delete, nobody", cmd.delete_media(focus, NOBODY, endpoint, 1), (603, "userDoesntExist")),
        ("delete, no endpoint", cmd.delete_media(focus, BOB, NO_ENDPOINT, 1), no_endpoint),
        ("delete, no media", cmd.delete_media(focus, BOB, endpoint, 77), (None, no_media)),
        ("delete, no keys", f"<deleteEndpointMedia {cmd.at_mcu(focus)}>{cmd.keys(focus)}</deleteEndpointMedia>", (None, "requestMalformed")),
        ("announcements, maybe", cmd.announcements(focus, "maybe"), (None, "requestMalformed")),
    ]


def test_bad_input_is_refused_with_its_reason_and_changes_nothing(three):
    focus, alice, bob, carol = three
    wrong = {}
    with Steady(alice, bob):
        for name, c, (sip, reason) in bad_input(focus, alice):
            r = alice.focus.info(c)
            if r.code != "failure" or r.reason != reason or sip not in (None, r.sip):
                wrong[name] = (r.sip, r.code, r.reason, "wanted", sip, reason)
        assert not wrong
    alice.leg.keeps_hearing({B, C}, ALL, 0.6)


# --- the other commands
def test_an_endpoint_role_shows_inside_the_endpoint_and_goes_with_it(three):
    focus, alice, bob, carol = three
    assert cmd.endpoint_roles(alice.roster, BOB) == [None]
    r = alice.focus.info(cmd.endpoint_role(focus, BOB, keyed(alice, BOB)[0], "presenter"))
    assert (r.sip, r.code) == (202, "success")
    for p in (alice, bob, carol):
        p.wait("the role", lambda: cmd.endpoint_roles(p.roster, BOB) == ["presenter"] and p.roster.role(BOB) == "attendee")
    assert outcome(bob.focus.info(c3p.lock(focus, True)))[0] == 403, "it is a role on the MCU, not in the conference"
    bob.audio.close()
    bob.call(B)
    alice.wait("a new endpoint", lambda: cmd.endpoint_roles(alice.roster, BOB) == [None])
    cmd.same(alice, carol)


def test_taking_the_only_medium_ends_the_leg_and_one_may_do_it_himself(three):
    focus, alice, bob, carol = three
    r = bob.focus.info(cmd.delete_media(focus, BOB, *keyed(bob, BOB)))
    assert r.code == "success", r
    assert bob.audio.ended.wait(5)
    for p in (alice, bob):
        p.wait("only the focus endpoint", lambda: list(p.roster.users[BOB]["endpoints"]) == ["focus"])
    alice.leg.wait_heard({C}, ALL)


def test_announcements_and_rules_of_the_mcu_are_changed_by_presenters(three):
    focus, alice, bob, carol = three
    for enabled in (False, True):
        r = alice.focus.info(cmd.announcements(focus, enabled))
        assert (r.sip, r.code) == (202, "success"), r
    r = alice.focus.info(cmd.modify_mcu(focus, "<msci:entry-exit-announcements><msci:enabled>false</msci:enabled></msci:entry-exit-announcements>"))
    assert (r.sip, r.code) == (202, "success"), r
    rules = ("<msci:mediaFiltersRules><msci:initialFilters><msci:role>attendee</msci:role><msci:ingressFilter>block</msci:ingressFilter>"
             "</msci:initialFilters></msci:mediaFiltersRules>")
    assert alice.focus.info(cmd.modify_mcu(focus, rules)).code == "success"
    for p in (alice, carol):
        p.wait("both muted", lambda: [audio(p.roster, u) for u in (ALICE, BOB, CAROL)] == [OPEN, MUTED, MUTED])
    assert outcome(bob.focus.info(cmd.modify_mcu(focus, rules.replace("block", "unblock")))) == (403, 3014, "failure", "unauthorized")


def test_a_killed_focus_still_knows_filters_and_roles_of_endpoints(stack, three):
    focus, alice, bob, carol = three
    assert alice.focus.info(c3p.mute(focus, BOB, *keyed(alice, BOB))).code == "success"
    assert alice.focus.info(cmd.endpoint_role(focus, CAROL, keyed(alice, CAROL)[0], "presenter")).code == "success"
    alice.wait("both", lambda: audio(alice.roster, BOB) == MUTED and cmd.endpoint_roles(alice.roster, CAROL) == ["presenter"])
    stack.kill("focusd")
    stack.restart("focusd")
    answer = stack.wait("an answer", lambda: (r := alice.focus.info(c3p.by_conf("getConference", focus))).code == "success" and r, 10)
    info = answer.cmd.find("ci:conference-info", NS)
    bob_media = info.find(f"ci:users/ci:user[@entity='{BOB}']/ci:endpoint/ci:media", NS)
    assert bob_media.findtext("msci:media-ingress-filter", namespaces=NS) == "block"
    assert info.find(f"ci:users/ci:user[@entity='{CAROL}']//msci:roles", NS) is not None
    assert alice.focus.info(c3p.mute(focus, BOB, *keyed(alice, BOB), block=False)).code == "success"
    alice.wait("bob is open", lambda: audio(alice.roster, BOB) == OPEN)
    alice.leg.wait_heard({B, C}, ALL)
