"""A development authority, and the certificates and keys that services and clients' TLS need on a
laptop, in Compose or in tests; and a self-signed certificate for who has none.

Run as `python -m postroom_chassis.certificates FOLDER`, again and again: it makes what is missing,
renews what is about to end, and leaves the rest, above all what it hasn't made itself. In
production certificates come from elsewhere.
"""

from __future__ import annotations

import argparse
import base64
import datetime
import ipaddress
import os
import secrets
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from postroom_chassis.rpc.callers import SUFFIX

SERVICES = ("smtp", "pop3", "imap", "auth", "store", "admin", "probe")
AUTHORITY_DAYS = 3650
CERTIFICATE_DAYS = 365  # Mozilla's recommendations for servers allow a day more
RENEWED_AT = 1 / 3  # of its time that is left to a certificate
SECRETS_KEY_OCTETS = 32
SELF_SIGNED = "Postroom, self-signed"

Key = ec.EllipticCurvePrivateKey


@dataclass(frozen=True, slots=True)
class Layout:
    """Where everything lies, below a folder.

    Attributes:
        authority: of the authority's certificate and key, without their endings.
        pair: of a service's, and of those that clients see (name: tls).
        ending: of certificates.
        trusted: a copy of the authority's certificate for each pair; "": none.
        ticket_key: by which auth signs tickets.
        ticket_public: by which store checks them.
    """

    authority: str
    pair: str
    ending: str
    trusted: str
    ticket_key: str
    ticket_public: tuple[str, ...]
    secrets_keys: str


# One folder for all that run on one machine, as `make run` has it.
TOGETHER = Layout(
    authority="ca",
    pair="{name}",
    ending=".pem",
    trusted="",
    ticket_key="ticket.key",
    ticket_public=("ticket.pub",),
    secrets_keys="secrets.keys",
)
# A folder for each mount of a container, which then sees nothing of others'; files are named as in
# a Kubernetes TLS secret. Whoever mounts ca/ can sign anything, ticket/ is for auth alone.
FOLDERS = Layout(
    authority="ca/ca",
    pair="{name}/tls",
    ending=".crt",
    trusted="{name}/ca.crt",
    ticket_key="ticket/ticket.key",
    ticket_public=("ticket/ticket.pub", "ticket-public/ticket.pub"),
    secrets_keys="secrets/secrets.keys",
)


@dataclass(frozen=True, slots=True)
class _Pair:
    """A certificate and its key, there or not.

    A certificate is renewed for the key that it has: then the change is one file's, and what is
    pinned to the key (DANE, RFC 7671 section 5.1) holds on.
    """

    certificate_file: Path
    key_file: Path

    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.certificate_file.read_bytes())

    def key(self) -> Key:
        """Its key; made now where there is none."""
        if not self.key_file.exists():
            _write_key(self.key_file, ec.generate_private_key(ec.SECP256R1()))
        key = serialization.load_pem_private_key(self.key_file.read_bytes(), None)
        if not isinstance(key, Key):
            raise ValueError(f"{self.key_file} is not one that was made here")
        return key

    def write(self, certificate: x509.Certificate) -> None:
        # The authority's is not added: who doesn't have it believes no chain that ends in it.
        pem = certificate.public_bytes(serialization.Encoding.PEM)
        _write(self.certificate_file, pem, 0o644)


