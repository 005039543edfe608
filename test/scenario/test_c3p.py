# SPDX-License-Identifier: Apache-2.0
"""C3P commands: at the focus factory (SERVICE), on joining (INVITE) and in the focus dialog (INFO): each allowed,
refused, and given bad input. Reasons and codes: MS-CONFBAS, MS-CONFPRO, ms-diagnostics of MS-OCER.
"""
import time

import pytest
from lxml import etree

from conclave_test import c3p
from conclave_test.c3p import CTYPE, Participant, Result, request, service
from conclave_test.roster import CI, NS
from conclave_test.sip import SipError

DOMAIN = "conclave.test"
ALICE, BOB, CAROL = (f"sip:{u}@{DOMAIN}" for u in ("alice", "bob", "carol"))


@pytest.fixture
def conf(uas, end):
    """A fresh conference with alice (organizer) and bob (attendee) in it, both with rosters."""
    focus = c3p.schedule(uas["alice"])
    alice, bob = end(Participant(uas["alice"], focus)), end(Participant(uas["bob"], focus))
    alice.wait("bob", lambda: BOB in alice.roster.users)
    return focus, alice, bob


# --- the focus factory
def test_capabilities_name_the_mcu_types(uas):
    r = service(uas["bob"], "<getConferencingCapabilities/>")
    assert (r.sip, r.code) == (200, "success") and int(r.cmd.get("capability-version")) >= 0
    assert "audio-video" in [e.text for e in r.cmd.iter() if etree.QName(e).localname == "mcuType"]
    r = service(uas["bob"], "<getAvailableMcuTypes/>")
    assert r.code == "success" and "audio-video" in [e.text for e in r.cmd.iter() if etree.QName(e).localname == "mcuType"]


def test_a_response_copies_id_and_turns_from_and_to_round(uas):
    to = c3p.factory_uri("bob")
    r = service(uas["bob"], None, raw=request("<getAvailableMcuTypes/>", BOB, to, 4711))
    assert (r.request_id, r.frm, r.to, r.command) == ("4711", to, BOB, "getAvailableMcuTypes")


def test_a_conference_is_scheduled_read_listed_and_deleted(uas):
    alice, conf_id = uas["alice"], c3p.new_id()
    r = service(alice, c3p.add_conference(conf_id, "Budget & <more>"))
    assert r.code == "success" and r.cmd.find("ci:conference-info", NS).get("entity") == c3p.focus_uri("alice", conf_id)
    r = service(alice, c3p.by_id("getConference", conf_id))
    assert r.code == "success"
    assert r.cmd.findtext(".//ci:subject", namespaces=NS) == "Budget & <more>"
    r = service(alice, "<getConferences/>")
    assert c3p.focus_uri("alice", conf_id) in [e.get("entity") for e in r.cmd.iter(f"{{{CI}}}conference-info")]
    assert service(alice, c3p.by_id("deleteConference", conf_id)).code == "success"
    r = service(alice, c3p.by_id("getConference", conf_id))
    assert (r.code, r.reason) == ("failure", "conferenceDoesntExist")
    with pytest.raises(SipError) as e:
        c3p.join(alice, c3p.focus_uri("alice", conf_id))
    assert e.value.code == 404 and e.value.msg.diagnostics == 3012


BAD_CONFERENCES = [
    ("an id that is too short", dict(conf_id="AB"), "invalidConferenceId"),
    ("an id with other characters", dict(conf_id="ABCDEFG-1"), "invalidConferenceId"),
    ("an unknown policy", dict(policy="everybody"), "invalidAdmissionPolicy"),
    ("an unknown MCU type", dict(views=("telepathy",)), ("mcuTypeNotAvailable", "unknownMcuType")),
    ("an expiry long ago", dict(expiry="1999-01-01T00:00:00Z"), "invalidExpiryTime"),
    ("an expiry that is no time", dict(expiry="soon"), "invalidExpiryTime"),
    ("an unknown role", dict(users=[(BOB, "king")]), "invalidRole"),
]


