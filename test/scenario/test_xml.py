# SPDX-License-Identifier: Apache-2.0
"""Hostile XML at every way into C3P: SERVICE, INVITE, INFO, scheduling over HTTPS, and what the servers say to each other over
HTTPS, at focusd and at the mcu. Malformed input is refused, odd input refused or understood, nothing is fetched or read,
memory stays, and the next good request at the same way is answered as ever.
"""
import contextlib
import http.client
import os
import select
import socket
import ssl
import time

import pytest

from conclave_test import c3p, certs
from conclave_test.c3p import CTYPE, Result, add_user, by_conf, factory_uri, request, service
from conclave_test.roster import CCCP, OC
from conclave_test.sip import Closed, SipError, insecure_tls
from conclave_test.sipmsg import digest
from conclave_test.stack import PARTS

ALICE, BOB = "sip:alice@conclave.test", "sip:bob@conclave.test"
REFUSED, UNDERSTOOD = "refused", "understood"
BULK = 150_000                          # bytes that the edge lets pass
SECONDS = 2.5                           # no answer takes longer, whatever is asked


@pytest.fixture(scope="module")
def web():
    """A listener that nobody may ever connect to."""
    s = socket.socket()
    s.bind(("127.0.0.1", 0))
    s.listen(8)
    yield s
    s.close()


