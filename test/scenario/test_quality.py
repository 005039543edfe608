# SPDX-License-Identifier: Apache-2.0
"""How well calls were heard: loss, jitter, round trip and MOS while they last, and the record of each when it has ended."""
import json
import os
import random
import re
import signal
import threading
import time
from datetime import datetime

from conclave_test import c3p, rtp
from conclave_test.callee import Callee

A, B, C = 520, 1210, 1730


class BadNetwork(rtp.Leg):
    """A tenth of its packets are lost, the others take up to 60 ms more."""
    def send(self, plain, raw=False):
        data = self.out.protect(plain)
        self.sent += 1
        if self.sent < 20 or random.random() > 0.1:
            threading.Timer(random.random() * 0.06, self._late, (data,)).start()

    def _late(self, data):
        if not self.stopped.is_set():
            self.rtp.sendto(data, self.peer)


def talk(stack, end, who, tone, leg=None):
    leg = leg or rtp.Leg()
    call = stack.ua(who).invite(stack.room("lobby"), leg.offer(), cls=c3p.AudioCall)
    call.leg = leg.accept(call.sdp)
    leg.tone(tone)
    end(leg)
    return call


def call_id(call):
    return call.call_id


def records(stack, name="calls.jsonl"):
    path = stack.dir / "log" / name
    return [json.loads(l) for l in path.read_text().splitlines()] if path.exists() else []


def record(stack, call, timeout=5, name="calls.jsonl"):
    return stack.wait(f"the record of {call_id(call)}", lambda: next((r for r in records(stack, name) if r["call_id"] == call_id(call)), None), timeout)


def seconds(r):
    return (datetime.fromisoformat(r["end"][:-1]) - datetime.fromisoformat(r["answered"][:-1])).total_seconds()


def quality(stack, who, conf="lobby"):
    return next((x for x in json.loads(stack.confctl("--json", "show", conf))["quality"] if x["user"].startswith(f"sip:{who}@")), None)



def test_a_bad_network_is_heard_and_seen(stack, end):
    """Loss and delay make a leg's MOS worse than a clean one's, while it lasts and in its record."""
    clean, bad = talk(stack, end, "alice", A), talk(stack, end, "bob", B, BadNetwork())
    bad_peer = rtp.Reporter(bad.leg, late=0.05, lost=8, jitter=160)
    rtp.Reporter(clean.leg)
    stack.wait("reports", lambda: bad_peer.sent >= 2, 20)
    time.sleep(1)
    a, b = quality(stack, "alice"), quality(stack, "bob")
    assert a["mos_in"] > 4.2 and b["mos_in"] < a["mos_in"] - 0.3, (a, b)
    assert a["loss_in"] < 1 and 5 < b["loss_in"] < 25, (a, b)
    assert b["jitter_avg_us"] > 5000 > a["jitter_avg_us"], (a, b)
    assert a["loss_out"] == 0 and 7 < b["loss_out"] < 9 and b["mos_out"] < a["mos_out"] - 0.3, (a, b)
    assert 19000 < b["peer_jitter_us"] < 21000
    assert 40000 <= b["rtt_avg_us"] <= 65000 and a["rtt_avg_us"] < 20000, (a, b)
    assert a["talk_ms"] > 4000 and b["talk_ms"] > 3000
    shown = stack.confctl("show", "lobby")
    assert re.search(r"AUDIO OF +CODEC +LOSS IN .*MOS IN", shown) and re.search(r"sip:bob@\S+ +PCMU +\d+\.\d %", shown), shown
    clean.bye(), bad.bye()
    ra, rb = record(stack, clean), record(stack, bad)
    assert rb["mos_in"] < ra["mos_in"] - 0.3 and rb["mos_out"] < ra["mos_out"] - 0.3
    assert 40 <= rb["rtt_ms"] <= 65 and 5 < rb["loss_in"] < 25 and rb["lost_in"] > 10 and rb["talk_ms"] > 3000
    stats = json.loads(stack.confctl("--json", "stats"))["ended"]
    assert stats["calls"] >= 2 and stats["causes"]["hangup"] >= 2 and stats["mos_in"] > 1, stats
    seen = {k.removeprefix("conclave_mcu_call_mos_"): v for k, v in stack.metrics("mcu").items() if "call_mos" in k}
    n = seen['count{direction="in"}']
    assert n >= 2 and n == seen['bucket{direction="in",le="+Inf"}'] and abs(seen['sum{direction="in"}'] / n - stats["mos_in"]) < 0.01, seen
    assert "calls ended" in stack.confctl("stats")


