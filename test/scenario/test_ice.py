# SPDX-License-Identifier: Apache-2.0
"""ICE with independent agents: libnice in the modes of Office Communicator 2007 (draft 6), 2007 R2 (MS-ICE2), RFC 5245."""
import time

import pytest

from conclave_test import c3p, nice
from conclave_test.sip import SipError

HOST = nice.interface_address()
STACK_OPTIONS = ("--bind", HOST)
A, B, C = 520, 640, 930
ALL = [A, B, C]
MODES = ["oc2007", "oc2007r2", "rfc5245"]
pytestmark = pytest.mark.skipif(not HOST, reason="this machine has loopback only, which ICE agents never offer")


def client(stack, end, user, mode, tone=None, **kw):
    """A call of an ICE client up to both components ready."""
    leg = nice.NiceLeg(mode, **kw)
    try:
        call = stack.ua(user, bind=HOST).invite(stack.room(), leg.offer(), cls=c3p.AudioCall)
    except BaseException:
        leg.stop()
        raise
    call.leg = leg
    end(call)
    leg.accept(call.sdp)
    leg.wait_ready()
    if tone:
        leg.tone(tone)
    return call


def phone(stack, end, user, tone):
    return end(c3p.talk(stack.ua(user, bind=HOST), stack.room(), tone=tone))


@pytest.mark.parametrize("mode", MODES)
def test_an_agent_completes_both_components_and_tones_pass_both_ways_before_and_after_the_second_invite(stack, end, mode):
    other = phone(stack, end, "bob", B)
    c = client(stack, end, "alice", mode, A)
    assert {n: int(p["rport"]) for n, p in c.leg.pairs.items()} == {k.comp: k.port for k in c.leg.theirs}
    c.leg.wait_heard({B}, ALL)
    other.leg.wait_heard({A}, ALL)
    first = c.leg.theirs
    r = c.reinvite(c.leg.final_offer())
    assert r.code == 200
    c.leg.read(c.sdp)
    assert [vars(x) for x in c.leg.theirs] == [vars(x) for x in first]
    if mode == "oc2007":
        assert nice.pad(c.leg.named) == c.leg.pairs[1]["user"]
    elif mode == "oc2007r2":
        assert c.leg.named == " ".join(f"{n} {c.leg.pairs[n]['ip']} {c.leg.pairs[n]['port']}" for n in (1, 2))
    c.leg.keeps_hearing({B}, ALL, 1.5)
    other.leg.keeps_hearing({A}, ALL, 0.6)
    stack.wait("RTCP by component 2", lambda: c.leg.rtcp_packets, 8)
    assert c.leg.bad == 0
    assert c.bye().code == 200
    other.leg.wait_heard(set(), ALL)
