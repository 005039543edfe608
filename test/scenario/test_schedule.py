# SPDX-License-Identifier: Apache-2.0
"""Records at the focus factory: pass codes in both directions (CMS EnvelopedData by the openssl command, RSA-OAEP back),
who is invited as what, expiry, versions (MS-CONFPRO; docs/c3p.md, schedule).
"""
import base64
import datetime
import subprocess
import time

import pytest

from conclave_test import c3p
from conclave_test import commands as cmd
from conclave_test.c3p import Participant, service
from conclave_test.roster import CI, MSCI, NS, OC
from conclave_test.sip import SipError

ALICE, BOB, CAROL = (f"sip:{u}@conclave.test" for u in ("alice", "bob", "carol"))


def openssl(*args, data=b""):
    done = subprocess.run(["openssl", *map(str, args)], input=data, capture_output=True, timeout=20)
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


def record(conf_id, policy="anonymous", passcode="", version=None, subject="Test", expiry=None, users=(), views=("audio-video",),
           command="addConference"):
    """addConference or modifyConference with everything a record can have; passcode: a complete element."""
    text = c3p.add_conference(conf_id, subject, policy, views, users, expiry)
    text = text.replace("</ci:conference-description>", passcode + "</ci:conference-description>")
    if version is not None:
        text = text.replace('entity=""', f'entity="" version="{version}"', 1)
    return text.replace("addConference", command)


def utc(seconds):
    return (datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(seconds=seconds)).strftime("%Y-%m-%dT%H:%M:%SZ")


# --- pass codes
@pytest.fixture(scope="module")
def server_cert(uas, tmp_path_factory):
    """The certificate for pass codes as a PEM file."""
    r = service(uas["alice"], "<getEncryptionKey/>")
    assert (r.sip, r.code) == (200, "success"), r
    text = r.cmd.findtext("msci:encryption-key/msci:x509-certificate", namespaces=NS)
    assert "\n" not in text
    path = tmp_path_factory.mktemp("cms") / "server.pem"
    path.write_bytes(openssl("x509", "-inform", "DER", data=base64.b64decode(text)))
    return path


@pytest.fixture(scope="module")
def mine(tmp_path_factory):
    """(certificate, key) of a client, PEM files, RSA."""
    d = tmp_path_factory.mktemp("mine")
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=me", "-keyout", d / "key.pem", "-out", d / "cert.pem", "-days", 2)
    return d / "cert.pem", d / "key.pem"


def sealed(cert, code, **attrs):
    """oc:passcode under pstn-access."""
    der = openssl("cms", "-encrypt", "-binary", "-outform", "DER", "-aes256", cert, data=code.encode())
    attrs = "".join(f' {n}="{v}"' for n, v in {"encoding": "cms-base64", **attrs}.items() if v)
    return (f'<msci:pstn-access><oc:passcode xmlns:oc="{OC}"{attrs}>{base64.b64encode(der).decode()}</oc:passcode></msci:pstn-access>')


def with_cert(conf_id, cert):
    der = openssl("x509", "-in", cert, "-outform", "DER") if cert else b"no certificate"
    return (f'<getConference><conferenceKeys msci:conference-id="{conf_id}"/><msci:encryption-key><msci:x509-certificate>'
            f"{base64.b64encode(der).decode()}</msci:x509-certificate></msci:encryption-key></getConference>")


def read_back(ua, conf_id, mine):
    r = service(ua, with_cert(conf_id, mine[0]))
    assert r.code == "success", r
    box = base64.b64decode(r.cmd.find(f".//{{{MSCI}}}conference-key").text)
    return openssl("pkeyutl", "-decrypt", "-inkey", mine[1], "-pkeyopt", "rsa_padding_mode:oaep", data=box).decode()


