# SPDX-License-Identifier: Apache-2.0
"""Who is not believed: wrong passwords, wrong certificates at every server port, forged requests and identities."""
import http.client
import socket
import ssl
import time

import pytest

from conclave_test import c3p, certs, rtp
from conclave_test.c3p import Participant
from conclave_test.sip import UA, Call, Closed, SipError, SipTimeout, insecure_tls

A, B = 520, 640
DOMAIN = "conclave.test"
ALICE, BOB, CAROL = (f"sip:{u}@{DOMAIN}" for u in ("alice", "bob", "carol"))


# --- clients
@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_wrong_password_neither_registers_nor_calls(stack, transport):
    ua, leg = stack.ua("alice", transport, password="wrong", bind="127.0.0.55"), rtp.Leg()
    assert ua.register(ok=False).code in (401, 403, 407)
    with pytest.raises(SipError) as e:
        ua.invite(stack.room(), leg.offer())
    assert e.value.code in (401, 403, 407)
    leg.stop()


def test_an_unknown_user_is_told_no_more_than_one_with_a_wrong_password(stack):
    codes = [stack.ua(u, password="wrong", bind="127.0.0.56").register(ok=False).code for u in ("alice", "nobody")]
    assert codes[0] == codes[1]


def test_a_user_cannot_speak_in_the_name_of_another(stack):
    ua = stack.ua("bob")
    r = ua.request("REGISTER", f"sip:{DOMAIN}", [("Contact", ua.contact)], to=f"<{ALICE}>")
    assert r.code == 403
    leg = rtp.Leg()
    with pytest.raises(SipError) as e:
        ua.invite(stack.room(), leg.offer(), from_=f"<{ALICE}>;tag=1")
    assert e.value.code == 403
    leg.stop()


def test_headers_that_only_the_edge_may_set_are_ignored_from_clients(stack, end):
    focus = stack.focus()
    alice = end(Participant(stack.ua("alice"), focus))
    forged = [("P-Asserted-Identity", f"<{ALICE}>"), ("P-Preferred-Identity", f"<{ALICE}>"), ("Remote-Party-ID", f"<{ALICE}>"),
              ("Conclave-Access", "trunk;media=any;name=x"), ("Conclave-Followed", "mcu")]
    c = c3p.talk(stack.ua("bob"), stack.room(), headers=forged)
    end(c)
    alice.wait("bob", lambda: BOB in alice.roster.users)
    assert "audio-video" not in alice.roster.users[ALICE]["endpoints"]
    leg = rtp.Leg(srtp=False)
    with pytest.raises(SipError) as e:
        stack.ua("carol").invite(stack.room(), leg.offer(), headers=forged)
    leg.stop()
    assert e.value.code == 488, "media=any must come from the edge"
    c.bye()


def test_a_client_cannot_bring_a_ticket_or_choose_an_mcu(stack):
    focus = c3p.schedule(stack.ua("alice"))
    leg = rtp.Leg()
    for uri in (c3p.mcu_uri(focus), c3p.mcu_uri(focus) + ";oc-mcu=mcu-1", c3p.mcu_uri(focus) + ";oc-mcu=mcu-1;oc-ticket=0123456789abcdef"):
        with pytest.raises(SipError) as e:
            stack.ua("bob").invite(uri, leg.offer(), headers=[("Conclave-Followed", "mcu")])
        assert e.value.code in (403, 404), uri
    leg.stop()


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls"])
def test_a_forged_bye_does_not_end_a_call(stack, end, transport):
    alice, bob = (c3p.talk(stack.ua(u), stack.room(), tone=f) for u, f in (("alice", A), ("bob", B)))
    end(alice), end(bob)
    alice.leg.wait_heard({B}, [A, B])
    bob.cseq += 5
    for attacker in (stack.ua("carol", transport), stack.ua("carol", transport, register=True), stack.ua("mallory", transport)):
        try:
            r = attacker.transact(bob.forge(attacker, "BYE"), timeout=4)
            assert r.code in (401, 403, 404, 407, 481), r.start
        except SipTimeout:
            pass                        # dropped in silence: as good
    alice.leg.keeps_hearing({B}, [A, B], 0.6)
    assert not bob.ended.is_set()
    assert bob.bye().code == 200 and alice.bye().code == 200


def test_another_user_who_knows_the_dialog_cannot_act_in_a_call(stack, end):
    """In her own name, rightly authenticated, with the Call-ID and both tags of somebody else's call."""
    alice, bob = (end(c3p.talk(stack.ua(u), stack.room(), tone=f)) for u, f in (("alice", A), ("bob", B)))
    alice.leg.wait_heard({B}, [A, B])
    carol = stack.ua("carol", register=True)
    bob.cseq += 5
    for method in ("BYE", "UPDATE", "INVITE"):
        assert carol.transact(bob.forge(carol, method, own_name=True), timeout=4).code == 403
    alice.leg.keeps_hearing({B}, [A, B], 0.6)
    assert not bob.ended.is_set() and bob.bye().code == 200


