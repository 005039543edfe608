#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""make bench: figures as ratios against references that run beside what is measured.

  bench.py quick       about a minute: two media profiles, a few joins
  bench.py full        below twelve minutes: all media profiles, joins, c3p, notify
  bench.py media|kernels|joins|c3p|notify
                       one part of full: kernels is the mixer's loops, c3p CPU for each SERVICE and INFO, notify a join in conferences of up to 5,000 subscriptions
  bench.py sound       what a listener hears, against the ideal: two minutes, tables and plots (sound-*.png, *.svg); not part of full
  bench.py capacity    the largest room of good quality on one core

Prints tables; build/bench/<name>.json holds every single run.
"""
import json
import os
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
REPO = HERE.parents[1]
BUILD = (REPO / os.environ.get("CONCLAVE_BUILD", "build")).resolve()
OUT = BUILD / "bench"


def cpu_model():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return "unknown CPU"


def loadavg():
    return float(Path("/proc/loadavg").read_text().split()[0])


def header(mode):
    return {"mode": mode, "cpu": cpu_model(), "cores": os.cpu_count(), "kernel": os.uname().release, "loadavg_before": loadavg(),
            "time": time.strftime("%Y-%m-%dT%H:%M:%S%z")}


def write(name, head, data):
    OUT.mkdir(parents=True, exist_ok=True)
    (OUT / f"{name}.json").write_text(json.dumps({**head, **data}, indent=1) + "\n")


def main():
    mode = sys.argv[1] if len(sys.argv) > 1 else "full"
    if mode not in ("quick", "full", "media", "joins", "c3p", "notify", "kernels", "capacity", "sound"):
        sys.exit(__doc__)
    import commands
    import joins
    import media
    import notify
    head, began = header(mode), time.monotonic()
    print(f"{head['cpu']}, {head['cores']} cores, Linux {head['kernel']}; load average before: {head['loadavg_before']}")
    if head["loadavg_before"] > 0.5:
        print("The machine is not idle: figures are worth less, ratios less than figures suggest.")
    if mode == "sound":
        import sound
        write("sound", head, sound.run(OUT, OUT / "sound"))
    if mode == "capacity":
        write("capacity", head, media.capacity(OUT))
    if mode in ("quick", "full", "media"):
        write("media", head, media.run(OUT, mode == "quick"))
    if mode in ("quick", "full", "kernels"):
        subprocess.run([OUT / "kernels"], check=True)
    if mode in ("quick", "full", "joins"):
        write("joins", head, joins.run(BUILD, mode == "quick"))
    if mode in ("quick", "full", "c3p"):
        write("c3p", head, commands.run(BUILD, mode == "quick"))
    if mode in ("full", "notify"):
        write("notify", head, notify.run(BUILD, mode == "quick"))
    print(f"\n{time.monotonic() - began:.0f} s; load average now {loadavg()}; every run: {OUT}/*.json")


if __name__ == "__main__":
    main()
