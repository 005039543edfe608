# SPDX-License-Identifier: Apache-2.0
"""C3P requests and answers, and a client that joins a conference the way Communicator does: SERVICE, INVITE addUser,
SUBSCRIBE, media INVITE, INFO.
"""
import itertools
import time
import uuid
from xml.sax.saxutils import escape, quoteattr

from lxml import etree

from .roster import CCCP, CI, MSCI, MSCP, NS, Roster
from .rtp import Leg
from .sip import Call, SipError, SipTimeout

CTYPE = "application/cccp+xml"
_ids = itertools.count(1)


def focus_uri(organizer, conf_id, domain="conclave.test"):
    return f"sip:{organizer}@{domain};gruu;opaque=app:conf:focus:id:{conf_id}"


def factory_uri(organizer, domain="conclave.test"):
    return f"sip:{organizer}@{domain};gruu;opaque=app:conf:focusfactory"


def mcu_uri(focus, kind="audio-video"):
    return focus.replace(":focus:", f":{kind}:")


def guid():
    return "{" + str(uuid.uuid4()).upper() + "}"


def new_id():
    return uuid.uuid4().hex[:16].upper()


def request(command, frm, to, request_id=None, extra=""):
    return (f'<?xml version="1.0"?>\n<request xmlns="{CCCP}" xmlns:mscp="{MSCP}" xmlns:ci="{CI}" xmlns:msci="{MSCI}" '
            f'C3PVersion="1" requestId="{next(_ids) if request_id is None else request_id}" from={quoteattr(frm)} '
            f'to={quoteattr(to)} {extra}>{command}</request>').encode()


# --- commands
def add_conference(conf_id, subject="Test", policy="openAuthenticated", views=("audio-video",), users=(), expiry=None):
    invited = "".join(f'<ci:user entity="{u}"><ci:roles><ci:entry>{r}</ci:entry></ci:roles></ci:user>' for u, r in users)
    expiry = f"<msci:expiry-time>{expiry}</msci:expiry-time>" if expiry else ""
    return (f'<addConference><ci:conference-info entity=""><ci:conference-description><ci:subject>{escape(subject)}</ci:subject>'
            f'<msci:conference-id>{conf_id}</msci:conference-id>{expiry}<msci:admission-policy>{policy}</msci:admission-policy>'
            f'</ci:conference-description>{f"<ci:users>{invited}</ci:users>" if invited else ""}<msci:conference-view>'
            + "".join(f'<msci:entity-view entity="{v}"/>' for v in views)
            + "</msci:conference-view></ci:conference-info></addConference>")


def add_user(focus, user, endpoint, role="attendee"):
    return (f'<addUser><conferenceKeys confEntity={quoteattr(focus)}/><ci:user entity={quoteattr(user)}>'
            f'<ci:roles><ci:entry>{role}</ci:entry></ci:roles><ci:endpoint entity={quoteattr(endpoint)}/></ci:user></addUser>')


def by_id(command, conf_id):
    return f'<{command}><conferenceKeys msci:conference-id="{conf_id}"/></{command}>'


def by_conf(command, focus):
    return f"<{command}><conferenceKeys confEntity={quoteattr(focus)}/></{command}>"


def lock(focus, locked):
    return (f"<modifyConferenceLock><conferenceKeys confEntity={quoteattr(focus)}/>"
            f"<locked>{str(locked).lower()}</locked></modifyConferenceLock>")


def role(focus, user, value):
    return (f"<modifyUserRoles><userKeys confEntity={quoteattr(focus)} userEntity={quoteattr(user)}/>"
            f'<user-roles xmlns="{CI}"><entry>{value}</entry></user-roles></modifyUserRoles>')


def delete_user(focus, user):
    return f"<deleteUser><userKeys confEntity={quoteattr(focus)} userEntity={quoteattr(user)}/></deleteUser>"


def mute(focus, user, endpoint, media_id, block=True):
    return (f"<modifyEndpointMedia mscp:mcuUri={quoteattr(mcu_uri(focus))}><mediaKeys confEntity={quoteattr(focus)} "
            f'userEntity={quoteattr(user)} endpointEntity={quoteattr(endpoint)} mediaId="{media_id}"/>'
            f'<ci:media id="{media_id}"><ci:type>audio</ci:type><ci:status>{"recvonly" if block else "sendrecv"}</ci:status>'
            f'<msci:media-ingress-filter>{"block" if block else "unblock"}</msci:media-ingress-filter></ci:media>'
            f"</modifyEndpointMedia>")


class Result:
    """An answer: SIP status (None for a later INFO), C3P code and reason, the command element."""
    def __init__(self, msg):
        self.msg, self.sip = msg, msg.code or None
        self.code = self.reason = self.cmd = self.request_id = None
        self.diagnostics = msg.diagnostics
        if msg.body and msg.get("Content-Type", "").startswith(CTYPE):
            root = etree.fromstring(msg.body)
            assert root.tag == f"{{{CCCP}}}response", root.tag
            self.root, self.code, self.request_id = root, root.get("code"), root.get("requestId")
            self.frm, self.to = root.get("from"), root.get("to")
            assert len(root) == 1, "a response has one command element"
            self.cmd, self.reason = root[0], root[0].get("reason")
            self.command = etree.QName(root[0]).localname

    def __repr__(self):
        return f"<{self.sip} {self.code} {self.reason} diag {self.diagnostics}>"


