# SPDX-License-Identifier: Apache-2.0
"""Scheduling without SIP: confctl schedule, HTTPS with digest by the users' own credentials, pass code encrypted on the way."""
import hashlib
import http.client
import json
import re
import ssl
import subprocess

import pytest

from conclave_test import c3p
from conclave_test import commands as cmd
from conclave_test.sip import SipError
from conclave_test.stack import REPO


ALICE = "sip:alice@conclave.test"


def confctl(stack, *words, ok=True):
    done = subprocess.run([REPO / "scripts" / "confctl", "--dir", str(stack.dir), "--json", "schedule", *words], capture_output=True, text=True, timeout=30)
    assert (done.returncode == 0) == ok, (done.stdout, done.stderr)
    answer = json.loads(done.stdout)
    return answer if ok else answer["error"]


def test_a_conference_is_scheduled_listed_joined_and_deleted_over_https(stack):
    conf_id = c3p.new_id()
    uri = confctl(stack, "--user", "alice", "--subject", "Budget & <more>", "--invite", "sip:carol@conclave.test=presenter", "--id", conf_id)["uri"]
    assert uri == c3p.focus_uri("alice", conf_id)
    mine = {c["id"]: c for c in confctl(stack, "list", "--user", "alice")["conferences"]}
    assert mine[conf_id]["subject"] == "Budget & <more>" and not mine[conf_id]["active"]
    assert conf_id not in {c["id"] for c in confctl(stack, "list", "--user", "bob")["conferences"]}
    carol = c3p.join(stack.ua("carol"), uri)
    assert carol.granted == "presenter"
    carol.bye()
    confctl(stack, "delete", "--user", "alice", "--id", conf_id)
    with pytest.raises(SipError) as e:
        c3p.join(stack.ua("carol"), uri)
    assert e.value.code == 404


def test_wrong_credentials_and_other_peoples_conferences_are_refused(stack):
    assert "wrong user name or password" in confctl(stack, "list", "--user", "alice:wrong", ok=False)
    assert "wrong user name or password" in confctl(stack, "list", "--user", "nobody:x", ok=False)
    conf_id = c3p.new_id()
    confctl(stack, "--user", "alice", "--id", conf_id)
    assert "conferenceDoesntExist" in confctl(stack, "delete", "--user", "bob", "--id", conf_id, ok=False)
    assert "conferenceExists" in confctl(stack, "--user", "alice", "--id", conf_id, ok=False)


def test_a_pass_code_is_sent_encrypted_and_a_bad_one_refused(stack):
    confctl(stack, "--user", "alice", "--policy", "anonymous", "--passcode", "4711", "--id", (conf_id := c3p.new_id()))
    listed = json.loads(subprocess.run([REPO / "scripts" / "confctl", "--dir", str(stack.dir), "--json", "list"], capture_output=True, text=True).stdout)
    assert [c["pin"] for c in listed["conferences"] if c["id"] == conf_id] == [True]
    assert "invalidPasscode" in confctl(stack, "--user", "alice", "--policy", "anonymous", "--passcode", "1", ok=False)


# --- guessing, and what is typed wrongly
def post(stack, user, password, source):
    """A getConferences by digest from that address; the HTTP status."""
    conn = http.client.HTTPSConnection("127.0.0.1", stack.base + 14, timeout=5, source_address=(source, 0),
                                       context=ssl._create_unverified_context())
    body = c3p.request("<getConferences/>", f"sip:{user}@conclave.test", c3p.factory_uri(user))
    headers = {"Content-Type": c3p.CTYPE}
    try:
        conn.request("POST", "/LiveServer/FocusFactory/", body, headers)
        r = conn.getresponse()
        r.read()
        assert (r.status, r.reason) == (401, "Unauthorized")
        challenge = dict(re.findall(r'(\w+)="([^"]*)"', r.getheader("WWW-Authenticate")))
        md5 = lambda *parts: hashlib.md5(":".join(parts).encode()).hexdigest()
        answer = md5(md5(user, challenge["realm"], password), challenge["nonce"], "00000001", "c", "auth", md5("POST", "/LiveServer/FocusFactory/"))
        headers["Authorization"] = (f'Digest username="{user}", realm="{challenge["realm"]}", nonce="{challenge["nonce"]}", uri="/LiveServer/FocusFactory/", '
                                    f'qop=auth, nc=00000001, cnonce="c", response="{answer}"')
        conn.request("POST", "/LiveServer/FocusFactory/", body, headers)
        return conn.getresponse().status
    finally:
        conn.close()


