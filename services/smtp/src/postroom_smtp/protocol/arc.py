"""What those who handed a message on found out about it, under their seals (RFC 8617)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from postroom_smtp.protocol.authentication import Finding, Result, results
from postroom_smtp.protocol.dkim import (
    ALGORITHMS,
    BadSignature,
    Canon,
    Key,
    Signature,
    SigningKey,
    canonical,
    need,
    parse_algorithm,
    parse_number,
    parse_owner,
    parse_signature,
    parse_tags,
    unbase64,
    unsigned,
    verify,
    write_signature,
)
from postroom_smtp.protocol.fields import Field

MOST_SETS = 50  # section 4.2.1

RESULTS = "arc-authentication-results"
MESSAGE = "arc-message-signature"
SEAL = "arc-seal"
_INSTANCE = re.compile(rb"[ \t\r\n]*i[ \t\r\n]*=[ \t\r\n]*([0-9]{1,2})[ \t\r\n]*;")


class BadChain(Exception):
    """The chain is broken, for good (section 4.4)."""


@dataclass(frozen=True, slots=True)
class Seal:
    """An ARC-Seal.

    Attributes:
        status: what its author found of the chain before (cv=).
    """

    field: Field
    instance: int
    algorithm: str
    domain: str
    selector: str
    value: bytes
    status: Result

    @property
    def key_name(self) -> str:
        """Where its key is published."""
        return f"{self.selector}._domainkey.{self.domain}"


@dataclass(frozen=True, slots=True)
class Set:
    """What one of them put on the message (section 4.2)."""

    results: Field
    signature: Signature
    seal: Seal


def parse_chain(fields: Sequence[Field]) -> tuple[Set, ...]:
    """The sets from the first to the newest; none where there are none.

    Raises BadChain where they aren't what section 5.2 asks for, signatures apart.
    """
    found: dict[str, dict[int, Field]] = {RESULTS: {}, MESSAGE: {}, SEAL: {}}
    for field in fields:
        if (kind := found.get(field.name)) is None:
            continue
        instance = _instance(field)
        if instance in kind:
            raise BadChain(f"there are two of set {instance}")
        kind[instance] = field
    newest = max((max(kind, default=0) for kind in found.values()), default=0)
    wanted = set(range(1, newest + 1))
    if any(set(kind) != wanted for kind in found.values()):
        raise BadChain("a set isn't whole")
    sets = tuple(
        _parse_set(found[RESULTS][each], found[MESSAGE][each], found[SEAL][each])
        for each in range(1, newest + 1)
    )
    for one in sets:
        if one.seal.status is not (Result.NONE if one.seal.instance == 1 else Result.PASS):
            raise BadChain(f"set {one.seal.instance} says that it is broken")
    return sets


def _instance(field: Field) -> int:
    """The value of i=, which need not come first but in the results."""
    if field.name == RESULTS:
        found = _INSTANCE.match(field.value)
        instance = int(found[1]) if found else 0
    else:
        try:
            instance = parse_number(parse_tags(field.value).get("i", ""))
        except BadSignature as error:
            raise BadChain(str(error)) from error
    if not 0 < instance <= MOST_SETS:
        raise BadChain("a set has no number that it can have")
    return instance


def _parse_set(found: Field, message: Field, seal: Field) -> Set:
    try:
        signature = parse_signature(message, arc=True)
        if SEAL in signature.names:
            raise BadSignature("a seal is signed")
        return Set(found, signature, _parse_seal(seal))
    except BadSignature as error:
        raise BadChain(str(error)) from error


def _parse_seal(field: Field) -> Seal:
    tags = parse_tags(field.value)
    need(tags, "i", "a", "b", "cv", "d", "s")
    if "h" in tags or tags["cv"].lower() not in ("none", "pass", "fail"):
        raise BadSignature("a seal can't be read")
    domain, selector = parse_owner(tags)
    return Seal(
        field,
        parse_number(tags["i"]),
        parse_algorithm(tags["a"]),
        domain,
        selector,
        unbase64(tags["b"]),
        Result(tags["cv"].lower()),
    )


def check_seal(sets: Sequence[Set], key: Key) -> None:
    """Whether the newest of some sets is sealed (section 5.1.1). Raises BadSignature."""
    seal = sets[-1].seal
    if key.kind != ALGORITHMS[seal.algorithm]:
        raise BadSignature("the key is for another algorithm")
    before = [field for one in sets for field in (one.results, one.signature.field, one.seal.field)]
    verify(key, seal.value, sealed([*before[:-1], unsigned(seal.field)]))


def sealed(fields: Sequence[Field]) -> bytes:
    """What a seal's hash is of, the seal itself last."""
    return b"".join(canonical(field, Canon.RELAXED) for field in fields).removesuffix(b"\r\n")


def write_set(
    number: int,
    sets: Sequence[Set],
    status: Result,
    identifier: str,
    findings: tuple[Finding, ...],
    names: Sequence[str],
    fields: Sequence[Field],
    body_hash: str,
    key: SigningKey,
    now: int,
) -> bytes:
    """The fields of the next set (section 5.1), the seal first.

    Args:
        number: of the new set.
        sets: those before; none where the chain is broken.
        status: what was found of them.
        names: of the fields that are signed.
        body_hash: base64.
    """
    instance = ("i", str(number))
    owner = [("a", key.algorithm), ("d", key.domain), ("s", key.selector), ("t", str(now))]
    said = b"ARC-Authentication-Results: i=%d; " % number + results(identifier, findings)
    found = Field(RESULTS, said, len(RESULTS) + 1)
    tags = [
        instance,
        ("c", "relaxed/relaxed"),
        *owner,
        ("h", ":".join(names)),
        ("bh", body_hash),
    ]
    message = write_signature("ARC-Message-Signature", tags, names, fields, key)
    # Where the chain is broken a seal is of its own set alone (section 5.1.2).
    before = [] if status is Result.FAIL else sets
    chain = [
        field for one in before for field in (one.results, one.signature.field, one.seal.field)
    ]
    seal = write_signature(
        "ARC-Seal",
        [instance, ("cv", status.value), *owner],
        [field.name for field in (*chain, found, message)],
        # The first of a name is the last that is taken: what comes first is signed last.
        list(reversed([*chain, found, message])),
        key,
    )
    return seal.raw + message.raw + found.raw
