# SPDX-License-Identifier: Apache-2.0
"""Documents and the schema of RFC 4575 (test/data/conference-info.xsd). Roster.apply() holds every document of every test
against it; here are the situations in which they differ most, each seen by a standard subscriber, who asks for nothing of
Microsoft's, and that the schema refuses what it must.
"""
import time

import pytest
from lxml import etree

from conclave_test import c3p, im
from conclave_test import commands as cmd
from conclave_test.callee import Callee
from conclave_test.roster import CI, NS, Roster, RosterError, hold_to_schema, schema, state_of

ALICE, BOB, CAROL = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol"))
PLAIN = ()                                          # headers of a subscriber by RFC 4575 alone


class Seen:
    """A standard subscriber that keeps every document as it came."""
    def __init__(self, ua, uri):
        self.roster, self.bodies = Roster(), []
        self.sub = ua.subscribe(uri, self.take, PLAIN)
        self.wait("a first document", lambda: self.bodies)

    def take(self, body):
        self.bodies.append(etree.fromstring(body))
        self.roster.apply(body)

    def wait(self, what, pred, timeout=6):
        self.sub.wait(what, pred, timeout)

    @property
    def states(self):
        return [state_of(b) for b in self.bodies]

    def statuses(self, user):
        """Every endpoint status in which that user was shown, in order."""
        found = [e.findtext("ci:status", namespaces=NS) for b in self.bodies for u in b.findall("ci:users/ci:user", NS)
                 if u.get("entity") == user for e in u.findall("ci:endpoint", NS)]
        return [s for i, s in enumerate(found) if i == 0 or s != found[i - 1]]

    def proved(self):
        """Every document again, from its bytes, with the schema alone."""
        assert self.bodies and all(schema().validate(etree.ElementTree(b)) for b in self.bodies), schema().error_log
        return self


@pytest.fixture
def party(stack, end):
    ua = stack.ua("alice", register=True)
    focus = c3p.schedule(ua, views=("audio-video", "chat"), subject='A & "B" <C>', users=[(BOB, "presenter")])
    call = c3p.join(ua, focus)
    seen = Seen(ua, focus)
    yield focus, call, seen
    if not call.ended.is_set():
        call.bye()


def test_full_partial_and_deleted_documents_of_a_whole_conference_are_valid(stack, end, party):
    focus, call, seen = party
    bob, carol = (end(c3p.Participant(stack.ua(u), focus, tone=f)) for u, f in (("bob", 520), ("carol", 930)))
    chat = end(im.enter(bob.ua, focus))
    assert chat
    seen.wait("chat", lambda: seen.roster.connected(BOB, "chat") and seen.roster.media(CAROL))
    endpoint, media = seen.roster.media(CAROL)
    for command in (c3p.mute(focus, CAROL, endpoint, media.get("id")), cmd.endpoint_role(focus, CAROL, endpoint, "presenter"),
                    c3p.role(focus, CAROL, "presenter"), cmd.modify_user(focus, CAROL, "Ca\u0159ol & <S\u00f8ns>"), c3p.lock(focus, True),
                    cmd.modify_conference(focus, subject="New", policy="anonymous"), cmd.filters(focus, "attendee", "block"),
                    c3p.delete_user(focus, CAROL)):
        assert call.info(command).code == "success", command
        time.sleep(0.3)                             # a document for each
    assert carol.focus.ended.wait(3)
    bob.close()
    seen.wait("alone", lambda: list(seen.roster.users) == [ALICE])
    r = call.info(c3p.by_conf("getConference", focus))
    hold_to_schema(r.cmd.find("ci:conference-info", NS))
    assert seen.sub.refresh().code == 200
    seen.wait("a second full document", lambda: seen.states.count("full") == 2)
    assert call.info(c3p.by_conf("deleteConference", focus)).code == "success"
    assert seen.sub.terminated.wait(4)
    gone = [u.get("entity") for b in seen.bodies for u in b.findall("ci:users/ci:user", NS) if state_of(u) == "deleted"]
    assert {BOB, CAROL} <= set(gone) and seen.states.count("partial") >= 8, (gone, seen.states)
    seen.proved()


@pytest.mark.parametrize("answer", [200, 486])
def test_each_step_of_a_call_out_is_valid(stack, end, party, answer):
    focus, call, seen = party
    callee = end(Callee(stack.ua("carol", register=True)))
    assert call.info(cmd.dial_out(focus, CAROL, c3p.guid()), wait_final=False).code == "pending"
    callee.wait()
    seen.wait("dialing-out", lambda: "dialing-out" in seen.statuses(CAROL))
    callee.ring()
    seen.wait("alerting", lambda: "alerting" in seen.statuses(CAROL))
    end(callee.answer(tone=520)) if answer == 200 else callee.refuse(answer)
    if answer == 200:
        seen.wait("connected", lambda: seen.roster.connected(CAROL, "audio-video"))
        assert call.info(c3p.delete_user(focus, CAROL)).code == "success"
    seen.wait("gone", lambda: CAROL not in seen.roster.users, 10)
    assert seen.statuses(CAROL)[:2] == ["dialing-out", "alerting"]
    seen.proved()


