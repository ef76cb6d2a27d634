"""Whether a host may send for a domain, as the domain itself says (RFC 7208).

Evaluated here, term by term, since every lookup waits: a library that waits in threads would need
one for each sender whose DNS is slow. What an evaluation may ask is bounded as section 4.6.4 says:
10 terms that look up, 2 lookups that find nothing, 10 names of a lookup, 20 seconds.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, ip_network
from typing import Any

from postroom_smtp.dns import Answer, DnsFailure, Resolver
from postroom_smtp.protocol.authentication import Result
from postroom_smtp.protocol.domain import a_labels
from postroom_smtp.protocol.spf import (
    MOST_NAME,
    MOST_RECORD,
    Address,
    BadRecord,
    Mechanism,
    Piece,
    Record,
    Subject,
    asks,
    expand,
    expand_domain,
    is_record,
    parse_macros,
    parse_record,
)

TERMS = 10
VOIDS = 2
NAMES = 10
SECONDS = 20.0
MOST_EXPLANATION = 400  # characters of somebody else's that a reply of ours may hold


@dataclass(frozen=True, slots=True)
class Evaluation:
    """What came of it.

    Attributes:
        explanation: the domain's own words for a failure, printable; empty: it has none.
        why: of an error.
    """

    result: Result
    explanation: str = ""
    why: str = ""


async def check_host(
    resolver: Resolver, address: Address, domain: str, sender: str, helo: str, *, receiver: str
) -> Evaluation:
    """RFC 7208 section 4. Raises nothing.

    Args:
        sender: the reverse-path, or that of the postmaster of `domain` for the null one.
        helo: what the client calls itself.
        receiver: what we are called.
    """
    name = _as_name(domain)
    if name is None:
        return Evaluation(Result.NONE)
    local, _, origin = sender.rpartition("@")
    subject = Subject(address, name, f"{local or 'postmaster'}@{origin}", helo, receiver=receiver)
    try:
        async with asyncio.timeout(SECONDS):
            return await _Check(resolver, subject).run()
    except TimeoutError:
        return Evaluation(Result.TEMPERROR, why="it took too long")
    except (DnsFailure, _Lasting) as error:
        lasting = isinstance(error, _Lasting)
        return Evaluation(Result.PERMERROR if lasting else Result.TEMPERROR, why=str(error))


class _Lasting(Exception):
    """The record can't be used until somebody changes it (section 2.6.7)."""


