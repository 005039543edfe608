# SPDX-License-Identifier: Apache-2.0
"""Commands about users: who may give them, what they refuse, what the roster shows, and that a request that comes again
is answered but not executed again (MS-CONFBAS; docs/c3p.md).
"""
import time

import pytest

from conclave_test import c3p
from conclave_test import commands as cmd
from conclave_test.c3p import Participant, Result, mcu_uri
from conclave_test.commands import NO_ENDPOINT, NOBODY, Steady, outcome
from conclave_test.roster import NS
from conclave_test.sip import SipError

ALICE, BOB, CAROL, DAVE = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol", "dave"))
NOT_ALLOWED = (403, 3014, "failure", "unauthorized")


@pytest.fixture
def conf(uas, end):
    """alice organizes; bob and carol are attendees."""
    focus = c3p.schedule(uas["alice"])
    alice, bob, carol = (end(Participant(uas[u], focus)) for u in ("alice", "bob", "carol"))
    for p in (alice, bob, carol):
        p.wait("three users", lambda: len(p.roster.users) == 3)
    return focus, alice, bob, carol


def results(r):
    return {k.get("userEntity"): k.get("result") for k in r.cmd.findall("c:userKeys", NS)}


# --- every row for presenters, given by an attendee
def presenters_only(focus):
    return {
        "deleteConference": c3p.by_conf("deleteConference", focus),
        "modifyConference": cmd.modify_conference(focus, subject="Mine"),
        "modifyConference at an MCU": cmd.modify_mcu(focus, ""),
        "modifyConferenceLock": c3p.lock(focus, True),
        "modifyUsersMediaFilters": cmd.filters(focus, "attendee", "block"),
        "modifyConferenceAnnouncements": cmd.announcements(focus, True),
        "deleteUser of another": c3p.delete_user(focus, CAROL),
        "deleteUser of another from an MCU": cmd.kick_from(focus, CAROL),
        "deleteUser of the organizer": c3p.delete_user(focus, ALICE),
        "modifyUser of another": cmd.modify_user(focus, CAROL, "Fool"),
        "modifyUserRoles": c3p.role(focus, BOB, "presenter"),
        "setUserAccess granted": cmd.set_access(focus, DAVE, "granted"),
        "setUserAccess denied": cmd.set_access(focus, CAROL, "denied"),
        "modifyEndpointRole": cmd.endpoint_role(focus, BOB, NO_ENDPOINT, "presenter"),
        "addUser dialed-in of another": cmd.dial_in(focus, CAROL, c3p.guid()),
        "addEndpointMedia of another": cmd.add_media(focus, CAROL, NO_ENDPOINT),
        "deleteEndpointMedia of another": cmd.delete_media(focus, CAROL, NO_ENDPOINT, 1),
        "modifyEndpointMedia of another": c3p.mute(focus, CAROL, NO_ENDPOINT, 1),
    }


@pytest.mark.conformance("C10")
def test_an_attendee_may_do_nothing_to_others_and_no_mcu_hears_of_it(stack, conf):
    """C10 of the acceptance checks, for every command."""
    focus, alice, bob, carol = conf
    time.sleep(0.5)
    asked = stack.metrics("focusd")["conclave_focus_mcu_commands_total"]
    with Steady(alice, bob, carol):
        wrong = {n: outcome(r) for n, c in presenters_only(focus).items() if outcome(r := bob.focus.info(c)) != NOT_ALLOWED}
        assert not wrong
    assert stack.metrics("focusd")["conclave_focus_mcu_commands_total"] == asked
    assert not (bob.focus.ended.is_set() or carol.focus.ended.is_set())
    r = bob.focus.info(cmd.dial_out(focus, DAVE, c3p.guid()))
    assert outcome(r) == (403, 3015, "failure", "unauthorized")


def test_each_of_these_commands_says_which_presenters_may_give_it(conf):
    """The same rows are no matter of the organizer alone: a promoted attendee may."""
    focus, alice, bob, carol = conf
    assert alice.focus.info(c3p.role(focus, BOB, "presenter")).code == "success"
    for c in (c3p.lock(focus, True), c3p.lock(focus, False), cmd.modify_conference(focus, subject="Ours"),
              cmd.modify_user(focus, CAROL, "Carol C."), cmd.set_access(focus, DAVE, "granted"), c3p.role(focus, CAROL, "presenter"),
              c3p.role(focus, CAROL, "attendee"), c3p.delete_user(focus, CAROL)):
        r = bob.focus.info(c)
        assert (r.sip, r.code) == (200, "success"), (c, r)
    assert outcome(bob.focus.info(c3p.delete_user(focus, ALICE))) == NOT_ALLOWED
    assert outcome(bob.focus.info(c3p.role(focus, ALICE, "attendee"))) == NOT_ALLOWED


