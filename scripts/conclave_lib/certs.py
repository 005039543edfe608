# SPDX-License-Identifier: Apache-2.0
"""The private authorities and certificates of a group, made with the openssl command.

ca/root signs one issuing authority per role; a role's issuing authority signs that role's services only. The edge trusts, per
destination, only the role's own authority (NAME-anchor.pem: the same key, self-signed, so that it is a trust anchor by itself).
Clients see a certificate of another root. An authority of a federated domain is not trusted as it is: cross() signs its key under
our root with a name constraint, so that it can name its own peer and never one of our services.
"""
import os
import shutil
import subprocess
import tempfile

from . import Problem
from .layout import is_dns_name, write_file

INTERNAL = "conclave.internal"
ROLES = ("edge", "focus", "mcu")
CA_DAYS, SERVICE_DAYS = 3650, 825


def openssl(*args, data=None):
    p = subprocess.run(["openssl", *args], input=data, capture_output=True, text=True)
    if p.returncode:
        raise Problem(f"openssl {args[0]}: {p.stderr.strip().splitlines()[-1] if p.stderr else 'failed'}")
    return p.stdout


def subject(role):
    return f"/O=Conclave/CN=Conclave {role} CA"


def check_node(role, node):
    """A node's name becomes file names and, with its role, a certificate's common name of at most 64 characters."""
    most = min(63, 64 - len(f".{role}.{INTERNAL}"))
    if not is_dns_name(node) or len(node) > most:
        raise Problem(f"node {node!r}: use letters, digits, dash and dot as in a host name, at most {most}")
    if node == "client-facing" or node in [f"{r}-1" for r in ROLES if r != role]:
        raise Problem(f"node {node}: the group has a certificate of that name for something else; choose another")


def check_peer(name):
    """The name of another domain's server."""
    if not is_dns_name(name):
        raise Problem(f"peer {name!r} is no host name")
    if f".{name}".lower().endswith(f".{INTERNAL}"):
        raise Problem(f"peer {name}: names below {INTERNAL} are our own servers'")


def _key(path):
    if not os.path.exists(path):
        text = openssl("genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")
        write_file(path, text, 0o600)


def _certificate(out, key, subj, ext, days, issuer=None, chain=()):
    """Makes a certificate for key; issuer is (certificate, key) or None for a self-signed one."""
    with tempfile.TemporaryDirectory() as d:
        conf, csr = os.path.join(d, "ext"), os.path.join(d, "csr")
        write_file(conf, "[req]\ndistinguished_name=dn\n[dn]\n[ext]\n" + "\n".join(ext) + "\n")
        openssl("req", "-new", "-key", key, "-subj", subj, "-config", conf, "-out", csr)
        sign = ["-CA", issuer[0], "-CAkey", issuer[1]] if issuer else ["-signkey", key]
        text = openssl("x509", "-req", "-in", csr, *sign, "-set_serial", f"0x{os.urandom(12).hex()}", "-days", str(days),
                       "-sha256", "-extfile", conf, "-extensions", "ext")
    for c in chain:
        with open(c) as f:
            text += f.read()
    write_file(out, text)


CA_EXT = ["basicConstraints=critical,CA:TRUE", "keyUsage=critical,keyCertSign,cRLSign", "subjectKeyIdentifier=hash"]


def service_ext(names):
    return ["basicConstraints=critical,CA:FALSE", "keyUsage=critical,digitalSignature", "extendedKeyUsage=serverAuth,clientAuth",
            "subjectKeyIdentifier=hash", "authorityKeyIdentifier=keyid", "subjectAltName=" + ",".join(names)]


