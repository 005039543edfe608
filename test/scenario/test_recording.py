# SPDX-License-Identifier: Apache-2.0
"""A conference is recorded: who may, who is told, what is in the file, and what is left of it when something dies."""
import os
import re
import resource
import signal
import stat
import time

import numpy as np
import pytest

from conclave_test import c3p, prompts, rtp
from conclave_test.c3p import Participant
from conclave_test.roster import NS
from conclave_test.soundfile import RATE, Recording
from conclave_test.stack import StackError

STACK_OPTIONS = ("--prompts", "en")
A, B, C = 520, 930, 1210
ALL = [A, B, C]
BOB = "sip:bob@conclave.test"


@pytest.fixture
def room(stack, end):
    """alice, who presents, with her roster, and bob, an attendee; both silent."""
    focus = c3p.schedule(stack.ua("alice"))
    alice = end(Participant(stack.ua("alice"), focus, tone=A))
    bob = end(Participant(stack.ua("bob"), focus, tone=B))
    alice.wait("bob", lambda: alice.roster.connected(BOB, "audio-video"))
    alice.leg.wait_heard({B}, ALL)
    for p in (alice, bob):
        p.leg.quiet()
    alice.leg.wait_heard(set(), ALL)
    time.sleep(2)                                # she was told that she is alone: that ends
    yield focus, alice, bob
    for p in (alice, bob):
        if p.audio:
            p.audio.close()


def conf_id(focus):
    return re.search(r"id:([^;?&>]+)", focus).group(1)


def shown(p):
    return p.roster.tree.findtext("ci:conference-state/{urn:x-conclave:c3p:1}recording", namespaces=NS) == "true"


def files(stack, focus, suffix=".opus"):
    d = os.path.join(stack.dir, "recordings")
    return sorted(os.path.join(d, f) for f in (os.listdir(d) if os.path.isdir(d) else ()) if f.startswith(conf_id(focus) + "_") and f.endswith(suffix))


def record(stack, focus, state):
    return stack.confctl("record", conf_id(focus), state)


def whole(stack, path):
    stack.wait("the file is whole", lambda: Recording(path).ended)
    return Recording(path)


def sounds(rec, hz, start, end):
    return rtp.level_db(rec.at(start, end), hz, RATE) > -40


def resampled(rec, start=0.0, end=None):
    return prompts.resample(rec.at(start, end or rec.seconds).astype(float), RATE)


def test_a_presenter_starts_and_ends_it_by_keys_and_the_talkers_are_in_the_file(stack, room):
    focus, alice, bob = room
    since = time.monotonic()
    alice.leg.dtmf("*3")
    alice.wait("shown", lambda: shown(alice), 5)
    bob.wait("shown to bob", lambda: shown(bob), 5)
    for p in (alice, bob):
        prompts.wait(p.leg, "recording-on", since)
    stack.wait("a file", lambda: files(stack, focus))
    [path] = files(stack, focus)
    assert re.fullmatch(re.escape(conf_id(focus)) + r"_\d{8}T\d{6}Z\.opus", os.path.basename(path))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o640 and stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o750
    assert "recording" in stack.confctl("show", conf_id(focus))
    time.sleep(1.5)                              # the announcement ends
    marks = []
    for leg, hz in ((alice.leg, A), (bob.leg, B)):
        marks.append((time.monotonic(), hz))
        leg.tone(hz)
        time.sleep(2)
        leg.quiet()
        time.sleep(1.2)
    since = time.monotonic()
    alice.leg.dtmf("*3")
    for p in (alice, bob):
        prompts.wait(p.leg, "recording-off", since)
        p.wait("not shown", lambda p=p: not shown(p))
    rec = whole(stack, path)
    assert conf_id(focus) in rec.tags
    alike, _ = prompts.find(resampled(rec, 0, 5), "recording-on")
    assert alike > prompts.ALIKE, f"the announcement is in the file ({alike:.2f})"
    starts = []
    for _, hz in marks:
        loud = [t / 20 for t in range(int((rec.seconds - 0.1) * 20)) if rtp.level_db(rec.at(t / 20, t / 20 + 0.1), hz, RATE) > -35]
        run = max(np.split(loud, np.where(np.diff(loud) > 0.11)[0] + 1), key=len)
        assert 1.5 < run[-1] - run[0] < 2.8, f"{hz} Hz from {run[0]} to {run[-1]} of {rec.seconds}"
        starts.append(run[0])
    assert abs((starts[1] - starts[0]) - (marks[1][0] - marks[0][0])) < 0.15, "both at the right place"
    assert not sounds(rec, B, starts[0] + 0.4, starts[0] + 1.4) and not sounds(rec, A, starts[1] + 0.4, starts[1] + 1.4)