@pytest.mark.parametrize("name,kw,reason", BAD_CONFERENCES, ids=[b[0].replace(" ", "-") for b in BAD_CONFERENCES])
def test_add_conference_refuses(uas, name, kw, reason):
    kw = dict(kw)
    r = service(uas["alice"], c3p.add_conference(kw.pop("conf_id", c3p.new_id()), **kw))
    reasons = reason if isinstance(reason, tuple) else (reason,)
    assert (r.sip, r.code) == (200, "failure") and r.reason in reasons, r


def test_an_id_is_used_once_by_an_organizer_and_free_for_another(uas):
    conf_id = c3p.new_id()
    assert service(uas["alice"], c3p.add_conference(conf_id)).code == "success"
    r = service(uas["alice"], c3p.add_conference(conf_id))
    assert (r.sip, r.code, r.reason) == (200, "failure", "conferenceExists")
    assert service(uas["bob"], c3p.add_conference(conf_id)).code == "success"


def test_only_the_organizer_is_served_at_his_factory(uas):
    to = c3p.factory_uri("alice")
    r = service(uas["bob"], None, to, raw=request(c3p.add_conference(c3p.new_id()), BOB, to))
    assert r.sip == 403 or r.code == "failure", r
    r = service(uas["bob"], None, to, raw=request(c3p.add_conference(c3p.new_id()), ALICE, to))
    assert r.sip in (400, 403), r


BAD_BODIES = [
    ("not XML", b"hello", 3006), ("cut off", b"<request", 3006), ("nothing", b"", 3006),
    ("another root", b'<a xmlns="urn:ietf:params:xml:ns:cccp"/>', 3006),
    ("no command", request("", BOB, c3p.factory_uri("bob")), 3006),
    ("two commands", request("<getConferences/><getConferences/>", BOB, c3p.factory_uri("bob")), 3006),
    ("a request id that is no number", request("<getConferences/>", BOB, c3p.factory_uri("bob"), "x"), 3006),
    ("another version", request("<getConferences/>", BOB, c3p.factory_uri("bob")).replace(b'C3PVersion="1"', b'C3PVersion="9"'), 3006),
    ("another sender", request("<getConferences/>", ALICE, c3p.factory_uri("bob")), 3000),
    ("another receiver", request("<getConferences/>", BOB, c3p.factory_uri("alice")), 3001),
    ("entities", b'<!DOCTYPE r [<!ENTITY a "b">]>' + request("<getConferences/>", BOB, c3p.factory_uri("bob"))[22:], 3006),
]


@pytest.mark.conformance("T3")
@pytest.mark.parametrize("name,body,diag", BAD_BODIES, ids=[b[0].replace(" ", "-") for b in BAD_BODIES])
def test_the_factory_answers_400_without_a_body_to(uas, name, body, diag):
    r = service(uas["bob"], None, raw=body)
    assert r.sip == 400 and not r.msg.body, r
    assert r.diagnostics == diag, r


def test_an_unknown_command_at_the_factory_is_not_supported(uas):
    r = service(uas["bob"], "<makeCoffee/>")
    assert r.sip == 501 or (r.code, r.reason) == ("failure", "notSupported"), r


# --- joining
def test_the_organizer_is_presenter_and_everybody_else_attendee(uas, end):
    focus = c3p.schedule(uas["alice"], users=[(CAROL, "presenter")])
    for user, granted in (("bob", "attendee"), ("alice", "presenter"), ("carol", "presenter")):
        p = end(Participant(uas[user], focus))
        assert p.focus.granted == granted
    d = end(Participant(uas["dave"], focus))
    assert d.focus.granted == "attendee"


def test_asking_for_presenter_does_not_make_one(uas):
    focus = c3p.schedule(uas["alice"])
    call = c3p.join(uas["bob"], focus, role="presenter")
    assert call.granted == "attendee"
    call.bye()


def test_the_200_of_a_join_has_what_a_client_needs(uas):
    focus = c3p.schedule(uas["alice"])
    call = c3p.join(uas["alice"], focus, headers=[("Supported", "timer"), ("Session-Expires", "1800")])
    contact = call.answer.all("Contact")[0]
    assert "isfocus" in contact.partition(">")[2]
    assert call.answer.get("Session-Expires") and "timer" in ",".join(call.answer.all("Require"))
    r = Result(call.answer)
    assert r.cmd.find("c:conferenceKeys", NS).get("confEntity") == focus
    assert len(r.cmd.findall("ci:user/ci:roles/ci:entry", NS)) == 1
    call.bye()
    call = c3p.join(uas["alice"], focus)
    assert not call.answer.get("Session-Expires")
    call.bye()


