# SPDX-License-Identifier: Apache-2.0
"""scripts/conclave: start, death and end of a group."""
import json
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import threading
import time

import pytest

from conftest import CONCLAVE, TOP, Group, conclave, free_base


def processes(group):
    """Everything that names the group's directory or one of its ports."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as f:
                cmd = f.read().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if (group.dir in cmd or f":{group.base + 11}" in cmd) and int(pid) != os.getpid():
            found.append((int(pid), cmd))
    return found


def until(what, seconds=15):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if what():
            return True
        time.sleep(0.1)
    return False


def pids(group):
    try:
        return group.refresh()["pids"]
    except (OSError, ValueError):
        return {}


@pytest.fixture
def fresh():
    made = []

    def make(*options, **kw):
        made.append(Group(*options, **kw))
        return made[-1]

    yield make
    for g in made:
        g.stop()


@pytest.mark.parametrize("sig", [signal.SIGINT, signal.SIGTERM])
def test_the_group_ends_within_five_seconds_and_leaves_no_process(fresh, sig):
    g = fresh()
    assert len(processes(g)) > 10
    start = time.monotonic()
    g.proc.send_signal(sig)
    assert g.proc.wait(10) == 0
    assert time.monotonic() - start < 5 and not processes(g)
    assert not os.path.exists(g.path("addresses.json")) and not os.listdir(g.path("run"))


def test_a_dead_part_is_named_with_its_last_lines_and_ends_the_group(fresh):
    g = fresh()
    os.kill(pids(g)["rtpengine"], signal.SIGKILL)
    assert g.proc.wait(10) == 1
    out = g.output()
    assert "rtpengine died (signal SIGKILL)" in out and re.search(r"^  \| .*rtpengine|^  \| ", out, re.M)
    assert not processes(g)


def test_with_supervise_a_dead_part_is_started_again(fresh):
    g = fresh("--supervise")
    for part in ("kamailio", "rtpengine"):
        old = pids(g)[part]
        os.kill(old, signal.SIGKILL)
        assert until(lambda: pids(g).get(part, old) != old and conclave("status", "--dir", g.dir).returncode == 0), g.output()
        c = g.client("udp")
        c.send(c.request("OPTIONS", "sip:conclave.test"))
        c.wait(200)
    old = pids(g)["kamailio"]
    assert conclave("restart", "kamailio", "--dir", g.dir).returncode == 0
    assert pids(g)["kamailio"] != old


def test_with_keep_a_dead_part_waits_for_restart(fresh):
    g = fresh("--keep")
    os.kill(pids(g)["kamailio"], signal.SIGKILL)
    assert until(lambda: "kamailio" not in pids(g))
    time.sleep(1)
    assert g.proc.poll() is None and "kamailio" not in pids(g) and "rtpengine" in pids(g)
    assert not [p for p in processes(g) if "kamailio.cfg" in p[1]]           # no orphans of the killed main process
    r = conclave("restart", "kamailio", "--dir", g.dir)
    assert r.returncode == 0, r.stderr
    c = g.client("tcp")
    c.send(c.request("OPTIONS", "sip:conclave.test"))
    c.wait(200)


def test_all_processes_of_the_edge_told_to_end_at_once_end_cleanly(fresh):
    g = fresh("--keep")
    for _ in range(2):
        for _ in range(4):                                                   # workers that have used OpenSSL
            c = g.client("tls")
            c.send(c.request("OPTIONS", "sip:conclave.test"))
            c.wait(200)
        edge = [p for p, cmd in processes(g) if "kamailio.cfg" in cmd]
        for p in sorted(edge, reverse=True):
            os.kill(p, signal.SIGTERM)
        assert until(lambda: not [p for p, cmd in processes(g) if "kamailio.cfg" in cmd], 4)
        assert until(lambda: "kamailio" not in pids(g))
        assert conclave("restart", "kamailio", "--dir", g.dir).returncode == 0, g.output()
    assert "BUG" not in g.log()                                              # one process freed what another had
    assert g.output().count("kamailio died (status 0)") == 2 and "signal" not in g.output().split("kamailio died", 1)[1].split("\n")[0]


def test_a_busy_database_delays_the_start_of_the_edge_and_fails_nothing(fresh):
    g = fresh("--keep")
    os.kill(pids(g)["kamailio"], signal.SIGTERM)
    assert until(lambda: not [p for p, cmd in processes(g) if "kamailio.cfg" in cmd] and "kamailio" not in pids(g))
    db = sqlite3.connect(g.path("db/location.sqlite"), isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA locking_mode=EXCLUSIVE")                              # what recovering its log does, for longer
    db.execute("BEGIN EXCLUSIVE")
    free = threading.Timer(1.5, db.close)
    free.start()
    start = time.monotonic()
    r = conclave("restart", "kamailio", "--dir", g.dir)
    assert r.returncode == 0, r.stderr + g.log()[-2000:]
    assert time.monotonic() - start > 1.0
    free.join()
    c = g.client("tls")
    c.authed("REGISTER", "sip:conclave.test", g.passwords["alice"], user="alice", expect=401, to="sip:alice@conclave.test")
    c.wait(200)
    assert "database is locked" not in g.log()


def test_a_killed_conclave_leaves_no_process(fresh):
    g = fresh()
    g.proc.kill()
    g.proc.wait(5)
    assert until(lambda: not processes(g), 8), processes(g)


def test_two_groups_run_side_by_side_and_one_directory_holds_one(fresh):
    a, b = fresh(), fresh()
    for g in (a, b):
        c = g.client("tls")
        c.send(c.request("OPTIONS", "sip:conclave.test"))
        c.wait(200)
    r = conclave("run", "--dir", a.dir, "--parts", "kamailio")
    assert r.returncode == 1 and "runs in" in r.stderr
    assert a.proc.poll() is None


def test_everything_written_is_below_dir_and_a_second_run_keeps_it(fresh):
    g = fresh("--user", "zoe:pw1", "--room", "blue", "--domain", "example.org")
    conf = json.load(open(g.path("conclave.json")))
    assert conf["users"] == [{"name": "zoe", "password": "pw1"}] and conf["rooms"] == ["blue"] and conf["domain"] == "example.org"
    for name in ("conclave.json", "addresses.json", "ca/root.key", "certs/focus-1.key", "db/credentials.sqlite"):
        assert os.stat(g.path(name)).st_mode & 0o077 == 0, name
    root = open(g.path("ca/root.pem")).read()
    assert set(g.addr) >= {"sip", "admin", "metrics", "pids", "domain", "ca", "users", "rooms"}
    g.proc.send_signal(signal.SIGTERM)
    g.proc.wait(10)
    g.proc = subprocess.Popen([CONCLAVE, "run", "--dir", g.dir, "--parts", "kamailio"], stdout=g.out, stderr=g.out)
    assert until(lambda: os.path.exists(g.path("addresses.json")))
    assert open(g.path("ca/root.pem")).read() == root
    again = g.refresh()
    assert again["sip"]["udp"] == f"127.0.0.1:{g.base}" and again["rooms"] == [{"name": "blue", "uri": "sip:blue@example.org"}]


@pytest.mark.parametrize("args,says", [
    (("--ports", "65530"), "must lie between"), (("--bind", "nowhere"), "no IP address"), (("--trunk", "1.2.3.4:media=loud"), "media is"),
    (("--trunk", "host"), "say IP"), (("--user", "a b:c"), "user name"), (("--room", "a/b"), "room"), (("--parts", "x"), "choose from"),
    (("--domain", "A_b"), "domain name"), (("--media-ports", "2"), "at least"),
])
def test_a_wrong_option_is_explained(args, says, tmp_path):
    r = conclave("run", "--dir", str(tmp_path), *args)
    assert r.returncode == 1 and says in r.stderr and "Traceback" not in r.stderr


def test_a_port_in_use_is_shown_with_the_parts_own_words(fresh):
    g = fresh()
    with tempfile.TemporaryDirectory() as d:
        r = conclave("run", "--dir", d, "--ports", str(g.base), "--parts", "kamailio")
    assert r.returncode == 1 and "kamailio" in r.stderr and "in use" in r.stderr.lower(), r.stderr


def test_it_runs_as_an_ordinary_user():
    if os.getuid():
        return                                                              # then every other test has shown it
    top = tempfile.mkdtemp(prefix="edge")
    d = top + "/group"
    os.chmod(top, 0o755)
    os.mkdir(d)
    os.chown(d, 65534, 65534)
    try:
        # An installed copy: the checkout may lie where nobody else may look.
        done = subprocess.run(["make", "-s", "install", "PREFIX=" + top + "/inst", "UNITDIR=" + top + "/units"], cwd=TOP, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        env = {k: v for k, v in os.environ.items() if not k.startswith("CONCLAVE")}
        p = subprocess.Popen(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", top + "/inst/bin/conclave", "run", "--dir", d,
                              "--ports", str(free_base()), "--parts", "kamailio,rtpengine"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=env, cwd="/")
        assert until(lambda: os.path.exists(d + "/addresses.json") or p.poll() is not None)
        assert p.poll() is None, p.stdout.read().decode()
        p.send_signal(signal.SIGTERM)
        assert p.wait(10) == 0
    finally:
        shutil.rmtree(top)


def test_check_and_the_help_pages(tmp_path):
    env = {k: v for k, v in os.environ.items() if k != "CONCLAVE_DIR"}
    assert conclave("check", cwd=tmp_path, env=env).stdout.count("ok ") > 10          # no group is named, none is here
    r = conclave("check", "--dir", str(tmp_path / "none"))
    assert r.returncode == 1 and "holds no group" in r.stderr
    for cmd in ("run", "setup", "user", "room", "cert", "check", "reload", "restart", "status", "stop"):
        assert len(conclave(cmd, "--help").stdout) > 150
    r = conclave("status", "--dir", str(tmp_path))
    assert r.returncode == 1 and "holds no group" in r.stderr


def test_certificates_are_issued_listed_and_renewed(tmp_path):
    d = str(tmp_path)
    assert conclave("setup", "--dir", d).returncode == 0
    before = open(d + "/certs/mcu-1.pem").read()
    assert conclave("cert", "--dir", d, "issue", "mcu", "mcu-2").returncode == 0
    assert conclave("cert", "--dir", d, "renew").returncode == 0
    assert open(d + "/certs/mcu-1.pem").read() != before
    out = conclave("cert", "--dir", d, "list").stdout
    assert "certs/mcu-2.pem" in out and "ca/root.pem" in out
    v = subprocess.run(["openssl", "verify", "-CAfile", d + "/ca/servers.pem", d + "/certs/mcu-2.pem"], capture_output=True, text=True)
    assert v.returncode == 0, v.stderr
    # the authority of one role cannot make another role's name
    run = lambda *a: subprocess.run(["openssl", *a], capture_output=True, text=True, cwd=d)  # noqa: E731
    run("req", "-newkey", "rsa:2048", "-nodes", "-keyout", "x.key", "-out", "x.csr", "-subj", "/CN=x")
    open(d + "/x.ext", "w").write("subjectAltName=DNS:focus.conclave.internal\n")
    assert run("x509", "-req", "-in", "x.csr", "-CA", "ca/mcu.pem", "-CAkey", "ca/mcu.key", "-set_serial", "77", "-extfile", "x.ext", "-out", "x.pem").returncode == 0
    assert run("verify", "-CAfile", "ca/servers.pem", "x.pem").returncode != 0
    new = conclave("cert", "--dir", d, "client-facing", d + "/certs/mcu-1.pem", d + "/certs/mcu-2.key")
    assert new.returncode == 1 and "is not the key" in new.stderr
