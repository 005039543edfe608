# SPDX-License-Identifier: Apache-2.0
"""Commands and their help pages."""
import argparse
import getpass
import json
import os
import sys
import time

from . import Problem, admin, check, render, softphone, users
from .certs import Certs
from .layout import DEFAULTS, PARTS, Layout, binary, edge_preload, is_dns_name, parse_trunk, parse_user, write_file
from .supervise import Group, make_parts, say
from .terminal import Parser, plain, run, utf8

ABOUT = """Run and administer a Conclave group: the SIP edge (Kamailio), the focus (focusd), the media server (mcu) and the media relay
(rtpengine). Everything a group writes is below one directory (--dir, default ./run); all its ports count from one number."""

FIRST_STEPS = """first steps:
  conclave run                                     a group with users alice, bob, carol and the room `lobby`
  conclave run --dir /tmp/two --ports 16060        a second one beside it
  conclave room add board --pin 4711               a room with a PIN, in the running group
  conclave user add dave                           asks for the password
  conclave status                                  what runs, since when
  conclave restart mcu                             start one part again
"""

RUN_ABOUT = """Makes what is missing below --dir (configuration, private authorities and certificates, databases), starts the parts, waits until each
answers, prints one page and stays in the foreground. Ctrl-C ends all of it. What is given on the command line is kept in
DIR/conclave.json, so a later `conclave run` with the same --dir needs no options."""

RUN_MORE = """what a dead part means:
  by default        it is named with its last log lines, and the group ends with status 1
  --supervise       it is started again
  --keep            it stays dead until `conclave restart PART`

ports (BASE = --ports): +0 SIP over UDP and TCP, +1 TLS, +2 WSS, +3 other servers (mutual TLS), +4 the edge's metrics,
  +5..+7 focusd (SIP, HTTPS, metrics), +8..+10 mcu, +11..+13 rtpengine, media from BASE+20.

DIR/addresses.json (mode 0600), for programs:
  sip      udp, tcp, tls, wss, peer: "IP:PORT"      admin    focusd, mcu, conclave, kamailio: socket paths
  metrics  kamailio, focusd, mcu, rtpengine: URLs   pids     of the parts that live
  domain, ca (what clients trust), users [{name, password, uri}], rooms [{name, uri}]
"""


HERE_DIR = "./run"


def _dir_option(p):
    p.add_argument("--dir", default=os.environ.get("CONCLAVE_DIR", HERE_DIR), metavar="DIR",
                   help="the group's directory (default ./run, or $CONCLAVE_DIR)")


def _add(sub, name, about, **kw):
    p = sub.add_parser(name, help=about.split(". ")[0].split("\n")[0], description=about,
                       formatter_class=argparse.RawDescriptionHelpFormatter, **kw)
    _dir_option(p)
    return p


def _wishes(p):
    p.add_argument("--ports", type=int, metavar="BASE", help=f"first port (default {DEFAULTS['base']})")
    p.add_argument("--bind", metavar="IP", help=f"address of every listener (default {DEFAULTS['bind']})")
    p.add_argument("--domain", metavar="D", help=f"SIP domain (default {DEFAULTS['domain']})")
    p.add_argument("--user", action="append", metavar="NAME[:PASSWORD]", help="a user; without password one is made up")
    p.add_argument("--room", action="append", metavar="NAME", help="a room that everybody may call, trunks too")
    p.add_argument("--trunk", action="append", metavar="IP[:media=any|srtp]",
                   help="an address that may call rooms without digest; media=any allows it plain RTP")
    p.add_argument("--user-media", choices=("srtp", "any"), help="may users send plain RTP? (default srtp: no)")
    p.add_argument("--clients", type=int, metavar="N", help=f"size memory and file limits for N clients (default {DEFAULTS['clients']})")
    p.add_argument("--media-ports", type=int, metavar="N", help=f"UDP ports for media (default {DEFAULTS['media_ports']}); half are the mcu's")
    p.add_argument("--prompts", metavar="LANG", help="language of what callers are told (default en); none: tones only")
    p.add_argument("--no-rtpengine", action="store_true", default=None, help="no media relay: no browsers, no phones behind NAT")
    p.add_argument("--log", metavar="LEVEL", help="log level of the parts: debug, info, warn, error")


