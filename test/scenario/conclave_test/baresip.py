# SPDX-License-Identifier: Apache-2.0
"""baresip 1.0 as a client that we did not write: TLS, mandatory SDES-SRTP, its own codecs and jitter buffer.

Each instance has a directory of its own with its configuration, a tone as its microphone, and a recording of what it
heard, complete once the call has ended. It is driven over ctrl_tcp (netstrings of JSON).
"""
import json
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
import wave
from pathlib import Path

import numpy as np

from . import certs

MODULES = Path("/usr/lib/baresip/modules")
CODECS = {"opus": "opus/48000/2", "G722": "G722/16000/1", "PCMU": "PCMU/8000/1", "PCMA": "PCMA/8000/1"}


def write_tone(path, hz, seconds=60, rate=48000, db=-20.0):
    k = np.arange(rate * seconds)
    pcm = (np.sin(2 * np.pi * hz / rate * k) * 32767 * 10 ** (db / 20)).astype(np.int16)
    with wave.open(str(path), "wb") as w:
        w.setnchannels(1), w.setsampwidth(2), w.setframerate(rate)
        w.writeframes(pcm.tobytes())


def free_ports(n):
    socks = [socket.socket() for _ in range(n)]
    for s in socks:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in socks]
    for s in socks:
        s.close()
    return ports