def test_a_pass_code_goes_in_by_cms_and_comes_back_for_its_organizer_only(stack, uas, server_cert, mine):
    conf_id, code = c3p.new_id(), "S3cretCode99"
    r = service(uas["alice"], record(conf_id, passcode=sealed(server_cert, code)))
    assert r.code == "success" and code.encode() not in r.msg.body, r
    assert read_back(uas["alice"], conf_id, mine) == code
    r = service(uas["alice"], c3p.by_id("getConference", conf_id))
    assert r.code == "success" and r.cmd.find(f".//{{{MSCI}}}conference-key") is None
    assert b"conference-key" not in service(uas["alice"], "<getConferences/>").msg.body
    r = service(uas["bob"], with_cert(conf_id, mine[0]))
    assert (r.code, r.reason) == ("failure", "conferenceDoesntExist")
    for f in [*(stack.dir / "db").iterdir(), *(stack.dir / "log").iterdir()]:
        assert code.encode() not in f.read_bytes(), f"{f} holds the pass code"


def test_the_older_element_and_other_ciphers_are_taken_too(uas, server_cert, mine):
    conf_id = c3p.new_id()
    der = openssl("cms", "-encrypt", "-binary", "-outform", "DER", "-aes128", server_cert, data=b"7777")
    key = f"<msci:conference-key>{base64.b64encode(der).decode()}</msci:conference-key>"
    assert service(uas["alice"], record(conf_id, passcode=key)).code == "success"
    assert read_back(uas["alice"], conf_id, mine) == "7777"
    der = openssl("cms", "-encrypt", "-binary", "-outform", "DER", "-aes256", "-recip", server_cert, "-keyopt", "rsa_padding_mode:oaep", data=b"8888")
    key = f"<msci:conference-key>{base64.encodebytes(der).decode()}</msci:conference-key>"       # in lines
    r = service(uas["alice"], record(conf_id, passcode=key, version=1, command="modifyConference"))
    assert r.code == "success", r
    assert read_back(uas["alice"], conf_id, mine) == "8888"


def bad_codes(server_cert, mine):
    key_id = openssl("x509", "-in", server_cert, "-outform", "DER")
    for code in ("123", "12345678901234567", "with space", "Umläut", "semi;colon"):
        yield f"code {code}", sealed(server_cert, code), "invalidPasscode"
    yield "for another key", sealed(mine[0], "123456"), "invalidEncryptionKeyUsed"
    yield "for another key, named so", sealed(mine[0], "123456", keyId="0123456789abcdef"), "staleEncryptionKey"
    yield "in the clear", sealed(server_cert, "123456", encoding="plain"), "invalidEncryptionKeyUsed"
    for name, text in (("no base64", "%%%"), ("no CMS", base64.b64encode(b"123456").decode()), ("a certificate", base64.b64encode(key_id).decode()),
                       ("endless", "A" * 40000)):
        yield name, f"<msci:conference-key>{text}</msci:conference-key>", "invalidEncryptionKeyUsed"


def test_pass_codes_that_cannot_be_used_are_refused_and_make_no_record(uas, server_cert, mine):
    wrong = {}
    for name, element, reason in bad_codes(server_cert, mine):
        conf_id = c3p.new_id()
        r = service(uas["alice"], record(conf_id, passcode=element))
        if (r.sip, r.code, r.reason) != (200, "failure", reason):
            wrong[name] = r
        if service(uas["alice"], c3p.by_id("getConference", conf_id)).code == "success":
            wrong[name + ", record"] = r
    assert not wrong


def test_a_certificate_that_cannot_encrypt_is_refused(uas, server_cert, tmp_path):
    conf_id = c3p.new_id()
    assert service(uas["alice"], record(conf_id, passcode=sealed(server_cert, "123456"))).code == "success"
    openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=me", "-keyout", tmp_path / "k",
            "-out", tmp_path / "ec.pem", "-days", 2)
    for cert in (None, tmp_path / "ec.pem"):
        r = service(uas["alice"], with_cert(conf_id, cert))
        assert (r.sip, r.code, r.reason) == (200, "failure", "invalidEncryptionKey"), r


