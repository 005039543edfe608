# SPDX-License-Identifier: Apache-2.0
"""Configuration files from a layout: kamailio.cfg, tls.cfg, dispatcher.list, edge.lua, focusd.conf, mcu.conf."""
import glob
import os
import re

from . import Problem
from .certs import ROLES, subject, INTERNAL
from .layout import KAMAILIO_DIR, write_file

MODULE_DIRS = ("/usr/lib/*/kamailio/modules", "/usr/lib/kamailio/modules", "/usr/lib64/kamailio/modules")
UDP_WORKERS, TCP_WORKERS = 4, 4
LOCATION_SYNC_S, BAN_S = 15, 300


def sizes(clients):
    """Memory and files from the number of clients: a TLS client costs the edge about 310 KiB of shared memory (its read buffer and
    OpenSSL's state), transactions come on top; every client is one descriptor, every daemon connection a few."""
    return {"shm_mb": 96 + clients * 320 // 1024 + clients // 8, "pkg_mb": 16, "connections": clients * 2 + 256,
            "files": clients * 2 + 1024}


def module_dir():
    for pattern in MODULE_DIRS:
        found = sorted(glob.glob(pattern))
        if found:
            return found[0] + "/"
    raise Problem("no Kamailio modules found below /usr/lib; run scripts/install-packages")


def lua(value, depth=0):
    """A Python value as a Lua constructor."""
    pad = "\t" * (depth + 1)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, str):
        return '"' + re.sub(r'[\\"\x00-\x1f]', lambda m: f"\\{ord(m.group()):03d}", value) + '"'
    if isinstance(value, dict):
        rows = [f"[{lua(str(k))}] = {lua(v, depth + 1)}" for k, v in value.items()]
    else:
        rows = [lua(v, depth + 1) for v in value]
    if not rows:
        return "{}"
    return "{\n" + "".join(f"{pad}{r},\n" for r in rows) + "\t" * depth + "}"


def policies(lay):
    """The operator's policy files: those that come with the edge, then the group's own."""
    return sorted(glob.glob(os.path.join(KAMAILIO_DIR, "policy.d", "*.lua"))) + sorted(glob.glob(lay.path("etc", "policy.d", "*.lua")))


def edge_settings(lay):
    loopback = lay.bind.startswith("127.") or lay.bind == "::1"
    bind = f"[{lay.bind}]" if ":" in lay.bind else lay.bind
    return {
        "lua": KAMAILIO_DIR, "domain": lay.domain, "ip": bind, "aliases": {"localhost": True} if loopback else {},
        "ports": {"sip": lay.port["sip"], "tls": lay.port["tls"], "wss": lay.port["wss"], "peer": lay.port["peer"],
                  "metrics": lay.port["edge_metrics"]},
        "focus": [lay.at("focus_sip")], "mcu_ip": lay.bind, "relay": bool(lay.conf["rtpengine"]),
        "user_media": lay.conf["user_media"],
        "peers": {f"{r}.{INTERNAL}": {"kind": r, "issuer": subject(r).rsplit("CN=", 1)[1]} for r in ROLES},
        "federated": {name.lower(): {"kind": f.get("kind", "federated"), "name": name, "media": f.get("media", "srtp"),
                                     "domains": {d: True for d in f.get("domains", [name])}}
                      for name, f in lay.conf["federated"].items()},
        "trunks": {t["ip"]: {"kind": "trunk", "name": t["name"], "media": t["media"]} for t in lay.conf["trunks"]},
        "metrics_from": sorted({"127.0.0.1", "::1", lay.bind}),
        # On loopback everything has one address: a test with wrong passwords must not silence all others.
        "abuse_exempt": {lay.bind: True} if loopback else {},
        "limits": {"user_fails": 5, "ip_fails": 20},
        "policies": policies(lay),
    }


def edge_lua(lay):
    return ("-- Written by scripts/conclave; `conclave reload` writes it anew.\nEDGE = " + lua(edge_settings(lay)) +
            '\ndofile(EDGE.lua .. "/main.lua")\n')


def kamailio_cfg(lay):
    s = sizes(int(lay.conf["clients"]))
    words = {
        "DEBUG": "3" if lay.conf["log_level"] == "debug" else "2", "UDP_WORKERS": UDP_WORKERS, "TCP_WORKERS": TCP_WORKERS,
        "DOMAIN": lay.domain, "IP": f"[{lay.bind}]" if ":" in lay.bind else lay.bind, "METRICS_IP": metrics_ip(lay),
        "P_SIP": lay.port["sip"], "P_TLS": lay.port["tls"], "P_WSS": lay.port["wss"], "P_PEER": lay.port["peer"],
        "P_METRICS": lay.port["edge_metrics"], "P_NG": lay.port["ng"], "DIR": lay.top, "MODULES": module_dir(),
        "FILES": s["files"], "TCP_CONNECTIONS": s["connections"], "TCP_WQ_MAX": 33554432 + int(lay.conf["clients"]) * 65536,
        "LOCATION_SYNC": LOCATION_SYNC_S, "BAN_SECONDS": BAN_S, "PIKE_DENSITY": 200,
    }
    with open(os.path.join(KAMAILIO_DIR, "kamailio.cfg")) as f:
        text = f.read()

    def word(m):
        return str(words[m.group(1)])

    return re.sub(r"@([A-Z_]+)@", word, text)


