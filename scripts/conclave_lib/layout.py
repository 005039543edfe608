# SPDX-License-Identifier: Apache-2.0
"""One group: its directory, ports and wishes. conclave.json in the directory keeps what the group was made with."""
import glob
import ipaddress
import json
import os
import re
import secrets

from . import Problem

HERE = os.path.dirname(os.path.realpath(__file__))
TOP = os.path.dirname(os.path.dirname(HERE))
# An installed copy lies in PREFIX/lib/conclave/{scripts,kamailio}, its daemons in PREFIX/sbin.
KAMAILIO_DIR = os.path.join(TOP, "kamailio")

PORTS = ("sip", "tls", "wss", "peer", "edge_metrics", "focus_sip", "focus_http", "focus_metrics", "mcu_sip", "mcu_http",
         "mcu_metrics", "ng", "ng_cli", "ng_metrics", "schedule")
FIRST_MEDIA_PORT = 20
PARTS = ("rtpengine", "kamailio", "focusd", "mcu")
LEVELS = ("error", "warn", "info", "debug")
ATTENDANT = "conference"                                         # focusd's default for [attendant] name
SUBDIRS = ("etc", "etc/policy.d", "etc/prompts", "ca", "ca/federation", "certs", "db", "log", "run")
# Everything kept in conclave.json, and its default for a new group.
DEFAULTS = {
    "base": 15060, "bind": "127.0.0.1", "domain": "conclave.test", "users": [], "rooms": [], "trunks": [], "clients": 200,
    "media_ports": 400, "rtpengine": True, "user_media": "srtp", "federated": {}, "log_level": "info",
    "prompts": "en",
}


def write_file(path, text, mode=0o644):
    """Replaces path in one step: a reader sees the old file or the new one."""
    tmp = f"{path}.{os.getpid()}.tmp"
    fd = os.open(tmp, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "w") as f:
        os.fchmod(f.fileno(), mode)
        f.write(text)
    os.replace(tmp, path)


def build_dir():
    return os.path.abspath(os.environ.get("CONCLAVE_BUILD") or os.path.join(TOP, "build"))


def binary(name):
    """The path of one of our daemons: $CONCLAVE_BUILD, ./build, or where `make install` put it."""
    for d in (build_dir(), os.path.join(os.path.dirname(os.path.dirname(TOP)), "sbin")):
        path = os.path.join(d, name)
        if os.access(path, os.X_OK):
            return path
    return None


def edge_preload():
    """What Kamailio needs preloaded (see kamailio/edge_preload.c)."""
    for d in (build_dir(), KAMAILIO_DIR):
        path = os.path.join(d, "edge_preload.so")
        if os.path.exists(path):
            return path
    raise Problem("no edge_preload.so; run `make`, or name another build directory in $CONCLAVE_BUILD")


LABEL = "[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


def is_dns_name(text):
    return len(text) <= 253 and re.fullmatch(rf"{LABEL}(\.{LABEL})*", text) is not None


def refuse_attendant(name):
    if name == ATTENDANT:
        raise Problem(f"{name} is the attendant's name: callers of it are asked for a conference's number. Choose another name")


def languages(top):
    """Of which there are announcements: built, installed, or the group's own."""
    dirs = (os.path.join(build_dir(), "prompts"), os.path.join(os.path.dirname(os.path.dirname(TOP)), "share", "conclave", "prompts"),
            os.path.join(top, "etc", "prompts"))
    texts = glob.glob(os.path.join(glob.escape(TOP), "mcu", "prompts", "*.txt"))
    return {os.path.basename(p)[:-4] for p in texts} | {os.path.basename(os.path.dirname(p)) for d in dirs
                                                        for p in glob.glob(os.path.join(glob.escape(d), "*", ""))}


def parse_user(text):
    name, _, password = text.partition(":")
    name = name.lower()
    if not re.fullmatch(r"[a-z0-9._-]{1,60}", name):
        raise Problem(f"user name {name!r}: use letters, digits, dot, dash, underscore")
    return {"name": name, "password": password or secrets.token_urlsafe(9)}


