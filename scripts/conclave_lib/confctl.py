# SPDX-License-Identifier: Apache-2.0
"""confctl: commands to focusd's admin socket, and `why`, which asks every part what it did with a call."""
import argparse
import glob
import json
import os
import re
import sys
import tempfile

from . import Problem, admin, schedule
from .terminal import Parser, plain, run

ABOUT = "Look into the conferences of a running group and act on them."
MORE = """CONF is a room's name, a conference id or a conference URI; USER an entity (sip:alice@example.net) or its user part.

examples:
  confctl list                        which conferences there are
  confctl show lobby                  who is in it
  confctl mute lobby bob              (--off: hear him again)
  confctl volume lobby bob --in -6    he is half as loud to the others
  confctl kick lobby bob
  confctl why 3c2a9f0e-1b@192.0.2.7   what edge, focus and mcu did with the call of this Call-ID
exit status: 0 done, 1 refused or not reachable, 2 wrong usage
"""


def _parser():
    top = Parser(prog="confctl", description=ABOUT, epilog=MORE, formatter_class=argparse.RawDescriptionHelpFormatter)
    top.add_argument("--dir", default=os.environ.get("CONCLAVE_DIR", "./run"), metavar="DIR", help="the group's directory (default ./run, or $CONCLAVE_DIR)")
    top.add_argument("--socket", metavar="PATH", help="focusd's admin socket, instead of DIR/run/focusd.sock")
    top.add_argument("--json", action="store_true", help="print the answer as it came; an error, too, is an object then, on standard output")
    sub = top.add_subparsers(dest="cmd", metavar="COMMAND", required=True)

    def add(name, text, *args):
        p = sub.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        for a in args:
            p.add_argument(a, metavar=a.upper())
        return p

    add("list", "every conference: name, id, state, users")
    add("show", "one conference with its roster, and how well its audio is heard", "conf")
    p = add("add", "make a room, an ordinary conference with a plain address", "name")
    p.add_argument("--organizer", metavar="U", help="its owner, always presenter (default: nobody, user `rooms`)")
    p.add_argument("--policy", choices=("openAuthenticated", "closedAuthenticated", "anonymous"), help="who may enter (default openAuthenticated)")
    p.add_argument("--pin", metavar="N", help="pass code of 4 to 16 characters for callers without a user name")
    p.add_argument("--no-trunk", action="store_true", help="callers from trunks are not admitted")
    add("end", "end a running conference for everybody; its record stays", "conf")
    add("remove", "end a conference and delete its record", "conf")
    p = add("lock", "admit nobody new", "conf")
    p.add_argument("--off", action="store_true", help="admit again")
    p = add("record", "record its audio, told to everybody in it", "conf")
    p.add_argument("state", choices=("on", "off"))
    p = add("mute", "the conference no longer hears this user", "conf", "user")
    p.add_argument("--off", action="store_true", help="hear him again")
    p = add("volume", "how loud a user is, and how loud the others are to him; until he leaves", "conf", "user")
    p.add_argument("--in", dest="gain", type=int, metavar="DB", help="what others hear of him, -60 to 12 dB (0: as it comes)")
    p.add_argument("--out", type=int, metavar="DB", help="what he hears")
    add("kick", "throw a user out of the conference", "conf", "user")
    p = add("role", "make a user presenter or attendee", "conf", "user")
    p.add_argument("role", choices=("presenter", "attendee"))
    add("stats", "figures of the focus and its conferencing servers")
    p = add("loglevel", "change a log level of the running focus", "level")
    p.add_argument("area", nargs="?", default="all", metavar="AREA", help="all, or one area (default all)")
    p = add("drain", "take no new calls and joins; running ones go on")
    p.add_argument("--off", action="store_true", help="take them again")
    add("backup", "a copy of focusd's database as it is now, without stopping anything", "file")
    add("media", "packets, loss, jitter and delay of each leg, as the media server sees them", "conf")
    schedule.options(add("schedule", "conferences over HTTPS, with a user's own name and password"))
    add("why", "what each part did with the call of this Call-ID", "call_id")
    return top


def _request(a):
    if a.cmd == "add":
        return {"name": a.name, "organizer": a.organizer, "policy": a.policy, "pin": a.pin, "trunk": not a.no_trunk}
    if a.cmd == "lock":
        return {"conf": a.conf, "locked": not a.off}
    if a.cmd == "record":
        return {"conf": a.conf, "on": a.state == "on"}
    if a.cmd == "mute":
        return {"conf": a.conf, "user": a.user, "muted": not a.off}
    if a.cmd == "drain":
        return {"draining": not a.off}
    return {k: v for k, v in vars(a).items() if k in ("conf", "user", "role", "level", "area", "call_id", "name")}


