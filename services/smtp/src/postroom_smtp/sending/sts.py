"""MTA-STS policies (RFC 8461): fetched by HTTPS, and kept for as long as they say."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import httpx
from postroom_chassis import logs

from postroom_smtp.dns import DnsFailure, Resolver
from postroom_smtp.protocol.client import ascii_domain
from postroom_smtp.protocol.mta_sts import MOST_OCTETS, Mode, Policy, read_policy, read_record

log = logs.logger(__name__)

POLICIES = 10_000  # that are kept
FETCH_SECONDS = 30.0  # RFC 8461 section 3.3 has a minute; mail waits meanwhile
FAILED_SECONDS = 300.0  # until a fetch that failed is tried again (RFC 8461 section 5.1)


@dataclass(slots=True)
class _Kept:
    """What is known of a domain. Without a policy: a fetch failed a moment ago."""

    id: str
    policy: Policy | None
    expires_at: float
    missed: str = ""  # the id of a newer one that couldn't be fetched
    again_at: float = 0.0  # when that is tried again


@dataclass(frozen=True, slots=True)
class Found:
    """What could be learned of a domain's policy.

    Attributes:
        certain: there is no other one, as far as can be known; otherwise it couldn't be asked now.
    """

    policy: Policy | None
    certain: bool = True


class Policies:
    """The policies of domains that are sent to.

    Args:
        authorities: who signs the certificates of policies' hosts.
        port: of policies' hosts.
        seconds: that a fetch may take in all.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        resolver: Resolver,
        authorities: ssl.SSLContext,
        *,
        port: int = 443,
        seconds: float = FETCH_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._resolver = resolver
        self._authorities = authorities
        self._port = port
        self._seconds = seconds
        self._clock = clock
        self._kept: OrderedDict[str, _Kept] = OrderedDict()

    async def of(self, domain: str) -> Found:
        """A domain's policy, where it has one that is known. Raises nothing: what can't be
        learned leaves what was known (RFC 8461 section 5.1).
        """
        asked = ascii_domain(domain)
        if asked is None or domain.startswith("["):
            return Found(None)
        kept = self._kept.get(domain)
        if kept is not None and kept.expires_at <= self._clock():
            kept = None
        known = kept.policy if kept is not None else None
        try:
            record = read_record((await self._resolver.texts(f"_mta-sts.{asked}")).records)
        except DnsFailure:
            return Found(known, False)
        if record is None:
            return Found(known)
        if kept is not None and kept.id == record:
            return Found(known, known is not None)
        if kept is not None and kept.missed == record and self._clock() < kept.again_at:
            return Found(known, False)
        policy = await self._fetch(asked)
        if policy is None:
            again_at = self._clock() + FAILED_SECONDS
            if kept is None or known is None:
                self._keep(domain, _Kept(record, None, again_at))
            else:
                kept.missed, kept.again_at = record, again_at
            return Found(known, False)
        self._keep(domain, _Kept(record, policy, self._clock() + policy.max_age))
        return Found(None if policy.mode is Mode.NONE else policy)

    def _keep(self, domain: str, kept: _Kept) -> None:
        self._kept[domain] = kept
        self._kept.move_to_end(domain)
        if len(self._kept) > POLICIES:
            self._kept.popitem(last=False)

    async def _fetch(self, domain: str) -> Policy | None:
        name = f"mta-sts.{domain}"
        try:
            async with asyncio.timeout(self._seconds):
                content = await self._get(name)
        except (DnsFailure, httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            log.warning(
                "smtp.sts_unfetched", domain=domain, error=str(error) or type(error).__name__
            )
            return None
        policy = read_policy(content)
        if policy is None:
            log.warning("smtp.sts_malformed", domain=domain)
        return policy

    async def _get(self, name: str) -> bytes:
        """The policy's text: no redirects, no other type, no more than so much."""
        address = await self._address(name)
        host = f"[{address}]" if ":" in address else address
        async with (
            httpx.AsyncClient(
                verify=self._authorities, timeout=self._seconds, trust_env=False
            ) as client,
            client.stream(
                "GET",
                f"https://{host}:{self._port}/.well-known/mta-sts.txt",
                headers={"Host": name, "Accept-Encoding": "identity"},
                # The certificate is checked against this name.
                extensions={"sni_hostname": name},
            ) as response,
        ):
            kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
            if response.status_code != 200 or kind != "text/plain":
                raise httpx.HTTPError(f"{response.status_code} {kind}")
            return await _bounded(response)

    async def _address(self, name: str) -> str:
        for family in (socket.AF_INET, socket.AF_INET6):
            found = await self._resolver.addresses(name, family)
            if found.records:
                return str(found.records[0])
        raise httpx.HTTPError("no address")


async def _bounded(response: httpx.Response) -> bytes:
    content = b""
    async for piece in response.aiter_raw():
        content += piece
        if len(content) > MOST_OCTETS:
            raise httpx.HTTPError("too long")
    return content