def test_an_attendee_is_refused(stack, room):
    focus, alice, bob = room
    since = time.monotonic()
    bob.leg.dtmf("*3")
    prompts.wait(bob.leg, "not-now", since)
    assert not files(stack, focus) and not shown(alice)


def test_the_operator_records_and_who_comes_later_is_told(stack, room, end):
    focus, alice, bob = room
    since = time.monotonic()
    record(stack, focus, "on")
    alice.wait("shown", lambda: shown(alice))
    prompts.wait(bob.leg, "recording-on", since)
    time.sleep(0.5)
    since = time.monotonic()
    carol = end(Participant(stack.ua("carol"), focus, tone=C))
    prompts.wait(carol.leg, "recording-on", since)
    assert shown(carol)
    assert not prompts.heard(alice.leg, "recording-on", since), "the others know already"
    [path] = files(stack, focus)
    record(stack, focus, "off")
    alice.wait("not shown", lambda: not shown(alice))
    rec = whole(stack, path)
    assert sounds(rec, C, rec.seconds - 1, rec.seconds)
    assert stack.metrics("mcu")["conclave_media_recording"] == 0
    carol.audio.close()


def test_with_the_conference_it_ends_and_the_next_one_is_not_recorded(stack, room, end):
    focus, alice, bob = room
    record(stack, focus, "on")
    alice.wait("shown", lambda: shown(alice))
    [path] = files(stack, focus)
    time.sleep(1)
    assert alice.focus.info(c3p.by_conf("deleteConference", focus)).code == "success"
    assert 0.5 < whole(stack, path).seconds < 4
    alice = end(Participant(stack.ua("alice"), focus, tone=A))
    assert not shown(alice)
    time.sleep(0.5)
    assert files(stack, focus) == [path]
    alice.audio.close()


def test_a_killed_focusd_leaves_it_running(stack, room):
    focus, alice, bob = room
    record(stack, focus, "on")
    alice.wait("shown", lambda: shown(alice))
    [path] = files(stack, focus)
    full = [s for _, s in alice.roster.history].count("full")
    stack.kill("focusd")
    bob.leg.tone(B)
    stack.restart("focusd")
    alice.wait("a full document", lambda: [s for _, s in alice.roster.history].count("full") > full, 8)
    assert shown(alice)
    time.sleep(2)
    assert files(stack, focus) == [path] and not Recording(path).ended
    record(stack, focus, "off")
    alice.wait("not shown", lambda: not shown(alice))
    rec = whole(stack, path)
    assert rtp.level_db(rec.at(rec.seconds - 1.5, rec.seconds - 0.5), B, RATE) > -40, "it went on meanwhile"


def test_of_a_killed_mcu_the_file_is_there_up_to_the_last_second_and_the_next_one_goes_on(stack, room, end):
    focus, alice, bob = room
    record(stack, focus, "on")
    alice.wait("shown", lambda: shown(alice))
    [path] = files(stack, focus)
    began = time.monotonic()
    bob.leg.tone(B)
    time.sleep(4)
    stack.kill("mcu")
    lasted = time.monotonic() - began
    rec = Recording(path)
    assert not rec.ended and lasted - 1.0 < rec.seconds < lasted + 1.5, f"{rec.seconds} s of {lasted:.1f}"
    assert rtp.level_db(rec.at(rec.seconds - 1, rec.seconds), B, RATE) > -30
    stack.restart("mcu")
    bob.audio.leg.stop()
    bob.audio = None
    since = time.monotonic()
    stack.wait("bob is in again", lambda: again(bob, B), 15, 0.3)
    stack.wait("a second file", lambda: len(files(stack, focus)) == 2)
    prompts.wait(bob.leg, "recording-on", since)
    assert shown(alice)
    time.sleep(2)
    record(stack, focus, "off")
    second = whole(stack, files(stack, focus)[1])
    assert sounds(second, B, second.seconds - 1.5, second.seconds - 0.5)


def again(p, tone):
    try:
        return p.call(tone)
    except (c3p.SipError, c3p.SipTimeout):
        return None


