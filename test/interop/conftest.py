# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the interop tests: the stack of the scenario tests, and clients that are closed before it ends."""
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scenario"))
sys.path.insert(0, str(Path(__file__).resolve().parent))
from conclave_test.stack import Stack  # noqa: E402
from sipe import Sipe  # noqa: E402


@pytest.fixture(scope="module")
def stack(request):
    s = getattr(request.module, "make_stack", Stack)()
    request.module.__stack__ = s
    yield s
    s.stop()


@pytest.fixture
def clients(request, stack):
    """clients("alice", "bob", tone={...}): signed on, started in the same second; closed after the test."""
    made = []
    stack.mark_logs()

    def make(*users, login=True, **kw):
        tones = kw.pop("tones", {})
        new = [Sipe(stack, u, tone=tones.get(u, 0), **kw) for u in users]
        made.extend(new)
        for c in new if login else ():
            c.login(wait=False)
        for c in new if login else ():
            c.signed_on()
        return new if len(new) > 1 else new[0]
    request.node.__clients__ = made
    yield make
    for c in made:
        c.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    s = getattr(item.module, "__stack__", None)
    if report.failed:
        for c in getattr(item, "__clients__", []):
            report.sections.append((f"client {c.user}", c.tail(80)))
        if s and s.dir.exists():
            report.sections.append(("logs of the stack", s.tails()))
