# SPDX-License-Identifier: Apache-2.0
"""pidgin-sipe in a conference's audio: ICE of draft 6 with Microsoft's STUN, SRTP, a tone from each, heard by the others.

The client never offers 127.0.0.1, so the group has an address of the machine's interface. libpurple mutes by itself too: that a
mute reaches the conference is seen in the roster.
"""
import re
import socket
import time

import pytest
from conclave_test import rtp
from conclave_test.baresip import Baresip, available
from conclave_test.stack import Stack

TONES = {"alice": 440, "bob": 620, "carol": 840}
LOUD, SILENT = -25, -45                      # dB below full scale; the tones have -14


def interface():
    """An address of ours that is not loopback: where a packet to elsewhere would come from. Nothing is sent."""
    for target in ("192.0.2.1", "203.0.113.1", "10.255.255.255"):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            try:
                s.connect((target, 9))
                ip = s.getsockname()[0]
            except OSError:
                continue
            if not ip.startswith("127."):
                return ip
    return None


pytestmark = pytest.mark.skipif(interface() is None, reason="no interface but loopback: the client offers no media there")


def make_stack():
    return Stack("--bind", interface())


def hears(client, *tones, timeout=10):
    """Until the client hears exactly these of all tones."""
    end = time.monotonic() + timeout
    while True:
        levels = client.hear(*TONES.values())
        if all((db > LOUD) if hz in tones else (db < SILENT) for hz, db in levels.items()):
            return levels
        assert time.monotonic() < end, f"{client.user} hears {levels}, wanted {tones}\n{client.tail(120)}"
        time.sleep(0.2)


def in_chat(stack, *clients):
    """All of them in the room's chat."""
    for c in clients:
        c.cmd("join", uri="meet:" + stack.focus())
    for c in clients:
        c.see(**{x.user: x.user == "alice" for x in clients})
        c.mark()


def calls(client):
    client.cmd("call")
    client.wait("media", state="connected", session="audio", timeout=15)


def accepts_the_call(client):
    """The plugin saw others in the audio, and asks."""
    ask = client.wait("request", primary=lambda t: "conference call" in t)
    client.cmd("answer", request=ask["request"], choice=ask["choices"].index("Accept"))
    client.wait("media", state="connected", session="audio", timeout=15)


def documents_of(client):
    return (client.home / "driver.log").read_text(errors="replace")


def filter_of(client, user):
    """The newest ingress filter of that user's audio in what the client was told."""
    found = re.findall(rf'<user entity="sip:{user}@.*?</user>', documents_of(client), re.S)
    return next((m.group(1) for u in reversed(found) if (m := re.search(r'"audio-video".*?media-ingress-filter>(\w+)<', u, re.S))), None)


def test_two_clients_hear_each_other_and_not_themselves(clients, stack):
    a, b = clients("alice", "bob", tones=TONES)
    in_chat(stack, a, b)
    calls(a)
    accepts_the_call(b)
    hears(a, TONES["bob"])
    hears(b, TONES["alice"])
    b.cmd("hangup")
    b.wait("media", state="end")
    hears(a)
    b.see(alice=True, bob=False)             # still in the chat
    calls(b)
    hears(a, TONES["bob"])
    hears(b, TONES["alice"])


@pytest.mark.skipif(not available(), reason="no baresip")
def test_two_clients_and_a_phone_hear_each_other(clients, stack):
    a, b = clients("alice", "bob", tones=TONES)
    in_chat(stack, a, b)
    with Baresip(stack, "carol", TONES["carol"], codec="PCMA") as phone:
        phone.wait_registered()
        phone.dial(stack.room())
        calls(a)
        accepts_the_call(b)
        hears(a, TONES["bob"], TONES["carol"])
        hears(b, TONES["alice"], TONES["carol"])
        time.sleep(2)
        phone.hangup()
        hears(a, TONES["bob"])
        pcm, rate = phone.heard()
        levels = rtp.levels(pcm[-rate:], TONES.values(), rate)
        assert {hz for hz, db in levels.items() if db > LOUD} == {TONES["alice"], TONES["bob"]}, levels
    assert a.roster() == {"alice": True, "bob": False}


def test_a_client_mutes_itself_by_the_conference(clients, stack):
    a, b = clients("alice", "bob", tones=TONES)
    in_chat(stack, a, b)
    calls(a)
    accepts_the_call(b)
    hears(b, TONES["alice"])
    a.cmd("mute", on=True)
    hears(b)
    stack.wait("the roster shows the mute", lambda: filter_of(b, "alice") == "block")
    hears(a, TONES["bob"])
    a.cmd("mute", on=False)
    hears(b, TONES["alice"])
    stack.wait("the roster shows it undone", lambda: filter_of(b, "alice") == "unblock")


def test_a_client_is_muted_by_the_operator(clients, stack):
    a, b = clients("alice", "bob", tones=TONES)
    in_chat(stack, a, b)
    calls(a)
    accepts_the_call(b)
    hears(b, TONES["alice"])
    stack.admin("focusd", cmd="mute", conf="lobby", user="sip:alice@conclave.test", muted=True)
    hears(b)
    hears(a, TONES["bob"])
    stack.admin("focusd", cmd="mute", conf="lobby", user="sip:alice@conclave.test", muted=False)
    hears(b, TONES["alice"])


def test_who_is_removed_is_out_of_chat_and_audio(clients, stack):
    a, b, c = clients("alice", "bob", "carol", tones=TONES)
    in_chat(stack, a, b, c)
    calls(a)
    accepts_the_call(b)
    accepts_the_call(c)
    hears(a, TONES["bob"], TONES["carol"])
    hears(c, TONES["alice"], TONES["bob"])
    a.cmd("buddy", user="sip:bob@conclave.test", item="Remove from")
    b.wait("media", state="end")
    b.wait("text", kind="notice", text=lambda t: "disconnected" in t)
    hears(a, TONES["carol"])
    for x in (a, c):
        x.see(alice=True, carol=False)


def test_a_lost_client_leaves_the_audio(clients, stack):
    a, b = clients("alice", "bob", tones=TONES)
    in_chat(stack, a, b)
    calls(a)
    accepts_the_call(b)
    hears(a, TONES["bob"])
    b.proc.kill()
    hears(a)
    a.see(alice=True, timeout=6)
