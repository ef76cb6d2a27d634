"""Signatures of domains on messages (RFC 6376, RFC 8301, RFC 8463): no more than what is hashed,
and how it is written. ARC's are of the same kind (RFC 8617 section 4.1.2).

Written here and not taken from a library, since a message is hashed while it streams by, once for
all its signatures, and since each key and signature is worked on by OpenSSL and not by Python.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key

from postroom_smtp.protocol.authentication import Result
from postroom_smtp.protocol.domain import a_labels
from postroom_smtp.protocol.fields import Field

LEAST_BITS = 1024  # of an RSA key (RFC 8301 section 3.2)
MOST_BITS = 8192
MOST_TAGS = 64  # in a signature or a key
MOST_OCTETS = 16_384  # of them
LINE = 76  # octets of a line that we write

_FOLDS = re.compile(rb"\r?\n")
_SPACES = re.compile(rb"[ \t]+")
_WHITE = re.compile(r"[ \t\r\n]+")
_TAG = re.compile(r"[ \t\r\n]*([A-Za-z][A-Za-z0-9_]*)[ \t\r\n]*=(.*)", re.DOTALL)
_SIGNED = re.compile(rb"((?:\A|;)[ \t\r\n]*b[ \t\r\n]*=)[^;]*")
_DOMAIN = re.compile(r"[^\s@;.]+(?:\.[^\s@;.]+)+")
_SELECTOR = re.compile(r"[^\s@;.]+(?:\.[^\s@;.]+)*")
_NUMBER = re.compile(r"[0-9]{1,76}")


class BadSignature(Exception):
    """A signature doesn't count; `result` says how (RFC 8601 section 2.7.1)."""

    def __init__(self, why: str, result: Result = Result.PERMERROR) -> None:
        super().__init__(why)
        self.result = result


class Canon(Enum):
    """How much may change on the way (RFC 6376 section 3.4)."""

    SIMPLE = "simple"
    RELAXED = "relaxed"


ALGORITHMS = {"rsa-sha256": "rsa", "ed25519-sha256": "ed25519"}


@dataclass(frozen=True, slots=True)
class Signature:
    """A field that signs.

    Attributes:
        names: of the fields that are signed, in lower case, in order (h=).
        identity: i= of DKIM.
        instance: i= of ARC; 0: of DKIM.
        length: of the body that is signed; None: all of it.
    """

    field: Field
    algorithm: str
    domain: str
    selector: str
    value: bytes
    body_hash: bytes
    names: tuple[str, ...]
    header_canon: Canon
    body_canon: Canon
    identity: str = ""
    instance: int = 0
    length: int | None = None
    expires: int | None = None

    @property
    def key_name(self) -> str:
        """Where its key is published."""
        return f"{self.selector}._domainkey.{self.domain}"

    @property
    def shortened(self) -> str:
        """What tells it from others (RFC 6008): a beginning of b=."""
        return base64.b64encode(self.value).decode()[:8]


def parse_tags(value: bytes) -> dict[str, str]:
    """A tag-list (section 3.2). Raises BadSignature."""
    if len(value) > MOST_OCTETS:
        raise BadSignature("it is too long")
    try:
        text = value.decode().strip(" \t\r\n")
    except UnicodeDecodeError as error:
        raise BadSignature("its tags aren't text") from error
    tags: dict[str, str] = {}
    pieces = text.removesuffix(";").split(";", MOST_TAGS)
    if len(pieces) > MOST_TAGS:
        raise BadSignature("it has too many tags")
    for piece in pieces:
        found = _TAG.fullmatch(piece)
        if found is None or found[1] in tags:
            raise BadSignature("its tags can't be read")
        tags[found[1]] = found[2].strip(" \t\r\n")
    return tags


