# SPDX-License-Identifier: Apache-2.0
"""The edge's user table: HA1 values only. The clear password of a demo user stays in conclave.json (mode 0600) for the first page."""
import hashlib
import os
import sqlite3
import urllib.parse

from . import Problem, admin
from .layout import refuse_attendant

SCHEMA = {
    "credentials.sqlite": """
CREATE TABLE IF NOT EXISTS version (id INTEGER PRIMARY KEY NOT NULL, table_name VARCHAR(32) NOT NULL UNIQUE,
  table_version INTEGER DEFAULT 0 NOT NULL);
CREATE TABLE IF NOT EXISTS subscriber (id INTEGER PRIMARY KEY NOT NULL, username VARCHAR(64) NOT NULL, domain VARCHAR(64) NOT NULL,
  password VARCHAR(64) DEFAULT '' NOT NULL, ha1 VARCHAR(128) NOT NULL, ha1b VARCHAR(128) DEFAULT '' NOT NULL,
  UNIQUE (username, domain));
INSERT OR IGNORE INTO version (table_name, table_version) VALUES ('subscriber', 7);
""",
    "location.sqlite": """
CREATE TABLE IF NOT EXISTS version (id INTEGER PRIMARY KEY NOT NULL, table_name VARCHAR(32) NOT NULL UNIQUE,
  table_version INTEGER DEFAULT 0 NOT NULL);
CREATE TABLE IF NOT EXISTS location (id INTEGER PRIMARY KEY NOT NULL, ruid VARCHAR(64) DEFAULT '' NOT NULL UNIQUE,
  username VARCHAR(64) DEFAULT '' NOT NULL, domain VARCHAR(64) DEFAULT NULL, contact VARCHAR(512) DEFAULT '' NOT NULL,
  received VARCHAR(128) DEFAULT NULL, path VARCHAR(512) DEFAULT NULL, expires TIMESTAMP NOT NULL, q REAL DEFAULT 1.0 NOT NULL,
  callid VARCHAR(255) NOT NULL, cseq INTEGER DEFAULT 1 NOT NULL, last_modified TIMESTAMP NOT NULL,
  flags INTEGER DEFAULT 0 NOT NULL, cflags INTEGER DEFAULT 0 NOT NULL, user_agent VARCHAR(255) DEFAULT '' NOT NULL,
  socket VARCHAR(64) DEFAULT NULL, methods INTEGER DEFAULT NULL, instance VARCHAR(255) DEFAULT NULL,
  reg_id INTEGER DEFAULT 0 NOT NULL, server_id INTEGER DEFAULT 0 NOT NULL, connection_id INTEGER DEFAULT 0 NOT NULL,
  keepalive INTEGER DEFAULT 0 NOT NULL, partition INTEGER DEFAULT 0 NOT NULL);
CREATE INDEX IF NOT EXISTS location_account ON location (username, domain, contact);
CREATE INDEX IF NOT EXISTS location_expires ON location (expires);
CREATE TABLE IF NOT EXISTS location_attrs (id INTEGER PRIMARY KEY NOT NULL, ruid VARCHAR(64) DEFAULT '' NOT NULL,
  username VARCHAR(64) DEFAULT '' NOT NULL, domain VARCHAR(64) DEFAULT NULL, aname VARCHAR(64) DEFAULT '' NOT NULL,
  atype INTEGER DEFAULT 0 NOT NULL, avalue VARCHAR(512) DEFAULT '' NOT NULL, last_modified TIMESTAMP NOT NULL);
CREATE INDEX IF NOT EXISTS location_attrs_account ON location_attrs (username, domain, ruid);
INSERT OR IGNORE INTO version (table_name, table_version) VALUES ('location', 9), ('location_attrs', 1);
""",
}


def create(lay):
    for name, schema in SCHEMA.items():
        path = lay.path("db", name)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA journal_mode=WAL")
            db.executescript(schema)
        db.close()


def rooms_of(lay):
    """Names of the rooms: the running focusd's, else those in its database and those that `conclave run` makes."""
    try:
        return {c["name"] for c in admin.focusd(lay, "list")["conferences"] if c.get("name")}
    except Problem:
        pass
    names = set(lay.conf["rooms"])
    path = lay.path("db", "focus.sqlite")
    if os.path.exists(path):
        try:
            db = sqlite3.connect(f"file:{urllib.parse.quote(path)}?mode=ro&immutable=1", uri=True, timeout=1)
            names.update(r[0] for r in db.execute("SELECT name FROM conf WHERE name IS NOT NULL"))
            db.close()
        except sqlite3.Error:            # focusd holds it and does not answer, or it has not been made yet
            pass
    return names


class Users:
    def __init__(self, lay):
        self.lay = lay

    def _db(self):
        return sqlite3.connect(self.lay.path("db", "credentials.sqlite"), timeout=5)

    def _ha1(self, name, password):
        return hashlib.md5(f"{name}:{self.lay.domain}:{password}".encode(), usedforsecurity=False).hexdigest()

    def _ha1b(self, name, password):
        """For clients that give user@domain as the name."""
        return self._ha1(f"{name}@{self.lay.domain}", password)

    def _forget_clear(self, name):
        kept = [u for u in self.lay.conf["users"] if u["name"] != name]
        if len(kept) != len(self.lay.conf["users"]):
            self.lay.conf["users"] = kept
            self.lay.save()

    def put(self, name, password):
        """Adds the user or changes the password."""
        with self._db() as db:
            db.execute("INSERT INTO subscriber (username, domain, ha1, ha1b) VALUES (?, ?, ?, ?) "
                       "ON CONFLICT (username, domain) DO UPDATE SET ha1 = excluded.ha1, ha1b = excluded.ha1b",
                       (name, self.lay.domain, self._ha1(name, password), self._ha1b(name, password)))

    def add(self, name, password):
        refuse_attendant(name)
        if name in self.names():
            raise Problem(f"user {name} exists; `conclave user passwd {name}` changes the password")
        if name in rooms_of(self.lay):
            raise Problem(f"{name} is a room: calls to it would go to this user's phones. Choose another name, or `conclave room del {name}`")
        self.put(name, password)

    def passwd(self, name, password):
        if name not in self.names():
            raise Problem(f"no user {name}; `conclave user list` shows them")
        self.put(name, password)
        self._forget_clear(name)

    def delete(self, name):
        with self._db() as db:
            if not db.execute("DELETE FROM subscriber WHERE username = ? AND domain = ?", (name, self.lay.domain)).rowcount:
                raise Problem(f"no user {name}; `conclave user list` shows them")
        self._forget_clear(name)

    def names(self):
        with self._db() as db:
            return [r[0] for r in db.execute("SELECT username FROM subscriber WHERE domain = ? ORDER BY 1", (self.lay.domain,))]
