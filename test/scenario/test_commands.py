# SPDX-License-Identifier: Apache-2.0
"""Every command of the tables in focusd/info.c and focusd/service.c, and the join: who may give it, who may not, what it
refuses, what it does and what subscribers are told, and that a focusd that is killed right behind its answer comes back with
what it had answered: by getConference, by the next full document of every subscriber, and by what else shows it.

A row describes one command; three tests go over all rows, and one sees that no command is without a row. What single commands
do beyond that is in the files that are named after it.
"""
import base64
import importlib.machinery
import importlib.util
import time
from dataclasses import dataclass, field
from typing import Callable

import pytest
from lxml import etree

from conclave_test import c3p
from conclave_test import commands as cmd
from conclave_test.c3p import CTYPE, Participant, mcu_uri, request, service
from conclave_test.callee import Callee
from conclave_test.commands import NO_ENDPOINT, NOBODY, Steady, outcome
from conclave_test.roster import CI, NS, Roster
from conclave_test.rtp import level_db
from conclave_test.sip import SipError, SipTimeout
from conclave_test.stack import REPO

ALICE, BOB, CAROL, DAVE = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol", "dave"))
TONES = {"alice": 520, "bob": 1210, "carol": 1500}
JOIN_TONE = 880
DENIED = (403, 3014, "failure", "unauthorized")


@dataclass
class Row:
    """One command. Everything that takes a world gets the conference in which the command is given."""
    name: str
    run: Callable                                   # its XML, as somebody gives it who may
    deny: Callable = None                           # its XML as bob, an attendee, may not give it; None: everybody inside may
    denied: tuple = DENIED
    bad: Callable = lambda w: []                    # [(XML, (SIP status, ms-diagnostics or None, reason))]
    by: str = "alice"
    result: tuple = (200, "success", None)          # SIP status, code, reason
    shown: Callable = None                          # of a roster: it shows what the command did; None: it publishes nothing
    proof: Callable = lambda w, r: None             # what else there is to see of it, asserted
    before: Callable = lambda w: None
    audio: bool = False
    ends: bool = False                              # no conference is left to look at
    label: str = ""

    def __str__(self):
        return self.name + self.label


class World:
    """A conference of alice with the attendees bob and carol, on request in audio; dave is outside."""
    def __init__(self, stack, uas, end, audio=False):
        self.stack, self.uas, self.end = stack, uas, end
        self.focus = c3p.schedule(uas["alice"], views=("audio-video", "chat"))
        self.who = {u: end(Participant(uas[u], self.focus, tone=TONES[u] if audio else None)) for u in TONES}
        for p in self.who.values():
            p.wait("three users", lambda: len(p.roster.users) == 3)
            if audio:
                p.wait("three talk", lambda: all(p.roster.media(u) for u in (ALICE, BOB, CAROL)))
        self.alice, self.bob, self.carol = self.who.values()

    def key(self, user):
        """(endpoint, media id) of the user's audio."""
        endpoint, media = self.alice.roster.media(user)
        return endpoint, media.get("id")

    @property
    def inside(self):
        return [p for p in self.who.values() if not p.focus.ended.is_set() and not p.sub.terminated.is_set()]

    def info(self, who, xml):
        """A command with its final outcome, tried until a focusd that comes up takes it."""
        end = time.monotonic() + 12
        while True:
            try:
                r = self.who[who].focus.info(xml)
                if r.sip not in (408, 480, 500, 503):
                    return r
            except SipTimeout:
                r = "no answer"
            assert time.monotonic() < end, r
            time.sleep(0.1)

    def conference(self):
        """The roster that getConference gives now."""
        r = self.info("alice", c3p.by_conf("getConference", self.focus))
        assert r.code == "success", r
        roster = Roster(self.focus)
        roster.apply(etree.tostring(r.cmd.find("ci:conference-info", NS)))
        return roster


# --- what shows an effect
def gone_with_his_dialogs(w, r):
    assert w.bob.focus.ended.wait(5), "his dialog gets a BYE"
    assert not w.bob.audio or w.bob.audio.ended.wait(5), "and so does his call"
    assert w.bob.focus.info(c3p.by_conf("getConference", w.focus)).sip == 481


def kept_out(w, r):
    gone_with_his_dialogs(w, r)
    with pytest.raises(SipError) as e:
        c3p.join(w.uas["bob"], w.focus)
    assert e.value.code == 403


def let_in(w, r):
    call = c3p.join(w.uas["dave"], w.focus)
    assert call.granted == "attendee" and call.bye().code == 200


