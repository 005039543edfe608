# SPDX-License-Identifier: Apache-2.0
"""Validation before a start: Lua syntax, kamailio -c, focusd --check, mcu --check, and what must be installed."""
import glob
import os
import shutil
import subprocess

from . import render
from .layout import KAMAILIO_DIR, binary

NEEDED = {"kamailio": "kamailio", "rtpengine": "rtpengine-daemon", "openssl": "openssl", "luac5.1": "lua5.1"}


def missing_programs(with_rtpengine=True):
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [p for p in NEEDED if not shutil.which(p, path=path) and (with_rtpengine or p != "rtpengine")]


def _run(*argv):
    """'' when it succeeded, else its last lines."""
    try:
        p = subprocess.run(argv, capture_output=True, text=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired) as e:
        return str(e)
    if p.returncode == 0:
        return ""
    return "\n".join((p.stdout + p.stderr).strip().splitlines()[-6:]) or f"status {p.returncode}"


def lua_files(lay=None):
    own = sorted(glob.glob(os.path.join(KAMAILIO_DIR, "*.lua")))
    return own + (render.policies(lay) + [lay.path("etc", "edge.lua")] if lay else
                  sorted(glob.glob(os.path.join(KAMAILIO_DIR, "policy.d", "*.lua"))))


def check_lua(lay=None):
    """Yields (what, error); the error is empty when it is fine."""
    for path in lua_files(lay):
        yield path, _run("luac5.1", "-p", path)


def check_all(lay, parts):
    yield from check_lua(lay)
    if "kamailio" in parts:
        s = render.sizes(int(lay.conf["clients"]))
        yield "kamailio.cfg", _run("kamailio", "-c", "-f", lay.path("etc", "kamailio.cfg"), "-m", str(s["shm_mb"]), "-Y",
                                   lay.path("run"))
    for name in ("focusd", "mcu"):
        if name in parts:
            path = binary(name)
            yield f"{name}.conf", _run(path, "--check", "-c", lay.path("etc", name + ".conf")) if path else \
                f"no {name} binary; run `make`"
