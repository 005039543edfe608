# SPDX-License-Identifier: Apache-2.0
"""SIP messages for the tests: text in, text out, nothing checked on the way out so that a test can forge anything.

A message is its start line, a list of (name, value) and a body. Names are compared without case, compact forms are
expanded on reading. Also here: digest answers (RFC 2617, RFC 8760).
"""
import hashlib
import os
import re

COMPACT = {"i": "Call-ID", "f": "From", "t": "To", "v": "Via", "m": "Contact", "c": "Content-Type",
           "l": "Content-Length", "s": "Subject", "k": "Supported", "e": "Content-Encoding", "o": "Event",
           "u": "Allow-Events", "r": "Refer-To", "b": "Referred-By"}


def split_commas(value):
    """Splits a header value at commas that are neither inside <> nor inside quotes."""
    parts, depth, quoted, start = [], 0, False, 0
    for i, ch in enumerate(value):
        if ch == '"' and (i == 0 or value[i - 1] != "\\"):
            quoted = not quoted
        elif not quoted and ch in "<>":
            depth += 1 if ch == "<" else -1
        elif ch == "," and not quoted and depth == 0:
            parts.append(value[start:i].strip())
            start = i + 1
    parts.append(value[start:].strip())
    return [p for p in parts if p]


def uri_of(value):
    """The URI of a From, To, Contact or Route value."""
    m = re.search(r"<([^>]*)>", value)
    return m.group(1) if m else value.split(";")[0].strip()


def header_params(value):
    """Parameters after the <URI> of a header value, names in lower case; a valueless one is ''."""
    tail = value[value.index(">") + 1:] if ">" in value else ";" + value.partition(";")[2]
    out = {}
    for m in re.finditer(r';\s*([^=;\s]+)\s*(?:=\s*("[^"]*"|[^;]*))?', tail):
        out[m.group(1).lower()] = (m.group(2) or "").strip().strip('"')
    return out


def uri_params(uri):
    """Parameters of a URI (not its ?headers)."""
    out = {}
    for part in uri.partition("?")[0].split(";")[1:]:
        name, _, value = part.partition("=")
        out[name.lower()] = value
    return out


class Msg:
    def __init__(self, start, headers=(), body=b""):
        self.start, self.headers = start, list(headers)
        self.body = body.encode() if isinstance(body, str) else body

    @classmethod
    def parse(cls, data):
        head, _, body = data.partition(b"\r\n\r\n")
        lines = re.sub(r"\r\n[ \t]+", " ", head.decode("utf-8", "replace")).split("\r\n")
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(":")
            name = name.strip()
            headers.append((COMPACT.get(name.lower(), name), value.strip()))
        return cls(lines[0], headers, body)

    def encode(self):
        lines = [self.start] + [f"{n}: {v}" for n, v in self.headers]
        if self.get("Content-Length") is None:
            lines.append(f"Content-Length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + self.body

    def get(self, name, default=None):
        for n, v in self.headers:
            if n.lower() == name.lower():
                return v
        return default

    def all(self, name):
        """Every value of a list header, one entry each."""
        return [p for n, v in self.headers if n.lower() == name.lower() for p in split_commas(v)]

    def set(self, name, value):
        """Replaces the first header of that name (or adds one); None removes all of them."""
        for i, (n, _) in enumerate(self.headers):
            if n.lower() == name.lower() and value is not None:
                self.headers[i] = (n, value)
                return self
        self.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()]
        if value is not None:
            self.headers.append((name, value))
        return self

    def copy(self):
        return Msg(self.start, self.headers, self.body)

    @property
    def is_response(self):
        return self.start.startswith("SIP/2.0 ")

    @property
    def code(self):
        return int(self.start.split()[1]) if self.is_response else 0

    @property
    def method(self):
        return None if self.is_response else self.start.split()[0]

    @property
    def uri(self):
        return None if self.is_response else self.start.split()[1]

    @property
    def call_id(self):
        return self.get("Call-ID", "")

    @property
    def cseq(self):
        number, _, method = self.get("CSeq", "0 ?").partition(" ")
        return int(number), method.strip()

    @property
    def branch(self):
        vias = self.all("Via")
        return header_params(vias[0]).get("branch", "") if vias else ""

    def tag(self, name):
        return header_params(self.get(name, "")).get("tag")

    @property
    def contact(self):
        contacts = self.all("Contact")
        return uri_of(contacts[0]) if contacts else None

    @property
    def diagnostics(self):
        """Number of the ms-diagnostics header, or None."""
        value = self.get("ms-diagnostics") or self.get("ms-diagnostics-public")
        m = re.match(r"\s*(\d+)", value or "")
        return int(m.group(1)) if m else None

    def __repr__(self):
        return self.encode().decode("utf-8", "replace")


def take_messages(data):
    """The whole messages at the beginning of a stream's bytes, and what is behind them."""
    messages = []
    while True:
        data = data.lstrip(b"\r\n")
        head = data.find(b"\r\n\r\n") + 4
        end = head + int(Msg.parse(data[:head]).get("Content-Length", "0")) if head >= 4 else 0
        if not end or len(data) < end:
            return messages, data
        messages.append(data[:end])
        data = data[end:]


def challenge_params(value):
    return {k.lower(): v.strip('"') for k, v in re.findall(r'([\w-]+)\s*=\s*("[^"]*"|[^,\s]+)', value)}


def digest(challenge, method, uri, user, password, body=b"", count=1):
    """The value of an Authorization header that answers a WWW-/Proxy-Authenticate value."""
    c = challenge_params(challenge)
    algorithm = c.get("algorithm", "MD5")
    name = "sha256" if algorithm.upper().startswith("SHA-256") else "md5"
    h = lambda text: hashlib.new(name, text.encode()).hexdigest()
    cnonce, nc = os.urandom(8).hex(), f"{count:08x}"
    ha1 = h(f"{user}:{c['realm']}:{password}")
    if algorithm.lower().endswith("-sess"):
        ha1 = h(f"{ha1}:{c['nonce']}:{cnonce}")
    ha2 = h(f"{method}:{uri}")
    out = [f'username="{user}"', f'realm="{c["realm"]}"', f'nonce="{c["nonce"]}"', f'uri="{uri}"']
    if "qop" in c:
        response = h(f"{ha1}:{c['nonce']}:{nc}:{cnonce}:auth:{ha2}")
        out += ["qop=auth", f"nc={nc}", f'cnonce="{cnonce}"']
    else:
        response = h(f"{ha1}:{c['nonce']}:{ha2}")
    out.append(f'response="{response}"')
    if "algorithm" in c:
        out.append(f"algorithm={algorithm}")
    if "opaque" in c:
        out.append(f'opaque="{c["opaque"]}"')
    return "Digest " + ", ".join(out)
