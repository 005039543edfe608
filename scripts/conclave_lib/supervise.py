# SPDX-License-Identifier: Apache-2.0
"""The running group: starts the parts, waits until each answers, watches them, and ends them.

Each part is a process group of its own with its output in log/PART.log. One loop looks after children, readiness and the control
socket (run/conclave.sock: status, restart, stop). A part that dies is named with its last log lines; then, by mode,
"group" ends the group with status 1, "supervise" starts it again with a growing pause, "keep" waits for `conclave restart PART`.
"""
import ctypes
import json
import os
import resource
import select
import signal
import socket
import subprocess
import sys
import time

from . import Problem, admin, render
from .layout import PARTS, binary, edge_preload, write_file

START_S, STOP_S = 20.0, 3.5
LIBC = ctypes.CDLL(None, use_errno=True)
PR_SET_PDEATHSIG = 1


def say(text):
    print(text, file=sys.stderr, flush=True)


class Part:
    """One process of the group."""

    def __init__(self, lay, name, argv, probe, notify):
        self.lay, self.name, self.argv, self.probe = lay, name, argv, probe
        self.env = {"LD_PRELOAD": edge_preload()} if name == "kamailio" else {"LOGS_DIRECTORY": lay.path("log")}
        self.proc, self.started, self.ready, self.pause, self.again_at = None, 0.0, False, 0.5, None
        self.notify = None
        self.notify_path = lay.path("run", f"{name}.notify") if notify else None
        self.log_path = lay.path("log", name + ".log")
        self.pid_path = lay.path("run", name + ".pid")

    def _open_notify(self):
        if not self.notify_path:
            return
        if self.notify:
            self.notify.close()
        if os.path.exists(self.notify_path):
            os.unlink(self.notify_path)
        self.notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.notify.bind(self.notify_path)

    def start(self):
        self._open_notify()
        env = {**os.environ, **self.env}
        env.pop("NOTIFY_SOCKET", None)
        if self.notify_path:
            env["NOTIFY_SOCKET"] = self.notify_path
        files = render.sizes(int(self.lay.conf["clients"]))["files"]

        def prepare():
            os.setsid()
            LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
            hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
            want = files if hard == resource.RLIM_INFINITY else min(files, hard)
            resource.setrlimit(resource.RLIMIT_NOFILE, (want, hard))

        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(self.argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, preexec_fn=prepare,
                                         cwd=self.lay.path("run"))
        self.started, self.ready, self.again_at = time.monotonic(), False, None
        write_file(self.pid_path, f"{self.proc.pid}\n")

    def poll_ready(self):
        """To be called for as long as the part lives: what it tells on the notify socket (also at every reload) has to be read."""
        if self.notify:
            try:
                while True:
                    said = self.notify.recv(4096).split(b"\n")
                    self.ready = self.ready or b"READY=1" in said
            except BlockingIOError:
                pass
        elif not self.ready and self.alive():
            self.ready = self.probe(self.lay)
        return self.ready

    def answers(self):
        """Does it still? One that hangs lives and was ready once."""
        if not self.alive():
            return False
        if self.probe:
            return self.probe(self.lay)
        try:
            admin.ask(self.lay.path("run", self.name + ".sock"), {"cmd": "ping"}, 1)
        except admin.Refused:                                    # an answer too
            return True
        except Problem:
            return False
        return True

    def alive(self):
        return self.proc is not None and self.proc.poll() is None

    def signal_group(self, sig):
        if self.proc is None:
            return
        try:
            os.killpg(self.proc.pid, sig)
        except (ProcessLookupError, PermissionError):
            pass

    def group_gone(self):
        if self.proc is None:
            return True
        self.proc.poll()
        try:
            os.killpg(self.proc.pid, 0)
            return False
        except ProcessLookupError:
            return True
        except PermissionError:
            return False

    def stop(self, within):
        """Ends the process and its children."""
        stop_all([self], within)

    def sweep(self):
        """What a killed part left: its children and sockets."""
        self.signal_group(signal.SIGKILL)
        for name in {"kamailio": ("kamailio.ctl", "kamailio.rpc", "kamailio.main.pid")}.get(self.name, ()):
            if os.path.exists(self.lay.path("run", name)):
                os.unlink(self.lay.path("run", name))

    def last_lines(self, n=8):
        """The end of its log; before it, which child of Kamailio died, for that comes before the words of all the others."""
        try:
            with open(self.log_path, "rb") as f:
                f.seek(max(0, os.path.getsize(self.log_path) - 65536))
                lines = [line.decode(errors="replace") for line in f.read().splitlines()]
        except OSError:
            return []
        start = max((i for i, line in enumerate(lines) if line.startswith("Listening on")), default=0)
        told = [line for line in lines[start:-n] if "handle_sigs(): child process" in line]
        return told[:1] + lines[-n:]

    def how_it_ended(self):
        rc = self.proc.poll() if self.proc else None
        return f"signal {signal.Signals(-rc).name}" if rc is not None and rc < 0 else f"status {rc}"