# --- bad input
def bad_input(focus):
    fail = lambda reason, sip=603, diag=None: (sip, diag, "failure", reason)
    other = c3p.focus_uri("alice", "NOSUCHCONF1")
    return [
        ("deleteUser, nobody", c3p.delete_user(focus, NOBODY), fail("userDoesntExist", diag=None)),
        ("deleteUser, no user", f"<deleteUser>{cmd.keys(focus)}</deleteUser>", fail("userDoesntExist")),
        ("modifyUser, nobody", cmd.modify_user(focus, NOBODY, "x"), fail("userDoesntExist")),
        ("modifyUser, no name", f"<modifyUser>{cmd.keys(focus, BOB)}</modifyUser>", fail("requestMalformed", diag=3006)),
        ("modifyUser, an empty name", cmd.modify_user(focus, BOB, ""), fail("requestMalformed", diag=3006)),
        ("modifyUser, of somebody else in the element", cmd.modify_user(focus, BOB, "x", entity=CAROL), fail("requestMalformed", diag=3006)),
        ("modifyUser at an MCU", cmd.modify_user(focus, BOB, "x").replace("<modifyUser>", f"<modifyUser {cmd.at_mcu(focus)}>"),
         fail("requestMalformed", 400, 3005)),
        ("modifyUserRoles, nobody", c3p.role(focus, NOBODY, "presenter"), fail("userDoesntExist")),
        ("modifyUserRoles, king", c3p.role(focus, BOB, "king"), fail("invalidRole", diag=3016)),
        ("modifyUserRoles, none", f"<modifyUserRoles>{cmd.keys(focus, BOB)}</modifyUserRoles>", fail("invalidRole", diag=3016)),
        ("setUserAccess, neither", cmd.set_access(focus, DAVE, "perhaps"), fail("requestMalformed", diag=3006)),
        ("setUserAccess, nobody named", f"<setUserAccess>{cmd.keys(focus)}<access>granted</access></setUserAccess>", fail("requestMalformed", diag=3006)),
        ("modifyConferenceLock, maybe", c3p.lock(focus, "maybe"), fail("requestMalformed", diag=3006)),
        ("modifyConference, a policy", cmd.modify_conference(focus, policy="everybody"), fail("invalidAdmissionPolicy")),
        ("modifyConference, a novel", cmd.modify_conference(focus, subject="x" * 600), fail("requestTooLarge")),
        ("modifyConference, another entity", cmd.modify_conference(focus, subject="x", entity=other), fail("requestMalformed", diag=3003)),
        ("modifyConference, nothing", f"<modifyConference>{cmd.keys(focus)}</modifyConference>", fail("requestMalformed", diag=3003)),
        ("addUser, no MCU named", cmd.dial_in(focus, ALICE, c3p.guid(), kind=None), fail("requestMalformed", 400, 3013)),
        ("addUser, an MCU that is not there", cmd.dial_in(focus, ALICE, c3p.guid(), kind="meeting"), fail("mcuTypeNotAvailable", diag=3013)),
        ("addUser, a method", cmd.dial_in(focus, ALICE, c3p.guid(), method="teleported"), fail("requestMalformed", 400, 3007)),
        ("addUser, two users", cmd.dial_in(focus, ALICE, c3p.guid()).replace("</addUser>", f'<ci:user entity="{BOB}"/></addUser>'),
         fail("requestMalformed", 400, 3007)),
        ("addUser, no user", f"<addUser {cmd.at_mcu(focus)}>{cmd.keys(focus)}</addUser>", fail("requestMalformed", 400, 3007)),
        ("addUser, an access method", cmd.dial_in(focus, ALICE, c3p.guid()).replace("</ci:joining-method>", "</ci:joining-method>"
         "<msci:accessMethod>internal</msci:accessMethod>"), fail("requestMalformed", 400, 3008)),
        ("addUser, an endpoint without a name", cmd.dial_in(focus, ALICE, c3p.guid()).replace('<ci:endpoint entity="{', '<ci:endpoint entity="" x="{'),
         fail("requestMalformed", 400, 3009)),
        ("addUser, a role", cmd.dial_in(focus, ALICE, c3p.guid()).replace("<ci:endpoint", "<ci:roles><ci:entry>king</ci:entry></ci:roles><ci:endpoint"),
         fail("requestMalformed", 400, 3016)),
        ("addUser dialed-in, somebody outside", cmd.dial_in(focus, DAVE, c3p.guid()), fail("userDoesntExist", diag=3002)),
    ]


