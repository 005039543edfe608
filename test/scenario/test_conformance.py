# SPDX-License-Identifier: Apache-2.0
"""What conferencing servers and the focus must do by name, as far as no other file shows it already: the list with all names
is in docs/testing.md, each test bears its own as a mark. C1 to C18 are about conferencing servers, T1 to T14 about the focus.
"""
import configparser
import os
import re
import subprocess
import time

import pytest
from lxml import etree

from conclave_test import c3p, im
from conclave_test import commands as cmd
from conclave_test.c3p import CTYPE, Participant, Result, mcu_uri, request, service
from conclave_test.roster import NS
from conclave_test.sip import SipError, SipTimeout
from conclave_test.stack import REPO
from test_anonymous import anonymous, schedule

ALICE, BOB, CAROL = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol"))
A, B, C = 520, 640, 930
ALL = [A, B, C]


@pytest.fixture
def conf(uas, end):
    """alice organizes, bob is an attendee."""
    focus = c3p.schedule(uas["alice"], views=("audio-video", "chat"))
    alice, bob = (end(Participant(uas[u], focus)) for u in ("alice", "bob"))
    alice.wait("bob", lambda: BOB in alice.roster.users)
    return focus, alice, bob


# --- C: conferencing servers
@pytest.mark.conformance("C4")
@pytest.mark.parametrize("kind", ["applicationsharing", "meeting"])
def test_servers_that_call_nobody_say_so(conf, kind):
    focus, alice, bob = conf
    with cmd.Steady(alice):
        r = alice.focus.info(cmd.dial_out(focus, CAROL, c3p.guid(), kind=kind))
        assert (r.sip, r.code, r.reason) == (603, "failure", "notSupported"), r
        r = bob.focus.info(cmd.dial_out(focus, CAROL, c3p.guid(), kind=kind))
        assert r.code == "failure"
    r = alice.focus.info(cmd.dial_out(c3p.focus_uri("bob", c3p.new_id()), CAROL, c3p.guid(), kind=kind))
    assert r.sip == 400, "a server of another conference"


@pytest.mark.conformance("C8")
def test_the_louder_talker_is_the_first_source_and_a_change_shows_within_a_second(stack, end):
    a, b, c = (end(c3p.talk(stack.ua(u), stack.room(), tone=f)) for u, f in (("alice", A), ("bob", B), ("carol", C)))
    a.leg.quiet()

    def first_is(leg, loud, soft):
        loud.leg.db, soft.leg.db = -12.0, -32.0
        since = time.monotonic()
        stack.wait("the louder one first", lambda: (got := leg.between(time.monotonic() - 0.1)) and len(got) >= 3 and all(
            p.csrc and p.csrc[0] == loud.leg.ssrc for p in got), 3)
        return time.monotonic() - since

    a.leg.wait_heard({B, C}, ALL)
    first_is(a.leg, b, c)
    assert set(a.leg.packets[-1].csrc) == {b.leg.ssrc, c.leg.ssrc}
    assert first_is(a.leg, c, b) < 1.2
    assert first_is(a.leg, b, c) < 1.2


@pytest.mark.conformance("C17")
def test_ejection_from_chat_is_a_bye_of_the_chat_server_and_an_info_to_the_presenter(conf, end, uas):
    focus, alice, bob = conf
    mine, his = end(im.enter(alice.ua, focus)), end(im.enter(bob.ua, focus))
    third = end(Participant(uas["carol"], focus))
    hers = end(im.enter(third.ua, focus))
    alice.wait("three in chat", lambda: all(alice.roster.connected(u, "chat") for u in (ALICE, BOB, CAROL)))
    seen = len(alice.focus.requests)
    r = alice.focus.info(cmd.kick_from(focus, BOB, "chat"), wait_final=False)
    assert (r.sip, r.code) == (202, "pending"), "accepted first"
    assert his.ended.wait(5), "BYE in the dialog with the chat server"
    assert any(m.method == "BYE" for _, m in his.requests)
    final = alice.focus._final(r.request_id, seen, 5)
    assert (final.code, final.command) == ("success", "deleteUser")
    for p in (alice, bob, third):
        p.wait("only his chat is gone", lambda: list(p.roster.users[BOB]["endpoints"]) == ["focus"])
    assert not bob.focus.ended.is_set() and his.send("still here?").code in (403, 481)
    assert mine.send("after").code == 202
    hers.wait_texts(["after"])
    assert his.texts == []
    end(im.enter(bob.ua, focus))                                # from the chat, not from the conference: he may come again
    alice.wait("bob is back", lambda: alice.roster.connected(BOB, "chat"))