def test_who_guesses_locks_out_himself_and_not_the_user(stack):
    assert [post(stack, "alice", "wrong", "127.0.0.21") for _ in range(12)] == [401] * 10 + [503] * 2
    assert post(stack, "alice", "secret-a", "127.0.0.21") == 503, "he does not even learn that he is right"
    assert post(stack, "alice", "secret-a", "127.0.0.1") == 200, "she goes on elsewhere"
    assert post(stack, "bob", "secret-b", "127.0.0.21") == 200, "and others where he is"


def test_one_address_may_not_guess_at_many_users(stack):
    got = [post(stack, f"user{i}", "x", "127.0.0.22") for i in range(52)]
    assert got == [401] * 50 + [503] * 2
    assert post(stack, "bob", "secret-b", "127.0.0.22") == 503
    assert post(stack, "bob", "secret-b", "127.0.0.23") == 200


def test_without_a_terminal_the_password_comes_from_standard_input(stack):
    stack.run("user", "add", "erin:gehe\u00fcim")               # and need not be ASCII
    words = [REPO / "scripts" / "confctl", "--dir", str(stack.dir), "schedule", "list", "--user"]
    run = lambda user, text: subprocess.run([*words, user], input=text, capture_output=True, text=True, timeout=30, start_new_session=True)
    assert run("erin", "gehe\u00fcim\n").returncode == 0
    for user, text, said in (("erin", "", "no password of erin"), ("erin", "wrong\n", "wrong user name or password"),
                             ("j\u00f6rg:x", "", "user name 'j\u00f6rg'"), ("a b:x", "", "user name 'a b'")):
        done = run(user, text)
        assert done.returncode == 1 and said in done.stderr and "Traceback" not in done.stderr, (user, done.stderr)


# --- names
def test_a_name_is_a_user_or_a_room(stack):
    confctl = lambda *w: subprocess.run([REPO / "scripts" / "confctl", "--dir", str(stack.dir), *w], capture_output=True, text=True, timeout=30)
    for done in (confctl("add", "alice"), confctl("add", "Alice"),
                 subprocess.run(stack.command("room", "add", "bob", "--dir", stack.dir), env=stack.env(), capture_output=True, text=True)):
        assert done.returncode == 1 and "this name is a user's" in done.stderr, done
    done = subprocess.run(stack.command("user", "add", "lobby:x", "--dir", stack.dir), env=stack.env(), capture_output=True, text=True)
    assert done.returncode == 1 and "lobby is a room" in done.stderr, done
    done = subprocess.run(stack.command("setup", "--dir", stack.dir / "other", "--user", "max", "--room", "max"), env=stack.env(), capture_output=True, text=True)
    assert done.returncode == 1 and "max is a user and a room" in done.stderr, done


def test_a_long_display_name_does_not_widen_the_table(stack, end):
    focus = c3p.schedule(stack.ua("alice"))
    alice = end(c3p.Participant(stack.ua("alice"), focus))
    name = "Prof. Dr. Dr. h.c. mult. Alexandra Maximiliane von und zu Hohenstein"
    assert alice.focus.info(f"<modifyUser>{cmd.keys(focus, ALICE)}<ci:user entity='{ALICE}'><ci:display-text>{name}</ci:display-text></ci:user></modifyUser>").code == "success"
    shown = subprocess.run([REPO / "scripts" / "confctl", "--dir", str(stack.dir), "show", focus], capture_output=True, text=True, timeout=30).stdout
    assert name[:31] + "\u2026" in shown and name[:32] not in shown
    assert max(map(len, shown.splitlines()[-2:])) < 130


def test_a_list_names_nobody_twice(stack):
    invite = lambda *who: [w for u in who for w in ("--invite", u)]
    assert "userExists" in confctl(stack, "--user", "alice", *invite("sip:bob@conclave.test", "sip:carol@conclave.test=presenter", "sip:BOB@conclave.test"), ok=False)
    assert "invalidUserEntity" in confctl(stack, "--user", "alice", *invite("tel:+15550100"), ok=False)
    r = c3p.service(stack.ua("alice"), c3p.add_conference(c3p.new_id(), users=[("sip:bob@conclave.test", "attendee"), ("sip:bob@conclave.test", "presenter")]))
    assert (r.sip, r.code, r.reason) == (200, "failure", "userExists"), r
