#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hundreds of phones that come and go for an hour: nothing grows, nothing drifts, no tick is missed without a reason.

usage: crowd.py [MINUTES [PHONES]]       (make soak-crowd, CROWD_MINUTES, CROWD_PHONES)

sipp is the trunk that they call from (UDP, plain PCMU): half of them call one room, the others ten rooms; each stays for 20 to
80 seconds, most listen in a quiet place, one in ten of the small rooms says something now and then. Two witnesses stay in
the large room from the beginning to the end, each with its own tone over TLS and SRTP: they must hear each other in every
minute, get a packet each 20 ms of their own clock, and the mixer's clock must be theirs. Resident memory and descriptors of each part are
compared between the time when the crowd was complete and the end. The last line tells whether it passed.
"""
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scenario")]
sys.dont_write_bytecode = True

import numpy as np                                               # noqa: E402
from conclave_test import c3p                                    # noqa: E402
from conclave_test.rtp import RATE, g711_encode                  # noqa: E402
from conclave_test.stack import TRUNK_IP, Stack                  # noqa: E402
from soak import rss_and_fds, table                              # noqa: E402

PARTS = ("kamailio", "focusd", "mcu")
STAY_S = 50                              # of a call, on the average; phone.xml has the bounds
SMALL = [f"small{i}" for i in range(10)]
TONES = {"alice": 520, "bob": 930}
LOOP_S = 20                              # of what a phone plays
EACH_S = 60                              # between two looks
GROW_KIB, GROW_FDS = 8192, 24            # allowed from the complete crowd to the end
DRIFT_PPM = 20.0                         # of the mixer's clock against the witnesses': it is the same machine's
TICK = "conclave_media_skipped_ticks_total", "conclave_media_late_ticks_total"


def sounds(d):
    """What phones play, raw PCMU: the noise of a quiet place; the same with two seconds of something like a voice."""
    rng = np.random.default_rng(7)
    quiet = rng.integers(-12, 13, LOOP_S * RATE).astype(np.int16)
    t = np.arange(2 * RATE) / RATE
    pitch = 130 + 25 * np.sin(2 * np.pi * 1.3 * t)
    voice = sum(np.sin(k * 2 * np.pi * np.cumsum(pitch) / RATE) / k for k in range(1, 14)) * (0.55 + 0.45 * np.sin(2 * np.pi * 4 * t))
    says = quiet.copy()
    says[5 * RATE:7 * RATE] += (3000 * voice).astype(np.int16)
    for name, pcm in (("quiet", quiet), ("says", says)):
        (d / f"{name}.ulaw").write_bytes(g711_encode("PCMU", pcm))


class Crowd:
    """sipp keeps so many calls up for so long: one process for those who listen, one for those who say something."""
    def __init__(self, stack, phones, seconds):
        self.dir = stack.dir / "crowd"
        self.dir.mkdir(mode=0o755)
        sounds(self.dir)
        few = max(1, phones // 20)
        self.procs = [self._start(stack, "quiet", [room for small in SMALL for room in ("lobby", small)], phones - few, seconds, 5999),
                      self._start(stack, "says", SMALL, few, seconds, 5998)]

    def _start(self, stack, sound, rooms, phones, seconds, port):
        d = self.dir
        (d / f"{sound}.csv").write_text("SEQUENTIAL\n" + "".join(f"{room};{port}\n" for room in rooms))
        (d / f"{sound}.xml").write_text((HERE / "phone.xml").read_text().replace("@SOUND@", str(d / f"{sound}.ulaw")))
        cmd = ["sipp", f"{stack.udp[0]}:{stack.udp[1]}", "-sf", d / f"{sound}.xml", "-inf", d / f"{sound}.csv", "-i", TRUNK_IP, "-mi", TRUNK_IP,
               "-p", port, "-mp", 32000 + 10000 * (port - 5998), "-l", phones, "-r", max(1, round(phones / STAY_S)), "-timeout", f"{seconds}s", "-rtp_payload", 0, "-t", "u1",
               "-trace_stat", "-stf", d / f"{sound}.stat", "-fd", "10", "-trace_err", "-error_file", d / f"{sound}.errors", "-nostdin"]
        with open(d / f"{sound}.out", "wb") as out:
            return subprocess.Popen([str(c) for c in cmd], stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, cwd=d)

    def ended(self):
        return [p.returncode for p in self.procs if p.poll() is not None]

    def stop(self):
        for p in self.procs:
            p.terminate()
        for p in self.procs:
            p.wait(20)

    def counts(self):
        """So far: (calls made, failed, there now)."""
        total = [0, 0, 0]
        for f in self.dir.glob("*.stat"):
            rows = f.read_text().splitlines()
            if len(rows) > 1:
                last = dict(zip(rows[0].split(";"), rows[-1].split(";")))
                for i, k in enumerate(("TotalCallCreated", "FailedCall(C)", "CurrentCall")):
                    total[i] += int(last[k])
        return tuple(total)


def look(stack):
    return {p: rss_and_fds(stack.pid(p)) for p in PARTS}


class Witness:
    """What one participant notices."""
    def __init__(self, stack, user, other):
        self.part, self.other = c3p.Participant(stack.ua(user), stack.focus("lobby"), TONES[user]), TONES[other]
        self.leg, self.user, self.gaps, self.first, self.last = self.part.leg, user, 0, None, None

    def look(self, faults):
        """The packets since the last look: none missing, the tone there. They are dropped."""
        got, self.leg.packets = self.leg.packets, []
        time.sleep(0.05)                                 # the receiving thread may still hold the old list
        if len(got) < 10:
            faults.append(f"{self.user} hears nothing: {len(got)} packets in a minute")
            return
        self.first, self.last = self.first or got[0], got[-1]
        missing = ((got[-1].seq - got[0].seq) & 0xffff) + 1 - len(got)
        self.gaps += missing
        if missing > 1:                                  # one may fall between the lists
            faults.append(f"{self.user}: {missing} packets of {len(got)} were lost")
        keep, self.leg.packets = self.leg.packets, got
        heard = sum(self.leg_heard(got[0].at + s) for s in range(1, int(got[-1].at - got[0].at) - 1))
        self.leg.packets = keep + self.leg.packets[len(got):]
        total = max(1, int(got[-1].at - got[0].at) - 2)
        if total - heard > max(1, total // 50):
            faults.append(f"{self.user} heard the other in {heard} of {total} seconds")

    def leg_heard(self, at):
        from conclave_test.rtp import tones
        return self.other in tones(self.leg.pcm(at, at + 0.5), (self.other,))

    def drift_ppm(self):
        media = ((self.last.ts - self.first.ts) & 0xffffffff) / RATE
        return (media / (self.last.at - self.first.at) - 1) * 1e6


def checked(stack, minutes, phones, faults):
    witnesses = [Witness(stack, "alice", "bob"), Witness(stack, "bob", "alice")]
    seconds = int(minutes * 60) + 2 * STAY_S
    sipp = Crowd(stack, phones, seconds)
    pids = {p: stack.pid(p) for p in PARTS}
    time.sleep(1.7 * STAY_S)
    base, m0, n0 = look(stack), stack.metrics("mcu"), sipp.counts()
    table(f"{n0[2]} phones", base)
    if n0[2] < 0.8 * phones:
        faults.append(f"only {n0[2]} of {phones} phones are there")
    for w in witnesses:
        w.leg.packets = []
    end, was = time.monotonic() + minutes * 60, m0
    while time.monotonic() < end:
        time.sleep(min(EACH_S, max(1, end - time.monotonic())))
        now = stack.metrics("mcu")
        for w in witnesses:
            w.look(faults)
        for name in TICK:                                # who reads this hour later wants to know what else ran
            if now[name] > was[name]:
                print(f"  {name} {now[name] - was[name]:.0f} more; load average {open('/proc/loadavg').read().split()[0]}", flush=True)
        made, failed, there = sipp.counts()
        table(f"{there} of {made}, {failed} failed", look(stack))
        if sipp.ended():
            faults.append(f"sipp ended with {sipp.ended()}")
            break
        was = now
    last, m1, n1 = look(stack), stack.metrics("mcu"), sipp.counts()
    sipp.stop()
    for p in PARTS:
        if last[p][0] - base[p][0] > GROW_KIB or last[p][1] - base[p][1] > GROW_FDS:
            faults.append(f"{p} grew from {base[p]} to {last[p]} (KiB, descriptors)")
        if stack.pid(p) != pids[p] or not stack.running(p):
            faults.append(f"{p} was restarted or died")
    for w in witnesses:
        ppm = w.drift_ppm()
        print(f"{w.user}: clock of the mixer {ppm:+.1f} ppm, {w.gaps} packets missing, {w.leg.bad} bad")
        if abs(ppm) > DRIFT_PPM and minutes >= 5:
            faults.append(f"{w.user}: the mixer's clock is off by {ppm:.1f} ppm")
    for name in TICK:
        print(f"{name}: {m1[name] - m0[name]:.0f}")
    if n1[1]:
        faults.append(f"{n1[1]} calls failed")
    if m1[TICK[0]] > m0[TICK[0]]:
        faults.append("ticks were left out: explain them by what else ran on the machine, or repeat")
    for w in witnesses:
        w.part.close()
    return n1[0]


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    phones = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    stack = Stack("--no-rtpengine", "--clients", str(2 * phones), "--log", "warn", "--media-ports", str(4 * phones), rooms=("lobby", *SMALL))
    faults, calls = [], 0
    try:
        calls = checked(stack, minutes, phones, faults)
        for f in (stack.dir / "crowd").glob("*.errors") if faults else ():
            print(f"--- {f.name}\n" + "\n".join(f.read_text(errors="replace").splitlines()[:30]))
    except BaseException:
        print(stack.tails(), flush=True)
        raise
    finally:
        stack.stop(check=False)
    print("\n".join(faults))
    print(f"crowd: {calls} calls by {phones} phones in {minutes:g} minutes: " + ("nothing grew, nothing was missed" if not faults else "FAILED"))
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