def over(w, r):
    for p in w.who.values():
        assert p.focus.ended.wait(5), "everybody gets a BYE"
    again = w.end(comes(w, "alice"))
    assert again.focus.granted == "presenter" and list(again.roster.users) == [ALICE]
    assert not any(again.roster.locked.values()), "it begins anew"


def comes(w, user, limit=12):
    """A join, again while the focus comes up."""
    end = time.monotonic() + limit
    while True:
        try:
            return Participant(w.uas[user], w.focus)
        except (SipError, SipTimeout) as e:
            assert time.monotonic() < end, e
            time.sleep(0.2)


def the_whole_document(w, r):
    info = r.cmd.find("ci:conference-info", NS)
    assert w.bob.roster.difference(info) == [] and int(info.get("version")) == w.bob.roster.version


def without_a_tone(w, r):
    assert not chimes(w), "entry tones are off"


def chimes(w):
    """Does alice hear the entry tone when dave comes?"""
    since = time.monotonic()
    dave = Participant(w.uas["dave"], w.focus)
    dave.call()
    w.alice.wait("dave's audio", lambda: w.alice.roster.connected(DAVE, "audio-video"))
    time.sleep(0.8)
    dave.close()
    pcm = w.alice.leg.pcm(since)
    return any(level_db(pcm[i:i + 800], JOIN_TONE) > -44 for i in range(0, max(1, len(pcm) - 800), 400))


def has_its_mcu(roster):
    """The conference got its audio MCU for it."""
    view = cmd.view(roster, roster.entity)
    return view is not None and view.findtext("msci:entity-state/msci:active", namespaces=NS) == "true"


def where_to_call(w, r):
    value = {e.findtext("c:key", namespaces=NS).lower(): e.findtext("c:value", namespaces=NS)
             for e in r.cmd.findall("c:connection-info/c:entry", NS)}["mcu-conference-uri"]
    assert value == mcu_uri(w.focus)
    again = time.monotonic() + 8
    while True:
        try:
            w.end(c3p.talk(w.bob.ua, value, tone=1210))
            break
        except SipError as e:
            assert time.monotonic() < again, e
            time.sleep(0.2)
    w.alice.wait("bob's audio", lambda: w.alice.roster.connected(BOB, "audio-video"))


def still_called(w, r):
    assert w.called.calls and not w.called.calls[-1].ended.is_set()


def waits_to_be_called(w):
    w.called = w.end(Callee(w.stack.ua("dave", register=True), auto=lambda c, m: c.answer(tone=930)))


def lock(w):
    assert w.alice.focus.info(c3p.lock(w.focus, True)).code == "success"
    w.alice.wait("locked", lambda: all(w.alice.roster.locked.values()))


def presenter_now(w, r):
    assert w.bob.focus.info(cmd.modify_user(w.focus, CAROL, "Renamed")).code == "success"


def leg_is_over(w, r):
    assert w.bob.audio.ended.wait(5) and not w.bob.focus.ended.is_set()


def only_the_focus(roster):
    return BOB in roster.users and list(roster.users[BOB]["endpoints"]) == ["focus"]


def at_mcu(xml, command, w):
    return xml.replace(f"<{command}>", f"<{command} {cmd.at_mcu(w.focus)}>")


def elsewhere(xml, w):
    return xml.replace(w.focus, c3p.focus_uri("alice", "NOSUCHCONF1"))


def misplaced(command, make):
    """What every command that is for the focus alone refuses."""
    return lambda w: [(at_mcu(make(w), command, w), (400, 3005, "requestMalformed")), (elsewhere(make(w), w), (400, 3003, None))]


def no_mcu(make, other="mcuTypeNotAvailable"):
    """What every command refuses that an MCU must do."""
    return lambda w: [(make(w).replace(cmd.at_mcu(w.focus), ""), (400, 3013, "requestMalformed")),
                      (make(w).replace(":audio-video:", ":meeting:"), (603, 3013, other)),
                      (elsewhere(make(w), w), (400, 3003, None))]


def both(*makes):
    return lambda w: [x for m in makes for x in m(w)]


def one(xml, *want):
    return lambda w: [(xml(w), want)]


def by_conf(command):
    return lambda w: c3p.by_conf(command, w.focus)


DIALED = (202, "success", None)
RULES = ("<msci:mediaFiltersRules><msci:initialFilters><msci:role>attendee</msci:role><msci:ingressFilter>{}</msci:ingressFilter>"
         "</msci:initialFilters></msci:mediaFiltersRules>")