def attacks(good, port):
    """{name: (bytes, may be understood)} made of a good request."""
    root = good[good.index(b"<re"):]                            # <request ...> or <response ...>
    tag, end = root.split(b" ", 1)[0], root.index(b">")
    inside = lambda what: root[:end + 1] + what + root[end + 1:]
    in_tag = lambda what: root[:end] + b" " + what + root[end:]
    doctype = lambda what: b"<!DOCTYPE r [" + what + b"]>"
    laughs = b"".join(b'<!ENTITY l%d "%s">' % (i, b"&l%d;" % (i - 1) * 10) for i in range(1, 10))
    url = b"http://127.0.0.1:%d/x" % port
    bad = {
        "nothing": b"", "blanks": b" \r\n\t", "noise": os.urandom(400), "text": b"hello", "cut in the middle": good[:len(good) // 2],
        "cut before the end": good[:-1], "two roots": root + root, "garbage behind": good + b"<", "a NUL": good.replace(b"requestId", b"\0requestId"),
        "a character that is none": inside(b"<x>&#0;</x>"), "another one": inside(b"<x>&#xFFFF;</x>"), "bad UTF-8": inside(b"<x>\xff\xfe</x>"),
        "overlong UTF-8": inside(b"<x>\xc0\xaf</x>"), "an unbound prefix": inside(b"<zz:x/>"), "an attribute twice": in_tag(b'requestId="1"'),
        "an open comment": inside(b"<!-- "), "an open CDATA": inside(b"<![CDATA[ "), "a wrong end": root.replace(b"</re", b"</ra"),
        "XML 7": b'<?xml version="7.0"?>' + root.replace(b"<", b"<<", 1),
        "depth": b"<a>" * 20000, "depth inside": inside(b"<a>" * 5000 + b"</a>" * 5000),
        "a document type": doctype(b"") + root, "an entity": doctype(b'<!ENTITY a "b">') + root, "laughs": doctype(b'<!ENTITY l0 "ha">' + laughs) + inside(b"<x>&l9;</x>"),
        "laughs in an attribute": doctype(b'<!ENTITY l0 "ha">' + laughs) + in_tag(b'x="&l9;"'),
        "blow-up": doctype(b'<!ENTITY a "' + b"a" * 50000 + b'">') + inside(b"<x>" + b"&a;" * 20000 + b"</x>"),
        "an entity that is not there": inside(b"<x>&nobody;</x>"), "a file": doctype(b'<!ENTITY f SYSTEM "file:///etc/passwd">') + inside(b"<x>&f;</x>"),
        "a web page": doctype(b'<!ENTITY f SYSTEM "' + url + b'">') + inside(b"<x>&f;</x>"),
        "an outside document type": b'<!DOCTYPE r SYSTEM "' + url + b'">' + root, "a public one": b'<!DOCTYPE r PUBLIC "-//X//Y" "' + url + b'">' + root,
        "parameter entities": doctype(b'<!ENTITY % p SYSTEM "' + url + b'"> %p;') + root,
        "an entity of itself": doctype(b'<!ENTITY a "&b;"><!ENTITY b "&a;">') + inside(b"<x>&a;</x>"),
        "default attributes": doctype(b'<!ATTLIST ' + tag[1:] + b' requestId CDATA "9">') + root, "a name without end": inside(b"<" + b"n" * 60000 + b"/>"),
    }
    odd = {
        "width": inside(b"<x/>" * (BULK // 4)), "attributes": inside(b"<x " + b" ".join(b'a%d="1"' % i for i in range(15000)) + b"/>"),
        "namespaces": inside(b"<x " + b" ".join(b'xmlns:n%d="u:%d"' % (i, i) for i in range(5000)) + b"/>"), "much text": inside(b"<x>" + b"t" * BULK + b"</x>"),
        "much CDATA": inside(b"<![CDATA[" + b"<" * BULK + b"]]>"), "comments": inside(b"<!-- x -->" * (BULK // 10)),
        "instructions": b'<?xml-stylesheet href="' + url + b'" type="text/xsl"?>' + inside(b"<?php die ?>" * 5000),
        "character references": inside(b"<x>" + b"&#65;" * (BULK // 5) + b"</x>"),
        "an inclusion": inside(b'<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="file:///etc/passwd" parse="text"/>'),
        "a schema elsewhere": in_tag(b'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:schemaLocation="u:x ' + url + b'"'),
        "a base elsewhere": in_tag(b'xml:base="' + url + b'"'), "UTF-16 as said": ('<?xml version="1.0" encoding="UTF-16"?>' + root.decode()).encode("utf-16"),
        "Latin 1": b'<?xml version="1.0" encoding="ISO-8859-1"?>' + inside(b"<x>\xe9</x>"), "a long attribute": in_tag(b'x="' + b"v" * BULK + b'"'),
        "a byte order mark": b"\xef\xbb\xbf" + root, "a request id without end": root.replace(b'requestId="', b'requestId="' + b"9" * 50000, 1),
        "a declaration too late": b"\n" + b'<?xml version="1.0"?>' + root,      # everything is read as UTF-8, whatever it says
        "an encoding that is none": b'<?xml version="1.0" encoding="klingon"?>' + root,
        "another encoding than said": b'<?xml version="1.0" encoding="UTF-16"?>' + root,
    }
    return {**{k: (v, False) for k, v in bad.items()}, **{k: (v, True) for k, v in odd.items()}}


# --- ways in: good(world) -> a request that is taken; send(world, bytes) -> (REFUSED or UNDERSTOOD or something else, answer's bytes)
class World:
    def __init__(self, stack):
        self.stack, self.ua = stack, stack.ua("alice", register=True)
        self.focus = c3p.schedule(self.ua, views=("audio-video", "chat"))
        self.guest = stack.ua("bob", register=True)
        self.call = c3p.join(self.ua, self.focus)
        self.audio = c3p.talk(self.ua, c3p.mcu_uri(self.focus))         # so the servers have the conference
        self.epoch = 1                                                  # it runs for the first time
        self.cert = {role: certs.issue(stack.dir, role, stack.dir / f"xml-{role}.pem", [f"{role}.conclave.internal", f"{role}-1.{role}.conclave.internal"])
                     for role in ("focus", "mcu")}

    def again(self):
        """After a connection that the edge has closed."""
        for ua in (self.ua, self.guest):
            if ua.closed.is_set():
                ua.close()
                ua.connect()
                ua.register()

    def envelope(self, command, frm, to, request_id="1", extra=""):
        return request(command, frm, to, request_id, f'xmlns:oc="{OC}" {extra}')


def by_sip(code, body):
    return (REFUSED if code in (400, 413, 415, 513) else UNDERSTOOD if code in (200, 202, 403, 603) else code), body


def by_service(w, body):
    r = service(w.ua, None, raw=body)
    assert r.sip != 400 or not r.msg.body, "a 400 has no body"
    return by_sip(r.sip, r.msg.body)


def by_info(w, body):
    r = w.call.info(None, raw=body)
    return by_sip(r.sip, r.msg.body)


def by_invite(w, body):
    try:
        call = w.guest.invite(w.focus, body, CTYPE)
    except SipError as e:
        return by_sip(e.code, e.msg.body)
    assert Result(call.answer).code == "success" and call.bye().code == 200
    return UNDERSTOOD, call.answer.body


def post(addr, path, body, ctx, headers=()):
    conn = http.client.HTTPSConnection(*addr, timeout=SECONDS, context=ctx)
    try:
        conn.request("POST", path, body, {"Content-Type": "application/cccp+xml; charset=utf-8", **dict(headers)})
        r = conn.getresponse()
        return r.status, r.read(), r.getheader("WWW-Authenticate")
    except (http.client.HTTPException, ConnectionError, ssl.SSLError):
        return 0, b"", None
    finally:
        conn.close()


def by_web(status, body):
    return (REFUSED if status in (0, 400, 413) else UNDERSTOOD if status in (200, 204, 409) else status), body


def by_tool(w, body):
    """Scheduling over HTTPS with alice's own credentials."""
    addr, path = (w.stack.host, w.stack.base + 14), "/LiveServer/FocusFactory/"
    w.nonce = getattr(w, "nonce", None) or post(addr, path, b"", insecure_tls())[2]
    for _ in range(2):
        status, answer, ask = post(addr, path, body, insecure_tls(), [("Authorization", digest(w.nonce, "POST", path, "alice", w.ua.password, count=tick(w)))])
        if status != 401:
            break
        w.nonce = ask
        w.ticks = 0
    return by_web(status, answer)


def tick(w):
    w.ticks = getattr(w, "ticks", 0) + 1
    return w.ticks


def by_server(part, path, role):
    def send(w, body):
        ctx = insecure_tls()
        ctx.load_cert_chain(w.cert[role])
        return by_web(*post(getattr(w.stack, part), path, body, ctx)[:2])
    return send


def info_document(w):
    return f'<oc:notify xmlns:ci="urn:ietf:params:xml:ns:conference-info"><ci:conference-info entity="{w.focus}" version="1" state="partial"/></oc:notify>'


def to_mcu(kind):
    return lambda w: w.envelope(f'<getConference>{c3p.by_conf("x", w.focus)[3:-4]}</getConference>', w.focus, c3p.mcu_uri(w.focus, kind), extra=f'oc:epoch="{w.epoch}"')


HEALTH = ('<ping><oc:health id="mcu-9" type="audio-video" instance="i" seq="1" state="draining" url="https://127.0.0.1:1/" contact="127.0.0.1:1" '
          'conferences="0" users="0" maxConferences="1" maxUsers="1" load="0"/></ping>')
WAYS = {
    "SERVICE": (lambda w: request("<getConferences/>", ALICE, factory_uri("alice"), 1), by_service),
    "INVITE": (lambda w: request(add_user(w.focus, BOB, c3p.guid()), BOB, w.focus, 1), by_invite),
    "INFO": (lambda w: request(by_conf("getConference", w.focus), ALICE, w.focus), by_info),
    "scheduling": (lambda w: request("<getConferences/>", ALICE, factory_uri("alice"), 1), by_tool),
    "factory-from-an-mcu": (lambda w: w.envelope(HEALTH, "sip:mcu-9;opaque=srvr:avmcu", "sip:focus-1;opaque=srvr:mcufactory"),
                            by_server("focus_http", "/LiveServer/MCUFactory/", "mcu")),
    "factory-from-a-focus": (lambda w: w.envelope(f'<getMCU><conferenceKeys confEntity="{w.focus}"/><mcuType>audio-video</mcuType></getMCU>', "sip:a", "sip:b"),
                             by_server("focus_http", "/LiveServer/MCUFactory/", "focus")),
    "focus-from-an-mcu": (lambda w: w.envelope(info_document(w), c3p.mcu_uri(w.focus), w.focus, extra=f'oc:epoch="{w.epoch}"'),
                          by_server("focus_http", "/LiveServer/Focus/", "mcu")),
    "late-response": (lambda w: (f'<?xml version="1.0"?>\n<response xmlns="{CCCP}" requestId="99999" from="{c3p.mcu_uri(w.focus)}" to="{w.focus}" '
                                 f'code="success"><addUser/></response>').encode(), by_server("focus_http", "/LiveServer/Focus/", "mcu")),
    "audio-mcu": (to_mcu("audio-video"), by_server("mcu_http", "/LiveServer/AVMCU/", "focus")),
    "chat-mcu": (to_mcu("chat"), by_server("mcu_http", "/LiveServer/IMMCU/", "focus")),
}


@pytest.fixture(scope="module")
def world(stack):
    return World(stack)


def resident(stack, part):
    with open(f"/proc/{stack.pid(part)}/statm") as f:
        return int(f.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def sent(send, world, body):
    """(outcome, answer, seconds); a connection that was closed is a refusal."""
    start = time.monotonic()
    try:
        outcome, answer = send(world, body)
    except Closed:
        outcome, answer = REFUSED, b""
        world.again()
    return outcome, answer, time.monotonic() - start


@pytest.mark.parametrize("way", WAYS)
def test_hostile_xml_at(way, stack, world, web):
    make, send = WAYS[way]
    assert sent(send, world, make(world))[0] == UNDERSTOOD, "the good one is taken"
    before = {p: (stack.pid(p), resident(stack, p)) for p in ("focusd", "mcu")}
    wrong = {}
    for name, (body, odd) in attacks(make(world), web.getsockname()[1]).items():
        outcome, answer, took = sent(send, world, body)
        if outcome != REFUSED and not (odd and outcome == UNDERSTOOD):
            wrong[name] = (outcome, answer[:200])
        if took > SECONDS:
            wrong[f"{name}, time"] = took
        if b"root:" in answer or b"nologin" in answer:
            wrong[f"{name}, file"] = answer[:200]
    assert not wrong, "\n".join(f"{k}: {v}" for k, v in wrong.items())
    assert not select.select([web], [], [], 0.2)[0], "somebody fetched what an attacker named"
    assert sent(send, world, make(world))[0] == UNDERSTOOD, "and is taken afterwards"
    for p, (pid, size) in before.items():
        assert stack.pid(p) == pid and resident(stack, p) - size < 48 << 20, f"{p} grew from {size >> 20} to {resident(stack, p) >> 20} MiB"


def test_after_all_of_it_the_same_processes_serve_the_same_conference(stack, world):
    assert all(stack.running(p) for p in PARTS)
    r = world.call.info(by_conf("getConference", world.focus))
    assert r.code == "success" and ALICE.encode() in r.msg.body
    assert not world.audio.ended.is_set()
    with contextlib.suppress(SipError):
        world.audio.close()
    assert world.call.bye().code == 200
