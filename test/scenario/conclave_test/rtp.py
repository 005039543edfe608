# SPDX-License-Identifier: Apache-2.0
"""Media of a scripted client: sends tones as PCMU or PCMA and telephone-events, plain or SRTP, and
keeps every packet that comes with the time of its arrival, so that a test can ask which tones were heard and when.

A Leg is one thread on an absolute 20 ms clock. Levels are those of a sine against full scale, in dB.
"""
import base64
import hashlib
import hmac
import os
import re
import select
import socket
import struct
import threading
import time

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

RATE, FRAME = 8000, 160
HEARD_DB, QUIET_DB = -42.0, -52.0


# --- G.711
def _ulaw_table():
    v = ~np.arange(256) & 0xff
    t = ((v & 0x0f) << 3) + 0x84
    t = t << ((v & 0x70) >> 4)
    return np.where(v & 0x80, 0x84 - t, t - 0x84).astype(np.int16)


def _alaw_table():
    v = np.arange(256) ^ 0x55
    seg, t = (v & 0x70) >> 4, (v & 0x0f) << 4
    t = np.where(seg == 0, t + 8, (t + 0x108) << np.maximum(seg - 1, 0))
    return np.where(v & 0x80, t, -t).astype(np.int16)


def _encoder(table):
    """Nearest code for every 16-bit sample, from the decoding table."""
    order = np.argsort(table, kind="stable")
    levels = table[order].astype(np.int32)
    middle = (levels[1:] + levels[:-1]) // 2
    return order[np.searchsorted(middle, np.arange(-32768, 32768), side="right")].astype(np.uint8)


TABLES = {"PCMU": _ulaw_table(), "PCMA": _alaw_table()}
ENCODERS = {name: _encoder(table) for name, table in TABLES.items()}
PAYLOAD = {"PCMU": 0, "PCMA": 8}


def g711_encode(codec, pcm):
    return ENCODERS[codec][pcm.astype(np.int32) + 32768].tobytes()


def g711_decode(codec, data):
    return TABLES[codec][np.frombuffer(data, np.uint8)]


# --- what is in a signal
def level_db(pcm, hz, rate=RATE):
    """Level of the sine of hz in pcm, dB against full scale."""
    if len(pcm) < rate // 50:
        return -120.0
    window = np.hanning(len(pcm))
    wave = np.exp(-2j * np.pi * hz / rate * np.arange(len(pcm)))
    amplitude = 2 * abs(np.sum(pcm * window * wave)) / np.sum(window) / 32768
    return float(20 * np.log10(max(amplitude, 1e-6)))


def levels(pcm, freqs, rate=RATE):
    return {hz: round(level_db(pcm, hz, rate), 1) for hz in freqs}


def tones(pcm, freqs, rate=RATE, heard=HEARD_DB):
    """Those of freqs that can be heard in pcm."""
    return {hz for hz, db in levels(pcm, freqs, rate).items() if db > heard}


# --- SRTP, AES_CM_128_HMAC_SHA1_80 (RFC 3711)
def aes_cm(key, iv, data):
    enc = Cipher(algorithms.AES(key), modes.CTR(iv)).encryptor()
    return enc.update(data)


