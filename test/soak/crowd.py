#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Hundreds of phones that come and go for an hour: nothing grows, nothing drifts, no tick is missed without a reason.

usage: crowd.py [MINUTES [PHONES]]       (make soak-crowd, CROWD_MINUTES, CROWD_PHONES)

They call from a trunk over TCP (plain PCMU; phones.c does their packets): half of them one room, the others ten rooms; each stays for 20
to 80 seconds, most listen in a quiet place, one in ten of the small rooms says something now and then. Each must get a packet each 20 ms. Two witnesses stay in
the large room from the beginning to the end, each with its own tone over TLS and SRTP: they must hear each other in every
minute, get a packet each 20 ms of their own clock, and the mixer's clock must be theirs. Resident memory and descriptors of each part are
compared between the time when the crowd was complete and the end. The last line tells whether it passed.
"""
import heapq
import os
import random
import subprocess
import sys
import threading
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "scenario")]
sys.dont_write_bytecode = True

import numpy as np                                               # noqa: E402
from conclave_test import c3p                                    # noqa: E402
from conclave_test.rtp import RATE, Sdp, g711_encode, tones      # noqa: E402
from conclave_test.sip import SipError, SipTimeout               # noqa: E402
from conclave_test.stack import TRUNK_IP, Stack                  # noqa: E402
from soak import grown, judge, look, table                         # noqa: E402

PARTS = ("kamailio", "focusd", "mcu")
STAY = 20, 80                            # seconds of a call
STAY_S = sum(STAY) / 2
LANES = 5                                # connections of the trunk
SMALL = [f"small{i}" for i in range(10)]
TONES = {"alice": 520, "bob": 930}
LOOP_S = 20                              # of what a phone plays
EACH_S = 60                              # between two looks
GROW_FDS = 24                            # allowed from the complete crowd to the end
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


class Media:
    """phones.c: the sockets and packets of all of them."""
    def __init__(self, d):
        sounds(d)
        build = Path(os.environ.get("CONCLAVE_BUILD", "build"))
        self.proc = subprocess.Popen([HERE.parents[1] / build / "soak" / "phones", TRUNK_IP, d / "quiet.ulaw", d / "says.ulaw"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True, bufsize=1)
        self.lock = threading.Lock()

    def tell(self, line, answer=True):
        with self.lock:
            self.proc.stdin.write(line + "\n")
            return [int(x) for x in self.proc.stdout.readline().split()] if answer else None

    def stop(self):
        self.proc.stdin.close()
        self.proc.wait(5)


class Lane(threading.Thread):
    """A part of the crowd: one connection of the trunk, its phones come and go one after the other."""
    def __init__(self, stack, media, number, phones):
        super().__init__(daemon=True)
        self.media, self.phones, self.stop_it, self.fault = media, phones, threading.Event(), None
        self.ua, self.rng = stack.trunk(f"+1555{number:02d}"), random.Random(number)
        self.calls, self.made, self.failed, self.short, self.missing = [], 0, [], [], 0
        self.start()

    def run(self):
        while not self.stop_it.is_set():
            now = time.monotonic()
            if self.calls and self.calls[0][0] <= now:
                self.leave(heapq.heappop(self.calls))
            elif len(self.calls) < self.phones:
                self.join_one()
                self.stop_it.wait(0.8 * STAY_S / self.phones)
            else:
                self.stop_it.wait(0.05)
        while self.calls:
            self.leave(heapq.heappop(self.calls))

    def join_one(self):
        lobby = self.rng.random() < 0.5
        room = "lobby" if lobby else self.rng.choice(SMALL)
        phone, port = self.media.tell(f"open {int(not lobby and self.rng.random() < 0.1)}")
        offer = f"v=0\r\no=- {port} 1 IN IP4 {TRUNK_IP}\r\ns=-\r\nc=IN IP4 {TRUNK_IP}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\na=ptime:20\r\n"
        self.made += 1
        try:
            call = self.ua.invite(f"sip:{room}@conclave.test", offer)
        except (SipError, SipTimeout) as e:
            self.failed.append(str(e))
            self.media.tell(f"close {phone}")
            return
        sdp = Sdp(call.sdp)
        self.media.tell(f"talk {phone} {sdp.address} {sdp.port}", answer=False)
        heapq.heappush(self.calls, (time.monotonic() + self.rng.uniform(*STAY), self.made, phone, call, time.monotonic()))

    def leave(self, entry):
        _, _, phone, call, began = entry
        took = time.monotonic() - began
        _, sent, received, missing = self.media.tell(f"close {phone}")
        if received < 50 * took - 25:
            self.short.append(f"{call.call_id}: {received} packets in {took:.0f} s, {missing} missing between them, {sent} sent")
        self.missing += missing
        try:
            if call.ended.is_set():
                self.failed.append(f"ended by the other side after {took:.0f} s")
            elif call.bye().code != 200:
                self.failed.append("BYE refused")
        except SipTimeout as e:
            self.failed.append(str(e))
        self.ua.log.clear()
        self.ua.txns.clear()


class Crowd:
    def __init__(self, stack, phones):
        d = stack.dir / "crowd"
        d.mkdir()
        self.media = Media(d)
        self.lanes = [Lane(stack, self.media, i, phones // LANES) for i in range(LANES)]

    def counts(self):
        """So far: (calls made, failed, there now)."""
        return sum(x.made for x in self.lanes), sum(len(x.failed) for x in self.lanes), sum(len(x.calls) for x in self.lanes)

    def missing(self):
        return sum(x.missing for x in self.lanes), [s for x in self.lanes for s in x.short]

    def stop(self):
        for x in self.lanes:
            x.stop_it.set()
        for x in self.lanes:
            x.join(120)
        self.media.stop()


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
        return self.other in tones(self.leg.pcm(at, at + 0.5), (self.other,))

    def drift_ppm(self):
        media = ((self.last.ts - self.first.ts) & 0xffffffff) / RATE
        return (media / (self.last.at - self.first.at) - 1) * 1e6


def checked(stack, minutes, phones):
    faults = []
    witnesses = [Witness(stack, "alice", "bob"), Witness(stack, "bob", "alice")]
    crowd = Crowd(stack, phones)
    pids = {p: stack.pid(p) for p in PARTS}
    time.sleep(1.7 * STAY_S)
    base, m0, n0 = look(stack, PARTS), stack.metrics("mcu"), crowd.counts()
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
        made, failed, there = crowd.counts()
        table(f"{there} of {made}, {failed} failed", look(stack, PARTS))
        if not all(x.is_alive() for x in crowd.lanes):
            faults.append("a lane of the crowd died")
            break
        was = now
    last, m1, n1 = look(stack, PARTS), stack.metrics("mcu"), crowd.counts()
    faults += grown(stack, base, last, pids, GROW_FDS)
    for w in witnesses:
        ppm = w.drift_ppm()
        print(f"{w.user}: clock of the mixer {ppm:+.1f} ppm, {w.gaps} packets missing, {w.leg.bad} bad")
        if abs(ppm) > DRIFT_PPM and minutes >= 5:
            faults.append(f"{w.user}: the mixer's clock is off by {ppm:.1f} ppm")
    for name in TICK:
        print(f"{name}: {m1[name] - m0[name]:.0f}")
    crowd.stop()
    n1 = crowd.counts()
    if n1[1]:
        faults.append(f"{n1[1]} calls failed: " + "; ".join([f for x in crowd.lanes for f in x.failed][:10]))
    missing, short = crowd.missing()
    print(f"packets that phones missed: {missing}, calls that got too few: {len(short)}")
    if short:
        faults.append("calls that got too few packets: " + "; ".join(short[:10]))
    if m1[TICK[0]] > m0[TICK[0]]:
        faults.append("ticks were left out: explain them by what else ran on the machine, or repeat")
    for w in witnesses:
        w.part.close()
    return f"{n1[0]} calls by {phones} phones in {minutes:g} minutes", faults


def main():
    minutes = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    phones = int(sys.argv[2]) if len(sys.argv) > 2 else 500
    stack = Stack("--no-rtpengine", "--clients", str(2 * phones), "--log", "warn", "--media-ports", str(4 * phones), rooms=("lobby", *SMALL))
    return judge(stack, lambda s: checked(s, minutes, phones))


if __name__ == "__main__":
    sys.exit(main())
