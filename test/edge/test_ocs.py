# SPDX-License-Identifier: Apache-2.0
"""OCS-style clients at the edge, as small peers that send what pidgin-sipe sends; the real client is in test/interop."""
import pytest

from sip import Msg, digest, reply_to, token
from test_calls import FOCUS, SDP, focus_accepts, routes_of

DOMAIN = "sip:conclave.test"
OCS = ["Event: registration", "Allow-Events: presence", "ms-keep-alive: UAC;hop-hop=yes",
       "Supported: gruu-10, adhoclist, msrtc-event-categories, com.microsoft.msrtc.presence"]
SUBSCRIBE = ["Supported: com.microsoft.autoextend", "Supported: ms-benotify", "Proxy-Require: ms-benotify",
             "Supported: ms-piggyback-first-notify"]
INVITATION = b'<Conferencing version="2.0"><focus-uri>F</focus-uri><subject></subject><im available="true"><first-im/></im></Conferencing>'


def uuid(n):
    return f"00000000-1111-2222-3333-{n:012d}"


def gruu(user, n):
    return f"sip:{user}@conclave.test;opaque=user:epid:{uuid(n)};gruu"


def register(c, user, password, name=None, n=1, callid=None, expires=None, **kw):
    """As the client does it: the same branch, Call-ID and CSeq again with credentials for the URI "(null)"."""
    kw = dict(user=user, to=f"sip:{user}@conclave.test", callid=callid or token("ocs"), branch="z9hG4bK" + token("b"),
              contact=f'<sip:{c.me};transport={c.proto};ms-opaque=d3470f2e1d>;methods="INVITE, MESSAGE";proxy=replace;'
                      f'+sip.instance="<urn:uuid:{uuid(n)}>"', **kw)
    extra = OCS + ([f"Expires: {expires}"] if expires is not None else [])
    c.send(c.request("REGISTER", DOMAIN, extra=extra, **kw))
    challenge = c.wait(407)
    assert not challenge.get("WWW-Authenticate")
    c.send(c.request("REGISTER", DOMAIN, extra=extra + [digest(challenge, name or user, password, "REGISTER", "(null)")], **kw))


def signed_on(group, user, proto="tls", n=1, **kw):
    c = group.client(proto)
    register(c, user, group.passwords[user], n=n, **kw)
    c.ok = c.wait(200)
    return c


def without_branch(data):
    first, via, rest = data.split(b"\r\n", 2)
    return b"\r\n".join([first, via.split(b";")[0], rest])


@pytest.mark.parametrize("proto,name", [("tls", "alice"), ("tcp", "alice@conclave.test")])
def test_the_answer_to_register_is_what_the_client_needs(group, proto, name):
    ok = signed_on(group, "alice", proto, name=name).ok
    assert ok.get("Expires") == "600" and ok.get("Server") == "RTC/3.5"
    assert "msrtc-event-categories" in ok.all("Supported")
    assert ok.get("Allow-Events").startswith("vnd-microsoft-provisioning-v2,") and " " not in ok.get("Allow-Events")
    assert "timeout=300" in ok.get("ms-keep-alive")
    assert f'gruu="{gruu("alice", 1)}"' in ok.get("Contact") and ok.get("Contact").startswith("<sip:")


def test_a_wrong_password_and_another_users_name_are_refused(group):
    c = group.client("tls")
    register(c, "alice", "wrong")
    assert "Wrong name or password" in c.wait(403).get("Warning")        # not 407: it would try the same one up to 30 times
    register(c, "bob", group.passwords["alice"], name="alice")
    c.wait(403)
    c.send(c.request("SUBSCRIBE", "sip:bob@conclave.test", user="bob", extra=["Event: vnd-microsoft-provisioning-v2"]))
    c.wait(407)
    c.close()


def test_other_clients_are_challenged_and_answered_as_before(group):
    c = group.client("tcp")
    c.authed("REGISTER", DOMAIN, group.passwords["alice"], expect=401, to="sip:alice@conclave.test")
    ok = c.wait(200)
    assert not ok.get("Server") and not ok.get("ms-keep-alive") and not ok.get("Allow-Events")
    c.send(c.request("SUBSCRIBE", "sip:alice@conclave.test", extra=["Event: vnd-microsoft-provisioning-v2"]))
    c.wait(407)
    c.close()


def test_a_user_is_provisioned_with_his_own_focus_factory(group):
    c = signed_on(group, "alice")
    c.send(c.request("SUBSCRIBE", "sip:alice@conclave.test", extra=["Event: vnd-microsoft-provisioning-v2", "Expires: 0"] + SUBSCRIBE))
    r = c.wait(200)
    assert r.get("ms-piggyback-cseq") == "1" and r.get("Event") == "vnd-microsoft-provisioning-v2"
    assert r.get("Content-Type") == "application/vnd-microsoft-roaming-provisioning-v2+xml"
    assert b"<focusFactoryUri>sip:alice@conclave.test;gruu;opaque=app:conf:focusfactory</focusFactoryUri>" in r.body
    assert b"<ucPC2PCAVEncryption>RequireEncryption<" in r.body
    assert len(r.body) == int(r.get("Content-Length"))
    c.close()


