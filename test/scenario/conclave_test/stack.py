# SPDX-License-Identifier: Apache-2.0
"""The stack under test: `scripts/conclave run` on free ports in a directory of its own.

Every process of it inherits CONCLAVE_TEST_STACK=<id>, so that stop() can prove that none is left, whatever its parent.
Several stacks run side by side: each holds its block of ports by an abstract socket, which ends with the test process.
"""
import contextlib
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time
import urllib.request
import uuid
from pathlib import Path

from .sip import UA, verified_tls

REPO = Path(__file__).resolve().parents[3]
DOMAIN = "conclave.test"
USERS = {"alice": "secret-a", "bob": "secret-b", "carol": "secret-c", "dave": "secret-d"}
TRUNK_IP = "127.0.0.7"                  # calls from here are a trunk's
BLOCK = 440                             # ports of one group, media included
PARTS = ("kamailio", "focusd", "mcu", "rtpengine")


class StackError(Exception):
    pass


def free_base():
    """(base, holder): a block of free ports below the ephemeral range."""
    bases = list(range(20000, 32000, BLOCK))
    random.shuffle(bases)
    for base in bases:
        holder = socket.socket(socket.AF_UNIX)
        try:
            holder.bind(f"\0conclave-ports-{base}")
        except OSError:
            holder.close()
            continue
        if all(_free(base + i) for i in (*range(18), 20, 22, 24, 220, 222, 420, 422)):
            return base, holder
        holder.close()
    raise StackError("no free block of ports")


def _free(port):
    for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
        with socket.socket(socket.AF_INET, kind) as s:
            try:
                s.bind(("127.0.0.1", port))
            except OSError:
                return False
    return True


