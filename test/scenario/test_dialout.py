# SPDX-License-Identifier: Apache-2.0
"""The conference calls people: audio-video and chat, every way it can end."""
import time

import pytest
from xml.sax.saxutils import quoteattr

from conclave_test import c3p, im, rtp
from conclave_test.callee import Callee

A, B = 520, 930
CAROL = "sip:carol@conclave.test"


def dial(focus, user=CAROL, kind="audio-video", endpoint=None, uri=None, attrs=""):
    uri = f" msci:endpoint-uri={quoteattr(uri)}" if uri else ""
    return (f"<addUser mscp:mcuUri={quoteattr(c3p.mcu_uri(focus, kind))}><conferenceKeys confEntity={quoteattr(focus)}/>"
            f'<ci:user entity="{user}"><ci:display-text>Carol</ci:display-text><ci:roles><ci:entry>attendee</ci:entry></ci:roles>'
            f'<ci:endpoint entity="{endpoint or c3p.guid()}"{uri}{attrs}><ci:joining-method>dialed-out</ci:joining-method>'
            f"</ci:endpoint></ci:user></addUser>")


class Party:
    def __init__(self, stack, end, **kw):
        self.ua = stack.ua("alice")
        self.focus = c3p.schedule(self.ua, views=("audio-video", "chat"), subject='Plan "B"')
        self.call = c3p.join(self.ua, self.focus)
        self.sub, self.roster = c3p.watch(self.ua, self.focus, c3p.SIPE, None, self.focus)
        self.carol = end(Callee(stack.ua("carol", register=True), **kw))
        self.stack, self.end = stack, end

    def status(self, kind="audio-video"):
        found = self.roster.endpoints(CAROL, kind)
        return found[0].findtext("ci:status", namespaces=c3p.NS) if found else None

    def wait_status(self, want, kind="audio-video", timeout=5):
        self.sub.wait(f"carol is {want}", lambda: self.status(kind) == want, timeout)

    def start(self, **kw):
        """Sends the command; the pending answer."""
        seen = len(self.call.requests)
        r = self.call.info(dial(self.focus, **kw), wait_final=False)
        assert r.code == "pending", r
        r.seen = seen
        return r

    def final(self, r, timeout=8):
        return self.call._final(r.request_id, r.seen, timeout)


@pytest.fixture
def party(stack, end):
    return lambda **kw: Party(stack, end, **kw)


@pytest.mark.conformance("C5")
def test_a_registered_user_is_called_rings_answers_and_is_heard(party, stack, end):
    p = party()
    alice = end(c3p.talk(p.ua, c3p.mcu_uri(p.focus), tone=A))
    r = p.start()
    p.wait_status("dialing-out")
    invite = p.carol.wait()
    assert 'opaque=app:conf:audio-video:id:' in invite.get("From") and invite.get("To").startswith(f"<{CAROL}>")
    assert invite.get("From").startswith('"Plan \\"B\\""') and "isfocus" in invite.all("Contact")[0]
    assert "RTP/SAVP" in invite.body.decode() and "a=crypto:" in invite.body.decode()
    p.carol.ring()
    p.wait_status("alerting")
    carol = end(p.carol.answer(tone=B))
    p.wait_status("connected")
    assert p.final(r).code == "success"
    carol.leg.wait_heard({A}, [A, B])
    alice.leg.wait_heard({B}, [A, B])
    assert carol.bye().code == 200
    p.wait_status(None)


@pytest.mark.parametrize("code,reason", [(486, "userBusy"), (603, "userDeclined"), (480, "userNotAnswered"),
                                         (404, "userUnknown"), (488, "mediaNotSupported"), (403, "userDenied")])
def test_each_refusal_has_its_reason_and_the_endpoint_goes(party, code, reason):
    p = party()
    r = p.start()
    p.carol.refuse(code)
    f = p.final(r)
    assert (f.code, f.reason) == ("failure", reason), f
    p.wait_status(None, timeout=8)


def test_who_is_not_registered_is_told_at_once(party):
    p = party()
    seen = len(p.call.requests)
    r = p.call.info(dial(p.focus, user="sip:frank@conclave.test"), wait_final=False)
    r.seen = seen
    f = p.final(r)
    assert (f.code, f.reason) == ("failure", "userNotAnswered")


def test_delete_user_while_it_rings_is_a_cancel(party):
    p = party()
    r = p.start()
    p.carol.ring()
    p.wait_status("alerting")
    assert p.call.info(c3p.delete_user(p.focus, CAROL)).code == "success"
    assert p.carol.cancelled.wait(5)
    assert p.final(r).code == "failure"
    p.wait_status(None)


