"""Looking at what a domain has published."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from itertools import groupby

from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.model import DkimKey, KeyState, every
from postroom_admin.ports import Dns, DnsFailure, Services
from postroom_admin.publishing.judging import Finding, Verdict, is_published, judge, unknown
from postroom_admin.publishing.records import (
    Purpose,
    Record,
    Setup,
    key_record,
    records,
)

AT_ONCE = 8  # lookups
MOST_ADDRESSES = 16  # of a host


async def keys_of(services: Services, domain: str) -> list[DkimKey]:
    """The keys of a domain. Raises PostroomError NOT_FOUND where it isn't ours."""
    return [key async for key in every(lambda token: services.dkim.list(domain, token))]


async def wanted_records(services: Services, setup: Setup) -> list[Record]:
    """What a domain of ours is to publish."""
    return records(setup, await keys_of(services, setup.domain))


async def check_domain(services: Services, setup: Setup, now: datetime) -> list[Finding]:
    """What a domain of ours has published, held against what it is to."""
    keys = await keys_of(services, setup.domain)
    groups = [
        list(group)
        for _, group in groupby(
            records(setup, keys), key=lambda one: (one.purpose, one.name, one.kind)
        )
    ]
    turns = asyncio.Semaphore(AT_ONCE)

    async def look(group: Sequence[Record]) -> list[Finding]:
        async with turns:
            return [await _look(services.dns, group, now)]

    async def look_at(host: str) -> list[Finding]:
        async with turns:
            return [finding async for finding in _host(services.dns, host)]

    looks = [look(group) for group in groups[:1]]
    looks += [look_at(host) for host in setup.hosts]
    looks += [look(group) for group in groups[1:]]
    found = [finding for findings in await asyncio.gather(*looks) for finding in findings]
    if any(key.state is KeyState.ACTIVE for key in keys) or await _signed_above(services, setup):
        return found
    at = next((n for n, one in enumerate(found) if one.purpose is Purpose.DMARC), len(found))
    return [*found[:at], _unsigned(setup, keys), *found[at:]]


async def published(dns: Dns, key: DkimKey) -> bool:
    """Whether a key's record is what others see. Raises DnsFailure."""
    return is_published(key, await dns.look_up(key_record(key).name, "TXT"))


async def _look(dns: Dns, group: Sequence[Record], now: datetime) -> Finding:
    record = group[0]
    try:
        return judge(group, await _there(dns, record), now)
    except DnsFailure as error:
        return unknown(record, error.message)


async def _there(dns: Dns, record: Record) -> Sequence[str]:
    if record.kind == "CNAME":
        return await _addresses(dns, record.name)
    there = await dns.look_up(record.name, record.kind)
    if record.purpose is Purpose.DMARC and record.name.startswith("_dmarc.") and not there:
        # RFC 7489 section 6.6.3: that of the organisation holds for domains below it.
        labels = record.name.split(".")[2:]
        while len(labels) > 1 and not there:
            there = await dns.look_up(".".join(["_dmarc", *labels]), "TXT")
            labels = labels[1:]
    return there


async def _addresses(dns: Dns, host: str) -> list[str]:
    return [*await dns.look_up(host, "A"), *await dns.look_up(host, "AAAA")]


async def _host(dns: Dns, host: str) -> AsyncIterator[Finding]:
    """Whether a host that takes mail has addresses, and whether these lead back to it."""
    record = Record(Purpose.ADDRESS, host, "A", "", "")
    try:
        addresses = await _addresses(dns, host)
        if not addresses:
            yield _of_host(host, Verdict.MISSING, (), "publish its A and AAAA records")
        for address in addresses[:MOST_ADDRESSES]:
            names = await dns.names_of(address)
            back = host in names
            yield _of_host(
                host,
                Verdict.OK if back else Verdict.ADVICE,
                (address, *names),
                ""
                if back
                else f"let the owner of {address} (your provider, mostly) name it {host} in the"
                " reverse DNS: many refuse mail from an address without a name",
            )
    except DnsFailure as error:
        yield unknown(record, error.message)


def _of_host(host: str, verdict: Verdict, there: tuple[str, ...], advice: str) -> Finding:
    return Finding(Purpose.ADDRESS, host, "A", verdict, (), there, True, advice)


async def _signed_above(services: Services, setup: Setup) -> bool:
    """Whether the keys of a domain above it, which is ours too, sign its mail."""
    labels = setup.domain.split(".")[1:]
    while labels:
        try:
            keys = await keys_of(services, ".".join(labels))
        except PostroomError as error:
            if error.kind is not Kind.NOT_FOUND:
                raise
            keys = []
        if any(key.state is KeyState.ACTIVE for key in keys):
            return True
        labels = labels[1:]
    return False


def _unsigned(setup: Setup, keys: Sequence[DkimKey]) -> Finding:
    advice = (
        "no key signs yet: publish a new one's record, then `postroom dkim activate` lets it sign"
        if any(key.state is KeyState.NEW for key in keys)
        else f"`postroom dkim make {setup.domain}` makes a key, and shows what to publish"
    )
    name = f"*._domainkey.{setup.domain}"
    return Finding(Purpose.DKIM, name, "TXT", Verdict.MISSING, (), (), True, advice)
