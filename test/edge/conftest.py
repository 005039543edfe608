# SPDX-License-Identifier: Apache-2.0
"""One group with edge and media relay only; the tests play focus and MCU."""
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))
from sip import Client, Daemon  # noqa: E402

TOP = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CONCLAVE = os.path.join(TOP, "scripts", "conclave")


def pytest_configure(config):
    config.addinivalue_line("markers", "conformance(name, ...): shows what docs/testing.md lists under that name")


def free_base():
    """A first port whose whole group is free now."""
    while True:
        base = random.randrange(20000, 31000, 500)
        try:
            for n in range(15):
                for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                    with socket.socket(socket.AF_INET, kind) as s:
                        s.bind(("127.0.0.1", base + n))
            return base
        except OSError:
            continue


def conclave(*args, **kw):
    return subprocess.run([CONCLAVE, *args], capture_output=True, text=True, timeout=60, **kw)


class Group:
    def __init__(self, *options, parts="kamailio,rtpengine"):
        self.dir = tempfile.mkdtemp(prefix="edge")
        self.base = free_base()
        self.out = open(os.path.join(self.dir, "out"), "w+")
        self.proc = subprocess.Popen([CONCLAVE, "run", "--dir", self.dir, "--ports", str(self.base), "--parts", parts, *options],
                                     stdout=self.out, stderr=self.out)
        end = time.monotonic() + 25
        while not os.path.exists(self.path("addresses.json")):
            assert self.proc.poll() is None and time.monotonic() < end, self.output()
            time.sleep(0.05)
        self.refresh()
        self.passwords = {u["name"]: u["password"] for u in self.addr["users"]}

    def refresh(self):
        with open(self.path("addresses.json")) as f:
            self.addr = json.load(f)
        return self.addr

    def path(self, name):
        return os.path.join(self.dir, name)

    def output(self):
        with open(self.path("out")) as f:
            return f.read()

    def log(self):
        with open(self.path("log/kamailio.log"), errors="replace") as f:
            return f.read()

    def client(self, proto="tcp", source="127.0.0.1"):
        return Client(self.addr["sip"][proto], proto, ca=self.addr["ca"], source=source)

    def stop(self):
        if self.proc.poll() is None:
            self.proc.send_signal(signal.SIGTERM)
            self.proc.wait(10)
        self.out.close()
        if not os.environ.get("EDGE_KEEP"):
            shutil.rmtree(self.dir, ignore_errors=True)


@pytest.fixture(scope="session")
def group():
    g = Group("--trunk", "127.0.0.2:media=any", "--trunk", "127.0.0.3", "--keep")
    yield g
    g.stop()


@pytest.fixture(scope="session")
def daemons(group):
    focus, mcu = Daemon(group, "focus-1", group.base + 5), Daemon(group, "mcu-1", group.base + 8)
    link = focus.link = focus.out()
    link.focus_addr, link.mcu_addr = f"127.0.0.1:{focus.port}", f"127.0.0.1:{mcu.port}"
    yield focus, mcu
    focus.close()
    mcu.close()


def announce(link, node="mcu-1", addr=None):
    link.send(link.request("OPTIONS", "sip:edge@127.0.0.1", from_uri="sip:focus-1@conclave.test",
                           extra=[f"Conclave-Node: focus-1;addr={link.focus_addr}", f"Conclave-Mcu: {node};addr={addr or link.mcu_addr}"]))
    link.wait(200)


@pytest.fixture(autouse=True)
def quiet(request):
    """Nothing of an earlier test is left in the daemons, and the focus has just announced itself and the MCU."""
    if "daemons" in request.fixturenames:
        pair = request.getfixturevalue("daemons")
        announce(pair[0].link)
        for d in (*pair, pair[0].link):
            d.answer = None
            d.seen.clear()
            while not d.inbox.empty():
                d.inbox.get_nowait()
    yield
