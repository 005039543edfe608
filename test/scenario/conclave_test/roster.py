# SPDX-License-Identifier: Apache-2.0
"""The conference document as a strict client keeps it (RFC 4575 4.6 and Microsoft's partial parts).

Roster.apply() takes one document: a full one replaces everything, a partial one must follow the last version without
a gap and is merged part by part. Every document is also held against the schema of RFC 4575 (test/data/conference-info.xsd)
and against a model of what stands in no schema: values, keys, states. What does not fit raises RosterError, so a test sees
the first wrong document.
"""
from copy import deepcopy
from functools import lru_cache
from pathlib import Path

from lxml import etree

CI = "urn:ietf:params:xml:ns:conference-info"
MSCI = "http://schemas.microsoft.com/rtc/2005/08/confinfoextensions"
CCCP = "urn:ietf:params:xml:ns:cccp"
MSCP = "http://schemas.microsoft.com/rtc/2005/08/cccpextensions"
OC = "urn:x-conclave:c3p:1"
NS = {"ci": CI, "msci": MSCI, "c": CCCP, "mscp": MSCP, "oc": OC}


class RosterError(AssertionError):
    pass


@lru_cache(None)
def schema():
    return etree.XMLSchema(etree.parse(Path(__file__).resolve().parents[2] / "data" / "conference-info.xsd"))


def hold_to_schema(e):
    """Raises RosterError with the first faults when a conference-info element is none by RFC 4575."""
    doc = etree.ElementTree(deepcopy(e))        # alone: a part of a response is its own document
    if not schema().validate(doc):
        raise RosterError(f"not by the schema: {[f'{x.line}: {x.message}' for x in list(schema().error_log)[:4]]}")


def q(ns, name):
    return f"{{{ns}}}{name}"


def local(e):
    return etree.QName(e).localname


# --- the model: children in their order; what carries another namespace comes after them
ORDER = {
    "conference-info": "conference-description host-info conference-state users sidebars-by-ref sidebars-by-val",
    "conference-description": "display-text subject free-text keywords conf-uris service-uris maximum-user-count available-media",
    "conf-uris": "entry*",
    "conference-state": "user-count active locked", "users": "user*",
    "user": "display-text associated-aors roles languages cascaded-focus endpoint*",
    "endpoint": "display-text referred status joining-method joining-info disconnection-method disconnection-info media* call-info",
    "media": "display-text type label src-id status", "call-info": "sip", "sip": "display-text call-id from-tag to-tag",
    "joining-info": "when reason by", "disconnection-info": "when reason by", "referred": "when reason by",
}
VALUES = {
    ("endpoint", "status"): {"pending", "dialing-out", "dialing-in", "alerting", "on-hold", "connected", "muted-via-focus",
                             "disconnecting", "disconnected"},
    ("endpoint", "joining-method"): {"dialed-in", "dialed-out", "focus-owner"},
    ("endpoint", "disconnection-method"): {"departed", "booted", "failed", "busy"},
    ("media", "status"): {"sendrecv", "sendonly", "recvonly", "inactive"},
    ("media", "media-ingress-filter"): {"block", "unblock"}, ("media", "media-egress-filter"): {"block", "unblock"},
    ("roles", "entry"): {"presenter", "attendee"},
    ("conference-state", "active"): {"true", "false"}, ("conference-state", "locked"): {"true", "false"},
    ("entity-state", "active"): {"true", "false"}, ("entity-state", "locked"): {"true", "false"},
}
KEYS = {(CI, "user"): "entity", (CI, "endpoint"): "entity", (CI, "media"): "id", (CI, "conference-info"): "entity",
        (MSCI, "entity-view"): "entity"}
SESSION_TYPES = {"focus", "chat", "audio-video", "applicationsharing", "meeting", "phone-conf"}
STATES = {"full", "partial", "deleted"}


def key_of(e):
    """Name of the attribute that identifies e among its kind, or None."""
    name = etree.QName(e)
    return KEYS.get((name.namespace, name.localname))


def state_of(e):
    return e.get("state") or e.get(q(CI, "state")) or "full"


