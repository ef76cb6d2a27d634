"""Which domains have signed a message (RFC 6376), and who handed it on under seal (RFC 8617)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from dataclasses import dataclass

from postroom_smtp.checks.content import Content, Hashed, Wanted
from postroom_smtp.dns import DnsFailure, Resolver
from postroom_smtp.protocol import arc
from postroom_smtp.protocol.authentication import Finding, Result
from postroom_smtp.protocol.dkim import (
    BadSignature,
    Key,
    Signature,
    check_signature,
    parse_key,
    parse_signature,
)

FIELD = "dkim-signature"


@dataclass(frozen=True, slots=True)
class Verified:
    """A signature, and what came of it.

    Attributes:
        domain: whose it is; empty: that can't be read.
    """

    result: Result
    domain: str = ""
    why: str = ""
    selector: str = ""
    algorithm: str = ""
    shortened: str = ""

    @property
    def finding(self) -> Finding:
        """RFC 8601 section 2.7.1, RFC 6008."""
        properties = (
            ("header.d", self.domain),
            ("header.s", self.selector),
            ("header.a", self.algorithm),
            ("header.b", self.shortened),
        )
        return Finding("dkim", self.result, properties, self.why)


@dataclass(frozen=True, slots=True)
class Chain:
    """A chain of ARC, and what came of it: none, pass, fail, or temperror where it isn't known.

    Attributes:
        sets: empty where it isn't sound.
    """

    result: Result
    sets: tuple[arc.Set, ...] = ()
    why: str = ""
    length: int = 0

    @property
    def finding(self) -> Finding:
        comment = self.why or (f"i={self.length}" if self.length else "")
        return Finding("arc", self.result, (), comment)


class Keys:
    """Keys as they are published, each asked for once for a message."""

    def __init__(self, resolver: Resolver) -> None:
        self._resolver = resolver
        self._found: dict[str, Key | BadSignature] = {}

    async def fetch(self, names: Iterable[str]) -> None:
        """Ask for all of them at the same time."""
        missing = sorted(set(names) - self._found.keys())
        found = await asyncio.gather(*map(self._fetch, missing))
        self._found.update(zip(missing, found, strict=True))

    def key(self, name: str) -> Key:
        """One that was asked for. Raises BadSignature."""
        found = self._found[name]
        if isinstance(found, BadSignature):
            raise found
        return found

    async def _fetch(self, name: str) -> Key | BadSignature:
        try:
            found = (await self._resolver.texts(name.replace("\\", "\\\\"))).records
            if not found:
                return BadSignature("its key isn't published")
            return parse_key(found[0])
        except DnsFailure:
            return BadSignature("its key can't be had now", Result.TEMPERROR)
        except BadSignature as error:
            return error


async def verify(content: Content, resolver: Resolver, *, most: int) -> tuple[Verified, ...]:
    """Verify the signatures of a message from the top, so many at most. Raises OSError.

    One that isn't of the whole body counts for nothing (`policy`): what follows the part that it
    signs may be anybody's (RFC 6376 section 8.2).
    """
    signatures: list[Signature | Verified] = []
    for field in content.named(FIELD)[:most]:
        try:
            signatures.append(parse_signature(field))
        except BadSignature as error:
            signatures.append(Verified(error.result, why=str(error)))
    sound = [one for one in signatures if isinstance(one, Signature)]
    keys = Keys(resolver)
    await keys.fetch(one.key_name for one in sound)
    bodies = await content.hash_body((one.body_canon, one.length) for one in sound)
    return tuple(
        [
            one if isinstance(one, Verified) else await _verified(one, content, keys, bodies)
            for one in signatures
        ]
    )


async def _verified(
    signature: Signature,
    content: Content,
    keys: Keys,
    bodies: dict[Wanted, Hashed],
) -> Verified:
    result, why = Result.PASS, ""
    try:
        key = keys.key(signature.key_name)
        await content.workers.run(
            content.size, check_signature, signature, key, content.fields, now=time.time()
        )
        body = bodies[signature.body_canon, signature.length]
        if body.digest != signature.body_hash or body.size < (signature.length or 0):
            raise BadSignature("the body was changed", Result.FAIL)
        if signature.length is not None and signature.length < body.size:
            raise BadSignature("it isn't of the whole body", Result.POLICY)
        if key.testing:
            why = "testing"
    except BadSignature as error:
        result, why = error.result, str(error)
    return Verified(
        result,
        signature.domain,
        why,
        signature.selector,
        signature.algorithm,
        signature.shortened,
    )


async def verify_chain(content: Content, resolver: Resolver) -> Chain:
    """Verify the seals of a message (RFC 8617 section 5.2). Raises OSError."""
    length = len(content.named(arc.SEAL))
    try:
        sets = arc.parse_chain(content.fields)
        if not sets:
            return Chain(Result.NONE)
        keys = Keys(resolver)
        newest = sets[-1].signature
        bodies = await content.hash_body([(newest.body_canon, None)])
        if bodies[newest.body_canon, None].digest != newest.body_hash:
            raise arc.BadChain("the body was changed")
        size = content.size
        await keys.fetch([newest.key_name, sets[-1].seal.key_name])
        await content.workers.run(
            size, check_signature, newest, keys.key(newest.key_name), content.fields, now=0
        )
        for number in range(len(sets), 0, -1):
            # One by one: a chain that somebody made up costs no more than its newest set.
            seal = sets[number - 1].seal
            await keys.fetch([seal.key_name])
            await content.workers.run(size, arc.check_seal, sets[:number], keys.key(seal.key_name))
    except arc.BadChain as error:
        return Chain(Result.FAIL, why=str(error), length=length)
    except BadSignature as error:
        lasting = error.result is not Result.TEMPERROR
        return Chain(Result.FAIL if lasting else Result.TEMPERROR, why=str(error), length=length)
    return Chain(Result.PASS, sets, length=len(sets))
