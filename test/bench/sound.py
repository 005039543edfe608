# SPDX-License-Identifier: Apache-2.0
"""Sound: recordings through the media engine over real sockets, against the ideal; tables and plots.

One run of the player (sound/) holds all rooms at once, in slow motion (SOUND_SLOW, 2: half the pace) so that a busy machine keeps up. What is measured is defined in sound_measure.py.
"""
import json
import os
import subprocess

import numpy as np

import sound_measure as measure
import sound_signals as sig

SECONDS = 24
SETTLE = 6                                   # what comes before is the start of a call, not its course
TRIES = 3                                    # a run that others have disturbed is played again
CODECS = ("pcmu", "g722", "opus")
NETWORKS = [("clean", {})] + [(f"loss {p} %", {"loss": p}) for p in (1, 5, 10, 20)] \
    + [(f"bursts {p} %", {"loss": p, "burst": 3}) for p in (1, 5, 10, 20)] \
    + [(f"jitter {j} ms", {"jitter": j}) for j in (20, 60, 150)]
PTIMES = (10, 20, 30, 40, 60, 100, 200)


class Session:
    """Collects participants, plays them, keeps what they said (48 kHz) and what they heard."""

    def __init__(self, folder, player):
        self.dir, self.player = folder, player
        self.dir.mkdir(parents=True, exist_ok=True)
        self.lines, self.said, self.heard, self.info, self.rooms = [], {}, {}, {}, {}

    def leg(self, room, name, codec, x=None, hear=False, **keys):
        full, i = f"{room}.{name}", len(self.lines)
        line = f"leg room={room} name={full} codec={codec} seed={i + 1} start={i * 7 % 20}"
        if x is not None:
            self.said[full] = x
            path = self.dir / f"{full}.in"
            y = sig.resample(x, sig.RATE, sig.CODEC_RATE[codec])
            np.clip(np.round(y * 32768), -32768, 32767).astype("<i2").tofile(path)
            line += f" in={path}"
        if hear:
            line += f" out={self.dir / full}.out"
        else:
            keys.setdefault("listen", 0)
        self.lines.append(line + "".join(f" {k}={v:g}" for k, v in keys.items()))

    def play(self):
        (self.dir / "scenario").write_text("\n".join(self.lines) + "\n")
        slow = int(os.environ.setdefault("SOUND_SLOW", "2"))
        done = subprocess.run([str(self.player), str(self.dir / "scenario"), str(SECONDS)], capture_output=True, text=True,
                              timeout=slow * SECONDS + 120)
        if done.returncode:
            raise SystemExit(f"sound: {done.stderr}")
        (self.dir / "player.json").write_text(done.stdout)
        self.load()

    def load(self):
        rows = [json.loads(s) for s in (self.dir / "player.json").read_text().splitlines()]
        self.engine = rows[0]
        for r in rows[1:]:
            self.info[r["name"]] = r
            if r["out"]:
                self.heard[r["name"]] = np.fromfile(r["out"], "<i2").astype(float) / 32768

    def pair(self, talker, listener, lead_s=0.0):
        """What was said and what was heard at the listener's rate, on one clock: sample 0 of both is when the talker began."""
        t, h = self.info[talker], self.info[listener]
        rate = h["rate"]
        x = self.said[talker]
        low = min(sig.CODEC_RATE[t["codec"]], rate)           # what both ends can carry
        ref = sig.resample(sig.resample(x, sig.RATE, low), low, rate)
        y = self.heard[listener]
        skew = int((h["came_us"] - t["sent_us"]) * rate / 1e6)
        out = np.concatenate([np.zeros(max(0, skew)), y[max(0, -skew):]])
        return ref, out, rate

    def added_ms(self, lag_s):
        return lag_s * 1000


