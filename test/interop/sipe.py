# SPDX-License-Identifier: Apache-2.0
"""One pidgin-sipe client: the process test/interop/sipe with a home of its own, commands in, events out."""
import itertools
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from pathlib import Path

REPO = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("CONCLAVE_BUILD", "build"))


class Sipe:
    def __init__(self, stack, user, password=None, tone=0, transport="tls", login=None, server=None, netns=None):
        self.stack, self.user = stack, user
        self.uri = f"{user}@conclave.test"
        self.home = Path(tempfile.mkdtemp(prefix=f"sipe-{user}-"))
        shutil.copytree(stack.dir / "ca", self.home / "ca", ignore=lambda d, names: [n for n in names if n != "client-root.pem"])
        self.log = open(self.home / "driver.log", "w+")
        env = dict(os.environ, LANG="C", G_SLICE="always-malloc", SIPE_DRIVER_DEBUG="1")
        env.pop("DISPLAY", None)
        self.proc = subprocess.Popen([str(REPO / BUILD / "interop" / "sipe_driver"), str(self.home), str(tone)], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, stderr=self.log, env=env, text=True, bufsize=1)
        self.events, self.news, self.ids = [], queue.Queue(), itertools.count(1)
        self.at = 0
        threading.Thread(target=self._read, daemon=True).start()
        self.wait("ready")
        host, port = stack.tls if transport == "tls" else stack.tcp
        self.account = dict(user=self.uri, login=login or "", password=password or stack.users[user],
                            server=server or f"{host}:{port}", transport=transport)

    def _read(self):
        for line in self.proc.stdout:
            try:
                self.news.put(json.loads(line))
            except ValueError:
                pass
        self.news.put({"event": "gone"})

    def _drain(self, timeout=0):
        try:
            while True:
                self.events.append(self.news.get(timeout=timeout) if timeout else self.news.get_nowait())
                timeout = 0
        except queue.Empty:
            pass

    def mark(self):
        """wait() looks only at what comes from here on."""
        self._drain()
        self.at = len(self.events)

    def find(self, name, since=None, **want):
        self._drain()
        for e in self.events[self.at if since is None else since:]:
            if e["event"] == name and all(v(e.get(k)) if callable(v) else e.get(k) == v for k, v in want.items()):
                return e
        return None

    def wait(self, name, timeout=10, since=None, **want):
        """The first event of that name with these values (a value may be a predicate) since the mark."""
        end = time.monotonic() + timeout
        while True:
            e = self.find(name, since, **want)
            if e:
                return e
            left = end - time.monotonic()
            if left <= 0 or (self.proc.poll() is not None and self.news.empty()):
                raise AssertionError(f"{self.user}: no {name} {want} within {timeout} s; seen {self.events[self.at:][-20:]}\n{self.tail()}")
            self._drain(min(left, 0.2))

    def cmd(self, name, check=True, **args):
        n = next(self.ids)
        self._drain()
        start = len(self.events)
        self.proc.stdin.write(json.dumps(dict(cmd=name, id=n, **args)) + "\n")
        self.proc.stdin.flush()
        done = self.wait("done", since=start, id=n)
        assert not check or done["error"] == 0, f"{self.user}: {name} {args}: error {done['error']}; {self.events[start:]}"
        return done["error"]

    def answer_of(self, name, reply, **args):
        """A command whose answer is an event."""
        self._drain()
        start = len(self.events)
        self.cmd(name, **args)
        return self.wait(reply, since=start)

    # --- what a user does
    def login(self, wait=True):
        self.cmd("login", **self.account)
        if wait:
            self.signed_on()

    def signed_on(self):
        """Until it has asked for what conferences may have: before that its menus make empty conferences."""
        self.wait("signed-on", timeout=20)
        self.stack.wait(f"{self.user} knows the MCU types", lambda: "<mcuType>" in (self.home / "driver.log").read_text(errors="replace"))

    def chats(self):
        return self.answer_of("chats", "chats")["chats"]

    def roster(self):
        """{user: is operator} of the first chat."""
        chats = self.chats()
        return {u.removeprefix("sip:").removesuffix("@conclave.test"): op for u, op in chats[0]["users"].items()} if chats else {}

    def see(self, timeout=10, **roster):
        """Until the chat shows exactly these users; True means operator."""
        end = time.monotonic() + timeout
        while self.roster() != roster:
            assert time.monotonic() < end, f"{self.user} sees {self.roster()}, wanted {roster}\n{self.tail()}"
            time.sleep(0.1)

    def menu(self, user=None):
        return self.answer_of("buddy", "menu", user=user)["items"] if user else self.answer_of("chat", "menu")["items"]

    def hear(self, *tones):
        return {int(k): v for k, v in self.answer_of("hear", "heard", tones=list(tones))["levels"].items()}

    def tail(self, lines=60):
        self.log.flush()
        text = (self.home / "driver.log").read_text(errors="replace")
        return "\n".join(text.splitlines()[-lines:])

    def close(self):
        if self.proc.poll() is None:
            try:
                self.proc.stdin.write('{"cmd": "quit"}\n')
                self.proc.stdin.close()
                self.proc.wait(5)
            except (OSError, subprocess.TimeoutExpired):
                self.proc.kill()
                self.proc.wait()
        self.log.close()
        if not os.environ.get("CONCLAVE_TEST_KEEP"):
            shutil.rmtree(self.home, ignore_errors=True)
