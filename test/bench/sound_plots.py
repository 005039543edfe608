# SPDX-License-Identifier: Apache-2.0
"""Plots of the sound bench, SVG and PNG: loss, delay by time, beginnings of words, levels, sweep."""
import numpy as np

import sound_measure as measure
import sound_signals as sig


def figure(n, m, w, h):
    import matplotlib
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    plt.rcParams.update({"font.size": 8, "axes.grid": True, "grid.alpha": 0.3, "lines.linewidth": 1, "svg.fonttype": "none", "svg.hashsalt": "x"})
    return plt.subplots(n, m, figsize=(w, h), constrained_layout=True)


def save(fig, s, name):
    paths = [s.dir.parent / f"sound-{name}.{ext}" for ext in ("svg", "png")]
    fig.savefig(paths[0], metadata={"Date": None})
    fig.savefig(paths[1], dpi=110)
    return paths[1]


def loss(s, data):
    fig, axes = figure(1, 2, 8, 3)
    for kind, ax in zip(("loss", "bursts"), axes):
        for c in ("pcmu", "g722", "opus"):
            ps = (0, 1, 5, 10, 20)
            v = [data["networks"][f"{c} clean" if not p else f"{c} {kind} {p} %"]["distance"] for p in ps]
            ax.plot(ps, v, marker="o", label=c)
        ax.set(title="random loss" if kind == "loss" else "bursts of 3 packets", xlabel="packets lost, %", ylim=(0, 8),
               ylabel="distance of spectra, dB")
        ax.legend()
    return save(fig, s, "loss")


def delay(s, data):
    fig, axes = figure(1, 3, 9, 2.8)
    for c, ax in zip(("pcmu", "g722", "opus"), axes):
        for name in ("clean", "jitter 20 ms", "jitter 60 ms", "jitter 150 ms"):
            t = np.array(data["networks"][f"{c} {name}"]["track"])
            if len(t):
                at = np.arange(0.25, t[-1, 0], 0.5)
                ax.plot(at, [1000 * np.median(t[np.argsort(np.abs(t[:, 0] - a))[:5], 1]) for a in at], label=name)
        ax.set(title=c, xlabel="s", ylabel="delay added, ms", ylim=(0, 400))
        ax.legend(fontsize=6)
    return save(fig, s, "delay")


def words(s, data):
    fig, axes = figure(2, 2, 9, 4)
    for room, name, times, row in (("turns", "talk0", (7.5, 13.5), axes[0]), ("full", "talk3", (6, 9), axes[1])):
        ref, y, rate = s.pair(f"{room}.{name}", f"{room}.hear")
        for at, ax in zip(times, row):
            a = int((at - 0.2) * rate)
            lag, _ = measure.xcorr_lag(ref[a:a + rate], y[a:a + int(1.6 * rate)], 0, rate // 2)
            t = np.arange(int(0.5 * rate)) / rate * 1000 - 100
            k = int((at - 0.1) * rate)
            step = max(1, rate // 6000)
            ax.plot(t[::step], ref[k:k + len(t)][::step], color="0.7", label="said")
            ax.plot(t[::step], y[k + lag:k + lag + len(t)][::step], linewidth=0.6, label="heard")
            ax.set(title="place free" if room == "turns" else "set full", xlabel="ms from the beginning of the word")
            ax.legend(fontsize=6)
    return save(fig, s, "words")


def level(s, data):
    fig, ax = figure(1, 1, 7, 2.6)
    y, rate = s.heard["levels.hear"], s.info["levels.hear"]["rate"]
    said = sum(sig.resample(s.said[f"levels.talk{k}"], sig.RATE, rate) for k in range(3))
    for x, label in ((said, "said"), (y, "heard")):
        n = rate // 5
        f = x[:len(x) // n * n].reshape(-1, n)
        ax.plot(np.arange(len(f)) / 5, 10 * np.log10((f ** 2).mean(1) + 1e-8), label=label)
    ax.set(title="three talkers in turn: loud, normal, soft", xlabel="s", ylabel="dBov in 200 ms", ylim=(-70, 0))
    ax.legend()
    return save(fig, s, "levels")


def sweep(s, data):
    fig, axes = figure(1, 3, 9, 2.8)
    for full, ax in zip(("sweep.hear-pcmu", "sweep.hear-g722", "sweep-up.hear"), axes):
        y, rate = s.heard[full], s.info[full]["rate"]
        y = y + 1e-6 * np.random.default_rng(1).standard_normal(len(y))      # a logarithm of nothing is drawn badly
        ax.specgram(y, NFFT=rate // 50, Fs=rate, noverlap=0, vmin=-130, vmax=-40, rasterized=True)
        ax.set(title=full, xlabel="s", ylabel="Hz")
    return save(fig, s, "sweep")


def draw(s, data):
    return [f(s, data) for f in (loss, delay, words, level, sweep)]
