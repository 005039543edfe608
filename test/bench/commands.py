# SPDX-License-Identifier: Apache-2.0
"""CPU of each process for one C3P command: SERVICE to the focus factory, INFO to a focus, read and write commands.

A few users, each with a TLS connection of his own and a conference that nobody else is in. Beside each row a bare
Kamailio relays a request and an answer of the same sizes to a trivial responder; its CPU is the reference.
"""
import statistics
import time
from concurrent.futures import ThreadPoolExecutor

from joins import Meter, Reference, Side, User, idle_between, per_join, percentile

USERS = 4


def measure(items, meter, pool, call, rounds, each):
    """Median CPU of one request in each process, and how long requests took."""
    ms, us = [], []

    def many(item):
        for _ in range(each):
            t0 = time.monotonic()
            call(item)
            ms.append((time.monotonic() - t0) * 1000)
            item.ua.log.clear(), item.ua.txns.clear()

    many(items[0])
    ms.clear()
    for _ in range(rounds):
        idle = meter.rate(0.3)
        before = meter.read()
        list(pool.map(many, items))
        time.sleep(0.3)                                      # what a command left to do: commits, notifications
        after = meter.read()
        us.append(per_join(before, after, idle_between(idle, meter.rate(0.3)), len(items) * each))
    return {"us": {n: statistics.median(r[n] for r in us) for n in us[0]}, "rounds": us,
            "ms": {"p50": percentile(ms, .5), "p99": percentile(ms, .99)}}


def checked(r, code="success"):
    if r.sip != 200 or r.code != code:
        raise SystemExit(f"c3p bench: {r}")
    return r


def table(c3p):
    """(title, carrier, what it does); the reference carries the request of the first and of the third row."""
    def add_and_delete(u):
        conf = c3p.new_id()
        checked(c3p.service(u.ua, c3p.add_conference(conf)))
        checked(c3p.service(u.ua, c3p.by_id("deleteConference", conf)))

    def flip(u):
        u.locked = not getattr(u, "locked", False)
        checked(u.call.info(c3p.lock(u.focus, u.locked)))

    return (
        ("SERVICE getConferencingCapabilities", "SERVICE", 1, lambda u: checked(c3p.service(u.ua, "<getConferencingCapabilities/>"))),
        ("SERVICE addConference, deleteConference", "SERVICE", 2, add_and_delete),
        ("INFO getConference", "INFO", 1, lambda u: checked(u.call.info(c3p.by_conf("getConference", u.focus)))),
        ("INFO modifyConferenceLock, document", "INFO", 1, flip),
    )


def organizer(stack, name):
    """In a conference of his own, alone."""
    stack.admin("focusd", cmd="add", name=f"own-{name}", organizer=name)
    u = User(stack.ua(name), stack.focus(f"own-{name}"))
    u.join()
    return u


def answer_of(real, c3p, carrier):
    u = real.users[0]
    r = c3p.service(u.ua, "<getConferencingCapabilities/>") if carrier == "SERVICE" else u.call.info(c3p.by_conf("getConference", u.focus))
    return r.msg.body


def carry(c3p, carrier):
    if carrier == "SERVICE":
        return lambda u: c3p.service(u.ua, "<getConferencingCapabilities/>")
    return lambda u: u.call.info(c3p.by_conf("getConference", u.focus))


def run(build, quick):
    import os
    os.environ["CONCLAVE_BUILD"] = str(build)
    from conclave_test import c3p
    from conclave_test.stack import Stack, children
    rounds, each = (3, 30) if quick else (5, 100)
    names = [f"u{i}" for i in range(USERS)]
    stack = Stack("--no-rtpengine", "--log", "warn", users={**{u: f"pw-{u}" for u in names}, "host": "pw-host"}, rooms=())
    out, pool = {"rows": [], "reference": {}}, ThreadPoolExecutor(USERS)
    print(f"\nC3P commands, {USERS} users, medians of {rounds} rounds. CPU microseconds per request.\n"
          f"  {'':<42}{'kamailio':>8} {'focusd':>8} {'sum':>8} {'reference':>10} {'ratio':>6} {'p50 ms':>8} {'p99 ms':>8}")
    try:
        meter = Meter({"kamailio": [stack.pid("kamailio"), *children(stack.pid("kamailio"))], "focusd": [stack.pid("focusd")]})
        real = Side([organizer(stack, name) for name in names], meter)
        refs = {}
        for carrier in ("SERVICE", "INFO"):
            ref = Reference(stack, real, False)
            ref.responder.on_command = answer_of(real, c3p, carrier)
            try:
                for u in ref.side.users:
                    u.join()
                refs[carrier] = measure(ref.side.users, ref.side.meter, pool, carry(c3p, carrier), rounds, each)
            finally:
                ref.close()
        for title, carrier, requests, call in table(c3p):
            r = measure(real.users, meter, pool, call, rounds, each)
            us = {n: v / requests for n, v in r["us"].items()}
            total, floor = sum(us.values()), refs[carrier]["us"]["kamailio"]
            out["rows"].append({"title": title, **r, "us": us, "ratio": total / floor})
            print(f"  {title:<42}{us['kamailio']:8.0f} {us['focusd']:8.0f} {total:8.0f} {floor:10.0f} {total / floor:6.2f} "
                  f"{r['ms']['p50'] / requests:8.1f} {r['ms']['p99'] / requests:8.1f}", flush=True)
        out["reference"] = refs
    finally:
        pool.shutdown()
        stack.stop(check=False)
    return out