def parse_signature(field: Field, *, arc: bool = False) -> Signature:
    """A DKIM-Signature, or an ARC-Message-Signature (RFC 8617). Raises BadSignature."""
    tags = parse_tags(field.value)
    need(tags, *("a", "b", "bh", "d", "h", "s"), *(("i",) if arc else ("v",)))
    if not arc and tags["v"] != "1":
        raise BadSignature("its version isn't known")
    algorithm = parse_algorithm(tags["a"])
    header_canon, _, body_canon = tags.get("c", "simple/simple").lower().partition("/")
    names = tuple(name.strip(" \t\r\n").lower() for name in tags["h"].split(":"))
    domain, selector = parse_owner(tags)
    identity = "" if arc else tags.get("i", "")
    within = _plain(identity.rpartition("@")[2].lower())
    if "from" not in names and not arc:
        raise BadSignature("it doesn't sign From")
    if identity and not _within(within, domain):
        raise BadSignature("its identity isn't of its domain")
    if "dns/txt" not in _listed(tags.get("q", "dns/txt")):
        raise BadSignature("its key isn't in the DNS")
    return Signature(
        field,
        algorithm,
        domain,
        selector,
        unbase64(tags["b"]),
        unbase64(tags["bh"]),
        names,
        _canon(header_canon),
        _canon(body_canon or "simple"),
        identity=identity,
        instance=parse_number(tags["i"]) if arc else 0,
        length=parse_number(tags["l"]) if "l" in tags and not arc else None,
        expires=parse_number(tags["x"]) if "x" in tags else None,
    )


def parse_algorithm(text: str) -> str:
    """The value of a=. Raises BadSignature."""
    algorithm = text.lower()
    if algorithm == "rsa-sha1":
        raise BadSignature("rsa-sha1 proves nothing (RFC 8301)", Result.POLICY)
    if algorithm not in ALGORITHMS:
        raise BadSignature("its algorithm isn't known")
    return algorithm


def parse_owner(tags: dict[str, str]) -> tuple[str, str]:
    """The values of d= and s=. Raises BadSignature."""
    domain, selector = _plain(tags["d"].lower()), tags["s"]
    if not _DOMAIN.fullmatch(domain) or not _SELECTOR.fullmatch(selector):
        raise BadSignature("whose it is can't be read")
    return domain, selector


def _plain(domain: str) -> str:
    """A domain as it is looked up and compared (RFC 8616 section 5)."""
    return domain if domain.isascii() else a_labels(domain) or ""


def parse_number(text: str) -> int:
    """Raises BadSignature."""
    if not _NUMBER.fullmatch(text):
        raise BadSignature("a number isn't one")
    return int(text)


def unbase64(text: str) -> bytes:
    """The octets of base64 that is folded anyhow. Raises BadSignature."""
    try:
        return binascii.a2b_base64(_WHITE.sub("", text), strict_mode=True)
    except ValueError as error:
        raise BadSignature("its base64 isn't") from error


def need(tags: dict[str, str], *names: str) -> None:
    """Raises BadSignature for a tag that is missing."""
    if missing := [name for name in names if not tags.get(name)]:
        raise BadSignature(f"it has no {missing[0]}=")


def _canon(text: str) -> Canon:
    try:
        return Canon(text)
    except ValueError as error:
        raise BadSignature("its canonicalization isn't known") from error


def _within(name: str, domain: str) -> bool:
    return name == domain or name.endswith("." + domain)


@dataclass(frozen=True, slots=True)
class Key:
    """A published key (section 3.6.1).

    Attributes:
        strict: the domain of an identity is the signature's own (t=s).
        testing: t=y.
    """

    public: RSAPublicKey | Ed25519PublicKey
    strict: bool = False
    testing: bool = False

    @property
    def kind(self) -> str:
        return "rsa" if isinstance(self.public, RSAPublicKey) else "ed25519"


def parse_key(text: bytes) -> Key:
    """Raises BadSignature."""
    tags = parse_tags(text)
    kind = tags.get("k", "rsa").lower()
    if tags.get("v", "DKIM1") != "DKIM1" or ("v" in tags and next(iter(tags)) != "v"):
        raise BadSignature("the key's version isn't known")
    if "p" not in tags:
        raise BadSignature("the key's record has none")
    if not tags["p"]:
        raise BadSignature("the key is revoked")
    if "h" in tags and "sha256" not in _listed(tags["h"]):
        raise BadSignature("the key isn't for this hash")
    if not {"*", "email"} & _listed(tags.get("s", "*")):
        raise BadSignature("the key isn't for mail")
    flags = _listed(tags.get("t", ""))
    return Key(_public(kind, unbase64(tags["p"])), "s" in flags, "y" in flags)


