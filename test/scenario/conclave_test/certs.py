# SPDX-License-Identifier: Apache-2.0
"""Certificates for the tests: from a group's own issuing CAs (right or wrong name) and from nobody it knows."""
import datetime
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _make(subject, names, issuer_cert=None, issuer_key=None, ca=False):
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.datetime.utcnow()
    b = (x509.CertificateBuilder().subject_name(_name(subject)).public_key(key.public_key())
         .issuer_name(issuer_cert.subject if issuer_cert else _name(subject)).serial_number(x509.random_serial_number())
         .not_valid_before(now - datetime.timedelta(hours=1)).not_valid_after(now + datetime.timedelta(days=2))
         .add_extension(x509.BasicConstraints(ca=ca, path_length=None), critical=True))
    if names:
        b = b.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), critical=False)
    return b.sign(issuer_key or key, hashes.SHA256()), key


def _write(path, key, *certs):
    text = b"".join(c.public_bytes(serialization.Encoding.PEM) for c in certs)
    text = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption()) + text
    Path(path).write_bytes(text)
    return str(path)


def self_signed(path, name):
    """One file with key and certificate."""
    cert, key = _make(name, [name])
    return _write(path, key, cert)


def foreign(path, role, node):
    """A service certificate with all the right names from a CA that nobody of the group trusts."""
    ca, ca_key = _make("Another CA", [], ca=True)
    cert, key = _make(node, [f"{role}.conclave.internal", f"{node}.{role}.conclave.internal"], ca, ca_key)
    return _write(path, key, cert, ca)


def issue(stack_dir, issuer, path, names):
    """A certificate for `names` signed by the group's issuing CA of that role."""
    ca_dir = Path(stack_dir) / "ca"
    pem = (ca_dir / f"{issuer}.pem").read_bytes()
    ca = x509.load_pem_x509_certificate(pem)
    ca_key = serialization.load_pem_private_key((ca_dir / f"{issuer}.key").read_bytes(), None)
    cert, key = _make(names[0], names, ca, ca_key)
    return _write(path, key, cert, ca)
