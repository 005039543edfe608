# SPDX-License-Identifier: Apache-2.0
"""rtpengine: a client whose SDP names an address it cannot be reached at is relayed, everybody else is not."""
import pytest

from conclave_test import c3p, rtp
from conclave_test.sip import SipError

A, B, C = 520, 640, 930
ALL = [A, B, C]
BEHIND_NAT = "10.99.7.9"


def is_relay(stack, call):
    """True when the answer names a port of rtpengine's half of the media ports."""
    port = call.leg.answer.port
    assert stack.base + 20 <= port < stack.base + 420, port
    return port >= stack.base + 220


@pytest.mark.parametrize("transport", ["udp", "tls"])
def test_a_client_behind_nat_is_relayed_and_hears_and_is_heard(stack, end, transport):
    direct = c3p.talk(stack.ua("alice"), stack.room(), tone=A)
    end(direct)
    nat = c3p.talk(stack.ua("bob", transport, register=True, host=BEHIND_NAT), stack.room(), tone=B, advertise=BEHIND_NAT)
    end(nat)
    assert not is_relay(stack, direct) and is_relay(stack, nat)
    nat.leg.wait_heard({A}, ALL)
    direct.leg.wait_heard({B}, ALL)
    assert stack.relay_sessions() == 1
    assert nat.bye().code == 200
    stack.wait("no relay session", lambda: stack.relay_sessions() == 0, 5)
    direct.leg.wait_heard(set(), ALL)
    direct.bye()


def test_the_relay_ends_when_the_server_ends_the_call(stack, end):
    nat = c3p.talk(stack.ua("bob", "udp", register=True, host=BEHIND_NAT), stack.room(), tone=B, advertise=BEHIND_NAT)
    end(nat)
    assert stack.relay_sessions() == 1
    stack.admin("focusd", cmd="kick", conf="lobby", user="sip:bob@conclave.test")
    assert nat.ended.wait(3), "a BYE should have come"
    stack.wait("no relay session", lambda: stack.relay_sessions() == 0, 5)


def test_a_refused_call_leaves_no_relay_session(stack, end):
    leg = rtp.Leg(srtp=False, advertise=BEHIND_NAT)
    end(leg)
    with pytest.raises(SipError) as e:
        stack.ua("bob", "udp", host=BEHIND_NAT).invite(stack.room(), leg.offer())
    assert e.value.code == 488
    stack.wait("no relay session", lambda: stack.relay_sessions() == 0, 5)


def test_a_re_invite_of_a_relayed_call_stays_relayed(stack, end):
    nat = c3p.talk(stack.ua("bob", "udp", register=True, host=BEHIND_NAT), stack.room(), tone=B, advertise=BEHIND_NAT)
    direct = c3p.talk(stack.ua("alice"), stack.room(), tone=A)
    end(nat), end(direct)
    r = nat.reinvite(nat.leg.offer(version=2))
    assert r.code == 200
    nat.leg.accept(r.body.decode())
    assert is_relay(stack, nat) and stack.relay_sessions() == 1
    nat.leg.wait_heard({A}, ALL)
    direct.leg.wait_heard({B}, ALL)
    nat.bye(), direct.bye()
    stack.wait("no relay session", lambda: stack.relay_sessions() == 0, 5)
