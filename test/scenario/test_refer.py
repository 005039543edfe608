# SPDX-License-Identifier: Apache-2.0
"""Who may have whom called into a conference, by addUser and by REFER (RFC 3515, RFC 4579 5.5 and 5.11), and what everybody
sees of it. How a call itself may end is in test_dialout.py.
"""
import time

import pytest

from conclave_test import c3p
from conclave_test import commands as cmd
from conclave_test.c3p import Participant
from conclave_test.callee import Callee
from conclave_test.commands import Steady, joining, outcome
from conclave_test.sip import Dialog, SipTimeout

A, B, C = 520, 930, 1210
ALICE, BOB, CAROL, DAVE = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol", "dave"))


class Refer(Dialog):
    """A REFER out of any dialog; `code` is its answer, sipfrags() what the conference told."""
    def __init__(self, ua, conference, target, headers=()):
        to = [("Refer-To", target)] if target is not None else []
        msg = ua.build("REFER", conference, to + [("Contact", ua.contact), ("Event", "refer")] + list(headers))
        super().__init__(ua, msg.call_id, msg.get("From"), msg.get("To"), None, [], 1)
        self.answer = ua.transact(msg, dialog=self)
        self.code, self.diagnostics = self.answer.code, self.answer.diagnostics

    def sipfrags(self):
        """[(status code, state of the subscription)]"""
        return [(int(m.body.split()[1]), m.get("Subscription-State").partition(";")[0]) for _, m in list(self.requests) if m.method == "NOTIFY"]

    def wait_over(self, code, timeout=8):
        end = time.monotonic() + timeout
        while not any(s == "terminated" for _, s in self.sipfrags()):
            if time.monotonic() > end:
                raise SipTimeout(f"no final NOTIFY: {self.sipfrags()}")
            time.sleep(0.02)
        assert self.sipfrags()[0] == (100, "active") and self.sipfrags()[-1] == (code, "terminated"), self.sipfrags()
        for _, m in self.requests:
            assert m.get("Event").startswith("refer") and m.get("Content-Type").startswith("message/sipfrag")


@pytest.fixture
def conf(stack, end):
    """alice organizes, bob is an attendee."""
    focus = c3p.schedule(stack.ua("alice"))
    alice, bob = end(Participant(stack.ua("alice"), focus)), end(Participant(stack.ua("bob"), focus))
    alice.wait("bob", lambda: BOB in alice.roster.users)
    return focus, alice, bob


@pytest.fixture
def carol(stack, end):
    return end(Callee(stack.ua("carol", register=True)))


def final(call, r, seen):
    return call._final(r.request_id, seen, 8)


# --- addUser dialed-out
def test_the_roster_shows_each_step_of_a_call_with_who_is_called(stack, conf, carol, end):
    focus, alice, bob = conf
    endpoint, seen = c3p.guid(), len(alice.focus.requests)
    assert alice.focus.info(c3p.lock(focus, True)).code == "success", "a lock does not hinder presenters"
    r = alice.focus.info(cmd.dial_out(focus, CAROL, endpoint), wait_final=False)
    assert (r.sip, r.code, r.command) == (202, "pending", "addUser")
    for p in (alice, bob):
        p.wait("dialing-out", lambda: joining(p.roster, CAROL) == [("dialing-out", "dialed-out")])
    assert [e.get("entity") for e in bob.roster.endpoints(CAROL)] == [endpoint]
    assert bob.roster.role(CAROL) == "attendee" and bob.roster.state("user-count") == "3"
    carol.ring()
    bob.wait("alerting", lambda: joining(bob.roster, CAROL) == [("alerting", "dialed-out")])
    call = end(carol.answer(tone=C))
    for p in (alice, bob):
        p.wait("connected", lambda: p.roster.users[CAROL]["endpoints"] == {"audio-video": [("connected", {"audio": ("sendrecv", "unblock")})]})
    f = final(alice.focus, r, seen)
    assert (f.code, f.command) == ("success", "addUser")
    cmd.same(alice, bob)
    bob.call(B)
    bob.leg.wait_heard({C}, [B, C])
    assert call.bye().code == 200
    bob.wait("carol is gone", lambda: CAROL not in bob.roster.users)
    assert bob.roster.state("user-count") == "2"