def stop_all(parts, within):
    """TERM to all at once, KILL to what is left; returns when no process of theirs lives."""
    for p in parts:
        p.signal_group(signal.SIGTERM)
    end = time.monotonic() + within
    while time.monotonic() < end and not all(p.group_gone() for p in parts):
        time.sleep(0.03)
    for p in parts:
        p.signal_group(signal.SIGKILL)
    end = time.monotonic() + 1
    while time.monotonic() < end and not all(p.group_gone() for p in parts):
        time.sleep(0.02)
    for p in parts:
        p.sweep()
        for path in (p.pid_path, p.notify_path):
            if path and os.path.exists(path):
                os.unlink(path)


def _family(lay):
    return socket.AF_INET6 if ":" in lay.bind else socket.AF_INET


def probe_kamailio(lay):
    """An OPTIONS by UDP is answered."""
    with socket.socket(_family(lay), socket.SOCK_DGRAM) as s:
        s.settimeout(0.25)
        s.bind((lay.bind, 0))
        me = f"{lay.bind}:{s.getsockname()[1]}"
        msg = (f"OPTIONS sip:{lay.at('sip')} SIP/2.0\r\nVia: SIP/2.0/UDP {me};branch=z9hG4bK{time.monotonic_ns()}\r\n"
               f"Max-Forwards: 5\r\nFrom: <sip:probe@{lay.domain}>;tag=p\r\nTo: <sip:{lay.at('sip')}>\r\n"
               f"Call-ID: probe-{time.monotonic_ns()}\r\nCSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n")
        try:
            s.sendto(msg.encode(), (lay.bind, lay.port["sip"]))
            return s.recv(4096).startswith(b"SIP/2.0 200")
        except OSError:
            return False


def probe_rtpengine(lay):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(0.25)
        try:
            s.sendto(b"p1 d7:command4:pinge", ("127.0.0.1", lay.port["ng"]))
            return b"pong" in s.recv(1024)
        except OSError:
            return False


def make_parts(lay, names):
    s = render.sizes(int(lay.conf["clients"]))
    argv = {
        "kamailio": ["kamailio", "-DD", "-E", "-f", lay.path("etc", "kamailio.cfg"), "-Y", lay.path("run"), "-P",
                     lay.path("run", "kamailio.main.pid"), "-m", str(s["shm_mb"]), "-M", str(s["pkg_mb"]),
                     "-x", "fm", "-X", "fm"],                    # its quicker allocators
        "rtpengine": render.rtpengine_args(lay),
        "focusd": [binary("focusd"), "-c", lay.path("etc", "focusd.conf")],
        "mcu": [binary("mcu"), "-c", lay.path("etc", "mcu.conf")],
    }
    probes = {"kamailio": probe_kamailio, "rtpengine": probe_rtpengine}
    return [Part(lay, n, argv[n], probes.get(n), n not in probes) for n in PARTS if n in names]


