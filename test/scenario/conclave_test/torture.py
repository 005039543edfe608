# SPDX-License-Identifier: Apache-2.0
"""Torture messages after the list of RFC 4475: for each of its sections one message of our own that has the property the
section is about, addressed to this group, so that it gets as far as the property lets it.

A message is a function of Here: who sends it, over what, with what headers in addition.
"""
from dataclasses import dataclass
from typing import Callable

from .sip import token

DOMAIN = "conclave.test"
ROOM = f"sip:lobby@{DOMAIN}"
SDP = (b"v=0\r\no=t 41 42 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 49217 RTP/SAVP 0\r\n"
       b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:Y29uY2xhdmUgdG9ydHVyZSBrZXkgYW5kIHNhbHQh\r\n")


@dataclass
class Here:
    transport: str                       # as Via says it
    addr: tuple                          # of the sender
    extra: str = ""                      # complete header lines
    call_id: str = ""

    def __post_init__(self):
        self.call_id = token() + "@torture"

    @property
    def sent_by(self):
        return f"{self.addr[0]}:{self.addr[1]}"

    def via(self, branch=None, params=";rport"):
        return f"Via: SIP/2.0/{self.transport} {self.sent_by};branch={branch or 'z9hG4bK' + token()}{params}"


@dataclass
class Torture:
    name: str                            # as the RFC calls it
    section: str
    kind: str                            # valid, invalid, lenient (wrong, but may be understood), response
    make: Callable                       # Here -> bytes
    edge: tuple = ()                     # if given, one of these codes at the edge (0: no answer)
    daemon: tuple = ()                   # and behind it
    datagram: bool = False               # the property is one of datagrams


def lines(here, start, *headers, body=b"", length=None, frm=None, to=None, cseq=None, leave=(), contact=True, via=None):
    """A request: the usual headers unless `leave` names them, then `headers`, then the body."""
    method = start.split()[0] if start.split() else "INVITE"
    usual = {"Via": via or here.via(), "From": frm or f"From: <sip:alice@{DOMAIN}>;tag={token(4)}", "To": to or f"To: <{ROOM}>",
             "Call-ID": f"Call-ID: {here.call_id}", "CSeq": cseq or f"CSeq: 7 {method}", "Max-Forwards": "Max-Forwards: 70",
             "Contact": f"Contact: <sip:alice@{here.sent_by}>" if contact else None}
    out = [start] + [v for k, v in usual.items() if v and k not in leave] + list(headers)
    if here.extra:
        out.append(here.extra.rstrip("\r\n"))
    if body:
        out.append("Content-Type: application/sdp") if not any(h.lower().startswith(("content-type", "c:")) for h in headers) else None
    if "Content-Length" not in leave:
        out.append(f"Content-Length: {len(body) if length is None else length}")
    return "\r\n".join(out).encode("utf-8", "surrogateescape") + b"\r\n\r\n" + body


def answer(here, start, *headers, via=None):
    """A response that nobody waits for."""
    return "\r\n".join([start, via or here.via(), f"From: <sip:alice@{DOMAIN}>;tag=1", f"To: <{ROOM}>;tag=2", f"Call-ID: {here.call_id}",
                        *headers, *([] if any(h.startswith("CSeq") for h in headers) else ["CSeq: 7 INVITE"]), "Content-Length: 0",
                        "", ""]).encode()


def invite(uri=ROOM):
    return f"INVITE {uri} SIP/2.0"


def options(uri=f"sip:{DOMAIN}"):
    return f"OPTIONS {uri} SIP/2.0"


def register():
    return f"REGISTER sip:{DOMAIN} SIP/2.0"


ME = f"To: <sip:alice@{DOMAIN}>"
ODD = "!quite-Odd_Method0*+`.%it's~"


# --- 3.1.1: valid
def wsinv(h):
    """The RFC folds CSeq between number and method, too: Kamailio 5.6 drops such a message before any script sees it."""
    head = [
        f"To\t:\r\n <{ROOM}>", f'from : "A \\"quoted\\" \\\\ name"<sip:alice@{DOMAIN}>\r\n  ;\r\n  tag = {token(4)}', f"Call-ID \t : {h.call_id}",
        "cseq: 0000007 \t INVITE", "mAx-FoRwArDs :\r\n 0051", "s :", "Nobody-Asked: ;,;,, ;;q\r\n\tw;", "c:application/sdp",
        f'm:"So \\"quoted\\"" <sip:alice@{h.sent_by}>;fresh = yes ; q=0.25', "Via : SIP / 2.0\r\n /UDP\r\n   192.0.2.2;branch=one1",
        "v:  SIP  / 2.0  / TCP     mill.example.net  ;\r\n  branch = z9hG4bKtwo2  , SIP  /    2.0   / UDP  192.0.2.77   ; branch=\r\n z9hG4bKthree3"]
    return lines(h, f"INVITE sip:lobby@{DOMAIN};whatsthis SIP/2.0", *head, body=SDP, leave=("To", "From", "Call-ID", "CSeq", "Max-Forwards", "Contact"))


def intmeth(h):
    return lines(h, f"{ODD} sip:o-d.d_U!s~e*r'(x)&=+$,;?/%3Bz:se=cr+et$,&p@{DOMAIN} SIP/2.0",
                 frm=f'From: "bell \\\x07 one \\\x01 del \\\x7f" <sip:alice@{DOMAIN}>;tag=t_!a\'*g+`~.%1', cseq=f"CSeq: 2147483647 {ODD}",
                 to="To: some_tokens-7 ~` it's.!*%+ <" + ROOM + ">", contact=False)


def esc01(h):
    return lines(h, invite(f"sip:sips%3Aguest%40example.net@{DOMAIN};level=top"), to=f"To: <sip:%67ues%74@{DOMAIN}>",
                 frm=f"From: <sip:with%20two%20blanks@{DOMAIN}>;tag={token(4)}", body=SDP)


def escnull(h):
    return lines(h, register(), f"Contact: <sip:%00@{h.sent_by}>", f"Contact: <sip:%00%00@{h.sent_by}>", "L:0", contact=False,
                 frm=f"From: sip:a%00b@{DOMAIN};tag=71", to=f"To: sip:a%00b@{DOMAIN}", leave=("Content-Length",))


def esc02(h):
    return lines(h, f"RE%47IST%45R sip:{DOMAIN} SIP/2.0", f"Contact: <sip:other1@{h.sent_by}>", "Contact: <sip:other%32@elsewhere.example.net>",
                 to=f'To: "%Q%41" <sip:thing@{DOMAIN}>', frm=f'From: "%Q%41" <sip:thing@{DOMAIN}>;tag=72', contact=False)


def lwsdisp(h):
    return lines(h, options(), frm=f"From: somebody<sip:alice@{DOMAIN}>;tag=73", to=ME)


def longreq(h):
    longest = "x" * 90
    return lines(h, invite(), f"Unknown-{'very-' * 12}Long: {'value;' * 40}", "Via: SIP/2.0/TCP one.example.net;branch=z9hG4bK" + "b" * 200,
                 frm=f'From: "{"a name without an end " * 12}" <sip:alice@{DOMAIN}?{longest}>;tag={"t" * 180};{"unknown" * 9}={"v" * 60}',
                 to=f'To: "{"and another one like it " * 5}"<{ROOM};{"p" * 80}={"v" * 80};longparam=shortvalue>', body=SDP)


def dblreq(h):
    second = invite().encode() + b"\r\nCall-ID: second-in-the-datagram@torture\r\nVia: SIP/2.0/UDP 192.0.2.5;branch=z9hG4bKtrail\r\n\r\n"
    return lines(h, register(), to=ME) + second


def semiuri(h):
    return lines(h, options(f"sip:guest;at=g%40example.net@{DOMAIN}"), to=f"To: sip:guest;at=g%40example.net@{DOMAIN}", contact=False)


def transports(h):
    more = [f"Via: SIP/2.0/{t} host{i}.example.net;branch=z9hG4bK{i}" for i, t in enumerate(("UDP", "SCTP", "TLS", "UNKNOWN", "TCP"))]
    return lines(h, options(), *more, to=ME)


def mpart01(h):
    body = (b"--parts-of-it\r\nContent-Type: text/plain\r\nContent-Transfer-Encoding: binary\r\n\r\nHello\r\n--parts-of-it\r\n"
            b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n" + bytes(range(256)) + b"\r\n--parts-of-it--\r\n")
    return lines(h, f"MESSAGE sip:bob@{DOMAIN} SIP/2.0", "MIME-Version: 1.0", "Content-Type: multipart/mixed;boundary=parts-of-it", body=body,
                 to=f"To: <sip:bob@{DOMAIN}>")


def unreason(h):
    return answer(h, "SIP/2.0 200 (10 * 20) \u00fcbrigens: \u03c7\u03b1\u03af\u03c1\u03b5, \u0434\u043e\u0431\u0440\u044b\u0439 \u0434\u0435\u043d\u044c; \"q")


def noreason(h):
    return answer(h, "SIP/2.0 100 ")


# --- 3.1.2: invalid
def badinv01(h):
    return lines(h, invite(), 'Contact: "Eve" <sip:eve@example.net>;;;', via=h.via(params=";,;;,"), to=f"To: sip:lobby@{DOMAIN};,;", contact=False, body=SDP)


def clerr(h):
    return lines(h, invite(), body=SDP, length=9999)


def ncl(h):
    return lines(h, invite(), body=SDP, length=-40)


def scalar02(h):
    return lines(h, register(), "Max-Forwards: 300", "Expires: " + "1" * 60, "Expires: 1000000000000000",
                 f"Contact: <sip:alice@{h.sent_by}>;expires=99999999999999", to=ME, cseq="CSeq: 36893488147419103232 REGISTER",
                 leave=("Max-Forwards",), contact=False)


def scalarlg(h):
    return answer(h, "SIP/2.0 503 Service Unavailable", "CSeq: 88888888888888888888 OPTIONS", "Retry-After: 7777777777777777777777",
                  "Warning: 5000 host \"too large\"")


def quotbal(h):
    return lines(h, invite(), to=f'To: "Dr. No End <{ROOM}>', body=SDP)


def ltgtruri(h):
    return lines(h, invite(f"<{ROOM}>"), body=SDP)


def lwsruri(h):
    return lines(h, invite(f"sip:lobby@{DOMAIN}; lr"), body=SDP)


def lwsstart(h):
    return lines(h, f"INVITE  {ROOM}  SIP/2.0", body=SDP)


def trws(h):
    return lines(h, f"OPTIONS sip:{DOMAIN} SIP/2.0  ", to=ME)


def escruri(h):
    return lines(h, invite(f"{ROOM}?Route=%3Csip:evil.example.net%3E"), body=SDP)


def baddate(h):
    return lines(h, invite(), "Date: Mon, 07 Feb 2011 09:30:00 CET", body=SDP)


def regbadct(h):
    return lines(h, register(), "Contact: sip:alice@127.0.0.1?Route=%3Csip:relay.example.net%3E", to=ME, contact=False)


def badaspec(h):
    return lines(h, options(), to=f'To: "Field, Ada" < sip:alice@{DOMAIN} >')


def baddn(h):
    return lines(h, options(), frm=f"From: Hill, Bert <sip:alice@{DOMAIN}>;tag=43", to=f"To: Field, Ada <sip:alice@{DOMAIN}>")


def badvers(h):
    return lines(h, f"OPTIONS sip:{DOMAIN} SIP/7.0", to=ME, via=h.via().replace("SIP/2.0", "SIP/7.0"))


def mismatch01(h):
    return lines(h, options(), cseq="CSeq: 8 INVITE", to=ME)


def mismatch02(h):
    return lines(h, f"INVENTED sip:{DOMAIN} SIP/2.0", cseq="CSeq: 8 INVITE", to=ME, body=SDP)


def bigcode(h):
    return answer(h, "SIP/2.0 4294967301 a code that fits nowhere")


# --- 3.2, 3.3, 3.4
def badbranch(h):
    return lines(h, options(), via=h.via("z9hG4bK"), to=ME)


def insuf(h):
    return lines(h, invite(), leave=("Call-ID", "From", "To", "Max-Forwards", "Contact"), body=SDP)


def unkscm(h):
    return lines(h, options("unheardofscheme:whatever-it-means"), to="To: <unheardofscheme:whatever-it-means>")


def novelsc(h):
    return lines(h, options("gopher.web://192.0.2.9:7070"), to="To: sip:conclave.test", contact=False)


def unksm2(h):
    return lines(h, register(), "Contact: <word:one_two>", to="To: shelf:12-34", frm="From: <http://www.example.net>;tag=74", contact=False)


def bext01(h):
    return lines(h, options(), "Proxy-Require: neverHeardOf, norOfThis", "Require: notBuiltYet, norEver", to=ME)


def invut(h):
    return lines(h, invite(), "Content-Type: application/x-made-up", body=b"{\"audio\": [0, 8]}\r\n")


def regaut01(h):
    return lines(h, register(), 'Authorization: Handshake words="please"', to=ME)


def multi01(h):
    return lines(h, invite(), "CSeq: 60 INVITE", "Call-ID: another@torture", "Max-Forwards: 5", f"From: <sip:bob@{DOMAIN}>;tag=2", f"To: <sip:other@{DOMAIN}>",
                 "Contact: <sip:second@127.0.0.1>", "Content-Type: application/sdp", "Content-Type: multipart/mixed;boundary=x", body=SDP)


def mcl01(h):
    return lines(h, options(), "Content-Length: 13", to=ME, body=b"Five octets, or thirteen, or all of these?\r\n", length=5)


def bcast(h):
    return answer(h, "SIP/2.0 200 OK", "Via: SIP/2.0/UDP 255.255.255.255;branch=z9hG4bKall", via=f"Via: SIP/2.0/{h.transport} 192.0.2.99;branch=z9hG4bKnone")


def zeromf(h):
    return lines(h, options(f"sip:bob@{DOMAIN}"), "Max-Forwards: 0", leave=("Max-Forwards",), to=f"To: <sip:bob@{DOMAIN}>")


def cparam01(h):
    return lines(h, register(), f"Contact: sip:+15550177@{h.sent_by};whatsthis", to=ME, contact=False)


def cparam02(h):
    return lines(h, register(), f"Contact: <sip:+15550177@{h.sent_by};whatsthis>", to=ME, contact=False)


def regescrt(h):
    return lines(h, register(), f"Contact: <sip:alice@{h.sent_by}?Route=%3Csip:relay.example.net%3E>", to=ME, contact=False)


def sdp01(h):
    return lines(h, invite(), "Accept: text/x-made-up", body=SDP)


def inv2543(h):
    return lines(h, invite(), via=f"Via: SIP/2.0/{h.transport} {h.sent_by}", frm=f"From: sip:alice@{DOMAIN}", to=f"To: sip:lobby@{DOMAIN}",
                 leave=("Max-Forwards", "Contact") + (("Content-Length",) if h.transport == "UDP" else ()), body=SDP)


CHALLENGED, NOT_A_METHOD, NO_SCHEME = (401, 407), (403, 404, 405, 407, 501), (400, 404, 416)
MESSAGES = [
    Torture("wsinv", "3.1.1.1", "valid", wsinv, CHALLENGED),
    Torture("intmeth", "3.1.1.2", "valid", intmeth, NOT_A_METHOD, (0, 400)),    # DEL is never let into a daemon
    Torture("esc01", "3.1.1.3", "valid", esc01, (403, 404, 407)),
    Torture("escnull", "3.1.1.4", "valid", escnull, (401, 403, 404)),
    Torture("esc02", "3.1.1.5", "valid", esc02, NOT_A_METHOD),
    Torture("lwsdisp", "3.1.1.6", "valid", lwsdisp, (200,)),
    Torture("longreq", "3.1.1.7", "valid", longreq, CHALLENGED),
    Torture("dblreq", "3.1.1.8", "valid", dblreq, (400, *CHALLENGED), datagram=True),    # refused: behind us it would be a message
    Torture("semiuri", "3.1.1.9", "valid", semiuri, (200, 403, 404, 407)),
    Torture("transports", "3.1.1.10", "valid", transports, (200,)),
    Torture("mpart01", "3.1.1.11", "valid", mpart01, CHALLENGED),
    Torture("unreason", "3.1.1.12", "response", unreason),
    Torture("noreason", "3.1.1.13", "response", noreason),
    Torture("badinv01", "3.1.2.1", "invalid", badinv01),
    Torture("clerr", "3.1.2.2", "invalid", clerr),
    Torture("ncl", "3.1.2.3", "invalid", ncl),
    Torture("scalar02", "3.1.2.4", "invalid", scalar02),
    Torture("scalarlg", "3.1.2.5", "response", scalarlg),
    Torture("quotbal", "3.1.2.6", "invalid", quotbal),
    Torture("ltgtruri", "3.1.2.7", "lenient", ltgtruri),
    Torture("lwsruri", "3.1.2.8", "invalid", lwsruri),
    Torture("lwsstart", "3.1.2.9", "lenient", lwsstart),
    Torture("trws", "3.1.2.10", "lenient", trws),
    Torture("escruri", "3.1.2.11", "lenient", escruri),
    Torture("baddate", "3.1.2.12", "lenient", baddate),
    Torture("regbadct", "3.1.2.13", "invalid", regbadct),
    Torture("badaspec", "3.1.2.14", "lenient", badaspec),
    Torture("baddn", "3.1.2.15", "lenient", baddn),
    Torture("badvers", "3.1.2.16", "invalid", badvers, (0, 400, 505)),
    Torture("mismatch01", "3.1.2.17", "invalid", mismatch01),
    Torture("mismatch02", "3.1.2.18", "invalid", mismatch02, (0, 400, 405, 501)),
    Torture("bigcode", "3.1.2.19", "response", bigcode),
    Torture("badbranch", "3.2.1", "valid", badbranch),
    Torture("insuf", "3.3.1", "invalid", insuf),
    Torture("unkscm", "3.3.2", "invalid", unkscm, NO_SCHEME, (200, *NO_SCHEME)),    # a probe is answered whatever it names
    Torture("novelsc", "3.3.3", "invalid", novelsc, NO_SCHEME),
    Torture("unksm2", "3.3.4", "invalid", unksm2),
    Torture("bext01", "3.3.5", "invalid", bext01, (420,), (200, 420)),
    Torture("invut", "3.3.6", "invalid", invut, (407, 415), (302, 403, 404, 415)),    # the focus reads no descriptions
    Torture("regaut01", "3.3.7", "valid", regaut01, CHALLENGED),
    Torture("multi01", "3.3.8", "invalid", multi01),
    Torture("mcl01", "3.3.9", "invalid", mcl01),
    Torture("bcast", "3.3.10", "response", bcast),
    Torture("zeromf", "3.3.11", "invalid", zeromf, (483,)),
    Torture("cparam01", "3.3.12", "valid", cparam01, CHALLENGED),
    Torture("cparam02", "3.3.13", "valid", cparam02, CHALLENGED),
    Torture("regescrt", "3.3.14", "valid", regescrt, CHALLENGED),
    Torture("sdp01", "3.3.15", "invalid", sdp01, (), (302, 403, 404, 406)),
    Torture("inv2543", "3.4.1", "valid", inv2543, CHALLENGED, (0, 400)),    # the edge is no such client
]