def test_the_called_can_hold_and_the_conference_can_drop_it(party, end):
    p = party()
    p.start()
    carol = end(p.carol.answer(tone=B))
    p.wait_status("connected")
    r = carol.reinvite(carol.leg.offer("sendonly", version=2))
    assert r.code == 200 and rtp.Sdp(r.body.decode()).direction == "recvonly"
    assert p.call.info(c3p.delete_user(p.focus, CAROL)).code == "success"
    assert carol.ended.wait(5)


def test_an_answer_without_media_that_fits_is_ended_and_told(party):
    p = party()
    r = p.start()
    carol = p.carol.answer(body="v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n")
    f = p.final(r)
    assert (f.code, f.reason) == ("failure", "mediaNotSupported")
    assert carol.ended.wait(5)


def test_a_client_without_updates_is_refreshed_and_one_with_its_own_timer_refreshes(party, end):
    p = party()
    p.start()
    carol = end(p.carol.answer(headers=[("Session-Expires", "90;refresher=uas"), ("Require", "timer")]))
    p.wait_status("connected")
    r = carol.request("UPDATE", [("Contact", carol.ua.contact), ("Session-Expires", "90;refresher=uac"), ("Supported", "timer")])
    assert r.code == 200 and r.get("Session-Expires")


def test_a_timer_that_is_too_short_for_the_other_side_is_asked_again(party, end):
    p = party()
    r = p.start()
    p.carol.refuse(422, [("Min-SE", "3600")])
    p.stack.wait("a second INVITE", lambda: len(p.carol.invites) == 2)
    assert p.carol.invites[1].get("Session-Expires") == "3600" and p.carol.invites[1].get("Min-SE") == "3600"
    end(p.carol.answer())
    assert p.final(r).code == "success"


def test_chat_calls_out_and_messages_flow_both_ways(party, end):
    p = party()
    alice = end(im.enter(p.ua, p.focus))
    r = p.start(kind="chat")
    invite = p.carol.wait()
    assert "opaque=app:conf:chat:id:" in invite.get("From") and "m=message 5060 sip null" in invite.body.decode()
    p.carol.ring()
    p.wait_status("alerting", "chat")
    carol = end(p.carol.answer())
    p.wait_status("connected", "chat")
    assert p.final(r).code == "success"
    assert alice.send("Hi Carol").code == 202
    carol.wait_texts(["Hi Carol"])
    assert carol.of("MESSAGE")[0].get("Ms-Sender") == "<sip:alice@conclave.test>"
    assert carol.send("Hi Alice").code == 202
    alice.wait_texts(["Hi Alice"])


@pytest.mark.conformance("C5")
def test_header_lines_of_a_refer_to_uri_reach_the_called_if_they_may(party):
    p = party()
    seen = len(p.call.requests)
    uri = f"{CAROL}?Replaces=abc%40test%3Bto-tag%3D1%3Bfrom-tag%3D2&amp;Route=%3Csip%3Aevil%40example.net%3E"
    cmd = dial(p.focus).replace("<ci:endpoint ", f'<ci:endpoint msci:refer-to-uri="{uri}" ')
    r = p.call.info(cmd, wait_final=False)
    r.seen = seen
    assert r.code == "pending", r
    invite = p.carol.wait()
    assert invite.get("Replaces") == "abc@test;to-tag=1;from-tag=2" and not any("evil" in v for v in invite.all("Route"))
    p.carol.refuse(603)
    assert p.final(r).reason == "userDeclined"


def test_the_end_of_the_conference_cancels_what_rings(party):
    p = party()
    p.start()
    p.carol.ring()
    p.wait_status("alerting")
    p.call.info(c3p.by_conf("deleteConference", p.focus))
    assert p.carol.cancelled.wait(5)


# --- while it rings
def finals_and_pendings(call, request_id):
    codes = [c3p.Result(m).code for _, m in call.requests if m.method == "INFO" and c3p.Result(m).request_id == request_id]
    return codes.count("pending"), [c for c in codes if c != "pending"]


@pytest.fixture
def quick(stack):
    """A sign of life every second; a call rings six seconds at most."""
    saved = {p: (stack.dir / "etc" / f"{p}.conf").read_text() for p in ("focusd", "mcu")}
    (stack.dir / "etc" / "focusd.conf").write_text(saved["focusd"] + "\n[conference]\nprogress_s = 1\n")
    (stack.dir / "etc" / "mcu.conf").write_text(saved["mcu"] + "\n[sip]\nring_s = 6\n")
    stack.restart("focusd")
    stack.restart("mcu")
    stack.wait("the mcu is known", lambda: stack.metrics("focusd")["conclave_factory_mcus"] >= 2, 8)
    yield
    for part, text in saved.items():
        (stack.dir / "etc" / f"{part}.conf").write_text(text)
        stack.restart(part)
    stack.wait("the mcu is known", lambda: stack.metrics("focusd")["conclave_factory_mcus"] >= 2, 8)


