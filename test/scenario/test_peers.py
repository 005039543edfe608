# SPDX-License-Identifier: Apache-2.0
"""The peers themselves: what they judge the product by must be right first. No stack is started here."""
import socket
import threading
import time

import numpy as np
import pytest

from conclave_test import c3p, rtp, sipmsg
from conclave_test.roster import Roster, RosterError
from conclave_test.sip import UA, Msg


def test_srtp_session_keys_are_those_of_rfc_3711_b_3():
    s = rtp.Srtp(bytes.fromhex("E1F97A0D3E018BE0D64FA32C06DE4139" "0EC675AD498AFEEBB6960B3AABE6"))
    assert s.key.hex().upper() == "C61E7A93744F39EE10734AFE3FF7A087"
    assert s.salt.hex().upper() == "30CBBC08863D8C85D49DB34A9AE1"
    assert s.auth.hex().upper().startswith("CEBE321F6FF7716B6FD4AB49AF256A15")


def test_srtp_keystream_is_that_of_rfc_3711_b_2():
    s = rtp.Srtp(bytes(30))
    s.key = bytes.fromhex("2B7E151628AED2A6ABF7158809CF4F3C")
    iv = s._iv(bytes.fromhex("F0F1F2F3F4F5F6F7F8F9FAFBFCFD"), 0, 0)
    assert rtp.aes_cm(s.key, iv, bytes(16)).hex().upper() == "E03EAD0935C95E80E166B16DD92B4EB4"


def test_srtp_passes_a_roll_over_and_refuses_a_changed_packet():
    out, inn = rtp.Srtp(bytes(range(30))), rtp.Srtp(bytes(range(30)))
    leg = rtp.Leg()
    for seq in (65533, 65534, 65535, 0, 1):
        plain = leg.packet(0, b"x" * 160, seq=seq)
        sealed = out.protect(plain)
        assert inn.unprotect(sealed[:-1] + bytes([sealed[-1] ^ 1])) is None
        assert inn.unprotect(sealed) == plain
    leg.stop()


@pytest.mark.parametrize("codec", ["PCMU", "PCMA"])
def test_g711_keeps_a_tone_and_adds_no_other(codec):
    t = np.arange(8000)
    pcm = (np.sin(2 * np.pi * 440 / 8000 * t) * 3276).astype(np.int16)
    back = rtp.g711_decode(codec, rtp.g711_encode(codec, pcm))
    assert abs(rtp.level_db(back, 440) - -20) < 0.5
    assert rtp.tones(back, [440, 620, 850, 1100]) == {440}


def test_g711_codes_of_silence_and_full_scale_are_those_of_the_standard():
    assert rtp.g711_encode("PCMU", np.array([0, 32124, -32124], np.int16)) == bytes([0xff, 0x80, 0x00])
    assert rtp.g711_encode("PCMA", np.array([8, -8, 32256], np.int16)) == bytes([0xd5, 0x55, 0xaa])


def test_two_legs_hear_each_other_over_srtp():
    a, b = rtp.Leg("PCMU"), rtp.Leg("PCMU")
    a.accept(b.offer())
    b.accept(a.offer())
    a.tone(440), b.tone(850)
    a.wait_heard({850}, [440, 850])
    b.wait_heard({440}, [440, 850])
    at = time.monotonic()
    b.quiet()
    a.wait_heard(set(), [440, 850])
    assert 0 <= a.tone_stopped(850, at) < 0.2
    a.stop(), b.stop()
    assert a.bad == b.bad == 0


def test_digest_is_that_of_rfc_2617():
    value = sipmsg.digest('Digest realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093", opaque="x"', "GET",
                          "/dir/index.html", "Mufasa", "Circle Of Life")
    assert 'response="670fd8c2df070c60b045671b8b24ff02"' in value


def test_messages_are_read_with_compact_names_folding_and_commas():
    m = Msg.parse(b"INVITE sip:a@b SIP/2.0\r\nv: SIP/2.0/TLS h:1;branch=z9hG4bKx\r\nf: \"A, B\" <sip:a@b>;tag=1\r\n"
                  b"Record-Route: <sip:x;lr>,\r\n <sip:y;lr>\r\ni: q\r\nCSeq: 7 INVITE\r\nm: <sip:a@h>;isfocus\r\n\r\nbody")
    assert (m.branch, m.tag("From"), m.all("Record-Route"), m.call_id, m.cseq) == (
        "z9hG4bKx", "1", ["<sip:x;lr>", "<sip:y;lr>"], "q", (7, "INVITE"))
    assert m.contact == "sip:a@h" and m.body == b"body"
    assert Msg.parse(m.encode()).all("Record-Route") == ["<sip:x;lr>", "<sip:y;lr>"]


