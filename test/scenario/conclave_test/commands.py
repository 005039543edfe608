# SPDX-License-Identifier: Apache-2.0
"""The commands of C3P beyond those of c3p.py, and how a test looks at their outcome: answers, documents, counters."""
import time
from xml.sax.saxutils import escape, quoteattr

from .c3p import mcu_uri
from .roster import MSCI, NS, q

NOBODY = "sip:nobody@conclave.test"
NO_ENDPOINT = "{00000000-0000-0000-0000-000000000000}"


def keys(focus, user=None, endpoint=None, media=None):
    kind = "media" if media else "endpoint" if endpoint else "user" if user else "conference"
    attrs = (("confEntity", focus), ("userEntity", user), ("endpointEntity", endpoint), ("mediaId", media))
    return f"<{kind}Keys " + " ".join(f"{n}={quoteattr(str(v))}" for n, v in attrs if v) + "/>"


def at_mcu(focus, kind="audio-video"):
    return f"mscp:mcuUri={quoteattr(mcu_uri(focus, kind))}" if kind else ""


# --- users
def modify_user(focus, user, display, entity=None):
    return (f"<modifyUser>{keys(focus, user)}<ci:user entity={quoteattr(entity or user)} state=\"partial\">"
            f"<ci:display-text>{escape(display)}</ci:display-text></ci:user></modifyUser>")


def set_access(focus, users, access):
    users = [users] if isinstance(users, str) else users
    return f"<setUserAccess>{''.join(keys(focus, u) for u in users)}<access>{access}</access></setUserAccess>"


def dial_in(focus, user, endpoint=None, kind="audio-video", method="dialed-in"):
    e = f"<ci:endpoint entity={quoteattr(endpoint)}><ci:joining-method>{method}</ci:joining-method></ci:endpoint>" if endpoint else ""
    return f"<addUser {at_mcu(focus, kind)}>{keys(focus)}<ci:user entity={quoteattr(user)}>{e}</ci:user></addUser>"


def dial_out(focus, user, endpoint, uri=None, refer_to=None, kind="audio-video", role=None, extra=""):
    attrs = "".join(f" msci:{n}={quoteattr(v)}" for n, v in (("endpoint-uri", uri), ("refer-to-uri", refer_to)) if v)
    roles = f"<ci:roles><ci:entry>{role}</ci:entry></ci:roles>" if role else ""
    return (f"<addUser {at_mcu(focus, kind)}>{keys(focus)}<ci:user entity={quoteattr(user)}>{roles}<ci:endpoint entity={quoteattr(endpoint)}"
            f'{attrs}><ci:joining-method>dialed-out</ci:joining-method>{extra}<ci:media id="1"><ci:type>audio</ci:type></ci:media></ci:endpoint>'
            f"</ci:user></addUser>")


def kick_from(focus, user, kind="audio-video"):
    return f"<deleteUser {at_mcu(focus, kind)}>{keys(focus, user)}</deleteUser>"


# --- conference
def modify_conference(focus, subject=None, policy=None, entity=None):
    subject = "" if subject is None else f"<ci:subject>{escape(subject)}</ci:subject>"
    policy = "" if policy is None else f"<msci:admission-policy>{policy}</msci:admission-policy>"
    return (f"<modifyConference>{keys(focus)}<ci:conference-info entity={quoteattr(entity or focus)} state=\"partial\"><ci:conference-description>"
            f"{subject}{policy}</ci:conference-description></ci:conference-info></modifyConference>")


def modify_mcu(focus, state, kind="audio-video"):
    return (f'<modifyConference {at_mcu(focus, kind)}>{keys(focus)}<ci:conference-info entity={quoteattr(focus)} state="partial">'
            f'<msci:conference-view ci:state="partial"><msci:entity-view ci:state="partial" entity={quoteattr(mcu_uri(focus, kind))}>'
            f'<msci:entity-state ci:state="partial">{state}</msci:entity-state></msci:entity-view></msci:conference-view></ci:conference-info>'
            f"</modifyConference>")


