# SPDX-License-Identifier: Apache-2.0
"""confctl schedule: conferences made, listed and deleted over HTTPS, with the user's own SIP name and password."""
import argparse
import base64
import getpass
import hashlib
import http.client
import json
import os
import re
import secrets
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET
from xml.sax.saxutils import escape, quoteattr

from . import Problem
from .layout import parse_user
from .terminal import utf8

CCCP, CI, MSCI, OC = ("urn:ietf:params:xml:ns:cccp", "urn:ietf:params:xml:ns:conference-info",
                      "http://schemas.microsoft.com/rtc/2005/08/confinfoextensions", "urn:x-conclave:c3p:1")
MOST_HOURS = 87600                                               # ten years
PATH = "/LiveServer/FocusFactory/"


def _hours(text):
    try:
        hours = float(text)
    except ValueError:
        hours = 0.0
    if not 0 < hours <= MOST_HOURS:
        raise argparse.ArgumentTypeError(f"{text!r}: more than 0 and at most {MOST_HOURS}")
    return hours


def _https(url):
    try:
        u = urllib.parse.urlsplit(url)
        good = u.scheme == "https" and u.hostname and (u.port or 443) and re.fullmatch(r"[!-~]+", url)
    except ValueError:
        good = False
    if not good:
        raise argparse.ArgumentTypeError(f"{url!r}: say https://HOST:PORT")
    return url


def options(p):
    p.add_argument("action", nargs="?", choices=("add", "list", "delete"), default="add", help="what to do (default add)")
    p.add_argument("--user", required=True, metavar="NAME[:PASSWORD]", help="who schedules; without password: that of a demo user, else it is asked for")
    p.add_argument("--url", type=_https, help="https://HOST:PORT of the scheduling listener (default: that of the group in --dir)")
    p.add_argument("--ca", metavar="FILE", help="who signed its certificate (default: the group's ca/client-root.pem)")
    p.add_argument("--domain", help="the SIP domain (default: the group's)")
    p.add_argument("--subject", default="", help="add: title of the conference")
    p.add_argument("--policy", choices=("openAuthenticated", "closedAuthenticated", "anonymous"), default="openAuthenticated", help="add: who may enter")
    p.add_argument("--hours", type=_hours, default=8.0, metavar="N", help="add: it may be deleted after so many hours (default 8)")
    p.add_argument("--invite", action="append", default=[], metavar="URI[=presenter]", help="add: somebody on its list")
    p.add_argument("--passcode", metavar="CODE", help="add: what callers without a user name must know")
    p.add_argument("--id", metavar="ID", help="add: the conference's id (default: made up); delete: which one")


class Digest(urllib.request.HTTPDigestAuthHandler):
    """Passwords are UTF-8, as in the edge's table; Python's own handler takes ASCII only."""
    def get_algorithm_impls(self, algorithm):
        h = lambda text: hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
        return h, lambda secret, data: h(f"{secret}:{data}")


def _password(name):
    if sys.stdin and sys.stdin.isatty():
        password = getpass.getpass(f"password of {name}: ")
    else:
        try:
            password = sys.stdin.readline().rstrip("\n") if sys.stdin else ""
        except UnicodeDecodeError:
            raise Problem(f"the password of {name} is not UTF-8") from None
    if not password:
        raise Problem(f"no password of {name}: give --user {name}:PASSWORD, or write it to standard input")
    return utf8(password, "password")


