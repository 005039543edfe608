# SPDX-License-Identifier: Apache-2.0
"""scripts/conclave and scripts/confctl as operators use them, also wrongly."""
import os
import signal
import time

from conclave_test.stack import StackError


def test_a_daemon_is_told_often_to_reload_and_still_answers(stack):
    """Each reload tells the supervisor; a socket that nobody reads would be full at the sixth."""
    for part in ("mcu", "focusd"):
        for _ in range(20):
            os.kill(stack.pid(part), signal.SIGHUP)
            time.sleep(0.05)                        # signals that come together are one
        assert stack.admin(part, cmd="stats")["ok"], part
    assert "silent" not in stack.run("status")


def test_a_part_that_hangs_is_not_called_ready(stack):
    pid = stack.pid("mcu")
    os.kill(pid, signal.SIGSTOP)
    try:
        stack.run("status")
        raise AssertionError("status succeeded")
    except StackError as e:
        assert "mcu        silent" in str(e)
    finally:
        os.kill(pid, signal.SIGCONT)
    assert "mcu        ready" in stack.run("status")
