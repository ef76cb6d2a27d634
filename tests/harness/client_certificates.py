"""Certificates that clients show, of an authority of their own, and systems that ask for them."""

from __future__ import annotations

import datetime
import shutil
import ssl
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tests.harness.clients import require
from tests.harness.system import MailSystem, client_tls, running

# All that prove something by a password or by a certificate, strongest first.
MECHANISMS = (
    *("EXTERNAL", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256", "SCRAM-SHA-1"),
    *("PLAIN", "LOGIN"),
)
DAY = datetime.timedelta(days=1)


@dataclass(frozen=True)
class ClientCertificate:
    """PEM files of a certificate and its key."""

    certificate: Path
    key: Path

    @property
    def der(self) -> bytes:
        return ssl.PEM_cert_to_DER_cert(self.certificate.read_text())

    def show_in(self, context: ssl.SSLContext) -> ssl.SSLContext:
        """A client's context that shows it."""
        context.load_cert_chain(self.certificate, self.key)
        return context


class ClientAuthority:
    """Signs clients' certificates.

    Attributes:
        certificate: PEM.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name("the authority of clients")
        self.certificate = folder / "clients-ca.pem"
        signed = (
            _builder(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .sign(self._key, hashes.SHA256())
        )
        self.certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        self._made = 0

    def issue(
        self,
        common_name: str,
        addresses: Sequence[str] = (),
        hosts: Sequence[str] = (),
        *,
        expired: bool = False,
    ) -> ClientCertificate:
        """A certificate for a client, with its key."""
        key = ec.generate_private_key(ec.SECP256R1())
        end = -DAY / 2 if expired else DAY
        builder = _builder(_name(common_name), self._name, key, end).add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False
        )
        names: list[x509.GeneralName] = [x509.RFC822Name(address) for address in addresses]
        names += [x509.DNSName(host) for host in hosts]
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        self._made += 1
        made = ClientCertificate(
            self._folder / f"client{self._made}.pem", self._folder / f"client{self._made}.key"
        )
        signed = builder.sign(self._key, hashes.SHA256())
        made.certificate.write_bytes(signed.public_bytes(Encoding.PEM))
        made.key.touch(0o600)
        made.key.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return made


@dataclass(frozen=True)
class Certified:
    """A running system that asks clients for certificates, and offers all that is safe.

    Attributes:
        sidecar: HAProxy ends implicit TLS.
        clients: whose certificates it believes.
        foreign: whose it doesn't.
    """

    system: MailSystem
    sidecar: bool
    clients: ClientAuthority
    foreign: ClientAuthority

    def tls(self, shown: ClientCertificate | None = None) -> ssl.SSLContext:
        """What a client trusts, and shows."""
        context = client_tls(self.system)
        return context if shown is None else shown.show_in(context)


@contextmanager
def certified_system(
    folder: Path, *, haproxy: bool, more: Mapping[str, str] | None = None
) -> Iterator[Certified]:
    """Such a system, until the context ends; skips, or fails, where there is no HAProxy.

    Args:
        more: environment variables of the services.
    """
    require("haproxy" if haproxy and shutil.which("haproxy") is None else "")
    clients, foreign = ClientAuthority(folder / "clients"), ClientAuthority(folder / "foreign")
    fronts = [f"POSTROOM_{front}_TLS_CLIENT_AUTHORITY" for front in ("IMAP", "POP3", "SMTP")]
    believed = str(clients.certificate)
    settings = dict.fromkeys((*fronts, "POSTROOM_TLS_CLIENT_AUTHORITY"), believed)
    settings["POSTROOM_AUTH_MECHANISMS"] = ",".join(MECHANISMS)
    settings.update(more or {})
    with running(folder / "state", haproxy=haproxy, settings=settings) as system:
        yield Certified(system, haproxy, clients, foreign)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    end: datetime.timedelta = DAY,
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - DAY)
        .not_valid_after(now + end)
    )