def test_the_key_and_what_was_encrypted_for_it_outlive_the_focus(stack, uas, server_cert, mine):
    conf_id = c3p.new_id()
    assert service(uas["alice"], record(conf_id, passcode=sealed(server_cert, "0042abcd"))).code == "success"
    before = service(uas["alice"], "<getEncryptionKey/>").msg.body.partition(b"<getEncryptionKey")[2]
    stack.kill("focusd")
    stack.restart("focusd")
    assert service(uas["alice"], "<getEncryptionKey/>").msg.body.partition(b"<getEncryptionKey")[2] == before
    assert read_back(uas["alice"], conf_id, mine) == "0042abcd"


# --- who is invited as what
def test_the_list_gives_roles_and_is_shown_to_the_organizer(uas, end):
    conf_id = c3p.new_id()
    r = service(uas["alice"], record(conf_id, "closedAuthenticated", users=[(BOB, "presenter"), (CAROL, "attendee")]))
    assert r.code == "success"
    focus = c3p.focus_uri("alice", conf_id)
    for user, role in (("bob", "presenter"), ("carol", "attendee"), ("alice", "presenter")):
        assert end(Participant(uas[user], focus)).focus.granted == role
    with pytest.raises(SipError) as e:
        c3p.join(uas["dave"], focus)
    assert (e.value.code, e.value.msg.diagnostics) == (403, 3014)
    r = service(uas["alice"], c3p.by_id("getConference", conf_id))
    listed = {u.get("entity"): u.findtext("ci:roles/ci:entry", namespaces=NS) for u in r.cmd.iter(f"{{{CI}}}user")}
    assert listed[BOB] == "presenter" and listed[CAROL] == "attendee"


def test_a_presenter_of_the_list_passes_the_lock(uas, end):
    focus = c3p.schedule(uas["alice"], users=[(BOB, "presenter"), (CAROL, "attendee")])
    alice = end(Participant(uas["alice"], focus))
    assert alice.focus.info(c3p.lock(focus, True)).code == "success"
    assert end(Participant(uas["bob"], focus)).focus.granted == "presenter"
    with pytest.raises(SipError):
        c3p.join(uas["carol"], focus)


@pytest.mark.parametrize("user", ["bob", "tel:+15550100", "sip:", "sip:@conclave.test", "sip:a b@conclave.test", "sip:bob@conclave.test\nx"])
def test_a_list_with_what_is_no_user_is_refused(uas, user):
    r = service(uas["alice"], record(c3p.new_id(), "openAuthenticated", users=[(user, "attendee")]))
    assert (r.sip, r.code, r.reason) == (200, "failure", "invalidUserEntity"), r


# --- expiry
def test_an_expired_conference_admits_nobody_and_a_running_one_goes_on(uas, end):
    ids = [c3p.new_id() for _ in range(2)]
    for i in ids:
        assert service(uas["alice"], record(i, "openAuthenticated", expiry=utc(3))).code == "success"
    running, asleep = (c3p.focus_uri("alice", i) for i in ids)
    alice = end(Participant(uas["alice"], running))
    time.sleep(4.2)
    with pytest.raises(SipError) as e:
        c3p.join(uas["alice"], asleep)
    assert (e.value.code, e.value.msg.diagnostics) == (404, 3012)
    end(Participant(uas["bob"], running))
    alice.wait("bob", lambda: BOB in alice.roster.users)
    listed = [e.get("entity") for e in service(uas["alice"], "<getConferences/>").cmd.iter(f"{{{CI}}}conference-info")]
    assert running in listed and asleep not in listed
    assert service(uas["alice"], c3p.by_id("getConference", ids[1])).code == "success", "the record is there until it is deleted"


@pytest.mark.parametrize("expiry,ok", [(utc(-300 * 86400), True), (utc(-400 * 86400), False), (utc(9 * 365 * 86400), True), (utc(11 * 366 * 86400), False),
                                       ("2031-13-01T00:00:00Z", False), ("2031-01-05T20:00:00+02:00", True), ("", True)],
                         ids=["300-days-ago", "400-days-ago", "in-9-years", "in-11-years", "a-13th-month", "with-an-offset", "empty"])
