"""Certificates that the DNS vouches for (RFC 6698, RFC 7672).

`ssl` can't check them: it hands over the chain that the server showed, and what is in it is checked
here, the signatures by `cryptography`.
"""

from __future__ import annotations

import hashlib
import ssl
from collections.abc import Callable, Sequence
from typing import Any, cast

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from cryptography.x509.verification import (
    Criticality,
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

from postroom_smtp.dns import Association

TRUST_ANCHOR, END_ENTITY = 2, 3  # the usages that are for SMTP (RFC 7672 section 3.1)
MOST_CHAIN = 10

# What private authorities sign seldom has all that the Web asks for.
_CA = ExtensionPolicy.permit_all().require_present(
    x509.BasicConstraints, Criticality.AGNOSTIC, None
)
_OWN = ExtensionPolicy.permit_all().require_present(
    x509.SubjectAlternativeName, Criticality.AGNOSTIC, None
)
_DER = 2  # of _ssl, whose certificates know no names for it
_SELECTED: dict[int, Callable[[x509.Certificate], bytes]] = {
    0: lambda certificate: certificate.public_bytes(Encoding.DER),
    1: lambda certificate: certificate.public_key().public_bytes(
        Encoding.DER, PublicFormat.SubjectPublicKeyInfo
    ),
}
_MATCHED: dict[int, Callable[[bytes], bytes]] = {
    0: lambda data: data,
    1: lambda data: hashlib.sha256(data).digest(),
    2: lambda data: hashlib.sha512(data).digest(),
}


def usable(associations: Sequence[Association]) -> tuple[Association, ...]:
    """Those that can be checked (RFC 7672 section 2.2)."""
    return tuple(
        one
        for one in associations
        if one.usage in (TRUST_ANCHOR, END_ENTITY)
        and one.selector in _SELECTED
        and one.matching in _MATCHED
        and one.data
    )


def chain_of(tls: ssl.SSLObject) -> list[bytes]:
    """The certificates that a server showed, in DER, its own first."""
    if hasattr(tls, "get_unverified_chain"):  # from Python 3.13
        return list(tls.get_unverified_chain())
    inner = cast(Any, tls)._sslobj
    return [certificate.public_bytes(_DER) for certificate in inner.get_unverified_chain() or ()]


def vouched(
    associations: Sequence[Association], chain: Sequence[bytes], names: Sequence[str]
) -> bool:
    """Whether one of the records holds for what the server showed.

    Args:
        associations: usable ones.
        chain: in DER, the server's own certificate first.
        names: which a certificate under a trust anchor may bear (RFC 7672 section 3.2.2).
    """
    try:
        certificates = [x509.load_der_x509_certificate(one) for one in chain[:MOST_CHAIN]]
    except ValueError:
        return False
    if not certificates:
        return False
    for one in associations:
        if one.usage == END_ENTITY:
            # Neither names nor dates matter: the record says both (RFC 7672 section 3.1.1).
            if _matches(one, certificates[0]):
                return True
        elif any(
            _leads(certificates[0], certificates[1:], anchor, name)
            for anchor in (*certificates[1:], *_given(one))
            if _matches(one, anchor)
            for name in names
        ):
            return True
    return False


def _matches(association: Association, certificate: x509.Certificate) -> bool:
    try:
        selected = _SELECTED[association.selector](certificate)
    except (ValueError, UnsupportedAlgorithm):
        return False
    return _MATCHED[association.matching](selected) == association.data


def _given(association: Association) -> list[x509.Certificate]:
    """The anchor itself, where the record holds it whole: servers need not show it."""
    if (association.selector, association.matching) != (0, 0):
        return []
    try:
        return [x509.load_der_x509_certificate(association.data)]
    except ValueError:
        return []


def _leads(
    own: x509.Certificate,
    between: Sequence[x509.Certificate],
    anchor: x509.Certificate,
    name: str,
) -> bool:
    """Whether a certificate is for a name, and signed by way of an anchor; dates count."""
    try:
        verifier = (
            PolicyBuilder()
            .store(Store([anchor]))
            .extension_policies(ca_policy=_CA, ee_policy=_OWN)
            .build_server_verifier(x509.DNSName(name))
        )
        verifier.verify(own, list(between))
    except (VerificationError, ValueError, UnsupportedAlgorithm):
        # ValueError: also of names that no certificate can have.
        return False
    return True
