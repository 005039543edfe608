# SPDX-License-Identifier: Apache-2.0
"""Random commands, valid and not, by eight users with two devices each, against a model that knows only the rules of
docs/c3p.md and docs/policy.md. Every answer must be the model's; after each burst the rosters that two subscribers made of
their documents, getConference and the model must be the same.

CONCLAVE_RANDOM_SECONDS (60) and CONCLAVE_RANDOM_SEED (printed on a failure) bound and repeat it.
"""
import os
import random
import time

import pytest

from conclave_test import c3p
from conclave_test import commands as cmd
from conclave_test.c3p import mcu_uri, request, service
from conclave_test.commands import NO_ENDPOINT, NOBODY
from conclave_test.roster import NS
from conclave_test.sip import SipError

NAMES = ("alice", "bob", "carol", "dave", "erin", "frank", "grace", "heidi")
STACK_OPTIONS = tuple(w for n in NAMES[4:] for w in ("--user", f"{n}:secret-{n}"))
SECONDS = float(os.environ.get("CONCLAVE_RANDOM_SECONDS", "60"))
SEED = int(os.environ.get("CONCLAVE_RANDOM_SEED", "20090605"))
COMMANDS = int(1500 * SECONDS / 60)
BURST = 50
ALICE = "sip:alice@conclave.test"
POLICIES = ("openAuthenticated", "closedAuthenticated", "anonymous")
NO = (403, "failure", "unauthorized")
OK = (200, "success", None)


class Model:
    """What the conference is. users: {entity: {role, display, devices}} of those inside."""
    def __init__(self, invited):
        self.invited, self.subject = invited, "Test"
        self.reset()

    def reset(self):
        self.users, self.locked, self.policy, self.access = {}, False, "openAuthenticated", {}

    def admits(self, user):
        if user == ALICE:
            return True
        if self.access.get(user) == "denied":
            return False
        if user in self.users or self.access.get(user) == "granted":
            return True
        if self.policy == "closedAuthenticated" and user not in self.invited:
            return False
        return not self.locked or self.invited.get(user) == "presenter"

    def join(self, user, device):
        u = self.users.setdefault(user, {"role": "presenter" if user == ALICE else self.invited.get(user, "attendee"),
                                         "display": user[4:].partition("@")[0], "devices": set()})
        u["devices"].add(device)
        return u["role"]

    def leave(self, user, device):
        self.users[user]["devices"].discard(device)
        if not self.users[user]["devices"]:
            del self.users[user]

    def presenter(self, user):
        return self.users[user]["role"] == "presenter"

    # each: (expected answer, users thrown out)
    def lock(self, by, value):
        if not self.presenter(by):
            return NO, ()
        if value not in ("true", "false"):
            return (603, "failure", "requestMalformed"), ()
        self.locked = value == "true"
        return OK, ()

    def role(self, by, target, role):
        if not self.presenter(by):
            return NO, ()
        if target not in self.users:
            return (603, "failure", "userDoesntExist"), ()
        if role not in ("presenter", "attendee"):
            return (603, "failure", "invalidRole"), ()
        if target == ALICE and role != "presenter":
            return NO, ()
        self.users[target]["role"] = role
        return OK, ()

    def delete_user(self, by, target):
        if target not in self.users:
            return (603, "failure", "userDoesntExist"), ()
        if by != target and (not self.presenter(by) or target == ALICE):
            return NO, ()
        del self.users[target]
        return OK, (target,)

    def modify_user(self, by, target, display):
        if target not in self.users:
            return (603, "failure", "userDoesntExist"), ()
        if by != target and not self.presenter(by):
            return NO, ()
        if not display:
            return (603, "failure", "requestMalformed"), ()
        self.users[target]["display"] = display
        return OK, ()

    def set_access(self, by, targets, access):
        if not self.presenter(by):
            return NO, ()
        if access not in ("granted", "denied") or not targets:
            return (603, "failure", "requestMalformed"), ()
        out = []
        for t in targets:
            if t == ALICE or (t == by and access == "denied"):
                continue
            self.access[t] = access
            if access == "denied" and t in self.users:
                del self.users[t]
                out.append(t)
        return OK, out

    def modify_conference(self, by, subject, policy):
        if not self.presenter(by):
            return NO, ()
        if policy is not None and policy not in POLICIES:
            return (603, "failure", "invalidAdmissionPolicy"), ()
        self.subject, self.policy = subject if subject is not None else self.subject, policy or self.policy
        return OK, ()

    def mute(self, by, target):
        if target not in self.users:
            return (603, "failure", "userDoesntExist"), ()
        if by != target and not self.presenter(by):
            return NO, ()
        return (603, "failure", "endpointDoesntExist"), ()

    def roster(self):
        return {e: {"role": u["role"], "endpoints": {"focus": [("connected", {})] * len(u["devices"])}} for e, u in self.users.items()}