def make_development_certificates(
    folder: Path,
    hosts: Iterable[str] = ("localhost",),
    layout: Layout = TOGETHER,
    now: datetime.datetime | None = None,
) -> list[Path]:
    """Make an authority, a certificate for each service and one for clients, and auth's keys.

    Args:
        hosts: names and addresses that clients use.
        now: the time; None: as it is.

    Returns:
        the files that were made or renewed.

    Raises:
        ValueError: something is to be signed, but the authority is another's.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    authority = _Pair(
        folder / f"{layout.authority}{layout.ending}", folder / f"{layout.authority}.key"
    )
    made = [*_see_to_authority(authority, now)]
    shown = [*hosts, "127.0.0.1", "::1"]
    named = {service: [service + SUFFIX, service, "localhost"] for service in SERVICES}
    for name, hosts_of_it in {**named, "tls": shown}.items():
        stem = layout.pair.format(name=name)
        pair = _Pair(folder / f"{stem}{layout.ending}", folder / f"{stem}.key")
        made += _see_to(pair, authority, hosts_of_it, now, anew=bool(made))
        if layout.trusted:
            copy = folder / layout.trusted.format(name=name)
            made += _see_to_copy(copy, authority.certificate_file)
    made += _see_to_ticket_keys(folder, layout)
    if not (file := folder / layout.secrets_keys).exists():
        key = base64.b64encode(secrets.token_bytes(SECRETS_KEY_OCTETS))
        _write(file, b"dev:%b\n" % key, 0o600)
        made.append(file)
    return made


def make_self_signed(
    folder: Path, hosts: Sequence[str], now: datetime.datetime | None = None
) -> list[Path]:
    """Make tls.crt and tls.key for clients to see, as long as nobody puts better ones there.

    Args:
        hosts: names and addresses that clients use.
        now: the time; None: as it is.

    Returns:
        the files that were made or renewed.
    """
    now = now or datetime.datetime.now(datetime.UTC)
    pair = _Pair(folder / "tls.crt", folder / "tls.key")
    if pair.certificate_file.exists():
        shown = pair.certificate()
        if not _is_self_signed(shown) or not _wanting(shown, hosts, now):
            return []
        hosts = list(dict.fromkeys([*hosts, *_hosts_of(shown)]))
    key = pair.key()
    subject = x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, SELF_SIGNED),
            x509.NameAttribute(NameOID.COMMON_NAME, hosts[0]),
        ]
    )
    signed = (
        _server(subject, subject, hosts, now)
        .public_key(key.public_key())
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair.write(signed)
    return [pair.certificate_file]


def _see_to_authority(pair: _Pair, now: datetime.datetime) -> Iterator[Path]:
    """It is renewed before it could end earlier than what it signs."""
    if pair.certificate_file.exists():
        left = pair.certificate().not_valid_after_utc - now
        if left > datetime.timedelta(days=CERTIFICATE_DAYS) or not pair.key_file.exists():
            return
    key = pair.key()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Postroom development authority")])
    signed = (
        _builder(name, name, now, AUTHORITY_DAYS)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    pair.write(signed)
    yield pair.certificate_file


def _see_to(
    pair: _Pair, authority: _Pair, hosts: Sequence[str], now: datetime.datetime, *, anew: bool
) -> Iterator[Path]:
    """Sign a certificate where it is missing, about to end, or lacks a name.

    Args:
        anew: the authority is another, or has another end.
    """
    signer = authority.certificate()
    if pair.certificate_file.exists():
        there = pair.certificate()
        ours = authority.key_file.exists() and _signed_by(there, signer)
        if not ours or not (anew or _wanting(there, hosts, now)):
            return
        hosts = list(dict.fromkeys([*hosts, *_hosts_of(there)]))
    if not authority.key_file.exists():
        raise ValueError(
            f"{pair.certificate_file} is to be signed, but {authority.certificate_file} has no key "
            "here: let whoever has it sign one"
        )
    key = pair.key()
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
    signed = (
        _server(subject, signer.subject, hosts, now)
        .public_key(key.public_key())
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key().public_key()),
            critical=False,
        )
        .sign(authority.key(), hashes.SHA256())
    )
    pair.write(signed)
    yield pair.certificate_file


def _see_to_copy(copy: Path, original: Path) -> Iterator[Path]:
    content = original.read_bytes()
    if not copy.exists() or copy.read_bytes() != content:
        _write(copy, content, 0o644)
        yield copy


def _see_to_ticket_keys(folder: Path, layout: Layout) -> Iterator[Path]:
    file = folder / layout.ticket_key
    if not file.exists():
        _write_key(file, ed25519.Ed25519PrivateKey.generate())
        yield file
    key = serialization.load_pem_private_key(file.read_bytes(), None)
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    for path in layout.ticket_public:
        # Never replaced: others may have been added to it.
        if not (folder / path).exists():
            _write(folder / path, public, 0o644)
            yield folder / path


def _wanting(there: x509.Certificate, hosts: Iterable[str], now: datetime.datetime) -> bool:
    """Whether a certificate is about to end, or lacks a name."""
    lifetime = there.not_valid_after_utc - there.not_valid_before_utc
    ends = there.not_valid_after_utc - now < lifetime * RENEWED_AT
    return ends or not set(hosts) <= set(_hosts_of(there))


def _hosts_of(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [str(name.value) for name in names]


def _signed_by(certificate: x509.Certificate, authority: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, TypeError, ValueError):
        return False
    return True


def _is_self_signed(certificate: x509.Certificate) -> bool:
    """Whether we made it."""
    organizations = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)
    ours = [organization.value for organization in organizations] == [SELF_SIGNED]
    return ours and _signed_by(certificate, certificate)


def _server(
    subject: x509.Name, issuer: x509.Name, hosts: Iterable[str], now: datetime.datetime
) -> x509.CertificateBuilder:
    """For who is a server, and where services call each other a client, too."""
    both = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        _builder(subject, issuer, now, CERTIFICATE_DAYS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(both), critical=False)
        .add_extension(x509.SubjectAlternativeName([_name(host) for host in hosts]), critical=False)
    )


def _builder(
    subject: x509.Name, issuer: x509.Name, now: datetime.datetime, days: int
) -> x509.CertificateBuilder:
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


def _write_key(path: Path, key: Key | ed25519.Ed25519PrivateKey) -> None:
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    _write(path, pem, 0o600)


def _write(path: Path, content: bytes, mode: int) -> None:
    """Put a file in its place whole: it may be followed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.new")
    partial.unlink(missing_ok=True)
    with open(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
    partial.replace(path)


EXAMPLES = """examples:
  python -m postroom_chassis.certificates .run/certs
      what `make run` needs, all in one folder
  python -m postroom_chassis.certificates --folders --host mail.example.org /certificates
      a folder for each mount of a container: imap/tls.crt, imap/tls.key, imap/ca.crt, ...
  python -m postroom_chassis.certificates --self-signed --host mail.example.org /etc/postroom/tls
      tls.crt and tls.key for clients to see, for who has no certificate yet

Run it again now and then (once a month will do): services take up what it renews.
"""


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m postroom_chassis.certificates",
        description="Make certificates where they are missing, and renew those that it has made.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument(
        "--host", action="append", default=[], type=_host, help="a name or address that clients use"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument(
        "--folders", action="store_true", help="a folder for each service, as containers mount them"
    )
    form.add_argument(
        "--self-signed", action="store_true", help="one certificate for clients alone, no authority"
    )
    arguments = parser.parse_args()
    if arguments.self_signed and not arguments.host:
        parser.error("--self-signed needs a --host, which clients use")
    try:
        if arguments.self_signed:
            made = make_self_signed(arguments.folder, arguments.host)
        else:
            layout = FOLDERS if arguments.folders else TOGETHER
            hosts = [*arguments.host, "localhost"]
            made = make_development_certificates(arguments.folder, hosts, layout)
    except (OSError, ValueError) as error:
        sys.exit(f"postroom_chassis.certificates: {error}")
    for file in made:
        print(f"made {file}")


def _host(text: str) -> str:
    if not text.isascii():
        raise argparse.ArgumentTypeError(f"{text}: write it in its ASCII form (xn--...)")
    return text


if __name__ == "__main__":
    main()
