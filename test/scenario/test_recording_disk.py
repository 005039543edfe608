# SPDX-License-Identifier: Apache-2.0
"""Recordings and the disk below them: full, nearly full, not writable, taken away; and what a power cut leaves, byte by byte.

Judged on the decoded files, on what is heard in the room meanwhile, and on what those are told who asked.
"""
import bisect
import os
import re
import subprocess
import time

import pytest

from conclave_test import c3p, prompts, rtp
from conclave_test.c3p import Participant
from conclave_test.rtp import RATE as LEG_RATE
from conclave_test.soundfile import RATE, Recording, pages
from conclave_test.stack import SmallDisk, StackError

A, B = 520, 930
ALL = [A, B]
BOB = "sip:bob@conclave.test"
ROOM = {".opus": 8000, ".wav": 200000}           # bytes: about two seconds


@pytest.fixture(scope="module")
def small(request):
    s = SmallDisk("recordings", 4096, "--prompts", "en")
    request.module.__stack__ = s
    yield s
    s.stop()


def meet(s, end, **keys):
    """The mcu with these keys in [recording]; alice, who presents and is silent, and bob, whose tone is heard all the time."""
    conf = s.dir / "etc" / "mcu.conf"
    lines = "".join(f"{k} = {v}\n" for k, v in {"path": s.dir / "recordings", "min_free_mb": 0, **keys}.items())
    conf.write_text(re.sub(r"\[recording\]\n(?:\w+ = .*\n)*", "[recording]\n" + lines, conf.read_text()))
    s.restart("mcu")
    focus = c3p.schedule(s.ua("alice"))
    alice, bob = end(Participant(s.ua("alice"), focus)), end(Participant(s.ua("bob"), focus))
    for p in (alice, bob):
        s.wait(f"{p.ua.user} is in", lambda p=p: called(p), 15, 0.3)
    alice.leg.quiet()
    bob.leg.tone(B)
    alice.wait("bob", lambda: alice.roster.connected(BOB, "audio-video"))
    alice.leg.wait_heard({B}, ALL)
    time.sleep(2.5)                              # she was told that she is alone
    return conf_id(focus), alice, bob


def called(p):
    try:
        return p.call(A)
    except (c3p.SipError, c3p.SipTimeout):
        return None


def conf_id(focus):
    return re.search(r"id:([^;?&>]+)", focus).group(1)


def shown(p):
    return p.roster.tree.findtext("ci:conference-state/{urn:x-conclave:c3p:1}recording", namespaces=c3p.NS) == "true"


def files(s, conf):
    return sorted(os.path.join(s.disk, f) for f in os.listdir(s.disk) if f.startswith(conf + "_"))


def record(s, conf, alice):
    """Begins it, and waits until the announcement is over; the file."""
    old = files(s, conf)
    s.confctl("record", conf, "on")
    alice.wait("shown", lambda: shown(alice))
    [path] = set(files(s, conf)) - set(old)
    time.sleep(3.5)
    return path


def failures(s):
    return s.metrics("mcu").get("conclave_media_recordings_failed_total", 0)


def refused(s, conf, alice):
    """What the operator is told; the roster has taken it back."""
    with pytest.raises(StackError) as e:
        s.confctl("record", conf, "on")
    alice.wait("not shown", lambda: not shown(alice))
    return str(e.value).splitlines()[0]


def refused_by_key(alice):
    since = time.monotonic()
    alice.leg.dtmf("*3")
    prompts.wait(alice.leg, "not-now", since)
    alice.wait("not shown", lambda: not shown(alice))
    return since


