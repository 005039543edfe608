# SPDX-License-Identifier: Apache-2.0
"""scripts/conclave and scripts/confctl as operators use them, also wrongly."""
import json
import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest

from conclave_test.stack import REPO, StackError

sys.path.insert(0, str(REPO / "scripts"))
from conclave_lib import confctl, supervise  # noqa: E402


def call(program, *words, stdin=""):
    """Arguments may be bytes; the output is text."""
    done = subprocess.run([REPO / "scripts" / program, *words], cwd=REPO, input=stdin.encode() if isinstance(stdin, str) else stdin,
                          capture_output=True, timeout=60)
    done.stdout, done.stderr = done.stdout.decode(), done.stderr.decode()
    assert "Traceback" not in done.stderr, done.stderr
    return done


def refused(says, program, *words, stdin="", usage=False):
    done = call(program, *words, stdin=stdin)
    lines = done.stderr.splitlines()
    assert done.returncode == (2 if usage else 1) and says in lines[-1] and (usage or len(lines) == 1), (words, done)


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A group that was set up and does not run."""
    d = tmp_path_factory.mktemp("group")
    assert call("conclave", "setup", "--dir", d, "--user", "alice:pw").returncode == 0
    return d


# --- the running group

def test_a_daemon_is_told_often_to_reload_and_still_answers(stack):
    """Each reload tells the supervisor; a socket that nobody reads would be full at the sixth."""
    for part in ("mcu", "focusd"):
        for _ in range(20):
            os.kill(stack.pid(part), signal.SIGHUP)
            time.sleep(0.05)                        # signals that come together are one
        assert stack.admin(part, cmd="stats")["ok"], part
    assert "silent" not in stack.run("status")


def test_the_supervisor_reads_what_a_part_tells_for_as_long_as_it_lives(tmp_path):
    part = supervise.Part(SimpleNamespace(path=lambda *names: str(tmp_path / names[-1])), "mcu", [], None, True)
    part._open_notify()
    part.proc = SimpleNamespace(poll=lambda: None)                      # it lives
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as s, part.notify:
        for _ in range(100):
            s.sendto(b"RELOADING=1", part.notify_path)
            s.sendto(b"READY=1", part.notify_path)
            assert part.poll_ready()


def test_a_part_that_hangs_is_not_called_ready(stack):
    pid = stack.pid("mcu")
    os.kill(pid, signal.SIGSTOP)
    try:
        stack.run("status")
        raise AssertionError("status succeeded")
    except StackError as e:
        assert "mcu        silent" in str(e)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "mcu        ready" in stack.run("status")


# --- names
def test_the_attendants_name_is_nobody_elses(files, tmp_path):
    refused("attendant's name", "conclave", "user", "add", "Conference:pw", "--dir", files)
    refused("attendant's name", "conclave", "setup", "--dir", tmp_path / "new", "--user", "conference:pw")
    refused("attendant's name", "conclave", "setup", "--dir", tmp_path / "new", "--room", "conference")


@pytest.mark.parametrize("name", ["../x", "../../evil", "a/b", ".hidden", "a..b", "mcu,DNS:focus.conclave.internal", "", "x" * 64, "a b", "a\nb"])
def test_a_certificates_name_is_a_host_name(files, name):
    before = sorted(p.name for d in (files, files.parent) for p in d.rglob("*"))
    for words in (("trust", name, files / "ca" / "client-root.pem"), ("issue", "edge", name), ("issue", "mcu", name)):
        refused("name", "conclave", "cert", *words, "--dir", files)
    assert sorted(p.name for d in (files, files.parent) for p in d.rglob("*")) == before


def test_no_peer_has_the_name_of_a_server_of_ours_and_no_node_that_of_another(files):
    ca = files / "ca" / "client-root.pem"
    for name in ("focus.conclave.internal", "FOCUS.Conclave.Internal", "conclave.internal", "mcu-9.mcu.conclave.internal"):
        refused("our own", "conclave", "cert", "trust", name, ca, "--dir", files)
    refused("no domain name", "conclave", "cert", "trust", "sip.example.net", ca, "--domains", "a,b c", "--dir", files)
    for node in ("client-facing", "edge-1"):
        refused("something else", "conclave", "cert", "issue", "mcu", node, "--dir", files)
    assert call("conclave", "cert", "trust", "sip.example.net", ca, "--dir", files).returncode == 0
    assert call("conclave", "cert", "distrust", "sip.example.net", "--dir", files).returncode == 0


# --- words
def test_options_may_stand_anywhere(files):
    done = call("conclave", "user", "add", "--dir", files, "dave", stdin="pw\n")
    assert done.returncode == 0 and "dave" in call("conclave", "user", "--dir", files, "list").stdout, done
    assert call("conclave", "cert", "issue", "--dir", files, "mcu", "mcu-2").returncode == 0
    assert call("conclave", "cert", "--dir", files, "issue", "mcu", "--as", "trunk", "mcu-3").returncode == 0
    refused("is the group running", "conclave", "room", "add", "--dir", files, "board", "--pin", "4711")
    refused("is the group running", "conclave", "room", "add", "--pin", "4711", "board", "--dir", files)
    refused("invalid choice", "conclave", "user", "--dir", files, "ad", "x", usage=True)
    refused("unrecognized", "conclave", "user", "list", "--dir", files, "x", "y", usage=True)
    refused("Connection refused", "confctl", "--dir", files, "schedule", "--user", "alice:pw", "list")


@pytest.mark.parametrize("words", [("--hours", "inf"), ("--hours", "nan"), ("--hours", "-1"), ("--hours", "0"), ("--hours", "x"), ("--url", "nonsense"),
                                   ("--url", "http://a"), ("--url", "https://a:b"), ("--subject", b"\xff"), ("--passcode", b"\xff123")])
def test_a_wrong_option_of_schedule_is_one_line(files, words):
    refused("UTF-8" if isinstance(words[1], bytes) else words[0], "confctl", "--dir", files, "schedule", "--user", "alice:pw", *words, usage=True)


def test_what_is_not_utf8_is_refused(files):
    refused("UTF-8", "conclave", "user", "add", b"erin:\xff", "--dir", files, usage=True)
    done = call("conclave", "user", "add", "erin", "--dir", files, stdin=b"\xff\n")
    assert done.returncode in (1, 2) and "UTF-8" in done.stderr
    refused("--ca /nonexistent", "confctl", "--dir", files, "schedule", "--user", "alice:pw", "--ca", "/nonexistent")
    refused("UTF-8", "confctl", "--dir", files, "show", b"\xff", usage=True)


def test_a_directory_that_is_none_or_holds_no_group(tmp_path):
    plain = tmp_path / "file"
    plain.write_text("")
    for words in (("setup",), ("check",), ("status",), ("user", "list"), ("run",)):
        refused(str(plain), "conclave", *words, "--dir", plain)
    refused(str(plain), "confctl", "--dir", plain, "list")
    refused("holds no group", "conclave", "check", "--dir", tmp_path / "typo")
    (tmp_path / "conclave.json").write_text("{")
    refused("conclave.json", "conclave", "check", "--dir", tmp_path)


@pytest.mark.parametrize("words,says", [
    (("--log", "foo"), "error, warn, info, debug"), (("--clients", "0"), "1 to 1000000"), (("--clients", "1000001"), "1 to 1000000"),
    (("--domain", "a..b"), "domain name"), (("--domain", "a-.b"), "domain name"), (("--prompts", "xx"), "there are de, en"),
])
def test_a_wrong_option_of_setup_is_explained_and_makes_nothing(tmp_path, words, says):
    refused(says, "conclave", "setup", "--dir", tmp_path / "new", *words)
    assert not (tmp_path / "new").exists()


def test_an_error_is_an_object_where_json_was_asked_for(files):
    for words, status in ((("list",), 1), (("why", "x"), 1), (("schedule", "--user", "alice:pw", "--hours", "nan"), 2)):
        done = call("confctl", "--dir", files, "--json", *words)
        answer = json.loads(done.stdout)
        assert done.returncode == status and answer["ok"] is False and answer["error"] and not done.stderr, done


# --- what is shown
def test_names_and_subjects_cannot_command_the_terminal(capsys):
    evil = "a\x1b[31m\u009b1m\u202eb\u2066c\nd\x07\ud800"
    user = {"entity": "sip:" + evil, "display": evil, "role": "attendee", "endpoints": [{"joined": evil, "call_id": evil, "session": evil}]}
    conf = {"name": evil, "id": evil, "subject": evil, "uri": evil, "policy": "x", "users": 1, "subscriptions": 0, "version": 1, "roster": [user],
            "expires": evil, "active": True, "quality_unknown": evil}
    confctl._print_show(conf)
    confctl._print_list({"conferences": [conf]})
    confctl._print_schedule({"uri": evil, "conferences": [conf]})
    out = capsys.readouterr().out
    assert not set(out) & set("\x1b\u009b\u202e\u2066\x07\ud800") and "c d" in out
    assert len(out.splitlines()) == 8 + 2 + 2 + 2 + 3, out