def test_one_user_holds_few_calls_that_he_does_not_acknowledge(stack, end):
    """Each holds a leg and its ports; another user and his own good call are not touched."""
    legs, answers = [], []
    good = end(c3p.talk(stack.ua("bob"), stack.room(), tone=A))
    try:
        for _ in range(7):
            phone = stack.ua("bob")
            legs.append(rtp.Leg("PCMU", True, phone.bind, None))
            answers.append(phone.transact(phone.build("INVITE", stack.room(), [("Contact", phone.contact)], legs[-1].offer(), "application/sdp"), 8))
        assert [r.code for r in answers] == [200] * 4 + [480] * 3, [r.code for r in answers]
        assert "not acknowledged" in answers[-1].get("ms-diagnostics")
        alice = end(c3p.talk(stack.ua("alice"), stack.room(), tone=B))
        alice.leg.wait_heard({A}, [A, B])
        assert good.bye().code == 200 and alice.bye().code == 200
    finally:
        for leg in legs:
            leg.stop()


def test_a_forged_info_and_re_invite_are_refused(stack, end):
    focus = c3p.schedule(stack.ua("alice"))
    alice = end(Participant(stack.ua("alice"), focus))
    bob = c3p.join(stack.ua("bob"), focus)
    forged = alice.focus.forge(bob.ua, "INFO", [], c3p.request(c3p.lock(focus, True), ALICE, focus), c3p.CTYPE)
    assert bob.ua.transact(forged).code in (401, 403, 404, 407, 481)
    time.sleep(0.3)
    assert alice.roster.state("locked") == "false"
    bob.bye()


def test_a_request_for_a_foreign_domain_is_not_relayed(stack):
    for transport in ("udp", "tls"):
        ua = stack.ua("alice", transport, register=True)
        r = ua.request("MESSAGE", "sip:x@elsewhere.example", [], "hello", "text/plain")
        assert r.code in (403, 404, 405, 501), r.start


def test_a_preloaded_route_is_not_followed(stack):
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sink.bind(("127.0.0.1", 0))
    sink.settimeout(0.7)
    ua = stack.ua("alice", register=True)
    leg = rtp.Leg()
    try:
        c = ua.invite(stack.room(), leg.offer(), headers=[("Route", f"<sip:127.0.0.1:{sink.getsockname()[1]};lr>")])
        c.bye()
    except SipError as e:
        assert e.code in (403, 404, 481)
    with pytest.raises(socket.timeout):
        sink.recv(4096)
    leg.stop(), sink.close()


def test_guessing_passwords_gets_slow_or_banned_but_others_go_on(stack):
    codes = []
    for i in range(12):
        try:
            codes.append(stack.ua("bob", "tcp", password=f"guess{i}", bind="127.0.0.66").register(ok=False, timeout=2).code)
        except (SipTimeout, OSError):
            codes.append(None)
    assert 200 not in codes
    assert stack.ua("bob").register().code == 200


# --- server ports: SIP over mutual TLS
LISTENERS = {"peer": "edge's peer listener", "focus_sip": "focusd", "mcu_sip": "mcu"}
RIGHT = {"peer": "focus", "focus_sip": "edge", "mcu_sip": "edge"}
NODE = {"edge": "edge-1", "focus": "focus-1", "mcu": "mcu-1"}


def options(addr, cert):
    """What an OPTIONS on a TLS connection with that certificate gets: a SIP code, or 'closed'."""
    ctx = insecure_tls()
    if cert:
        ctx.load_cert_chain(cert)
    try:
        with UA(addr, "test", DOMAIN, None, "tls", tls=ctx) as ua:
            return ua.request("OPTIONS", f"sip:edge@{addr[0]}:{addr[1]}", [("Contact", ua.contact)], timeout=3).code
    except (OSError, SipTimeout):
        return "closed"


def names(role):
    return [f"{role}.conclave.internal", f"{NODE[role]}.{role}.conclave.internal"]


@pytest.mark.parametrize("where", LISTENERS)
def test_a_server_port_wants_the_right_certificate(stack, where):
    addr, right = getattr(stack, where), RIGHT[where]
    wrong = "mcu"
    path = lambda n: stack.dir / f"{where}-{n}.pem"
    assert options(addr, certs.issue(stack.dir, right, path("right"), names(right))) == 200, "the right one is taken"
    assert options(addr, None) == "closed"
    assert options(addr, certs.foreign(path("foreign"), right, NODE[right])) == "closed"
    assert options(addr, certs.self_signed(path("self"), names(right)[0])) == "closed"
    if where != "peer":                 # the edge has business with every role
        assert options(addr, certs.issue(stack.dir, wrong, path("role"), names(wrong))) in ("closed", 403)
    for name, cert in (("another name", certs.issue(stack.dir, right, path("name"), ["www.example.net"])),
                       ("a role that its CA does not issue", certs.issue(stack.dir, wrong, path("mixed"), names(right)))):
        assert options(addr, cert) in ("closed", 403), name