class Factory:
    def __init__(self, a):
        group = {}
        if not (a.url and a.domain):
            try:
                with open(os.path.join(a.dir, "conclave.json")) as f:
                    group = json.load(f)
            except (OSError, ValueError) as e:
                raise Problem(f"{a.dir}: {e}; give --url and --domain, or --dir of a group") from None
        name, _, password = a.user.partition(":")
        name = parse_user(name)["name"]
        known = {u["name"]: u.get("password") for u in group.get("users", [])}
        password = password or known.get(name) or _password(name)
        self.domain = a.domain or group["domain"]
        host = f"[{group['bind']}]" if ":" in group.get("bind", "") else group.get("bind")
        self.url = (a.url or f"https://{host}:{int(group['base']) + 14}").rstrip("/") + PATH
        self.me, self.to = f"sip:{name}@{self.domain}", f"sip:{name}@{self.domain};gruu;opaque=app:conf:focusfactory"
        auth = Digest()
        auth.add_password(self.domain, self.url, name, password)
        ca = a.ca or (os.path.join(a.dir, "ca", "client-root.pem") if group else None)
        try:
            tls = ssl.create_default_context(cafile=ca)
        except OSError as e:                     # also what is no certificate
            raise Problem(f"--ca {ca}: {e.strerror or e}") from None
        tls.check_hostname = bool(a.url)         # a group is reached by its address
        self.http = urllib.request.build_opener(urllib.request.HTTPSHandler(context=tls), auth)

    def ask(self, command):
        body = (f'<?xml version="1.0"?><request xmlns="{CCCP}" xmlns:ci="{CI}" xmlns:msci="{MSCI}" xmlns:oc="{OC}" C3PVersion="1" '
                f'requestId="1" from={quoteattr(self.me)} to={quoteattr(self.to)}>{command}</request>')
        req = urllib.request.Request(self.url, body.encode(), {"Content-Type": "application/cccp+xml"})
        try:
            with self.http.open(req, timeout=10) as r:
                root = ET.fromstring(r.read())
        except urllib.error.HTTPError as e:
            if e.code == 401:
                raise Problem(f"{self.url}: wrong user name or password") from None
            raise Problem(f"{self.url}: {e.code}: {e.read(300).decode(errors='replace').strip() or e.reason}") from None
        except (urllib.error.URLError, http.client.HTTPException, ValueError, OSError) as e:
            raise Problem(f"{self.url}: {getattr(e, 'reason', e)}") from None
        except ET.ParseError as e:
            raise Problem(f"{self.url}: the answer cannot be read: {e}") from None
        if root.get("code") != "success":
            raise Problem(f"refused: {root[0].get('reason', 'no reason given') if len(root) else 'no reason given'}")
        return root[0]

    def encrypted(self, passcode):
        """The pass code as CMS EnvelopedData for the focus's certificate."""
        cert = self.ask("<getEncryptionKey/>").find(f".//{{{MSCI}}}x509-certificate").text
        pem = os.fsencode("-----BEGIN CERTIFICATE-----\n" + "\n".join(cert[i:i + 64] for i in range(0, len(cert), 64)) + "\n-----END CERTIFICATE-----\n")
        r, w = os.pipe()
        os.write(w, pem)
        os.close(w)
        try:
            done = subprocess.run(["openssl", "cms", "-encrypt", "-binary", "-aes256", "-outform", "DER", f"/dev/fd/{r}"], input=passcode.encode(),
                                  capture_output=True, pass_fds=(r,), check=False)
        finally:
            os.close(r)
        if done.returncode:
            raise Problem(f"openssl cms: {done.stderr.decode(errors='replace').strip()}")
        return base64.b64encode(done.stdout).decode()


def _add(f, a):
    users = "".join(f'<ci:user entity={quoteattr(u)}><ci:roles><ci:entry>{role or "attendee"}</ci:entry></ci:roles></ci:user>'
                    for u, _, role in (i.rpartition("=") if i.endswith(("=presenter", "=attendee")) else (i, "", "") for i in a.invite))
    expiry = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + a.hours * 3600))
    code = f"<msci:pstn-access><oc:passcode encoding=\"cms-base64\">{f.encrypted(a.passcode)}</oc:passcode></msci:pstn-access>" if a.passcode else ""
    cmd = f.ask(f'<addConference><ci:conference-info entity=""><ci:conference-description><ci:subject>{escape(a.subject)}</ci:subject>'
                f"<msci:conference-id>{a.id or secrets.token_hex(16).upper()}</msci:conference-id><msci:expiry-time>{expiry}</msci:expiry-time>"
                f"<msci:admission-policy>{a.policy}</msci:admission-policy>{code}</ci:conference-description>"
                f"<ci:users>{users}</ci:users></ci:conference-info></addConference>")
    return {"uri": cmd.find(f"{{{CI}}}conference-info").get("entity")}


def _list(f, a):
    rows = []
    for info in f.ask("<getConferences/>").iter(f"{{{CI}}}conference-info"):
        d = info.find(f"{{{CI}}}conference-description")
        text = lambda ns, n: d.findtext(f"{{{ns}}}{n}") or "" if d is not None else ""
        rows.append({"uri": info.get("entity"), "id": text(MSCI, "conference-id"), "subject": text(CI, "subject"),
                     "policy": text(MSCI, "admission-policy"), "expires": text(MSCI, "expiry-time"), "active": text(MSCI, "is-active") == "true"})
    return {"conferences": rows}


def _delete(f, a):
    if not a.id:
        raise Problem("delete which one? give --id (see `confctl schedule list`)")
    f.ask(f"<deleteConference><conferenceKeys msci:conference-id={quoteattr(a.id)}/></deleteConference>")
    return {}


def run(a):
    return {"ok": True, **{"add": _add, "list": _list, "delete": _delete}[a.action](Factory(a), a)}