def test_a_file_that_cannot_grow_ends_the_recording_and_all_learn_of_it(stack, room):
    focus, alice, bob = room
    record(stack, focus, "on")
    alice.wait("shown", lambda: shown(alice))
    [path] = files(stack, focus)
    bob.leg.tone(B)
    time.sleep(1)
    was = resource.prlimit(stack.pid("mcu"), resource.RLIMIT_FSIZE)
    since = time.monotonic()
    resource.prlimit(stack.pid("mcu"), resource.RLIMIT_FSIZE, (os.path.getsize(path) + 6000, was[1]))
    try:
        alice.wait("not shown", lambda: not shown(alice), 8)
    finally:
        resource.prlimit(stack.pid("mcu"), resource.RLIMIT_FSIZE, was)
    prompts.wait(alice.leg, "recording-off", since)
    rec = Recording(path)
    assert not rec.ended and rtp.level_db(rec.at(rec.seconds - 0.4, rec.seconds), B, RATE) > -35
    assert stack.metrics("mcu")["conclave_media_recordings_failed_total"] >= 1
    bob.leg.keeps_hearing(set(), [A], 0.3)
    time.sleep(1.1)
    record(stack, focus, "on")                   # and it can begin again
    alice.wait("shown", lambda: shown(alice))
    record(stack, focus, "off")
    alice.wait("not shown again", lambda: not shown(alice))
    assert len(files(stack, focus)) == 2


def test_where_nothing_can_be_written_nobody_is_told_that_it_is_recorded(stack, room):
    focus, alice, bob = room
    d = os.path.join(stack.dir, "recordings")
    os.rename(d, d + ".away") if os.path.isdir(d) else None
    open(d, "w").close()
    since = time.monotonic()
    try:
        version = alice.roster.version
        with pytest.raises(StackError, match="cannot write to"):
            record(stack, focus, "on")
        alice.wait("it was taken back", lambda: alice.roster.version > version and not shown(alice))
        stack.wait("and stays so", lambda: "recording" not in stack.confctl("show", conf_id(focus)))
        time.sleep(1.5)
        assert not prompts.heard(alice.leg, "recording-on", since)
    finally:
        os.remove(d)
        os.rename(d + ".away", d) if os.path.isdir(d + ".away") else None


def test_an_mcu_that_missed_the_order_hears_it_with_the_next_call(stack, room):
    focus, alice, bob = room
    os.kill(stack.pid("mcu"), signal.SIGSTOP)
    try:
        record(stack, focus, "on")
        alice.wait("shown", lambda: shown(alice))
        stack.wait("it is given up", lambda: not stack.metrics("focusd")["conclave_factory_mcus"], 12)
        time.sleep(2)
    finally:
        os.kill(stack.pid("mcu"), signal.SIGCONT)
    stack.wait("it is back", lambda: stack.metrics("focusd")["conclave_factory_mcus"] >= 2, 12)
    bob.audio.leg.stop()
    bob.audio = None
    stack.wait("bob is in again", lambda: again(bob, B), 15, 0.3)
    stack.wait("a file", lambda: files(stack, focus), 8)
    time.sleep(2.5)
    assert shown(alice) and len(files(stack, focus)) == 1
    rec = Recording(files(stack, focus)[0])
    assert rtp.level_db(rec.at(rec.seconds - 1, rec.seconds), B, RATE) > -35
    record(stack, focus, "off")
    assert whole(stack, files(stack, focus)[0]).ended


def test_the_same_as_wav(stack, room):
    focus, alice, bob = room
    conf = stack.dir / "etc" / "mcu.conf"
    was = conf.read_text()
    conf.write_text(was.replace("[recording]\n", "[recording]\nformat = wav\n"))
    try:
        stack.restart("mcu")
        for p, tone in ((alice, A), (bob, B)):
            p.audio.leg.stop()
            p.audio = None
            stack.wait("a call", lambda p=p, tone=tone: again(p, tone), 15, 0.3)
        record(stack, focus, "on")
        alice.wait("shown", lambda: shown(alice))
        time.sleep(2.5)
        [path] = files(stack, focus, ".wav")
        rec = Recording(path)
        assert 1 < rec.seconds < 3.5
        assert {A, B} <= set(rtp.tones(rec.at(rec.seconds - 0.5, rec.seconds), ALL, RATE))
        record(stack, focus, "off")
        alice.wait("not shown", lambda: not shown(alice))
    finally:
        conf.write_text(was)
        stack.restart("mcu")


def test_sigterm_leaves_a_whole_file(stack, room):
    focus, alice, bob = room
    record(stack, focus, "on")
    alice.wait("shown", lambda: shown(alice))
    [path] = files(stack, focus)
    time.sleep(1.2)
    stack.kill("mcu", signal.SIGTERM)
    assert whole(stack, path).seconds > 0.9
    stack.restart("mcu")