def test_a_call_that_fails_leaves_no_trace_in_the_roster(conf, carol):
    focus, alice, bob = conf
    r = alice.focus.info(cmd.dial_out(focus, CAROL, c3p.guid()), wait_final=False)
    bob.wait("carol", lambda: CAROL in bob.roster.users)
    carol.refuse(486)
    f = final(alice.focus, r, 0)
    assert (f.code, f.reason) == ("failure", "userBusy")
    bob.wait("carol is gone", lambda: CAROL not in bob.roster.users)
    cmd.same(alice, bob)


def test_an_attendee_calls_himself_and_nobody_else(stack, conf, carol, end):
    focus, alice, bob = conf
    phone = end(Callee(stack.ua("bob", register=True)))
    with Steady(alice):
        assert outcome(bob.focus.info(cmd.dial_out(focus, CAROL, c3p.guid()))) == (403, 3015, "failure", "unauthorized")
        assert not carol.invites
    r = bob.focus.info(cmd.dial_out(focus, BOB, c3p.guid(), role="presenter"), wait_final=False)
    assert (r.sip, r.code) == (202, "pending")
    end(phone.answer(tone=B))
    assert final(bob.focus, r, 0).code == "success"
    alice.wait("bob's phone", lambda: joining(alice.roster, BOB) == [("connected", "dialed-out")])
    assert alice.roster.role(BOB) == "attendee" and len(alice.roster.endpoints(BOB)) == 2


def test_an_attendee_may_not_have_another_called_in_his_own_name(conf, carol):
    """endpoint-uri and refer-to-uri lead elsewhere: that is calling another."""
    focus, alice, bob = conf
    for where in (dict(uri=CAROL), dict(refer_to=CAROL)):
        r = bob.focus.info(cmd.dial_out(focus, BOB, c3p.guid(), **where), wait_final=False)
        assert (r.sip, r.diagnostics, r.code) == (403, 3015, "failure"), (where, r)
    assert not carol.invites


def test_who_is_dialled_at_an_address_of_ours_is_that_user_whatever_he_is_called(conf, carol, end):
    focus, alice, bob = conf
    guest = "sip:guest@example.org"
    r = alice.focus.info(cmd.dial_out(focus, guest, c3p.guid(), uri=CAROL, role="presenter"), wait_final=False)
    invite = carol.wait()
    assert invite.get("To").startswith(f"<{CAROL}>")
    end(carol.answer())
    assert final(alice.focus, r, 0).code == "success"
    bob.wait("carol", lambda: joining(bob.roster, CAROL) == [("connected", "dialed-out")])
    assert bob.roster.role(CAROL) == "presenter" and guest not in bob.roster.users


def test_what_the_policy_does_not_allow_is_not_dialled(conf):
    """No policy hook of this group has an opinion: numbers and other domains are denied."""
    focus, alice, bob = conf
    for where in ("tel:+15550100", "sip:someone@elsewhere.example"):
        r = alice.focus.info(cmd.dial_out(focus, "sip:guest@example.org", c3p.guid(), uri=where))
        assert (r.sip, r.code, r.reason) == (202, "failure", "userDenied"), (where, r)
    r = alice.focus.info(cmd.dial_out(focus, cmd.NOBODY, c3p.guid()))
    assert (r.sip, r.code, r.reason) == (202, "failure", "userNotAnswered"), "as if he were away"
    bob.wait("nobody new", lambda: set(bob.roster.users) == {ALICE, BOB})


def test_targets_that_cannot_be_dialled_are_refused_at_once(conf):
    focus, alice, bob = conf
    with Steady(alice, bob):
        for bad in ("mailto:x@example.org", "sip:", "sip:@example.org", "tel:", "tel:help", "sip:a b@example.org", "sip:x@example.org&#13;&#10;A: b", "x" * 300):
            r = alice.focus.info(cmd.dial_out(focus, CAROL, c3p.guid(), uri="BAD").replace("BAD", bad))
            assert (r.sip, r.code, r.reason) == (603, "failure", "invalidUserEntity"), (bad, r)
        r = alice.focus.info(cmd.dial_out(focus, "tel:+15550100", c3p.guid(), uri=CAROL))
        assert (r.sip, r.reason) == (603, "invalidUserEntity"), "a user is a SIP URI"
        r = alice.focus.info(cmd.dial_out(focus, CAROL, bob.focus.endpoint))
        assert (r.code, r.reason) == ("failure", "userExists"), r
        for kind in ("meeting", "applicationsharing"):                      # C4, as far as this group has them
            assert alice.focus.info(cmd.dial_out(focus, CAROL, c3p.guid(), kind=kind)).reason in ("notSupported", "mcuTypeNotAvailable")


