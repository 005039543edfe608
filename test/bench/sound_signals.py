# SPDX-License-Identifier: Apache-2.0
"""Signals of the sound bench: speech by espeak-ng, tones, noise, typing; floats at 48 kHz, 1.0 is full scale."""
import subprocess
import wave

import numpy as np

RATE = 48000
CODEC_RATE = {"pcmu": 8000, "pcma": 8000, "g722": 16000, "opus": 48000}
BAND = {"pcmu": 3800, "pcma": 3800, "g722": 7600, "opus": 20000}
SENTENCES = (
    "The bridge opens at nine and everybody who has called before waits in the hall.",
    "Please tell the driver to take the second road after the church, not the first.",
    "We measured the delay twice, and both times it was shorter than we had hoped.",
    "Ten packets in a hundred were lost, and still you could follow every word.",
    "Perhaps Tuesday suits you better; the room is free from two until half past four.",
    "Cut the bread into thick pieces, put the butter beside it and call the children.",
    "Old wooden boats need more care than people think who only sail in summer.",
    "Paul keeps the blue papers together, but the copies are at the back of the cupboard.",
)
VOICES = ("en-us", "en-gb+f3", "en-gb+m3", "en-us+f4", "en-gb+f5", "en-us+m7")
WORDS = ("Paper", "Table", "Window", "Carry", "Summer", "Bottle", "Thursday", "Question", "Five", "Tomorrow")


def resample(x, a, b):
    """By the spectrum: exact band limit, no delay."""
    if a == b:
        return x
    n = len(x) * b // a
    spec = np.fft.rfft(x)
    out = np.zeros(n // 2 + 1, complex)
    k = min(len(spec), len(out))
    out[:k] = spec[:k]
    return np.fft.irfft(out, n) * (n / len(x))


def level(x):
    """dBov of what is active: frames of 20 ms that are within 35 dB of the loudest."""
    f = x[:len(x) // 960 * 960].reshape(-1, 960)
    p = (f ** 2).mean(1)
    p = p[p > p.max() * 10 ** -3.5] if p.max() > 0 else p
    return 10 * np.log10(p.mean() + 1e-12)


def at_level(x, dbov):
    return x * 10 ** ((dbov - level(x)) / 20)


def say(folder, text, voice, speed=165):
    name = folder / ("say-%08x.wav" % (hash_of(text + voice + str(speed))))
    if not name.exists():
        subprocess.run(["espeak-ng", "-v", voice, "-s", str(speed), "-w", str(name), text], check=True)
    with wave.open(str(name)) as w:
        rate, data = w.getframerate(), np.frombuffer(w.readframes(w.getnframes()), np.int16)
    x = data.astype(float) / 32768
    loud = np.flatnonzero(np.abs(x) > 0.01)
    x = x[loud[0]:loud[-1]]
    n = len(x) // 441 * 441 if rate == 22050 else len(x)
    return resample(x[:n], rate, RATE)


def hash_of(s):
    h = 2166136261
    for b in s.encode():
        h = (h ^ b) * 16777619 & 0xffffffff
    return h


def speech(folder, seconds, voice=0, dbov=-23, pause=0.35, first=0):
    """Sentences one after the other, a short pause between."""
    parts, n, i = [], 0, first
    while n < seconds * RATE:
        s = at_level(say(folder, SENTENCES[i % len(SENTENCES)], VOICES[voice]), dbov)
        parts += [s, np.zeros(int(pause * RATE))]
        n += len(s) + int(pause * RATE)
        i += 1
    return np.concatenate(parts)[:int(seconds * RATE)]


def words(folder, seconds, voice, dbov, begin, every):
    """Single words, each from its moment on; and those moments in seconds."""
    x, at, i = np.zeros(int(seconds * RATE)), [], 0
    t = begin
    while t < seconds - 1.5:
        w = at_level(say(folder, WORDS[i % len(WORDS)], VOICES[voice]), dbov)
        k = int(t * RATE)
        x[k:k + len(w)] += w[:len(x) - k]
        at.append(t)
        t += every
        i += 1
    return x, at


def tone(seconds, hz, dbov, on=None, ramp=0.02):
    """A sine; on: list of (from, to) in seconds."""
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    env = np.ones(n)
    if on is not None:
        env[:] = 0
        for a, b in on:
            up = np.clip((t - a) / ramp, 0, 1) * np.clip((b - t) / ramp, 0, 1)
            env = np.maximum(env, 0.5 - 0.5 * np.cos(np.pi * up))
    return env * np.sin(2 * np.pi * hz * t) * 10 ** (dbov / 20) * np.sqrt(2)


def sweep(seconds, lo, hi, dbov):
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    f = lo * (hi / lo) ** (t / seconds)
    return np.sin(2 * np.pi * np.cumsum(f) / RATE) * 10 ** (dbov / 20) * np.sqrt(2), f


def noise(seconds, dbov, seed):
    return np.random.default_rng(seed).standard_normal(int(seconds * RATE)) * 10 ** (dbov / 20)


def typing(seconds, dbov, seed):
    """Key strokes: two short knocks of noise each, five or six strokes a second."""
    g, x = np.random.default_rng(seed), np.zeros(int(seconds * RATE))
    t = 0.3
    while t < seconds - 0.3:
        for off, amp, ms in ((0, 1, 12), (g.uniform(0.05, 0.09), 0.5, 8)):
            n = RATE * ms // 1000 * 2
            k = int((t + off) * RATE)
            knock = g.standard_normal(n) * np.exp(-np.arange(n) / (RATE * ms / 3000)) * amp
            x[k:k + n] += knock[:len(x) - k]
        t += g.uniform(0.12, 0.26)
    p = np.sqrt((x ** 2).reshape(-1, 960).mean(1).max()) if len(x) % 960 == 0 else np.abs(x).max() / 3
    return x / p * 10 ** (dbov / 20)


def hum(seconds, dbov, seed=1):
    """Somebody hums a tune without words: a voice-like tone that glides, without consonants."""
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    f = 160 + 25 * np.sin(2 * np.pi * 0.35 * t + seed) + 3 * np.sin(2 * np.pi * 5.2 * t)
    ph = 2 * np.pi * np.cumsum(f) / RATE
    x = np.sin(ph) + 0.12 * np.sin(2 * ph) + 0.03 * np.sin(3 * ph)
    return x / np.sqrt((x ** 2).mean()) * 10 ** (dbov / 20)


def mains(seconds, dbov):
    n = int(seconds * RATE)
    t = np.arange(n) / RATE
    x = sum(a * np.sin(2 * np.pi * f * t) for f, a in ((50, .3), (100, 1), (200, .6), (300, .5), (500, .3)))
    return x / np.sqrt((x ** 2).mean()) * 10 ** (dbov / 20)