NAME_WIDTH = 32


def _cut(text, width=NAME_WIDTH):
    return text if len(text) <= width else text[:width - 1] + "\u2026"


def _table(rows, head):
    rows = [head] + [[plain(c) for c in r] for r in rows]
    width = [max(len(r[i]) for r in rows) for i in range(len(head))]
    for r in rows:
        print("  ".join(c.ljust(w) for c, w in zip(r, width)).rstrip())


def _flags(c):
    return ",".join(f for f in ("active", "locked", "recording", "pin", "trunk") if c.get(f)) or "-"


def _print_list(ans):
    _table([[c.get("name") or "-", c["id"], c.get("number") or "-", c["policy"], _flags(c), c["users"], c["subscriptions"], c.get("mcu") or "-"] for c in ans["conferences"]],
           ["NAME", "ID", "NUMBER", "POLICY", "STATE", "USERS", "SUBSCRIBERS", "MCU"])


def _print_show(c):
    print(f"{plain(c.get('name') or c['id'])}: {plain(c['subject'])}\n  uri      {plain(c['uri'])}\n  number   {c.get('number') or '-'}\n  policy   {c['policy']}\n  state    {_flags(c)}\n"
          f"  mcu      {c.get('mcu') or '-'}\n  version  {c['version']}\n")
    rows = []
    for u in c["roster"]:
        for e in u["endpoints"] or [{}]:
            m = [x for x in e.get("media", []) if x["type"] == "audio"]
            state = [e.get("status", "-")] + [t for t, on in (("muted", m and m[0]["muted"]), ("talking", e.get("talking")),
                                                           ("hand", e.get("hand"))) if on]
            rows.append([u["entity"], _cut(u.get("display") or "-"), u["role"], e.get("session", "-"), ",".join(state), e.get("joined") or "-", e.get("call_id") or "-"])
    _table(rows, ["USER", "NAME", "ROLE", "SESSION", "STATE", "SINCE", "CALL-ID"])
    if c.get("quality"):
        _print_quality(c["quality"])
    if c.get("quality_unknown"):
        print(f"\nquality is not known: {plain(c['quality_unknown'])}")


def _f(value, form, factor=1):
    return "-" if value is None else form % (value * factor)


def _print_quality(legs):
    """In: what the conference hears of a leg; out: what the leg hears, as its own reports say."""
    print()
    _table([[x["user"], x.get("codec") or "-", _f(x["loss_in"], "%.1f %%"), _f(x["loss_out"], "%.1f %%"), f"{x['jitter_avg_us'] / 1000:.1f}",
             f"{x['peer_jitter_us'] / 1000:.1f}" if x["peer_expected"] else "-", _f(x["rtt_avg_us"] or None, "%.0f", 0.001),
             _f(x["mos_in"], "%.1f"), _f(x["mos_out"], "%.1f"), f"{x['talk_ms'] / 1000:.0f}"] for x in legs],
           ["AUDIO OF", "CODEC", "LOSS IN", "OUT", "JITTER IN", "OUT", "RTT", "MOS IN", "OUT", "TALK S"])


def _print_schedule(ans):
    if "uri" in ans:
        print(plain(ans["uri"]))
    if "conferences" in ans:
        _table([[c["id"], _cut(c["subject"] or "-"), c["policy"], c["expires"], "active" if c["active"] else "-"] for c in ans["conferences"]],
               ["ID", "SUBJECT", "POLICY", "EXPIRES", "STATE"])


def _print_stats(s):
    print(f"{s['node']}: {s['active']} of {s['conferences']} conferences active, {s['users']} users, {s['subscriptions']} subscriptions, up {s['uptime_s']} s"
          + (", draining" if s["draining"] else ""))
    if s["mcus"]:
        _table([[m["id"], m["type"], m["contact"], m["conferences"], m["users"], f"{m['load']} %"] for m in s["mcus"]],
               ["MCU", "TYPE", "CONTACT", "CONFERENCES", "USERS", "LOAD"])
    else:
        print("no conferencing server is up")
    ended = s.get("ended")
    if ended:
        print(f"since the start of the mcu here {ended['calls']} calls ended, {ended['talk_s']} s of talk, mean MOS in {_f(ended['mos_in'], '%.2f')}, out {_f(ended['mos_out'], '%.2f')}")
        if ended["causes"]:
            print("  " + ", ".join(f"{k} {n}" for k, n in sorted(ended["causes"].items(), key=lambda i: -i[1])))
    if s["elsewhere"]:
        print(f"not counted, on other machines: {', '.join(s['elsewhere'])}")