def metrics_ip(lay):
    return f"[{lay.bind}]" if ":" in lay.bind else lay.bind


def tls_cfg(lay):
    def section(name, cert, ca, verify):
        yes = "yes" if verify else "no"
        lines = [f"[{name}]", "method = TLSv1.2+", f"certificate = {lay.path('certs', cert + '.pem')}",
                 f"private_key = {lay.path('certs', cert + '.key')}", f"verify_certificate = {yes}", f"require_certificate = {yes}"]
        if ca:
            lines += [f"ca_list = {lay.path('ca', ca)}", "verify_depth = 4"]
        return "\n".join(lines) + "\n"

    return "\n".join([
        section("server:default", "client-facing", None, False),
        section(f"server:{lay.at('peer')}", "edge-1", "peers.pem", True),
        section("client:default", "edge-1", "outgoing.pem", True),
        section(f"client:{lay.at('focus_sip')}", "edge-1", "focus-anchor.pem", True),
        section(f"client:{lay.at('mcu_sip')}", "edge-1", "mcu-anchor.pem", True),
    ])


def dispatcher_list(lay):
    return (f"# set uri flags priority attributes\n"
            f"1 sip:{lay.at('focus_sip')};transport=tls 0 0 duid=focus-1;socket=tls:{lay.at('peer')}\n")


def ini(sections):
    return "\n".join(f"[{name}]\n" + "".join(f"{k} = {v}\n" for k, v in keys.items()) for name, keys in sections.items())


def _common(lay, node, sip, http, metrics, sock):
    return {
        "tls": {"cert": lay.path("certs", node + ".pem"), "key": lay.path("certs", node + ".key"), "ca": lay.path("ca", "servers.pem")},
        "sip": {"bind": lay.bind, "port": lay.port[sip]},
        "http": {"bind": lay.bind, "port": lay.port[http], "url": f"https://{lay.at(http)}"},
        "metrics": {"bind": lay.bind, "port": lay.port[metrics]},
        "admin": {"socket": lay.path("run", sock)},
        "log": {"level": lay.conf["log_level"]},
    }


def focusd_conf(lay):
    return ini({"focusd": {"node": "focus-1", "domain": lay.domain}, "edge": {"addresses": lay.at("peer")},
                "store": {"path": lay.path("db", "focus.sqlite")}, "conference": {"types": "audio-video,chat"},
                "schedule": {"bind": lay.bind, "port": lay.port["schedule"], "cert": lay.path("certs", "client-facing.pem"),
                             "key": lay.path("certs", "client-facing.key"), "credentials": lay.path("db", "credentials.sqlite")},
                **_common(lay, "focus-1", "focus_sip", "focus_http", "focus_metrics", "focusd.sock")})


def mcu_conf(lay):
    low, high = lay.mcu_media
    return ini({"mcu": {"node": "mcu-1", "domain": lay.domain}, "edge": {"addresses": lay.at("peer")},
                "factory": {"urls": f"https://{lay.at('focus_http')}/LiveServer/MCUFactory/"},
                "media": {"ip": lay.bind, "port_min": low, "port_max": high},
                "recording": {"path": lay.path("recordings")},
                "prompts": {"language": "" if lay.conf["prompts"] == "none" else lay.conf["prompts"], "dir": lay.path("etc", "prompts")},
                **_common(lay, "mcu-1", "mcu_sip", "mcu_http", "mcu_metrics", "mcu.sock")})


def rtpengine_args(lay):
    low, high = lay.relay_media
    return ["rtpengine", "--config-file=none", "--table=-1", "--foreground", "--log-stderr", "--log-level=5",
            f"--interface={lay.bind}", f"--listen-ng=127.0.0.1:{lay.port['ng']}", f"--listen-cli=127.0.0.1:{lay.port['ng_cli']}",
            f"--listen-http=127.0.0.1:{lay.port['ng_metrics']}", f"--port-min={low}", f"--port-max={high}", "--num-threads=2",
            "--timeout=60", "--silent-timeout=3600", "--delete-delay=0"]


FILES = {"kamailio.cfg": kamailio_cfg, "tls.cfg": tls_cfg, "dispatcher.list": dispatcher_list, "edge.lua": edge_lua,
         "focusd.conf": focusd_conf, "mcu.conf": mcu_conf}


def write_all(lay):
    for name, make in FILES.items():
        write_file(lay.path("etc", name), make(lay), 0o640)