def build(s):
    """All rooms. Levels in dBov."""
    d = s.dir
    for k, c in enumerate(CODECS):                            # mix: three codecs talk at once, three listen
        s.leg("mix", f"talk{k}", c, sig.speech(d, SECONDS, k, -24, 0.15, first=2 * k), hear=True)
        s.leg("mix", f"hear-{c}", c, hear=True)
    for k, db in enumerate((-15, -24, -36)):                  # levels: one after the other
        x = sig.speech(d, SECONDS, k, db, 0.2, first=k)
        t = np.arange(len(x)) / sig.RATE
        s.leg("levels", f"talk{k}", "opus", x * ((t // 4).astype(int) % 3 == k), agc=1)
    s.leg("levels", "hear", "opus", hear=True)
    for k in range(6):                                        # turns: single words by six people, the set has room
        s.leg("turns", f"talk{k}", CODECS[k % 3], sig.words(d, SECONDS, k, -26, 1.5 + k, 6)[0])
    s.leg("turns", "hear", "opus", hear=True)
    for k in range(3):                                        # full: three never stop, a fourth breaks in, louder
        s.leg("full", f"talk{k}", "opus", sig.speech(d, SECONDS, k, -32, 0.05, first=3 * k))
    s.leg("full", "talk3", "opus", sig.words(d, SECONDS, 3, -20, 3, 3)[0])
    s.leg("full", "hear", "opus", hear=True)
    for c in CODECS:                                          # changes: tones that come and go, four for three places
        on = [(0.3 + k * 0.45, 0.3 + k * 0.45 + 2.2) for k in range(4)]
        for k, hz in enumerate((310, 440, 560, 690)):
            spans = [(a + 3.2 * i, b + 3.2 * i) for i in range(8) for a, b in (on[k],)]
            s.leg(f"changes-{c}", f"talk{k}", c, sig.tone(SECONDS, hz, -20 - 2 * (k % 2) + 9 * (k == 3), spans), hear=True)
        s.leg(f"changes-{c}", "hear", c, hear=True)
    g = sig.noise(SECONDS, -62, 9)
    for name, x in (("typing", sig.typing(SECONDS, -26, 4)), ("hum", sig.hum(SECONDS, -30)), ("mains", sig.mains(SECONDS, -38)),
                    ("fan", sig.noise(SECONDS, -42, 5)), ("speech", sig.speech(d, SECONDS, 0, -26))):
        for c in ("pcmu", "opus"):
            s.leg(f"noise-{name}-{c}", "talk", c, x + g)
            s.leg(f"noise-{name}-{c}", "hear", c, hear=True)
    for c in CODECS:                                          # networks
        x = sig.speech(d, SECONDS, 1, -23, 0.25)
        for i, (_, net) in enumerate(NETWORKS):
            s.leg(f"net-{c}-{i}", "talk", c, x, **net)
            s.leg(f"net-{c}-{i}", "hear", c, hear=True)
    for p in PTIMES:
        s.leg(f"ptime-{p}", "talk", "pcmu", sig.speech(d, SECONDS, 2, -23), ptime_in=p)
        s.leg(f"ptime-{p}", "hear", "pcmu", hear=True, ptime=min(p, 60))
    up, _ = sig.sweep(SECONDS, 200, 16000, -18)
    s.leg("sweep", "talk", "opus", up)
    for c in ("pcmu", "g722"):
        s.leg("sweep", f"hear-{c}", c, hear=True)
    low, _ = sig.sweep(SECONDS, 200, 3400, -18)
    s.leg("sweep-up", "talk", "pcmu", low)
    s.leg("sweep-up", "hear", "opus", hear=True)
    s.leg("cn", "talk", "pcmu", sig.speech(d, SECONDS, 4, -23, 1.2) + sig.noise(SECONDS, -58, 3), cn=1)
    s.leg("cn", "hear", "opus", hear=True)


# --- what is measured, a table each
def code_alone(s, codec, x):
    a, b = s.dir / "code.in", s.dir / "code.out"
    np.clip(np.round(x * 32768), -32768, 32767).astype("<i2").tofile(a)
    subprocess.run([str(s.player), "--code", codec, str(a), str(b)], check=True)
    return np.fromfile(b, "<i2").astype(float) / 32768


def rate_of(s, name):
    return s.info[name]["rate"]


def through(s, talker, rate):
    """What the talker said after its own codec, at another rate: an ideal mix can have no more of it."""
    codec = s.info[talker]["codec"]
    own = sig.CODEC_RATE[codec]
    low = min(own, rate)
    x = code_alone(s, codec, sig.resample(s.said[talker], sig.RATE, own))
    x = x[:len(x) // (own // 50) * (own // 50)]
    return sig.resample(sig.resample(x, own, low), low, rate)


def mix(s):
    out = {}
    print("\nMix of three codecs at once against an ideal sum: signal to noise, dB (median of seconds); beside it the listener's codec alone\n"
          "on that sum; gain and delay of each part")
    for c in CODECS:
        refs = [through(s, f"mix.talk{k}", rate_of(s, f"mix.hear-{c}")) for k in range(3)]
        _, y, rate = s.pair("mix.talk0", f"mix.hear-{c}")
        got = []
        for at in range(SETTLE + 2, SECONDS - 3, 2):          # a step of the delay spoils its own window only
            a, b = at * rate, (at + 1) * rate
            got.append(measure.fit([r[a - rate // 2:b] for r in refs], y[a - rate // 2:b], rate, rate // 2))
        snr = float(np.median([v[0] for v in got]))
        gains, lags = np.median([v[1] for v in got], 0), np.median([v[2] for v in got], 0)
        ideal = sum(r[8 * rate:14 * rate] for r in refs)
        alone, _, _ = measure.fit([ideal], code_alone(s, c, ideal), rate, 0, -0.02, 0.05)
        out[c] = {"snr": snr, "codec_alone": alone, "gains": gains.tolist(), "lags_ms": (1000 * lags).tolist()}
        print(f"  heard by {c:<5} {snr:5.1f}   alone {alone:5.1f}   gains {' '.join(f'{v:+5.1f}' for v in gains)}   "
              f"delay {' '.join(f'{1000 * v:4.0f}' for v in lags)} ms")
    return out


def levels(s):
    out = {}
    for k, name in enumerate(("loud", "normal", "soft")):
        got = []
        for turn in range(SECONDS // 12):
            ref, y, rate = s.pair(f"levels.talk{k}", "levels.hear")
            a, b = int((4 * (3 * turn + k) + 1) * rate), int((4 * (3 * turn + k) + 4) * rate)
            got.append((20 * np.log10(np.sqrt((ref[a:b] ** 2).mean())), 20 * np.log10(np.sqrt((y[a + rate // 20:b + rate // 20] ** 2).mean()) + 1e-6)))
        out[name] = {"said": got[-1][0], "heard": got[-1][1], "heard_first": got[0][1]}
    spread = max(v["heard"] for v in out.values()) - min(v["heard"] for v in out.values())
    said = max(v["said"] for v in out.values()) - min(v["said"] for v in out.values())
    print("\nLevels: three talkers in turn, dBov said > heard (second turn): "
          + ", ".join(f"{n} {v['said']:.0f} > {v['heard']:.0f}" for n, v in out.items())
          + f"; apart {said:.0f} > {spread:.0f} dB")
    return {"talkers": out, "spread_said": said, "spread_heard": spread}


def cuts_of(s, room, talkers, spans):
    cuts = []
    for name in talkers:
        ref, y, rate = s.pair(f"{room}.{name}", f"{room}.hear")
        for at in spans[name]:
            a = int((at - 0.2) * rate)
            lag, q = measure.xcorr_lag(ref[a:a + rate], y[a:a + int(1.6 * rate)], 0, int(0.5 * rate))
            cut = measure.onset_cut(ref, y[lag:], at, rate)
            if cut is not None:
                cuts.append(cut if q > 0.15 else -1)
    return cuts


def onsets(s):
    free = cuts_of(s, "turns", [f"talk{k}" for k in range(6)],
                   {f"talk{k}": [t for t in np.arange(1.5 + k, SECONDS - 1.5, 6)] for k in range(6)})
    full = cuts_of(s, "full", ["talk3"], {"talk3": [t for t in np.arange(3, SECONDS - 1.5, 3)]})

    def say(name, c):
        got = [v for v in c if v >= 0]
        print(f"  {name:<34} median {np.median(got) if got else -1:4.0f}  worst {max(got) if got else -1:4.0f}  "
              f"never heard {len(c) - len(got)} of {len(c)}")

    print("\nFirst syllable: milliseconds cut from a word's beginning")
    say("place free in the mix", free)
    say("set full, newcomer 12 dB louder", full)
    return {"free": free, "full": full}


def clicks(s):
    out = {}
    print("\nClicks at talker changes: the largest step beyond the tones' own, dB of full scale (codec alone beside it)")
    for c in CODECS:
        rate = sig.CODEC_RATE[c]
        row = {}
        for name in ("hear", "talk0", "talk3"):
            y = s.heard[f"changes-{c}.{name}"]
            parts = [sig.resample(s.said[f"changes-{c}.talk{k}"], sig.RATE, rate) for k in range(4)]
            own = max(np.abs(np.diff(p, 2)).max() for p in parts)
            bound = np.full(len(y), 3 * own)
            over = np.abs(np.diff(y, 2)) - bound[:-2]
            row[name] = 20 * np.log10(max(over[rate:].max(), 1e-6))
        alone = code_alone(s, c, sum(parts))
        row["alone"] = 20 * np.log10(max((np.abs(np.diff(alone, 2)) - 3 * own)[rate:].max(), 1e-6))
        out[c] = row
        print(f"  {c:<5} listener {row['hear']:6.1f}  talkers {row['talk0']:6.1f} {row['talk3']:6.1f}   alone {row['alone']:6.1f}")
    return out


def admitted(s):
    out = {}
    print("\nWhat gets into the mix: share of its time, %, by PCMU and Opus legs (a talker alone in a room)")
    for name in ("typing", "hum", "mains", "fan", "speech"):
        share = []
        for c in ("pcmu", "opus"):
            ref, y, rate = s.pair(f"noise-{name}-{c}.talk", f"noise-{name}-{c}.hear")
            a, b, n = 2 * rate, min(len(y), (SECONDS - 1) * rate), rate // 10
            f = y[a:a + (b - a) // n * n].reshape(-1, n)
            r = ref[a:a + (b - a) // n * n].reshape(-1, n)
            live = (r ** 2).mean(1) > (r ** 2).mean() * 0.1
            share.append(100 * float(((f ** 2).mean(1) > 1e-6)[live].mean()))
        out[name] = share
        print(f"  {name:<8} {share[0]:5.0f} {share[1]:5.0f}")
    return out


def networks(s):
    out = {}
    print("\nLoss and jitter: likeness to what was said (1: the same wave), distance of spectra in dB, delay added in ms (mean, 95th\n"
          "percentile), concealed packets %")
    for c in CODECS:
        for i, (name, _) in enumerate(NETWORKS):
            ref, y, rate = s.pair(f"net-{c}-{i}.talk", f"net-{c}-{i}.hear")
            rows = measure.track(ref, y, rate, -0.05, 0.45)
            late = rows[rows[:, 0] > SETTLE]
            sure = late[late[:, 2] > 0.6]
            t = s.info[f"net-{c}-{i}.talk"]
            sent = t["packets"] + t["lost_on_way"]
            out[f"{c} {name}"] = {"like": float(late[:, 2].mean()), "distance": float(late[:, 3].mean()),
                                  "delay_ms": float(1000 * sure[:, 1].mean()) if len(sure) else None,
                                  "p95_ms": float(1000 * np.percentile(sure[:, 1], 95)) if len(sure) else None,
                                  "concealed": 100 * t["concealed"] / sent, "late": t["late"],
                                  "track": rows[:, :2].round(4).tolist() if "jitter" in name or name == "clean" else None}
            v = out[f"{c} {name}"]
            print(f"  {c:<5} {name:<13} like {v['like']:.3f}  distance {v['distance']:5.2f}  delay {v['delay_ms'] or -1:5.0f} {v['p95_ms'] or -1:5.0f}  "
                  f"concealed {v['concealed']:4.1f}  late {v['late']}")
    return out


def ptimes(s):
    out = {}
    print("\nPacket times (in; out at most 60): likeness, delay added in ms")
    for p in PTIMES:
        ref, y, rate = s.pair(f"ptime-{p}.talk", f"ptime-{p}.hear")
        rows = measure.track(ref, y, rate, -0.05, 0.6)
        late = rows[rows[:, 0] > SETTLE]
        out[p] = {"like": float(late[:, 2].mean()), "delay_ms": float(1000 * late[:, 1].mean())}
        print(f"  {p:>4} ms  {out[p]['like']:.3f}  {out[p]['delay_ms']:4.0f}")
    return out


def sweeps(s):
    """What stands where an alias or an image of the sweep would stand, against the sweep, dB: the worst moment."""
    out = {}
    print("\nSweep through different rates: what stands at the mirror of the sweep, dB below it, worst moment")
    for room, name, hi in (("sweep", "hear-pcmu", 16000), ("sweep", "hear-g722", 16000), ("sweep-up", "hear", 3400)):
        _, y, rate = s.pair(f"{room}.talk", f"{room}.{name}")
        said_rate = 8000 if room == "sweep-up" else 48000
        n = rate // 25
        top, worst = 1e-9, 1e-9
        for i in range(25, 25 * (SECONDS - 1)):
            seg = y[i * n:(i + 1) * n]
            if len(seg) < n:
                break
            f = 200 * (hi / 200) ** (((i + 0.5) / 25 - 0.06) / SECONDS)
            spec, hz = np.abs(np.fft.rfft(seg * np.blackman(n))), np.arange(n // 2 + 1) * rate / n
            if f < min(rate, said_rate) * 0.42:
                top = max(top, spec[np.abs(hz - f) < 0.05 * f + 50].max())
            mirror = abs(f - rate * round(f / rate)) if room == "sweep" else said_rate - f
            if (f > rate * 0.55 or room != "sweep") and mirror > 300 and abs(mirror - f) > 500:
                worst = max(worst, spec[np.abs(hz - mirror) < 0.03 * f + 50].max())
        out[f"{room}.{name}"] = 20 * np.log10(worst / top)
        print(f"  {room:<8} {name:<10} {out[f'{room}.{name}']:6.1f}")
    return out


def comfort(s):
    """Level in the talker's pauses against his noise, and how even it is."""
    ref, y, rate = s.pair("cn.talk", "cn.hear")
    n = rate // 20
    m = min(len(ref), len(y) - n) // n - 2
    lag = max(0, measure.xcorr_lag(ref[SETTLE * rate:(SETTLE + 8) * rate], y[SETTLE * rate:(SETTLE + 9) * rate], 0, rate // 2)[0])
    db = lambda x: 10 * np.log10((x[:m * n].reshape(m, n) ** 2).mean(1) + 1e-10)
    r, o = db(ref), db(y[lag:])
    quiet = (r < -50) & np.roll(r < -50, 4) & np.roll(r < -50, -4)
    quiet[:SETTLE * 20] = False
    v = {"said": float(np.median(r[quiet])), "heard": float(np.median(o[quiet])), "silent_share": float((o[quiet] < -75).mean())}
    print(f"\nComfort noise (PCMU with payload 13 to Opus): in pauses {v['said']:.0f} dBov said, {v['heard']:.0f} heard; "
          f"{100 * v['silent_share']:.0f} % of the pauses dead silent")
    return v


def analyse(s, plot=True):
    e = s.engine
    print(f"\nSound: {len(s.lines)} participants in one engine, {SECONDS} s; late ticks {e['late_ticks']}, left out {e['skipped_ticks']}, "
          f"the player at most {e['pace_worst_us'] / 1000:.0f} ms late")
    if disturbed(s):
        print("  The machine was too busy: packets came later than the scenario says.")
    data = {"engine": e, "mix": mix(s), "levels": levels(s), "onsets": onsets(s), "clicks": clicks(s), "admitted": admitted(s),
            "networks": networks(s), "ptimes": ptimes(s), "sweeps": sweeps(s), "comfort": comfort(s)}
    if plot:
        import sound_plots
        for p in sound_plots.draw(s, data):
            print(f"  plot: {p}")
    return data


def disturbed(s):
    return s.engine["skipped_ticks"] > 0 or s.engine["pace_worst_us"] > 15000


def run(folder, player):
    s = Session(folder / "sound-files", player)
    build(s)
    for _ in range(TRIES):
        s.play()
        if not disturbed(s):
            break
    return analyse(s)
