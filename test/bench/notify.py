# SPDX-License-Identifier: Apache-2.0
"""One join in a conference with N subscriptions: when the last notification has left focusd, and what one costs.

Every user holds up to sixteen subscriptions, and all users share a few TLS connections to the edge, so that the clients
cost little beside the servers. In each round somebody joins and leaves; a round's CPU time, less what the servers use at
rest, is divided by the notifications that went out. NOTIFY is answered 200, BENOTIFY is not. Beside it the same number
of NOTIFYs of the same size passes a bare Kamailio from a trivial responder.
"""
import re
import statistics
import threading
import time

from joins import Meter, idle_between

PER_USER, CONNECTIONS, ROUNDS = 16, 4, 3
SIZES, QUICK_SIZES = (100, 1000, 5000), (100, 1000)
KEEP = tuple(n.encode() for n in ("via:", "from:", "to:", "call-id:", "cseq:", "record-route:"))
LENGTH = re.compile(rb"\r\ncontent-length:\s*(\d+)", re.I)


def carrier_class():
    import select
    from conclave_test.sip import UA, WOULD_BLOCK, Txn

    class Carrier(UA):
        """One connection for many users. Notifications are counted and answered without being parsed."""
        def __init__(self, *args, **kw):
            self.count, self.bytes, self.last = 0, 0, 0.0
            super().__init__(*args, **kw)

        def _read_stream(self, sock, closed):
            data, at = b"", 0
            try:
                while not closed.is_set():
                    if not (sock.pending() or select.select([sock], [], [], 0.2)[0]):
                        continue
                    try:
                        with self.lock:
                            chunk = sock.recv(262144)
                    except WOULD_BLOCK:
                        continue
                    if not chunk:
                        break
                    data, at = data[at:] + chunk, 0
                    at = self._messages(data)
            except (OSError, ValueError):
                pass
            closed.set()

        def _messages(self, data):
            """Takes the whole messages of data; where the rest begins."""
            at, answers = 0, []
            while True:
                while data[at:at + 2] == b"\r\n":
                    at += 2
                end = data.find(b"\r\n\r\n", at)
                if end < 0:
                    break
                head = data[at:end + 2]
                m = LENGTH.search(head)
                whole = end + 4 + (int(m.group(1)) if m else 0)
                if whole > len(data):
                    break
                if head.startswith((b"NOTIFY ", b"BENOTIFY ")):
                    self.count, self.bytes, self.last = self.count + 1, self.bytes + whole - at, time.monotonic()
                    if head[0] == 78:
                        lines = [x for x in head.split(b"\r\n") if x.lower().startswith(KEEP)]
                        answers.append(b"SIP/2.0 200 OK\r\n" + b"\r\n".join(lines) + b"\r\nContent-Length: 0\r\n\r\n")
                else:
                    self._incoming(data[at:whole])
                at = whole
            if answers:
                with self.lock:
                    self._send_all(b"".join(answers))
            return at

        def ask(self, user, password, method, uri, headers=(), body=b"", ctype=None, **kw):
            """A request of one of its users; the answer to it or to its repetition with credentials."""
            msg = self.build(method, uri, [("Contact", self.contact), *headers], body, ctype,
                             from_=f"<sip:{user}@{self.domain}>;tag={user}-{time.monotonic_ns():x}", **kw)
            r = Txn(self, msg).start().wait(20)
            if r.code in (401, 407):
                msg = self.authorize(msg, r, user=user, password=password)
                r = Txn(self, msg).start().wait(20)
            self.txns.clear()
            self.log.clear()
            if r.code != 200:
                raise SystemExit(f"{method} of {user}: {r.start} {r.get('ms-diagnostics') or ''}")
            return msg, r

    return Carrier