class Certs:
    def __init__(self, lay):
        self.lay = lay

    def ca(self, name):
        return self.lay.path("ca", name + ".pem"), self.lay.path("ca", name + ".key")

    def _missing(self, path):
        return not os.path.exists(path)

    def make_all(self):
        """Makes what is missing; what exists stays."""
        root = self.ca("root")
        if self._missing(root[0]):
            _key(root[1])
            _certificate(root[0], root[1], subject("root"), CA_EXT, CA_DAYS)
        for role in ROLES:
            self._role(role, root)
        for role in ROLES:
            if self._missing(self.lay.path("certs", f"{role}-1.pem")):
                self.service(role, f"{role}-1")
        client = self.ca("client-root")
        if self._missing(client[0]):
            _key(client[1])
            _certificate(client[0], client[1], "/O=Conclave/CN=Conclave client root", CA_EXT, CA_DAYS)
        if self._missing(self.lay.path("certs", "client-facing.pem")):
            self.client_facing()
        self.bundles()

    def _role(self, role, root):
        cert, key = self.ca(role)
        if not self._missing(cert):
            return
        _key(key)
        limit = ["basicConstraints=critical,CA:TRUE,pathlen:0"] + CA_EXT[1:]
        names = f"nameConstraints=critical,permitted;DNS:{role}.{INTERNAL}"
        _certificate(cert, key, subject(role), limit + ["authorityKeyIdentifier=keyid", names], CA_DAYS, issuer=root)
        _certificate(self.lay.path("ca", f"{role}-anchor.pem"), key, subject(role), limit, CA_DAYS)

    def service(self, role, node):
        """The certificate of one node; its first name is its role."""
        if role not in ROLES:
            raise Problem(f"role {role!r}: one of {', '.join(ROLES)}")
        check_node(role, node)
        cert, key = self.lay.path("certs", node + ".pem"), self.lay.path("certs", node + ".key")
        _key(key)
        names = [f"DNS:{role}.{INTERNAL}", f"DNS:{node}.{role}.{INTERNAL}"]
        issuer = self.ca(role)
        _certificate(cert, key, f"/O=Conclave/CN={node}.{role}.{INTERNAL}", service_ext(names), SERVICE_DAYS, issuer, [issuer[0]])

    def client_facing(self):
        cert, key = self.lay.path("certs", "client-facing.pem"), self.lay.path("certs", "client-facing.key")
        _key(key)
        names = [f"DNS:{self.lay.domain}", "DNS:localhost"]
        if self.lay.bind not in ("0.0.0.0", "::"):
            names.append(f"IP:{self.lay.bind}")
        _certificate(cert, key, f"/O=Conclave/CN={self.lay.domain}", service_ext(names), SERVICE_DAYS, self.ca("client-root"))

    def import_client_facing(self, cert, key):
        """Puts a certificate of a public authority in the place of the private one."""
        with tempfile.TemporaryDirectory() as d:
            have = openssl("x509", "-in", cert, "-noout", "-pubkey")
            want = openssl("pkey", "-in", key, "-pubout", "-out", os.path.join(d, "pub")) or open(os.path.join(d, "pub")).read()
        if have.strip() != want.strip():
            raise Problem(f"{key} is not the key of {cert}")
        shutil.copyfile(cert, self.lay.path("certs", "client-facing.pem"))
        with open(key) as f:
            write_file(self.lay.path("certs", "client-facing.key"), f.read(), 0o600)

    def cross(self, name, their_ca):
        """Trusts the authority of another domain on the peer listener, for the one name of its peer."""
        check_peer(name)
        root = self.ca("root")
        out = self.lay.path("ca", "federation", name + ".pem")
        with tempfile.TemporaryDirectory() as d:
            pub, conf, csr = (os.path.join(d, n) for n in ("pub", "ext", "csr"))
            write_file(pub, openssl("x509", "-in", their_ca, "-noout", "-pubkey"))
            subj = openssl("x509", "-in", their_ca, "-noout", "-subject", "-nameopt", "compat").strip()
            subj = subj.split("=", 1)[1].strip()
            ext = CA_EXT[:2] + ["subjectKeyIdentifier=hash", f"nameConstraints=critical,permitted;DNS:{name},excluded;DNS:{INTERNAL}"]
            write_file(conf, "[req]\ndistinguished_name=dn\n[dn]\n[ext]\n" + "\n".join(ext) + "\n")
            openssl("req", "-new", "-key", root[1], "-subj", subj, "-config", conf, "-out", csr)
            text = openssl("x509", "-req", "-in", csr, "-force_pubkey", pub, "-CA", root[0], "-CAkey", root[1], "-set_serial",
                           f"0x{os.urandom(12).hex()}", "-days", str(SERVICE_DAYS), "-extfile", conf, "-extensions", "ext")
        write_file(out, text)
        self.bundles()

    def bundles(self):
        def join(out, names):
            text = ""
            for n in names:
                with open(n) as f:
                    text += f.read()
            write_file(self.lay.path("ca", out), text)

        servers = [self.ca("root")[0]] + [self.ca(r)[0] for r in ROLES]
        fed = self.lay.path("ca", "federation")
        crossed = [os.path.join(fed, n) for n in sorted(os.listdir(fed)) if n.endswith(".pem")]
        join("servers.pem", servers)
        join("peers.pem", servers + crossed)
        # For connections of the edge to where no profile of its own exists: MCUs that were announced, and trusted domains.
        anchors = [self.lay.path("ca", f"{r}-anchor.pem") for r in ("focus", "mcu")]
        join("outgoing.pem", anchors + ([self.ca("root")[0]] + crossed if crossed else []))

    def listing(self):
        rows = []
        for d in ("ca", "ca/federation", "certs"):
            for n in sorted(os.listdir(self.lay.path(d))):
                if not n.endswith(".pem") or n in ("servers.pem", "peers.pem", "outgoing.pem"):
                    continue
                path = self.lay.path(d, n)
                text = openssl("x509", "-in", path, "-noout", "-subject", "-enddate", "-nameopt", "compat").splitlines()
                rows.append((f"{d}/{n}", text[0].split("=", 1)[1].strip(), text[1].split("=", 1)[1]))
        return rows
