# SPDX-License-Identifier: Apache-2.0
"""A group with two media servers: confctl asks the one that has the conference, and says when that is not here."""
import json
import os
import re

import pytest

from conclave_test import c3p
from conclave_test.stack import StackError

A, B = 520, 930
ALL = [A, B]
NODES = ("mcu-1", "mcu-2")


@pytest.fixture(scope="module")
def two(stack):
    stack.add_mcu("mcu-2")
    return stack


def node_of(s, room):
    return json.loads(s.confctl("--json", "show", room)).get("mcu")


@pytest.fixture(scope="module")
def rooms(two):
    """{node: (room, call of alice, call of bob)}: a conference with two callers on each."""
    found, every = {}, []
    for i in range(8):
        if set(found) == set(NODES):
            break
        name = f"hall{i}"
        two.run("room", "add", name, "--organizer", "alice")
        calls = [c3p.talk(two.ua(who), two.room(name), tone=tone) for who, tone in (("alice", A), ("bob", B))]
        every += calls
        calls[0].leg.wait_heard({B}, ALL)
        found.setdefault(node_of(two, name), (name, *calls))
    assert set(found) == set(NODES), f"the factory used {set(found)} alone"
    yield found
    for c in every:
        c.close()


@pytest.mark.parametrize("node", NODES)
def test_show_and_media_ask_the_one_that_has_the_conference(two, rooms, node):
    room, alice, bob = rooms[node]
    ans = json.loads(two.confctl("--json", "show", room))
    assert ans["mcu"] == node and {x["user"] for x in ans["quality"]} == {f"sip:{u}@conclave.test" for u in ("alice", "bob")}
    assert all(x["rx_packets"] > 20 for x in ans["quality"]) and "quality_unknown" not in ans
    assert "AUDIO OF" in two.confctl("show", room)
    legs = json.loads(two.confctl("--json", "media", room))["legs"]
    assert len(legs) == 2 and all(x["rx_packets"] > 20 for x in legs)


@pytest.mark.parametrize("node", NODES)
def test_volume_reaches_it(two, rooms, node):
    room, alice, bob = rooms[node]
    two.confctl("volume", room, "bob", "--in", "-60")
    alice.leg.wait_heard(set(), ALL)
    two.confctl("volume", room, "bob", "--in", "0")
    alice.leg.wait_heard({B}, ALL)


def test_why_has_the_events_of_the_other_one(two, rooms):
    room, alice, bob = rooms["mcu-2"]
    assert re.search(r" mcu-2 +\S", two.confctl("why", alice.call_id))


def test_stats_count_the_ended_calls_of_both(two, rooms):
    def ended():
        return json.loads(two.confctl("--json", "stats"))["ended"]["calls"]

    before = ended()
    for node in NODES:
        c3p.talk(two.ua("carol"), two.room(rooms[node][0])).close()
    two.wait("both are counted", lambda: ended() == before + 2)
    assert json.loads(two.confctl("--json", "stats"))["elsewhere"] == []


def test_of_one_on_another_machine_it_is_said_and_there_it_answers(two, rooms, tmp_path):
    """Its socket is moved into the run directory of another group, as on a machine where only that mcu runs."""
    room, alice, bob = rooms["mcu-2"]
    there = two.dir / "there"
    (there / "run").mkdir(parents=True)
    here = two.dir / "run" / "mcu-2.sock"
    os.rename(here, there / "run" / "mcu.sock")
    try:
        ans = json.loads(two.confctl("--json", "show", room))
        assert "quality" not in ans and "mcu-2" in ans["quality_unknown"] and "another machine" in ans["quality_unknown"]
        assert "quality is not known: its audio is on mcu-2" in two.confctl("show", room)
        for words in (("media", room), ("volume", room, "bob", "--in", "-6")):
            with pytest.raises(StackError, match="mcu-2"):
                two.confctl(*words)
        stats = two.confctl("stats")
        assert re.search(r"not counted, on other machines: mcu-2", stats)
        elsewhere = two.confctl("--json", "--dir", there, "media", ans["id"])
        assert {x["user"].split("@")[0] for x in json.loads(elsewhere)["legs"]} == {"sip:alice", "sip:bob"}
        with pytest.raises(StackError, match="no media server here has such a conference"):
            two.confctl("--dir", there, "media", "nothing")
        assert json.loads(two.confctl("--json", "show", rooms["mcu-1"][0]))["quality"]
    finally:
        os.rename(there / "run" / "mcu.sock", here)


def test_of_a_conference_without_audio_it_is_said(two):
    two.run("room", "add", "empty", "--organizer", "alice")
    with pytest.raises(StackError, match="no media server has the audio"):
        two.confctl("media", "empty")