def joins(focus):
    good = c3p.add_user(focus, BOB, c3p.guid())
    other = c3p.focus_uri("alice", "NOSUCHCONF1")
    ask = lambda command=good, frm=BOB, to=focus: request(command, frm, to)
    return [
        ("another-sender", ask(frm=ALICE), 400, 3000), ("another-receiver", ask(to=other), 400, 3001),
        ("another-conference", ask(c3p.add_user(other, BOB, c3p.guid())), 400, 3003),
        ("another-user", ask(c3p.add_user(focus, ALICE, c3p.guid())), {400, 403}, {3002, 3014}),
        ("a-bad-endpoint", ask(c3p.add_user(focus, BOB, "")), 400, 3009),
        ("no-user", ask(f'<addUser><conferenceKeys confEntity="{focus}"/></addUser>'), 400, {3007, 3002}),
        ("not-XML", b"<<<", 400, 3006), ("no-body", b"", 400, {3006, 3007}),
        ("another-command", ask(c3p.lock(focus, True)), {400, 501}, None),
        ("endorseUser", ask("<endorseUser/>"), {400, 501}, None),
    ]


@pytest.mark.conformance("T3")
def test_a_join_with_bad_input_is_refused_with_its_diagnostics(uas):
    focus = c3p.schedule(uas["alice"])
    wrong = []
    for name, body, code, diag in joins(focus):
        try:
            uas["bob"].invite(focus, body, CTYPE).bye()
            wrong.append((name, "was let in"))
        except SipError as e:
            if not fits(e.code, code) or not fits(e.msg.diagnostics, diag) or e.msg.body:
                wrong.append((name, e.msg.start, e.msg.diagnostics, e.msg.body))
    assert not wrong


def fits(value, want):
    return want is None or value in (want if isinstance(want, set) else {want})


def test_an_unknown_conference_is_404_3012(uas):
    with pytest.raises(SipError) as e:
        c3p.join(uas["bob"], c3p.focus_uri("alice", "NOSUCHCONF1"))
    assert (e.value.code, e.value.msg.diagnostics) == (404, 3012)


def test_a_closed_conference_admits_its_list_only(uas, end):
    focus = c3p.schedule(uas["alice"], policy="closedAuthenticated", users=[(BOB, "attendee")])
    end(Participant(uas["alice"], focus))
    end(Participant(uas["bob"], focus))
    with pytest.raises(SipError) as e:
        c3p.join(uas["carol"], focus)
    assert (e.value.code, e.value.msg.diagnostics) == (403, 3014)


@pytest.mark.conformance("T9")
def test_a_media_invite_needs_a_focus_dialog_of_the_same_user(uas, end, conf):
    focus, alice, bob = conf
    with pytest.raises(SipError) as e:
        c3p.talk(uas["carol"], c3p.mcu_uri(focus))
    assert e.value.code == 403
    bob.call(520)
    alice.wait("bob's audio", lambda: alice.roster.connected(BOB, "audio-video"))


def test_the_same_endpoint_joining_again_replaces_the_old_dialog(stack, uas, end):
    focus = c3p.schedule(uas["alice"])
    alice = end(Participant(uas["alice"], focus))
    first = c3p.join(uas["bob"], focus, endpoint="{11111111-2222-3333-4444-555555555555}")
    second = c3p.join(uas["bob"], focus, endpoint="{11111111-2222-3333-4444-555555555555}")
    assert first.ended.wait(3), "the old dialog gets a BYE"
    time.sleep(0.4)
    assert len(alice.roster.endpoints(BOB)) == 1
    third = c3p.join(stack.ua("bob"), focus)        # another device
    alice.wait("two endpoints", lambda: len(alice.roster.endpoints(BOB)) == 2)
    second.bye(), third.bye()
    alice.wait("bob left", lambda: BOB not in alice.roster.users)