def _events(part, ans):
    for e in ans["events"]:
        yield f"{e.get('time', '')[:19]}.{int(e.get('ms', 0)):03d}", part, e["text"]


def _edge_events(top, call_id):
    try:
        with open(os.path.join(top, "log", "kamailio.log"), errors="replace") as f:
            for line in f:
                if f"why call={call_id} " not in line:
                    continue
                when = re.search(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,3})?", line)
                yield (when.group(0) if when else "").ljust(23, "0") if when else "-", "edge", line.split(f"why call={call_id} ", 1)[1].split(" at=")[0].strip()
    except OSError:
        return


def _why(a):
    found, silent = [], []
    run = os.path.join(a.dir, "run")
    parts = [os.path.basename(p)[:-5] for p in sorted(glob.glob(os.path.join(glob.escape(run), "mcu*.sock")))]
    for part in ["focusd", *(parts or ["mcu"])]:
        try:
            found += _events(part, admin.ask(os.path.join(run, f"{part}.sock"), {"cmd": "why", "call_id": a.call_id}))
        except Problem as e:
            silent.append(f"{part}: {e}")
    found += _edge_events(a.dir, a.call_id)
    found.sort(key=lambda e: e[0])                                  # stable: what a part wrote in one millisecond keeps its order
    if not a.json:
        for s in silent:
            print(plain(s), file=sys.stderr)
    if not found:
        raise Problem("no part knows this Call-ID: focusd and mcu keep the last 2,000 calls since their start, the edge's log is read from log/kamailio.log")
    if a.json:
        print(json.dumps({"events": [dict(zip(("time", "part", "text"), e)) for e in found], "silent": silent}))
    else:
        for when, part, text in found:
            print(f"{when}  {part:7s} {plain(text)}")
    return 0


def _backup(a):
    """focusd writes the copy beside its database; here it goes where it is wanted, in one step and for its owner's eyes."""
    target = os.path.abspath(a.file)
    if os.path.lexists(target) and not os.path.isfile(target):
        raise Problem(f"{target} is not a plain file and would be replaced by one; name a file")
    ans = admin.ask(a.socket or os.path.join(a.dir, "run", "focusd.sock"), {"cmd": "backup"}, timeout=600)
    try:
        fd, tmp = tempfile.mkstemp(prefix=os.path.basename(target) + ".", dir=os.path.dirname(target))
        try:
            with os.fdopen(fd, "wb") as out, open(ans["path"], "rb") as f:
                os.unlink(ans["path"])
                while block := f.read(1 << 20):
                    out.write(block)
                out.flush()
                os.fsync(out.fileno())
            os.replace(tmp, target)
        except BaseException:
            os.unlink(tmp)
            raise
    except OSError as e:
        raise Problem(f"{e.filename or target}: {e.strerror}") from None
    print(json.dumps({"ok": True, "path": target}) if a.json else target)
    return 0


def _mcus(a):
    """The media servers that run here: [(socket, what `stats` says)]; one that does not answer is left out."""
    found = []
    for path in sorted(glob.glob(os.path.join(glob.escape(a.dir), "run", "mcu*.sock"))):
        try:
            found.append((path, admin.ask(path, {"cmd": "stats"})))
        except Problem:
            continue
    return found


def _ids(stats):
    """A process has an id for each type that it serves."""
    return {s["id"] for s in stats["services"]}


def _holder(a, conf):
    """The socket of the media server that has the audio of a conference, as focusd tells."""
    node = conf.get("mcu")
    if not node:
        raise Problem("no media server has the audio of this conference at the moment")
    for path, stats in _mcus(a):
        if node in _ids(stats):
            return path
    raise Problem(f"its audio is on {node}, of which no socket answers here ({a.dir}/run/mcu*.sock). "
                  "It runs on another machine, or does not run: ask there, by the conference's id")