def test_what_it_asks_about_itself_is_answered_and_the_rest_gets_489_or_4xx(group):
    c = signed_on(group, "alice")
    me = "sip:alice@conclave.test"

    def subscribe(uri, event, **kw):
        c.send(c.request("SUBSCRIBE", uri, extra=[f"Event: {event}"] + SUBSCRIBE, **kw))

    subscribe(me, "vnd-microsoft-roaming-self")
    r = c.wait(200)
    assert b"roamingData" in r.body and r.get("subscription-state").startswith("active")
    # a refresh in the dialog goes to the Contact that it got
    subscribe(r.get("Contact").strip("<>"), "vnd-microsoft-roaming-self", callid=r.get("Call-ID"), cseq=2, to=me,
              to_tag=r.get("To").split("tag=")[1])
    assert c.wait(200).get("CSeq") == "2 SUBSCRIBE"
    for uri, event in ((me, "vnd-microsoft-roaming-contacts"), ("sip:bob@conclave.test", "presence"), (me, "presence"),
                       ("sip:bob@conclave.test", "vnd-microsoft-roaming-self")):
        subscribe(uri, event)
        assert "provisioning" in c.wait(489).get("Allow-Events")
    for kind in ("setcontainermembers", "category-publish"):
        c.send(c.request("SERVICE", me, body=b"<x/>", ctype=f"application/msrtc-{kind}+xml"))
        assert c.wait(200).get("CSeq").endswith("SERVICE")
    c.send(c.request("SERVICE", me, body=b"<x/>", ctype="application/SOAP+xml"))
    c.wait(501)
    c.send(c.request("INVITE", "sip:ocschat@conclave.test", body=SDP))
    c.wait(404)
    c.close()


def test_its_connection_is_bound_to_its_user_and_to_nobody_else(group, daemons):
    focus, _ = daemons
    focus.answer = focus_accepts
    c = signed_on(group, "alice", "tcp")      # over TLS every client's is
    c.send(without_branch(c.request("INVITE", FOCUS, body=b"<request/>", ctype="application/cccp+xml", contact=f"<{gruu('alice', 1)}>")))
    assert focus.wait("INVITE").all("P-Asserted-Identity") == ["<sip:alice@conclave.test>"]
    c.wait(200)
    c.send(c.request("INVITE", FOCUS, user="bob"))
    c.wait(407)
    c.send(c.request("INVITE", FOCUS, from_uri="sip:alice@elsewhere.example"))
    c.wait(407)
    d = group.client("tls")
    d.send(d.request("INVITE", FOCUS, user="alice"))
    d.wait(407)
    d.close()
    c.send(c.request("REGISTER", DOMAIN, to="sip:alice@conclave.test", extra=OCS + ["Expires: 0"], contact=f"<sip:{c.me};transport=tcp>"))
    assert c.wait(200).get("Expires") == "0"
    c.send(c.request("INVITE", FOCUS))
    c.wait(407)
    c.close()


def test_two_clients_of_the_same_second_are_kept_apart(group, daemons):
    """They send the same Call-IDs, tags, CSeqs and branches to the same focus URI."""
    focus, _ = daemons
    answered = []

    def answer(msg):
        if msg.is_reply or msg.method == "ACK":
            return []
        answered.append(msg)
        return [reply_to(msg, 200, "OK", f"<{FOCUS}>;isfocus", tag="ft" + msg.get("P-Asserted-Identity")[5:8])]

    focus.answer = answer
    users = {u: signed_on(group, u, n=n, callid="samecallid") for n, u in enumerate(("alice", "bob"), 1)}
    for user, c in users.items():                           # outside a dialog they give a branch: the same
        c.send(c.request("SERVICE", f"sip:{user}@conclave.test;gruu;opaque=app:conf:focusfactory", user=user, callid="sameservice",
                         tag="sametag", branch="z9hG4bK130C34790E4D10C47D3E", body=b"<request/>", ctype="application/cccp+xml"))
    for user, c in users.items():
        assert c.wait(200).get("To").endswith("tag=ft" + user[:3])
    answered.clear()
    for user, c in users.items():
        c.send(without_branch(c.request("INVITE", FOCUS, user=user, callid="samedialog", tag="sametag", contact=f"<{gruu(user, 1)}>")))
    for user, c in users.items():
        ok = c.wait(200)
        assert ok.get("To").endswith("tag=ft" + user[:3])
        c.ack(ok, FOCUS, routes_of(ok), user=user)
    for user, c in users.items():
        c.send(without_branch(c.request("INFO", FOCUS, user=user, callid="samedialog", tag="sametag", cseq=2, to=FOCUS,
                                        to_tag="ft" + user[:3], body=b"<request/>", ctype="application/cccp+xml")))
        assert c.wait(200).get("CSeq") == "2 INFO"
        assert answered[-1].get("P-Asserted-Identity") == f"<sip:{user}@conclave.test>"
    # the focus speaks to each by the Contact of its own INVITE
    for msg in answered[:2]:
        user = msg.get("P-Asserted-Identity")[5:8]
        out = focus.out()
        out.send(out.request("BENOTIFY", msg.get("Contact").strip("<>"), from_uri=FOCUS, callid="samedialog", body=b"<x/>",
                             tag="ft" + user, to=msg.get("From").split(">")[0].strip("<"), to_tag="sametag"))
        c = next(c for u, c in users.items() if u.startswith(user))
        c.wait("BENOTIFY")
        out.close()
    for c in users.values():
        assert c.silent()
        c.close()