def validate(e, parent_state="full"):
    """Raises RosterError when e breaks the model; parent_state: of the nearest element that has one."""
    name = local(e)
    state = state_of(e)
    if state not in STATES:
        raise RosterError(f"{name} with state {state!r}")
    if key_of(e) and not e.get(key_of(e)):
        raise RosterError(f"{name} without {key_of(e)}")
    has_state = "state" in e.attrib or q(CI, "state") in e.attrib
    if has_state and parent_state == "full" and state != "full":
        raise RosterError(f"{name} is {state} inside a full parent")
    if name in ORDER and e.tag.startswith("{" + CI):
        _order(e, name)
    for c in e:
        if isinstance(c.tag, str):
            allowed = VALUES.get((name, local(c)))
            if allowed and (c.text or "").strip() not in allowed:
                raise RosterError(f"{name}/{local(c)} is {c.text!r}")
            validate(c, state if has_state else parent_state)
    if name == "user" and state == "full" and len(e.findall("ci:roles/ci:entry", NS)) != 1:
        raise RosterError(f"user {e.get('entity')} needs exactly one role")
    if name == "endpoint" and state == "full":
        if e.find("ci:status", NS) is None:
            raise RosterError(f"endpoint {e.get('entity')} without status")
        if e.get(q(MSCI, "session-type")) not in SESSION_TYPES:
            raise RosterError(f"endpoint with session-type {e.get(q(MSCI, 'session-type'))!r}")
    for key in ("user", "endpoint", "media"):
        ids = [c.get(KEYS[CI, key]) for c in e.findall(f"ci:{key}", NS)]
        if len(ids) != len(set(ids)):
            raise RosterError(f"{name} with two {key} of the same key: {ids}")


def _order(e, name):
    order = ORDER[name].replace("*", "").split()
    many = {w.rstrip("*") for w in ORDER[name].split() if w.endswith("*")}
    position, foreign = 0, None
    for c in e:
        if not isinstance(c.tag, str):
            continue
        if not c.tag.startswith("{" + CI):
            foreign = local(c)
            continue
        if foreign:
            raise RosterError(f"{name}/{local(c)} stands after {foreign}, which is not of RFC 4575")
        if local(c) not in order:
            raise RosterError(f"{name} has no child {local(c)}")
        at = order.index(local(c))
        if at < position or (at == position - 1 and local(c) not in many):
            raise RosterError(f"{name}/{local(c)} is out of order")
        position = at if local(c) in many else at + 1


def canonical(e):
    """Nested tuples to compare documents: no state, no version, keyed children sorted by their key."""
    skip = {"state", "version", q(CI, "state")}
    attrs = tuple(sorted((k, v) for k, v in e.attrib.items() if k not in skip))
    kids = [canonical(c) for c in e if isinstance(c.tag, str)]
    if any(key_of(c) for c in e if isinstance(c.tag, str)):
        kids.sort(key=repr)
    return (e.tag, attrs, (e.text or "").strip(), tuple(kids))


def differences(a, b, path=""):
    """Where two canonical forms differ, as readable lines."""
    here = f"{path}/{etree.QName(a[0]).localname}" + "".join(f"[{v}]" for k, v in a[1] if k in ("entity", "id"))
    out = []
    if a[:3] != b[:3]:
        out.append(f"{here}: {a[1:3]} | {b[1:3]}" if a[0] == b[0] else f"{here} | {b[0]}")
    if a[0] == b[0]:
        left, right = [k for k in a[3] if k not in b[3]], [k for k in b[3] if k not in a[3]]
        for k, other in zip(left, right):
            out += differences(k, other, here)
        for k in left[len(right):]:
            out.append(f"{here}: only left {etree.QName(k[0]).localname} {k[1:3]}")
        for k in right[len(left):]:
            out.append(f"{here}: only right {etree.QName(k[0]).localname} {k[1:3]}")
    return out