class SecondMcu:
    """Another media server beside the group's own: own certificate, ports and media ports of the same block."""
    def __init__(self, stack):
        self.stack = stack
        stack.run("cert", "issue", "mcu", "mcu-2")
        conf = configparser.ConfigParser(interpolation=None)
        conf.read(stack.dir / "etc" / "mcu.conf")
        sip, http, metrics, media = stack.base + 15, stack.base + 16, stack.base + 17, stack.base + 422
        for section, key, value in (("mcu", "node", "mcu-2"), ("tls", "cert", stack.dir / "certs" / "mcu-2.pem"), ("sip", "port", sip),
                                    ("tls", "key", stack.dir / "certs" / "mcu-2.key"), ("http", "port", http), ("metrics", "port", metrics),
                                    ("http", "url", f"https://{stack.host}:{http}"), ("admin", "socket", stack.dir / "run" / "mcu-2.sock"),
                                    ("media", "port_min", media), ("media", "port_max", media + 15)):
            conf[section][key] = str(value)
        path = stack.dir / "etc" / "mcu-2.conf"
        with open(path, "w") as f:
            conf.write(f)
        env = stack.env()
        binary = os.path.join(env.get("CONCLAVE_BUILD", str(REPO / "build")), "mcu")
        self.log = open(stack.dir / "log" / "mcu-2.log", "wb")
        self.proc = subprocess.Popen([binary, "-c", path], stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log, env=env)
        stack.wait("two media servers", lambda: b"mcu mcu-2: up" in (stack.dir / "log" / "focusd.log").read_bytes(), 10)

    def kill(self):
        self.proc.kill()
        self.proc.wait(5)

    def stop(self):
        self.kill()
        self.log.close()


def node_of(call):
    return re.search(r"oc-mcu=([\w-]+)", call.answer.all("Contact")[0]).group(1)


def active(p, focus):
    view = cmd.view(p.roster, focus)
    return view is not None and view.findtext("msci:entity-state/msci:active", namespaces=NS) == "true"


@pytest.mark.conformance("C18", "T12")
def test_a_killed_media_server_leaves_the_roster_and_the_next_call_gets_another_one(stack, conf, end):
    focus, alice, bob = conf
    second = end(SecondMcu(stack))
    alice.call(A), bob.call(B)
    alice.wait("both talk", lambda: alice.roster.media(ALICE) and alice.roster.media(BOB) and active(alice, focus))
    alice.leg.wait_heard({B}, ALL)
    dead = node_of(alice.audio)
    assert node_of(bob.audio) == dead, "a conference has one server of a type"
    at = time.monotonic()
    stack.kill("mcu") if dead == "mcu-1" else second.kill()
    for p in (alice, bob):
        p.wait("no audio endpoint, no server", lambda: not any(p.roster.endpoints(u, "audio-video") for u in (ALICE, BOB)) and not active(p, focus), 30)
    assert time.monotonic() - at < 30 and "focus" in alice.roster.users[ALICE]["endpoints"]
    for p in (alice, bob):
        p.audio.leg.stop()
        p.audio.ended.set()                                     # its server cannot take a BYE any more
    limit = time.monotonic() + 10
    while True:
        try:
            bob.call(B)
            break
        except (SipError, SipTimeout) as e:
            assert time.monotonic() < limit, e
            time.sleep(0.2)
    assert node_of(bob.audio) == ({"mcu-1", "mcu-2"} - {dead}).pop()
    alice.call(A)
    alice.leg.wait_heard({B}, ALL)
    for p in (alice, bob):
        p.wait("both are back", lambda: p.roster.media(ALICE) and p.roster.media(BOB) and active(p, focus))
    cmd.same(alice, bob)
    alice.audio.close(), bob.audio.close()
    if dead == "mcu-1":
        stack.restart("mcu")


# --- T: the focus
@pytest.mark.conformance("T1")
def test_an_invite_of_the_shape_of_pidgin_sipe_is_admitted_without_a_timer(uas):
    ua, focus = uas["bob"], c3p.schedule(uas["alice"])
    endpoint = c3p.guid()
    body = (f'<?xml version="1.0"?>\n<request xmlns="urn:ietf:params:xml:ns:cccp" xmlns:mscp="http://schemas.microsoft.com/rtc/2005/08/cccpextensions" '
            f'C3PVersion="1" to="{focus}" from="{BOB}" requestId="0"><addUser><conferenceKeys confEntity="{focus}"/>'
            f'<ci:user xmlns:ci="urn:ietf:params:xml:ns:conference-info" entity="{BOB}"><ci:roles><ci:entry>attendee</ci:entry></ci:roles>'
            f'<ci:endpoint entity="{endpoint}" xmlns:msci="http://schemas.microsoft.com/rtc/2005/08/confinfoextensions"><msci:clientInfo>'
            f'<cis:separator xmlns:cis="urn:ietf:params:xml:ns:conference-info-separator"/><msci2:lobby-capable '
            f'xmlns:msci2="http://schemas.microsoft.com/rtc/2008/12/confinfoextensions">true</msci2:lobby-capable></msci:clientInfo></ci:endpoint>'
            f"</ci:user></addUser></request>").encode()
    call = ua.invite(focus, body, CTYPE, [("Supported", "ms-sender"), ("Supported", "ms-dialog-route-set-update")], cls=c3p.FocusCall)
    assert call.answer.code == 200 and not call.answer.get("Session-Expires")
    assert "timer" not in ",".join(call.answer.all("Require"))
    r = Result(call.answer)
    assert (r.code, r.request_id, r.command) == ("success", "0", "addUser")
    assert [e.text for e in r.cmd.findall("ci:user/ci:roles/ci:entry", NS)] == ["attendee"]
    assert call.bye().code == 200