def test_who_asked_hears_that_it_rings_and_then_the_outcome(party, end):
    p = party()
    r = p.start()
    p.carol.wait()
    assert finals_and_pendings(p.call, r.request_id) == (0, [])
    p.carol.ring()
    p.stack.wait("a pending INFO", lambda: finals_and_pendings(p.call, r.request_id) == (1, []))
    p.carol.ring(183)
    end(p.carol.answer())
    assert p.final(r).code == "success"
    assert finals_and_pendings(p.call, r.request_id) == (1, ["success"])


def test_a_call_that_rings_on_gives_signs_of_life_and_ends_in_time(party, quick):
    p = party()
    r = p.start()
    p.carol.ring()
    p.wait_status("alerting")
    at = time.monotonic()
    f = p.final(r, 10)
    assert (f.code, f.reason) == ("failure", "userNotAnswered") and 4 < time.monotonic() - at < 9
    pendings, finals = finals_and_pendings(p.call, r.request_id)
    assert 4 <= pendings <= 8 and finals == ["failure"], (pendings, finals)
    assert p.carol.cancelled.wait(5)
    p.wait_status(None)


# --- who was called
def test_who_is_called_at_another_users_address_is_shown_as_that_user(party, stack, end):
    """Carol is dialled, whatever name the command gives her; and she is a participant of her own right."""
    p = party()
    r = p.start(user="sip:dave@conclave.test", uri=CAROL + ";transport=tls")
    carol = end(p.carol.answer(tone=B))
    assert p.final(r).code == "success"
    p.wait_status("connected")
    assert "sip:dave@conclave.test" not in p.roster.users
    sub, roster = c3p.watch(carol.ua, p.focus)
    sub.wait("herself", lambda: roster.connected(CAROL, "audio-video"))
    assert p.call.info(c3p.delete_user(p.focus, CAROL)).code == "success"
    assert carol.ended.wait(5)


def test_nobody_else_may_act_in_a_dialled_call(party, stack, end):
    p = party()
    p.start()
    carol = end(p.carol.answer(tone=B))
    p.wait_status("connected")
    dave = stack.ua("dave", register=True)
    carol.cseq += 5
    for method in ("BYE", "UPDATE", "INVITE"):
        assert dave.transact(carol.forge(dave, method, own_name=True), timeout=4).code == 403
    assert not carol.ended.is_set()
    assert carol.bye().code == 200
    p.wait_status(None)


def test_of_two_phones_that_answer_the_second_is_let_go(party, stack, end):
    p = party()
    second = end(Callee(stack.ua("carol", register=True)))
    r = p.start()
    one, two = p.carol.wait(), second.wait()
    assert one.call_id == two.call_id
    a, b = end(p.carol.answer(tone=B)), end(second.answer())
    assert p.final(r).code == "success"
    p.stack.wait("one of them is let go", lambda: a.ended.is_set() or b.ended.is_set(), 5)
    p.wait_status("connected")
    time.sleep(0.5)
    assert [a.ended.is_set(), b.ended.is_set()].count(True) == 1, "and only one"
    for call in (a, b):
        assert [m.method for _, m in call.requests].count("ACK") >= 1, "each 2xx was acknowledged"


# --- who may call whom
def attendee(p, stack, end):
    bob = stack.ua("bob")
    call = c3p.join(bob, p.focus)
    return bob, call


def test_an_attendee_calls_himself_and_nobody_else(party, stack, end):
    p = party()
    bob, call = attendee(p, stack, end)
    other = call.info(dial(p.focus))
    number = call.info(dial(p.focus, uri="tel:+15550123"))
    me_at_carols = call.info(dial(p.focus, user="sip:bob@conclave.test", uri=CAROL))
    for r in (other, number, me_at_carols):
        assert (r.sip, r.diagnostics, r.reason) == (403, 3015, "unauthorized"), r
    phone = end(Callee(stack.ua("bob", register=True)))
    seen = len(call.requests)
    r = call.info(dial(p.focus, user="sip:bob@conclave.test"), wait_final=False)
    end(phone.answer())
    assert call._final(r.request_id, seen, 8).code == "success"
    call.bye()


