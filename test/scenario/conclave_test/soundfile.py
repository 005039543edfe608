# SPDX-License-Identifier: Apache-2.0
"""Recordings read back without the code that wrote them: Ogg pages by RFC 3533, Opus by libopus; WAV by its header."""
import ctypes
import ctypes.util
import functools
import struct

import numpy as np

RATE = 48000


def _crc_table():
    out = []
    for i in range(256):
        r = i << 24
        for _ in range(8):
            r = (r << 1) ^ (0x04C11DB7 if r & 0x80000000 else 0)
        out.append(r & 0xFFFFFFFF)
    return out


TABLE = _crc_table()


@functools.lru_cache(4096)
def crc(data):
    r = 0
    for b in data:
        r = ((r << 8) & 0xFFFFFFFF) ^ TABLE[(r >> 24) ^ b]
    return r


def pages(data):
    """[(flags, granule, sequence, [packet])] of whole pages; what stands behind the last one is not looked at."""
    at, out = 0, []
    while data[at:at + 4] == b"OggS" and at + 27 <= len(data):
        version, flags, granule, serial, seq, check, n = struct.unpack_from("<BBqIIIB", data, at + 4)
        lacing = data[at + 27:at + 27 + n]
        size = 27 + n + sum(lacing)
        if len(lacing) < n or at + size > len(data):
            break
        page = data[at:at + size]
        assert version == 0 and crc(page[:22] + bytes(4) + page[26:]) == check, f"page {seq} is damaged"
        packets, pos, cur = [], at + 27 + n, b""
        for k in lacing:
            cur += data[pos:pos + k]
            pos += k
            if k < 255:
                packets.append(cur)
                cur = b""
        assert not cur, "no packet goes over pages here"
        assert seq == len(out), f"page {seq} behind {len(out)}"
        out.append((flags, granule, seq, packets))
        at += size
    return out


class Recording:
    def __init__(self, path, cut=None):
        """cut: only so many bytes of it have reached the disk."""
        with open(path, "rb") as f:
            data = f.read()
        self.size = len(data)
        self.ended, self.pcm = (self._wav if str(path).endswith(".wav") else self._opus)(data[:cut], cut is not None)
        self.seconds = len(self.pcm) / RATE

    def _wav(self, data, cut):
        assert data[:4] == b"RIFF" and data[8:16] == b"WAVEfmt " and data[36:40] == b"data"
        riff, size = struct.unpack_from("<I", data, 4)[0], struct.unpack_from("<I", data, 40)[0]
        assert struct.unpack_from("<HHIIHH", data, 20) == (1, 1, RATE, 2 * RATE, 2, 16)
        assert riff == size + 36 and (cut or len(data) >= 44 + size)
        return None, np.frombuffer(data[44:44 + min(size, len(data) - 44) // 2 * 2], "<i2")

    def _opus(self, data, cut):
        p = pages(data)
        assert p[0][0] & 2 and len(p[0][3]) == 1, "the first page is the head's alone"
        magic, version, channels, skip, rate, gain, family = struct.unpack("<8sBBHIhB", p[0][3][0])
        assert (magic, version, channels, rate, gain, family) == (b"OpusHead", 1, 1, RATE, 0, 0)
        assert p[1][3][0].startswith(b"OpusTags")
        self.tags = p[1][3][0].decode("utf-8", "replace")
        self.npages, self.skip = len(p), skip
        lib = ctypes.CDLL(ctypes.util.find_library("opus"))
        lib.opus_decoder_create.restype = ctypes.c_void_p
        dec = ctypes.c_void_p(lib.opus_decoder_create(RATE, 1, ctypes.byref(ctypes.c_int())))
        out, n = [], 0
        for flags, granule, seq, packets in p[2:]:
            for k in packets:
                frame = (ctypes.c_int16 * 5760)()
                got = lib.opus_decode(dec, k, len(k), frame, 5760, 0)
                assert got > 0, "a packet is no Opus"
                out.append(np.array(frame[:got], np.int16))
                n += got
            assert granule == n or (flags & 4 and granule <= n), f"page {seq}: granule {granule} after {n} samples"
        lib.opus_decoder_destroy(dec)
        pcm = np.concatenate(out) if out else np.zeros(0, np.int16)
        return bool(p[-1][0] & 4), pcm[skip:p[-1][1] if out else 0]

    def at(self, start, end):
        """Samples of seconds."""
        return self.pcm[int(start * RATE):int(end * RATE)]
