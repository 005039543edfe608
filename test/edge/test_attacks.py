# SPDX-License-Identifier: Apache-2.0
"""What must not get through."""
import os
import socket
import ssl
import subprocess
import threading
import time

import pytest

from conftest import announce, conclave
from sip import Client, Daemon, reply_to, token
from test_calls import AV, CARRIER, FOCUS, FORGED, ROOM, SDP, accepts, focus_accepts, redirects, routes_of


def established(group, daemons, proto="tcp"):
    focus, mcu = daemons
    focus.answer, mcu.answer = redirects, accepts
    c = group.client(proto)
    call = c.authed("INVITE", ROOM, group.passwords["alice"], body=SDP)
    ok = c.wait(200)
    c.ack(ok, f"{AV};oc-mcu=mcu-1", routes_of(ok))
    mcu.wait("ACK")
    return c, call, routes_of(ok), mcu


@pytest.mark.parametrize("proto", ["udp", "tcp", "tls"])
def test_a_forged_bye_with_the_right_route_and_tags_is_challenged(group, daemons, proto):
    c, call, routes, mcu = established(group, daemons, proto)
    thief = group.client(proto)
    thief.send(thief.request("BYE", f"{AV};oc-mcu=mcu-1", callid=call, cseq=9, to=ROOM, to_tag="mcutag", routes=routes, extra=FORGED))
    r = thief.wait(407)
    assert r.get("ms-diagnostics") and mcu.silent()
    # Somebody else's good digest does not help: From is alice's.
    from sip import digest
    thief.send(thief.request("BYE", f"{AV};oc-mcu=mcu-1", callid=call, cseq=10, to=ROOM, to_tag="mcutag", routes=routes,
                             extra=[digest(r, "bob", group.passwords["bob"], "BYE", f"{AV};oc-mcu=mcu-1")]))
    thief.wait(403)
    assert mcu.silent()


def test_a_forged_bye_to_the_client_by_way_of_its_alias_is_challenged(group, daemons):
    c, call, routes, mcu = established(group, daemons)
    thief = group.client("tcp")
    ip, port = c.me.split(":")
    thief.send(thief.request("BYE", f"sip:alice@{c.me};alias={ip}~{port}~2", callid=call, cseq=9, from_uri=FOCUS, to="sip:alice@conclave.test",
                             to_tag="ft1", routes=routes))
    thief.wait(407)
    assert c.silent()


def test_a_stray_ack_and_a_stray_cancel_go_nowhere(group, daemons):
    c, call, routes, mcu = established(group, daemons)
    thief = group.client("tcp")
    thief.send(thief.request("ACK", f"{AV};oc-mcu=mcu-1", callid=call, to=ROOM, to_tag="mcutag", routes=routes))
    thief.send(thief.request("CANCEL", ROOM, callid=call))
    thief.wait(481)
    assert mcu.silent()


def test_another_users_identity_is_refused(group, daemons):
    c = group.client("tcp")
    c.send(c.request("INVITE", ROOM, user="alice", callid=(call := token("call"))))
    ch = c.wait(407)
    from sip import digest
    c.send(c.request("INVITE", ROOM, user="alice", callid=call, cseq=2, extra=[digest(ch, "bob", group.passwords["bob"], "INVITE", ROOM)]))
    assert c.wait(403).get("ms-diagnostics")


def test_a_trunk_may_not_speak_as_one_of_our_users(group, daemons):
    c = group.client("tcp", "127.0.0.2")
    for spelt in ("alice@conclave.test", "al%69ce@conclave.test", "ALICE@Conclave.Test", "alice@conclave.test.", "alice@127.0.0.1"):
        c.send(c.request("INVITE", ROOM, from_uri="sip:" + spelt))
        c.wait(407)
        c.send(c.request("INVITE", ROOM, from_uri=CARRIER, extra=[f"P-Asserted-Identity: <sip:{spelt}>"]))
        c.wait(403)
    c.send(c.request("INVITE", ROOM, from_uri=CARRIER, extra=["P-Asserted-Identity: <sip:alice@conclave.test>"]))
    assert "does not belong" in c.wait(403).get("ms-diagnostics")


def test_a_trunk_may_not_end_a_call_that_it_did_not_make(group, daemons):
    c, call, routes, mcu = established(group, daemons)
    t = group.client("tcp", "127.0.0.2")
    t.send(t.request("BYE", f"{AV};oc-mcu=mcu-1", callid=call, cseq=9, from_uri=CARRIER, to=ROOM, to_tag="mcutag", routes=routes))
    t.wait(481)
    assert mcu.silent()