ROWS = [
    Row("getConference", by_conf("getConference"), by="bob", bad=misplaced("getConference", by_conf("getConference")), proof=the_whole_document),
    Row("deleteConference", by_conf("deleteConference"), by_conf("deleteConference"), bad=misplaced("deleteConference", by_conf("deleteConference")),
        shown=lambda r: not r.users and r.state("active") == "false", proof=over, ends=True),
    Row("modifyConference", lambda w: cmd.modify_conference(w.focus, "Ours & <theirs>", "closedAuthenticated"),
        lambda w: cmd.modify_conference(w.focus, "Mine"),
        bad=both(one(lambda w: cmd.modify_conference(w.focus, policy="everybody"), 603, None, "invalidAdmissionPolicy"),
                 one(lambda w: cmd.modify_conference(w.focus, subject="x" * 600), 603, None, "requestTooLarge")),
        shown=lambda r: cmd.subject(r) == "Ours & <theirs>" and cmd.policy(r) == "closedAuthenticated"),
    Row("modifyConference", lambda w: cmd.modify_mcu(w.focus, RULES.format("block")), lambda w: cmd.modify_mcu(w.focus, RULES.format("block")),
        bad=one(lambda w: cmd.modify_mcu(w.focus, RULES.format("half")), 603, 3006, "requestMalformed"), result=DIALED, audio=True,
        shown=lambda r: r.ingress(BOB) == r.ingress(CAROL) == "block" and r.ingress(ALICE) == "unblock", label="-of-an-mcu"),
    Row("modifyConferenceLock", lambda w: c3p.lock(w.focus, True), lambda w: c3p.lock(w.focus, True),
        bad=both(misplaced("modifyConferenceLock", lambda w: c3p.lock(w.focus, True)),
                 one(lambda w: c3p.lock(w.focus, "maybe"), 603, 3006, "requestMalformed")),
        shown=lambda r: len(r.locked) == 3 and all(r.locked.values())),
    Row("modifyUsersMediaFilters", lambda w: cmd.filters(w.focus, "attendee", "block"), lambda w: cmd.filters(w.focus, "attendee", "block"),
        bad=both(no_mcu(lambda w: cmd.filters(w.focus, "attendee", "block")),
                 one(lambda w: cmd.filters(w.focus, "attendee", "half"), 603, 3006, "requestMalformed"),
                 one(lambda w: cmd.filters(w.focus, "king", "block"), 603, 3016, "invalidRole")),
        shown=lambda r: r.ingress(BOB) == r.ingress(CAROL) == "block" and r.ingress(ALICE) == "unblock", result=DIALED, audio=True),
    Row("modifyConferenceAnnouncements", lambda w: cmd.announcements(w.focus, False), lambda w: cmd.announcements(w.focus, False),
        bad=both(no_mcu(lambda w: cmd.announcements(w.focus, False)),
                 one(lambda w: cmd.announcements(w.focus, "maybe"), 603, 3006, "requestMalformed")),
        before=lambda w: chimes(w) or pytest.fail("no entry tone is heard before"), proof=without_a_tone, result=DIALED, audio=True),
    Row("addUser", lambda w: cmd.dial_in(w.focus, BOB, c3p.guid()), lambda w: cmd.dial_in(w.focus, CAROL, c3p.guid()),
        bad=both(no_mcu(lambda w: cmd.dial_in(w.focus, BOB, c3p.guid())),
                 one(lambda w: cmd.dial_in(w.focus, BOB, c3p.guid(), method="teleported"), 400, 3007, "requestMalformed"),
                 one(lambda w: cmd.dial_in(w.focus, DAVE, c3p.guid()), 603, 3002, "userDoesntExist")),
        by="bob", shown=has_its_mcu, result=DIALED, proof=where_to_call, label="-dialed-in"),
    Row("addUser", lambda w: cmd.dial_out(w.focus, DAVE, c3p.guid()), lambda w: cmd.dial_out(w.focus, DAVE, c3p.guid()),
        denied=(403, 3015, "failure", "unauthorized"),
        bad=both(no_mcu(lambda w: cmd.dial_out(w.focus, DAVE, c3p.guid()), "notSupported"),
                 one(lambda w: cmd.dial_out(w.focus, DAVE, c3p.guid(), uri="ftp://x"), 603, 3002, "invalidUserEntity")),
        before=waits_to_be_called, shown=lambda r: r.connected(DAVE, "audio-video"), proof=still_called, result=DIALED, label="-dialed-out"),
    Row("deleteUser", lambda w: c3p.delete_user(w.focus, BOB), lambda w: c3p.delete_user(w.focus, CAROL),
        bad=one(lambda w: c3p.delete_user(w.focus, NOBODY), 603, None, "userDoesntExist"), shown=lambda r: BOB not in r.users,
        proof=gone_with_his_dialogs, audio=True),
    Row("deleteUser", lambda w: cmd.kick_from(w.focus, BOB), lambda w: cmd.kick_from(w.focus, CAROL),
        bad=one(lambda w: cmd.kick_from(w.focus, NOBODY), 603, None, "userDoesntExist"), shown=only_the_focus, proof=leg_is_over,
        result=DIALED, audio=True, label="-from-an-mcu"),
    Row("modifyUser", lambda w: cmd.modify_user(w.focus, BOB, "R\u00f6bert & <Co>"), lambda w: cmd.modify_user(w.focus, CAROL, "Fool"),
        bad=both(misplaced("modifyUser", lambda w: cmd.modify_user(w.focus, BOB, "x")),
                 one(lambda w: cmd.modify_user(w.focus, BOB, ""), 603, 3006, "requestMalformed"),
                 one(lambda w: cmd.modify_user(w.focus, NOBODY, "x"), 603, None, "userDoesntExist")),
        shown=lambda r: cmd.display(r, BOB) == "R\u00f6bert & <Co>"),
    Row("modifyUserRoles", lambda w: c3p.role(w.focus, BOB, "presenter"), lambda w: c3p.role(w.focus, BOB, "presenter"),
        bad=both(misplaced("modifyUserRoles", lambda w: c3p.role(w.focus, BOB, "presenter")),
                 one(lambda w: c3p.role(w.focus, BOB, "king"), 603, 3016, "invalidRole"),
                 one(lambda w: c3p.role(w.focus, NOBODY, "presenter"), 603, None, "userDoesntExist")),
        shown=lambda r: r.role(BOB) == "presenter", proof=presenter_now),
    Row("setUserAccess", lambda w: cmd.set_access(w.focus, BOB, "denied"), lambda w: cmd.set_access(w.focus, CAROL, "denied"),
        bad=both(misplaced("setUserAccess", lambda w: cmd.set_access(w.focus, BOB, "denied")),
                 one(lambda w: cmd.set_access(w.focus, BOB, "perhaps"), 603, 3006, "requestMalformed")),
        shown=lambda r: BOB not in r.users, proof=kept_out, label="-denied"),
    Row("setUserAccess", lambda w: cmd.set_access(w.focus, DAVE, "granted"), lambda w: cmd.set_access(w.focus, DAVE, "granted"),
        before=lock, proof=let_in, label="-granted"),
    Row("modifyEndpointRole", lambda w: cmd.endpoint_role(w.focus, BOB, w.key(BOB)[0], "presenter"),
        lambda w: cmd.endpoint_role(w.focus, BOB, w.key(BOB)[0], "presenter"),
        bad=both(no_mcu(lambda w: cmd.endpoint_role(w.focus, BOB, w.key(BOB)[0], "presenter")),
                 one(lambda w: cmd.endpoint_role(w.focus, BOB, w.key(BOB)[0], "king"), 603, 3016, "invalidRole"),
                 one(lambda w: cmd.endpoint_role(w.focus, BOB, NO_ENDPOINT, "presenter"), 603, 3009, "endpointDoesntExist")),
        shown=lambda r: cmd.endpoint_roles(r, BOB) == ["presenter"] and r.role(BOB) == "attendee", result=DIALED, audio=True),
    Row("addEndpointMedia", lambda w: cmd.add_media(w.focus, BOB, w.key(BOB)[0]), lambda w: cmd.add_media(w.focus, CAROL, w.key(CAROL)[0]),
        bad=both(no_mcu(lambda w: cmd.add_media(w.focus, BOB, w.key(BOB)[0])),
                 one(lambda w: cmd.add_media(w.focus, BOB, w.key(BOB)[0], media="audio"), 202, None, "mediaExists"),
                 one(lambda w: cmd.add_media(w.focus, BOB, NO_ENDPOINT), 603, 3009, "endpointDoesntExist")),
        result=(202, "failure", "mediaNotSupported"), audio=True),      # this MCU has nothing to add to audio
    Row("deleteEndpointMedia", lambda w: cmd.delete_media(w.focus, BOB, *w.key(BOB)), lambda w: cmd.delete_media(w.focus, CAROL, *w.key(CAROL)),
        bad=both(no_mcu(lambda w: cmd.delete_media(w.focus, BOB, *w.key(BOB))),
                 one(lambda w: cmd.delete_media(w.focus, BOB, w.key(BOB)[0], 77), 202, None, "mediaDoesntExist")),
        shown=only_the_focus, proof=leg_is_over, result=DIALED, audio=True),
    Row("modifyEndpointMedia", lambda w: c3p.mute(w.focus, BOB, *w.key(BOB)), lambda w: c3p.mute(w.focus, CAROL, *w.key(CAROL)),
        bad=both(one(lambda w: c3p.mute(w.focus, BOB, w.key(BOB)[0], 77), 603, None, "mediaDoesntExist"),
                 one(lambda w: c3p.mute(w.focus, BOB, *w.key(BOB)).replace(">block<", ">half<"), 603, 3006, "requestMalformed"),
                 one(lambda w: elsewhere(c3p.mute(w.focus, BOB, *w.key(BOB)), w), 400, 3003, None)),
        shown=lambda r: r.ingress(BOB) == "block" and r.ingress(CAROL) == "unblock", result=DIALED, audio=True),
]


