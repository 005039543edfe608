# SPDX-License-Identifier: Apache-2.0
"""Registrar, calls between users, requests of daemons to users, WSS, metrics."""
import base64
import os
import socket
import sqlite3
import ssl
import time
import urllib.error
import urllib.request

import pytest

from conftest import conclave
from sip import Client, Msg, digest, reply_to, take, token
from test_calls import AV, CARRIER, FOCUS, ROOM, SDP, focus_accepts, routes_of

REG = "sip:conclave.test"


def register(group, user, proto, expires=600):
    c = group.client(proto)
    c.authed("REGISTER", REG, group.passwords[user], user=user, expect=401, to=f"sip:{user}@conclave.test", extra=[f"Expires: {expires}"])
    r = c.wait(200)
    assert (expires == 0) == (not r.get("Contact")), r.headers
    return c


@pytest.mark.parametrize("caller,callee", [("udp", "udp"), ("tcp", "tls"), ("udp", "tcp")])
def test_two_users_call_each_other(group, caller, callee):
    b = register(group, "bob", callee)
    a = group.client(caller)
    call = a.authed("INVITE", "sip:bob@conclave.test", group.passwords["alice"], body=SDP)
    invite = b.wait("INVITE")
    assert "alias=" in invite.get("Contact")
    b.send(reply_to(invite, 180, "Ringing", f"<sip:bob@{b.me};transport={callee}>", tag="btag"))
    a.wait(180)
    b.send(reply_to(invite, 200, "OK", f"<sip:bob@{b.me};transport={callee}>", tag="btag", body=SDP, extra=["Content-Type: application/sdp"]))
    ok = a.wait(200)
    target = ok.get("Contact").split("<")[1].split(">")[0]
    a.ack(ok, target, routes_of(ok))
    b.wait("ACK")
    # bob hangs up: to alice's contact with its alias, by the route set of the INVITE
    to = invite.get("Contact").split("<")[1].split(">")[0]
    b.send(b.request("BYE", to, user="bob", callid=call, cseq=1, tag="btag", to="sip:alice@conclave.test", to_tag="ft1",
                     routes=invite.all("Record-Route")))
    bye = a.wait("BYE")
    a.send(reply_to(bye, 200, "OK"))
    b.wait(200)
    b.close()


def test_a_registration_survives_in_the_location_file_and_ends(group):
    c = register(group, "carol", "udp")
    end = time.monotonic() + 25
    while time.monotonic() < end:
        rows = sqlite3.connect(group.path("db/location.sqlite")).execute("SELECT contact, received FROM location WHERE username='carol'").fetchall()
        if any(c.me in r[0] for r in rows):
            break
        time.sleep(0.5)
    assert any(c.me in r[0] for r in rows)
    c.authed("REGISTER", REG, group.passwords["carol"], user="carol", expect=401, to="sip:carol@conclave.test", extra=["Expires: 0"],
             contact="*")
    c.wait(200)


def test_a_user_who_is_not_registered_gives_480_and_does_not_become_a_room(group, daemons):
    focus, _ = daemons
    a = group.client("tcp")
    conclave("user", "add", "absent:x", "--dir", group.dir)
    a.authed("INVITE", "sip:absent@conclave.test", group.passwords["alice"])
    assert a.wait(480).get("ms-diagnostics")
    assert not focus.seen


def test_a_registration_cannot_point_elsewhere(group):
    """The location is where the REGISTER came from; another user's name is refused."""
    v = group.client("udp")
    b = group.client("udp")
    b.authed("REGISTER", REG, group.passwords["bob"], user="bob", expect=401, to="sip:bob@conclave.test", contact=f"<sip:bob@{v.me}>",
             extra=["Expires: 60"])
    b.wait(200)
    a = group.client("udp")
    a.authed("INVITE", "sip:bob@conclave.test", group.passwords["alice"], body=SDP)
    b.wait("INVITE")
    assert v.silent()
    c = group.client("udp")
    c.authed("REGISTER", REG, group.passwords["alice"], user="alice", expect=401, to="sip:bob@conclave.test")
    c.wait(403)