def parser():
    top = Parser(prog="conclave", description=ABOUT, epilog=FIRST_STEPS,
                 formatter_class=argparse.RawDescriptionHelpFormatter)
    sub = top.add_subparsers(dest="cmd", metavar="COMMAND", required=True)

    p = _add(sub, "run", RUN_ABOUT, epilog=RUN_MORE)
    _wishes(p)
    p.add_argument("--supervise", action="store_true", help="start a dead part again")
    p.add_argument("--keep", action="store_true", help="go on without a dead part")
    p.add_argument("--parts", metavar="LIST", help="only these of " + ",".join(PARTS))
    p.set_defaults(func=cmd_run)

    p = _add(sub, "setup", "Make the group's files without starting it (for systemd). Existing keys and users stay.")
    _wishes(p)
    p.set_defaults(func=cmd_setup)

    p = _add(sub, "user", "Users of the edge (digest). They may come and go while the group runs.")
    p.add_argument("action", choices=("add", "del", "passwd", "list"))
    p.add_argument("name", nargs="?", metavar="NAME[:PASSWORD]")
    p.set_defaults(func=cmd_user)

    p = _add(sub, "room", "Rooms, in the running group's focusd.")
    p.add_argument("action", choices=("add", "del", "list"))
    p.add_argument("name", nargs="?")
    p.add_argument("--organizer", metavar="USER", help="who is presenter and may end it")
    p.add_argument("--policy", metavar="P", help="a policy's name in focusd (see focusd --sample)")
    p.add_argument("--pin", metavar="N", help="callers give this PIN")
    p.add_argument("--no-trunk", action="store_true", help="trunk callers are refused")
    p.set_defaults(func=cmd_room)

    p = _add(sub, "cert", "Certificates.\n\n  list                       all, with their last day\n"
             "  issue ROLE NODE            a service certificate (ROLE edge, focus or mcu)\n"
             "  renew                      the services' and the client-facing certificate again, by the same authorities\n"
             "  client-facing CERT KEY     show clients this certificate instead (of a public authority)\n"
             "  trust NAME CA.pem          take the peer NAME of another domain on the peer listener; CA.pem signed its certificate\n"
             "  distrust NAME              no longer")
    p.add_argument("action", choices=("list", "issue", "renew", "client-facing", "trust", "distrust"))
    p.add_argument("args", nargs="*")
    p.add_argument("--as", dest="kind", choices=("federated", "trunk"), default="federated", help="what the trusted peer is")
    p.add_argument("--domains", metavar="D,...", help="domains a federated peer may speak for (default: its own name)")
    p.add_argument("--media", choices=("srtp", "any"), default="srtp", help="may the trusted peer send plain RTP?")
    p.set_defaults(func=cmd_cert)

    p = sub.add_parser("check", help="validate scripts and configuration", description=cmd_check.__doc__)
    _dir_option(p)
    p.add_argument("--lua-only", action="store_true", help="only the syntax of the edge's Lua files")
    p.set_defaults(func=cmd_check)
    p = _add(sub, "softphone", "Write a baresip configuration (TLS, mandatory SRTP) for a user of the group, and say how to start it.")
    p.add_argument("name", metavar="NAME")
    p.add_argument("--out", metavar="OUT", help="its directory (default DIR/phones/NAME)")
    p.add_argument("--tone", type=int, metavar="HZ", help="a tone as microphone, no loudspeaker (default: the sound device)")
    p.add_argument("--device", default="default", metavar="ALSA", help="sound device without --tone (default `default`)")
    p.add_argument("--codecs", metavar="LIST", help="of opus,g722,pcmu,pcma, best first (default all)")
    p.add_argument("--password", help="needed when the user was added after the start")
    p.set_defaults(func=cmd_softphone)
    p = _add(sub, "reload", "Check, then let the edge read its Lua files, policies and certificates again, without dropping a call.")
    p.set_defaults(func=cmd_reload)
    p = _add(sub, "restart", "Start one part of the running group again.")
    p.add_argument("part", choices=PARTS)
    p.set_defaults(func=cmd_restart)
    p = _add(sub, "exec", "Become one part of a group that was set up (for systemd).")
    p.add_argument("part", choices=PARTS)
    p.set_defaults(func=cmd_exec)
    p = _add(sub, "status", "What runs.")
    p.set_defaults(func=cmd_status)
    p = _add(sub, "stop", "End the running group.")
    p.set_defaults(func=cmd_stop)
    return top