@pytest.mark.conformance("T2")
def test_names_count_and_prefixes_do_not(conf):
    focus, alice, bob = conf
    head = f'C3PVersion="1" from="{ALICE}" to="{focus}"'
    cccp, ci, msci = "urn:ietf:params:xml:ns:cccp", "urn:ietf:params:xml:ns:conference-info", "http://schemas.microsoft.com/rtc/2005/08/confinfoextensions"
    variants = {
        "prefixes swapped": f'<ci:request xmlns:ci="{cccp}" {head} requestId="71"><ci:modifyUser><ci:userKeys confEntity="{focus}" userEntity="{BOB}"/>'
                            f'<c:user xmlns:c="{ci}" entity="{BOB}" state="partial"><c:display-text>V1</c:display-text></c:user></ci:modifyUser></ci:request>',
        "a default on each child": f'<request xmlns="{cccp}" {head} requestId="72"><modifyUser><userKeys confEntity="{focus}" userEntity="{BOB}"/>'
                                   f'<user xmlns="{ci}" entity="{BOB}" state="partial"><display-text>V2</display-text></user></modifyUser></request>',
        "other prefixes, other order": f'<?xml version="1.0" encoding="utf-8" standalone="yes"?><q:request {head.replace("from", "from")} '
                                       f'requestId="73" xmlns:q="{cccp}" xmlns:z="{ci}"><!-- a comment --><q:modifyUser>\n\t<z:user state="partial" '
                                       f'entity="{BOB}"><z:display-text><![CDATA[V3]]></z:display-text></z:user>'
                                       f'<q:userKeys userEntity="{BOB}" confEntity="{focus}"></q:userKeys></q:modifyUser></q:request>',
    }
    for i, (name, body) in enumerate(variants.items()):
        r = alice.focus.info(None, raw=body.encode())
        assert (r.sip, r.code) == (200, "success"), (name, r)
        bob.wait(name, lambda: cmd.display(bob.roster, BOB) == f"V{i + 1}")
    conf_id = c3p.new_id()
    to = c3p.factory_uri("alice")
    bare = request(f'<addConference><conference-info xmlns="{ci}" entity=""><conference-description><subject>s</subject><conference-id xmlns="{msci}">'
                   f"{conf_id}</conference-id></conference-description></conference-info></addConference>", ALICE, to)
    assert service(alice.ua, None, raw=bare).code == "success"
    for keys in (f'<conferenceKeys m:conference-id="{conf_id}" xmlns:m="{msci}"/>', f'<conferenceKeys confEntity="{c3p.focus_uri("alice", conf_id)}"/>'):
        r = service(alice.ua, f"<getConference>{keys}</getConference>")
        assert r.cmd.findtext(".//ci:subject", namespaces=NS) == "s", r


@pytest.mark.conformance("T4")
def test_a_client_that_never_answers_an_info_of_the_focus_stays(conf):
    """Past the end of the transaction (32 s) nothing happened to him; commands and documents go on."""
    focus, alice, bob = conf
    bob.call(B)
    bob.wait("his audio", lambda: bob.roster.media(BOB))
    endpoint, media = bob.roster.media(BOB)
    bob.ua.handlers["INFO"] = lambda dialog, msg: None
    try:
        for block in (True, False, True):
            assert bob.focus.info(c3p.mute(focus, BOB, endpoint, media.get("id"), block), wait_final=False).code == "pending"
        bob.wait("muted", lambda: bob.roster.ingress(BOB) == "block")
        time.sleep(36)
        assert not bob.focus.ended.is_set() and not bob.sub.terminated.is_set() and not bob.audio.ended.is_set()
        assert BOB in alice.roster.users and alice.roster.connected(BOB, "audio-video")
        assert bob.focus.info(cmd.modify_user(focus, BOB, "Silent")).code == "success"
        alice.wait("his name", lambda: cmd.display(alice.roster, BOB) == "Silent")
    finally:
        bob.ua.handlers.pop("INFO")


