"""What certificates say: of the server, what channels are bound to; of a client, its names."""

from __future__ import annotations

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

NAMES = 32
NAME_OCTETS = 320

# RFC 5929 section 4.1: what is too weak to be used is replaced.
_WEAK = (hashes.MD5, hashes.SHA1)
_UNREADABLE = (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType)


def end_point_of(pem: bytes) -> bytes:
    """The `tls-server-end-point` of a server's certificate (RFC 5929 section 4.1).

    Empty where its signature has no hash of its own (Ed25519): then the binding is not defined.

    Args:
        pem: the certificate, which others may follow.

    Raises:
        ValueError: there is none.
    """
    certificate = x509.load_pem_x509_certificate(pem)
    try:
        algorithm = certificate.signature_hash_algorithm
    except UnsupportedAlgorithm:
        return b""
    if algorithm is None:
        return b""
    if isinstance(algorithm, _WEAK):
        algorithm = hashes.SHA256()
    digest = hashes.Hash(algorithm)
    digest.update(certificate.public_bytes(Encoding.DER))
    return digest.finalize()


def names_in(der: bytes) -> tuple[str, ...]:
    """Whom a client's certificate names: its addresses (rfc822Name), else its common name."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        return bounded(_addresses(certificate) or _common_names(certificate))
    except _UNREADABLE:
        return ()  # nobody could tell what it says


def bounded(names: list[str]) -> tuple[str, ...]:
    """As many names, and as long, as anybody needs."""
    return tuple(name for name in names if name and len(name.encode()) <= NAME_OCTETS)[:NAMES]


def _addresses(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return list(names.get_values_for_type(x509.RFC822Name))


def _common_names(certificate: x509.Certificate) -> list[str]:
    found = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [str(attribute.value) for attribute in found]