def test_the_user_commands_work_on_the_running_group(group):
    def cmd(*args, **kw):
        return conclave("user", *args, "--dir", group.dir, **kw)
    assert cmd("add", "dave:secret1").returncode == 0
    assert "exists" in cmd("add", "dave:other").stderr
    assert "dave" in cmd("list").stdout.split()
    c = group.client("udp")
    c.authed("REGISTER", REG, "secret1", user="dave", expect=401, to="sip:dave@conclave.test")
    c.wait(200)
    assert cmd("passwd", "dave", input="secret2\n").returncode == 0
    c.authed("REGISTER", REG, "secret1", user="dave", expect=401, to="sip:dave@conclave.test")
    c.wait(401)
    c.authed("REGISTER", REG, "secret2", user="dave", expect=401, to="sip:dave@conclave.test")
    c.wait(200)
    assert cmd("del", "dave").returncode == 0 and cmd("del", "dave").returncode == 1
    data = open(group.path("db/credentials.sqlite"), "rb").read()
    assert b"secret" not in data and os.stat(group.path("db/credentials.sqlite")).st_mode & 0o77 == 0


def test_a_daemon_dials_a_registered_user_but_no_stranger(group, daemons):
    focus, _ = daemons
    b = register(group, "bob", "tcp")
    out = focus.link
    out.send(out.request("INVITE", "sip:bob@conclave.test", from_uri=FOCUS, contact=f"<{AV};oc-mcu=mcu-1>;isfocus", body=SDP))
    invite = b.wait("INVITE")
    b.send(reply_to(invite, 200, "OK", f"<sip:bob@{b.me};transport=tcp>", tag="bt"))
    ok = out.wait(200)
    assert "alias=" in ok.get("Contact")
    out.ack(ok, ok.get("Contact").split("<")[1].split(">")[0], routes_of(ok))
    b.wait("ACK")
    focus.answer = focus_accepts
    b.send(b.request("BYE", AV + ";oc-mcu=mcu-1", user="bob", callid=invite.get("Call-ID"), tag="bt", to_tag="ft1", routes=invite.all("Record-Route")))
    daemons[1].wait("BYE")
    out.send(out.request("INVITE", "sip:+49301@pstn.example", from_uri=FOCUS))
    assert "not allowed" in out.wait(403).get("ms-diagnostics")


def test_a_conference_dials_out_by_a_trunk_where_the_policy_says_so(group, daemons):
    focus, mcu = daemons
    t = Client(group.addr["sip"]["udp"], "udp", source="127.0.0.2")
    policy = group.path("etc/policy.d/60-out.lua")
    with open(policy, "w") as f:
        f.write("return { allow_dial_out = function(r) if r.user:match('^%+49') then return 'sip:" + t.me + "' end end }")
    try:
        assert conclave("reload", "--dir", group.dir).returncode == 0
        out = mcu.out()
        out.send(out.request("INVITE", "sip:+4930@conclave.test", from_uri=AV, contact=f"<{AV};oc-mcu=mcu-1>;isfocus", body=SDP))
        invite = t.wait("INVITE")
        t.send(reply_to(invite, 200, "OK", f"<sip:+4930@{t.me}>", tag="tt"))
        ok = out.wait(200)
        out.ack(ok, ok.get("Contact").split("<")[1].split(">")[0], routes_of(ok))
        t.wait("ACK")
        mcu.answer = focus_accepts
        t.send(t.request("BYE", AV + ";oc-mcu=mcu-1", from_uri="sip:+4930@conclave.test", callid=invite.get("Call-ID"), tag="tt",
                         to=AV, to_tag="ft1", routes=invite.all("Record-Route")))
        assert mcu.wait("BYE").get("Conclave-Access").startswith("trunk;media=any")
        t.wait(200)
        for name in ("+1234", "lobby"):                 # nobody's name, and no hook wants it: like a user who is away
            out.send(out.request("INVITE", f"sip:{name}@conclave.test", from_uri=AV))
            out.wait(480)
        out.send(out.request("INVITE", "tel:+1234", from_uri=AV))
        out.wait(403)
    finally:
        os.unlink(policy)
        assert conclave("reload", "--dir", group.dir).returncode == 0