def test_attendee_dialout_allows_others_but_not_to_name_a_number_as_one_of_us(party, stack, end):
    with stack.configured("focusd", "[conference]\nattendee_dialout = yes"):
        p = party()
        bob, call = attendee(p, stack, end)
        r = call.info(dial(p.focus, user="sip:alice@conclave.test", uri="tel:+15550123"))
        assert (r.sip, r.reason) == (403, "unauthorized"), "the organizer's name for some number"
        seen = len(call.requests)
        r = call.info(dial(p.focus), wait_final=False)
        assert r.code == "pending", r
        end(p.carol.answer())
        assert call._final(r.request_id, seen, 8).code == "success"
        call.bye()


def test_who_does_not_exist_is_told_like_who_is_not_there(party):
    """Nobody learns by calling who has an account."""
    p = party()
    p.stack.run("user", "add", "erin:secret-e")
    outcomes = set()
    for user in ("erin", "no-such-name", "x"):
        seen = len(p.call.requests)
        r = p.call.info(dial(p.focus, user=f"sip:{user}@conclave.test"), wait_final=False)
        f = p.call._final(r.request_id, seen, 8)
        outcomes.add((f.code, f.reason))
    assert outcomes == {("failure", "userNotAnswered")}


# --- numbers
class Trunk(Callee):
    """The gateway of TRUNK_IP: called without having registered."""
    def close(self):
        for call in self.calls:
            call.close()
        self.ua.close()


@pytest.fixture
def trunk(stack, end):
    """A gateway, and a policy that sends German numbers to it. Yields (callee, the hook's file)."""
    ua = stack.trunk("gateway", "udp")
    hook = stack.dir / "etc" / "policy.d" / "60-dial-out.lua"
    host, port = ua.sock.getsockname()[:2]
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("return { allow_dial_out = function(req) if req.number and req.number:match('^%+49') then "
                    f"return 'sip:{host}:{port}' end end }}\n")
    stack.run("reload")
    yield end(Trunk(ua))
    hook.unlink()
    stack.run("reload")


def test_a_tel_uri_goes_by_the_trunk_that_the_policy_names(party, trunk, stack, end):
    p = party()
    alice = end(c3p.talk(p.ua, c3p.mcu_uri(p.focus), tone=A))
    guest = "sip:guest@elsewhere.example"
    seen = len(p.call.requests)
    r = p.call.info(dial(p.focus, user=guest, uri="tel:+49-30-123"), wait_final=False)
    invite = trunk.wait()
    host, port = trunk.ua.sock.getsockname()[:2]
    assert invite.uri == f"sip:+4930123@{host}:{port};user=phone", invite.uri
    trunk.ring()
    p.sub.wait("it rings", lambda: [e.findtext("ci:status", namespaces=c3p.NS) for e in p.roster.endpoints(guest)] == ["alerting"])
    phone = end(trunk.answer(tone=B))
    assert p.call._final(r.request_id, seen, 8).code == "success"
    p.sub.wait("it talks", lambda: p.roster.connected(guest, "audio-video"))
    alice.leg.wait_heard({B}, [A, B])
    phone.leg.wait_heard({A}, [A, B])
    assert phone.bye().code == 200, "the trunk may end its call"
    p.sub.wait("it is gone", lambda: not p.roster.endpoints(guest))


def test_a_colleague_on_his_mobile_is_shown_by_his_name_and_the_trunk_may_still_hang_up(party, trunk, end):
    p = party()
    seen = len(p.call.requests)
    r = p.call.info(dial(p.focus, user="sip:dave@conclave.test", uri="tel:+49171"), wait_final=False)
    phone = end(trunk.answer(tone=B))
    assert p.call._final(r.request_id, seen, 8).code == "success"
    p.sub.wait("dave", lambda: p.roster.connected("sip:dave@conclave.test", "audio-video"))
    assert phone.bye().code == 200
    p.sub.wait("gone", lambda: "sip:dave@conclave.test" not in p.roster.users)


def test_what_the_policy_does_not_allow_is_denied(party, trunk, end):
    p = party()
    for uri in ("tel:+33123", "sip:+33123@elsewhere.example", "sip:someone@elsewhere.example"):
        seen = len(p.call.requests)
        r = p.call.info(dial(p.focus, user="sip:guest@elsewhere.example", uri=uri), wait_final=False)
        f = p.call._final(r.request_id, seen, 8)
        assert (f.code, f.reason) == ("failure", "userDenied"), (uri, f)
    assert not trunk.invites
    for uri in ("tel:", "tel:abc", "mailto:x@y", "sip:", "sip:a b@x"):
        r = p.call.info(dial(p.focus, user="sip:guest@elsewhere.example", uri=uri))
        assert (r.sip, r.reason) == (603, "invalidUserEntity"), (uri, r)


def test_after_all_no_leg_is_left(stack):
    stack.wait("no leg left", lambda: stack.admin("mcu", cmd="stats")["legs"] == 0, 8)
    assert time.monotonic()
