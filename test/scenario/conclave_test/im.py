# SPDX-License-Identifier: Apache-2.0
"""A chat client: INVITE with m=message, MESSAGE in the dialog, reports and typing as they come."""
from lxml import etree

from .c3p import mcu_uri
from .sip import Call, SipTimeout

OLD = ("text/plain text/html image/gif multipart/alternative application/im-iscomposing+xml application/ms-imdn+xml "
       "text/x-msmsgsinvite")
MS_SENDER = [("Supported", "ms-sender")]
IMDN = "{http://schemas.microsoft.com/rtc/2005/08/imdn}"


def sdp(medium="message", types=OLD):
    return ("v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=session\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m={medium} 5061 sip null\r\na=accept-types:{types}\r\n")


class Chat(Call):
    """A dialog with the IM MCU. `answers` maps a method to the code that its requests get (default 200)."""

    def send(self, text, ctype="text/plain; charset=UTF-8", timeout=8):
        return self.request("MESSAGE", [], text if isinstance(text, bytes) else text.encode(), ctype, timeout)

    def of(self, method):
        with self.cond:
            return [m for _, m in self.requests if m.method == method]

    @property
    def texts(self):
        return [m.body.decode("utf-8", "replace") for m in self.of("MESSAGE")]

    def wait_texts(self, want, timeout=5):
        self.wait(f"texts {want}", lambda: self.texts == want, timeout)

    def wait(self, what, pred, timeout=5):
        with self.cond:
            if not self.cond.wait_for(pred, timeout):
                raise SipTimeout(f"{self.ua}: not within {timeout} s: {what}; has {self.texts}")

    def reports(self):
        """[(message id, {recipient: status})] of the delivery reports so far."""
        out = []
        for m in self.of("BENOTIFY"):
            if m.get("Content-Type", "").startswith("application/ms-imdn+xml"):
                root = etree.fromstring(m.body)
                out.append((root.findtext(f"{IMDN}message-id"),
                            {r.get("uri"): int(r.findtext(f"{IMDN}status")) for r in root.findall(f"{IMDN}recipient")}))
        return out

    def close(self):
        if not self.ended.is_set() and not self.ua.closed.is_set():
            try:
                self.bye(3)
            except SipTimeout:
                pass




def enter(ua, focus, medium="message", types=OLD, headers=MS_SENDER, **kw):
    """INVITE to the chat of the conference; the caller must be in its focus."""
    return ua.invite(mcu_uri(focus, "chat"), sdp(medium, types), headers=headers, cls=Chat, **kw)