class Crowd:
    """N subscriptions to one conference."""
    def __init__(self, stack, carriers, focus, n, benotify):
        from conclave_test import c3p
        from conclave_test.sip import Call
        self.carriers, self.n, self.calls = carriers, n, []
        extra = [("Supported", "ms-benotify")] if benotify else []
        before = sum(c.count for c in carriers)
        users = [(f"n{i}", carriers[i % len(carriers)]) for i in range((n + PER_USER - 1) // PER_USER)]
        for user, c in users:                                # all before the first subscription: nobody is notified of them
            body = c3p.request(c3p.add_user(focus, f"sip:{user}@{c.domain}", c3p.guid()), f"sip:{user}@{c.domain}", focus)
            msg, r = c.ask(user, f"pw-{user}", "INVITE", focus, body=body, ctype=c3p.CTYPE)
            self.calls.append(Call(c, msg, r).ack())
        for i in range(n):
            user, c = users[i % len(users)]
            c.ask(user, f"pw-{user}", "SUBSCRIBE", focus, [("Event", "conference"), ("Expires", "3600"),
                                                           ("Accept", "application/conference-info+xml"), *extra])
        wait(lambda: sum(c.count for c in carriers) >= before + n, 60, f"{n} first documents")

    def received(self):
        return sum(c.count for c in self.carriers)

    def leave(self):
        for call in self.calls:
            call.bye()
            call.ua.dialogs.clear()


def wait(done, limit, what):
    end = time.monotonic() + limit
    while not done():
        if time.monotonic() > end:
            raise SystemExit(f"notify bench: no {what} within {limit} s")
        time.sleep(0.005)


def quiet(received):
    seen = received()
    while True:
        time.sleep(0.6)
        if received() == seen:
            return
        seen = received()


class Sent(threading.Thread):
    """When focusd had sent so many notifications, by its own counter."""
    def __init__(self, stack, n):
        super().__init__(daemon=True)
        self.stack, self.at, self.n = stack, None, n
        self.goal = self.read() + n
        self.start()

    def read(self):
        return self.stack.metrics("focusd")["conclave_focus_notifications_total"]

    def run(self):
        end = time.monotonic() + 30
        while time.monotonic() < end:
            if self.read() >= self.goal:
                self.at = time.monotonic()
                return
            time.sleep(0.005)


def one_round(stack, meter, crowd, late, focus):
    from conclave_test import c3p
    idle = meter.rate(0.4)
    seen, before, b0 = crowd.received(), meter.read(), sum(c.bytes for c in crowd.carriers)
    sent, t0 = Sent(stack, crowd.n), time.monotonic()
    call = c3p.join(late, focus)
    wait(lambda: crowd.received() >= seen + crowd.n, 60, f"{crowd.n} notifications of a join")
    last = max(c.last for c in crowd.carriers)
    sent.join()
    time.sleep(0.4)
    call.bye()
    late.dialogs.clear(), late.txns.clear()
    wait(lambda: crowd.received() >= seen + 2 * crowd.n, 60, f"{crowd.n} notifications of a leave")
    quiet(crowd.received)
    after, count = meter.read(), crowd.received() - seen
    idle = idle_between(idle, meter.rate(0.4))
    us = {k: max(0.0, after[1][k] - before[1][k] - idle[k] * (after[0] - before[0])) * 1e6 / count for k in idle}
    return {"us": us, "left_focusd_s": sent.at - t0, "last_received_s": last - t0, "notifications": count,
            "bytes": (sum(c.bytes for c in crowd.carriers) - b0) / count}


def measure(stack, meter, carriers, late, n, benotify):
    name = f"crowd{n}{'be' if benotify else ''}"
    stack.admin("focusd", cmd="add", name=name, organizer="host")
    focus = stack.focus(name)
    quiet(lambda: sum(c.count for c in carriers))
    base = meter.memory()
    crowd = Crowd(stack, carriers, focus, n, benotify)
    quiet(crowd.received)
    mem = meter.memory()
    one_round(stack, meter, crowd, late, focus)
    rounds = [one_round(stack, meter, crowd, late, focus) for _ in range(ROUNDS)]
    crowd.leave()
    quiet(crowd.received)
    med = lambda f: statistics.median(f(r) for r in rounds)  # noqa: E731
    return {"n": n, "method": "BENOTIFY" if benotify else "NOTIFY", "rounds": rounds, "left_focusd_s": med(lambda r: r["left_focusd_s"]),
            "last_received_s": med(lambda r: r["last_received_s"]), "us": {k: med(lambda r, k=k: r["us"][k]) for k in base},
            "bytes": med(lambda r: r["bytes"]), "kib": {k: (mem[k] - base[k]) / n for k in base}}


def reference(stack, n, size, make_carrier):
    """The same NOTIFYs from a trivial responder through a bare Kamailio: its CPU for each, and what it has grown by (KiB)."""
    from conclave_test.stack import children
    from reference import Relay, Responder
    responder = Responder(stack.dir / "certs" / "focus-1.pem", stack.dir / "certs" / "focus-1.key", b"", b"x" * size, False)
    relay = Relay(stack.dir, responder.port, children)
    carriers = [make_carrier(relay.port) for _ in range(CONNECTIONS)]
    try:
        meter = Meter({"kamailio": relay.pids()})
        received = lambda: sum(c.count for c in carriers)  # noqa: E731
        base = meter.memory()["kamailio"]
        for i in range(n):
            carriers[i % CONNECTIONS].ask("x", "x", "SUBSCRIBE", "sip:crowd@conclave.test", [("Event", "conference"), ("Expires", "3600")])
        wait(lambda: received() >= n, 60, "first documents of the reference")
        rounds = []
        for _ in range(ROUNDS + 1):
            idle, seen, before = meter.rate(0.4), received(), meter.read()
            carriers[0].ask("x", "x", "OPTIONS", "sip:crowd@conclave.test")
            wait(lambda: received() >= seen + n, 60, "notifications of the reference")
            time.sleep(0.6)
            after = meter.read()
            idle = idle_between(idle, meter.rate(0.4))
            rounds.append(max(0.0, after[1]["kamailio"] - before[1]["kamailio"] - idle["kamailio"] * (after[0] - before[0])) * 1e6 / n)
        return statistics.median(rounds[1:]), (meter.memory()["kamailio"] - base) / n
    finally:
        for c in carriers:
            c.close()
        relay.close()
        responder.close()


def run(build, quick):
    import os
    os.environ["CONCLAVE_BUILD"] = str(build)
    from conclave_test.sip import insecure_tls
    from conclave_test.stack import DOMAIN, Stack, children
    sizes = QUICK_SIZES if quick else SIZES
    users = [f"n{i}" for i in range((max(sizes) + PER_USER - 1) // PER_USER)]
    stack = Stack("--no-rtpengine", "--clients", str(max(sizes)), "--log", "warn", users={**{u: f"pw-{u}" for u in users}, "host": "pw-host", "late": "pw-late"},
                  rooms=())
    cls, tls, out = carrier_class(), insecure_tls(), []
    try:
        meter = Meter({"kamailio": [stack.pid("kamailio"), *children(stack.pid("kamailio"))], "focusd": [stack.pid("focusd")]})
        carriers = [cls(stack.tls, f"c{i}", DOMAIN, None, "tls", tls=tls) for i in range(CONNECTIONS)]
        late = stack.ua("late")
        print(f"\nOne user joins (and leaves) a conference with N subscriptions, over {CONNECTIONS} connections; medians of {ROUNDS} rounds.\n"
              f"  {'N':>6} {'':9}{'left focusd':>12} {'last at client':>15}   {'focusd':>8} {'kamailio':>9} us each {'bytes':>7}"
              f"   KiB each: focusd, kamailio")
        for n in sizes:
            for benotify in (False, True):
                r = measure(stack, meter, carriers, late, n, benotify)
                out.append(r)
                print(f"  {n:6} {r['method']:9}{r['left_focusd_s'] * 1000:9.0f} ms {r['last_received_s'] * 1000:12.0f} ms   "
                      f"{r['us']['focusd']:8.1f} {r['us']['kamailio']:9.1f}         {r['bytes']:7.0f}   {r['kib']['focusd']:.1f}, {r['kib']['kamailio']:.1f}",
                      flush=True)
        body = int(statistics.median(r["bytes"] for r in out)) - 700
        floor, kib = reference(stack, max(sizes), body, lambda port: cls(("127.0.0.1", port), "x", DOMAIN, None, "tls", tls=tls))
        print(f"  reference: a bare Kamailio relays a NOTIFY of that size and its 200, {max(sizes)} subscriptions: {floor:.1f} us each, {kib:.1f} KiB each")
        for c in carriers:
            c.close()
    finally:
        stack.stop(check=False)
    big = [r for r in out if r["n"] == max(sizes)][0]
    print(f"NOTIFY, edge and focusd to the reference at N = {big['n']}: {(big['us']['focusd'] + big['us']['kamailio']) / floor:.2f}; "
          f"all of them had left focusd after {big['left_focusd_s'] * 1000:.0f} ms (limit 1 s, aim 0.2 s)")
    return {"notify": out, "reference_us": floor, "reference_kib": kib}