def layout_for(a):
    """The group of --dir with what the command line changes; demo users and a room when none were ever given."""
    try:
        conf = Layout.load(a.dir).conf
        fresh = False
    except Problem:
        if os.path.exists(os.path.join(a.dir, "conclave.json")):
            raise
        conf, fresh = {}, True
    for key, value in (("base", a.ports), ("bind", a.bind), ("domain", a.domain), ("clients", a.clients),
                       ("media_ports", a.media_ports), ("user_media", a.user_media), ("log_level", a.log),
                       ("prompts", a.prompts)):
        if value is not None:
            conf[key] = value
    if a.no_rtpengine:
        conf["rtpengine"] = False
    if a.trunk:
        conf["trunks"] = [parse_trunk(t) for t in a.trunk]
    if a.room:
        conf["rooms"] = [r.lower() for r in a.room]
    elif fresh:
        conf["rooms"] = ["lobby"]
    if a.user:
        new = [parse_user(u) for u in a.user]
        named = {u["name"] for u in new}
        conf["users"] = [u for u in conf.get("users", []) if u["name"] not in named] + new
    elif fresh:
        conf["users"] = [parse_user(n) for n in ("alice", "bob", "carol")]
    lay = Layout(a.dir, conf)
    lay.validate()
    return lay


def make_files(lay):
    lay.make_dirs()
    lay.save()
    Certs(lay).make_all()
    users.create(lay)
    table = users.Users(lay)
    clash = set(table.names()) & set(lay.conf["rooms"]) or {u["name"] for u in lay.conf["users"]} & users.rooms_of(lay)
    if clash:
        raise Problem(f"{min(clash)} is a user and a room: calls to a user's name go to his phones. Choose another name for one of them")
    for u in lay.conf["users"]:
        table.put(u["name"], u["password"])
    render.write_all(lay)


def chosen_parts(lay, a):
    parts = [p for p in PARTS if p != "rtpengine" or lay.conf["rtpengine"]]
    if a.parts:
        parts = a.parts.split(",")
        if set(parts) - set(PARTS):
            raise Problem(f"--parts: choose from {','.join(PARTS)}")
    lost = [p for p in check.missing_programs("rtpengine" in parts)]
    if lost:
        raise Problem(f"not installed: {', '.join(lost)}; run scripts/install-packages")
    if "kamailio" in parts:
        edge_preload()
    for name in ("focusd", "mcu"):
        if name in parts and not binary(name):
            raise Problem(f"no {name} binary; run `make`, or name another build directory in $CONCLAVE_BUILD")
    return parts


def addresses(lay, pids):
    port, url = lay.port, lambda p: f"http://{lay.at(p)}/metrics"
    return {
        "sip": {"udp": lay.at("sip"), "tcp": lay.at("sip"), "tls": lay.at("tls"), "wss": lay.at("wss"), "peer": lay.at("peer")},
        "admin": {**{n: lay.path("run", n + ".sock") for n in ("focusd", "mcu", "conclave")}, "kamailio": lay.path("run", "kamailio.rpc")},
        "metrics": {"kamailio": url("edge_metrics"), "focusd": url("focus_metrics"), "mcu": url("mcu_metrics"),
                    "rtpengine": f"http://127.0.0.1:{port['ng_metrics']}/metrics"},
        "pids": pids, "domain": lay.domain, "ca": lay.path("ca", "client-root.pem"),
        "users": [{**u, "uri": f"sip:{u['name']}@{lay.domain}"} for u in lay.conf["users"]],
        "rooms": [{"name": r, "uri": f"sip:{r}@{lay.domain}"} for r in lay.conf["rooms"]],
    }


def page(lay, group):
    u = lay.conf["users"]
    rows = [f"Conclave runs in {lay.top}", "",
            f"  SIP     udp and tcp {lay.at('sip')}   tls {lay.at('tls')}   wss {lay.at('wss')}",
            f"  domain  {lay.domain}   clients trust {lay.path('ca', 'client-root.pem')}", "  users"]
    rows += [f"          {x['name']:<12} password {x['password']}" for x in u] or ["          none; `conclave user add NAME`"]
    rows += ["  rooms   " + (", ".join(f"sip:{r}@{lay.domain}" for r in lay.conf["rooms"]) or "none; `conclave room add NAME`")]
    if lay.conf["trunks"]:
        rows += ["  trunks  " + ", ".join(f"{t['ip']} (media {t['media']})" for t in lay.conf["trunks"])]
    rows += ["  parts   " + ", ".join(f"{n} {pid}" for n, pid in group.pids().items()), "", "Try:"]
    if u and lay.conf["rooms"]:
        rows += [f"  1. a softphone as {u[0]['name']}@{lay.domain}, proxy {lay.at('tls')} by TLS: call sip:{lay.conf['rooms'][0]}@{lay.domain}"]
    rows += [f"  2. scripts/conclave room list --dir {lay.top}", f"  3. tail -f {lay.path('log', 'kamailio.log')}", "", "Ctrl-C ends all of it."]
    return "\n".join(rows)


