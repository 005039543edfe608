# SPDX-License-Identifier: Apache-2.0
"""A baresip configuration for a user of the group: TLS to the edge, mandatory SRTP, recordings of what was said and heard.

Its microphone is a tone (so that a machine without sound card can take part and others can tell who speaks), or a sound device.
"""
import glob
import json
import os
import urllib.parse

from . import Problem
from .layout import write_file

MODULE_DIRS = ("/usr/lib/baresip/modules", "/usr/lib/*/baresip/modules")
CODECS = {"opus": "opus/48000/2", "g722": "G722/16000/1", "pcmu": "PCMU/8000/1", "pcma": "PCMA/8000/1"}

# sip_listen with port 0: several softphones run side by side. The tone module speaks stereo only.
CONFIG = """\
# Written by `conclave softphone`.
poll_method epoll
sip_listen {listen}:0
sip_cafile {ca}
net_interface {listen}
call_local_timeout 60
audio_path /usr/share/baresip
audio_source {source}
audio_player {player}
audio_alert {player}
ausrc_srate 48000
auplay_srate 48000
ausrc_channels 2
auplay_channels 2
rtp_timeout 60
jitter_buffer_delay 3-10
opus_bitrate 32000
statmode_default off
module_path {modules}
module stdio.so
module opus.so
module g722.so
module g711.so
module ausine.so
module aubridge.so
module alsa.so
module sndfile.so
module srtp.so
module uuid.so
module_tmp account.so
module_app menu.so
snd_path {out}/rec
"""


def module_dir():
    for pattern in MODULE_DIRS:
        for d in sorted(glob.glob(pattern)):
            return d
    raise Problem("no baresip modules found; install the package baresip-core")


def password_of(lay, name):
    for u in lay.conf["users"]:
        if u["name"] == name:
            return u["password"]
    raise Problem(f"the password of {name!r} is not known here (only HA1 values are kept); give it with --password")


def write(lay, name, out, password=None, codecs=None, tone=None, device="default"):
    """Writes the directory out; returns the command that starts the softphone and dials the first room."""
    password = password or password_of(lay, name)
    names = (codecs or ",".join(CODECS)).lower().split(",")
    if set(names) - set(CODECS):
        raise Problem(f"--codecs: choose from {','.join(CODECS)}")
    if tone is not None and not 50 <= tone <= 3400:
        raise Problem("--tone: 50 to 3400 Hz, so that every codec carries it")
    os.makedirs(os.path.join(out, "rec"), mode=0o750, exist_ok=True)
    out = os.path.abspath(out)
    source, player = (f"ausine,{tone}", "aubridge,sink") if tone else (f"alsa,{device}",) * 2
    ip = lay.bind if lay.bind not in ("0.0.0.0", "::") else "127.0.0.1" if lay.bind == "0.0.0.0" else "::1"
    edge = f"[{ip}]" if ":" in ip else ip
    write_file(os.path.join(out, "config"), CONFIG.format(
        listen=edge, ca=lay.path("ca", "client-root.pem"), source=source, player=player, modules=module_dir(), out=out))
    write_file(os.path.join(out, "accounts"),
               f"<sip:{name}@{lay.domain};transport=tls>;auth_user={name};auth_pass={json.dumps(password)};"
               f'outbound="sip:{edge}:{lay.port["tls"]};transport=tls";mediaenc=srtp-mand;regint=600;answermode=auto;'
               f"audio_codecs={','.join(CODECS[n] for n in names)}\n", 0o600)
    write_file(os.path.join(out, "contacts"), "")
    room = (lay.conf["rooms"] or ["lobby"])[0]
    return f"baresip -f {out} -e 'd sip:{urllib.parse.quote(room, safe='+')}@{lay.domain}'"