def test_bad_input_is_refused_with_its_reason_and_changes_nothing(conf):
    focus, alice, bob, carol = conf
    wrong = {}
    with Steady(alice, bob):
        for name, c, want in bad_input(focus):
            r = alice.focus.info(c)
            got = outcome(r)
            if (got[0], got[2], got[3]) != (want[0], want[2], want[3]) or (want[1] and got[1] != want[1]):
                wrong[name] = (got, want)
        assert not wrong
    assert alice.focus.info(c3p.by_conf("getConference", focus)).code == "success"


# --- addUser dialed-in
def connection(r):
    return {e.findtext("c:key", namespaces=NS).lower(): e.findtext("c:value", namespaces=NS)
            for e in r.cmd.findall("c:connection-info/c:entry", NS)}


@pytest.mark.conformance("C3")
def test_dial_in_tells_where_to_call_and_the_call_works(conf):
    """C3: the keys are read in any case; C2: the call needs no addUser before it, but may have had one."""
    focus, alice, bob, carol = conf
    endpoint = c3p.guid()
    r = bob.focus.info(cmd.dial_in(focus, BOB, endpoint))
    assert (r.sip, r.code, r.command) == (202, "success", "addUser"), r
    assert r.cmd.find("c:conferenceKeys", NS).get("confEntity") == focus
    assert r.cmd.find("ci:user", NS).get("entity") == BOB and r.cmd.find("ci:user/ci:endpoint", NS).get("entity") == endpoint
    where = connection(r)
    assert where["mcu-conference-uri"] == mcu_uri(focus) and where["mcu-server-uri"].startswith("sip:"), where
    call = c3p.talk(bob.ua, where["mcu-conference-uri"], tone=520)
    alice.wait("bob's audio", lambda: alice.roster.connected(BOB, "audio-video"))
    call.close()
    r = alice.focus.info(cmd.dial_in(focus, CAROL, c3p.guid()))
    assert (r.sip, r.code) == (202, "success"), "presenters do it for others"


@pytest.mark.conformance("C1")
def test_the_conference_uris_are_the_focus_uri_with_another_type(conf):
    """C1."""
    focus, alice, *_ = conf
    entries = alice.roster.tree.findall("ci:conference-description/ci:conf-uris/ci:entry", NS)
    uris = {e.findtext("ci:purpose", namespaces=NS): e.findtext("ci:uri", namespaces=NS) for e in entries}
    assert "audio-video" in uris
    assert all(uri == focus.replace(":focus:", f":{kind}:") for kind, uri in uris.items()), uris


# --- modifyUser
def test_a_user_is_renamed_by_himself_and_by_presenters(conf):
    focus, alice, bob, carol = conf
    assert bob.focus.info(cmd.modify_user(focus, BOB, "Bob & <Sons>")).code == "success"
    for p in (alice, bob, carol):
        p.wait("the name", lambda: cmd.display(p.roster, BOB) == "Bob & <Sons>")
    assert alice.focus.info(cmd.modify_user(focus, BOB, "Röbert")).code == "success"
    carol.wait("the other name", lambda: cmd.display(carol.roster, BOB) == "Röbert")
    cmd.same(alice, bob, carol)
    assert alice.roster.users[BOB] == {"role": "attendee", "endpoints": {"focus": [("connected", {})]}}


def test_modify_conference_changes_what_the_conference_is_called_and_whom_it_admits(uas, conf, end):
    focus, alice, bob, carol = conf
    assert alice.focus.info(cmd.modify_conference(focus, "Budget & <more>", "closedAuthenticated")).code == "success"
    for p in (alice, bob):
        p.wait("the subject", lambda: cmd.subject(p.roster) == "Budget & <more>" and cmd.policy(p.roster) == "closedAuthenticated")
    with pytest.raises(SipError) as e:
        c3p.join(uas["dave"], focus)
    assert (e.value.code, e.value.msg.diagnostics) == (403, 3014)
    assert alice.focus.info(cmd.modify_conference(focus, policy="openAuthenticated")).code == "success"
    end(Participant(uas["dave"], focus))
    bob.wait("dave", lambda: DAVE in bob.roster.users)
    assert cmd.subject(bob.roster) == "Budget & <more>"


