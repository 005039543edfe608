# SPDX-License-Identifier: Apache-2.0
"""Between the programs and the person at the terminal: words taken, text shown, errors told."""
import argparse
import json
import re
import sqlite3
import sys

from . import Problem

# Controls (C0, DEL, C1), line and paragraph separators, marks that turn the direction of writing, halves of surrogate pairs.
UNSAFE = re.compile("[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def plain(text, keep=""):
    """Text of others as a terminal may show it: on one line, and it moves, colours and turns nothing."""
    return UNSAFE.sub(lambda m: m[0] if m[0] in keep else " " if m[0] in "\t\n\r" else "\ufffd", str(text))


class Usage(Problem):
    """Wrong words; the usage line of the command goes before it."""
    def __init__(self, message, usage=""):
        super().__init__(message)
        self.usage = usage


class Parser(argparse.ArgumentParser):
    """Options may stand anywhere between the words, and wrong words are a Usage."""
    mixing = False

    def parse_known_args(self, args=None, namespace=None):
        if self.mixing or self._subparsers:
            return super().parse_known_args(args, namespace)
        self.mixing = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self.mixing = False

    def error(self, message):
        raise Usage(message, self.format_usage())


def utf8(text, what):
    """What no file, database or peer of ours takes is refused before it gets there."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise Usage(f"{what} {plain(text)!r} is not UTF-8") from None
    return text


def _tell(name, problem, as_json):
    text = plain(problem, keep="\n\t")
    if as_json:
        print(json.dumps({"ok": False, "error": text}))
    else:
        print(f"{getattr(problem, 'usage', '')}{name}: {text}", file=sys.stderr)
    return 2 if isinstance(problem, Usage) else 1


def run(name, argv, work):
    """work(argv) as the whole of a program: what goes wrong is one line, with --json an object. Returns the exit status."""
    as_json = "--json" in argv
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")                 # a terminal that has not all characters
    try:
        for word in argv:
            utf8(word, "argument")
        return work(argv)
    except Problem as e:
        return _tell(name, e, as_json)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 0
    except OSError as e:
        return _tell(name, Problem(f"{e.filename}: {e.strerror}" if e.filename else str(e)), as_json)
    except sqlite3.Error as e:
        return _tell(name, Problem(f"database: {e}"), as_json)
