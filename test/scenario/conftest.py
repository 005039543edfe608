# SPDX-License-Identifier: Apache-2.0
"""Fixtures of the scenario tests: one stack per module; on a failure the new part of every log is shown.

CONCLAVE_BUILD names the build directory (default build), CONCLAVE_TEST_KEEP=1 keeps the directories of the stacks.
"""
import pytest

from conclave_test.stack import USERS, Stack


def pytest_configure(config):
    config.addinivalue_line("markers", "conformance(name, ...): shows what docs/testing.md lists under that name")


@pytest.fixture(scope="module")
def stack(request):
    """The module's stack; a module may name extra options of `conclave run` in STACK_OPTIONS."""
    s = Stack(*getattr(request.module, "STACK_OPTIONS", ()))
    request.module.__stack__ = s
    yield s
    s.stop()


@pytest.fixture(scope="module")
def uas(stack):
    """The users of a stack, registered, for tests that do not care what else their phones are doing."""
    return {u: stack.ua(u, register=True) for u in USERS}


@pytest.fixture(autouse=True)
def _marked_logs(request):
    s = getattr(request.module, "__stack__", None)
    if s:
        s.mark_logs()


@pytest.fixture
def end(request):
    """end(x) closes x (close() or stop()) after the test, last first."""
    things = []

    def add(thing):
        things.append(thing)
        return thing
    yield add
    for thing in reversed(things):
        (getattr(thing, "close", None) or thing.stop)()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    report = outcome.get_result()
    s = getattr(item.module, "__stack__", None)
    if report.failed and s and s.dir.exists():
        report.sections.append(("logs of the stack", s.tails()))
