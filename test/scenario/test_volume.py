# SPDX-License-Identifier: Apache-2.0
"""confctl volume: how loud a user is to the others, and they to him."""
import subprocess
import time

from conclave_test import c3p, rtp
from conclave_test.stack import REPO

A, B = 520, 1210


def confctl(stack, *args):
    return subprocess.run([REPO / "scripts" / "confctl", "--dir", str(stack.dir), "volume", *args], capture_output=True, text=True, timeout=20)


def heard_db(call, hz, seconds=0.6):
    return rtp.level_db(call.leg.pcm(time.monotonic() - seconds), hz)


def test_a_users_volume_both_ways(stack, end):
    a, b = (end(c3p.talk(stack.ua(u), stack.room("lobby"), tone=f)) for u, f in (("alice", A), ("bob", B)))
    a.leg.wait_heard({B}, [A, B])
    b.leg.wait_heard({A}, [A, B])
    time.sleep(0.7)
    b_at_a, a_at_b = heard_db(a, B), heard_db(b, A)
    assert confctl(stack, "lobby", "bob", "--in", "-12").returncode == 0
    stack.wait("Bob softer to Alice", lambda: abs(heard_db(a, B) - b_at_a + 12) < 1.5, 5)
    assert abs(heard_db(b, A) - a_at_b) < 1.5, "what Bob hears stays"
    assert confctl(stack, "lobby", "bob", "--in", "0", "--out", "-6").returncode == 0
    stack.wait("Alice softer to Bob", lambda: abs(heard_db(b, A) - a_at_b + 6) < 1.5, 5)
    stack.wait("Bob as before", lambda: abs(heard_db(a, B) - b_at_a) < 1.5, 5)
    for args, why in ((("lobby", "nobody", "--in", "3"), "no such user"), (("lobby", "bob", "--in", "40"), "decibels"), (("lobby", "bob"), "--in DB")):
        refused = confctl(stack, *args)
        assert refused.returncode == 1 and why in refused.stderr
    a.bye(), b.bye()
