# SPDX-License-Identifier: Apache-2.0
"""Scheduling without SIP: confctl schedule, HTTPS with digest by the users' own credentials, pass code encrypted on the way."""
import json
import subprocess

import pytest

from conclave_test import c3p
from conclave_test.sip import SipError
from conclave_test.stack import REPO


def confctl(stack, *words, ok=True):
    done = subprocess.run([REPO / "scripts" / "confctl", "--dir", str(stack.dir), "--json", "schedule", *words], capture_output=True, text=True, timeout=30)
    assert (done.returncode == 0) == ok, (done.stdout, done.stderr)
    return json.loads(done.stdout) if ok else done.stderr


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