def test_the_record_says_how_each_call_ended(stack, end):
    """Hung up, thrown out, and a duration that is the call's; mutes; nothing secret."""
    hung, kicked = talk(stack, end, "alice", A), talk(stack, end, "bob", B)
    time.sleep(1)
    stack.confctl("mute", "lobby", "bob")
    time.sleep(0.6)
    stack.confctl("mute", "lobby", "bob", "--off")
    time.sleep(0.6)
    stack.confctl("kick", "lobby", "bob")
    rk = record(stack, kicked)
    time.sleep(0.5)
    hung.bye()
    rh = record(stack, hung)
    assert rh["cause"] == "hangup" and rk["cause"] == "removed"
    assert 2.0 < seconds(rk) < 5 and 2.5 < seconds(rh) < 6
    for r, who in ((rh, "alice"), (rk, "bob")):
        assert abs(seconds(r) * 1000 - r["duration_ms"]) < 100
        assert r["start"] <= r["answered"] < r["end"] and re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", r["end"])
        assert r["user"] == f"sip:{who}@conclave.test" and r["direction"] == "in" and r["type"] == "audio-video"
        assert r["codec"] == "PCMU" and r["srtp"] == "AES_CM_128_HMAC_SHA1_80" and r["profile"] == "RTP/SAVP" and r["ice"] is False
        assert r["packets_in"] > 50 and r["packets_out"] > 50 and r["bytes_in"] > 50 * 172 and 0 <= r["first_media_ms"] < 1000
        assert r["signalling"] == "tls" and r["node"] == "mcu-1" and r["conference"].startswith("LOBBY") and r["came_from"] is None
    assert rk["mutes"] == 1 and 300 < rk["muted_ms"] < 2500 and rh["mutes"] == 0
    assert "inline" not in json.dumps([rh, rk])


def test_a_silent_leg_times_out_and_a_server_that_goes_down_says_so(stack, end):
    conf = stack.dir / "etc" / "mcu.conf"
    saved = conf.read_text()
    conf.write_text(saved + "\n[media]\nidle_s = 5\n")
    restart(stack)
    quiet, stays = talk(stack, end, "alice", A), talk(stack, end, "bob", B)
    time.sleep(1)
    quiet.leg.pause()
    r = record(stack, quiet, 12)
    assert r["cause"] == "idle" and 5.5 < seconds(r) < 8.5 and abs(seconds(r) * 1000 - r["duration_ms"]) < 100
    assert stack.metrics("mcu")['conclave_mcu_call_ends_total{cause="idle"}'] == 1
    conf.write_text(saved)
    restart(stack)
    assert record(stack, stays)["cause"] == "shutdown"


def test_a_call_out_that_is_refused_has_a_record_without_an_answer(stack, end):
    alice = stack.ua("alice")
    focus = c3p.schedule(alice)
    call = c3p.join(alice, focus)
    carol = end(Callee(stack.ua("carol", register=True)))
    mcu = c3p.mcu_uri(focus)
    call.info(f'<addUser mscp:mcuUri="{mcu}"><conferenceKeys confEntity="{focus}"/><ci:user entity="sip:carol@conclave.test">'
              f'<ci:endpoint entity="{c3p.guid()}"><ci:joining-method>dialed-out</ci:joining-method></ci:endpoint></ci:user></addUser>',
              wait_final=False)
    carol.wait()
    carol.refuse(486)
    r = stack.wait("its record", lambda: next((x for x in records(stack) if x["user"] == "sip:carol@conclave.test"), None))
    assert r["direction"] == "out" and r["cause"] == "unanswered" and r["answered"] is None and r["duration_ms"] == 0
    assert r["mos_in"] is None and r["mos_out"] is None and r["rtt_ms"] is None and r["packets_in"] == 0


