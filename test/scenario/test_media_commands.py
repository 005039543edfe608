# SPDX-License-Identifier: Apache-2.0
"""Commands that the audio-video MCU executes: mute all with exceptions and for newcomers, adding and removing media, roles
of endpoints, changes of the conference."""
from xml.sax.saxutils import quoteattr

import pytest

from conclave_test import c3p, im

A, B, C = 520, 930, 1210
ALL = [A, B, C]
BOB, CAROL = "sip:bob@conclave.test", "sip:carol@conclave.test"


def filters(focus, role=None, ingress=None, own=None, media="audio", kind="audio-video", excepted=()):
    def leaf(name, value):
        return f"<{name}>{value}</{name}>" if value is not None else ""
    return (f"<modifyUsersMediaFilters mscp:mcuUri={quoteattr(c3p.mcu_uri(focus, kind))}><conferenceKeys "
            f"confEntity={quoteattr(focus)}/>{leaf('role', role)}<media><type>{media}</type></media>{leaf('ingressFilter', ingress)}"
            f"{leaf('mayModifyOwnFilters', own)}{''.join(leaf('exceptUser', u) for u in excepted)}</modifyUsersMediaFilters>")


def keyed(command, focus, user, endpoint, inner="", media_id=None, kind="audio-video"):
    key = "mediaKeys" if media_id else "endpointKeys"
    media = f' mediaId="{media_id}"' if media_id else ""
    return (f"<{command} mscp:mcuUri={quoteattr(c3p.mcu_uri(focus, kind))}><{key} confEntity={quoteattr(focus)} "
            f'userEntity="{user}" endpointEntity={quoteattr(endpoint)}{media}/>{inner}</{command}>')


@pytest.fixture
def three(stack, end):
    alice = stack.ua("alice")
    focus = c3p.schedule(alice, views=("audio-video", "chat"))
    return [end(c3p.Participant(ua, focus, tone)) for ua, tone in ((alice, A), (stack.ua("bob"), B), (stack.ua("carol"), C))]


def ok(r):
    assert r.code == "success", r


def endpoint_of(p, user):
    p.wait(f"audio of {user}", lambda: p.roster.media(user))
    return p.roster.media(user)[0]


def test_all_attendees_are_muted_but_not_who_asked_and_newcomers_are_too(three, stack, end):
    a, b, c = three
    a.leg.wait_heard({B, C}, ALL)
    ok(a.focus.info(filters(a.focus_uri, "attendee", "block")))
    a.leg.wait_heard(set(), ALL)
    b.leg.wait_heard({A}, ALL)
    for u in (BOB, CAROL):
        a.wait(f"{u} is muted", lambda: a.roster.ingress(u) == "block")
    assert a.roster.ingress("sip:alice@conclave.test") == "unblock"
    d = end(c3p.Participant(stack.ua("dave"), a.focus_uri, 1500))
    a.wait("dave is muted", lambda: a.roster.ingress("sip:dave@conclave.test") == "block")
    assert a.leg.heard([1500]) == set()
    ok(a.focus.info(filters(a.focus_uri, "attendee", "unblock")))
    a.leg.wait_heard({B, C}, ALL)
    d.close()


def test_who_is_excepted_stays_open_and_a_promotion_lifts_the_block(three):
    a, b, c = three
    ok(a.focus.info(filters(a.focus_uri, "attendee", "block", excepted=[BOB])))
    a.leg.wait_heard({B}, ALL)
    ok(a.focus.info(c3p.role(a.focus_uri, CAROL, "presenter")))
    a.leg.wait_heard({B, C}, ALL)
    ok(a.focus.info(c3p.role(a.focus_uri, CAROL, "attendee")))
    a.leg.wait_heard({B}, ALL)


def test_muted_attendees_may_or_may_not_open_themselves(three):
    a, b, c = three
    ok(a.focus.info(filters(a.focus_uri, "attendee", "block")))
    a.leg.wait_heard(set(), ALL)
    ok(b.focus.info(c3p.mute(a.focus_uri, BOB, endpoint_of(b, BOB), 1, block=False)))
    a.leg.wait_heard({B}, ALL)
    ok(a.focus.info(filters(a.focus_uri, "attendee", "block", own="false")))
    a.leg.wait_heard(set(), ALL)
    r = b.focus.info(c3p.mute(a.focus_uri, BOB, endpoint_of(b, BOB), 1, block=False))
    assert (r.code, r.reason) == ("failure", "unauthorized"), r
    c.leg.dtmf("*6")
    assert a.leg.keeps_hearing(set(), ALL, 0.6) is None
    ok(a.focus.info(c3p.mute(a.focus_uri, BOB, endpoint_of(b, BOB), 1, block=False)))
    a.leg.wait_heard({B}, ALL)