def test_a_client_certificate_is_no_server_certificate(stack):
    pem, key = (stack.dir / "certs" / f"client-facing.{x}" for x in ("pem", "key"))
    both = stack.dir / "client-as-server.pem"
    both.write_bytes(key.read_bytes() + pem.read_bytes())
    for where in LISTENERS:
        assert options(getattr(stack, where), str(both)) in ("closed", 403)


def test_an_invite_to_the_mcu_without_a_ticket_is_403_even_with_the_right_certificate(stack, end):
    focus = c3p.schedule(stack.ua("alice"))
    end(Participant(stack.ua("bob"), focus, tone=A))        # so the MCU holds the conference
    ctx = insecure_tls()
    ctx.load_cert_chain(certs.issue(stack.dir, "edge", stack.dir / "edge-2.pem", names("edge")))
    leg = rtp.Leg()
    identity = [("P-Asserted-Identity", f"<{ALICE}>"), ("Conclave-Access", "user;media=srtp"), ("Conclave-Followed", "mcu")]
    with UA(stack.mcu_sip, "alice", DOMAIN, None, "tls", tls=ctx) as edge:
        for uri in (c3p.mcu_uri(focus) + ";oc-mcu=mcu-1", c3p.mcu_uri(focus) + ";oc-mcu=mcu-1;oc-ticket=0123456789abcdef0123456789abcdef"):
            with pytest.raises(SipError) as e:
                edge.invite(uri, leg.offer(), headers=identity)
            assert e.value.code == 403
    leg.stop()


# --- server ports: C3P over HTTPS
def post(addr, path, cert, body=b"<x/>"):
    """HTTP status, or 'closed'."""
    ctx = insecure_tls()
    if cert:
        ctx.load_cert_chain(cert)
    conn = http.client.HTTPSConnection(*addr, timeout=3, context=ctx)
    try:
        conn.request("POST", path, body, {"Content-Type": "application/cccp+xml; charset=utf-8"})
        return conn.getresponse().status
    except (OSError, ssl.SSLError, http.client.HTTPException):
        return "closed"
    finally:
        conn.close()


PING = (b'<request xmlns="urn:ietf:params:xml:ns:cccp" xmlns:oc="urn:x-conclave:c3p:1" requestId="1" from="a" to="b"><ping>'
        b'<oc:health id="evil" type="audio-video" instance="i" seq="1" state="active" url="https://127.0.0.1:1/" contact="127.0.0.1:1"/>'
        b'</ping></request>')


@pytest.mark.parametrize("where,path,right", [
    ("focus_http", "/LiveServer/MCUFactory/", "mcu"), ("focus_http", "/LiveServer/Focus/", "mcu"),
    ("mcu_http", "/LiveServer/AVMCU/", "focus")])
def test_c3p_over_https_wants_the_right_certificate(stack, where, path, right):
    addr, file = getattr(stack, where), lambda n: stack.dir / f"{where}-{right}-{n}.pem"
    wrong = {"mcu": "focus", "focus": "mcu"}[right]
    good = certs.issue(stack.dir, right, file("right"), names(right))
    assert post(addr, path, good) == 400, "the right one is let in, and told that this is not C3P"
    assert post(addr, "/elsewhere", good) == 404
    assert post(addr, path, None) == "closed"
    assert post(addr, path, certs.foreign(file("foreign"), right, NODE[right])) == "closed"
    other = certs.issue(stack.dir, wrong, file("role"), names(wrong))
    if path == "/LiveServer/MCUFactory/":       # a focus may ask there for an MCU, and nothing else
        assert post(addr, path, other, PING) == 403
    else:
        assert post(addr, path, other) in (403, "closed")
    assert post(addr, path, certs.issue(stack.dir, "edge", file("edge"), names("edge"))) in (403, "closed")
    assert post(addr, path, certs.issue(stack.dir, right, file("name"), ["www.example.net"])) in (403, "closed")
    assert post(addr, path, certs.issue(stack.dir, wrong, file("mixed"), names(right))) in (403, "closed")


def test_no_secret_is_in_the_logs(stack):
    text = "".join((stack.dir / "log" / f"{p}.log").read_text(errors="replace") for p in ("kamailio", "focusd", "mcu", "rtpengine")
                   if (stack.dir / "log" / f"{p}.log").exists())
    assert text, "there are logs"
    for secret in (*stack.users.values(), "inline:"):
        assert secret not in text, f"{secret!r} is in a log"


def test_private_files_are_private(stack):
    for f in [*stack.dir.glob("ca/*.key"), *stack.dir.glob("certs/*.key"), *stack.dir.glob("db/*.sqlite"), *stack.dir.glob("run/*.sock")]:
        assert f.stat().st_mode & 0o007 == 0 or f.parent.stat().st_mode & 0o007 == 0, f"{f.name} is open to others"
    for f in [*stack.dir.glob("ca/*.key"), *stack.dir.glob("certs/*.key"), *stack.dir.glob("run/*.sock")]:
        assert f.stat().st_mode & 0o077 == 0, f"{f.name} has mode {f.stat().st_mode & 0o777:o}"
