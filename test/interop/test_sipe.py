# SPDX-License-Identifier: Apache-2.0
"""pidgin-sipe, the stock client of this protocol family, in conferences: everything that it can do with chat.

What a test does is what a user does: entries of the client's own menus, lines typed, windows closed. What it checks is what the
client would show. All clients of a test start in the same second, so they use the same Call-IDs, tags and CSeqs.
"""
import html
import time

import pytest

CONF = "sip:{0}@conclave.test"


def uri(user):
    return CONF.format(user)


def room(*others, creator):
    """creator makes a conference with the first of others and invites the rest; everybody sees everybody."""
    creator.cmd("buddy", user=uri(others[0].user), item="New chat")
    creator.see(**{creator.user: True, others[0].user: False})
    for o in others[1:]:
        creator.cmd("invite", user=uri(o.user))
    everybody = {creator.user: True, **{o.user: False for o in others}}
    for c in (creator, *others):
        c.see(**everybody)
        c.mark()
    return focus_uri(creator)


def focus_uri(creator):
    """The focus URI of the newest conference, as its creator's log tells it."""
    text = (creator.home / "driver.log").read_text(errors="replace")
    return text.rpartition("session->focus_uri=")[2].split()[0]


def says(sender, text, *hearers, silent=()):
    sender.cmd("send", text=html.escape(text, quote=False))            # what is typed comes from the window as markup
    for h in hearers:
        assert h.wait("text", kind="message", text=text)["from"] == uri(sender.user)
    assert sender.find("text", kind="sent", text=text)
    time.sleep(0.5)
    for s in (sender, *silent):
        assert not s.find("text", kind="message", text=text)


@pytest.mark.parametrize("transport,login", [("tls", ""), ("tls", "carol"), ("tcp", "")])
def test_a_client_signs_on_with_digest(clients, transport, login):
    c = clients("carol", transport=transport, login=False)
    c.account["login"] = login
    c.login()
    time.sleep(1)
    assert not c.find("trouble") and not c.find("notice") and not c.find("request")


def test_a_client_with_a_wrong_password_does_not_sign_on(clients):
    c = clients("dave", login=False)
    c.account["password"] = "wrong"
    c.login(wait=False)
    assert "Wrong name or password" in c.wait("trouble")["text"]
    assert not c.find("signed-on")
    d = clients("dave", login=False)                       # one mistake does not lock him out
    d.login()


def test_two_clients_meet_and_chat(clients, stack):
    a, b = clients("alice", "bob")
    room(b, creator=a)
    says(a, "hello bob", b)
    says(b, "hello alice", a)
    says(a, "Grüße, 你好 & <b>", b)


def test_chat_reaches_everyone_but_the_sender(clients):
    a, b, c = clients("alice", "bob", "carol")
    room(b, c, creator=a)
    for sender, others in ((a, (b, c)), (b, (a, c)), (c, (a, b))):
        for n in range(3):
            says(sender, f"{sender.user} says {n}", *others)
    # each window shows the same order
    heard = [e["text"] for e in a.events[a.at:] if e["event"] == "text" and e["kind"] == "message"]
    assert heard == [f"{u} says {n}" for u in ("bob", "carol") for n in range(3)]


def test_a_client_joins_by_uri_and_is_greeted(clients):
    a, b, c = clients("alice", "bob", "carol")
    focus = room(b, creator=a)
    c.cmd("join", uri="meet:" + focus)
    for x in (a, b, c):
        x.see(alice=True, bob=False, carol=False)
    a.wait("text", kind="notice", text=lambda t: "carol" in t and "entered" in t)
    c.mark()
    says(b, "welcome", a, c)


def test_a_locked_conference_refuses_with_a_reason_until_it_is_unlocked(clients):
    a, b, c = clients("alice", "bob", "carol")
    focus = room(b, creator=a)
    a.cmd("chat", item="Lock")
    for x in (a, b):
        x.wait("text", kind="notice", text=lambda t: "is locked" in t)
    assert "Unlock" in a.menu() and not {"Lock", "Unlock"} & set(b.menu())
    c.cmd("join", uri="conf:" + focus)
    why = c.wait("notice", timeout=10)
    assert "join" in why["primary"].lower() and "locked" in (why["primary"] + why["secondary"]).lower(), why
    a.mark()
    a.cmd("chat", item="Unlock")
    a.wait("text", kind="notice", text=lambda t: "locked" in t.lower())
    c.cmd("join", uri="conf:" + focus)
    for x in (a, b, c):
        x.see(alice=True, bob=False, carol=False)


def test_a_promoted_user_may_remove_others_and_they_stay_out(clients):
    a, b, c = clients("alice", "bob", "carol")
    focus = room(b, c, creator=a)
    assert not [i for i in b.menu(uri("carol")) if i.startswith(("Make leader", "Remove from"))]
    a.cmd("buddy", user=uri("bob"), item="Make leader of")
    for x in (a, b, c):
        x.see(alice=True, bob=True, carol=False)
    b.cmd("buddy", user=uri("carol"), item="Remove from")
    c.wait("text", kind="notice", text=lambda t: "disconnected" in t)
    for x in (a, b):
        x.see(alice=True, bob=True)
        x.mark()
    c.mark()
    says(a, "carol hears nothing", b, silent=(c,))
    time.sleep(1)
    assert a.roster() == {"alice": True, "bob": True}
    c.cmd("leave")
    c.cmd("join", uri="meet:" + focus)                     # removed is not banned
    for x in (a, b, c):
        x.see(alice=True, bob=True, carol=False)


def test_a_client_leaves_and_comes_back(clients, stack):
    a, b, c = clients("alice", "bob", "carol")
    focus = room(b, c, creator=a)
    b.cmd("leave")
    for x in (a, c):
        x.see(alice=True, carol=False)
        x.wait("text", kind="notice", text=lambda t: "bob" in t and "left" in t)
    b.cmd("join", uri="meet:" + focus)
    for x in (a, b, c):
        x.see(alice=True, bob=False, carol=False)
        x.mark()
    says(b, "back again", a, c)


def test_the_organizer_comes_back_as_presenter(clients):
    a, b = clients("alice", "bob")
    focus = room(b, creator=a)
    a.cmd("leave")
    b.see(bob=False)
    a.cmd("join", uri="meet:" + focus)
    for x in (a, b):
        x.see(alice=True, bob=False)


def test_a_lost_connection_leaves_no_trace_and_the_user_may_join_again(clients, stack):
    a, b = clients("alice", "bob")
    focus = room(b, creator=a)
    b.proc.kill()
    a.see(alice=True, timeout=20)                          # the edge tells the focus; no probe is waited for
    b2 = clients("bob")
    b2.cmd("join", uri="meet:" + focus)
    for x in (a, b2):
        x.see(alice=True, bob=False)
        x.mark()
    says(b2, "here again", a)


def test_a_user_signs_off_and_on_again(clients):
    a, b = clients("alice", "bob")
    focus = room(b, creator=a)
    b.cmd("leave")
    b.mark()
    b.cmd("logout")
    b.wait("signed-off")
    a.see(alice=True)
    b.cmd("relogin")
    b.wait("signed-on")
    b.cmd("join", uri="meet:" + focus)
    for x in (a, b):
        x.see(alice=True, bob=False)


def test_when_all_have_left_nobody_is_in_the_conference(clients, stack):
    a, b = clients("alice", "bob")
    focus = room(b, creator=a)
    for x in (b, a):
        x.cmd("leave")
    stack.wait("the roster is empty", lambda: stack.admin("focusd", cmd="show", conf=focus)["users"] == 0, 10)
