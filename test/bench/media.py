# SPDX-License-Identifier: Apache-2.0
"""Media: the same participants against the floor and against the engine, in turns, three times; medians."""
import json
import statistics
import subprocess

RUNS = 3
# name, options of the load generator, with (floor, engine, floor with a socket a leg)
FULL = [
    ("PCMU plain, silence",          ["--legs", "300"],                                                        "fe"),
    ("PCMU SRTP, silence",           ["--legs", "300", "--srtp"],                                              "fes"),
    ("PCMU SRTP, noise",             ["--legs", "300", "--srtp", "--noise"],                                   "fe"),
    ("PCMU SRTP, noise, level",      ["--legs", "300", "--srtp", "--noise", "--level"],                        "fe"),
    ("Opus plain, noise, level",     ["--legs", "300", "--codec", "opus", "--noise", "--level"],               "fe"),
    ("Opus SRTP, silence",           ["--legs", "300", "--codec", "opus", "--srtp"],                           "fe"),
    ("Opus SRTP, noise, level",      ["--legs", "300", "--codec", "opus", "--srtp", "--noise", "--level"],     "fes"),
    ("PCMU SRTP, silence, room of 60", ["--legs", "60", "--srtp"],                                             "fe"),
    ("Opus SRTP, noise, level, rooms of 10", ["--legs", "100", "--rooms", "10", "--codec", "opus", "--srtp", "--noise", "--level"], "e"),
]
QUICK = [
    ("PCMU SRTP, silence",           ["--legs", "200", "--srtp"],                                              "fe"),
    ("Opus SRTP, noise, level",      ["--legs", "200", "--codec", "opus", "--srtp", "--noise", "--level"],     "fe"),
]
SERVERS = {"f": ("floor", []), "e": ("engine", []), "s": ("floor", ["--per-socket", "1"])}
NAMES = {"f": "floor", "e": "engine", "s": "floor, a socket a leg"}


def one(out, server, options, warm, seconds):
    name, more = SERVERS[server]
    cmd = [out / "load", *options, *more, "--warm", str(warm), "--seconds", str(seconds), "--", out / name]
    done = subprocess.run([str(c) for c in cmd], capture_output=True, text=True, timeout=warm + seconds + 30)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, cmd))}: {done.stderr}")
    r = json.loads(done.stdout)
    r["says"] = done.stderr.strip()
    r["busy"] = r["load_late"] > 0.02 * r["load_steps"]      # others had the processor: the run is kept, and marked
    return r


def median(runs, *keys):
    values = []
    for r in runs:
        for k in keys:
            r = r[k]
        values.append(r)
    return statistics.median(values)


def good(r):
    """Quality as a listener sees it: the rate, no loss, every talker heard, nobody hears himself."""
    return (r["rate_min"] >= 49 and r["rate_max"] <= 51 and r["loss"] < 0.001 and r["bad"] == 0 and r["own"] == 0
            and r["heard"] == r["bursts"] > 0)


def row(name, server, runs, base):
    us = median(runs, "us_per_participant")
    ratio = f"{us / base:5.2f}" if base else "    -"
    tones = f"{sum(r['heard'] for r in runs)}/{sum(r['bursts'] for r in runs)}"
    notes = []
    if sum(r["own"] for r in runs):
        notes.append("own voice heard")
    if any(r["bad"] for r in runs):
        notes.append("bad packets")
    if any(r["busy"] for r in runs):
        notes.append(f"{sum(r['busy'] for r in runs)} of {len(runs)} runs disturbed")
    skipped = sum(r["server"]["skipped_ticks"] for r in runs)
    if skipped:
        notes.append(f"{skipped} ticks left out")
    print(f"  {NAMES[server]:<22}{us:7.0f} {ratio}  {median(runs, 'latency_ms', 'p50'):6.1f} {median(runs, 'latency_ms', 'p99'):6.1f} "
          f"{min(r['rate_min'] for r in runs):6.2f} {100 * max(r['loss'] for r in runs):6.2f} "
          f"{median(runs, 'jitter_us_mean') / 1000:6.1f} {tones:>8}  {'; '.join(notes)}")


def table_head():
    print(f"\nMedia, one room, 3 talkers unless said otherwise; medians of {RUNS} runs. us: CPU microseconds per participant and second.\n"
          "Latency: added mouth to ear, ms. Rate: the slowest receiver, packets a second. Tones: bursts heard of bursts said, by samples.\n"
          f"  {'':<22}{'us':>7} {'ratio':>5}  {'p50':>6} {'p99':>6} {'rate':>6} {'loss %':>6} {'jitter':>6} {'tones':>8}")


def memory(results):
    """KiB of the process per participant: the slope between a room of 60 and one of 300."""
    small, large = results.get("PCMU SRTP, silence, room of 60"), results.get("PCMU SRTP, silence")
    if not small:
        return None
    a, b = small["runs"]["e"], large["runs"]["e"]
    return (median(b, "rss_kb") - median(a, "rss_kb")) / (median(b, "legs") - median(a, "legs"))