def announcements(focus, enabled, kind="audio-video"):
    return (f"<modifyConferenceAnnouncements {at_mcu(focus, kind)}>{keys(focus)}<enabled>{str(enabled).lower()}</enabled>"
            f"</modifyConferenceAnnouncements>")


# --- media
def filters(focus, role=None, ingress=None, egress=None, own=None, but=(), media="audio"):
    leaf = lambda n, v: "" if v is None else f"<{n}>{v}</{n}>"
    return (f"<modifyUsersMediaFilters {at_mcu(focus)}>{keys(focus)}{leaf('role', role)}<media><type>{media}</type></media>"
            f"{leaf('ingressFilter', ingress)}{leaf('egressFilter', egress)}{leaf('mayModifyOwnFilters', own)}"
            + "".join(leaf("exceptUser", u) for u in but) + "</modifyUsersMediaFilters>")


def endpoint_role(focus, user, endpoint, role):
    return (f"<modifyEndpointRole {at_mcu(focus)}>{keys(focus, user, endpoint)}<ci:roles><ci:entry>{role}</ci:entry></ci:roles>"
            f"</modifyEndpointRole>")


def add_media(focus, user, endpoint, media_id=2, media="video"):
    return (f"<addEndpointMedia {at_mcu(focus)}>{keys(focus, user, endpoint)}<ci:media id=\"{media_id}\"><ci:type>{media}</ci:type>"
            f"<ci:status>sendrecv</ci:status></ci:media></addEndpointMedia>")


def delete_media(focus, user, endpoint, media_id):
    return f"<deleteEndpointMedia {at_mcu(focus)}>{keys(focus, user, endpoint, media_id)}</deleteEndpointMedia>"


# --- looking
def outcome(r):
    """What a client goes by: (SIP status, ms-diagnostics, code, reason)."""
    return r.sip, r.diagnostics, r.code, r.reason


def display(roster, user):
    u = roster.user(user)
    return u.findtext("ci:display-text", namespaces=NS) if u is not None else None


def endpoint_roles(roster, user, kind="audio-video"):
    return [e.findtext("msci:roles/ci:entry", namespaces=NS) or e.findtext("msci:roles/msci:entry", namespaces=NS)
            for e in roster.endpoints(user, kind)]


def joining(roster, user, kind="audio-video"):
    """[(status, joining-method)] of the user's endpoints of that kind."""
    return [(e.findtext("ci:status", namespaces=NS), e.findtext("ci:joining-method", namespaces=NS)) for e in roster.endpoints(user, kind)]


def subject(roster):
    return roster.tree.findtext("ci:conference-description/ci:subject", namespaces=NS)


def policy(roster):
    return roster.tree.findtext("ci:conference-description/msci:admission-policy", namespaces=NS)


def view(roster, focus, kind="audio-video"):
    """The entity-view of that MCU."""
    for v in roster.tree.findall("msci:conference-view/msci:entity-view", NS):
        if v.get("entity") == mcu_uri(focus, kind):
            return v
    return None


def filter_rules(roster, focus):
    """{role: (ingress, egress)} of mediaFiltersRules in the audio view."""
    out = {}
    v = view(roster, focus)
    for f in v.iter(q(MSCI, "initialFilters")) if v is not None else []:
        text = {e.tag.rpartition("}")[2]: e.text for e in f}
        out[text.get("role")] = (text.get("ingressFilter"), text.get("egressFilter"))
    return out


class Steady:
    """with Steady(participant, ...): what happens inside publishes no document to them."""
    def __init__(self, *participants, wait=0.4):
        self.who, self.wait = participants, wait

    def __enter__(self):
        time.sleep(self.wait)
        self.before = [p.roster.version for p in self.who]
        return self

    def __exit__(self, kind, *_):
        if kind is None:
            time.sleep(self.wait)
            assert [p.roster.version for p in self.who] == self.before, "a document was published"


def same(*participants, timeout=5):
    """All arrive at one version and hold the same elements, which are those of getConference."""
    top = max(p.roster.version for p in participants)
    for p in participants:
        p.wait(f"version {top}", lambda: p.roster.version >= top, timeout)
    first = participants[0]
    for p in participants[1:]:
        if p.roster.version == first.roster.version:
            assert first.roster.difference(p.roster) == []