class FocusCall(Call):
    """The focus dialog of one user."""
    focus = None

    def info(self, command, timeout=8, wait_final=True, raw=None, request_id=None):
        """A command by INFO; a pending answer is followed to the final INFO of the focus."""
        body = raw if raw is not None else request(command, self.ua.aor, self.focus, request_id)
        seen = len(self.requests)
        result = Result(self.request("INFO", [("Supported", "timer")], body, CTYPE, timeout))
        if result.code == "pending" and wait_final:
            first, result = result, self._final(result.request_id, seen, timeout)
            result.sip, result.was_pending = first.sip, True
        return result

    def _final(self, request_id, seen, timeout):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            for _, m in self.requests[seen:]:
                if m.method == "INFO":
                    r = Result(m)
                    if r.request_id == request_id and r.code != "pending":
                        return r
            time.sleep(0.02)
        raise SipTimeout(f"{self.ua}: no final INFO for request {request_id} within {timeout} s")


def service(ua, command, to=None, timeout=8, raw=None):
    """A command to the focus factory by SERVICE."""
    to = to or factory_uri(ua.user, ua.domain)
    r = ua.request("SERVICE", to, [("Contact", ua.contact)], raw if raw is not None else request(command, ua.aor, to), CTYPE, timeout)
    return Result(r)


def schedule(ua, **kw):
    """A new conference of that user; returns its focus URI."""
    conf_id = new_id()
    r = service(ua, add_conference(conf_id, **kw))
    assert r.sip == 200 and r.code == "success", r
    focus = r.cmd.find("ci:conference-info", NS).get("entity")
    assert focus == focus_uri(ua.user, conf_id, ua.domain), focus
    return focus


def join(ua, focus, endpoint=None, role="attendee", headers=()):
    """INVITE with addUser; the dialog, with `granted` role."""
    endpoint = endpoint or guid()
    call = ua.invite(focus, request(add_user(focus, ua.aor, endpoint, role), ua.aor, focus), CTYPE, headers, cls=FocusCall)
    call.focus, call.endpoint = focus, endpoint
    r = Result(call.answer)
    assert r.code == "success", r
    call.granted = r.cmd.findtext("ci:user/ci:roles/ci:entry", namespaces=NS)
    return call


SIPE = [("Supported", "com.microsoft.autoextend"), ("Supported", "ms-benotify"), ("Proxy-Require", "ms-benotify"),
        ("Supported", "ms-piggyback-first-notify")]


def watch(ua, uri, headers=(), expires=3600, entity=None):
    """Subscribes; returns (subscription, roster that follows it)."""
    roster = Roster(entity)
    sub = ua.subscribe(uri, roster, headers, expires)
    sub.roster = roster
    sub.wait("the first document", lambda: roster.tree is not None)
    return sub, roster


class AudioCall(Call):
    """A call with a running leg; close() hangs up whatever state it is in."""
    leg = None

    def close(self):
        if self.leg:
            self.leg.stop()
        if not self.ended.is_set() and not self.ua.closed.is_set():
            try:
                self.bye(3)
            except SipTimeout:
                pass


def talk(ua, uri, codec="PCMU", srtp=True, tone=None, headers=(), bind=None, advertise=None, **kw):
    """Calls for audio; returns the call with `leg` running."""
    leg = Leg(codec, srtp, bind or ua.bind, advertise)
    try:
        call = ua.invite(uri, leg.offer(), headers=headers, cls=AudioCall, **kw)
    except (SipError, SipTimeout):
        leg.stop()
        raise
    call.leg = leg.accept(call.sdp)
    if tone:
        leg.tone(tone)
    return call


class Participant:
    """A Communicator-like user: focus dialog, roster, audio. Leaves in order on close()."""
    def __init__(self, ua, focus, tone=None, sipe=True, codec="PCMU"):
        self.ua, self.focus_uri, self.audio = ua, focus, None
        self.focus = join(ua, focus)
        self.sub, self.roster = watch(ua, focus, SIPE if sipe else (), None if sipe else 3600, focus)
        if tone:
            self.call(tone, codec)

    def call(self, tone=None, codec="PCMU"):
        self.audio = talk(self.ua, self.roster.conf_uri("audio-video") or mcu_uri(self.focus_uri), codec, tone=tone)
        return self.audio

    @property
    def leg(self):
        return self.audio.leg

    def wait(self, what, pred, timeout=5):
        return self.sub.wait(what, pred, timeout)

    def close(self):
        if self.audio:
            self.audio.close()
        if not self.focus.ended.is_set() and not self.ua.closed.is_set():
            try:
                self.focus.bye(3)
            except SipTimeout:
                pass

    __enter__ = lambda self: self

    def __exit__(self, *exc):
        self.close()
