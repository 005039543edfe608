# SPDX-License-Identifier: Apache-2.0
"""Speaking to the running parts: one JSON line to the daemons and to the supervisor, JSON-RPC datagrams to Kamailio."""
import json
import os
import socket

from . import Problem


class Refused(Problem):
    """It answered, but no."""


def ask(path, request, timeout=5.0):
    """One JSON line there, one back. The answer is a dict with ok true; else a Problem."""
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(timeout)
        try:
            s.connect(path)
            s.sendall(json.dumps(request).encode() + b"\n")
            data = b""
            while not data.endswith(b"\n"):
                more = s.recv(65536)
                if not more:
                    break
                data += more
        except socket.timeout:
            raise Problem(f"{path}: no answer within {timeout:g} s") from None
        except OSError as e:
            raise Problem(f"{path}: {e.strerror or e}; is the group running?") from None
    try:
        answer = json.loads(data)
    except ValueError:
        raise Problem(f"{path}: the answer is no JSON") from None
    if not answer.get("ok"):
        raise Refused(answer.get("error", "refused without a reason"))
    return answer


def kamailio(lay, method, *params, timeout=3.0):
    """A JSON-RPC call to the edge; returns its result."""
    own = lay.path("run", f"kamailio.rpc.reply.{os.getpid()}")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as s:
        try:
            s.bind(own)
            s.settimeout(timeout)
            s.sendto(json.dumps({"jsonrpc": "2.0", "method": method, "params": list(params), "id": 1}).encode(),
                     lay.path("run", "kamailio.rpc"))
            answer = json.loads(s.recv(1 << 20))
        except socket.timeout:
            raise Problem(f"kamailio: {method}: no answer within {timeout:g} s") from None
        except OSError as e:
            raise Problem(f"kamailio: {e.strerror or e}; is the group running?") from None
        finally:
            if os.path.exists(own):
                os.unlink(own)
    if "error" in answer:
        raise Problem(f"kamailio: {method}: {answer['error'].get('message')}")
    return answer.get("result")


def mcus_known(lay):
    """How many MCUs the edge has been told of."""
    try:
        rows = kamailio(lay, "htable.dump", "mcus", timeout=1.0)
    except Problem:
        return 0
    return sum(len(r.get("slot", [])) for r in rows or [])


def focusd(lay, cmd, **args):
    return ask(lay.path("run", "focusd.sock"), {"cmd": cmd, **{k: v for k, v in args.items() if v is not None}})


def supervisor(lay, cmd, timeout=30.0, **args):
    return ask(lay.path("run", "conclave.sock"), {"cmd": cmd, **args}, timeout)