# --- setUserAccess
def test_granted_leads_through_the_lock_and_a_closed_list(uas, end):
    focus = c3p.schedule(uas["alice"], policy="closedAuthenticated")
    alice = end(Participant(uas["alice"], focus))
    assert alice.focus.info(c3p.lock(focus, True)).code == "success"
    with pytest.raises(SipError):
        c3p.join(uas["bob"], focus)
    r = alice.focus.info(cmd.set_access(focus, [BOB, CAROL], "granted"))
    assert (r.sip, r.code) == (200, "success") and results(r) == {BOB: "success", CAROL: "success"}, results(r)
    bob = end(Participant(uas["bob"], focus))
    assert bob.focus.granted == "attendee"
    alice.wait("bob", lambda: BOB in alice.roster.users)
    assert all(alice.roster.locked.values())
    with pytest.raises(SipError) as e:
        c3p.join(uas["dave"], focus)
    assert e.value.code == 403


def test_denied_throws_out_and_keeps_out_until_granted(uas, conf, end):
    focus, alice, bob, carol = conf
    bob.call(520)
    r = alice.focus.info(cmd.set_access(focus, [BOB, NOBODY, ALICE], "denied"))
    got = results(r)
    assert r.code == "success" and got[BOB] == "success" and got[ALICE] != "success", got
    assert bob.focus.ended.wait(3) and bob.audio.ended.wait(3), "both dialogs end"
    carol.wait("bob is gone", lambda: BOB not in carol.roster.users)
    for try_ in (lambda: c3p.join(uas["bob"], focus), lambda: c3p.talk(uas["bob"], mcu_uri(focus))):
        with pytest.raises(SipError) as e:
            try_()
        assert (e.value.code, e.value.msg.diagnostics) == (403, 3014)
    assert not alice.focus.ended.is_set()
    assert alice.focus.info(cmd.set_access(focus, BOB, "granted")).code == "success"
    end(Participant(uas["bob"], focus))
    carol.wait("bob is back", lambda: BOB in carol.roster.users)


def test_access_is_forgotten_when_the_conference_ends(uas):
    focus = c3p.schedule(uas["alice"])
    alice = Participant(uas["alice"], focus)
    assert alice.focus.info(cmd.set_access(focus, BOB, "denied")).code == "success"
    assert alice.focus.info(c3p.by_conf("deleteConference", focus)).code == "success"
    assert alice.focus.ended.wait(3)
    c3p.join(uas["bob"], focus).bye()


def test_a_policy_of_the_running_conference_ends_with_it(uas):
    focus = c3p.schedule(uas["alice"])
    alice = Participant(uas["alice"], focus)
    assert alice.focus.info(cmd.modify_conference(focus, policy="closedAuthenticated")).code == "success"
    with pytest.raises(SipError):
        c3p.join(uas["bob"], focus)
    assert alice.focus.info(c3p.by_conf("deleteConference", focus)).code == "success"
    assert alice.focus.ended.wait(3)
    c3p.join(uas["bob"], focus).bye()


# --- several endpoints, coming back
def test_a_user_with_two_devices_is_one_user_and_leaves_with_the_last(stack, conf):
    focus, alice, bob, carol = conf
    other = c3p.join(stack.ua("bob"), focus)
    alice.wait("two endpoints", lambda: len(alice.roster.endpoints(BOB, "focus")) == 2)
    assert alice.roster.state("user-count") == "3"
    assert {e.get("entity") for e in alice.roster.endpoints(BOB, "focus")} == {bob.focus.endpoint, other.endpoint}
    assert alice.focus.info(c3p.role(focus, BOB, "presenter")).code == "success"
    other.focus = focus
    assert other.info(c3p.lock(focus, True)).code == "success", "the role is the user's, not the device's"
    other.bye()
    alice.wait("one endpoint", lambda: len(alice.roster.endpoints(BOB, "focus")) == 1)
    assert alice.roster.role(BOB) == "presenter"
    assert alice.focus.info(c3p.delete_user(focus, BOB)).code == "success"
    assert bob.focus.ended.wait(3)


def test_a_lost_client_that_joins_again_replaces_itself_and_keeps_its_role(stack, conf):
    focus, alice, bob, carol = conf
    assert alice.focus.info(c3p.role(focus, BOB, "presenter")).code == "success"
    assert alice.focus.info(c3p.lock(focus, True)).code == "success"
    again = stack.ua("bob")
    again.instance, again.epid = bob.ua.instance, bob.ua.epid       # the same device with another dialog and endpoint
    call = c3p.join(again, focus)
    assert call.granted == "presenter"
    alice.wait("one endpoint, the new one", lambda: [e.get("entity") for e in alice.roster.endpoints(BOB)] == [call.endpoint])
    assert bob.focus.ended.wait(3), "the old dialog gets a BYE"
    cmd.same(alice, carol)
    call.bye()
    alice.wait("bob left", lambda: BOB not in alice.roster.users)