class Srtp:
    """One direction: master key and salt (30 bytes) give the session keys; the index follows the sequence number."""
    TAG = 10

    def __init__(self, master):
        self.master, self.key_salt = master[:16], master[16:30]
        self.key, self.auth, self.salt = self._derive(0, 16), self._derive(1, 20), self._derive(2, 14)
        self.rtcp_key, self.rtcp_auth, self.rtcp_salt = self._derive(3, 16), self._derive(4, 20), self._derive(5, 14)
        self.roc, self.last, self.rtcp_index = {}, {}, 0

    def _derive(self, label, n):
        iv = bytearray(self.key_salt + b"\0\0")
        iv[7] ^= label
        return aes_cm(self.master, bytes(iv), bytes(n))

    @staticmethod
    def _iv(salt, ssrc, index):
        value = int.from_bytes(salt + b"\0\0", "big") ^ (ssrc << 64) ^ (index << 16)
        return value.to_bytes(16, "big")

    def _guess(self, ssrc, seq):
        roc, last = self.roc.get(ssrc, 0), self.last.get(ssrc)
        if last is not None:
            if last < 0x8000 and seq - last > 0x8000:
                roc -= 1
            elif last >= 0x8000 and last - seq > 0x8000:
                roc += 1
        return max(roc, 0)

    def _update(self, ssrc, seq, roc):
        if roc > self.roc.get(ssrc, -1) or seq > self.last.get(ssrc, -1):
            self.roc[ssrc], self.last[ssrc] = roc, seq

    def _tag(self, data, roc):
        return hmac.new(self.auth, data + struct.pack(">I", roc), hashlib.sha1).digest()[:self.TAG]

    @staticmethod
    def _header_len(pkt):
        n = 12 + 4 * (pkt[0] & 15)
        if pkt[0] & 0x10:
            n += 4 + 4 * struct.unpack_from(">H", pkt, n + 2)[0]
        return n

    def protect(self, pkt):
        seq, ssrc, n = struct.unpack_from(">H", pkt, 2)[0], struct.unpack_from(">I", pkt, 8)[0], self._header_len(pkt)
        roc = self._guess(ssrc, seq)
        self._update(ssrc, seq, roc)
        out = pkt[:n] + aes_cm(self.key, self._iv(self.salt, ssrc, roc << 16 | seq), pkt[n:])
        return out + self._tag(out, roc)

    def unprotect(self, pkt):
        """The plain packet, or None when the tag is wrong."""
        if len(pkt) < 12 + self.TAG:
            return None
        data, tag = pkt[:-self.TAG], pkt[-self.TAG:]
        seq, ssrc = struct.unpack_from(">H", data, 2)[0], struct.unpack_from(">I", data, 8)[0]
        roc = self._guess(ssrc, seq)
        if not hmac.compare_digest(self._tag(data, roc), tag):
            return None
        self._update(ssrc, seq, roc)
        n = self._header_len(data)
        return data[:n] + aes_cm(self.key, self._iv(self.salt, ssrc, roc << 16 | seq), data[n:])

    def protect_rtcp(self, pkt):
        ssrc = struct.unpack_from(">I", pkt, 4)[0]
        self.rtcp_index += 1
        body = pkt[:8] + aes_cm(self.rtcp_key, self._iv(self.rtcp_salt, ssrc, self.rtcp_index), pkt[8:])
        body += struct.pack(">I", 0x80000000 | self.rtcp_index)
        return body + hmac.new(self.rtcp_auth, body, hashlib.sha1).digest()[:self.TAG]

    def unprotect_rtcp(self, pkt):
        """The plain compound, or None when the tag is wrong."""
        body, tag = pkt[:-self.TAG], pkt[-self.TAG:]
        if len(body) < 12 or not hmac.compare_digest(hmac.new(self.rtcp_auth, body, hashlib.sha1).digest()[:self.TAG], tag):
            return None
        ssrc, index = struct.unpack_from(">I", body, 4)[0], struct.unpack_from(">I", body, len(body) - 4)[0]
        return body[:8] + aes_cm(self.rtcp_key, self._iv(self.rtcp_salt, ssrc, index & 0x7fffffff), body[8:-4])