def test_a_repeated_request_calls_once_and_gets_the_same_outcome(conf, carol, end):
    focus, alice, bob = conf
    raw = c3p.request(cmd.dial_out(focus, CAROL, c3p.guid()), ALICE, focus, 7001)
    assert alice.focus.info(None, raw=raw, wait_final=False).code == "pending"
    carol.ring()
    again = alice.focus.info(None, raw=raw, wait_final=False)
    assert (again.sip, again.code) == (202, "pending")
    end(carol.answer())
    bob.wait("connected", lambda: joining(bob.roster, CAROL) == [("connected", "dialed-out")])
    alice.focus._final("7001", 0, 5)
    again = alice.focus.info(None, raw=raw)
    assert again.code == "success" and len(carol.invites) == 1


# --- REFER
def test_a_presenter_refers_somebody_to_the_conference(conf, carol, end):
    focus, alice, bob = conf
    refer = Refer(alice.ua, focus, f"<{CAROL}>")
    assert refer.code == 202 and "isfocus" in refer.answer.all("Contact")[0]
    carol.ring()
    bob.wait("alerting", lambda: joining(bob.roster, CAROL) == [("alerting", "dialed-out")])
    end(carol.answer(tone=C))
    refer.wait_over(200)
    bob.wait("connected", lambda: bob.roster.connected(CAROL, "audio-video"))


def test_the_outcome_of_a_referred_call_is_told(conf, carol):
    focus, alice, bob = conf
    refer = Refer(alice.ua, focus, f"<{CAROL}>")
    carol.refuse(486)
    refer.wait_over(486)
    bob.wait("carol is gone", lambda: CAROL not in bob.roster.users)
    refer = Refer(alice.ua, focus, "<tel:+15550100>")
    assert refer.code in (202, 400)
    if refer.code == 202:
        refer.wait_over(403)


def test_who_may_refer_whom(stack, conf, carol, end):
    focus, alice, bob = conf
    phone = end(Callee(stack.ua("bob", register=True)))
    for ua, target, code, diag in ((bob.ua, CAROL, 403, 3015), (stack.ua("dave"), DAVE, 403, 3014), (bob.ua, f"{ALICE};method=BYE", 403, 3014),
                                   (alice.ua, f"{cmd.NOBODY};method=BYE", 404, 3002), (alice.ua, "mailto:x@example.org", 400, None),
                                   (alice.ua, "", 400, None), (alice.ua, None, 400, None)):
        r = Refer(ua, focus, f"<{target}>" if target is not None else None)
        assert r.code == code and diag in (None, r.diagnostics), (ua, target, r.answer.start, r.diagnostics)
    assert not carol.invites and not phone.invites
    refer = Refer(bob.ua, focus, f"<{BOB}>")
    assert refer.code == 202, "himself"
    phone.refuse(603)
    refer.wait_over(603)
    assert not bob.focus.ended.is_set() and not alice.focus.ended.is_set()
    assert Refer(alice.ua, c3p.schedule(alice.ua), f"<{CAROL}>").code == 404, "nobody is there"


def test_refer_with_method_bye_lets_somebody_go(conf):
    focus, alice, bob = conf
    bob.call(B)
    refer = Refer(alice.ua, focus, f"<{BOB};method=BYE>")
    assert refer.code == 202
    refer.wait_over(200)
    assert bob.focus.ended.wait(3) and bob.audio.ended.wait(3)
    alice.wait("alone", lambda: set(alice.roster.users) == {ALICE})
    assert Refer(alice.ua, focus, f"<{ALICE};method=BYE>").code == 202, "one may let himself go"
    assert alice.focus.ended.wait(3)
