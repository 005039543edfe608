# SPDX-License-Identifier: Apache-2.0
"""A client that is called: it rings, answers or refuses as a test says, and then has a dialog like a caller."""
import threading

from .im import OLD, Chat
from .im import sdp as chat_sdp
from .rtp import Leg, Sdp
from .sip import SipTimeout, token


class Called(Chat):
    """The dialog of an answered INVITE; `invite` is the request, `leg` the running audio (None for chat)."""
    def __init__(self, ua, invite, answer, leg):
        tag = answer.tag("To")
        to = answer.get("To")
        assert tag
        # Dialog, seen from the callee: local and remote change places.
        from .sip import Dialog
        Dialog.__init__(self, ua, invite.call_id, to, invite.get("From"), invite.contact, invite.all("Record-Route"), 100,
                        invite.cseq[0])
        self.invite, self.answer, self.leg, self.local_sdp = invite, answer, leg, answer.body

    def close(self):
        if self.leg:
            self.leg.stop()
        super().close()


class Callee:
    """Put behind a registered UA. answer(), ring() and refuse() are for the test's thread."""
    def __init__(self, ua, auto=None, srtp=True, codec="PCMU", types=OLD):
        self.ua, self.srtp, self.codec, self.types = ua, srtp, codec, types
        self.cond, self.invites, self.cancelled, self.calls = threading.Condition(), [], threading.Event(), []
        self.tag, self.auto = token(), auto
        ua.on_invite = self._invited
        self._old_request = ua._request
        ua._request = self._request

    def _request(self, msg):
        if msg.method == "CANCEL":
            self.cancelled.set()
            self.ua.send(self.ua.response(msg, 200))
            self.ua.send(self.ua.response(self.invites[-1], 487, to_tag=self.tag))
            return
        self._old_request(msg)

    def _invited(self, ua, msg):
        with self.cond:
            self.invites.append(msg)
            self.cond.notify_all()
        if self.auto:
            self.auto(self, msg)

    def close(self):
        """Takes the registration back, so that the next test's calls do not come here."""
        for call in self.calls:
            call.close()
        self.ua.register(expires=0)
        self.ua.close()

    def wait(self, timeout=5):
        with self.cond:
            if not self.cond.wait_for(lambda: self.invites, timeout):
                raise SipTimeout(f"{self.ua}: no INVITE within {timeout} s")
        return self.invites[-1]

    def ring(self, code=180):
        self.ua.send(self.ua.response(self.wait(), code, [("Contact", self.ua.contact)], to_tag=self.tag))

    def refuse(self, code, headers=()):
        self.ua.send(self.ua.response(self.wait(), code, headers, to_tag=self.tag))

    def answer(self, tone=None, body=None, headers=()):
        invite = self.wait()
        offer = invite.body.decode()
        leg = None
        if body is None and "m=audio" in offer:
            leg = Leg(self.codec, self.srtp, self.ua.bind)
            body = leg.offer()
        elif body is None:
            body = chat_sdp(types=self.types)
        r = self.ua.response(invite, 200, [("Contact", self.ua.contact), ("Supported", "ms-sender"),
                                           ("Allow", "INVITE,ACK,BYE,CANCEL,OPTIONS,INFO,MESSAGE")] + list(headers),
                             body, "application/sdp", to_tag=self.tag)
        call = Called(self.ua, invite, r, leg)
        self.calls.append(call)
        self.ua.send(r)
        if leg:
            leg.accept(offer_as_answer(offer))
            if tone:
                leg.tone(tone)
        return call


def offer_as_answer(offer):
    """What Leg.accept() wants: the offer of the other side with its one key under tag 1."""
    assert Sdp(offer).port
    lines, first = [], True
    for line in offer.split("\r\n"):
        if line.startswith("a=crypto:"):
            if not first:
                continue
            first = False
        lines.append(line)
    # PCMU first, because that is what we answer.
    return "\r\n".join(_pcmu_first(line) for line in lines)


def _pcmu_first(line):
    if not line.startswith("m=audio"):
        return line
    words = line.split(" ")
    return " ".join(words[:3] + ["0"] + [w for w in words[3:] if w != "0"])