# --- RTCP
class Reporter:
    """Answers each sender report of the mcu after `late` seconds with a receiver report that keeps silent about them, so that the
    way looks so long; `lost` of a hundred packets are reported as lost."""
    def __init__(self, leg, late=0.0, lost=0, jitter=0):
        self.leg, self.late, self.lost, self.jitter, self.sent = leg, late, lost, jitter, 0
        leg.on_rtcp = self._on_rtcp

    def _on_rtcp(self, data):
        data = self.leg.inn.unprotect_rtcp(data) if self.leg.use_srtp else data
        if data and data[1] == 200:
            ssrc, ntp_high, ntp_low = struct.unpack_from(">III", data, 4)
            threading.Timer(self.late, self._answer, (ssrc, (ntp_high & 0xffff) << 16 | ntp_low >> 16)).start()

    def _answer(self, ssrc, lsr):
        got = [p for p in list(self.leg.packets) if p.ssrc == ssrc]
        if not got:
            return
        first, last = got[0].seq, got[-1].seq
        count = (last - first & 0xffff) + 1
        last = first + count - 1
        report = struct.pack(">IIIIII", ssrc, self.lost * 256 // 100 << 24 | count * self.lost // 100, last, self.jitter, lsr, 0)
        data = struct.pack(">BBHI", 0x81, 201, 7, self.leg.ssrc) + report
        if self.leg.stopped.is_set():
            return
        self.leg.rtcp.sendto(self.leg.out.protect_rtcp(data) if self.leg.out else data, (self.leg.peer[0], self.leg.peer[1] + 1))
        self.sent += 1


# --- SDP
class Sdp:
    """The audio part of a description, read leniently."""
    def __init__(self, text):
        self.text, self.lines = text, [l.strip() for l in text.replace("\r", "").split("\n") if l.strip()]
        start = next(i for i, l in enumerate(self.lines) if l.startswith("m=audio"))
        stop = next((i for i in range(start + 1, len(self.lines)) if self.lines[i].startswith("m=")), len(self.lines))
        self.session, self.audio = self.lines[:start], self.lines[start:stop]
        fields = self.audio[0][2:].split()
        self.port, self.profile, self.payloads = int(fields[1].split("/")[0]), fields[2], [int(p) for p in fields[3:]]
        conn = [l for l in self.audio if l.startswith("c=")] or [l for l in self.session if l.startswith("c=")]
        self.address = conn[0].split()[-1] if conn else None
        self.rtpmap = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000"}
        for l in self.audio:
            m = re.match(r"a=rtpmap:(\d+) (\S+)", l)
            if m:
                self.rtpmap[int(m.group(1))] = m.group(2)
        self.crypto = [l[9:].split() for l in self.audio if l.startswith("a=crypto:")]
        self.direction = next((l[2:] for l in self.audio if l[2:] in ("sendrecv", "sendonly", "recvonly", "inactive")),
                              "sendrecv")

    @property
    def origin(self):
        return next(l for l in self.session if l.startswith("o=")).split()

    @property
    def key(self):
        """Master key and salt of the first crypto line."""
        text = self.crypto[0][2].split(":", 1)[1].split("|")[0]
        return base64.b64decode(text + "=" * (-len(text) % 4))


class Packet:
    __slots__ = ("at", "pt", "marker", "seq", "ts", "ssrc", "csrc", "payload", "source")

    def __init__(self, at, data, source):
        self.at, self.source = at, source
        self.marker, self.pt = data[1] >> 7, data[1] & 0x7f
        self.seq, self.ts, self.ssrc = struct.unpack_from(">HII", data, 2)
        self.csrc = struct.unpack_from(f">{data[0] & 15}I", data, 12)
        self.payload = data[Srtp._header_len(data):]


class Leg:
    """One client's audio. Make it, put offer() into an INVITE, give the answer to accept(), then tone() and heard()."""
    def __init__(self, codec="PCMU", srtp=True, bind="127.0.0.1", advertise=None, telephone_event=101):
        self.codec, self.use_srtp, self.bind, self.te = codec, srtp, bind, telephone_event
        self.advertise = advertise or bind
        self.rtp, self.rtcp = self._sockets()
        self.port = self.rtp.getsockname()[1]
        self.master = os.urandom(30)
        self.out, self.inn = Srtp(self.master) if srtp else None, None
        self.ssrc, self.seq, self.ts = int.from_bytes(os.urandom(4), "big"), 1000, 160000
        self.sess = int.from_bytes(os.urandom(3), "big")
        self.peer, self.packets, self.bad, self.rtcp_packets, self.foreign = None, [], 0, 0, 0
        self.freqs, self.db, self.sample, self.sending = (), -20.0, 0, True
        self.events, self.lock, self.stopped, self.thread = [], threading.Lock(), threading.Event(), None
        self.last_sent, self.sent, self.fault, self.on_rtcp = None, 0, None, None

    def _sockets(self):
        for _ in range(50):
            a, b = (socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(2))
            a.bind((self.bind, 0))
            try:
                if a.getsockname()[1] % 2 == 0:
                    b.bind((self.bind, a.getsockname()[1] + 1))
                    return a, b
            except OSError:
                pass
            a.close(), b.close()
        raise OSError("no free pair of ports")

    def offer(self, direction="sendrecv", codecs=None, version=1):
        names = codecs or [self.codec]
        payloads = [PAYLOAD[c] for c in names] + ([self.te] if self.te else [])
        lines = ["v=0", f"o=- {self.sess} {version} IN IP4 {self.advertise}", "s=-", f"c=IN IP4 {self.advertise}", "t=0 0",
                 f"m=audio {self.port} RTP/{'SAVP' if self.use_srtp else 'AVP'} {' '.join(map(str, payloads))}"]
        lines += [f"a=rtpmap:{PAYLOAD[c]} {c}/8000" for c in names]
        if self.te:
            lines += [f"a=rtpmap:{self.te} telephone-event/8000", f"a=fmtp:{self.te} 0-15"]
        if self.use_srtp:
            lines.append(f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:{base64.b64encode(self.master).decode()}")
        lines += ["a=ptime:20", f"a={direction}"]
        return "\r\n".join(lines) + "\r\n"

    def accept(self, text):
        """Takes the answer and starts."""
        sdp = self.answer = Sdp(text)
        if sdp.port == 0:
            raise ValueError("audio was refused in the answer")
        name = sdp.rtpmap[sdp.payloads[0]].split("/")[0].upper()
        if name not in PAYLOAD:
            raise ValueError(f"answer with {name}")
        self.codec, self.peer = name, (sdp.address, sdp.port)
        if self.use_srtp:
            if len(sdp.crypto) != 1 or sdp.crypto[0][0] != "1":
                raise ValueError(f"answer needs one crypto line with the tag of the offer, has {sdp.crypto}")
            if not self.inn or self.inn.master != sdp.key[:16]:
                self.inn = Srtp(sdp.key)
        if not self.thread:
            self.thread = threading.Thread(target=self._run, daemon=True)
            self.thread.start()
        return self

    # --- sending
    def tone(self, *freqs, db=-20.0):
        self.freqs, self.db = freqs, db
        return self

    def quiet(self):
        self.freqs = ()

    def pause(self):
        """Sends nothing at all."""
        self.sending = False

    def resume(self):
        self.sending = True

    def dtmf(self, digits):
        with self.lock:
            for d in digits:
                self.events.append(("0123456789*#ABCD".index(d), 0))

    def samples(self, n):
        k = np.arange(self.sample, self.sample + n)
        self.sample += n
        pcm = sum((np.sin(2 * np.pi * hz * k / RATE) for hz in self.freqs), np.zeros(n))
        return np.clip(pcm * 32767 * 10 ** (self.db / 20), -32768, 32767).astype(np.int16)

    def packet(self, pt, payload, marker=0, ts=None, seq=None, ssrc=None):
        return struct.pack(">BBHII", 0x80, marker << 7 | pt, self.seq if seq is None else seq,
                           self.ts if ts is None else ts, self.ssrc if ssrc is None else ssrc) + payload

    def send(self, plain, raw=False):
        """Protects (unless raw) and sends one packet."""
        data = self.out.protect(plain) if self.out and not raw else plain
        self.last_sent = data
        self.rtp.sendto(data, self.peer)
        self.sent += 1

    def _tick(self):
        with self.lock:
            event = self.events[0] if self.events else None
            if event:
                self._event(*event)
                return
        pcm = self.samples(FRAME)
        if self.sending:
            self.send(self.packet(PAYLOAD[self.codec], g711_encode(self.codec, pcm)))
            self.seq = (self.seq + 1) & 0xffff
        self.ts = (self.ts + FRAME) & 0xffffffff

    def _event(self, digit, step):
        """One digit: eight packets of growing length under one timestamp, three of them say that it ended; then a gap."""
        if step == 0:
            self.event_ts = self.ts
        if step < 8:
            end = step >= 5
            duration = FRAME * (min(step, 5) + 1)
            self.send(self.packet(self.te, struct.pack(">BBH", digit, (0x80 if end else 0) | 10, duration),
                                  marker=int(step == 0), ts=self.event_ts))
            self.seq = (self.seq + 1) & 0xffff
        self.ts = (self.ts + FRAME) & 0xffffffff
        self.events[0] = (digit, step + 1)
        if step >= 12:
            self.events.pop(0)

    def _run(self):
        try:
            tick = time.monotonic()
            while not self.stopped.is_set():
                self._tick()
                tick += 0.02
                while True:
                    left = tick - time.monotonic()
                    if not self._receive(max(0, left)) or left <= 0:
                        break
                tick = max(tick, time.monotonic() - 1)
        except Exception as e:
            if not self.stopped.is_set():
                self.fault = e
                raise

    # --- receiving
    def _receive(self, timeout):
        ready = select.select([self.rtp, self.rtcp], [], [], timeout)[0]
        for s in ready:
            try:
                data, source = s.recvfrom(2048)
            except ConnectionRefusedError:
                continue
            if s is self.rtcp or (len(data) > 1 and 192 <= data[1] <= 223):
                self.rtcp_packets += 1
                if self.on_rtcp:
                    self.on_rtcp(data)
                continue
            if self.use_srtp:
                data = self.inn.unprotect(data)
            if not data or len(data) < 12 or data[0] >> 6 != 2:
                self.bad += 1
                continue
            self.packets.append(Packet(time.monotonic(), data, source))
        return bool(ready)

    def between(self, since, until=None):
        until = until or time.monotonic()
        return [p for p in list(self.packets) if since <= p.at < until]

    def pcm(self, since, until=None):
        """What arrived in that time (monotonic seconds), in order of timestamps; a lost packet is a gap of silence."""
        got = {}
        for p in self.between(since, until):
            if p.pt in (0, 8):
                got[p.ts] = g711_decode("PCMU" if p.pt == 0 else "PCMA", p.payload)
        if not got:
            return np.zeros(0, np.int16)
        first = min(got)
        out = np.zeros(min(max(got) - first + len(got[max(got)]), 60 * RATE), np.int16)
        for ts, pcm in got.items():
            out[ts - first:ts - first + len(pcm)] = pcm[:max(0, len(out) - (ts - first))]
        return out

    def heard(self, freqs, last=0.5):
        """The tones of freqs in the last seconds."""
        return tones(self.pcm(time.monotonic() - last), freqs)

    def levels(self, freqs, last=0.5):
        return levels(self.pcm(time.monotonic() - last), freqs)

    def wait_heard(self, want, freqs, timeout=5, window=0.3):
        """Until exactly the tones `want` of freqs are heard; returns how long that took."""
        start, want = time.monotonic(), set(want)
        while True:
            if self.fault:
                raise self.fault
            now = time.monotonic()
            if len(self.between(now - window)) >= window * 40 and self.heard(freqs, window) == want:
                return now - start
            if now - start > timeout:
                raise AssertionError(f"after {timeout} s heard {self.levels(freqs, window)} dB, wanted {sorted(want)}"
                                     f" ({len(self.packets)} packets, {self.bad} bad, sent {self.sent})")
            time.sleep(0.04)

    def keeps_hearing(self, want, freqs, seconds, window=0.3):
        """For so long exactly `want` is heard, without a pause in the packets longer than 100 ms."""
        end = time.monotonic() + seconds
        start = time.monotonic()
        while time.monotonic() < end:
            time.sleep(window)
            got = self.heard(freqs, window)
            assert got == set(want), f"heard {self.levels(freqs, window)} dB, wanted {sorted(want)}"
        at = [p.at for p in self.between(start)]
        gap = max((b - a for a, b in zip(at, at[1:])), default=99)
        assert gap < 0.1, f"a pause of {gap * 1000:.0f} ms in the packets"

    def tone_stopped(self, hz, since, window=0.06):
        """Seconds after `since` at which hz was no longer in what arrived; None while it still is."""
        now = time.monotonic()
        t = since
        while t + window <= now:
            pcm = self.pcm(t, t + window)
            if len(pcm) >= 0.6 * window * RATE and level_db(pcm, hz) < QUIET_DB + 10:
                rest = self.pcm(t, now)
                if level_db(rest, hz) < QUIET_DB + 10:
                    return t - since
            t += 0.02
        return None

    def stop(self):
        self.stopped.set()
        if self.thread:
            self.thread.join(2)
        self.rtp.close()
        self.rtcp.close()

    __enter__ = lambda self: self

    def __exit__(self, *exc):
        self.stop()
