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
def test_c5_each_refusal_has_its_reason_and_the_endpoint_goes(party, code, reason):
    p = party()
    r = p.start()
    p.carol.refuse(code)
    f = p.final(r)
    assert (f.code, f.reason) == ("failure", reason), f
    p.wait_status(None, timeout=8)


def test_who_is_not_registered_is_told_at_once(party):
    p = party()
    seen = len(p.call.requests)
    r = p.call.info(dial(p.focus, user="sip:dave@conclave.test"), wait_final=False)
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


def test_after_all_no_leg_is_left(stack):
    stack.wait("no leg left", lambda: stack.admin("mcu", cmd="stats")["legs"] == 0, 8)
    assert time.monotonic()
