# SPDX-License-Identifier: Apache-2.0
"""Joins through the real stack: scripts/conclave run with edge, focusd and mcu, clients of test/scenario.

Users:  each in a room of his own that a host has opened, on a TLS connection that is open already: INVITE focus with
        addUser, 200, ACK, SUBSCRIBE, 200, first document. Both initial requests are challenged by the edge.
Phones: calls of a trunk by TCP into rooms: INVITE, 302 inside, 200 of the mcu, ACK. Nobody sends media; the mcu does.

Only the servers' CPU time counts, read from the clocks of their processes; what they use while nothing happens is
subtracted. The clients are Python: joins a second are what these clients ask for, not what the servers can do.
"""
import os
import statistics
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPO / "test" / "scenario"))
THREADS = 4


def cpu_s(pid):
    """CPU time of a whole process, in nanosecond steps: the clock of clock_getcpuclockid()."""
    try:
        return time.clock_gettime((~pid << 3) | 2)
    except OSError:
        return 0.0


def pss_kb(pid):
    """Resident memory, pages shared with other processes counted in part."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


class Meter:
    """CPU of groups of processes: {name: [pid, ...]}."""
    def __init__(self, groups):
        self.groups, self.idle = groups, {name: 0.0 for name in groups}

    def read(self):
        return time.monotonic(), {n: sum(map(cpu_s, pids)) for n, pids in self.groups.items()}

    def memory(self):
        return {n: sum(map(pss_kb, pids)) for n, pids in self.groups.items()}

    def rate(self, seconds):
        a = self.read()
        time.sleep(seconds)
        b = self.read()
        return {n: (b[1][n] - a[1][n]) / (b[0] - a[0]) for n in self.groups}


def idle_between(a, b):
    return {n: (a[n] + b[n]) / 2 for n in a}


def per_join(before, after, idle, joins):
    took = after[0] - before[0]
    return {n: max(0.0, after[1][n] - before[1][n] - idle[n] * took) * 1e6 / joins for n in idle}


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p))] if values else None


# --- users
class User:
    def __init__(self, ua, focus):
        self.ua, self.focus, self.call, self.sub = ua, focus, None, None
        self.ms, self.messages = [], []

    def join(self):
        from conclave_test import c3p
        seen, t0 = len(self.ua.log), time.monotonic()
        self.call = c3p.join(self.ua, self.focus)
        t1 = time.monotonic()
        self.sub = self.ua.subscribe(self.focus)
        self.sub.wait("the first document", lambda: self.sub.documents, 10)
        t2 = time.monotonic()
        self.ms.append(((t1 - t0) * 1000, (t2 - t0) * 1000))
        self.messages.append(len(self.ua.log) - seen)

    def leave(self):
        self.call.bye()
        self.ua.dialogs.clear()
        self.ua.txns.clear()


def one_round(items, meter, pool, join, leave):
    """All join, all leave; the figures of the joins."""
    idle = meter.rate(0.3)
    before = meter.read()
    list(pool.map(join, items))
    took = time.monotonic() - before[0]
    time.sleep(0.3)                                          # notifications are paced by 250 ms
    after = meter.read()
    idle = idle_between(idle, meter.rate(0.3))
    out = {"us": per_join(before, after, idle, len(items)), "joins_per_s": len(items) / took, "memory_kb": meter.memory()}
    list(pool.map(leave, items))
    time.sleep(0.3)
    return out


def medians(rounds):
    return {n: statistics.median(r["us"][n] for r in rounds) for n in rounds[0]["us"]}


class Side:
    """Users that join one of the systems compared."""
    def __init__(self, users, meter):
        self.users, self.meter, self.rounds = users, meter, []

    def warm(self):
        """Once, so that nothing is paid for the first time."""
        for u in self.users:
            u.join()
            u.leave()
            u.ms.clear(), u.messages.clear()
        time.sleep(0.4)
        self.base = self.meter.memory()

    def round(self, pool):
        self.rounds.append(one_round(self.users, self.meter, pool, User.join, User.leave))

    def result(self):
        ms = [m for u in self.users for m in u.ms]
        return {
            "users": len(self.users), "rounds": self.rounds, "us": medians(self.rounds),
            "messages": statistics.mean(m for u in self.users for m in u.messages),
            "joins_per_s": statistics.median(r["joins_per_s"] for r in self.rounds),
            "invite_ms": {"p50": percentile([m[0] for m in ms], .5), "p99": percentile([m[0] for m in ms], .99)},
            "join_ms": {"p50": percentile([m[1] for m in ms], .5), "p99": percentile([m[1] for m in ms], .99)},
            "kib": {n: (max(r["memory_kb"][n] for r in self.rounds) - self.base[n]) / len(self.users) for n in self.base},
        }


def real_side(stack, meter, names):
    """A room for each user, opened by a host that does not subscribe: nobody else is notified of the join."""
    from conclave_test import c3p
    host, users = stack.ua("host"), []
    for name in names:
        stack.admin("focusd", cmd="add", name=f"r-{name}", organizer="host")
        users.append(User(stack.ua(name), stack.focus(f"r-{name}")))
        c3p.join(host, users[-1].focus)
    return Side(users, meter)


class Reference:
    """The bare relay with its responder, and users of it."""
    def __init__(self, stack, real, challenge):
        from conclave_test.sip import UA, insecure_tls
        from conclave_test.stack import DOMAIN, children
        from reference import Relay, Responder
        u = real.users[0]
        bodies = (u.call.answer.body, u.sub.documents[0][1].body)
        self.uas = []
        self.responder = Responder(stack.dir / "certs" / "focus-1.pem", stack.dir / "certs" / "focus-1.key", *bodies, challenge)
        self.relay = Relay(stack.dir, self.responder.port, children)
        tls = insecure_tls()
        for r in real.users:
            self.uas.append(UA(("127.0.0.1", self.relay.port), r.ua.user, DOMAIN, "any", "tls", tls=tls))
        self.side = Side([User(ua, r.focus) for ua, r in zip(self.uas, real.users)], Meter({"kamailio": self.relay.pids()}))

    def close(self):
        for ua in self.uas:
            ua.close()
        self.relay.close()
        self.responder.close()


def compare(stack, meter, names, rounds, pool):
    """Real stack and both references, in turns: what disturbs, disturbs all of them."""
    real, refs = real_side(stack, meter, names), {}
    real.warm()
    try:
        for name, challenge in (("reference", False), ("reference_challenged", True)):
            refs[name] = Reference(stack, real, challenge)
            refs[name].side.warm()
        sides = {"user": real, **{n: r.side for n, r in refs.items()}}
        for _ in range(rounds):
            for side in sides.values():
                side.round(pool)
        return {n: side.result() for n, side in sides.items()}, real.users
    finally:
        for r in refs.values():
            r.close()


# --- many users in one conference, so that memory per participant can be seen
def crowd(stack, meter, users, pool):
    from conclave_test import c3p
    stack.admin("focusd", cmd="add", name="crowd", organizer="host")
    focus = stack.focus("crowd")
    for u in users:
        u.focus = focus
    first, rest = users[:8], users[8:]
    list(pool.map(User.join, first))
    time.sleep(0.6)
    base, before = meter.memory(), meter.read()
    list(pool.map(User.join, rest))
    time.sleep(0.6)
    after, mem = meter.read(), meter.memory()
    result = {"users": len(users), "kib": {n: (mem[n] - base[n]) / len(rest) for n in base},
              "us": per_join(before, after, {n: 0 for n in base}, len(rest)),
              "documents": sum(len(u.sub.documents) for u in users)}
    list(pool.map(User.leave, users))
    return result


# --- phones
def phone_joins(stack, meter, count, rounds, pool):
    import base64
    import socket
    from conclave_test.sip import Call
    trunks = [stack.trunk(f"+1555010{i}") for i in range(THREADS)]
    sink = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # takes what the mcu sends, and nobody reads it
    sink.bind((trunks[0].bind, 0))
    rooms = [f"phones-{i}" for i in range(4)]
    for r in rooms:
        stack.admin("focusd", cmd="add", name=r, organizer="host", trunk=True)
    calls, ms = {}, []

    def offer():
        key = base64.b64encode(os.urandom(30)).decode()
        ip, port = sink.getsockname()
        return (f"v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio {port} RTP/SAVP 0\r\n"
                f"a=rtpmap:0 PCMU/8000\r\na=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{key}\r\na=ptime:20\r\n").encode()

    def join(i):
        t0 = time.monotonic()
        calls[i] = trunks[i % THREADS].invite(stack.room(rooms[i % len(rooms)]), offer(), cls=Call)
        ms.append((time.monotonic() - t0) * 1000)

    def leave(i):
        calls.pop(i).bye()

    for i in range(8):
        join(i)
    for i in range(8):
        leave(i)
    time.sleep(0.5)
    ms.clear()
    base = meter.memory()
    done = [one_round(range(count), meter, pool, join, leave) for _ in range(rounds)]
    sink.close()
    return {"phones": count, "rounds": done, "us": medians(done), "joins_per_s": statistics.median(r["joins_per_s"] for r in done),
            "invite_ms": {"p50": percentile(ms, .5), "p99": percentile(ms, .99)},
            "kib": {n: (max(r["memory_kb"][n] for r in done) - base[n]) / count for n in base}}


def show(name, r, parts, floor=None):
    us = r["us"]
    cells = " ".join(f"{us.get(p, 0):8.0f}" if p in us else f"{'':8}" for p in parts)
    total = us.get("kamailio", 0) + us.get("focusd", 0)
    ratio = f"{total / floor:6.2f}" if floor else f"{'':6}"
    print(f"  {name:<34}{cells} {total:8.0f} {ratio}")


def run(build, quick):
    os.environ["CONCLAVE_BUILD"] = str(build)
    from conclave_test.stack import Stack, children
    n, phones, rounds = (20, 20, 3) if quick else (80, 80, 5)
    names = [f"u{i}" for i in range(n)]
    parts = ("kamailio", "focusd", "mcu")
    print(f"\nJoins, {n} users and {phones} phones, medians of {rounds} rounds. CPU microseconds per join.\n"
          f"  {'':<34}{'kamailio':>8} {'focusd':>8} {'mcu':>8} {'edge+focus':>8} ratio")
    stack = Stack("--no-rtpengine", "--clients", "400", "--log", "warn", users={**{u: f"pw-{u}" for u in names}, "host": "pw-host"}, rooms=())
    out, pool = {}, ThreadPoolExecutor(THREADS)
    try:
        groups = {"kamailio": [stack.pid("kamailio"), *children(stack.pid("kamailio"))], "focusd": [stack.pid("focusd")],
                  "mcu": [stack.pid("mcu")]}
        meter = Meter(groups)
        out, users = compare(stack, meter, names, rounds, pool)
        out["crowd"] = crowd(stack, meter, users, pool)
        out["phone"] = phone_joins(stack, meter, phones, rounds, pool)
    finally:
        pool.shutdown()
        stack.stop(check=False)
    floor = out["reference"]["us"]["kamailio"]
    show("reference: Kamailio relays", out["reference"], parts)
    show("the same and both challenges", out["reference_challenged"], parts, floor)
    show("user: INVITE focus, SUBSCRIBE, document", out["user"], parts, floor)
    show(f"the same, {n} users in one conference", out["crowd"], parts)
    show("phone: INVITE room", out["phone"], parts)
    report(out)
    return out


def report(out):
    user, phone, crowd_ = out["user"], out["phone"], out["crowd"]
    total = user["us"]["kamailio"] + user["us"]["focusd"]
    floor, full = out["reference"]["us"]["kamailio"], out["reference_challenged"]["us"]["kamailio"]
    out["ratio"], out["ratio_challenged"] = total / floor, total / full
    print(f"\nuser join to reference: {total / floor:.2f}; to the reference that carries the challenges too: {total / full:.2f} (limit 2, aim 1.2)")
    print(f"messages at the client per join: user {user['messages']:.1f}, reference {out['reference']['messages']:.1f} and "
          f"{out['reference_challenged']['messages']:.1f}")
    for name, r in (("user", user), ("phone", phone)):
        print(f"{name}: INVITE to 200 p50 {r['invite_ms']['p50']:.1f} ms, p99 {r['invite_ms']['p99']:.1f} ms; "
              f"{r['joins_per_s']:.0f} joins/s asked for by {THREADS} clients at a time")
    print("memory per participant, KiB: "
          + "; ".join(f"{name} " + ", ".join(f"{n} {v:.1f}" for n, v in r["kib"].items())
                      for name, r in ((f"user among {crowd_['users']}", crowd_), ("phone", phone))) + " (focusd: limit 16, aim 6)")