def test_a_trunks_dialog_survives_a_restart_of_the_edge(group, daemons):
    """The edge remembers nothing then; the trunk's BYE still reaches the MCU, a user's is challenged."""
    _, mcu = daemons
    mcu.answer = accepts
    t = group.client("udp", "127.0.0.2")
    t.send(t.request("BYE", f"{AV};oc-mcu=mcu-1", callid=token("old"), cseq=9, from_uri=CARRIER, to=ROOM, to_tag="mcutag"))
    assert mcu.wait("BYE").all("Conclave-Access") == ["trunk;media=any;name=trunk-127.0.0.2;udp"]
    t.wait(200)
    c = group.client("udp")
    c.send(c.request("BYE", f"{AV};oc-mcu=mcu-1", callid=token("old"), cseq=9, to=ROOM, to_tag="mcutag"))
    c.wait(407)


def test_too_many_requests_of_one_address_are_dropped_for_a_while(group):
    c = group.client("udp", "127.0.0.8")
    for _ in range(600):
        c.send(c.request("OPTIONS", "sip:conclave.test"))
    time.sleep(1)
    answered = len([m for m in c.seen if m.code == 200])
    assert 100 < answered < 450, answered
    other = group.client("udp", "127.0.0.7")
    other.send(other.request("OPTIONS", "sip:conclave.test"))
    other.wait(200)


def test_failing_handshakes_from_all_sides_do_not_hurt_the_edge(group):
    pids = group.refresh()["pids"]

    def fail(n):
        for _ in range(60):
            try:
                s = socket.create_connection(("127.0.0.1", group.base + (3 if n % 2 else 1)), 3)
                if n % 3 == 2:
                    s.sendall(b"\x16\x03\x01no handshake" * 9)
                    s.recv(99)
                    continue
                ctx = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
                ctx.check_hostname, ctx.verify_mode = False, ssl.CERT_NONE
                t = ctx.wrap_socket(s)
                t.settimeout(2)
                t.send(b"\r\n")
                t.recv(9) if n % 2 else t.close()
            except OSError:
                pass

    threads = [threading.Thread(target=fail, args=(n,)) for n in range(12)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    c = group.client("tls")
    c.send(c.request("OPTIONS", "sip:conclave.test"))
    c.wait(200)
    assert group.refresh()["pids"] == pids and "CRITICAL" not in group.log()


def test_nothing_is_relayed_to_other_domains_or_by_a_preloaded_route(group, daemons):
    focus, mcu = daemons
    focus.answer = focus_accepts
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("INVITE", "sip:victim@203.0.113.7", from_uri=CARRIER))
    assert "does not relay" in c.wait(403).get("ms-diagnostics")
    c.send(c.request("SUBSCRIBE", FOCUS, from_uri=CARRIER, routes=[f"<sip:127.0.0.1:{mcu.port};transport=tls;lr>"]))
    focus.wait("SUBSCRIBE")
    c.wait(200)
    assert not mcu.seen


def test_an_authenticated_user_cannot_use_a_dialog_to_reach_any_address(group, daemons):
    c = group.client("udp")
    other = group.client("udp")
    c.authed("BYE", "sip:x@" + other.me, group.passwords["alice"], to_tag="xx")
    c.wait(403)
    c.authed("BYE", f"sip:x@1.2.3.4;alias={other.me.replace(':', '~')}~1", group.passwords["alice"], to_tag="xx",
             routes=[f"<sip:{group.addr['sip']['udp']};lr>"])
    c.wait(403)
    assert other.silent()


def test_wrong_passwords_ban_the_user_at_that_address_and_then_the_address(group, daemons):
    c = group.client("udp", "127.0.0.9")
    for _ in range(5):
        c.authed("REGISTER", "sip:conclave.test", "wrong", user="carol", expect=401, to="sip:carol@conclave.test")
        c.wait(401)
    c.authed("REGISTER", "sip:conclave.test", group.passwords["carol"], user="carol", expect=401, to="sip:carol@conclave.test")
    assert "Too many failed" in c.wait(403).get("ms-diagnostics")
    ok = group.client("udp", "127.0.0.1")                                   # the same user elsewhere
    ok.authed("REGISTER", "sip:conclave.test", group.passwords["carol"], user="carol", expect=401, to="sip:carol@conclave.test")
    ok.wait(200)
    for n in range(16):
        c.authed("REGISTER", "sip:conclave.test", "wrong", user=f"u{n}", expect=401, to=f"sip:u{n}@conclave.test")
        c.wait(401)
        if n == 14:
            break
    c.inbox.queue.clear()
    c.send(c.request("OPTIONS", "sip:conclave.test"))
    assert c.silent()