class Ws(Client):
    """SIP over a secure WebSocket, as far as a test needs it."""

    def __init__(self, group):
        super().__init__(group.addr["sip"]["wss"], "tls", ca=group.addr["ca"])

    def _stream(self, sock):
        key = base64.b64encode(os.urandom(16)).decode()
        sock.sendall((f"GET / HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n"
                      "Sec-WebSocket-Protocol: sip\r\nSec-WebSocket-Version: 13\r\nOrigin: http://x\r\n\r\n").encode())
        buf = b""
        while b"\r\n\r\n" not in buf:
            buf += sock.recv(4096)
        self.handshake, _, buf = buf.partition(b"\r\n\r\n")
        while True:
            while len(buf) < 2 or len(buf) < self._need(buf):
                data = sock.recv(65536)
                if not data:
                    return
                buf += data
            need = self._need(buf)
            off = 4 if buf[1] & 127 == 126 else 2
            payload, op, buf = buf[off:need], buf[0] & 15, buf[need:]
            if op in (1, 2) and payload.strip():
                self._got(Msg(payload), self.send)

    @staticmethod
    def _need(buf):
        n = buf[1] & 127
        return 4 + int.from_bytes(buf[2:4], "big") if n == 126 and len(buf) >= 4 else 2 + n if n < 126 else 1 << 30

    def send(self, data):
        data = data.replace(b"SIP/2.0/TLS", b"SIP/2.0/WSS").replace(b"transport=tls", b"transport=ws")
        mask = b"\0\0\0\0"
        self.sock.sendall(bytes([0x81, 0x80 | 126]) + len(data).to_bytes(2, "big") + mask + data)


def test_a_browser_registers_and_calls_over_wss(group, daemons):
    focus, _ = daemons
    focus.answer = focus_accepts
    w = Ws(group)
    time.sleep(0.3)
    assert w.handshake.startswith(b"HTTP/1.1 101")
    w.authed("REGISTER", REG, group.passwords["alice"], expect=401, to="sip:alice@conclave.test", contact="<sip:x@abc.invalid;transport=ws>")
    w.wait(200)
    w.send(w.request("SUBSCRIBE", FOCUS, contact="<sip:x@abc.invalid;transport=ws>"))    # the connection is alice's now
    sub = focus.wait("SUBSCRIBE")
    w.wait(200)
    contact = sub.get("Contact").split("<")[1].split(">")[0]
    out = focus.link
    out.send(out.request("NOTIFY", contact, from_uri=FOCUS, callid=sub.get("Call-ID"), tag="focustag", to="sip:alice@conclave.test", to_tag="ft1",
                         routes=sub.all("Record-Route")))
    w.send(reply_to(w.wait("NOTIFY"), 200, "OK"))
    out.wait(200)


def test_metrics_are_served_on_their_port_only(group, daemons):
    text = urllib.request.urlopen(group.addr["metrics"]["kamailio"], timeout=5).read().decode()
    assert 'conclave_requests{method="OPTIONS"}' in text and "conclave_mcus" in text, text[-800:]
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen("http://" + group.addr["sip"]["tcp"] + "/metrics", timeout=5)
    with pytest.raises(urllib.error.HTTPError) as e:
        opener = socket.create_connection(("127.0.0.1", group.base + 4), 3, ("127.0.0.5", 0))
        opener.sendall(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        code = int(opener.recv(200).split()[1])
        raise urllib.error.HTTPError("", code, "", {}, None)
    assert e.value.code == 403
