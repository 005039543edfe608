# SPDX-License-Identifier: Apache-2.0
"""The chat conferencing server: fan-out, reports, typing, eject, late joiners."""
import time

import pytest

from conclave_test import c3p, im
from conclave_test.sip import SipError

VIEWS = ("audio-video", "chat")


@pytest.fixture
def party(stack, end):
    """party(name, ...) -> the chats of these users in a new conference of the first one; [0].focus_call etc."""
    def make(*names, **kw):
        focus, chats = None, []
        for name in names:
            ua = stack.ua(name)
            focus = focus or c3p.schedule(ua, views=VIEWS)
            call = c3p.join(ua, focus)
            chat = end(im.enter(ua, focus, **kw.get(name, {})))
            chat.focus_call, chat.focus = call, focus
            chats.append(chat)
        return chats
    return make


@pytest.mark.conformance("C11")
def test_c11_a_message_is_answered_202_and_goes_to_everybody_but_its_author(party):
    a, b, c = party("alice", "bob", "carol")
    r = a.send("Hello")
    assert r.code == 202 and r.get("Message-Id")
    for x in (b, c):
        x.wait_texts(["Hello"])
        m = x.of("MESSAGE")[0]
        assert m.get("Ms-Sender") == "<sip:alice@conclave.test>" and m.get("Message-Id") == r.get("Message-Id")
        assert m.get("Content-Type") == "text/plain; charset=UTF-8"
    time.sleep(0.3)
    assert a.texts == [] and a.reports() == []


def test_the_answer_uses_the_words_of_the_offer_and_names_the_conference(party):
    a, b = party("alice", "bob", bob={"medium": "x-ms-message"})
    assert "m=message 5060 sip null\r\na=accept-types:text/plain" in a.sdp
    assert "m=x-ms-message 5060 sip null" in b.sdp
    contact = a.answer.all("Contact")[0]
    assert "opaque=app:conf:chat:id:" in contact and "oc-mcu=mcu-1-chat" in contact and "isfocus" in contact.partition(">")[2]
    assert b.send("x").code == 202
    a.wait_texts(["x"])


def test_many_messages_keep_their_order(party):
    a, b, c = party("alice", "bob", "carol")
    want = [str(i) for i in range(30)]
    for text in want:
        assert a.send(text).code == 202
    b.wait_texts(want), c.wait_texts(want)


@pytest.mark.conformance("C13")
def test_c13_a_multipart_reaches_a_modern_leg_whole_and_a_legacy_leg_as_one_part(party):
    a, modern, legacy = party("alice", "bob", "carol", carol={"types": "text/plain", "headers": ()})
    body = ("--x\r\nContent-Type: text/plain\r\n\r\nHi\r\n--x\r\nContent-Type: text/html\r\n\r\n<b>Hi</b>\r\n--x--\r\n")
    assert a.send(body, 'multipart/alternative;boundary="x"').code == 202
    modern.wait_texts([body])
    legacy.wait_texts(["alice: Hi"])
    assert legacy.of("MESSAGE")[0].get("Content-Type").startswith("text/plain")
    assert legacy.of("MESSAGE")[0].get("Ms-Sender") is None


@pytest.mark.conformance("C12")
def test_c12_a_recipient_that_fails_is_told_to_the_author_and_taken_out(party):
    a, b, c = party("alice", "bob", "carol")
    c.ua.handlers["MESSAGE"] = lambda d, m: d.ua.response(m, 408)
    r = a.send("Hello")
    a.wait("a report", lambda: a.reports())
    assert a.reports() == [(r.get("Message-Id"), {"<sip:carol@conclave.test>": 408})]
    b.wait_texts(["Hello"])
    sub, roster = c3p.watch(a.ua, a.focus, c3p.SIPE, None, a.focus)
    sub.wait("carol left the chat", lambda: not roster.endpoints("sip:carol@conclave.test", "chat"))
    assert roster.connected("sip:bob@conclave.test", "chat")
    assert a.send("again").code == 202
    b.wait_texts(["Hello", "again"])


def test_an_answer_that_never_comes_is_408_within_32_seconds(party):
    a, b, c = party("alice", "bob", "carol")
    c.ua.handlers["MESSAGE"] = lambda d, m: None
    at = time.monotonic()
    a.send("Hello")
    a.wait("a report", lambda: a.reports(), 33)
    assert a.reports()[0][1] == {"<sip:carol@conclave.test>": 408} and time.monotonic() - at < 32


def test_a_type_that_a_recipient_does_not_take_is_reported(party):
    a, b = party("alice", "bob", bob={"types": "text/plain"})
    a.send(b"GIF89a", "image/gif")
    a.wait("a report", lambda: a.reports())
    assert a.reports()[0][1] == {"<sip:bob@conclave.test>": 415} and b.texts == []