def test_an_endpoint_name_of_somebody_else_is_left_to_him(uas, conf):
    """Clients of the same second choose the same name: the later one gets another, and nobody is replaced."""
    focus, alice, bob, carol = conf
    dave = c3p.join(uas["dave"], focus, endpoint=bob.focus.endpoint)
    told = Result(dave.answer).cmd.find("ci:user/ci:endpoint", NS).get("entity")
    alice.wait("dave", lambda: DAVE in alice.roster.users)
    assert [e.get("entity") for e in alice.roster.endpoints(DAVE, "focus")] == [told] and told != bob.focus.endpoint
    assert [e.get("entity") for e in alice.roster.endpoints(BOB, "focus")] == [bob.focus.endpoint]
    assert not bob.focus.ended.is_set()
    dave.bye()


# --- the same request again
@pytest.mark.conformance("T8")
def test_a_request_that_comes_again_is_answered_and_not_executed_again(conf):
    focus, alice, bob, carol = conf
    old, new = (c3p.request(cmd.modify_user(focus, BOB, name), ALICE, focus, i) for name, i in (("Old", 9001), ("New", 9002)))
    first = alice.focus.info(None, raw=old)
    assert first.code == "success" and alice.focus.info(None, raw=new).code == "success"
    bob.wait("the new name", lambda: cmd.display(bob.roster, BOB) == "New")
    with Steady(alice, bob):
        again = alice.focus.info(None, raw=old)
    assert again.msg.body == first.msg.body and outcome(again) == outcome(first)
    assert cmd.display(bob.roster, BOB) == "New"
    refused = c3p.request(c3p.role(focus, NOBODY, "presenter"), ALICE, focus, 9003)
    first, again = (alice.focus.info(None, raw=refused) for _ in range(2))
    assert outcome(first) == outcome(again) and again.reason == "userDoesntExist"


def test_an_ejection_that_comes_again_does_not_throw_out_who_came_back(uas, conf, end):
    focus, alice, bob, carol = conf
    out = c3p.request(c3p.delete_user(focus, BOB), ALICE, focus, 9100)
    assert alice.focus.info(None, raw=out).code == "success" and bob.focus.ended.wait(3)
    back = end(Participant(uas["bob"], focus))
    assert alice.focus.info(None, raw=out).code == "success"
    time.sleep(0.3)
    assert not back.focus.ended.is_set()


@pytest.mark.conformance("T8")
def test_a_pending_request_that_comes_again_has_one_outcome(stack, conf):
    focus, alice, bob, carol = conf
    alice.call(520)
    alice.wait("audio", lambda: alice.roster.media(ALICE))
    endpoint, media = alice.roster.media(ALICE)
    raw = c3p.request(c3p.mute(focus, ALICE, endpoint, media.get("id")), ALICE, focus, 9200)
    seen = len(alice.focus.requests)
    first = alice.focus.info(None, raw=raw)
    assert (first.sip, first.code) == (202, "success")
    asked = stack.metrics("focusd")["conclave_focus_mcu_commands_total"]
    again = alice.focus.info(None, raw=raw)
    assert again.code == "success" and stack.metrics("focusd")["conclave_focus_mcu_commands_total"] == asked
    time.sleep(0.3)
    finals = [Result(m) for _, m in alice.focus.requests[seen:] if m.method == "INFO"]
    assert [f.request_id for f in finals] == ["9200"]


def test_ejection_from_one_mcu_leaves_the_rest(conf):
    focus, alice, bob, carol = conf
    bob.call(520)
    alice.wait("bob's audio", lambda: alice.roster.connected(BOB, "audio-video"))
    r = alice.focus.info(cmd.kick_from(focus, BOB))
    assert (r.sip, r.code) == (202, "success"), r
    assert bob.audio.ended.wait(3) and not bob.focus.ended.is_set()
    alice.wait("only the focus endpoint", lambda: list(alice.roster.users[BOB]["endpoints"]) == ["focus"])
    r = alice.focus.info(cmd.kick_from(focus, BOB))
    assert r.code == "failure" and r.reason == "userDoesntExist", r