def parse_trunk(text):
    ip, sep, media = text.partition(":media=")
    try:
        ip = str(ipaddress.ip_address(ip.strip("[]")))
    except ValueError:
        raise Problem(f"trunk {text!r}: say IP or IP:media=any (plain RTP allowed) or IP:media=srtp") from None
    media = media if sep else "srtp"
    if media not in ("any", "srtp"):
        raise Problem(f"trunk {text!r}: media is any or srtp")
    return {"ip": ip, "media": media, "name": f"trunk-{ip}".replace(":", "-")}


class Layout:
    """Paths and ports of the group in directory `top`; `conf` is the content of conclave.json."""

    def __init__(self, top, conf):
        self.top = os.path.abspath(top)
        self.conf = {**DEFAULTS, **conf}
        self.bind = self.conf["bind"]
        self.domain = self.conf["domain"]
        self.base = int(self.conf["base"])
        self.port = {name: self.base + n for n, name in enumerate(PORTS)}
        half = int(self.conf["media_ports"]) // 2
        first = self.base + FIRST_MEDIA_PORT
        self.mcu_media = (first, first + half - 1)
        self.relay_media = (first + half, first + 2 * half - 1)

    @classmethod
    def load(cls, top):
        path = os.path.join(top, "conclave.json")
        try:
            with open(path) as f:
                return cls(top, json.load(f))
        except FileNotFoundError:
            raise Problem(f"{top} holds no group; make one with `conclave run --dir {top}`") from None
        except ValueError as e:
            raise Problem(f"{path}: {e}") from None

    def save(self):
        write_file(self.path("conclave.json"), json.dumps(self.conf, indent=1) + "\n", 0o600)

    def path(self, *names):
        return os.path.join(self.top, *names)

    def at(self, port):
        host = f"[{self.bind}]" if ":" in self.bind else self.bind
        return f"{host}:{self.port[port] if isinstance(port, str) else port}"

    def make_dirs(self):
        # A Unix socket's path has at most 107 characters.
        if len(self.path("run", "kamailio.rpc.reply.000000")) > 107:
            raise Problem(f"{self.top}: the path is too long for sockets below it; choose a shorter --dir")
        for d in SUBDIRS:
            os.makedirs(self.path(d), mode=0o750, exist_ok=True)

    def validate(self):
        try:
            ipaddress.ip_address(self.bind)
        except ValueError:
            raise Problem(f"--bind {self.bind!r} is no IP address") from None
        both = sorted({u["name"] for u in self.conf["users"]} & set(self.conf["rooms"]))
        if both:
            raise Problem(f"{both[0]} is a user and a room: calls to a user's name go to his phones. Choose another name for one of them")
        last = self.base + FIRST_MEDIA_PORT + int(self.conf["media_ports"])
        if not 1 <= self.base or last > 65535:
            raise Problem(f"--ports {self.base}: ports {self.base} to {last} must lie between 1 and 65535")
        if int(self.conf["media_ports"]) < 40:
            raise Problem("--media-ports: at least 40")
        if not 1 <= int(self.conf["clients"]) <= 1000000:
            raise Problem(f"--clients {self.conf['clients']}: 1 to 1000000")
        for item in self.conf["log_level"].split(","):
            if item.rpartition("=")[2].strip() not in LEVELS:
                raise Problem(f"--log {self.conf['log_level']!r}: say one of {', '.join(LEVELS)}")
        if not is_dns_name(self.domain) or self.domain != self.domain.lower():
            raise Problem(f"--domain {self.domain!r} is no domain name in small letters")
        if not re.fullmatch(r"[A-Za-z]{2,8}([-_][A-Za-z0-9]{1,8})?", self.conf["prompts"]):
            raise Problem(f"--prompts {self.conf['prompts']!r}: say a language like en, or none")
        known = languages(self.top)
        if self.conf["prompts"] != "none" and known and self.conf["prompts"] not in known:
            raise Problem(f"--prompts {self.conf['prompts']!r}: there are {', '.join(sorted(known))}, and none for tones only; "
                          f"recordings of another language go below {self.path('etc', 'prompts', self.conf['prompts'])} first")
        for name in (*self.conf["rooms"], *(u["name"] for u in self.conf["users"])):
            refuse_attendant(name)
        for room in self.conf["rooms"]:
            if not re.fullmatch(r"[a-z0-9._+-]{1,60}", room):
                raise Problem(f"room {room!r}: use small letters, digits, dot, dash, underscore, plus")