def _listed(text: str) -> set[str]:
    return {each.strip(" \t\r\n").lower() for each in text.split(":")}


def _public(kind: str, data: bytes) -> RSAPublicKey | Ed25519PublicKey:
    try:
        if kind == "ed25519":
            return Ed25519PublicKey.from_public_bytes(data)
        key = load_der_public_key(data) if kind == "rsa" else None
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadSignature("the key can't be read") from error
    if not isinstance(key, RSAPublicKey):
        raise BadSignature("the key's kind isn't known")
    if key.key_size < LEAST_BITS:
        raise BadSignature(f"the key has {key.key_size} bits (RFC 8301)", Result.POLICY)
    if key.key_size > MOST_BITS:
        raise BadSignature("the key is too long")
    return key


def check_signature(signature: Signature, key: Key, fields: Sequence[Field], *, now: float) -> None:
    """Whether what a signature says of the header is so (section 6.1.3). Raises BadSignature."""
    if signature.expires is not None and signature.expires < now:
        raise BadSignature("it has expired", Result.FAIL)
    if key.kind != ALGORITHMS[signature.algorithm]:
        raise BadSignature("the key is for another algorithm")
    identity = signature.identity.rpartition("@")[2].lower()
    if key.strict and identity and identity != signature.domain:
        raise BadSignature("the key is for its domain alone")
    signed = signed_header(signature.field, signature.names, signature.header_canon, fields)
    verify(key, signature.value, signed)


def verify(key: Key, value: bytes, signed: bytes) -> None:
    """Raises BadSignature."""
    digest = hashlib.sha256(signed).digest()
    try:
        if isinstance(key.public, Ed25519PublicKey):
            key.public.verify(value, digest)  # RFC 8463 section 3: of the hash
        else:
            key.public.verify(value, digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))
    except InvalidSignature as error:
        raise BadSignature("the signature is another message's", Result.FAIL) from error


def signed_header(
    field: Field, names: Iterable[str], canon: Canon, fields: Sequence[Field]
) -> bytes:
    """What is hashed for b= (section 3.7): the named fields, then the signature without b=."""
    left: dict[str, list[Field]] = {}
    for each in fields:
        left.setdefault(each.name, []).append(each)
    parts: list[bytes] = []
    for name in names:
        # The one nearest to the body first (section 5.4.2); who names more than there are signs
        # that there are no more.
        if found := left.get(name):
            parts.append(canonical(found.pop(), canon))
    return b"".join(parts) + canonical(unsigned(field), canon).removesuffix(b"\r\n")


def unsigned(field: Field) -> Field:
    """A signature with an empty b=."""
    value = _SIGNED.sub(rb"\1", field.value, count=1)
    return Field(field.name, field.raw[: field.colon] + value, field.colon)


def canonical(field: Field, canon: Canon) -> bytes:
    """A field as it is hashed, with its CRLF (sections 3.4.1 and 3.4.2)."""
    if canon is Canon.SIMPLE:
        return field.raw if field.raw.endswith(b"\n") else field.raw + b"\r\n"
    value = _SPACES.sub(b" ", _FOLDS.sub(b"", field.value)).strip(b" ")
    return field.name.encode() + b":" + value + b"\r\n"