def no_gap(leg, since):
    """bob's tone came all the time: no packet is missing, and no 100 ms are quieter than the rest."""
    ts = sorted({p.ts for p in leg.between(since) if p.pt in (0, 8)})
    assert len(ts) > 50
    steps = {b - a for a, b in zip(ts, ts[1:])}
    assert steps == {LEG_RATE // 50}, f"steps of timestamps: {steps}"
    pcm, n = leg.pcm(since), LEG_RATE // 10
    loud = [rtp.level_db(pcm[i:i + n], B) for i in range(0, len(pcm) - n, n)]
    middle = sorted(loud)[len(loud) // 2]
    assert min(loud) > middle - 4, f"levels of 100 ms: {[round(x) for x in loud]}"


def plays_to_its_end(rec, seconds=1.5):
    for i in range(int(seconds * 10)):
        end = rec.seconds - i / 10
        assert rtp.level_db(rec.at(end - 0.1, end), B, RATE) > -35, f"bob is not in the file {i / 10} s before its end"


@pytest.mark.parametrize("form", ["opus", "wav"])
def test_a_disk_that_fills_up_ends_it_all_learn_of_it_and_the_room_goes_on_without_a_gap(small, end, form):
    conf, alice, bob = meet(small, end, format=form)
    path, failed = record(small, conf, alice), failures(small)
    since = time.monotonic()
    small.fill(leave=ROOM["." + form])
    try:
        alice.wait("not shown", lambda: not shown(alice), 8)
        bob.wait("not shown to bob", lambda: not shown(bob))
        prompts.wait(alice.leg, "recording-off", since)
        no_gap(alice.leg, since)
        rec = Recording(path)
        assert rec.seconds > 3.5 and not rec.ended
        plays_to_its_end(rec)
        assert "the disk is full: No space left on device" in small.new_log("mcu")
        assert failures(small) == failed + 1 and small.metrics("mcu")["conclave_media_recording"] == 0
        assert "recording" not in small.confctl("show", conf).split("version")[0].split("state")[1]
    finally:
        small.free()
    time.sleep(1.1)                              # the next file has another second in its name
    again = record(small, conf, alice)
    small.confctl("record", conf, "off")
    alice.wait("not shown again", lambda: not shown(alice))
    small.wait("it is all in the file", lambda: Recording(again).seconds > 3)
    plays_to_its_end(Recording(again), 1.0)


def test_a_disk_nearly_full_ends_it_before_nothing_fits_and_a_new_one_is_refused_to_him_who_asks(small, end):
    conf, alice, bob = meet(small, end, min_free_mb=1)
    path = record(small, conf, alice)
    small.fill(leave=900000)
    try:
        alice.wait("not shown", lambda: not shown(alice), 6)
        assert "the disk is nearly full" in small.new_log("mcu")
        plays_to_its_end(Recording(path))
        failed, since = failures(small), time.monotonic()
        time.sleep(1.1)
        assert "min_free_mb" in refused(small, conf, alice)
        assert files(small, conf) == [path] and failures(small) == failed + 1
        time.sleep(3)                            # the announcement of the end is over
        no_gap(alice.leg, since)
        since = refused_by_key(alice)
        assert files(small, conf) == [path]
        assert not prompts.heard(bob.leg, "recording-on", since)
    finally:
        small.free()


def test_a_directory_that_cannot_be_written_is_told_to_him_who_asks(small, end):
    conf, alice, bob = meet(small, end)
    remount(small, "ro")
    try:
        assert "cannot write to [recording] path" in refused(small, conf, alice)
        assert "Read-only file system" in small.new_log("mcu")
        since = refused_by_key(alice)
        assert not files(small, conf)
        assert not prompts.heard(bob.leg, "recording-on", since)
    finally:
        remount(small, "rw")
    plays_to_its_end_after(small, conf, alice)


def test_a_directory_that_is_not_there_and_cannot_be_made_is_told_to_him_who_asks(small, end):
    conf, alice, bob = meet(small, end, path=small.dir / "gone" / "recordings")
    assert "cannot write to [recording] path" in refused(small, conf, alice)
    assert "No such file or directory" in small.new_log("mcu")
    (small.dir / "gone").mkdir()                 # its parent is enough
    small.confctl("record", conf, "on")
    alice.wait("shown", lambda: shown(alice))
    small.confctl("record", conf, "off")
    assert list((small.dir / "gone" / "recordings").glob("*.opus"))


def test_an_mcu_that_records_nothing_says_so(small, end):
    conf, alice, bob = meet(small, end, path="")
    assert "records nothing" in refused(small, conf, alice)


def test_a_file_that_is_deleted_ends_it(small, end):
    conf, alice, bob = meet(small, end)
    os.unlink(record(small, conf, alice))
    alice.wait("not shown", lambda: not shown(alice), 5)
    assert "the file was deleted" in small.new_log("mcu")


def plays_to_its_end_after(s, conf, alice):
    path = record(s, conf, alice)
    s.confctl("record", conf, "off")
    alice.wait("not shown", lambda: not shown(alice))
    s.wait("the file is whole", lambda: Recording(path).ended)
    plays_to_its_end(Recording(path), 1.0)


def remount(s, how):
    enter = ["nsenter", "-t", str(s.pid("focusd")), "-m", *([] if os.getuid() == 0 else ["-U", "--preserve-credentials"])]
    subprocess.run([*enter, "mount", "-o", f"remount,{how}", str(s.dir / "recordings")], check=True, timeout=10)


def test_a_power_cut_at_any_byte_of_the_last_second_leaves_what_was_before_it(small, end):
    conf, alice, bob = meet(small, end)
    path = record(small, conf, alice)
    small.kill("mcu")
    with open(path, "rb") as f:
        data = f.read()
    whole, rec = pages(data), Recording(path)
    ends = [bisect.bisect_left(range(len(data)), k, key=lambda n: len(pages(data[:n]))) for k in range(len(whole) + 1)]
    assert ends[-1] == len(data), "nothing is behind the last page"
    from_page = next(i for i, p in enumerate(whole) if p[1] / RATE > rec.seconds - 1)
    assert len(whole) - from_page >= 2, "pages of half a second at most"
    for n in range(ends[from_page], len(data) + 1):
        assert pages(data[:n]) == whole[:sum(e <= n for e in ends) - 1]
    cuts = {*range(ends[from_page], len(data), 97), *(e + d for e in ends[from_page + 1:] for d in (-1, 0, 1)), len(data)}
    for n in sorted(n for n in cuts if n <= len(data)):
        cut = Recording(path, n)
        assert rec.seconds - 1.6 < cut.seconds <= rec.seconds
        assert cut.seconds == (whole[sum(e <= n for e in ends) - 2][1] - rec.skip) / RATE
        plays_to_its_end(cut, 0.3)


def test_a_power_cut_leaves_of_a_wav_file_every_sample_before_it(small, end):
    conf, alice, bob = meet(small, end, format="wav")
    path = record(small, conf, alice)
    small.kill("mcu")
    rec = Recording(path)
    assert rec.seconds > 2.4
    for n in range(rec.size - 2 * RATE, rec.size + 1, 97):
        cut = Recording(path, n)
        assert len(cut.pcm) == min((n - 44) // 2, len(rec.pcm))
        plays_to_its_end(cut, 0.1)
