#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Repeated calls and joins against one group: nothing may grow that should not, nothing may be left behind.

usage: soak.py [MINUTES]            (make soak, SOAK_MINUTES)

A round: a conference is scheduled, two clients join it with focus dialog, roster and audio, two phones call a room (TLS and
UDP, another room each round), a trunk calls it with plain RTP; each must hear exactly the others; one is muted, thrown out or
just goes silent without BYE; everybody leaves and the conference is deleted. After each round every part is looked at: resident
memory, descriptors, and what it says it still holds. The last line tells whether it passed.
"""
import os
import random
import sys
import time
from pathlib import Path

sys.dont_write_bytecode = True
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenario"))

from conclave_test import c3p                                   # noqa: E402
from conclave_test.c3p import Participant                       # noqa: E402
from conclave_test.stack import Stack, children                 # noqa: E402

PARTS = ("kamailio", "focusd", "mcu", "rtpengine")
TONES = (520, 640, 930)
WARM_ROUNDS = 10                     # caches, pools and Kamailio's workers fill
GROW_KIB, GROW_FDS = 8192, 16        # allowed between the end of the warm-up and the end
ROOMS = 4


def rss_and_fds(pid):
    """KiB (proportional, so that Kamailio's shared memory counts once) and open descriptors of a process and its children."""
    kib = fds = 0
    for p in [pid] + children(pid):
        try:
            with open(f"/proc/{p}/smaps_rollup") as f:
                kib += sum(int(line.split()[1]) for line in f if line.startswith("Pss:"))
            fds += len(os.listdir(f"/proc/{p}/fd"))
        except OSError:
            continue
    return kib, fds


def held(stack):
    """What the parts still hold of conferences and calls: all zero when nobody is there."""
    focus, mcu = stack.admin("focusd", cmd="stats"), stack.metrics("mcu")
    return {"users": focus["users"], "subscriptions": focus["subscriptions"], "legs": int(mcu["conclave_mcu_legs"]),
            "calls": int(mcu["conclave_mcu_calls"]), "relay sessions": stack.relay_sessions()}


def phones(stack, n):
    """Three phones in a room, each hears exactly the two others."""
    room = stack.room(f"room{n % ROOMS}")
    uas = [stack.ua("carol"), stack.ua("dave", "udp", register=True), stack.trunk(f"+15550{n % 1000:03d}")]
    calls = []
    try:
        for ua, hz in zip(uas, TONES):
            calls.append(c3p.talk(ua, room, tone=hz, srtp=not ua.user.startswith("+")))
        for call, own in zip(calls, TONES):
            call.leg.wait_heard(set(TONES) - {own}, TONES)
    finally:
        for call in calls:
            call.close()
        uas[1].register(expires=0)                              # the registrar keeps ten contacts of a user
        close(stack, uas)


def conference(stack, n):
    """A scheduled conference with two clients; one leaves in one of four ways."""
    alice, bob = stack.ua("alice"), stack.ua("bob")
    try:
        focus = c3p.schedule(alice, subject=f"round {n}")
        a = Participant(alice, focus, TONES[0])
        b = Participant(bob, focus, TONES[1])
        a.leg.wait_heard({TONES[1]}, TONES)
        b.leg.wait_heard({TONES[0]}, TONES)
        way = n % 3
        if way == 0:
            stack.admin("focusd", cmd="mute", conf=focus, user=bob.aor, muted=True)
            a.leg.wait_heard(set(), TONES)
            b.close()
        elif way == 1:
            assert a.focus.info(c3p.delete_user(focus, bob.aor)).code == "success"
            b.close()
        else:
            b.leg.stop()                                        # the phone is gone; the roster dialog too
            bob.close()
        assert a.focus.info(c3p.by_conf("deleteConference", focus)).code == "success"
        a.close()
        r = c3p.service(alice, c3p.by_id("deleteConference", focus.rpartition(":")[2]))
        assert r.code == "success", r
    finally:
        close(stack, [alice, bob])


def close(stack, uas):
    for ua in uas:
        ua.close()
        if ua in stack.uas:
            stack.uas.remove(ua)


def settle(stack):
    end = time.monotonic() + 20
    while any(held(stack).values()) and time.monotonic() < end:
        time.sleep(0.2)
    left = held(stack)
    assert not any(left.values()), f"left behind: {left}"


def look(stack, parts=PARTS):
    return {p: rss_and_fds(stack.pid(p)) for p in parts}


def table(what, rows):
    print(f"{what:<22}" + "".join(f"{p:>9} {kib / 1024:6.1f} MiB {fds:4d} fd" for p, (kib, fds) in rows.items()), flush=True)


def run(stack, minutes):
    end, n, base = time.monotonic() + minutes * 60, 0, None
    pids = {p: stack.pid(p) for p in PARTS}
    while n <= WARM_ROUNDS or time.monotonic() < end:
        conference(stack, n)
        phones(stack, n)
        settle(stack)
        n += 1
        if n == WARM_ROUNDS:
            base = look(stack)
        if n % 10 == 0:
            table(f"after {n} rounds", look(stack))
        time.sleep(random.random() * 0.2)
    last = look(stack)
    table(f"after {n} rounds", last)
    return f"{n} rounds, {n * 5} calls", grown(stack, base, last, pids)


def grown(stack, base, last, pids, fds=GROW_FDS):
    """What is wrong with the parts at the end."""
    faults = []
    for p in pids:
        if last[p][0] - base[p][0] > GROW_KIB or last[p][1] - base[p][1] > fds:
            faults.append(f"{p} grew from {base[p]} to {last[p]} (KiB, descriptors)")
        if stack.pid(p) != pids[p] or not stack.running(p):
            faults.append(f"{p} was restarted or died")
    return faults


def judge(stack, run):
    """run(stack) -> what was done, faults; prints them; the exit status."""
    try:
        done, faults = run(stack)
    except BaseException:
        print(stack.tails(), flush=True)
        raise
    finally:
        stack.stop(check=False)
    print("\n".join(faults))
    print(f"soak: {done}: " + ("FAILED" if faults else "nothing grew"))
    return 1 if faults else 0


def main():
    minutes = float(sys.argv[1] if len(sys.argv) > 1 else 30)
    return judge(Stack(rooms=[f"room{i}" for i in range(ROOMS)]), lambda stack: run(stack, minutes))


if __name__ == "__main__":
    sys.exit(main())
