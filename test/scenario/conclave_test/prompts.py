# SPDX-License-Identifier: Apache-2.0
"""Announcements in what a client received: found by correlation with the WAV files that the build made."""
import os
import time
import wave
from pathlib import Path

import numpy as np

from .rtp import RATE

REPO = Path(__file__).resolve().parents[3]
NEEDLE_S, ALIKE = 3.0, 0.54                      # no two announcements of the tests are so much alike
_cache = {}


def directory():
    return (REPO / (os.environ.get("CONCLAVE_BUILD") or "build")).resolve() / "prompts"


def resample(pcm, rate, to=RATE):
    """By the spectrum: exact for what lies below both halves."""
    n = int(len(pcm) * to / rate)
    spec, out = np.fft.rfft(pcm), np.zeros(n // 2 + 1, complex)
    m = min(len(spec), len(out))
    out[:m] = spec[:m]
    return np.fft.irfft(out, n) * n / len(pcm)


def load(name, lang="en"):
    if (name, lang) not in _cache:
        with wave.open(str(directory() / lang / f"{name}.wav")) as w:
            pcm = np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(float)
            _cache[name, lang] = resample(pcm, w.getframerate())
    return _cache[name, lang]


def find(pcm, name, lang="en"):
    """(how alike 0..1, where in seconds) of the place in pcm that is most like the announcement's beginning."""
    needle, pcm = load(name, lang)[:int(NEEDLE_S * RATE)], np.asarray(pcm, float)
    if len(pcm) < len(needle):
        return 0.0, 0.0
    size = 1 << (len(pcm) + len(needle)).bit_length()
    corr = np.fft.irfft(np.fft.rfft(pcm, size) * np.conj(np.fft.rfft(needle, size)), size)[:len(pcm) - len(needle) + 1]
    total = np.concatenate(([0.0], np.cumsum(pcm ** 2)))
    energy = total[len(needle):] - total[:-len(needle)]
    alike = corr / np.sqrt(np.maximum(energy, 1e4 * len(needle)) * np.sum(needle ** 2))
    at = int(np.argmax(alike))
    return float(alike[at]), at / RATE


def heard(leg, name, since, lang="en"):
    return find(leg.pcm(since), name, lang)[0] > ALIKE


def wait(leg, name, since, timeout=8, lang="en"):
    """Until the announcement has been heard (its first three seconds); returns when it began, monotonic seconds."""
    end = time.monotonic() + timeout
    while True:
        if leg.fault:
            raise leg.fault
        alike, at = find(leg.pcm(since), name, lang)
        if alike > ALIKE:
            return since + at
        if time.monotonic() > end:
            raise AssertionError(f"{name} was not heard within {timeout} s (most alike {alike:.2f}, {len(leg.between(since))} packets)")
        time.sleep(0.1)


def press(leg, digits, ms=100):
    """Keys as sound, for a leg without telephone events."""
    rows, columns = (697, 770, 852, 941), (1209, 1336, 1477)
    for d in digits:
        at = "123456789*0#".index(d)
        leg.tone(rows[at // 3], columns[at % 3], db=-16.0)
        time.sleep(ms / 1000)
        leg.quiet()
        time.sleep(ms / 1000)
