"""/v1/dkim-keys, /v1/domains/{name}/dkim-keys, …/dkim-rotation and …/dns."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Path, Query, Response

from postroom_admin.api import resources as r
from postroom_admin.api.directory import DomainName, PageToken, tell_location
from postroom_admin.model import DkimKey, Page
from postroom_admin.ports import Services
from postroom_admin.publishing.checking import check_domain, keys_of, wanted_records
from postroom_admin.publishing.records import DmarcPolicy, Setup, StsMode
from postroom_admin.publishing.rotating import Step, rotate

Selector = Annotated[str, Path(max_length=63, examples=["rsa-20300102"])]
Names = Annotated[
    list[Annotated[str, Query(max_length=255)]] | None,
    Query(max_length=10, description="a host that takes its mail, the first one first"),
]
Networks = Annotated[
    list[Annotated[str, Query(max_length=64)]] | None,
    Query(max_length=20, description="sends its mail, too: 192.0.2.0/24"),
]


def publishing_routes(services: Services, mail_hosts: Sequence[str]) -> APIRouter:
    """Keys that mail is signed with, and what domains are to publish."""
    routes = APIRouter()
    routes.include_router(_keys(services), tags=["dkim"])
    routes.include_router(_records(services, mail_hosts), tags=["dns"])
    return routes


def _keys(services: Services) -> APIRouter:
    routes = APIRouter()
    keys = services.dkim
    of_domain = "/domains/{name}/dkim-keys"

    @routes.get(
        "/dkim-keys",
        summary="List the keys of all domains, by domain and age",
        response_model=r.Listing[r.DkimKey],
    )
    async def list_all(page_token: PageToken = "") -> Page[DkimKey]:
        return await keys.list("", page_token)

    @routes.get(
        of_domain,
        summary="List the keys of a domain, oldest first",
        response_model=r.Listing[r.DkimKey],
    )
    async def list_keys(name: DomainName) -> Page[DkimKey]:
        return Page(await keys_of(services, name))

    @routes.post(
        of_domain,
        summary="Make a key; publish its record, then activate it",
        status_code=201,
        response_model=r.DkimKey,
    )
    async def make(name: DomainName, body: r.NewDkimKey, response: Response) -> DkimKey:
        made = await keys.make(name, body.algorithm, body.selector, body.bits)
        tell_location(response, "domains", made.domain, "dkim-keys", made.selector)
        return made

    @routes.post(
        of_domain + "/{selector}/activate",
        summary="Let a key sign, in place of the one of its algorithm that did",
        response_model=r.DkimKey,
    )
    async def activate(name: DomainName, selector: Selector) -> DkimKey:
        return await keys.activate(name, selector)

    @routes.post(
        of_domain + "/{selector}/retire",
        summary="Let a key sign no more; its record is to stay for a week",
        response_model=r.DkimKey,
    )
    async def retire(name: DomainName, selector: Selector) -> DkimKey:
        return await keys.retire(name, selector)

    @routes.delete(
        of_domain + "/{selector}", summary="Remove a key that doesn't sign", status_code=204
    )
    async def remove(name: DomainName, selector: Selector) -> None:
        await keys.remove(name, selector)

    @routes.post(
        "/domains/{name}/dkim-rotation",
        summary="Take the next step in turning a domain's keys; may be asked at any time",
        response_model=list[r.DkimStep],
    )
    async def turn(name: DomainName, body: r.DkimRotation) -> list[Step]:
        older_than = timedelta(days=body.older_than_days)
        return await rotate(services, name, older_than, body.bits, datetime.now(UTC))

    return routes


def _records(services: Services, mail_hosts: Sequence[str]) -> APIRouter:
    routes = APIRouter(prefix="/domains/{name}/dns")

    @routes.get("", summary="List what a domain is to publish", response_model=r.DnsRecords)
    async def wanted(
        name: DomainName,
        host: Names = None,
        sends_from: Networks = None,
        reports: Annotated[str, Query(max_length=r.LONGEST_ADDRESS)] = "",
        dmarc: DmarcPolicy = DmarcPolicy.NONE,
        sts: StsMode = StsMode.TESTING,
    ) -> r.DnsRecords:
        setup = Setup.of(name, host or mail_hosts, sends_from or (), reports, dmarc, sts)
        found = [r.DnsRecord.model_validate(one) for one in await wanted_records(services, setup)]
        return r.DnsRecords(records=found, sts_policy=setup.sts_policy)

    @routes.get(
        "/check",
        summary="Look at what a domain has published, and say what to do",
        response_model=r.DnsFindings,
    )
    async def check(
        name: DomainName, host: Names = None, sends_from: Networks = None
    ) -> r.DnsFindings:
        setup = Setup.of(name, host or mail_hosts, sends_from or ())
        found = await check_domain(services, setup, datetime.now(UTC))
        return r.DnsFindings(
            findings=[r.DnsFinding.model_validate(one) for one in found],
            good=all(one.good for one in found),
        )

    return routes
