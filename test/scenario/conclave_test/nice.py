# SPDX-License-Identifier: Apache-2.0
"""A client whose media goes through libnice (test/interop/nice_peer.c): ICE by independent software, sound by rtp.Leg.

    leg = NiceLeg("oc2007")                     # oc2007: draft-6 lines; oc2007r2, rfc5245: RFC 5245 lines
    call = ua.invite(uri, leg.offer()); leg.accept(call.sdp); leg.wait_ready()
    call.reinvite(leg.final_offer())
"""
import base64
import os
import re
import socket
import subprocess
import threading
import time
from pathlib import Path

from . import rtp

REPO = Path(__file__).resolve().parents[3]
KEY_LINE = re.compile(r"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:[A-Za-z0-9+/]{40}\|2\^31$")


def interface_address():
    """An IPv4 address of this machine that is not loopback: agents never offer that; None when there is none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.connect(("192.0.2.250", 9))
        except OSError:
            return None
        ip = s.getsockname()[0]
    return None if ip.startswith("127.") or ip == "0.0.0.0" else ip


def binary():
    return REPO / os.environ.get("CONCLAVE_BUILD", "build") / "interop" / "nice_peer"


def pad(text):
    return text + "=" * (-len(text) % 4)


class Cand:
    def __init__(self, comp, transport, priority, addr, port, foundation, user, pwd):
        self.comp, self.transport, self.priority, self.addr, self.port = int(comp), transport, int(priority), addr, int(port)
        self.foundation, self.user, self.pwd = foundation, user, pwd

    def order(self):
        return (f"remote {self.comp} UDP {self.priority} {self.addr} {self.port} {self.foundation or '1'} "
                f"{self.user or '-'} {self.pwd or '-'}")

    def line(self, draft6):
        if draft6:
            kind = "UDP" if self.transport == "UDP" else "TCP"
            return (f"a=candidate:{self.user.rstrip('=')} {self.comp} {self.pwd.rstrip('=')} {kind} "
                    f"0.{self.priority} {self.addr} {self.port}")
        return f"a=candidate:{self.foundation} {self.comp} {self.transport} {self.priority} {self.addr} {self.port} typ host"


class NiceLeg(rtp.Leg):
    def __init__(self, mode, codec="PCMU", frames=1, controlling=True):
        super().__init__(codec, True, "127.0.0.1")
        self.mode, self.frames, self.draft6 = mode, frames, mode == "oc2007"
        self.ports, self.cands, self.states, self.pairs, self.cond = {}, [], {}, {}, threading.Condition()
        self.credentials, self.gathered, self.version, self.pcm_left = None, False, 1, rtp.np.zeros(0, rtp.np.int16)
        self.agent = subprocess.Popen([str(binary()), mode, str(int(controlling)), str(self.port), str(self.port + 1)],
                                      stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        self._wait("candidates", lambda: self.gathered)
        self.host = next(c.addr for c in self.cands if ":" not in c.addr)

    # --- the agent
    def _read(self):
        for line in self.agent.stdout:
            w = line.split()
            with self.cond:
                if w[0] == "port":
                    self.ports[int(w[1])] = int(w[2])
                elif w[0] == "credentials":
                    self.credentials = (w[1], w[2])
                    self.cands = []
                elif w[0] == "candidate":
                    self.cands.append(Cand(*w[1:]))
                elif w[0] == "gathered":
                    self.gathered = True
                elif w[0] == "state":
                    self.states[int(w[1])] = w[2]
                elif w[0] == "pair":
                    self.pairs[int(w[1])] = dict(zip(("ip", "port", "user", "rip", "rport", "ruser"), w[2:]))
                self.cond.notify_all()

    def _wait(self, what, pred, timeout=10):
        end = time.monotonic() + timeout
        with self.cond:
            while not pred():
                if not self.cond.wait(max(0, min(0.5, end - time.monotonic()))) and time.monotonic() > end:
                    raise AssertionError(f"{self.mode}: no {what} within {timeout} s; states {self.states}, "
                                         f"pairs {self.pairs}, agent {self.agent.poll()}")

    def order(self, text):
        self.agent.stdin.write(text + "\n")
        self.agent.stdin.flush()

    def wait_ready(self, timeout=10):
        """Both components have a pair and are told ready."""
        self._wait("ready", lambda: self.states.get(1) == self.states.get(2) == "ready" and len(self.pairs) == 2, timeout)
        return self

    def restart(self):
        self.gathered = False
        self.states.clear()
        self.pairs.clear()
        self.order("restart")
        self._wait("candidates", lambda: self.gathered)

    # --- descriptions
    def _sdp(self, cands, profile, extra=()):
        port = {c: next(k.port for k in cands if k.comp == c and k.transport == "UDP" and k.addr == self.host) for c in (1, 2)}
        pt = rtp.PAYLOAD[self.codec]
        lines = ["v=0", f"o=- 0 {self.version} IN IP4 {self.host}", "s=session", f"c=IN IP4 {self.host}", "b=CT:99980", "t=0 0",
                 f"m=audio {port[1]} {profile} {pt} 101"]
        self.version += 1
        lines += [] if self.draft6 else [f"a=ice-ufrag:{self.credentials[0]}", f"a=ice-pwd:{self.credentials[1]}"]
        lines += [c.line(self.draft6) for c in cands]
        lines += list(extra)
        lines += [f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(self.master).decode()}|2^31",
                  "a=maxptime:200", f"a=rtcp:{port[2]}", f"a=rtpmap:{pt} {self.codec}/8000",
                  "a=rtpmap:101 telephone-event/8000", "a=fmtp:101 0-16"]
        return "\r\n".join(lines) + "\r\n"

    def offer(self, direction="sendrecv", codecs=None, version=1):
        cands = self.cands if self.mode != "rfc5245" else [c for c in self.cands if c.transport == "UDP"]
        return self._sdp(cands, "RTP/SAVP" if self.mode == "rfc5245" else "RTP/AVP")

    def final_offer(self):
        """The second INVITE: one candidate a component, and the name of the server's."""
        mine = [next(c for c in self.cands if (c.comp, c.transport, c.addr, str(c.port)) ==
                     (n, "UDP", self.pairs[n]["ip"], self.pairs[n]["port"])) for n in (1, 2)]
        if self.draft6:
            extra = [f"a=remote-candidate:{self.theirs[0].user}"]
        else:
            extra = ["a=remote-candidates:" + " ".join(f"{n} {self.pairs[n]['rip']} {self.pairs[n]['rport']}" for n in (1, 2))]
        return self._sdp(mine, "RTP/SAVP", extra)

    def read(self, text):
        """Checks an answer as pidgin-sipe does, and keeps what it says."""
        sdp = rtp.Sdp(text)
        key = [l for l in sdp.audio if l.startswith("a=crypto:")]
        assert len(key) == 1 and KEY_LINE.match(key[0]), key
        assert sdp.profile == "RTP/SAVP", sdp.audio[0]
        assert len(sdp.origin) == 6
        mapped = {int(l[9:].split()[0]) for l in sdp.audio if l.startswith("a=rtpmap:")}
        assert mapped == set(sdp.payloads), f"{mapped} has an rtpmap of {sdp.payloads}"
        rtcp = [int(l[7:].split()[0]) for l in sdp.audio if l.startswith("a=rtcp:")]
        assert "a=rtcp-mux" not in sdp.audio
        self.theirs = []
        for l in sdp.audio:
            w = l.split(":", 1)[-1].split()
            if not l.startswith("a=candidate:"):
                continue
            if self.draft6:
                assert w[3] == "UDP" and w[4].startswith("0."), l
                self.theirs.append(Cand(w[1], "UDP", int(w[4][2:]), w[5], w[6], "1", w[0], w[2]))
            else:
                assert w[2] == "UDP" and w[6:8] == ["typ", "host"] and len(w) == 8, l
                self.theirs.append(Cand(w[1], "UDP", w[3], w[4], w[5], w[0], None, None))
        assert [(c.comp, c.port) for c in self.theirs] == [(1, sdp.port), (2, rtcp[0])], self.theirs
        value = lambda name: next((l.split(":", 1)[1] for l in sdp.audio if l.startswith(f"a={name}:")), None)
        self.their_credentials, self.named = (value("ice-ufrag"), value("ice-pwd")), value(
            "remote-candidate" if self.draft6 else "remote-candidates")
        return sdp

    def accept(self, text):
        self.read(text)
        if not self.draft6:
            self.order("remote-credentials %s %s" % self.their_credentials)
        for c in self.theirs:
            self.order(Cand(c.comp, "UDP", c.priority, c.addr, c.port, c.foundation, c.user and pad(c.user),
                            c.pwd and pad(c.pwd)).order())
        self.order("start")
        started, self.thread = self.thread, self.thread or True     # super() would send to the wrong place
        super().accept(text)
        self.peer, self.thread = ("127.0.0.1", self.ports[1]), started
        if not started:
            self.thread = threading.Thread(target=self._run, daemon=True)
            self.thread.start()
        return self

    # --- long packets, as some sound devices make them
    def _tick(self):
        if self.frames == 1:
            return super()._tick()
        self.pcm_left = rtp.np.concatenate((self.pcm_left, self.samples(rtp.FRAME)))
        n = int(self.frames * rtp.FRAME)
        if len(self.pcm_left) >= n:
            self.send(self.packet(rtp.PAYLOAD[self.codec], rtp.g711_encode(self.codec, self.pcm_left[:n])))
            self.seq, self.ts = (self.seq + 1) & 0xffff, (self.ts + n) & 0xffffffff
            self.pcm_left = self.pcm_left[n:]

    def stop(self):
        super().stop()
        self.agent.stdin.close()
        try:
            self.agent.wait(3)
        except subprocess.TimeoutExpired:
            self.agent.kill()
            self.agent.wait()
