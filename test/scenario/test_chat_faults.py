# SPDX-License-Identifier: Apache-2.0
"""Chat clients that go without a word, and a media server that comes back."""
import pytest

from conclave_test import c3p, im


@pytest.fixture(scope="module")
def quick(stack):
    """The MCU asks silent chat clients after 5 s."""
    conf = stack.dir / "etc" / "mcu.conf"
    conf.write_text(conf.read_text() + "\n[chat]\nprobe_s = 5\n")
    stack.restart("mcu")
    stack.wait("the MCU is announced again", lambda: stack.admin("mcu", cmd="stats")["services"], 10)
    return stack


def test_a_chat_client_that_is_gone_without_bye_leaves_the_roster(quick, end):
    alice, bob = quick.ua("alice"), quick.ua("bob")
    focus = c3p.schedule(alice, views=("chat",))
    c3p.join(alice, focus)
    quick.wait("chat is up", lambda: enter_or_none(alice, focus, end), 15)
    c3p.join(bob, focus)
    end(im.enter(bob, focus))
    sub, roster = c3p.watch(alice, focus, c3p.SIPE, None, focus)
    sub.wait("bob is there", lambda: roster.connected("sip:bob@conclave.test", "chat"))
    bob.close()
    sub.wait("bob is gone", lambda: not roster.endpoints("sip:bob@conclave.test", "chat"), 25)
    assert roster.connected("sip:alice@conclave.test", "chat"), "who answers OPTIONS stays"


def enter_or_none(ua, focus, end):
    try:
        return end(im.enter(ua, focus))
    except im.SipTimeout:
        return None
    except Exception as e:              # the edge learns of the restarted MCU by the next announcement
        if getattr(e, "code", None) in (480, 503, 403):
            return None
        raise