def make_rooms(lay):
    known = {r.get("name") for r in admin.focusd(lay, "list").get("conferences", [])}
    for room in lay.conf["rooms"]:
        if room not in known:
            try:
                admin.focusd(lay, "add", name=room, trunk=True)
            except Problem as e:
                if "exist" not in str(e):
                    raise


def wait_announced(lay, group):
    """The edge hears of the MCU from focusd; calls before that would fail."""
    end = time.monotonic() + 12
    while time.monotonic() < end and group.stopping is None:
        if admin.mcus_known(lay):
            return
        time.sleep(0.1)
    if group.stopping is None:
        say("conclave: the edge knows no media server yet; see log/focusd.log and log/mcu.log")


def cmd_run(a):
    lay = layout_for(a)
    parts = chosen_parts(lay, a)
    mode = "supervise" if a.supervise else "keep" if a.keep else "group"
    lay.make_dirs()
    addr_path = lay.path("addresses.json")
    ready = False

    def publish():
        if ready:
            write_file(addr_path, json.dumps(addresses(lay, group.pids()), indent=1) + "\n", 0o600)

    group = Group(lay, parts, mode, publish)
    group.install_signals()
    try:
        group.open_control()
        if os.path.exists(addr_path):
            os.unlink(addr_path)
        make_files(lay)
        group.start_all()
        if group.stopping is None and "focusd" in parts:
            make_rooms(lay)
            if "mcu" in parts and "kamailio" in parts:
                wait_announced(lay, group)
        if group.stopping is None:
            ready = True
            publish()
            print(page(lay, group), flush=True)
        return group.run()
    finally:
        group.close()
        if ready and os.path.exists(addr_path):
            os.unlink(addr_path)


def cmd_setup(a):
    lay = layout_for(a)
    make_files(lay)
    print(f"{lay.top} is set up; `conclave check --dir {lay.top}` validates it")
    return 0


def _password(name):
    if sys.stdin.isatty():
        first = getpass.getpass(f"password for {name}: ")
        if first != getpass.getpass("again: "):
            raise Problem("the two differ")
    else:
        try:
            first = sys.stdin.readline().rstrip("\n")
        except UnicodeDecodeError:
            raise Problem("the password is not UTF-8") from None
    if not first:
        raise Problem("an empty password")
    return utf8(first, "password")


def cmd_user(a):
    lay = Layout.load(a.dir)
    table = users.Users(lay)
    if a.action == "list":
        print("\n".join(table.names()))
        return 0
    if not a.name:
        raise Problem(f"user {a.action}: which user?")
    name = parse_user(a.name)["name"]
    if a.action == "del":
        table.delete(name)
    else:
        password = a.name.partition(":")[2] or _password(name)
        (table.add if a.action == "add" else table.passwd)(name, password)
    return 0


def cmd_room(a):
    lay = Layout.load(a.dir)
    if a.action == "list":
        answer = admin.focusd(lay, "list")
        answer.pop("ok")
        for r in answer.get("conferences", []):
            print(plain(r.get("name") or json.dumps(r)))
        return 0
    if not a.name:
        raise Problem(f"room {a.action}: which room?")
    if a.action == "add":
        room = admin.focusd(lay, "add", name=a.name, organizer=a.organizer, policy=a.policy, pin=a.pin, trunk=not a.no_trunk)
        print(f"sip:{a.name}@{lay.domain}\nnumber {room['number']}")
    else:
        admin.focusd(lay, "remove", name=a.name, conf=a.name)
    return 0


def _cert_args(a, n, usage):
    if len(a.args) != n:
        raise Problem(f"usage: conclave cert {usage}")
    return a.args