def free_pair():
    """A port whose successor is free too: baresip puts its TLS listener there."""
    while True:
        port, = free_ports(1)
        with socket.socket() as tls, socket.socket(type=socket.SOCK_DGRAM) as udp:
            try:
                tls.bind(("127.0.0.1", port + 1))
                udp.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Baresip:
    def __init__(self, stack, user, tone, codec="opus", password=None):
        self.user, self.tone, self.codec = user, tone, codec
        self.dir = Path(tempfile.mkdtemp(prefix=f"baresip-{user}-", dir=stack.dir))
        self.rec = self.dir / "rec"
        self.rec.mkdir()
        self.events, self.cond = [], threading.Condition()
        write_tone(self.dir / "tone.wav", tone, rate=8000 if codec in ("PCMU", "PCMA") else 16000 if codec == "G722" else 48000)
        certs.self_signed(self.dir / "client.pem", f"{user}.phone")
        self.out = open(self.dir / "out", "wb")
        for attempt in range(5):        # somebody else may take a free port before baresip does
            self.ctrl, self.sip = free_ports(1)[0], free_pair()
            self._configure(stack, password or stack.users[user])
            self.proc = subprocess.Popen(["baresip", "-f", str(self.dir)], stdin=subprocess.DEVNULL, stdout=self.out,
                                         stderr=self.out, env=stack.env(), start_new_session=True)
            if self._connect(last=attempt == 4):
                break

    def _configure(self, stack, password):
        rate = {"opus": 48000, "G722": 16000}.get(self.codec, 8000)
        config = f"""
poll_method epoll
sip_listen {stack.host}:{self.sip}
sip_certificate {self.dir}/client.pem
sip_cafile {stack.dir}/ca/client-root.pem
net_interface {stack.host}
call_local_timeout 60
call_max_calls 4
audio_path /usr/share/baresip
audio_source aufile,{self.dir}/tone.wav
audio_player aubridge,sink
audio_alert aubridge,sink
ausrc_srate {rate}
auplay_srate {rate}
ausrc_channels 1
auplay_channels 1
audio_level no
rtp_timeout 60
jitter_buffer_delay 3-10
module_path {MODULES}
module opus.so
module g711.so
module g722.so
module aufile.so
module aubridge.so
module sndfile.so
module srtp.so
module uuid.so
module ctrl_tcp.so
module_tmp account.so
module_app menu.so
ctrl_tcp_listen 127.0.0.1:{self.ctrl}
snd_path {self.rec}
opus_bitrate 32000
"""
        (self.dir / "config").write_text(config)
        host, port = stack.tls
        (self.dir / "accounts").write_text(
            f"<sip:{self.user}@{self.domain(stack)};transport=tls>;auth_user={self.user};auth_pass={password};"
            f'outbound="sip:{host}:{port};transport=tls";answermode=auto;mediaenc=srtp-mand;regint=600;'
            f"audio_codecs={CODECS[self.codec]}\n")
        (self.dir / "contacts").write_text("")

    @staticmethod
    def domain(stack):
        from .stack import DOMAIN
        return DOMAIN

    def _connect(self, last):
        """True once ctrl_tcp is connected; false when baresip ended and may be tried again."""
        end = time.monotonic() + 10
        while True:
            try:
                self.sock = socket.create_connection(("127.0.0.1", self.ctrl), timeout=1)
                break
            except OSError:
                if self.proc.poll() is not None and not last:
                    return False
                if time.monotonic() > end or self.proc.poll() is not None:
                    raise AssertionError(f"baresip {self.user} did not start:\n{self.log()}") from None
                time.sleep(0.05)
        self.sock.settimeout(None)
        threading.Thread(target=self._read, daemon=True).start()
        return True

    def _read(self):
        data = b""
        while True:
            try:
                chunk = self.sock.recv(65536)
            except OSError:
                return
            if not chunk:
                return
            data += chunk
            while b":" in data:
                length, _, rest = data.partition(b":")
                if not length.isdigit() or len(rest) < int(length) + 1:
                    break
                event, data = rest[:int(length)], rest[int(length) + 1:]
                with self.cond:
                    self.events.append((time.monotonic(), json.loads(event)))
                    self.cond.notify_all()

    def command(self, name, params=""):
        text = json.dumps({"command": name, "params": params, "token": name})
        self.sock.sendall(f"{len(text)}:{text},".encode())

    def wait_event(self, kind, timeout=10, after=0):
        end = time.monotonic() + timeout
        with self.cond:
            while True:
                for at, e in self.events[after:]:
                    if e.get("type") == kind:
                        return at
                if not self.cond.wait(max(0, end - time.monotonic())):
                    raise AssertionError(f"baresip {self.user}: no {kind} in {timeout} s, had"
                                         f" {[e.get('type') for _, e in self.events]}\n{self.log()}")

    def wait_registered(self, timeout=10):
        """From its output: the first registration may be over before ctrl_tcp was connected."""
        end = time.monotonic() + timeout
        while "200 OK" not in (self.dir / "out").read_text(errors="replace"):
            if time.monotonic() > end:
                raise AssertionError(f"baresip {self.user} did not register:\n{self.log()}")
            time.sleep(0.05)
        return self

    def dial(self, uri):
        seen = len(self.events)
        self.command("dial", uri)
        return self.wait_event("CALL_ESTABLISHED", after=seen)

    def hangup(self):
        seen = len(self.events)
        self.command("hangup")
        self.wait_event("CALL_CLOSED", after=seen)

    def dtmf(self, digits):
        """The keys of the running call: menu.so sends what is typed during a call."""
        for d in digits:
            self.command("sndcode", d)
            time.sleep(0.3)

    def recordings(self):
        return sorted(self.rec.glob("*-dec.wav"), key=lambda p: p.stat().st_mtime)

    def heard(self):
        """(pcm, rate) of the newest recording of the incoming side."""
        with wave.open(str(self.recordings()[-1])) as w:
            pcm = np.frombuffer(w.readframes(w.getnframes()), np.int16)
            return pcm.reshape(-1, w.getnchannels())[:, 0], w.getframerate()

    def log(self, lines=25):
        return "\n".join((self.dir / "out").read_text(errors="replace").splitlines()[-lines:])

    def close(self):
        try:
            self.command("quit")
            self.proc.wait(3)
        except (OSError, subprocess.TimeoutExpired):
            self.proc.send_signal(signal.SIGKILL)
            self.proc.wait(3)
        self.sock.close()
        self.out.close()

    __enter__ = lambda self: self

    def __exit__(self, *exc):
        self.close()


def available():
    return bool(shutil.which("baresip")) and MODULES.is_dir()
