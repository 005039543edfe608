# SPDX-License-Identifier: Apache-2.0
"""Anonymous joins: the digest with the pass code (MS-SIPAE 3.2.4.3), what such a user may do and what nobody may do in his
name, the pause after wrong codes.
"""
import base64
import os
import time

import pytest

from conclave_test import c3p
from conclave_test import commands as cmd
from conclave_test.c3p import CTYPE, Participant, request, service
from conclave_test.roster import NS
from conclave_test.sip import UA, SipError, verified_tls
from conclave_test.sipmsg import challenge_params
from test_schedule import openssl, record, sealed

ALICE, BOB = "sip:alice@conclave.test", "sip:bob@conclave.test"
CODE = "Pass2468"
A, X = 520, 640


def anonymous(stack, code=CODE, name=None, display="Guest"):
    ua = UA(stack.tls, name or os.urandom(16).hex(), "anonymous.invalid", code, tls=verified_tls(str(stack.dir / "ca" / "client-root.pem")),
            display=display)
    stack.uas.append(ua)
    return ua


@pytest.fixture
def conf(stack, uas, end):
    """An anonymous conference with a pass code; alice is in it."""
    focus = schedule(stack, uas["alice"])
    return focus, end(Participant(uas["alice"], focus))


def schedule(stack, alice, code=CODE):
    conf_id = c3p.new_id()
    r = service(alice, "<getEncryptionKey/>")
    cert = stack.dir / "passcode-cert.pem"
    cert.write_bytes(openssl("x509", "-inform", "DER", data=base64.b64decode(
        r.cmd.findtext("msci:encryption-key/msci:x509-certificate", namespaces=NS))))
    r = service(alice, record(conf_id, passcode=sealed(cert, code) if code else ""))
    assert r.code == "success", r
    return c3p.focus_uri(alice.user, conf_id)


def refused(call):
    with pytest.raises(SipError) as e:
        call()
    return e.value.msg


def ask(ua, focus, endpoint=None):
    """One INVITE without credentials; the refusal."""
    body = request(c3p.add_user(focus, ua.aor, endpoint or c3p.guid()), ua.aor, focus)
    return refused(lambda: ua.invite(focus, body, CTYPE, auth=False))


@pytest.mark.conformance("T10")
def test_the_challenge_names_the_organizer_and_the_right_code_lets_in(stack, conf, end):
    focus, alice = conf
    guest = anonymous(stack)
    r = ask(guest, focus)
    c = challenge_params(r.get("WWW-Authenticate"))
    assert r.code == 401 and not r.body
    assert (c["realm"], c["algorithm"], c["qop"]) == ("alice@conclave.test", "MD5-sess", "auth") and c["nonce"] and c["opaque"]
    p = end(Participant(guest, focus))
    assert p.focus.granted == "attendee"
    alice.wait("the guest", lambda: guest.aor in alice.roster.users)
    assert cmd.display(alice.roster, guest.aor) == "Guest"
    p.wait("both", lambda: set(p.roster.users) == {ALICE, guest.aor})
    cmd.same(alice, p)


def test_a_guest_talks_and_mutes_himself_and_may_nothing_else(stack, uas, conf, end):
    focus, alice = conf
    guest = end(Participant(anonymous(stack), focus))
    alice.call(A), guest.call(X)
    alice.leg.wait_heard({X}, [A, X])
    guest.leg.wait_heard({A}, [A, X])
    alice.wait("his audio", lambda: alice.roster.media(guest.ua.aor))
    endpoint, media = alice.roster.media(guest.ua.aor)
    assert guest.focus.info(c3p.mute(focus, guest.ua.aor, endpoint, media.get("id"))).code == "success"
    alice.leg.wait_heard(set(), [A, X])
    mine, my_media = alice.roster.media(ALICE)
    for c in (c3p.lock(focus, True), c3p.mute(focus, ALICE, mine, my_media.get("id")), c3p.delete_user(focus, ALICE),
              c3p.role(focus, guest.ua.aor, "presenter")):
        assert cmd.outcome(guest.focus.info(c)) == (403, 3014, "failure", "unauthorized")
    assert alice.focus.info(c3p.delete_user(focus, guest.ua.aor)).code == "success"
    assert guest.focus.ended.wait(3) and guest.audio.ended.wait(3)


@pytest.mark.conformance("T10")
def test_a_wrong_code_or_none_stays_outside(stack, conf):
    focus, alice = conf
    with cmd.Steady(alice):
        for code in ("Wrong111", CODE.lower(), ""):
            assert refused(lambda: c3p.join(anonymous(stack, code), focus)).code == 401
        guest = anonymous(stack)
        assert refused(lambda: c3p.talk(guest, c3p.mcu_uri(focus))).code in (401, 403), "no media without joining"
        assert refused(lambda: c3p.watch(guest, focus)).code in (401, 403), "no roster without joining"
    assert alice.focus.info(c3p.by_conf("getConference", focus)).code == "success"


def test_credentials_of_another_conference_or_made_up_ones_are_not_taken(stack, uas, conf):
    focus, alice = conf
    other = schedule(stack, uas["alice"])
    guest = anonymous(stack)
    challenge = ask(guest, other)
    body = request(c3p.add_user(focus, guest.aor, c3p.guid()), guest.aor, focus)
    msg = guest.build("INVITE", focus, [("Contact", guest.contact)], body, CTYPE)
    r = guest.transact(guest.authorize(msg, challenge), auth=False)         # the nonce is of another conference
    assert r.code == 401 and "stale=true" in r.get("WWW-Authenticate").replace('"', "").lower()
    for value in ("Digest", "Basic YTpi", 'Digest username="x", realm="y", nonce="1", uri="z", response="00"', "Digest " + "a=b," * 500):
        msg = guest.build("INVITE", focus, [("Contact", guest.contact), ("Authorization", value)], body, CTYPE)
        assert guest.transact(msg, auth=False).code == 401, value[:40]