class Group:
    def __init__(self, lay, names, mode, on_change):
        self.lay, self.mode, self.on_change = lay, mode, on_change
        self.parts = {p.name: p for p in make_parts(lay, names)}
        self.stopping = None                                     # exit status once the end is decided
        self.control = None
        self.wake_r, self.wake_w = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def install_signals(self):
        signal.set_wakeup_fd(self.wake_w, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(sig, lambda *_: self.end(0))

    def end(self, status):
        if self.stopping is None:
            self.stopping = status

    def open_control(self):
        path = self.lay.path("run", "conclave.sock")
        if os.path.exists(path):
            try:
                admin.ask(path, {"cmd": "status"}, 10)           # it asks its parts first
            except Problem:
                os.unlink(path)
            else:
                raise Problem(f"a group runs in {self.lay.top} already; stop it with `conclave stop --dir {self.lay.top}`")
        self.control = socket.socket(socket.AF_UNIX)
        old = os.umask(0o177)
        try:
            self.control.bind(path)
        finally:
            os.umask(old)
        self.control.listen(8)
        self.control.setblocking(False)

    def pids(self):
        return {n: p.proc.pid for n, p in self.parts.items() if p.alive()}

    def wait_ready(self, part):
        """Until the part answers; a Problem when it dies or takes too long. Ends early when the group is to stop."""
        end = time.monotonic() + START_S
        while not part.poll_ready():
            if self.stopping is not None:
                return
            if not part.alive():
                raise Problem(f"{part.name} ended with {part.how_it_ended()} at its start. Its last lines:\n" + tail(part))
            if time.monotonic() > end:
                raise Problem(f"{part.name} did not answer within {START_S:g} s. Its last lines:\n" + tail(part))
            self._turn(0.05)

    def start_all(self):
        # The edge first: focusd announces itself to it at once, then the MCU to focusd.
        for part in self.parts.values():
            part.start()
            self.wait_ready(part)
            if self.stopping is not None:
                return

    def restart(self, name):
        part = self.parts.get(name)
        if not part:
            raise Problem(f"no part {name!r} here; there are {', '.join(self.parts)}")
        part.stop(STOP_S)
        part.start()
        self.wait_ready(part)
        self.on_change()

    def _turn(self, timeout):
        """One turn of the loop: sleep until something happens, then take it. Returns what came over the control socket."""
        fds = [self.wake_r] + ([self.control] if self.control else [])
        ready = select.select(fds, [], [], timeout)[0]
        if self.wake_r in ready:
            try:
                os.read(self.wake_r, 512)
            except BlockingIOError:
                pass
        return self.control in ready

    def _serve(self):
        try:
            conn = self.control.accept()[0]
        except BlockingIOError:
            return
        with conn:
            conn.settimeout(2)
            try:
                req = json.loads(conn.makefile("rb").readline(65536))
                answer = {"ok": True, **self._command(req)}
            except Problem as e:
                answer = {"ok": False, "error": str(e)}
            except (ValueError, OSError, AttributeError):
                answer = {"ok": False, "error": "send one JSON object in a line"}
            try:
                conn.sendall(json.dumps(answer).encode() + b"\n")
            except OSError:
                pass

    def _command(self, req):
        cmd = req.get("cmd")
        if cmd == "status":
            return {"parts": {n: self._state(p) for n, p in self.parts.items()}, "mode": self.mode}
        if cmd == "restart":
            self.restart(req.get("part"))
            return {"pid": self.parts[req["part"]].proc.pid}
        if cmd == "stop":
            self.end(0)
            return {}
        raise Problem("commands: status, restart, stop")

    def _state(self, part):
        silent = part.ready and part.alive() and not part.answers()
        return {"pid": part.proc.pid if part.alive() else None, "ready": part.ready and part.alive() and not silent, "silent": silent,
                "seconds": round(time.monotonic() - part.started, 1)}

    def _look_after(self, part):
        """Notices a death and acts by the group's mode; notices a late readiness."""
        if part.alive():
            was = part.ready
            if part.poll_ready() and not was:
                say(f"conclave: {part.name} is ready again (pid {part.proc.pid})")
                self.on_change()
            elif was and time.monotonic() - part.started > 30:
                part.pause = 0.5
            return
        if part.again_at is None and part.proc is not None:
            say(f"conclave: {part.name} died ({part.how_it_ended()}). Its last lines:\n{tail(part)}")
            part.sweep()
            part.ready = False
            part.again_at = time.monotonic() + part.pause if self.mode == "supervise" else float("inf")
            part.pause = min(part.pause * 2, 30)
            self.on_change()
            if self.mode == "group":
                say("conclave: the group ends (--supervise starts a dead part again, --keep goes on without it)")
                self.end(1)
        elif part.again_at is not None and time.monotonic() >= part.again_at:
            part.start()
            self.on_change()

    def run(self):
        """Until the end; returns the exit status."""
        while self.stopping is None:
            if self._turn(0.2):
                self._serve()
            for part in self.parts.values():
                self._look_after(part)
        return self.stopping

    def close(self):
        stop_all(list(self.parts.values()), STOP_S)
        for p in self.parts.values():
            if p.notify:
                p.notify.close()
        if self.control:
            self.control.close()
            os.unlink(self.lay.path("run", "conclave.sock"))


def tail(part):
    return "\n".join("  | " + line for line in part.last_lines()) or "  | (nothing was logged)"
