"""A development authority, and the certificates and keys that services and clients' TLS need on a
laptop or in tests.

Run as `python -m postroom_chassis.certificates FOLDER [--host NAME ...]`: makes what is missing and
leaves the rest. In production certificates come from elsewhere.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import ipaddress
import os
import secrets
from collections.abc import Iterable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postroom_chassis.rpc.callers import SUFFIX

SERVICES = ("smtp", "pop3", "imap", "auth", "store", "admin", "probe")
AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 820  # what Apple's clients accept at most is 825
SECRETS_KEY_OCTETS = 32


def make_development_certificates(folder: Path, hosts: Iterable[str] = ("localhost",)) -> None:
    """Make an authority, a certificate for each service and one for clients, and auth's keys.

    Args:
        folder: gets ca.pem, ca.key; <service>.pem and .key; tls.pem and .key; ticket.key and
            ticket.pub; secrets.keys.
        hosts: names and addresses that clients use.
    """
    folder.mkdir(parents=True, exist_ok=True)
    authority = folder / "ca.pem"
    if not authority.exists():
        _make_authority(folder)
    for service in SERVICES:
        if not (folder / f"{service}.pem").exists():
            _make_certificate(folder, service, [service + SUFFIX, service, "localhost"])
    if not (folder / "tls.pem").exists():
        _make_certificate(folder, "tls", [*hosts, "127.0.0.1", "::1"])
    if not (folder / "ticket.key").exists():
        _make_ticket_key(folder)
    if not (folder / "secrets.keys").exists():
        _make_secrets_key(folder)


def _make_authority(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Postroom development authority")])
    certificate = (
        _builder(name, name, AUTHORITY_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _write_key(folder / "ca.key", key)
    (folder / "ca.pem").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))


def _make_certificate(folder: Path, stem: str, names: list[str]) -> None:
    authority = x509.load_pem_x509_certificate((folder / "ca.pem").read_bytes())
    signer = serialization.load_pem_private_key((folder / "ca.key").read_bytes(), None)
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    certificate = (
        _builder(subject, authority.subject, CERTIFICATE_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(_public(authority)),
            critical=False,
        )
        .sign(_issuer(signer), hashes.SHA256())
    )
    _write_key(folder / f"{stem}.key", key)
    (folder / f"{stem}.pem").write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM) + (folder / "ca.pem").read_bytes()
    )


def _make_ticket_key(folder: Path) -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    (folder / "ticket.pub").write_bytes(public)
    _write_key(folder / "ticket.key", key)


def _make_secrets_key(folder: Path) -> None:
    key = base64.b64encode(secrets.token_bytes(SECRETS_KEY_OCTETS))
    _write_private(folder / "secrets.keys", b"dev:%b\n" % key)


def _builder(subject: x509.Name, issuer: x509.Name, days: int) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(days=days))
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _public(certificate: x509.Certificate) -> ec.EllipticCurvePublicKey:
    key = certificate.public_key()
    if not isinstance(key, ec.EllipticCurvePublicKey):
        raise TypeError("the authority is not one that was made here")
    return key


def _issuer(key: object) -> CertificateIssuerPrivateKeyTypes:
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise TypeError("the authority's key is not one that was made here")
    return key


def _write_key(path: Path, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write_private(path, pem)


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="postroom-certificates",
        description="Make a development authority and certificates where they are missing.",
        epilog="example: python -m postroom_chassis.certificates .run/certs",
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--host", action="append", default=[], help="a name that clients use")
    arguments = parser.parse_args()
    make_development_certificates(arguments.folder, [*arguments.host, "localhost"])


if __name__ == "__main__":
    main()