def pids_with(marker):
    """Processes of a stack, from the environment they inherited: {pid: command line}."""
    found = {}
    for d in Path("/proc").iterdir():
        if d.name.isdigit():
            with contextlib.suppress(OSError):
                if marker in (d / "environ").read_bytes() and (d / "stat").read_text().rpartition(")")[2].split()[0] != "Z":
                    found[int(d.name)] = (d / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
    return found


def children(pid):
    with contextlib.suppress(OSError):
        text = " ".join(p.read_text() for p in Path(f"/proc/{pid}/task").glob("*/children"))
        kids = [int(k) for k in text.split()]
        return kids + [g for k in kids for g in children(k)]
    return []


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


class Stack:
    def __init__(self, *options, users=USERS, rooms=("lobby",), start=True, under=None):
        # Tests judge by tones: a voice and music are for those that ask for them.
        self.options = options if "--prompts" in options else (*options, "--prompts", "none")
        self.users, self.rooms = users, rooms
        self.host = options[options.index("--bind") + 1] if "--bind" in options else "127.0.0.1"
        self.id = uuid.uuid4().hex
        self.marker = f"CONCLAVE_TEST_STACK={self.id}".encode()
        self.base, self._holder = free_base()
        self.dir = Path(tempfile.mkdtemp(prefix="conclave-test-", dir=under))
        os.chmod(self.dir, 0o755)
        self.proc, self.uas, self.log_at, self.more = None, [], {}, {}
        if start:
            try:
                self.start()
            except BaseException:
                self.stop(check=False)
                raise

    # --- life
    def command(self, *words):
        return [str(REPO / "scripts" / "conclave"), *map(str, words)]

    def env(self):
        env = dict(os.environ, CONCLAVE_TEST_STACK=self.id, PYTHONUNBUFFERED="1")
        build = env.get("CONCLAVE_BUILD")
        if build:
            env["CONCLAVE_BUILD"] = env["BUILD"] = str((REPO / build).resolve())
        return env

    def start(self, timeout=60):
        words = ["run", "--keep", "--dir", self.dir, "--ports", self.base, "--domain", DOMAIN]
        for name, password in self.users.items():
            words += ["--user", f"{name}:{password}"]
        words += ["--room", "demo", "--trunk", f"{TRUNK_IP}:media=any", *self.options]
        self.out = open(self.dir / "run.out", "ab")
        self.proc = subprocess.Popen(self.command(*words), stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.out,
                                     env=self.env(), cwd=REPO, start_new_session=True)
        self._wait_ready(timeout)
        for room in self.rooms:
            self.run("room", "add", room, "--organizer", "alice")

    def _wait_ready(self, timeout):
        end = time.monotonic() + timeout
        while not (self.dir / "addresses.json").exists():
            if self.proc.poll() is not None:
                raise StackError(f"conclave run ended with {self.proc.returncode}:\n{self.tail_of('run.out')}")
            if time.monotonic() > end:
                raise StackError(f"not ready within {timeout} s:\n{self.tails()}")
            time.sleep(0.05)
        self.addresses = json.loads((self.dir / "addresses.json").read_text())

    def stop(self, check=True):
        """Ends everything as Ctrl-C does; leftovers are killed and reported."""
        for ua in self.uas:
            ua.close()
        code = 0
        for node in list(self.more):
            self.kill(node, signal.SIGTERM)
        if self.proc and self.proc.poll() is None:
            self.proc.send_signal(signal.SIGINT)
            try:
                code = self.proc.wait(20)
            except subprocess.TimeoutExpired:
                code = "no end within 20 s"
        left = pids_with(self.marker)
        left.pop(os.getpid(), None)
        for pid in left:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        self._holder.close()
        text = self.tail_of("run.out", 20)
        if not os.environ.get("CONCLAVE_TEST_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)
        if check and (left or code not in (0, 130, -signal.SIGINT)):
            raise StackError(f"conclave run ended with {code}; left: {left}\n{text}")

    # --- parts
    def pid(self, part):
        return int((self.dir / "run" / f"{part}.pid").read_text().split()[0])

    def kill(self, part, sig=signal.SIGKILL):
        """Kills one part (all processes of kamailio) and waits until it is gone."""
        pid = self.pid(part)
        victims = [pid] + children(pid)
        for v in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(v, sig)
        if part in self.more:
            self.more.pop(part).wait(10)
        self.wait(f"{part} is dead", lambda: not any(alive(v) for v in victims), 5)

    def add_mcu(self, node="mcu-2", socket_name="mcu-2.sock"):
        """Another media server of the group, on the ports above those of `conclave run`; its parts of the log are NODE.log."""
        self.run("cert", "issue", "mcu", node)
        text, base = (self.dir / "etc" / "mcu.conf").read_text(), self.base
        for old, new in (("node = mcu-1", f"node = {node}"), ("mcu-1.", f"{node}."), (f"port = {base + 8}\n", f"port = {base + 15}\n"),
                         (f"{base + 9}\n", f"{base + 16}\n"), (f"port = {base + 10}\n", f"port = {base + 17}\n"),
                         ("/mcu.sock", f"/{socket_name}"), (f"port_min = {base + 20}\n", f"port_min = {base + 420}\n"),
                         (f"port_max = {base + 219}\n", f"port_max = {base + 439}\n")):
            assert old in text, f"{old!r} is not in mcu.conf"
            text = text.replace(old, new)
        conf = self.dir / "etc" / f"{node}.conf"
        conf.write_text(text)
        env = self.env()
        build = Path(env.get("CONCLAVE_BUILD") or REPO / "build")
        with open(self.dir / "log" / f"{node}.log", "ab") as log:
            p = subprocess.Popen([str(build / "mcu"), "-c", str(conf)], stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.dir,
                                 env={**env, "LOGS_DIRECTORY": str(self.dir / "log")})
        self.more[node] = p
        (self.dir / "run" / f"{node}.pid").write_text(f"{p.pid}\n")
        self.wait(f"{node} is known", lambda: any(m["id"] == node for m in self.admin("focusd", cmd="stats")["mcus"]), 10)

    def run(self, *words, timeout=25):
        """A command of scripts/conclave on this group; its output."""
        done = subprocess.run(self.command(*words, "--dir", self.dir), env=self.env(), cwd=REPO,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout)
        if done.returncode:
            raise StackError(f"conclave {words}: {done.stdout}{done.stderr}\n{self.tails()}")
        return done.stdout

    def confctl(self, *words):
        """Output of scripts/confctl on this group."""
        done = subprocess.run([str(REPO / "scripts" / "confctl"), "--dir", str(self.dir), *map(str, words)], env=self.env(), cwd=REPO,
                              stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=25)
        if done.returncode:
            raise StackError(f"confctl {words}: {done.stdout}{done.stderr}\n{self.tails()}")
        return done.stdout

    def restart(self, part):
        self.run("restart", part)

    def running(self, part):
        try:
            return alive(self.pid(part))
        except (OSError, ValueError, IndexError):
            return False

    @staticmethod
    def wait(what, pred, timeout=5, step=0.05):
        """Until pred() is true; returns its value."""
        end = time.monotonic() + timeout
        while True:
            value = pred()
            if value:
                return value
            if time.monotonic() > end:
                raise AssertionError(f"not within {timeout} s: {what}")
            time.sleep(step)

    # --- ports: docs/interfaces.md
    udp = property(lambda s: (s.host, s.base))
    tcp = property(lambda s: (s.host, s.base))
    tls = property(lambda s: (s.host, s.base + 1))
    peer = property(lambda s: (s.host, s.base + 3))
    focus_sip = property(lambda s: (s.host, s.base + 5))
    focus_http = property(lambda s: (s.host, s.base + 6))
    mcu_sip = property(lambda s: (s.host, s.base + 8))
    mcu_http = property(lambda s: (s.host, s.base + 9))
    METRICS = {"kamailio": 4, "focusd": 7, "mcu": 10, "rtpengine": 13}

    def room(self, name="lobby"):
        return f"sip:{name}@{DOMAIN}"

    def focus(self, room="lobby"):
        """The focus URI of a room."""
        answer = self.admin("focusd", cmd="show", conf=room)
        return re.search(r'"(sip:[^"]*opaque=app:conf:focus:id:[^"]*)"', json.dumps(answer)).group(1)

    @contextlib.contextmanager
    def configured(self, part, text):
        """The part runs with these lines more in its configuration, and then as before."""
        conf = self.dir / "etc" / f"{part}.conf"
        saved = conf.read_text()
        conf.write_text(f"{saved}\n{text}\n")
        self.restart(part)
        try:
            yield
        finally:
            conf.write_text(saved)
            self.restart(part)

    # --- clients
    def ua(self, user, transport="tls", register=False, password=None, **kw):
        """A client of that user, closed with the stack at the latest."""
        edge = self.tls if transport == "tls" else self.udp
        if transport == "tls":
            kw.setdefault("tls", verified_tls(str(self.dir / "ca" / "client-root.pem")))
        ua = UA(edge, user, DOMAIN, password or self.users.get(user), transport, **kw)
        self.uas.append(ua)
        if register:
            ua.register()
        return ua

    def trunk(self, number="+15550100", transport="tcp"):
        ua = UA(self.tcp, number, "trunk.example", None, transport, bind=TRUNK_IP)
        self.uas.append(ua)
        return ua

    # --- looking inside
    def metrics(self, part):
        """Counters of a part as {name{labels}: value}."""
        with urllib.request.urlopen(f"http://{self.host}:{self.base + self.METRICS[part]}/metrics", timeout=5) as r:
            text = r.read().decode()
        out = {}
        for line in text.splitlines():
            m = re.match(r"([^#\s]\S*(?:\{[^}]*\})?)\s+([-+\d.eE]+)", line)
            if m:
                out[m.group(1)] = float(m.group(2))
        return out

    def admin(self, part, **request):
        """One request to an admin socket; the answer, which must be ok."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(5)
            s.connect(str(self.dir / "run" / f"{part}.sock"))
            s.sendall(json.dumps(request).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                chunk = s.recv(65536)
                if not chunk:
                    break
                data += chunk
        answer = json.loads(data)
        if not answer.get("ok"):
            raise StackError(f"{part} {request}: {answer}")
        return answer

    def relay_sessions(self):
        """Sessions that rtpengine holds now."""
        return int(self.metrics("rtpengine").get("rtpengine_sessions", -1)
                   if "rtpengine_sessions" in self.metrics("rtpengine")
                   else sum(v for k, v in self.metrics("rtpengine").items() if k.startswith('rtpengine_sessions{')))

    def store(self, sql, *args):
        db = sqlite3.connect(self.dir / "db" / "focus.sqlite", timeout=5)
        try:
            return db.execute(sql, args).fetchall()
        finally:
            db.close()

    def mark_logs(self):
        """What tails() shows begins here."""
        for f in (self.dir / "log").glob("*.log"):
            self.log_at[f.name] = f.stat().st_size

    def new_log(self, part):
        f = self.dir / "log" / f"{part}.log"
        with contextlib.suppress(OSError):
            with open(f, "rb") as fh:
                fh.seek(self.log_at.get(f.name, 0))
                return fh.read().decode("utf-8", "replace")
        return ""

    def tail_of(self, name, lines=40):
        with contextlib.suppress(OSError):
            return "\n".join((self.dir / name).read_text(errors="replace").splitlines()[-lines:])
        return ""

    def tails(self, lines=25):
        out = [f"--- run.out\n{self.tail_of('run.out', 15)}"]
        for part in PARTS:
            text = "\n".join(self.new_log(part).splitlines()[-lines:])
            if text:
                out.append(f"--- {part}.log\n{text}")
        return "\n".join(out)


class SmallDisk(Stack):
    """A stack whose DIR/name is a tmpfs of so many KiB in a mount namespace of its own, seen from here through /proc/PID/root
    (no privilege needed)."""
    def __init__(self, name, kib, *options, **kw):
        self.name, self.kib = name, kib
        super().__init__(*options, **kw)

    def command(self, *words):
        cmd = super().command(*words)
        if words[0] != "run":
            return cmd
        (self.dir / self.name).mkdir(exist_ok=True)
        mount = f'mount -t tmpfs -o size={self.kib}k,mode=0700 none {self.dir / self.name} && exec "$@"'
        return ["unshare", "-m" if os.getuid() == 0 else "-rm", "sh", "-c", mount, "sh", *cmd]

    @property
    def disk(self):
        return f"/proc/{self.pid('focusd')}/root{self.dir / self.name}"

    def fill(self, leave=0):
        """Until nothing more fits, or so many bytes."""
        fd = os.open(os.path.join(self.disk, "filler"), os.O_CREAT | os.O_WRONLY)
        try:
            for size in (65536, 4096, 512, 1):
                with contextlib.suppress(OSError):
                    while True:
                        os.write(fd, b"x" * size)
            if leave:
                os.ftruncate(fd, os.fstat(fd).st_size - leave)
        finally:
            os.close(fd)

    def free(self):
        os.unlink(os.path.join(self.disk, "filler"))