def test_expiry_lies_between_a_year_ago_and_ten_years_ahead(uas, expiry, ok):
    text = record(c3p.new_id(), "openAuthenticated", expiry=expiry or "NONE").replace("NONE", "")
    r = service(uas["alice"], text)
    assert (r.code, r.reason) == (("success", None) if ok else ("failure", "invalidExpiryTime")), r


# --- versions
def test_a_record_is_replaced_only_by_who_knows_its_version(uas):
    conf_id = c3p.new_id()
    r = service(uas["alice"], record(conf_id, "closedAuthenticated", users=[(BOB, "presenter")]))
    assert r.cmd.find("ci:conference-info", NS).get("version") == "1"
    change = lambda version, **kw: service(uas["alice"], record(conf_id, kw.pop("policy", "openAuthenticated"), version=version, subject="New",
                                                                command="modifyConference", **kw))
    for version in (2, 0, None, "x"):
        r = change(version)
        assert (r.sip, r.code, r.reason) == (200, "failure", "invalidVersion"), (version, r)
    r = change(1)
    info = r.cmd.find("ci:conference-info", NS)
    assert r.code == "success" and info.get("version") == "2" and info.get("entity") == c3p.focus_uri("alice", conf_id)
    assert info.findtext(".//ci:subject", namespaces=NS) == "New"
    assert BOB not in [u.get("entity") for u in info.iter(f"{{{CI}}}user")], "the whole record is replaced"
    assert change(1).reason == "invalidVersion" and change(2, policy="everybody").reason == "invalidAdmissionPolicy"
    r = service(uas["alice"], record(c3p.new_id(), "openAuthenticated", version=1, command="modifyConference"))
    assert (r.code, r.reason) == ("failure", "conferenceDoesntExist")
    r = service(uas["bob"], record(conf_id, "openAuthenticated", version=2, command="modifyConference"))
    assert (r.code, r.reason) == ("failure", "conferenceDoesntExist"), "another organizer has another conference of that id"


def test_a_changed_policy_counts_at_the_next_join_also_while_the_conference_runs(uas, end):
    conf_id = c3p.new_id()
    focus = c3p.focus_uri("alice", conf_id)
    assert service(uas["alice"], record(conf_id, "closedAuthenticated")).code == "success"
    modify = lambda version, policy: service(uas["alice"], record(conf_id, policy, version=version, command="modifyConference"))
    with pytest.raises(SipError):
        c3p.join(uas["bob"], focus)
    assert modify(1, "openAuthenticated").code == "success"
    bob = end(Participant(uas["bob"], focus))
    assert modify(2, "closedAuthenticated").code == "success"
    bob.wait("the policy", lambda: cmd.policy(bob.roster) == "closedAuthenticated" and cmd.subject(bob.roster) == "Test")
    with pytest.raises(SipError):
        c3p.join(uas["carol"], focus)
    assert not bob.focus.ended.is_set()


def test_deleting_a_record_ends_its_conference_and_frees_its_id(uas):
    conf_id = c3p.new_id()
    focus = c3p.focus_uri("alice", conf_id)
    assert service(uas["alice"], record(conf_id, "openAuthenticated")).code == "success"
    bob = Participant(uas["bob"], focus)
    assert service(uas["bob"], c3p.by_conf("deleteConference", focus)).reason == "conferenceDoesntExist", "it is alice's"
    r = service(uas["alice"], c3p.by_conf("deleteConference", focus))
    assert r.code == "success" and r.cmd.find("ci:conference-info", NS).get("entity") == focus
    assert bob.focus.ended.wait(3) and bob.sub.terminated.wait(3)
    assert service(uas["alice"], c3p.by_conf("deleteConference", focus)).reason == "conferenceDoesntExist"
    assert service(uas["alice"], record(conf_id, "openAuthenticated")).code == "success"