def test_the_attendants_caller_has_one_record_with_both_conferences(stack, end):
    number = stack.admin("focusd", cmd="show", conf="lobby")["number"]
    inside = talk(stack, end, "alice", A)
    leg = end(rtp.Leg(srtp=False))
    trunk = stack.trunk().invite(stack.room("conference"), leg.offer(), cls=c3p.AudioCall)
    trunk.leg = leg.accept(trunk.sdp).tone(B)
    time.sleep(1.5)
    leg.dtmf(number + "#")
    time.sleep(3)
    leg.dtmf("#")
    inside.leg.wait_heard({B}, [A, B], 10)
    time.sleep(1)
    trunk.bye()
    r = record(stack, trunk)
    inside.bye()
    assert [x["call_id"] for x in records(stack)].count(trunk.call_id) == 1
    assert r["conference"].startswith("LOBBY") and r["came_from"] and r["came_from"] != r["conference"]
    assert r["user"].startswith("sip:phone-") and r["srtp"] is None and r["profile"] == "RTP/AVP" and r["signalling"] == "tcp"
    assert r["mutes"] == 0 and r["talk_ms"] > 500 and r["packets_in"] > 200
    assert number not in json.dumps({k: v for k, v in r.items() if k not in ("conference", "came_from")}), "nothing that was typed"


def test_a_renamed_file_is_opened_again_at_sighup(stack, end):
    log, old = stack.dir / "log" / "calls.jsonl", stack.dir / "log" / "calls.jsonl.1"
    first = talk(stack, end, "alice", A)
    first.bye()
    record(stack, first)
    os.rename(log, old)
    second = talk(stack, end, "alice", A)
    second.bye()
    record(stack, second, name="calls.jsonl.1")
    third = talk(stack, end, "alice", A)
    os.kill(stack.pid("mcu"), signal.SIGHUP)
    stack.wait("the new file", log.exists)
    assert log.read_text() == ""
    third.leg.wait_heard(set(), [A, B])
    third.bye()
    assert record(stack, third)["cause"] == "hangup"
    assert third.call_id not in old.read_text() and len(records(stack)) == 1
    assert stack.metrics("mcu")["conclave_mcu_records_lost_total"] == 0


def test_a_file_that_cannot_be_written_costs_no_call(stack, end):
    log = stack.dir / "log" / "calls.jsonl"
    if log.exists():
        log.unlink()
    log.mkdir()
    os.kill(stack.pid("mcu"), signal.SIGHUP)
    time.sleep(0.3)
    a, b = talk(stack, end, "alice", A), talk(stack, end, "bob", B)
    a.bye()
    stack.wait("it is counted", lambda: stack.metrics("mcu")["conclave_mcu_records_lost_total"] == 1)
    b.leg.keeps_hearing(set(), [A, B], 0.6)
    log.rmdir()
    assert b.bye().code == 200
    assert record(stack, b)["cause"] == "hangup", "the file is tried again by itself"


def test_a_killed_mcu_leaves_whole_lines(stack, end):
    log = stack.dir / "log" / "calls.jsonl"
    calls = [talk(stack, end, who, A) for who in ("alice", "bob", "carol", "dave") for _ in range(3)]
    time.sleep(0.5)
    before = len(records(stack))
    threads = [threading.Thread(target=quietly, args=(c.bye,)) for c in calls[:-1]]
    for t in threads:
        t.start()
    stack.wait("some are written", lambda: len(log.read_text().splitlines()) > before + 2, 5, 0.001)
    stack.kill("mcu")
    for t in threads:
        t.join(35)
    text = log.read_text()
    assert text.endswith("\n") and len(records(stack)) >= before + 3
    with open(log, "a") as f:                            # what a kill within the write would leave
        f.write('{"v":1,"node":"mc')
    restart(stack)
    last = talk(stack, end, "alice", B)
    last.bye()
    record(stack, last)
    assert log.read_text().startswith(text) and '"mc{' not in log.read_text()


def quietly(f):
    try:
        f()
    except Exception:
        pass


def restart(stack):
    stack.restart("mcu")
    stack.wait("the mcu is known", lambda: stack.metrics("focusd")["conclave_factory_mcus"] >= 2, 10)
    stack.wait("the edge knows it", lambda: stack.admin("mcu", cmd="stats")["services"], 10)
