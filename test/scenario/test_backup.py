# SPDX-License-Identifier: Apache-2.0
"""confctl backup: a copy of the running focus's database, and a group that goes on from it."""
import json
import os
import sqlite3
import subprocess
import threading

from conclave_test import c3p
from conclave_test.stack import REPO

ALICE, BOB = "sip:alice@conclave.test", "sip:bob@conclave.test"


def backup(stack, target, ok=True):
    done = subprocess.run([REPO / "scripts" / "confctl", "--dir", str(stack.dir), "backup", str(target)], capture_output=True, text=True, timeout=60)
    assert (done.returncode == 0) == ok and "Traceback" not in done.stderr, (done.stdout, done.stderr)
    return done.stdout.strip() if ok else done.stderr


def test_a_copy_is_made_while_calls_go_on_and_restores_what_was(stack, end, tmp_path):
    ua = stack.ua("alice")
    focus = c3p.schedule(ua, subject="Kept")
    alice = end(c3p.Participant(ua, focus, tone=520))
    copy = tmp_path / "focus.sqlite"
    assert backup(stack, copy) == str(copy)
    assert os.stat(copy).st_mode & 0o77 == 0
    db = sqlite3.connect(f"file:{copy}?mode=ro", uri=True)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert {r[0] for r in db.execute("SELECT subject FROM conf")} >= {"Kept"}
    assert {r[0] for r in db.execute("SELECT entity FROM user")} >= {ALICE}
    db.close()
    assert not list((stack.dir / "db").glob("*.backup*")), "nothing is left beside the database"

    later = c3p.schedule(ua, subject="Later")
    full = [s for _, s in alice.roster.history].count("full")
    stack.kill("focusd")
    for f in (stack.dir / "db").glob("focus.sqlite-*"):
        f.unlink()
    (stack.dir / "db" / "focus.sqlite").write_bytes(copy.read_bytes())
    stack.restart("focusd")
    alice.wait("her roster goes on", lambda: [s for _, s in alice.roster.history].count("full") > full, 8)
    assert alice.roster.connected(ALICE, "audio-video")
    assert alice.focus.info(c3p.lock(focus, True)).code == "success"
    r = c3p.service(ua, "<getConferences/>")
    ids = [i.get("entity") for i in r.cmd.iter("{urn:ietf:params:xml:ns:conference-info}conference-info")]
    assert focus in ids and later not in ids


def test_copies_are_made_while_conferences_are_scheduled_and_each_is_whole(stack, tmp_path):
    ua, stop, made = stack.ua("bob"), threading.Event(), []

    def work():
        while not stop.is_set():
            made.append(c3p.schedule(ua, subject="x" * 400))

    t = threading.Thread(target=work)
    t.start()
    try:
        for i in range(4):
            before = len(made)
            backup(stack, tmp_path / "copy")                # the same file: replaced in one step
            db = sqlite3.connect(f"file:{tmp_path / 'copy'}?mode=ro", uri=True)
            assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert db.execute("SELECT count(*) FROM conf WHERE organizer = 'bob'").fetchone()[0] >= before
            db.close()
    finally:
        stop.set()
        t.join()
    assert stack.metrics("focusd")["conclave_focus_store_failures_total"] == 0


def test_what_cannot_be_written_is_said_and_leaves_nothing(stack, tmp_path):
    assert "No such file or directory" in backup(stack, tmp_path / "no" / "file", ok=False)
    os.mkfifo(tmp_path / "fifo")                            # stands for a device: root would replace that too
    for special in (tmp_path, tmp_path / "fifo"):
        assert "not a plain file" in backup(stack, special, ok=False)
    assert list(tmp_path.iterdir()) == [tmp_path / "fifo"]
    answer = json.loads(subprocess.run([REPO / "scripts" / "confctl", "--json", "--dir", str(stack.dir), "backup", str(tmp_path / "f")],
                                       capture_output=True, text=True, timeout=60).stdout)
    assert answer == {"ok": True, "path": str(tmp_path / "f")}