@pytest.mark.conformance("T10")
@pytest.mark.parametrize("policy", ["openAuthenticated", "closedAuthenticated"])
def test_another_policy_admits_no_guest_and_asks_for_no_code(stack, uas, policy):
    r = ask(anonymous(stack), c3p.schedule(uas["alice"], policy=policy))
    assert (r.code, r.diagnostics, r.get("WWW-Authenticate")) == (403, 3014, None)


def test_a_lock_keeps_guests_out_and_a_denied_one_stays_out(stack, conf, end):
    focus, alice = conf
    guest = end(Participant(anonymous(stack), focus))
    alice.wait("the guest", lambda: guest.ua.aor in alice.roster.users)
    assert alice.focus.info(c3p.lock(focus, True)).code == "success"
    assert refused(lambda: c3p.join(anonymous(stack), focus)).code == 403
    assert alice.focus.info(c3p.lock(focus, False)).code == "success"
    assert alice.focus.info(cmd.set_access(focus, guest.ua.aor, "denied")).code == "success"
    assert guest.focus.ended.wait(3)
    assert refused(lambda: c3p.join(guest.ua, focus)).code == 403


def test_a_guest_schedules_nothing(stack, uas):
    guest = anonymous(stack)
    for to in (c3p.factory_uri("alice"), c3p.factory_uri(guest.user, "anonymous.invalid"), c3p.factory_uri(guest.user)):
        assert service(guest, None, to, raw=request("<getConferences/>", guest.aor, to)).sip in (401, 403, 404, 407), to


def test_requests_in_his_dialogs_from_another_connection_are_refused(stack, conf, end):
    focus, alice = conf
    guest = end(Participant(anonymous(stack), focus))
    alice.wait("the guest", lambda: guest.ua.aor in alice.roster.users)
    thief = anonymous(stack, name=guest.ua.user)
    for dialog, method in ((guest.focus, "BYE"), (guest.focus, "INFO"), (guest.sub, "SUBSCRIBE")):
        dialog.cseq += 5
        body = request(cmd.modify_user(focus, guest.ua.aor, "Thief"), guest.ua.aor, focus) if method == "INFO" else b""
        msg = dialog.build(method, [("Contact", thief.contact), ("Event", "conference"), ("Expires", "0")][:3 if method == "SUBSCRIBE" else 1],
                           body, CTYPE if body else None)
        msg.set("Via", thief.via())
        assert thief.transact(msg, auth=False).code in (401, 403, 407, 481), method
    assert ask(thief, focus).code == 401, "his name alone opens no door"
    time.sleep(0.3)
    assert not guest.focus.ended.is_set() and not guest.sub.terminated.is_set()
    assert cmd.display(alice.roster, guest.ua.aor) == "Guest"
    assert guest.focus.info(cmd.modify_user(focus, guest.ua.aor, "Myself")).code == "success"
    guest.wait("his name", lambda: cmd.display(guest.roster, guest.ua.aor) == "Myself")


def test_his_name_alone_opens_neither_roster_nor_audio_on_another_connection(stack, conf, end):
    focus, alice = conf
    guest = end(Participant(anonymous(stack), focus))
    thief = anonymous(stack, name=guest.ua.user, code=None)
    assert refused(lambda: c3p.watch(thief, focus)).code in (401, 403)
    assert refused(lambda: c3p.talk(thief, c3p.mcu_uri(focus))).code in (401, 403)


def test_the_conference_ends_for_guests_when_its_organizer_ends_it(stack, conf):
    focus, alice = conf
    guest = Participant(anonymous(stack), focus)
    guest.call(X)
    assert alice.focus.info(c3p.by_conf("deleteConference", focus)).code == "success"
    assert guest.focus.ended.wait(4) and guest.audio.ended.wait(4) and guest.sub.terminated.wait(4)


def test_after_ten_wrong_codes_nobody_guesses_on_and_who_is_inside_notices_nothing(stack, uas, conf, end):
    focus, alice = conf
    guest = end(Participant(anonymous(stack), focus, tone=X))
    alice.call(A)
    alice.leg.wait_heard({X}, [A, X])
    asked = stack.metrics("focusd")["conclave_focus_passcode_wrong_total"]
    for _ in range(10):
        assert refused(lambda: c3p.join(anonymous(stack, "Guess000"), focus)).code == 401
    assert stack.metrics("focusd")["conclave_focus_passcode_wrong_total"] == asked + 10
    paused = time.monotonic()
    r = refused(lambda: c3p.join(anonymous(stack), focus))
    assert r.code == 403 and int(r.get("Retry-After")) > 0
    assert stack.metrics("focusd")["conclave_focus_passcode_wrong_total"] == asked + 10, "the right one was not even looked at"
    bob = end(Participant(uas["bob"], focus))                               # whom the edge knows
    guest.wait("bob", lambda: BOB in guest.roster.users)
    assert guest.focus.info(cmd.modify_user(focus, guest.ua.aor, "Still here")).code == "success"
    bob.wait("the name", lambda: cmd.display(bob.roster, guest.ua.aor) == "Still here")
    alice.leg.keeps_hearing({X}, [A, X], 1.2)
    other = schedule(stack, uas["alice"])
    c3p.join(anonymous(stack), other).bye()                                 # another conference is not concerned
    while time.monotonic() < paused + 31:
        time.sleep(1)
        assert not guest.focus.ended.is_set() and not guest.audio.ended.is_set()
    c3p.join(anonymous(stack), focus).bye()