def _on_mcu(a, req):
    """req about the audio of a.conf, answered by the media server that has it. Where no focusd runs, each of the machine's is
    asked by the name as it is given: an id, or a URI."""
    socket = a.socket or os.path.join(a.dir, "run", "focusd.sock")
    req["type"] = "audio-video"
    if a.socket or os.path.exists(socket):
        conf = admin.ask(socket, {"cmd": "show", "conf": a.conf})
        return admin.ask(_holder(a, conf), {**req, "conf": conf["id"]})
    here = _mcus(a)
    if not here:
        raise Problem(f"{a.dir}/run: no socket of focusd, and none of a media server that answers; is the group running?")
    for path, _ in here:
        if "conference" in _tried(path, {"cmd": "show", "type": "audio-video", "conf": a.conf}):
            return admin.ask(path, {**req, "conf": a.conf})
    raise Problem("no media server here has such a conference; without a focusd only a conference's id or URI is understood")


def _tried(path, req):
    try:
        return admin.ask(path, req)
    except Problem:
        return {}


def _media(a):
    ans = _on_mcu(a, {"cmd": "stats"})
    if a.json:
        print(json.dumps(ans))
    else:
        _table([[x["user"], x["peer"] or "-", x["rx_packets"], x["lost"], x["late"], x["concealed"], f"{x['jitter_us'] / 1000:.1f}", x["buffer_ms"],
                 f"{x['rtt_us'] / 1000:.0f}", f"{x['peer_lost_256'] / 2.56:.0f} %", x["level_dbov"], x["auth_failures"]] for x in ans["legs"]],
               ["USER", "FROM", "PACKETS", "LOST", "LATE", "CONCEALED", "JITTER", "BUFFER", "RTT", "PEER LOST", "LEVEL", "BAD KEY"])
    return 0


def _volume(a):
    if a.gain is None and a.out is None:
        raise Problem("say --in DB, --out DB or both")
    req = {"cmd": "volume", "user": a.user, "in": a.gain, "out": a.out}
    ans = _on_mcu(a, {k: v for k, v in req.items() if v is not None})
    if a.json:
        print(json.dumps(ans))
    return 0


def _sum_ended(all_ended):
    """What became of the calls of several media servers; the mean MOS is weighed by their calls."""
    out = {"calls": sum(e["calls"] for e in all_ended), "talk_s": sum(e["talk_s"] for e in all_ended), "causes": {}}
    for e in all_ended:
        for cause, n in e["causes"].items():
            out["causes"][cause] = out["causes"].get(cause, 0) + n
    for mos in ("mos_in", "mos_out"):
        known = [e for e in all_ended if e[mos] is not None]
        calls = sum(e["calls"] for e in known)
        out[mos] = sum(e[mos] * e["calls"] for e in known) / calls if calls else None
    return out


def _with_mcu(a, ans):
    """What only media servers know: quality of the legs, what became of ended calls. Of those on other machines it is said."""
    if a.cmd == "show":
        if ans.get("mcu"):
            try:
                ans["quality"] = admin.ask(_holder(a, ans), {"cmd": "stats", "conf": ans["id"], "type": "audio-video"})["legs"]
            except Problem as e:
                ans["quality_unknown"] = str(e)
        return
    here = _mcus(a)
    if here:
        ans["ended"] = _sum_ended([stats["ended"] for _, stats in here])
    local = set().union(*(_ids(stats) for _, stats in here))
    ans["elsewhere"] = sorted(m["id"] for m in ans["mcus"] if m["id"] not in local)


PRINT = {"schedule": _print_schedule, "list": _print_list, "show": _print_show, "stats": _print_stats}


OWN = {"why": _why, "media": _media, "backup": _backup, "volume": _volume}


def _work(argv):
    a = _parser().parse_args(argv)
    if a.cmd in OWN:
        return OWN[a.cmd](a)
    req = {k: v for k, v in _request(a).items() if v is not None} if a.cmd != "schedule" else {}
    ans = schedule.run(a) if a.cmd == "schedule" else admin.ask(a.socket or os.path.join(a.dir, "run", "focusd.sock"), {"cmd": a.cmd, **req}, timeout=10)
    if a.cmd in ("show", "stats"):
        _with_mcu(a, ans)
    if a.json:
        print(json.dumps(ans))
    elif a.cmd in PRINT:
        PRINT[a.cmd](ans)
    elif a.cmd == "record" and ans.get("waiting"):
        print("the media server does not answer; the order holds for it, or the next, as soon as it is there")
    elif a.cmd == "add":
        print(f"{plain(ans['uri'])}\nnumber {ans['number']}")
    return 0


def main(argv):
    return run("confctl", argv, _work)