# --- in the focus dialog: name, command(focus, conf state), role needed
def test_lock_is_for_presenters(conf):
    focus, alice, bob = conf
    r = bob.focus.info(c3p.lock(focus, True))
    assert (r.sip, r.diagnostics, r.code, r.reason) == (403, 3014, "failure", "unauthorized")
    assert alice.focus.info(c3p.lock(focus, True)).code == "success"
    bob.wait("locked", lambda: all(bob.roster.locked.values()))
    version = bob.roster.version
    assert alice.focus.info(c3p.lock(focus, True)).code == "success"
    time.sleep(0.4)
    assert bob.roster.version == version, "setting what is set is no change"
    r = alice.focus.info(c3p.lock(focus, True).replace("<locked>true", "<locked>maybe"))
    assert r.sip in (400, 603), r


def test_roles_are_for_presenters_and_the_organizer_keeps_his(conf):
    focus, alice, bob = conf
    r = bob.focus.info(c3p.role(focus, BOB, "presenter"))
    assert (r.sip, r.diagnostics, r.reason) == (403, 3014, "unauthorized")
    r = alice.focus.info(c3p.role(focus, BOB, "king"))
    assert (r.code, r.reason) == ("failure", "invalidRole") and r.diagnostics == 3016, r
    r = alice.focus.info(c3p.role(focus, "sip:nobody@conclave.test", "presenter"))
    assert (r.sip, r.code, r.reason) == (603, "failure", "userDoesntExist")
    assert alice.focus.info(c3p.role(focus, BOB, "presenter")).code == "success"
    bob.wait("presenter", lambda: bob.roster.role(BOB) == "presenter")
    assert bob.focus.info(c3p.lock(focus, True)).code == "success"
    r = bob.focus.info(c3p.role(focus, ALICE, "attendee"))
    assert r.code == "failure", r
    assert bob.focus.info(c3p.role(focus, BOB, "attendee")).code == "success"
    assert bob.focus.info(c3p.lock(focus, False)).sip == 403


def test_delete_user_is_for_presenters_and_oneself(uas, end, conf):
    focus, alice, bob = conf
    carol = end(Participant(uas["carol"], focus))
    r = bob.focus.info(c3p.delete_user(focus, CAROL))
    assert (r.sip, r.diagnostics) == (403, 3014)
    r = alice.focus.info(c3p.delete_user(focus, "sip:nobody@conclave.test"))
    assert (r.sip, r.reason) == (603, "userDoesntExist")
    bob.call(520)
    assert alice.focus.info(c3p.delete_user(focus, BOB)).code == "success"
    assert bob.focus.ended.wait(3) and bob.audio.ended.wait(3), "both of bob's dialogs end"
    carol.wait("bob is gone", lambda: BOB not in carol.roster.users)
    assert carol.focus.info(c3p.delete_user(focus, CAROL)).code == "success"
    assert carol.focus.ended.wait(3)
    alice.wait("alone", lambda: list(alice.roster.users) == [ALICE])


def test_the_organizer_cannot_be_ejected_by_another_presenter(conf):
    focus, alice, bob = conf
    assert alice.focus.info(c3p.role(focus, BOB, "presenter")).code == "success"
    assert bob.focus.info(c3p.delete_user(focus, ALICE)).code == "failure"
    assert not alice.focus.ended.is_set()


def test_mute_is_for_presenters_and_oneself_and_needs_existing_keys(conf):
    focus, alice, bob = conf
    alice.call(520), bob.call(640)
    alice.wait("both", lambda: alice.roster.media(ALICE) and alice.roster.media(BOB))
    (mine, my_media), (his, his_media) = alice.roster.media(ALICE), alice.roster.media(BOB)
    r = bob.focus.info(c3p.mute(focus, ALICE, mine, my_media.get("id")))
    assert (r.sip, r.diagnostics) == (403, 3014)
    for user, endpoint, media, reason in (
            ("sip:nobody@conclave.test", his, his_media.get("id"), "userDoesntExist"),
            (BOB, "{00000000-0000-0000-0000-000000000000}", his_media.get("id"), "endpointDoesntExist"),
            (BOB, his, "77", "mediaDoesntExist")):
        r = alice.focus.info(c3p.mute(focus, user, endpoint, media))
        assert (r.sip in (202, 603)) and (r.code, r.reason) == ("failure", reason), r
    r = alice.focus.info(c3p.mute(focus, BOB, his, his_media.get("id")))
    assert r.code == "success", r
    alice.leg.wait_heard(set(), [520, 640])
    r = bob.focus.info(c3p.mute(focus, BOB, his, his_media.get("id"), block=False))
    assert r.code == "success", r
    alice.leg.wait_heard({640}, [520, 640])