def test_media_filters_are_for_presenters_and_for_audio(three):
    a, b, _ = three
    assert b.focus.info(filters(a.focus_uri, "attendee", "block")).reason in ("unauthorized", "forbidden")
    assert a.focus.info(filters(a.focus_uri, "attendee", "block", media="video")).reason == "mediaNotSupported"
    assert a.focus.info(filters(a.focus_uri, "boss", "block")).reason == "invalidRole"
    assert a.focus.info(filters(a.focus_uri, "attendee", "maybe")).reason == "requestMalformed"


def test_a_second_medium_is_refused_and_the_only_one_taken_away_ends_the_leg(three):
    a, b, _ = three
    bob = endpoint_of(a, BOB)
    add = '<ci:media id="2"><ci:type>%s</ci:type><ci:status>sendrecv</ci:status></ci:media>'
    assert a.focus.info(keyed("addEndpointMedia", a.focus_uri, BOB, bob, add % "audio")).reason in ("mediaExists", "mediaExistsAlready")
    assert a.focus.info(keyed("addEndpointMedia", a.focus_uri, BOB, bob, add % "video")).reason == "mediaNotSupported"
    assert a.focus.info(keyed("deleteEndpointMedia", a.focus_uri, BOB, bob, media_id="2")).reason == "mediaDoesntExist"
    ok(a.focus.info(keyed("deleteEndpointMedia", a.focus_uri, BOB, bob, media_id="1")))
    assert b.audio.ended.wait(5)
    a.wait("bob's audio is gone", lambda: not a.roster.endpoints(BOB, "audio-video"))
    assert a.roster.user(BOB) is not None


def test_an_endpoint_has_a_role_of_its_own(three):
    a, _, _ = three
    bob = endpoint_of(a, BOB)
    ok(a.focus.info(keyed("modifyEndpointRole", a.focus_uri, BOB, bob, "<ci:roles><ci:entry>presenter</ci:entry></ci:roles>")))
    a.wait("the endpoint's role", lambda: a.roster.endpoints(BOB, "audio-video")[0].findtext(
        "msci:roles/ci:entry", namespaces=c3p.NS) == "presenter")
    assert a.roster.role(BOB) == "attendee"
    assert a.focus.info(keyed("modifyEndpointRole", a.focus_uri, BOB, bob,
                              "<ci:roles><ci:entry>king</ci:entry></ci:roles>")).reason == "invalidRole"


def test_modify_conference_mutes_by_rules_and_chat_has_none(three):
    a, b, _ = three

    def change(kind, state):
        view = c3p.mcu_uri(a.focus_uri, kind)
        return (f'<modifyConference mscp:mcuUri={quoteattr(view)}><conferenceKeys confEntity={quoteattr(a.focus_uri)}/>'
                f'<ci:conference-info entity={quoteattr(a.focus_uri)} state="partial"><msci:conference-view ci:state="partial">'
                f'<msci:entity-view ci:state="partial" entity={quoteattr(view)}><msci:entity-state ci:state="partial">{state}'
                f"</msci:entity-state></msci:entity-view></msci:conference-view></ci:conference-info></modifyConference>")
    rules = ("<msci:mediaFiltersRules><msci:initialFilters><msci:role>attendee</msci:role><msci:ingressFilter>%s"
             "</msci:ingressFilter></msci:initialFilters></msci:mediaFiltersRules>")
    ok(a.focus.info(change("audio-video", rules % "block")))
    a.leg.wait_heard(set(), ALL)
    ok(a.focus.info(change("audio-video", rules % "unblock")))
    a.leg.wait_heard({B, C}, ALL)
    ok(a.focus.info(change("audio-video", "<msci:entry-exit-announcements><msci:enabled>false</msci:enabled>"
                                          "</msci:entry-exit-announcements>")))
    im.enter(a.ua, a.focus_uri).close()
    assert a.focus.info(change("chat", rules % "block")).reason == "notSupported"