def test_a_replayed_digest_is_challenged_again(group, daemons):
    from sip import digest
    focus, _ = daemons
    focus.answer = focus_accepts
    c = group.client("tcp")
    c.send(c.request("SUBSCRIBE", FOCUS))
    ch = c.wait(407)
    good = digest(ch, "alice", group.passwords["alice"], "SUBSCRIBE", FOCUS)
    c.send(c.request("SUBSCRIBE", FOCUS, extra=[good]))
    c.wait(200)
    thief = group.client("tcp")
    thief.send(thief.request("SUBSCRIBE", FOCUS, extra=[good]))
    thief.wait(407)


def foreign(tmp, name, ca=None):
    """A certificate for name by its own little authority (or by ca)."""
    run = lambda *a: subprocess.run(["openssl", *a], check=True, capture_output=True)  # noqa: E731
    p = lambda n: os.path.join(tmp, n)  # noqa: E731
    if not os.path.exists(p("fca.pem")):
        run("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", p("fca.key"), "-out", p("fca.pem"), "-subj", "/CN=Conclave focus CA", "-days", "9")
    run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", p(name + ".key"), "-out", p("csr"), "-subj", f"/CN={name}")
    with open(p("ext"), "w") as f:
        f.write(f"subjectAltName=DNS:{name}\n")
    run("x509", "-req", "-in", p("csr"), "-CA", p("fca.pem"), "-CAkey", p("fca.key"), "-CAcreateserial", "-out", p(name + ".pem"), "-days", "9",
        "-extfile", p("ext"))
    return p(name)


def peer(group, cert):
    return Client(group.addr["sip"]["peer"], "tls", ca=group.path("ca/servers.pem"), cert=cert)


def refused(group, cert):
    """True when the peer listener does not take this certificate."""
    try:
        c = peer(group, cert)
        c.send(c.request("OPTIONS", "sip:edge@127.0.0.1"))
        return c.silent(0.8) and not c.seen
    except (ssl.SSLError, OSError):
        return True


def test_the_peer_listener_wants_a_certificate_of_ours(group, daemons, tmp_path):
    assert refused(group, None)
    assert refused(group, foreign(str(tmp_path), "focus.conclave.internal"))
    assert not refused(group, group.path("certs/focus-1"))


def test_a_valid_but_unlisted_name_gets_403_and_a_listed_one_only_its_own(group, daemons, tmp_path):
    focus, _ = daemons
    focus.answer = focus_accepts
    good = foreign(str(tmp_path), "sip.partner.example")
    bad = foreign(str(tmp_path), "focus.conclave.internal")
    assert conclave("cert", "--dir", group.dir, "trust", "sip.partner.example", str(tmp_path / "fca.pem"), "--domains", "partner.example").returncode == 0
    try:
        r = conclave("reload", "--dir", group.dir)
        assert r.returncode == 0, r.stderr
        assert refused(group, bad)                                           # outside the name constraint
        c = peer(group, good)
        c.send(c.request("INVITE", FOCUS, from_uri="sip:zoe@partner.example"))
        got = focus.wait("INVITE")
        assert got.all("P-Asserted-Identity") == ["<sip:zoe@partner.example>"]
        assert got.all("Conclave-Access") == ["federated;media=srtp;name=sip.partner.example"]
        c.wait(200)
        c.send(c.request("INVITE", FOCUS, from_uri="sip:zoe@other.example"))
        c.wait(403)
        c.send(c.request("OPTIONS", "sip:edge@127.0.0.1", extra=["Conclave-Mcu: mcu-1;addr=6.6.6.6:1"]))
        c.wait(200)
        assert "6.6.6.6" not in conclave("status", "--dir", group.dir).stdout
    finally:
        assert focus.link
    # Valid, but no longer listed: only the list changes, the authority stays until distrust.
    import json
    conf = json.load(open(group.path("conclave.json")))
    conf["federated"] = {}
    json.dump(conf, open(group.path("conclave.json"), "w"))
    assert conclave("reload", "--dir", group.dir).returncode == 0
    c = peer(group, good)
    c.send(c.request("INVITE", FOCUS, from_uri="sip:zoe@partner.example"))
    assert "not listed" in c.wait(403).get("ms-diagnostics")