class World:
    """The running conference beside the model."""
    def __init__(self, stack):
        self.r = random.Random(SEED)
        self.uas = {(n, d): stack.ua(n, register=True, password=stack.users.get(n, f"secret-{n}")) for n in NAMES for d in (0, 1)}
        self.entities = [f"sip:{n}@conclave.test" for n in NAMES]
        invited = {"sip:bob@conclave.test": "presenter", "sip:carol@conclave.test": "attendee"}
        self.focus = c3p.schedule(self.uas["alice", 0], users=list(invited.items()))
        self.model, self.calls, self.sent, self.done = Model(invited), {}, {}, 0
        self.gather()

    def gather(self):
        """alice with both devices and a subscription on each: one by BENOTIFY, one by NOTIFY."""
        for d in (0, 1):
            self.join("alice", d)
        self.subs = [c3p.watch(self.uas["alice", 0], self.focus, c3p.SIPE, None, self.focus),
                     c3p.watch(self.uas["alice", 1], self.focus, entity=self.focus)]

    # --- people come and go
    def join(self, name, d):
        user, ua, old = f"sip:{name}@conclave.test", self.uas[name, d], self.calls.get((name, d))
        if not self.model.admits(user):
            with pytest.raises(SipError) as e:
                c3p.join(ua, self.focus)
            assert e.value.code == 403, e.value
            return
        call = c3p.join(ua, self.focus, role=self.r.choice(["attendee", "presenter"]))
        role = self.model.join(user, d)
        assert call.granted == role, (name, call.granted, role)
        self.calls[name, d], self.sent[name, d] = call, []
        if old and not old.ended.is_set():
            assert old.ended.wait(5), "the same device replaces its dialog"

    def leave(self, name, d):
        call = self.calls.get((name, d))
        if name == "alice" or not call or call.ended.is_set():
            return
        assert call.bye().code == 200
        self.model.leave(f"sip:{name}@conclave.test", d)

    def thrown_out(self, users):
        for u in users:
            for d in (0, 1):
                call = self.calls.get((u[4:].partition("@")[0], d))
                assert not call or call.ended.wait(5), f"{u} gets a BYE"

    # --- commands: (XML, model's verdict)
    def command(self, by):
        r, f, m = self.r, self.focus, self.model
        target = r.choice(self.entities + [NOBODY])
        if target == ALICE and by == ALICE and r.random() < 0.9:
            target = r.choice(self.entities[1:])
        some = r.sample(self.entities + [NOBODY], r.choice([0, 1, 1, 2, 3]))
        value, role = r.choice(["true", "false", "false", "maybe"]), r.choice(["presenter", "attendee", "attendee", "king"])
        name, access = r.choice(["", "A & B", "Ünïcode <x>", f"N{r.randrange(99)}"]), r.choice(["granted", "granted", "denied", "perhaps"])
        subject, policy = r.choice([None, "Budget", "S & <T>"]), r.choice([None, None, "everybody", *POLICIES])
        kinds = [
            (6, lambda: (c3p.lock(f, value), lambda: m.lock(by, value))),
            (10, lambda: (c3p.role(f, target, role), lambda: m.role(by, target, role))),
            (5, lambda: (c3p.delete_user(f, target), lambda: m.delete_user(by, target))),
            (8, lambda: (cmd.modify_user(f, target, name), lambda: m.modify_user(by, target, name))),
            (6, lambda: (cmd.set_access(f, some, access), lambda: m.set_access(by, some, access))) if some else
            (1, lambda: (f"<setUserAccess>{cmd.keys(f)}<access>denied</access></setUserAccess>", lambda: m.set_access(by, [], access))),
            (4, lambda: (cmd.modify_conference(f, subject, policy), lambda: m.modify_conference(by, subject, policy))),
            (3, lambda: (c3p.mute(f, target, NO_ENDPOINT, 1), lambda: m.mute(by, target))),
            (2, lambda: (c3p.by_conf("makeCoffee", f), lambda: ((501, "failure", "notSupported"), ()))),
            (2, lambda: (c3p.lock(f, True).replace("<modifyConferenceLock>", f"<modifyConferenceLock {cmd.at_mcu(f)}>"),
                         lambda: ((400, "failure", "requestMalformed"), ()))),
            (2, lambda: (cmd.filters(f, "attendee", "block").replace(cmd.at_mcu(f), cmd.at_mcu(f.replace("alice", "mallory"))),
                         lambda: ((603, "failure", "mcuTypeNotAvailable"), ()))),
            (3, lambda: (c3p.by_conf("getConference", f), lambda: (OK, ()))),
        ]
        make = r.choices([k for _, k in kinds], [w for w, _ in kinds])[0]
        return make()

    def say(self, name, d):
        """One command of that device; what it was and what should have come."""
        by, call = f"sip:{name}@conclave.test", self.calls.get((name, d))
        if not call:
            return
        if by == ALICE or not call.ended.is_set():
            kept = self.sent[name, d]
            if kept and self.r.random() < 0.08:                     # again, as after a lost answer
                raw, want = self.r.choice(kept)
                assert self.outcome(call, raw) == want, raw
                return
            if self.r.random() < 0.05:
                assert self.outcome(call, self.r.choice(self.broken(by)))[0] == 400
                return
        xml, verdict = self.command(by)
        if by == ALICE and "<deleteUser>" in xml and f'userEntity="{ALICE}"' in xml:
            return                                                  # the followers stay
        raw = request(xml, by, self.focus)
        if call.ended.is_set():
            assert self.outcome(call, raw)[0] == 481
            return
        want, out = verdict()
        assert self.outcome(call, raw) == want, (by, xml)
        if "getConference" not in xml:
            self.sent[name, d] = (self.sent[name, d] + [(raw, want)])[-4:]
        self.thrown_out(out)

    def outcome(self, call, raw):
        r = call.info(None, raw=raw)
        return r.sip, r.code, r.reason

    def broken(self, by):
        f, other = self.focus, "sip:mallory@conclave.test"
        return [request(c3p.lock(f, True), other, f), request(c3p.lock(f, True), by, mcu_uri(f)), b"<request", b"",
                request(c3p.lock(f.replace("alice", "bob"), True), by, f), request("<a/><b/>", by, f),
                request(c3p.lock(f, True), by, f, request_id="seven")]

    def step(self):
        name, d, what = self.r.choice(NAMES), self.r.randrange(2), self.r.random()
        self.done += 1
        if what < 0.15:
            if name != "alice":
                self.join(name, d)
        elif what < 0.19:
            self.leave(name, d)
        else:
            self.say(name if self.r.random() < 0.75 else "alice", d)

    def end_and_begin_again(self):
        assert self.calls["alice", 0].info(c3p.by_conf("deleteConference", self.focus)).code == "success"
        for call in self.calls.values():
            assert call.ended.wait(5), "everybody gets a BYE"
        for sub, roster in self.subs:
            assert sub.terminated.wait(5)
            sub.wait("nobody and nothing", lambda: not roster.users and roster.state("active") == "false")
        self.model.reset()
        self.calls = {}
        self.gather()

    # --- all four are the same
    def compare(self):
        want, m = self.model.roster(), self.model
        for sub, roster in self.subs:
            sub.wait("the model's users", lambda: roster.users == want, 4)
        time.sleep(0.3)                                             # nothing else is on its way
        info = self.calls["alice", 0].info(c3p.by_conf("getConference", self.focus)).cmd.find("ci:conference-info", NS)
        for sub, roster in self.subs:
            sub.wait(f"version {info.get('version')}", lambda: roster.version == int(info.get("version")))
            assert roster.difference(info) == []
            assert roster.users == want
            assert {u: cmd.display(roster, u) for u in want} == {u: v["display"] for u, v in m.users.items()}
            assert set(roster.locked.values()) == {m.locked} and roster.state("user-count") == str(len(want))
            assert (cmd.subject(roster), cmd.policy(roster)) == (m.subject, m.policy)
        r = service(self.uas["alice", 0], "<getConferences/>")
        assert self.focus in [e.get("entity") for e in r.cmd.iter("{urn:ietf:params:xml:ns:conference-info}conference-info")]


def test_random_commands_leave_focus_subscribers_and_model_the_same(stack):
    w = World(stack)
    start = time.monotonic()
    try:
        while w.done < COMMANDS and time.monotonic() - start < SECONDS * 1.5:
            for _ in range(BURST):
                w.step()
            w.compare()
            if w.r.random() < 0.25:
                w.end_and_begin_again()
    except BaseException:
        print(f"seed {SEED}, after {w.done} steps")
        raise
    took = time.monotonic() - start
    print(f"{w.done} steps in {took:.1f} s")
    assert w.done >= min(COMMANDS, 300), f"only {w.done} steps in {took:.0f} s"
    assert stack.running("focusd") and stack.running("mcu")