def test_a_ua_registers_with_digest_over_tcp_against_a_scripted_registrar():
    listener = socket.create_server(("127.0.0.1", 0))
    seen = []

    def registrar():
        conn, _ = listener.accept()
        for answer in ("401 Unauthorized\r\nWWW-Authenticate: Digest realm=\"r\",nonce=\"n\",qop=\"auth\"", "200 OK"):
            m = Msg.parse(conn.recv(65536))
            seen.append(m)
            keep = "".join(f"{n}: {v}\r\n" for n, v in m.headers if n in ("Via", "From", "To", "Call-ID", "CSeq"))
            conn.sendall(f"SIP/2.0 {answer}\r\n{keep}Content-Length: 0\r\n\r\n".encode())
        conn.close()
    threading.Thread(target=registrar, daemon=True).start()
    with UA(listener.getsockname(), "bob", password="pw", transport="tcp") as ua:
        assert ua.register().code == 200
    assert seen[0].get("Authorization") is None and seen[1].cseq == (2, "REGISTER")
    assert 'username="bob"' in seen[1].get("Authorization")
    listener.close()


# --- the roster's own rules
F = "sip:alice@conclave.test;gruu;opaque=app:conf:focus:id:AAAAAAAA"


def doc(version, state, inner):
    return (f'<conference-info xmlns="urn:ietf:params:xml:ns:conference-info" xmlns:msci='
            f'"http://schemas.microsoft.com/rtc/2005/08/confinfoextensions" entity="{F}" state="{state}" version="{version}">'
            f"{inner}</conference-info>")


def user(name, state="full", status="connected"):
    if state == "deleted":
        return f'<user entity="sip:{name}@x" state="deleted"/>'
    return (f'<user entity="sip:{name}@x" state="{state}"><roles><entry>attendee</entry></roles><endpoint entity="{{{name}}}" '
            f'msci:session-type="focus"><status>{status}</status></endpoint></user>')


def state(n):
    return f"<conference-state><user-count>{n}</user-count><active>true</active><locked>false</locked></conference-state>"


def whole(version, *names):
    return doc(version, "full", state(len(names)) + f'<users state="full">{"".join(map(user, names))}</users>')


def part(version, n, users):
    return doc(version, "partial", state(n) + f'<users state="partial">{users}</users>')


def test_roster_follows_join_change_and_leave():
    r = Roster(F)
    r.apply(whole(5, "a"))
    r.apply(part(6, 2, user("b", status="dialing-in")))
    r.apply(part(7, 2, user("b")))
    assert r.connected("sip:b@x", "focus") and r.version == 7
    r.apply(part(8, 1, user("b", "deleted")))
    assert list(r.users) == ["sip:a@x"]
    r.apply(whole(8, "a"))


@pytest.mark.parametrize("name,document", [
    ("a gap", part(7, 2, user("b"))), ("a repeated version", part(5, 2, user("b"))),
    ("a full document that went back", whole(3, "a")), ("a full one that says something else", whole(5, "a", "b")),
    ("a user sent in part", part(6, 2, user("b", "partial"))), ("a deleted user who was not there", part(6, 1, user("z", "deleted"))),
    ("a wrong count", part(6, 7, user("b"))), ("an unknown status", part(6, 2, user("b", status="here"))),
    ("another conference", whole(6, "a").replace("AAAAAAAA", "BBBBBBBB")),
    ("wrong order", doc(6, "full", f'<users>{user("a")}</users>' + state(1))),
    ("two users of one name", whole(6, "a", "a"))], ids=lambda v: v.replace(" ", "-") if not v.startswith("<") else "")
def test_roster_refuses(name, document):
    r = Roster(F)
    r.apply(whole(4, "a"))
    r.apply(part(5, 1, user("a")))
    with pytest.raises(RosterError):
        r.apply(document)


def test_roster_refuses_a_partial_document_first():
    with pytest.raises(RosterError):
        Roster(F).apply(part(1, 1, user("a")))


def test_c3p_requests_are_well_formed():
    from lxml import etree
    for command in (c3p.add_conference("AAAAAAAA", users=[("sip:b@x", "presenter")]), c3p.add_user(F, "sip:b@x", c3p.guid()),
                    c3p.lock(F, True), c3p.role(F, "sip:b@x", "presenter"), c3p.delete_user(F, "sip:b@x"),
                    c3p.mute(F, "sip:b@x", "{1}", 1), c3p.by_conf("getConference", F), c3p.by_id("getConference", "AAAAAAAA")):
        assert len(etree.fromstring(c3p.request(command, "sip:a@x", F))) == 1