def test_an_edge_or_mcu_certificate_is_no_focus(group, daemons):
    """Announcements count only from a focus."""
    m = Client(group.addr["sip"]["peer"], "tls", ca=group.path("ca/servers.pem"), cert=group.path("certs/mcu-1"))
    m.send(m.request("OPTIONS", "sip:edge@127.0.0.1", extra=["Conclave-Node: focus-1;addr=6.6.6.6:1", "Conclave-Mcu: mcu-x;addr=6.6.6.6:1"]))
    m.wait(200)
    focus, _ = daemons
    focus.answer = lambda q: [reply_to(q, 302, "Moved", f"<{AV};oc-mcu=mcu-x;oc-ticket=T>")] if q.method == "INVITE" else []
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("INVITE", ROOM, from_uri=CARRIER))
    c.wait(502)


def test_an_mcu_with_the_focus_certificate_gets_no_call(group, daemons):
    focus, mcu = daemons
    fake = Daemon(group, "focus-1", group.base + 18)
    announce(focus.link, "mcu-f", f"127.0.0.1:{fake.port}")
    focus.answer = lambda q: [reply_to(q, 302, "Moved", f"<{AV};oc-mcu=mcu-f;oc-ticket=T>")] if q.method == "INVITE" else []
    fake.answer = accepts
    c = group.client("tcp", "127.0.0.2")
    c.send(c.request("INVITE", ROOM, from_uri=CARRIER, body=SDP))
    assert c.wait(503, 14).get("ms-diagnostics")
    assert not [m for m in c.seen if m.code == 200]
    fake.close()


def test_bad_messages_are_answered_or_dropped_and_the_edge_goes_on(group, daemons):
    c = group.client("udp")
    c.send(c.request("INVITE", ROOM).replace(b"CSeq: 1 INVITE", b"CSeq: 1 BYE"))
    c.wait(400)
    c.send(c.request("INVITE", ROOM).replace(b"Max-Forwards: 70", b"Max-Forwards: 0"))
    assert "Max-Forwards" in c.wait(483).get("ms-diagnostics")
    for junk in (b"INVITE\r\n\r\n", b"\x00" * 500, b"INVITE sip: SIP/2.0\r\nVia: \r\n\r\n", c.request("INVITE", ROOM)[:90]):
        c.send(junk)
    c.send(c.request("INVITE", ROOM, extra=["User-Agent: friendly-scanner"]))
    c.inbox.queue.clear()
    assert c.silent(0.4)
    big = group.client("tcp", "127.0.0.2")
    big.send(big.request("INVITE", ROOM, from_uri=CARRIER, body=b"x" * 210000))
    assert "larger" in big.wait(513).get("ms-diagnostics")
    c.send(c.request("PUBLISH", ROOM))
    assert c.wait(405).get("Allow")
    c.send(c.request("NOTIFY", ROOM))
    c.wait(481)
    c.send(c.request("OPTIONS", "sip:conclave.test"))
    c.wait(200)


def test_a_lua_error_answers_500_and_the_next_request_works(group, daemons):
    focus, _ = daemons
    focus.answer = focus_accepts
    policy = group.path("etc/policy.d/10-broken.lua")
    with open(policy, "w") as f:
        f.write("return { on_request = function(r) if r.user == 'explode' then return nil + 1 end end,\n"
                " choose_room = function(r) if r.user == '+493055' then return 'lobby' end end,\n"
                " allow_dial_out = function(r) return r.to:find('allowed') and true or nil end }\n")
    try:
        assert conclave("reload", "--dir", group.dir).returncode == 0
        c = group.client("tcp", "127.0.0.2")
        c.send(c.request("INVITE", "sip:explode@conclave.test", from_uri=CARRIER))
        assert c.wait(500).get("ms-diagnostics")
        c.send(c.request("INVITE", "sip:+493055@conclave.test", from_uri=CARRIER))
        assert focus.wait("INVITE").ruri == "sip:lobby@conclave.test"
        c.wait(200)
        assert "10-broken.lua" in group.log()
        with open(policy, "w") as f:
            f.write("return { this is no lua")
        r = conclave("reload", "--dir", group.dir)
        assert r.returncode == 1 and "keeps its old script" in r.stderr
        c.send(c.request("INVITE", ROOM, from_uri=CARRIER))
        focus.wait("INVITE")
    finally:
        os.unlink(policy)
        assert conclave("reload", "--dir", group.dir).returncode == 0