@pytest.mark.conformance("T5")
def test_a_changed_user_is_shown_with_all_his_endpoints(stack, conf, end):
    focus, alice, bob = conf
    other = c3p.join(stack.ua("bob"), focus)                    # a second device
    bob.call(B)
    chat = end(im.enter(bob.ua, focus))
    assert chat
    everything = {"focus", "audio-video", "chat"}
    alice.wait("all of bob", lambda: set(alice.roster.users[BOB]["endpoints"]) == everything and len(alice.roster.endpoints(BOB)) == 4)
    seen = len(alice.sub.documents)
    endpoint, media = alice.roster.media(BOB)
    for c in (c3p.role(focus, BOB, "presenter"), c3p.mute(focus, BOB, endpoint, media.get("id")), cmd.modify_user(focus, BOB, "Bobby")):
        assert alice.focus.info(c).code == "success"
        time.sleep(0.35)
    alice.wait("three changes", lambda: alice.roster.ingress(BOB) == "block" and cmd.display(alice.roster, BOB) == "Bobby")
    shown = [u for _, m in alice.sub.documents[seen:] for u in etree.fromstring(m.body).findall(f"ci:users/ci:user[@entity='{BOB}']", NS)]
    assert len(shown) >= 2
    for u in shown:
        assert u.get("state", "full") == "full" and len(u.findall("ci:endpoint", NS)) == 4
    other.bye()


@pytest.mark.conformance("T6")
def test_each_change_of_the_lock_names_the_chat_server_with_its_medium(conf):
    focus, alice, bob = conf
    for value in (True, False, True):
        seen = len(bob.sub.documents)
        assert alice.focus.info(c3p.lock(focus, value)).code == "success"
        bob.wait("the lock", lambda: set(bob.roster.locked.values()) == {value})
        views = [v for _, m in bob.sub.documents[seen:] for v in etree.fromstring(m.body).iter(f"{{{NS['msci']}}}entity-view")]
        chat = [v for v in views if v.get("entity") == mcu_uri(focus, "chat")]
        assert chat and all(v.findtext("msci:entity-state/msci:locked", namespaces=NS) == str(value).lower() for v in chat)
        assert all(v.findtext("msci:entity-state/msci:media/ci:entry/ci:type", namespaces=NS) == "chat" for v in chat)
        assert {v.get("entity") for v in views} == {mcu_uri(focus, "chat"), mcu_uri(focus)}


@pytest.mark.conformance("T7")
def test_an_unsubscribe_out_of_dialog_before_and_after_the_bye_creates_nothing(stack, conf):
    focus, alice, bob = conf
    before = stack.metrics("focusd")["conclave_focus_subscriptions"]

    def away():
        answer = bob.ua.subscribe(focus, headers=c3p.SIPE, expires=0, ok=False).answer
        assert (answer.code, answer.get("Expires"), answer.body) == (200, "0", b"")
        assert answer.get("Subscription-State", "").startswith("terminated")
    away()
    assert not bob.sub.terminated.is_set(), "the subscription itself goes on"
    assert bob.focus.bye().code == 200
    away()
    alice.wait("bob left", lambda: BOB not in alice.roster.users)
    away()
    stack.wait("his own ended with his dialog", lambda: stack.metrics("focusd")["conclave_focus_subscriptions"] == before - 1)


@pytest.mark.conformance("T11")
def test_a_guest_who_is_left_alone_stays_for_the_grace_and_no_longer(stack, uas, end):
    """Last: this focus ends conferences sooner."""
    conf = stack.dir / "etc" / "focusd.conf"
    conf.write_text(conf.read_text() + "\n[conference]\ngrace_s = 4\nempty_s = 1\n")
    stack.restart("focusd")
    stack.wait("the focus is up", lambda: service(uas["alice"], "<getAvailableMcuTypes/>").sip == 200, 10)
    focus = schedule(stack, uas["alice"])
    alice, guest = Participant(uas["alice"], focus), end(Participant(anonymous(stack), focus))
    guest.wait("alice", lambda: ALICE in guest.roster.users)
    alice.close()
    guest.wait("alice left", lambda: ALICE not in guest.roster.users)
    time.sleep(2)
    assert not guest.focus.ended.is_set()
    with Participant(uas["alice"], focus):                      # somebody who is known came back: the time is not running any more
        time.sleep(4)
        assert not guest.focus.ended.is_set()
    left = time.monotonic()
    assert guest.focus.ended.wait(9) and guest.sub.terminated.wait(3)
    assert 3 < time.monotonic() - left < 9