class BodyHash:
    """Hashes a body that streams by (sections 3.4.3 and 3.4.4).

    Args:
        length: how much of what is hashed counts (l=); None: all.

    Attributes:
        size: octets that there were to hash, counted or not.
    """

    def __init__(self, canon: Canon, length: int | None = None) -> None:
        self._relaxed = canon is Canon.RELAXED
        self._left = length
        self._hash = hashlib.sha256()
        self._held = b""
        self._lines = 0  # that end what has come so far and may be the last, which don't count
        self._began = False
        self.size = 0

    def update(self, piece: bytes) -> None:
        """Take what comes next."""
        data = self._held + piece
        if self._relaxed:
            data = _SPACES.sub(b" ", data)
            data = data.replace(b" \r\n", b"\r\n")
        self._held = self._unfinished(data)
        self._take(data[: len(data) - len(self._held)])

    def finish(self) -> bytes:
        """The hash of the whole."""
        rest = self._held.rstrip(b" ") if self._relaxed else self._held
        self._held = b""
        if rest:
            self._take(rest)
            self._lines += 1  # the line that isn't ended is (section 3.4.3)
        elif self._began and not self._lines:
            self._lines = 1
        if self._began or not self._relaxed:
            self._put(b"\r\n")
        return self._hash.digest()

    def _unfinished(self, data: bytes) -> bytes:
        """What at the end can't be judged yet: half a line end, or a space that may be the last."""
        at = len(data) - data.endswith(b"\r")
        if self._relaxed and data.endswith(b" ", 0, at):
            at -= 1
        return data[at:]

    def _take(self, data: bytes) -> None:
        kept = _without_empty_lines(data)
        if kept:
            self._put_lines()
            self._put(kept)
            self._began = True
        self._lines += (len(data) - len(kept)) // 2

    def _put_lines(self) -> None:
        block = 32_768
        while self._lines:
            now = min(self._lines, block)
            self._put(b"\r\n" * now)
            self._lines -= now

    def _put(self, data: bytes) -> None:
        self.size += len(data)
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self._hash.update(data)


def _without_empty_lines(data: bytes) -> bytes:
    """Without the line ends at the end, of which each is a whole CRLF."""
    kept = data.rstrip(b"\r\n")
    tail = data[len(kept) :]
    if tail.endswith(b"\r"):
        return data
    if tail != b"\r\n" * (len(tail) // 2):
        # Some are halves: what follows the last of them counts.
        start = max(tail.rfind(b"\n\n"), tail.rfind(b"\r\r")) + 1
        start += tail.startswith(b"\n", start)
        kept = data[: len(kept) + start]
    return kept


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key, and where its public one is published."""

    domain: str
    selector: str
    private: RSAPrivateKey | Ed25519PrivateKey = field(repr=False)

    @property
    def algorithm(self) -> str:
        return "rsa-sha256" if isinstance(self.private, RSAPrivateKey) else "ed25519-sha256"

    def sign(self, signed: bytes) -> bytes:
        """The value of b=."""
        digest = hashlib.sha256(signed).digest()
        if isinstance(self.private, Ed25519PrivateKey):
            return self.private.sign(digest)
        return self.private.sign(digest, padding.PKCS1v15(), Prehashed(hashes.SHA256()))


def load_signing_key(domain: str, selector: str, private_key: bytes) -> SigningKey | None:
    """A key from PKCS #8; None: it is none that signs mail."""
    try:
        private = load_der_private_key(private_key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        return None
    if not isinstance(private, RSAPrivateKey | Ed25519PrivateKey):
        return None
    return SigningKey(domain, selector, private)


def write_signature(
    name: str,
    tags: Sequence[tuple[str, str]],
    names: Sequence[str],
    fields: Sequence[Field],
    key: SigningKey,
) -> Field:
    """A field that signs the named ones, relaxed, and itself.

    Args:
        tags: but b=, in order.
    """
    raw = f"{name}: {_folded(tags)};\r\n\tb=".encode()
    unsigned = Field(name.lower(), raw + b"\r\n", len(name) + 1)
    value = base64.b64encode(key.sign(signed_header(unsigned, names, Canon.RELAXED, fields)))
    lines = [value[at : at + LINE - 4] for at in range(0, len(value), LINE - 4)]
    return Field(name.lower(), raw + b"\r\n\t ".join(lines) + b"\r\n", len(name) + 1)


def _folded(tags: Sequence[tuple[str, str]]) -> str:
    """Tags on lines that aren't too long; a list of names may be broken at its colons."""
    lines = [""]
    for at, (tag, value) in enumerate(tags):
        piece = f"{tag}={value}" + (";" if at + 1 < len(tags) else "")
        parts = re.split(r"(?<=:)", piece) if tag == "h" else [piece]
        for number, part in enumerate(parts):
            space = " " if lines[-1] and not number else ""
            if len(lines[-1]) + len(space) + len(part) > LINE - len("DKIM-Signature: "):
                lines.append(part)
            else:
                lines[-1] += space + part
    return "\r\n\t".join(lines)