# --- the tables of the sources
def source_tables():
    """The names in the command tables, read as scripts/check-docs reads them."""
    loader = importlib.machinery.SourceFileLoader("check_docs", str(REPO / "scripts" / "check-docs"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader("check_docs", loader))
    loader.exec_module(module)
    return module.table("focusd/info.c"), module.table("focusd/service.c")


def test_every_command_of_the_tables_has_its_row():
    info, factory = source_tables()
    assert len(info) >= 15 and len(factory) >= 8, "the tables were found"
    assert {r.name for r in ROWS} == info
    assert {r.name for r in FACTORY} == factory
    assert all(r.bad is not Row.bad or r.label == "-granted" for r in ROWS), "every row has bad input"


# --- INFO
@pytest.fixture
def world(stack, uas, end):
    return lambda audio: World(stack, uas, end, audio)


def fits(r, want):
    sip, diag, reason = want
    return r.sip == sip and diag in (None, r.diagnostics) and (reason is None and r.sip == 400 or (r.code, r.reason) == ("failure", reason))


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_who_may_not_and_what_is_wrong_is_refused_and_changes_nothing(row, world):
    w = world(row.audio)
    wrong = []
    with Steady(w.alice, w.bob):
        if row.deny and outcome(r := w.bob.focus.info(row.deny(w))) != row.denied:
            wrong.append(("an attendee", r))
        stranger = w.uas["dave"].request("INFO", w.focus, [], request(row.run(w), DAVE, w.focus), CTYPE)
        if stranger.code not in (403, 481):
            wrong.append(("somebody outside", stranger.start))
        for xml, want in row.bad(w):
            r = w.who[row.by].focus.info(xml)
            if not fits(r, want):
                wrong.append((xml, r, "wanted", want))
        assert not wrong
    assert not any(p.focus.ended.is_set() or p.audio and p.audio.ended.is_set() for p in w.who.values())


def given(row, w):
    row.before(w)
    time.sleep(0.4)                                 # what came before has been told
    w.versions = {p: p.roster.version for p in w.who.values()}
    r = w.who[row.by].focus.info(row.run(w), timeout=12)
    assert (r.sip, r.code, r.reason) == row.result and r.command == row.name, r
    return r


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_who_may_is_obeyed_and_subscribers_are_told(row, world):
    w = world(row.audio)
    r = given(row, w)
    row_before = w.versions
    if row.shown:
        for p in (w.alice, w.carol):
            p.wait(f"what {row} does", lambda: row.shown(p.roster))
            assert p.roster.version > row_before[p] and "full" not in [s for _, s in p.roster.history[1:]] or row.ends
    if not row.ends:
        cmd.same(w.alice, w.carol)
        now = w.conference()
        assert not row.shown or row.shown(now)
        if row.shown is None and not row.audio:
            assert w.alice.roster.version == row_before[w.alice], "there is nothing to tell"
    row.proof(w, r)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_what_was_answered_outlives_a_kill_of_the_focus_right_behind_it(row, world):
    w = world(row.audio)
    r = given(row, w)
    w.stack.kill("focusd")
    fulls = {p: full_documents(p) for p in w.inside}
    w.stack.restart("focusd")
    if row.ends:
        row.proof(w, r)
        return
    w.conference()
    for p in w.inside:                              # also those who had not been told yet
        if p not in fulls or row.name in ("deleteUser", "setUserAccess") and p is w.bob:
            continue
        p.wait("a full document", lambda: full_documents(p) > fulls[p], 8)
        p.wait(f"what {row} did", lambda: not row.shown or row.shown(p.roster), 8)
    assert not row.shown or row.shown(w.conference())
    cmd.same(w.alice, w.carol)
    w.stack.wait("one state", lambda: (now := w.conference()).version == w.alice.roster.version and w.alice.roster.difference(now) == [], 5)
    row.proof(w, again(row, w) if row.name == "getConference" else r)


ALREADY = {"userDoesntExist", "endpointDoesntExist", "userExists"}         # it had been done before the focus died


PENDING = [(r, audio) for r in ROWS if r.result == DIALED for audio in ((False, True) if r.label == "-dialed-out" else (r.audio,))]


@pytest.mark.parametrize("row,audio", PENDING, ids=[f"{r}{'-in-audio' if a and not r.audio else ''}" for r, a in PENDING])
def test_a_command_that_was_pending_when_the_focus_died_is_given_again_and_done_once(row, audio, world):
    """Killed behind the 202: the outcome is lost with the dialog's memory, what was done is not."""
    w = world(audio)
    row.before(w)
    time.sleep(0.4)
    by = w.who[row.by]
    raw = request(row.run(w), by.ua.aor, w.focus, 77001)
    r = by.focus.info(None, raw=raw, wait_final=False)
    assert (r.sip, r.code) == (202, "pending"), r
    w.stack.kill("focusd")
    w.stack.restart("focusd")
    w.conference()
    end = time.monotonic() + 8
    while (r := by.focus.info(None, raw=raw, timeout=12)).code != "success":
        assert r.reason in ALREADY and time.monotonic() < end, r
        time.sleep(0.3)
        if row.shown and row.shown(w.alice.roster):
            break
        raw = raw.replace(b'requestId="7700', b'requestId="8800')      # as a client that asks anew
    for p in (w.alice, w.carol):
        p.wait(f"what {row} does", lambda: not row.shown or row.shown(p.roster), 10)
    cmd.same(w.alice, w.carol)
    w.stack.wait("one state", lambda: (now := w.conference()).version == w.alice.roster.version and w.alice.roster.difference(now) == [], 5)
    if row.label == "-dialed-out":
        assert len(w.called.calls) == 1, "called once"
    elif r.code == "success":
        row.proof(w, r)


def test_a_call_out_that_rings_while_the_focus_dies_goes_on_ringing_and_is_answered(world, end):
    w = world(True)
    called = end(Callee(w.stack.ua("dave", register=True)))
    assert w.alice.focus.info(cmd.dial_out(w.focus, DAVE, c3p.guid()), wait_final=False).code == "pending"
    called.ring()
    status = lambda r: [s for s, _ in cmd.joining(r, DAVE)]
    w.carol.wait("alerting", lambda: status(w.carol.roster) == ["alerting"])
    w.stack.kill("focusd")
    w.stack.restart("focusd")
    assert status(w.conference()) == ["alerting"]
    time.sleep(3)                                   # its server has been asked by now
    assert status(w.conference()) == ["alerting"] and not called.cancelled.is_set()
    end(called.answer(tone=930))
    for p in (w.alice, w.carol):
        p.wait("connected", lambda: p.roster.connected(DAVE, "audio-video"))


def full_documents(p):
    return [s for _, s in p.roster.history].count("full")


def again(row, w):
    time.sleep(0.4)
    r = w.who[row.by].focus.info(row.run(w))
    assert r.code == "success", r
    return r


# --- the join
def refused(call):
    with pytest.raises(SipError) as e:
        call()
    return e.value.code, e.value.msg.diagnostics


def test_a_join_is_checked_answered_told_and_outlives_a_kill(world):
    w = world(False)
    dave, good = w.uas["dave"], c3p.add_user(w.focus, DAVE, c3p.guid())
    body = lambda xml, frm=DAVE, to=w.focus: request(xml, frm, to)
    with Steady(w.alice):
        got = [refused(lambda: dave.invite(w.focus, xml, CTYPE)) for xml in (
            body(good, frm=ALICE), body(good, to=mcu_uri(w.focus)), body(elsewhere(good, w)), body(c3p.add_user(w.focus, DAVE, "")))]
        assert got == [(400, 3000), (400, 3001), (400, 3003), (400, 3009)]
        assert refused(lambda: dave.invite(w.focus, body(c3p.add_user(w.focus, ALICE, c3p.guid())), CTYPE))[1] in (3002, 3014)
    lock(w)
    assert refused(lambda: c3p.join(dave, w.focus)) == (403, 3014), "who is not allowed in"
    assert w.alice.focus.info(c3p.lock(w.focus, False)).code == "success"
    call = c3p.join(dave, w.focus)
    w.stack.kill("focusd")
    w.stack.restart("focusd")
    assert DAVE in w.conference().users
    for p in w.inside:
        p.wait("dave", lambda: DAVE in p.roster.users, 8)
    cmd.same(*w.inside)
    assert call.info(c3p.by_conf("getConference", w.focus)).code == "success", "his dialog goes on"
    assert call.bye().code == 200


# --- SERVICE
@dataclass
class Factory:
    """One command of the focus factory, given by alice; the world's conference is hers and bob is in it."""
    name: str
    run: Callable
    proof: Callable                                 # (world, its response): what came of it, asserted
    bad: list = field(default_factory=list)         # [(XML by world, reason)]
    shown: Callable = None                          # of bob's roster

    def __str__(self):
        return self.name


class Office:
    def __init__(self, stack, uas, end):
        self.stack, self.uas, self.conf_id, self.new = stack, uas, c3p.new_id(), c3p.new_id()
        self.ask(c3p.add_conference(self.conf_id, "Budget & <more>", users=[(BOB, "attendee")]))
        self.focus = c3p.focus_uri("alice", self.conf_id)
        self.bob = end(Participant(uas["bob"], self.focus))

    def ask(self, xml, reason=None):
        """A command of alice, again while the focus comes up; its response."""
        end = time.monotonic() + 12
        while True:
            try:
                r = service(self.uas["alice"], xml)
                if r.sip == 200:
                    break
            except SipTimeout:
                r = "no answer"
            assert time.monotonic() < end, r
            time.sleep(0.1)
        assert (r.code, r.reason) == (("failure", reason) if reason else ("success", None)), (xml, r)
        return r

    def record(self, conf_id=None):
        return self.ask(c3p.by_id("getConference", conf_id or self.conf_id)).cmd.find("ci:conference-info", NS)


def subject_of(info):
    return info.findtext("ci:conference-description/ci:subject", namespaces=NS)


def lists_types(w, r):
    assert {"audio-video", "chat"} <= {e.text for e in r.cmd.iter() if etree.QName(e).localname == "mcuType"}


def is_scheduled(w, r):
    info = w.record(w.new)
    assert info.get("entity") == c3p.focus_uri("alice", w.new) and subject_of(info) == "New one"
    assert c3p.join(w.uas["carol"], c3p.focus_uri("alice", w.new)).bye().code == 200


def is_changed(w, r):
    info = w.record()
    assert (info.get("version"), subject_of(info)) == ("2", "Changed")
    assert info.findtext("ci:conference-description/msci:admission-policy", namespaces=NS) == "closedAuthenticated"
    assert refused(lambda: c3p.join(w.uas["carol"], w.focus)) == (403, 3014)


def is_deleted(w, r):
    w.ask(c3p.by_id("getConference", w.conf_id), "conferenceDoesntExist")
    assert w.bob.focus.ended.wait(5), "who was in it gets a BYE"
    assert refused(lambda: c3p.join(w.uas["bob"], w.focus)) == (404, 3012)


def is_the_record(w, r):
    info = r.cmd.find("ci:conference-info", NS)
    assert subject_of(info) == "Budget & <more>" and BOB in [u.get("entity") for u in info.iter(f"{{{CI}}}user")]


def is_listed(w, r):
    assert w.focus in [i.get("entity") for i in r.cmd.iter(f"{{{CI}}}conference-info")]


def is_a_certificate(w, r):
    text = r.cmd.findtext("msci:encryption-key/msci:x509-certificate", namespaces=NS)
    assert base64.b64decode(text, validate=True)[0] == 0x30
    w.certificate = getattr(w, "certificate", text)
    assert text == w.certificate, "what was encrypted for it can still be read"


def change(w, version=1, **kw):
    text = c3p.add_conference(w.conf_id, "Changed", kw.pop("policy", "closedAuthenticated"), users=[(BOB, "attendee")], **kw)
    return text.replace('entity=""', f'entity="" version="{version}"', 1).replace("addConference", "modifyConference")


UNKNOWN = [(lambda w: "<{0}><conferenceKeys msci:conference-id=\"NOSUCHCONF1\"/></{0}>", "conferenceDoesntExist")]
FACTORY = [
    Factory("getConferencingCapabilities", lambda w: "<getConferencingCapabilities/>", lists_types),
    Factory("getAvailableMcuTypes", lambda w: "<getAvailableMcuTypes/>", lists_types),
    Factory("getEncryptionKey", lambda w: "<getEncryptionKey/>", is_a_certificate),
    Factory("addConference", lambda w: c3p.add_conference(w.new, "New one"), is_scheduled,
            [(lambda w: c3p.add_conference("x"), "invalidConferenceId"), (lambda w: c3p.add_conference(w.conf_id), "conferenceExists"),
             (lambda w: c3p.add_conference(w.new, policy="everybody"), "invalidAdmissionPolicy"),
             (lambda w: c3p.add_conference(w.new, views=("telepathy",)), "unknownMcuType")]),
    Factory("modifyConference", change, is_changed,
            [(lambda w: change(w, 7), "invalidVersion"), (lambda w: change(w, policy="everybody"), "invalidAdmissionPolicy"),
             (lambda w: change(w).replace(w.conf_id, "NOSUCHCONF1"), "conferenceDoesntExist")],
            shown=lambda r: cmd.subject(r) == "Changed" and cmd.policy(r) == "closedAuthenticated"),
    Factory("deleteConference", lambda w: c3p.by_id("deleteConference", w.conf_id), is_deleted, UNKNOWN,
            shown=lambda r: not r.users and r.state("active") == "false"),
    Factory("getConference", lambda w: c3p.by_id("getConference", w.conf_id), is_the_record, UNKNOWN),
    Factory("getConferences", lambda w: "<getConferences/>", is_listed),
]


@pytest.fixture
def office(stack, uas, end):
    return Office(stack, uas, end)


@pytest.mark.parametrize("row", FACTORY, ids=str)
def test_the_factory_refuses_who_may_not_and_what_is_wrong_and_nothing_changes(row, office):
    w, to = office, c3p.factory_uri("alice")
    listed = w.ask("<getConferences/>").msg.body.partition(b"<conferences")[2]
    with Steady(w.bob):
        r = service(w.uas["bob"], None, to, raw=request(row.run(w), BOB, to))
        assert (r.sip, r.diagnostics, r.msg.body) == (403, 3001, b""), "another user at her factory"
        own = c3p.factory_uri("bob")
        if row.bad is UNKNOWN or row.name == "modifyConference":
            r = service(w.uas["bob"], row.run(w))
            assert (r.code, r.reason) == ("failure", "conferenceDoesntExist"), "at his own he has no such conference"
        for body in (request(row.run(w) * 2, ALICE, to), request(row.run(w), ALICE, own), request(row.run(w), BOB, to), b"<request"):
            r = service(w.uas["alice"], None, raw=body)
            assert r.sip == 400 and not r.msg.body, (body, r)
        for xml, reason in row.bad:
            w.ask(xml(w).format(row.name), reason)
    assert w.ask("<getConferences/>").msg.body.partition(b"<conferences")[2] == listed


@pytest.mark.parametrize("row", FACTORY, ids=str)
def test_the_factory_obeys_tells_and_remembers_after_a_kill_right_behind_its_answer(row, office):
    w = office
    version = w.bob.roster.version
    r = w.ask(row.run(w))
    assert r.command == row.name
    w.stack.kill("focusd")
    w.stack.restart("focusd")
    w.ask("<getAvailableMcuTypes/>")
    row.proof(w, r if row.shown or row.name == "addConference" else w.ask(row.run(w)))
    if row.name == "modifyConference":
        w.bob.wait("the change in his next document", lambda: row.shown(w.bob.roster), 8)
        assert w.bob.roster.version > version and not w.bob.focus.ended.is_set()


@pytest.mark.parametrize("row", [f for f in FACTORY if f.shown or f.name == "addConference"], ids=str)
def test_subscribers_of_a_running_conference_are_told_what_the_factory_did(row, office):
    w = office
    w.ask(row.run(w))
    if row.shown:
        w.bob.wait(f"what {row} does", lambda: row.shown(w.bob.roster))
        assert "full" not in [s for _, s in w.bob.roster.history[1:]] or row.name == "deleteConference"
    row.proof(w, None)