def test_get_conference_is_for_everybody_in_it(conf):
    focus, alice, bob = conf
    r = bob.focus.info(c3p.by_conf("getConference", focus))
    assert r.code == "success"
    info = r.cmd.find("ci:conference-info", NS)
    assert int(info.get("version")) == bob.roster.version and bob.roster.difference(info) == []


def infos(focus):
    other = c3p.focus_uri("alice", "NOSUCHCONF1")
    ask = lambda command, frm=ALICE, to=focus: request(command, frm, to)
    return [
        ("not XML", b"<<<", 400, 3006), ("no body", b"", 400, 3006),
        ("two commands", ask("<a/><b/>"), 400, 3006),
        ("another sender", ask(c3p.lock(focus, True), frm=BOB), 400, 3000),
        ("another receiver", ask(c3p.lock(focus, True), to=other), 400, 3001),
        ("another conference", ask(c3p.lock(other, True)), 400, 3003),
        ("a foreign MCU", ask(c3p.mute(focus, BOB, "{1}", 1).replace(c3p.mcu_uri(focus), c3p.mcu_uri(other))), 603, 3013),
        ("an MCU where none belongs",
         ask(c3p.lock(focus, True).replace("<modifyConferenceLock>", f'<modifyConferenceLock mscp:mcuUri="{c3p.mcu_uri(focus)}">')), 400, 3005),
        ("no keys", ask("<deleteUser/>"), {400, 603}, None),
    ]


@pytest.mark.conformance("T3")
def test_an_info_with_bad_input_is_refused_with_its_diagnostics(conf):
    focus, alice, bob = conf
    version = alice.roster.version
    wrong = []
    for name, body, code, diag in infos(focus):
        r = alice.focus.info(None, raw=body)
        if not fits(r.sip, code) or not fits(r.diagnostics, diag) or (r.sip == 400 and r.msg.body and r.code != "failure"):
            wrong.append((name, r))
    assert not wrong
    time.sleep(0.3)
    assert alice.roster.version == version and not alice.focus.ended.is_set()


def test_an_info_outside_of_any_dialog_is_481(uas, conf):
    focus, alice, _ = conf
    r = uas["alice"].request("INFO", focus, [], request(c3p.lock(focus, True), ALICE, focus), CTYPE)
    assert r.code in (403, 481)
    assert alice.focus.info(c3p.by_conf("getConference", focus)).code == "success"


def test_delete_conference_ends_everything_and_the_record_stays(uas, conf):
    focus, alice, bob = conf
    bob.call(520)
    assert bob.focus.info(c3p.by_conf("deleteConference", focus)).sip == 403
    r = alice.focus.info(c3p.by_conf("deleteConference", focus))
    assert r.code == "success"
    for dialog in (alice.focus, bob.focus, bob.audio):
        assert dialog.ended.wait(4), "every dialog ends"
    assert alice.sub.terminated.wait(3), "the subscription ends with the conference"
    assert alice.roster.state("active") == "false" and not alice.roster.users
    again = c3p.join(uas["alice"], focus)
    assert again.granted == "presenter"
    again.bye()


# Commands of the family that this focus does not have: clients are told so, by name, and nothing else happens.
ABSENT = ["endorseUser", "getMCU", "ping", "makeCoffee"]


@pytest.mark.parametrize("command", ABSENT)
def test_a_command_that_is_not_there_is_501_not_supported(absent_conf, command):
    focus, alice = absent_conf
    keys = f'<conferenceKeys confEntity="{focus}"/>'
    r = alice.focus.info(f'<{command} mscp:mcuUri="{c3p.mcu_uri(focus)}">{keys}</{command}>')
    assert (r.sip, r.diagnostics, r.code, r.reason, r.command) == (501, 3004, "failure", "notSupported", command)


@pytest.fixture(scope="module")
def absent_conf(uas):
    focus = c3p.schedule(uas["alice"])
    with Participant(uas["alice"], focus) as alice:
        yield focus, alice