def run(out, quick):
    results = {}
    warm, seconds = (1.1, 1.7) if quick else (1.6, 2.4)
    table_head()
    for name, options, servers in QUICK if quick else FULL:
        runs = {s: [] for s in servers}
        for _ in range(RUNS):
            for s in servers:                                # in turns: what disturbs, disturbs all of them
                runs[s].append(one(out, s, options, warm, seconds))
        base = median(runs["f"], "us_per_participant") if "f" in runs else None
        print(f"{name}, {runs['e'][0]['legs']} participants")
        for s in servers:
            row(name, s, runs[s], base)
        results[name] = {"runs": runs, "ratio": median(runs["e"], "us_per_participant") / base if base else None}
    ratios = [r["ratio"] for r in results.values() if r["ratio"]]
    print(f"\nengine to floor: {min(ratios):.2f} to {max(ratios):.2f} (limit 1.5, aim 1.1)")
    kib = memory(results)
    if kib:
        print(f"engine, resident memory per participant (slope 60 to 300, SRTP): {kib:.1f} KiB (limit 32, aim 16)")
    rooms = results.get("Opus SRTP, noise, level, rooms of 10")
    if rooms:
        print(f"Opus, rooms of ten: {1e6 / median(rooms['runs']['e'], 'us_per_participant'):.0f} participants would fill one core "
              "by CPU alone (at least 250, aim 350)")
    return {"profiles": results, "kib_per_participant": kib}


# --- every shape, from ten participants to the most that are served well
CODECS = (("PCMU", ["--codec", "pcmu"]), ("G.722", ["--codec", "g722"]), ("Opus", ["--codec", "opus", "--noise", "--level"]))
SHAPES = [(f"{name} {keys}, {rooms}", [*options, *(["--srtp"] if keys == "SRTP" else [])], rooms != "one room")
          for rooms in ("one room", "rooms of 10") for name, options in CODECS for keys in ("plain", "SRTP")]
SIZES = (10, 100, 400)
FIRST = 1600, 400                        # tried first for the largest: one room, rooms of ten
STEP = 200                               # the largest is known to so many


def sized(options, tens, n):
    return ["--legs", str(n), *options, *(["--rooms", str(n // 10)] if tens else [])]


def largest(out, name, options, tens):
    """Doubles, then halves the step; a size that fails is tried twice. The load generator needs a core of its own."""
    tries, low, high, n = [], 0, None, FIRST[tens]
    while n <= 6000 and (high is None or high - low > STEP) and len(tries) < 8:
        r = one(out, "e", sized(options, tens, n), 2, 3)
        ok = good(r) and r["server"]["skipped_ticks"] == 0 and r["latency_ms"]["p99"] <= 60
        again = not ok and (not tries or tries[-1]["n"] != n)
        tries.append({"n": n, "good": ok, "run": r})
        print(f"  {name}: {n} {'good' if ok else 'not good'}, {100 * r['cpu']:.0f} % of a core, the load generator "
              f"{100 * r['load_cpu']:.0f} %, rate {r['rate_min']:.1f} to {r['rate_max']:.1f}, loss {100 * r['loss']:.2f} %, "
              f"{r['server']['skipped_ticks']} ticks left out, p99 {r['latency_ms']['p99']:.1f} ms"
              f"{', disturbed: the machine is too busy to tell' if r['busy'] else ''}", flush=True)
        if again:
            continue
        low, high = (n, high) if ok else (low, n)
        n = (low + high) // 20 * 10 if high else 2 * n
    return low, tries


def shape(out, name, options, tens):
    found, cells = {"sizes": {}}, ""
    for n in SIZES:
        runs = {s: [one(out, s, sized(options, tens, n), 1.6, 2.4) for _ in range(RUNS if n == 400 else 1)] for s in "fe"}
        us = {s: median(runs[s], "us_per_participant") for s in runs}
        found["sizes"][n] = {"runs": runs, "ratio": us["e"] / us["f"]}
        cells += f" {us['f']:7.0f} {us['e']:7.0f} {us['e'] / us['f']:5.2f} |"
    found["largest"], found["tries"] = largest(out, name, options, tens)
    at = [t["run"] for t in found["tries"] if t["n"] == found["largest"] and t["good"]]
    end = f"{found['largest']:6} at {100 * at[-1]['cpu']:.0f} % of a core" if at else "     -"
    print(f"{name:<26}|{cells}{end}", flush=True)
    return found


def capacity(out):
    print("\nOne media thread, 3 talkers a room. Floor, engine: CPU microseconds per participant and second, and their ratio; then the\n"
          "largest number that all are heard, none lost, p99 of added latency 60 ms\n"
          f"{'':<26}|" + "".join(f"{n:>7} participants     |" for n in SIZES) + " largest")
    return {name: shape(out, name, options, tens) for name, options, tens in SHAPES}