class Roster:
    def __init__(self, entity=None):
        self.entity, self.version, self.tree, self.history, self.deleted = entity, None, None, [], False
        self.full_version = None

    def __call__(self, body):
        self.apply(body)

    def apply(self, body):
        root = etree.fromstring(body, etree.XMLParser(resolve_entities=False, remove_blank_text=True))
        if root.tag != q(CI, "conference-info"):
            raise RosterError(f"root is {root.tag}")
        hold_to_schema(root)
        validate(root, state_of(root))
        if self.entity and root.get("entity") != self.entity:
            raise RosterError(f"document of {root.get('entity')}, not of {self.entity}")
        version, state = int(root.get("version", "-1")), state_of(root)
        if version < 1 or version >= 2 ** 32:
            raise RosterError(f"version {root.get('version')!r}")
        self.history.append((version, state))
        if state == "full":
            self._full(root, version)
        elif state == "partial":
            self._partial(root, version)
        else:
            self.deleted = True
        self._check_whole()

    def _full(self, root, version):
        if self.version is not None and version < self.version:
            raise RosterError(f"a full document of version {version} after {self.version}")
        if version == self.version:
            diff = differences(canonical(self.tree), canonical(root))
            if diff:
                raise RosterError(f"full document of version {version} is not what the partial ones made: {diff}")
        self.tree, self.version, self.full_version = root, version, version

    def _partial(self, root, version):
        if self.tree is None:
            raise RosterError("the first document is a partial one")
        if version != self.version + 1:
            raise RosterError(f"version {version} after {self.version}: {self.history[-6:]}")
        for user in root.findall("ci:users/ci:user", NS):
            if state_of(user) == "partial":
                raise RosterError(f"user {user.get('entity')} is sent in part; whole users only")
        # A full document may be ahead of its version: what waits for the next one shows in it already.
        _merge(self.tree, root, strict=version != self.full_version + 1)
        self.tree.set("version", str(version))
        self.version = version

    def _check_whole(self):
        count = self.tree.findtext("ci:conference-state/ci:user-count", namespaces=NS)
        users = self.tree.findall("ci:users/ci:user", NS)
        if count is not None and int(count) != len(users):
            raise RosterError(f"user-count {count}, but {len(users)} users in version {self.version}")

    # --- reading
    def user(self, entity):
        """The user element, or None."""
        for u in self.tree.findall("ci:users/ci:user", NS) if self.tree is not None else []:
            if u.get("entity").lower() == entity.lower():
                return u
        return None

    @property
    def users(self):
        """entity -> plain description, to be compared as a whole with what a test expects."""
        found = self.tree.findall("ci:users/ci:user", NS) if self.tree is not None else []
        return {u.get("entity"): describe_user(u) for u in found}

    def endpoints(self, entity, session_type=None):
        u = self.user(entity)
        return [e for e in (u.findall("ci:endpoint", NS) if u is not None else [])
                if session_type in (None, e.get(q(MSCI, "session-type")))]

    def connected(self, entity, session_type):
        return any(e.findtext("ci:status", namespaces=NS) == "connected" for e in self.endpoints(entity, session_type))

    def media(self, entity, media_type="audio"):
        """(endpoint entity, media element) of a user's first connected medium of that type, or None."""
        for e in self.endpoints(entity, "audio-video"):
            for m in e.findall("ci:media", NS):
                if m.findtext("ci:type", namespaces=NS) == media_type:
                    return e.get("entity"), m
        return None

    def ingress(self, entity):
        found = self.media(entity)
        return found[1].findtext("msci:media-ingress-filter", namespaces=NS) if found else None

    def role(self, entity):
        u = self.user(entity)
        return u.findtext("ci:roles/ci:entry", namespaces=NS) if u is not None else None

    def state(self, name):
        return self.tree.findtext(f"ci:conference-state/ci:{name}", namespaces=NS) if self.tree is not None else None

    @property
    def locked(self):
        """Of the conference and of every entity-view: {'conference': bool, URI: bool}."""
        out = {"conference": self.state("locked") == "true"}
        for v in self.tree.findall("msci:conference-view/msci:entity-view", NS):
            out[v.get("entity")] = v.findtext("msci:entity-state/msci:locked", namespaces=NS) == "true"
        return out

    def conf_uri(self, purpose):
        for e in self.tree.findall("ci:conference-description/ci:conf-uris/ci:entry", NS):
            if e.findtext("ci:purpose", namespaces=NS) == purpose:
                return e.findtext("ci:uri", namespaces=NS)
        return None

    def difference(self, other):
        """Between this roster and another one (a Roster or a conference-info element)."""
        return differences(canonical(self.tree), canonical(other.tree if isinstance(other, Roster) else other))


def describe_user(u):
    out = {"role": u.findtext("ci:roles/ci:entry", namespaces=NS), "endpoints": {}}
    for e in u.findall("ci:endpoint", NS):
        media = {m.findtext("ci:type", namespaces=NS): (m.findtext("ci:status", namespaces=NS),
                 m.findtext("msci:media-ingress-filter", namespaces=NS) or "unblock") for m in e.findall("ci:media", NS)}
        kind = e.get(q(MSCI, "session-type"))
        out["endpoints"].setdefault(kind, []).append((e.findtext("ci:status", namespaces=NS), media))
    return out


# --- merging
def _merge(old, new, strict=True):
    """Merges a partial element into old, children by name and key. strict: what is deleted must have been there."""
    for name, value in new.attrib.items():
        if name not in ("state", q(CI, "state")):
            old.set(name, value)
    replaced = set()
    for child in new:
        if not isinstance(child.tag, str):
            continue
        key = key_of(child)
        same = [c for c in old if c.tag == child.tag and (not key or c.get(key) == child.get(key))]
        if state_of(child) == "deleted":
            if same:
                old.remove(same[0])
            elif strict:
                raise RosterError(f"{local(child)} {child.get(key)} is deleted but was not there")
        elif state_of(child) == "partial" and same:
            _merge(same[0], child, strict)
        elif state_of(child) == "partial":
            raise RosterError(f"{local(child)} {child.get(key) if key else ''} is partial but was not there")
        elif same and (child.tag, child.get(key) if key else None) not in replaced:
            replaced.add((child.tag, child.get(key) if key else None))
            for extra in same[1:]:
                old.remove(extra)
            old.replace(same[0], deepcopy(child))
        else:
            _insert(old, deepcopy(child))


def _insert(old, child):
    order = ORDER.get(local(old), "").replace("*", "").split()
    rank = lambda e: order.index(local(e)) if local(e) in order else len(order)
    for i, c in enumerate(old):
        if isinstance(c.tag, str) and rank(c) > rank(child):
            old.insert(i, child)
            return
    old.append(child)