def test_phones_and_callers_of_a_trunk_have_valid_entities(stack, end):
    phone = end(c3p.talk(stack.ua("bob", "udp", register=True), stack.room(), tone=520))
    seen = Seen(phone.ua, phone.answer.contact)
    for number in ("+15550100", "anonymous", "a%20b"):
        end(c3p.talk(stack.trunk(number), stack.room(), srtp=False))
    seen.wait("four users", lambda: len(seen.roster.users) == 4)
    seen.proved()


def test_documents_that_come_in_parts_are_valid_each(stack, end):
    """[notify] max_bytes_udp at its least: a dozen users do not fit into one."""
    conf = stack.dir / "etc" / "focusd.conf"
    conf.write_text(conf.read_text() + "\n[notify]\nmax_bytes_udp = 3000\n")
    stack.restart("focusd")
    ua = stack.ua("alice", register=True)
    focus = c3p.schedule(ua)
    end(c3p.Participant(ua, focus))
    for _ in range(3):
        for u in ("bob", "carol", "dave"):
            end(c3p.Participant(stack.ua(u), focus))
    bodies = []
    sub = stack.ua("alice", "udp", register=True).subscribe(focus, lambda body: bodies.append(etree.fromstring(body)), PLAIN)
    shown = lambda: {u.get("entity") for b in bodies for u in b.findall("ci:users/ci:user", NS)}
    sub.wait("four users", lambda: len(shown()) == 4, 8)
    assert state_of(bodies[0]) == "full" and len(bodies) >= 2 and {state_of(b) for b in bodies[1:]} == {"partial"}
    for b in bodies:
        hold_to_schema(b)
    versions = [int(b.get("version")) for b in bodies]
    assert versions == list(range(versions[0], versions[0] + len(bodies)))


# --- the schema itself
GOOD = f'''<conference-info xmlns="{CI}" entity="sip:c@x.test" state="full" version="1"><conference-description><display-text>d</display-text>
<subject>s</subject><conf-uris><entry><uri>sip:a@x.test</uri><purpose>chat</purpose></entry></conf-uris></conference-description>
<conference-state><user-count>1</user-count><active>true</active><locked>false</locked></conference-state><users state="full">
<user entity="sip:u@x.test" state="full"><display-text>u</display-text><roles><entry>attendee</entry></roles><endpoint entity="e"><status>connected</status>
<joining-method>dialed-in</joining-method><joining-info><when>2026-01-01T00:00:00Z</when></joining-info><media id="1"><type>audio</type>
<label>l</label><status>sendrecv</status></media><call-info><sip><call-id>c</call-id><from-tag>f</from-tag><to-tag>t</to-tag></sip></call-info>
</endpoint></user></users><x:more xmlns:x="urn:x"><x:y/></x:more></conference-info>'''

WRONG = {
    "no entity": ('entity="sip:c@x.test" ', ""), "an unknown state": ('state="full" version', 'state="whole" version'),
    "a negative version": ('version="1"', 'version="-1"'), "a version too large": ('version="1"', 'version="4294967296"'),
    "subject before display-text": ("<display-text>d</display-text>\n<subject>s</subject>", "<subject>s</subject><display-text>d</display-text>"),
    "a conf-uri without uri": ("<uri>sip:a@x.test</uri>", ""), "a count that is none": (">1<", ">one<"),
    "active maybe": ("<active>true<", "<active>maybe<"), "state after users": ("<users", "<users/><users"),
    "a user without entity": ('<user entity="sip:u@x.test" ', "<user "), "roles without entry": ("<entry>attendee</entry>", ""),
    "an unknown status": (">connected<", ">talking<"), "an unknown method": (">dialed-in<", ">teleported<"),
    "joining-info before the method": ("<status>connected</status>", "<status>connected</status><joining-info/>"),
    "a time that is none": ("2026-01-01T00:00:00Z", "yesterday"), "media without id": ('<media id="1">', "<media>"),
    "an unknown direction": (">sendrecv<", ">both<"), "a dialog without call-id": ("<call-id>c</call-id>", ""),
    "a foreign element in front": ("<conference-description>", '<x:z xmlns:x="urn:x"/><conference-description>'),
    "an element of its own that is none": ("<x:more", "<more/><x:more"), "an attribute that is none": ('id="1"', 'id="1" name="2"'),
    "two descriptions": ("<conference-state>", "<conference-description/><conference-state>"),
}


def test_the_schema_takes_what_the_rfc_takes():
    hold_to_schema(etree.fromstring(GOOD))


@pytest.mark.parametrize("name", WRONG, ids=[n.replace(" ", "-") for n in WRONG])
def test_the_schema_refuses(name):
    old, new = WRONG[name]
    assert old in GOOD
    with pytest.raises(RosterError):
        hold_to_schema(etree.fromstring(GOOD.replace(old, new, 1)))


def test_a_subscriber_of_these_tests_does_not_pass_over_an_invalid_document():
    roster = Roster()
    with pytest.raises(RosterError):
        roster.apply(GOOD.replace(">sendrecv<", ">both<").encode())
    assert roster.tree is None