def cmd_cert(a):
    lay = Layout.load(a.dir)
    certs = Certs(lay)
    if a.action == "list":
        for path, subj, end in certs.listing():
            print(f"{path:<28} {end:<26} {subj}")
        return 0
    if a.action == "issue":
        role, node = _cert_args(a, 2, "issue ROLE NODE")
        certs.service(role, node)
    elif a.action == "renew":
        for role in ("edge", "focus", "mcu"):
            certs.service(role, f"{role}-1")
        certs.client_facing()
    elif a.action == "client-facing":
        certs.import_client_facing(*_cert_args(a, 2, "client-facing CERT KEY"))
    elif a.action == "trust":
        name, ca = _cert_args(a, 2, "trust NAME CA.pem")
        domains = (a.domains or name).split(",")
        for domain in domains:
            if not is_dns_name(domain):
                raise Problem(f"--domains: {domain!r} is no domain name")
        certs.cross(name, ca)
        lay.conf["federated"][name] = {"kind": a.kind, "media": a.media, "domains": domains}
        lay.save()
    else:
        name = _cert_args(a, 1, "distrust NAME")[0]
        if lay.conf["federated"].pop(name, None) is None:
            raise Problem(f"{name} was not trusted")
        os.unlink(lay.path("ca", "federation", name + ".pem"))
        lay.save()
        certs.bundles()
    print("done; `conclave reload` tells the edge, SIGHUP the daemons")
    return 0


def cmd_check(a):
    """Lua syntax of the edge script and policies, `kamailio -c`, `focusd --check`, `mcu --check`. Where no --dir
    is named and ./run holds no group, one is made in a temporary directory for the check."""
    import tempfile
    with tempfile.TemporaryDirectory() as tmp:
        if a.lua_only:
            results = list(check.check_lua())
        else:
            if a.dir == HERE_DIR and not os.path.exists(os.path.join(a.dir, "conclave.json")):
                lay = Layout(tmp, {})
                make_files(lay)
            else:
                lay = Layout.load(a.dir)
                lay.validate()
            render.write_all(lay)
            results = list(check.check_all(lay, [p for p in PARTS if p in ("kamailio",) or binary(p)]))
    for what, error in results:
        print(f"{'ok  ' if not error else 'FAIL'} {os.path.relpath(what) if os.sep in what else what}" + (f"\n{error}" if error else ""))
    return 1 if any(e for _, e in results) else 0


def cmd_softphone(a):
    lay = Layout.load(a.dir)
    print(softphone.write(lay, a.name, a.out or lay.path("phones", a.name), a.password, a.codecs, a.tone, a.device))
    return 0


def cmd_reload(a):
    lay = Layout.load(a.dir)
    render.write_all(lay)
    bad = [(w, e) for w, e in check.check_lua(lay) if e]
    if bad:
        raise Problem("the edge keeps its old script:\n" + "\n".join(f"{w}: {e}" for w, e in bad))
    admin.kamailio(lay, "app_lua.reload")
    admin.kamailio(lay, "tls.reload", timeout=30.0)
    print("the edge reads its script, policies and certificates again")
    return 0


def cmd_restart(a):
    lay = Layout.load(a.dir)
    answer = admin.supervisor(lay, "restart", part=a.part)
    print(f"{a.part} runs, pid {answer['pid']}")
    return 0


def cmd_exec(a):
    lay = Layout.load(a.dir)
    part = make_parts(lay, [a.part])[0]
    os.chdir(lay.path("run"))
    os.execvpe(part.argv[0], part.argv, {**os.environ, **part.env})


def cmd_status(a):
    answer = admin.supervisor(Layout.load(a.dir), "status")
    for name, p in answer["parts"].items():
        print(f"{name:<10} {'ready' if p['ready'] else 'silent' if p['silent'] else 'starting' if p['pid'] else 'dead':<9} "
              + (f"pid {p['pid']:<8} since {p['seconds']:.0f} s" if p["pid"] else ""))
    return 0 if all(p["ready"] for p in answer["parts"].values()) else 1


def cmd_stop(a):
    lay = Layout.load(a.dir)
    admin.supervisor(lay, "stop")
    end = time.monotonic() + 6
    while os.path.exists(lay.path("run", "conclave.sock")):
        if time.monotonic() > end:
            raise Problem("the group did not end within 6 s")
        time.sleep(0.05)
    return 0


def _work(argv):
    a = parser().parse_args(argv)
    return a.func(a)


def main(argv):
    os.environ["PATH"] = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"
    return run("conclave", argv, _work)