def test_typing_is_relayed_at_most_every_three_seconds(party):
    a, b, legacy = party("alice", "bob", "carol", carol={"headers": ()})
    typing = b'<?xml version="1.0"?><KeyboardActivity><status status="type" /></KeyboardActivity>'
    for _ in range(3):
        assert a.request("INFO", [], typing, "application/xml").code == 200
    b.wait("typing", lambda: len(b.of("INFO")) == 1)
    info = b.of("INFO")[0]
    assert info.get("Ms-Sender") == "<sip:alice@conclave.test>" and b'status="type"' in info.body
    composing = b'<isComposing xmlns="urn:ietf:params:xml:ns:im-iscomposing"><state>active</state></isComposing>'
    assert b.send(composing, "application/im-iscomposing+xml").code == 200
    a.wait("typing", lambda: len(a.of("INFO")) == 1)
    time.sleep(0.3)
    assert len(b.of("INFO")) == 1 and not legacy.of("INFO") and not legacy.texts


def test_bad_messages_are_refused_and_reach_nobody(party):
    a, b = party("alice", "bob")
    assert a.send("").code == 400
    assert a.send("x" * 65537).code == 413
    assert a.send("x", "text/x-msmsgsinvite; charset=UTF-8").code == 415
    assert a.send("<x/>", "application/im-iscomposing+xml").code == 400
    assert a.send("y" * 65536).code == 202
    b.wait_texts(["y" * 65536])


def test_an_author_who_floods_is_told_to_wait(party):
    a, b = party("alice", "bob")
    txns = [a.ua.start(a.build("MESSAGE", [], b"x", "text/plain")) for _ in range(60)]
    codes = [t.wait(8) for t in txns]
    assert [r.code for r in codes].count(202) >= 40
    late = [r for r in codes if r.code != 202]
    assert late and all(r.code == 503 and r.get("Retry-After") for r in late)


@pytest.mark.conformance("C6")
def test_c6_only_a_connected_chat_endpoint_shows_in_the_roster(party):
    a, b = party("alice", "bob")
    sub, roster = c3p.watch(a.ua, a.focus, c3p.SIPE, None, a.focus)
    assert roster.conf_uri("chat")
    for user in ("alice", "bob"):
        sub.wait(user, lambda: roster.connected(f"sip:{user}@conclave.test", "chat"))
    b.bye()
    sub.wait("bob is out", lambda: not roster.endpoints("sip:bob@conclave.test", "chat"))
    assert roster.endpoints("sip:bob@conclave.test", "focus")


def test_who_comes_later_gets_nothing_old(party, stack, end):
    a, b = party("alice", "bob")
    a.send("old")
    b.wait_texts(["old"])
    ua = stack.ua("carol")
    c3p.join(ua, a.focus)
    late = end(im.enter(ua, a.focus))
    a.send("new")
    late.wait_texts(["new"])


def test_a_presenter_ejects_from_the_conference_and_the_way_back_is_closed(party):
    a, b, c = party("alice", "bob", "carol")
    r = a.focus_call.info(c3p.delete_user(a.focus, "sip:bob@conclave.test"))
    assert r.code == "success", r
    assert b.ended.wait(5), "BYE from the IM MCU"
    assert b.send("still here?").code in (481, 403)
    with pytest.raises(SipError) as e:
        im.enter(b.ua, b.focus)
    assert e.value.code in (403, 481)
    a.send("gone")
    c.wait_texts(["gone"])
    assert b.texts == []


def test_the_end_of_the_conference_is_a_bye_to_all(party):
    a, b = party("alice", "bob")
    assert a.focus_call.info(c3p.by_conf("deleteConference", a.focus)).code in ("success", "pending")
    assert a.ended.wait(5) and b.ended.wait(5)


def test_a_message_outside_a_dialog_is_refused(party):
    a, = party("alice")
    r = a.ua.request("MESSAGE", c3p.mcu_uri(a.focus, "chat"), [("Contact", a.ua.contact)], b"x", "text/plain")
    assert r.code in (405, 481), r.start


def test_an_offer_without_a_message_line_is_488(party, stack, end):
    a, = party("alice")
    ua = stack.ua("bob")
    c3p.join(ua, a.focus)
    with pytest.raises(SipError) as e:
        ua.invite(c3p.mcu_uri(a.focus, "chat"), im.sdp().replace("m=message 5061 sip", "m=audio 5061 RTP/AVP"))
    assert e.value.code == 488


def test_chat_without_the_focus_is_refused(party, stack):
    a, = party("alice")
    with pytest.raises(SipError) as e:
        im.enter(stack.ua("dave"), a.focus)
    assert e.value.code in (403, 481)