@dataclass(slots=True)
class _Check:
    """One evaluation, its limits counted over all the records that it comes to."""

    resolver: Resolver
    subject: Subject
    _terms: int = 0
    _voids: int = 0
    _names: list[str] | None = field(default=None)

    async def run(self) -> Evaluation:
        result, explanation, subject = await self._evaluate(self.subject)
        if result is not Result.FAIL or explanation is None:
            return Evaluation(result)
        return Evaluation(result, await self._explain(explanation, subject))

    async def _evaluate(self, subject: Subject) -> tuple[Result, tuple[Piece, ...] | None, Subject]:
        """The result, and whose explanation goes with it."""
        record = await self._record(subject.domain)
        if record is None:
            return Result.NONE, None, subject
        for mechanism in record.mechanisms:
            if await self._matches(mechanism, subject):
                return mechanism.result, record.explanation, subject
        if record.redirect is None:
            return Result.NEUTRAL, None, subject
        self._count_term()
        target = await self._expanded(record.redirect, subject)
        found = await self._evaluate(replace(subject, domain=target))
        if found[0] is Result.NONE:
            raise _Lasting(f"there is no record at {target}")
        return found

    async def _record(self, domain: str) -> Record | None:
        found = [text for text in (await self._texts(domain)).records if is_record(text)]
        if not found:
            return None
        if len(found) > 1:
            raise _Lasting(f"there are several records at {domain}")
        try:
            return parse_record(found[0])
        except BadRecord as error:
            raise _Lasting(f"the record of {domain}: {error}") from error

    async def _matches(self, mechanism: Mechanism, subject: Subject) -> bool:
        if mechanism.name == "all":
            return True
        if mechanism.network is not None:
            return subject.address in mechanism.network
        self._count_term()
        target = subject.domain
        if mechanism.target is not None:
            target = await self._expanded(mechanism.target, subject)
        match mechanism.name:
            case "include":
                return await self._includes(target, subject)
            case "a":
                return await self._is_of(target, mechanism, subject)
            case "mx":
                return await self._exchanges(target, mechanism, subject)
            case "ptr":
                return any(_under(name, target) for name in await self._validated())
            case _:
                found = await self.resolver.addresses(_quoted(target), socket.AF_INET)
                self._count_void(found)
                return bool(found.records)

    async def _includes(self, target: str, subject: Subject) -> bool:
        result, _, _ = await self._evaluate(replace(subject, domain=target))
        if result is Result.NONE:
            raise _Lasting(f"there is no record at {target}")
        return result is Result.PASS

    async def _is_of(self, host: str, mechanism: Mechanism, subject: Subject) -> bool:
        found = await self._addresses(host)
        self._count_void(found)
        return _among(found.records, mechanism, subject)

    async def _exchanges(self, target: str, mechanism: Mechanism, subject: Subject) -> bool:
        found = await self.resolver.exchangers(_quoted(target))
        self._count_void(found)
        if len(found.records) > NAMES:
            raise _Lasting(f"{target} has too many exchangers")
        counted = not found.records
        for exchanger in found.records:
            if exchanger.host == ".":
                continue
            addresses = await self._addresses(exchanger.host)
            if not counted and not addresses.records:
                # It is terms that are counted (section 4.6.4): hosts of IPv4 alone are no fault.
                counted = True
                self._count_void(addresses)
            if _among(addresses.records, mechanism, subject):
                return True
        return False

    async def _validated(self) -> list[str]:
        """The names of the address that lead back to it (section 5.5), asked for once."""
        if self._names is None:
            self._names = []
            try:
                found = await self.resolver.names_of(self.subject.address)
            except DnsFailure:
                return []
            self._count_void(found)
            for name in found.records[:NAMES]:
                try:
                    if self.subject.address in (await self._addresses(name)).records:
                        self._names.append(name)
                except DnsFailure:
                    continue
        return self._names

    async def _addresses(self, host: str) -> Answer[Address]:
        four = isinstance(self.subject.address, IPv4Address)
        family = socket.AF_INET if four else socket.AF_INET6
        return await self.resolver.addresses(_quoted(host), family)

    async def _texts(self, domain: str) -> Answer[bytes]:
        return await self.resolver.texts(_quoted(domain))

    async def _expanded(self, pieces: tuple[Piece, ...], subject: Subject) -> str:
        return expand_domain(pieces, await self._informed(pieces, subject))

    async def _informed(self, pieces: tuple[Piece, ...], subject: Subject) -> Subject:
        """The same, with the validated name where a macro asks for it (section 7.3)."""
        if not asks(pieces, "p"):
            return subject
        names = await self._validated()
        best = sorted(
            names, key=lambda name: (name != subject.domain, not _under(name, subject.domain))
        )
        return replace(subject, validated=best[0] if best else "unknown")

    async def _explain(self, pieces: tuple[Piece, ...], subject: Subject) -> str:
        """The domain's words (section 6.2); nothing where anything about them is wrong."""
        try:
            found = await self._texts(await self._expanded(pieces, subject))
            if len(found.records) != 1 or len(found.records[0]) > MOST_RECORD:
                return ""
            words = parse_macros(found.records[0].decode("ascii"), explanation=True)
            said = expand(words, await self._informed(words, subject))
        except (DnsFailure, BadRecord, UnicodeDecodeError, _Lasting):
            return ""
        return said[:MOST_EXPLANATION] if said.isascii() and said.isprintable() else ""

    def _count_term(self) -> None:
        self._terms += 1
        if self._terms > TERMS:
            raise _Lasting("its records ask for too many lookups")

    def _count_void(self, found: Answer[Any]) -> None:
        self._voids += not found.records
        if self._voids > VOIDS:
            raise _Lasting("too many of its lookups find nothing")


def _as_name(domain: str) -> str | None:
    """The domain as it is looked up; None: it can't have a record (section 4.3)."""
    name = domain.removesuffix(".").lower()
    if not name.isascii():
        found = a_labels(name)
        if found is None:
            return None
        name = found
    labels = name.split(".")
    if len(labels) < 2 or len(name) > MOST_NAME:
        return None
    return name if all(0 < len(label) <= 63 for label in labels) else None


def _among(addresses: Sequence[Address], mechanism: Mechanism, subject: Subject) -> bool:
    prefix = mechanism.prefixes[0 if isinstance(subject.address, IPv4Address) else 1]
    return any(subject.address in ip_network((each, prefix), strict=False) for each in addresses)


def _under(name: str, domain: str) -> bool:
    domain = domain.lower()
    return name == domain or name.endswith("." + domain)


def _quoted(name: str) -> str:
    """A name as it is, in the form of a zone file, where a backslash would say something else."""
    return name.replace("\\", "\\\\")
