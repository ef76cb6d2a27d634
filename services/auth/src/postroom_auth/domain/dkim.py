"""Keys that mail of our domains is signed with (RFC 6376), and the records that tell of them."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa

from postroom_auth.domain.address import LABEL, DomainName
from postroom_auth.domain.people import InvalidValue

RSA_BITS = 2048
LEAST_BITS = 1024  # RFC 8301 section 3.2: verifiers take no fewer
MOST_BITS = 4096  # whose record still fits a response by UDP
PUBLIC_EXPONENT = 65537
KEYS = 50  # of a domain
SELECTOR = re.compile(rf"{LABEL}(?:\.{LABEL})*")
SELECTOR_OCTETS = 63
NAME_OCTETS = 253  # RFC 1035 section 2.3.4, as text without the last dot


class Algorithm(StrEnum):
    """RFC 6376 section 3.3; RFC 8463."""

    RSA = "rsa-sha256"
    ED25519 = "ed25519-sha256"

    @classmethod
    def parse(cls, text: str) -> Algorithm:
        """Nothing is RSA, which every verifier knows. Raises InvalidValue."""
        try:
            return cls(text.strip().lower() or cls.RSA)
        except ValueError:
            raise InvalidValue(f"a key is for one of {', '.join(cls)}") from None

    @property
    def short(self) -> str:
        """The `k=` of a record (RFC 6376 section 3.6.1)."""
        return self.value.partition("-")[0]


class KeyState(StrEnum):
    """What a key is used for: not yet, now, no more."""

    NEW = "new"
    ACTIVE = "active"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class DkimKey:
    """What may be told of a key.

    Attributes:
        public: base64, as `p=` of the record has it.
        created_at, retired_at: Unix seconds; 0: it isn't retired.
    """

    domain: DomainName
    selector: str
    algorithm: Algorithm
    state: KeyState
    public: str
    created_at: int
    retired_at: int = 0

    @property
    def record(self) -> str:
        """The text at SELECTOR._domainkey.DOMAIN (RFC 6376 section 3.6.1)."""
        return f"v=DKIM1; k={self.algorithm.short}; p={self.public}"


@dataclass(frozen=True, slots=True, repr=False)
class KeyPair:
    """A key that was just made. Its `repr` shows nothing.

    Attributes:
        private: PKCS #8, DER.
        public: base64, as `p=` of the record has it.
    """

    private: bytes
    public: str


def check_bits(algorithm: Algorithm, bits: int) -> int:
    """How long a key is to be; 0: as is usual. Raises InvalidValue."""
    if algorithm is not Algorithm.RSA:
        if bits:
            raise InvalidValue("a key of Ed25519 has one length: leave the bits out")
        return 0
    if bits and not LEAST_BITS <= bits <= MOST_BITS:
        raise InvalidValue(f"an RSA key has {LEAST_BITS} to {MOST_BITS} bits")
    return bits or RSA_BITS


def make_pair(algorithm: Algorithm, bits: int) -> KeyPair:
    """A new key. Takes up to seconds."""
    if algorithm is Algorithm.ED25519:
        signing = ed25519.Ed25519PrivateKey.generate()
        # RFC 8463 section 4.2: the key alone, without the structure round it.
        return KeyPair(_pkcs8(signing), _base64(signing.public_key().public_bytes_raw()))
    pair = rsa.generate_private_key(PUBLIC_EXPONENT, bits)
    public = pair.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return KeyPair(_pkcs8(pair), _base64(public))


def check_selector(domain: DomainName, text: str) -> str:
    """A selector that somebody chose; nothing: none is. Raises InvalidValue."""
    selector = text.strip().lower()
    if not selector:
        return ""
    if len(selector) > SELECTOR_OCTETS or not SELECTOR.fullmatch(selector):
        raise InvalidValue(
            "a selector is letters, digits and hyphens, perhaps with dots, at most"
            f" {SELECTOR_OCTETS} of them"
        )
    if len(f"{selector}._domainkey.{domain.ascii}") > NAME_OCTETS:
        raise InvalidValue("selector and domain together are too long for the DNS")
    return selector


def selectors(algorithm: Algorithm, today: date) -> Iterator[str]:
    """Names for a new key, the best one first."""
    first = f"{algorithm.short}-{today:%Y%m%d}"
    yield first
    for number in range(2, KEYS + 2):
        yield f"{first}-{number}"


def about(domain: DomainName, selector: str) -> bytes:
    """What a sealed key belongs to."""
    return f"postroom dkim {domain} {selector}".encode()


def ways_up(domain: DomainName) -> Iterator[str]:
    """A domain and those above it, the nearest first."""
    labels = domain.name.split(".")
    for start in range(len(labels)):
        yield ".".join(labels[start:])


def _pkcs8(key: rsa.RSAPrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode("ascii")