def test_a_gruu_finds_the_client_that_it_names(group, daemons):
    _, mcu = daemons
    one, two = (signed_on(group, "carol", n=n) for n in (1, 2))
    out = mcu.out()
    for n, there, other in ((1, one, two), (2, two, one)):
        out.send(out.request("INVITE", gruu("carol", n), from_uri=FOCUS, body=SDP, contact=f"<{FOCUS};oc-mcu=mcu-1>"))
        invite = there.wait("INVITE")
        there.send(reply_to(invite, 486, "Busy"))
        there.wait("ACK")
        out.wait(486)
        assert other.silent(0.3)
    out.send(out.request("INVITE", gruu("carol", 3), from_uri=FOCUS, body=SDP))
    assert "21012" in out.wait(480).get("ms-diagnostics")
    # without a GRUU its Contact has the port of its connection and maddr
    two.close()
    host, port = one.me.split(":")
    out.send(out.request("NOTIFY", f"sip:carol@conclave.test:{port};maddr={host};transport=tls", from_uri=FOCUS, to="sip:carol@conclave.test",
                         to_tag="x", extra=["Event: conference"]))
    one.send(reply_to(one.wait("NOTIFY"), 200, "OK"))
    out.wait(200)
    for c in (one, out):
        c.close()


def test_an_invitation_reaches_the_other_client_and_its_dialog_ends_by_gruu(group):
    a, b = signed_on(group, "alice", n=1), signed_on(group, "bob", n=2)
    a.send(without_branch(a.request("INVITE", "sip:bob@conclave.test", body=INVITATION, ctype="application/ms-conf-invite+xml",
                                    contact=f"<{gruu('alice', 1)}>")))
    invite = b.wait("INVITE")
    assert invite.body == INVITATION and invite.get("Content-Type") == "application/ms-conf-invite+xml"
    b.send(reply_to(invite, 200, "OK", f"<{gruu('bob', 2)}>", tag="bt"))
    ok = a.wait(200)
    a.send(without_branch(a.request("ACK", gruu("bob", 2), callid=ok.get("Call-ID"), to="sip:bob@conclave.test", to_tag="bt",
                                    routes=routes_of(ok))))
    assert b.wait("ACK").get("CSeq") == "1 ACK"
    b.send(without_branch(b.request("BYE", gruu("alice", 1), user="bob", callid=ok.get("Call-ID"), tag="bt", to="sip:alice@conclave.test",
                                    to_tag="ft1", routes=invite.all("Record-Route"))))
    a.send(reply_to(a.wait("BYE"), 200, "OK"))
    b.wait(200)
    a.close()
    b.close()


def test_what_comes_for_a_client_that_is_gone_is_refused_but_a_benotify_is_not_answered(group, daemons):
    focus, _ = daemons
    c = signed_on(group, "bob", n=9)
    c.close()
    out = focus.out()
    for method in ("BENOTIFY", "NOTIFY"):
        out.send(out.request(method, gruu("bob", 9), from_uri=FOCUS, to="sip:bob@conclave.test", to_tag="x", extra=["Event: conference"]))
    assert Msg is type(out.wait(480)) and [m.method for m in out.seen] == ["NOTIFY"]
    out.close()

def test_the_focus_is_told_when_a_clients_connection_ends_and_the_edge_answers_for_it(group, daemons):
    focus, _ = daemons
    c = signed_on(group, "bob", n=9)
    host, port = c.me.split(":")
    c.close()
    focus.answer = focus_accepts
    told = focus.wait("OPTIONS", 5)
    assert c.me in told.all("Conclave-Gone")
    out = focus.out()
    out.send(out.request("OPTIONS", f"{gruu('bob', 9)};alias={host}~{port}~3", from_uri=FOCUS, to="sip:bob@conclave.test", to_tag="x"))
    out.wait(481)
    out.close()
