# SPDX-License-Identifier: Apache-2.0
"""What the sound bench measures in recordings. Signals are floats; lags in samples."""
import numpy as np


def xcorr_lag(ref, out, lo, hi):
    """The lag in lo..hi at which out looks most like ref, and how much (-1..1 over all of it)."""
    n = 1 << int(np.ceil(np.log2(len(ref) + len(out))))
    c = np.fft.irfft(np.conj(np.fft.rfft(ref, n)) * np.fft.rfft(out, n), n)
    idx = np.arange(lo, hi)
    best = idx[np.argmax(c[idx % n])]
    norm = np.sqrt((ref ** 2).sum() * (out ** 2).sum()) + 1e-12
    return int(best), float(c[best % n] / norm)


def shift(x, lag):
    """x later by lag samples (fractions allowed); zeros come in."""
    pad = int(abs(lag)) + 64
    y = np.concatenate([np.zeros(pad), x, np.zeros(2 ** int(np.ceil(np.log2(len(x) + 2 * pad))) - len(x) - pad)])
    f = np.fft.rfft(y)
    f *= np.exp(-2j * np.pi * np.arange(len(f)) / len(y) * lag)
    return np.fft.irfft(f, len(y))[pad:pad + len(x)]


def fit(refs, out, rate, lead=0, lo_s=0.0, hi_s=0.4):
    """out, from sample `lead` on, as a sum of refs, each with a lag and a gain of its own: SNR in dB, gains in dB, lags in seconds."""
    lags = [xcorr_lag(r, out, int(lo_s * rate), int(hi_s * rate))[0] for r in refs]
    lags = [float(v) for v in lags]
    a, b = lead + int(0.02 * rate), len(out) - int(0.02 * rate)

    def solve(ls):
        m = np.stack([shift(r, v)[a:b] for r, v in zip(refs, ls)], 1)
        g, *_ = np.linalg.lstsq(m, out[a:b], rcond=None)
        return g, ((out[a:b] - m @ g) ** 2).sum(), m

    for step in (0.5, 0.25, 0.1, 0.04):
        for i in range(len(lags)):
            tries = [(solve(lags[:i] + [lags[i] + d] + lags[i + 1:])[1], lags[i] + d) for d in (-step, 0, step)]
            lags[i] = min(tries)[1]
    g, err, m = solve(lags)
    snr = 10 * np.log10(((m @ g) ** 2).sum() / (err + 1e-12))
    return snr, [20 * np.log10(abs(v) + 1e-6) for v in g], [v / rate for v in lags]


def bands(x, rate):
    """Log energies of 20 ms frames in 24 bands of equal width on a bark-like scale"""
    n, hop = rate // 50, rate // 100
    k = max(0, (len(x) - n) // hop + 1)
    if not k:
        return np.zeros((0, 24))
    win = np.hanning(n)
    f = np.stack([x[i * hop:i * hop + n] * win for i in range(k)])
    p = np.abs(np.fft.rfft(f, axis=1)) ** 2
    hz = np.arange(p.shape[1]) * rate / n
    edges = 600 * np.sinh(np.linspace(np.arcsinh(100 / 600), np.arcsinh(min(rate / 2, 8000) / 600), 25))
    out = [p[:, (hz >= a) & (hz < max(b, a + rate / n))].sum(1) for a, b in zip(edges[:-1], edges[1:])]
    return 10 * np.log10(np.stack(out, 1) + 1e-7)


def track(ref, out, rate, lo_s, hi_s, window=0.24, hop=0.08):
    """Delay and likeness by time: rows of (second, lag in seconds, likeness 0..1, distance in dB); only where ref is active."""
    n, h, lo, hi = int(window * rate), int(hop * rate), int(lo_s * rate), int(hi_s * rate)
    loud = np.sqrt((ref ** 2).mean()) * 0.5
    rows, near = [], None
    for at in range(max(0, -lo), min(len(ref), len(out) - hi) - n, h):
        r = ref[at:at + n]
        if np.sqrt((r ** 2).mean()) < loud:
            continue
        seg = out[at + lo:at + hi + n]
        m = 1 << int(np.ceil(np.log2(len(seg) + n)))
        c = np.fft.irfft(np.fft.rfft(seg, m) * np.conj(np.fft.rfft(r, m)), m)[:hi - lo]
        e = np.concatenate([[0], np.cumsum(seg ** 2)])
        norm = np.sqrt((e[n:n + hi - lo] - e[:hi - lo]) * (r ** 2).sum()) + 1e-9
        q = c / norm
        if near is not None:                              # a period of the voice away is no change of delay
            q = q - 0.3 * np.minimum(1, np.abs(np.arange(hi - lo) - near) / (0.05 * rate))
        k = int(np.argmax(q))
        like = max(0.0, float(c[k] / norm[k]))
        if like > 0.6:
            near = k
        a, b = bands(r, rate), bands(seg[k:k + n], rate)
        floor = a.max() - 40
        dist = np.abs(np.maximum(a, floor) - np.maximum(b, floor)).mean()
        rows.append((at / rate, (k + lo) / rate, like, float(dist)))
    return np.array(rows).reshape(-1, 4)


def steps(ref, out, rate):
    """The largest step from sample to sample beyond what ref itself does within 5 ms, in dB of full scale; and where."""
    w = int(0.005 * rate)
    d_ref = np.abs(np.diff(ref, 2))
    d_out = np.abs(np.diff(out, 2))
    m = np.concatenate([d_ref, np.zeros(len(d_out))])[:len(d_out)]
    own = np.maximum.reduce([np.roll(m, s) for s in range(-w, w + 1, max(1, w // 20))])
    over = d_out - own * 1.3
    k = int(np.argmax(over))
    return 20 * np.log10(max(over[k], 1e-6)), k / rate


def onset_cut(ref, out, at, rate, span=0.6):
    """Milliseconds from where ref begins at second `at` to where out carries it: within 8 dB of ref. -1: never."""
    n = rate // 200
    k = int(at * rate)
    r = ref[k:k + int(span * rate)]
    o = out[k:k + int(span * rate)]
    m = min(len(r), len(o)) // n
    if m < 10:
        return None
    pr = (r[:m * n].reshape(m, n) ** 2).mean(1)
    po = (o[:m * n].reshape(m, n) ** 2).mean(1)
    live = pr > max(pr.max() * 10 ** -2.5, 1e-5)
    first = int(np.argmax(live))
    ok = live & (po > pr * 10 ** -0.8)
    return (int(np.argmax(ok)) - first) * 5 if ok.any() else -1
