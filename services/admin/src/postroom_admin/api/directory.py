"""/v1/tenants, /v1/domains, /v1/accounts, /v1/aliases."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Path, Query, Response
from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.accounts import remove_account, usage_of
from postroom_admin.api import resources as r
from postroom_admin.model import PAGE, Account, Alias, Domain, Page, Tenant, Usage
from postroom_admin.ports import Services

Address = Annotated[
    str,
    Path(
        description="an account's address",
        max_length=r.LONGEST_ADDRESS,
        examples=["ann@example.org"],
    ),
]
DomainName = Annotated[str, Path(max_length=255, examples=["example.org"])]
OfDomain = Annotated[str, Query(max_length=255, description="only of this domain")]
PageToken = Annotated[
    str, Query(max_length=4096, description="`next_page_token` of the page before")
]
PageSize = Annotated[int, Query(ge=1, le=PAGE, description="entries of a page at most")]


def tell_location(response: Response, *segments: str) -> None:
    """Where what was made is, whatever its name is made of (RFC 9110 section 10.2.2)."""
    path = "/".join(quote(segment, safe="@") for segment in segments)
    response.headers["Location"] = f"/v1/{path}"


def directory_routes(services: Services) -> APIRouter:
    """The resources that auth owns."""
    routes = APIRouter()
    routes.include_router(_tenants(services), tags=["tenants"])
    routes.include_router(_domains(services), tags=["domains"])
    routes.include_router(_accounts(services), tags=["accounts"])
    routes.include_router(_account_details(services), tags=["accounts"])
    routes.include_router(_aliases(services), tags=["aliases"])
    return routes


def _tenants(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/tenants")
    directory = services.directory

    @routes.get("", summary="List the tenants", response_model=r.Listing[r.Tenant])
    async def list_tenants() -> Page[Tenant]:
        return Page(await directory.list_tenants())

    @routes.post("", summary="Make a tenant", status_code=201, response_model=r.Tenant)
    async def create_tenant(body: r.NewTenant, response: Response) -> Tenant:
        made = await directory.create_tenant(body.name)
        tell_location(response, "tenants", made.name)
        return made

    @routes.delete("/{name}", summary="Remove a tenant without domains", status_code=204)
    async def delete_tenant(name: Annotated[str, Path(max_length=255)]) -> None:
        await directory.delete_tenant(name)

    return routes


def _domains(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/domains")
    directory = services.directory

    @routes.get("", summary="List the domains", response_model=r.Listing[r.Domain])
    async def list_domains(
        tenant: Annotated[str, Query(max_length=255, description="only this tenant's")] = "",
    ) -> Page[Domain]:
        return Page(await directory.list_domains(tenant))

    @routes.post("", summary="Receive mail for a domain", status_code=201, response_model=r.Domain)
    async def create_domain(body: r.NewDomain, response: Response) -> Domain:
        made = await directory.create_domain(body.name, body.tenant)
        tell_location(response, "domains", made.name)
        return made

    @routes.get("/{name}", summary="Show a domain", response_model=r.Domain)
    async def get_domain(name: DomainName) -> Domain:
        for domain in await directory.list_domains():
            if domain.name == name.lower():
                return domain
        raise PostroomError(Kind.NOT_FOUND, f"there is no domain {name}")

    @routes.delete(
        "/{name}", summary="Remove a domain without accounts and aliases", status_code=204
    )
    async def delete_domain(name: DomainName) -> None:
        await directory.delete_domain(name)

    @routes.put(
        "/{name}/catch-all",
        summary="Give an account the mail for addresses nobody has",
        response_model=r.Domain,
    )
    async def set_catch_all(name: DomainName, body: r.CatchAll) -> Domain:
        return await directory.set_catch_all(name, body.address)

    @routes.delete(
        "/{name}/catch-all",
        summary="Refuse mail for addresses nobody has",
        status_code=204,
    )
    async def clear_catch_all(name: DomainName) -> None:
        await directory.set_catch_all(name, "")

    return routes


def _accounts(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/accounts")
    directory = services.directory

    @routes.get(
        "",
        summary="List the accounts, in order of address",
        response_model=r.Listing[r.Account],
    )
    async def list_accounts(
        domain: OfDomain = "", page_token: PageToken = "", page_size: PageSize = PAGE
    ) -> Page[Account]:
        return await directory.list_accounts(domain, page_token, page_size)

    @routes.post("", summary="Make an account", status_code=201, response_model=r.Account)
    async def create_account(body: r.NewAccount, response: Response) -> Account:
        password = body.password.get_secret_value() if body.password else ""
        made = await directory.create_account(
            body.address,
            password,
            body.display_name,
            body.quota_bytes,
            accept_weak=body.accept_weak,
        )
        tell_location(response, "accounts", made.address)
        return made

    @routes.get("/{address}", summary="Show an account", response_model=r.Account)
    async def get_account(address: Address) -> Account:
        return await directory.get_account(address)

    @routes.patch("/{address}", summary="Change an account", response_model=r.Account)
    async def update_account(address: Address, body: r.AccountChange) -> Account:
        return await directory.update_account(
            address,
            display_name=body.display_name,
            quota_bytes=body.quota_bytes,
            quota_messages=body.quota_messages,
            quota_mailboxes=body.quota_mailboxes,
            disabled=body.disabled,
            administrator=body.administrator,
            app_passwords_only=body.app_passwords_only,
            pop3_delete=body.pop3_delete,
            pop3_days=body.pop3_days,
            pop3_login_delay=body.pop3_login_delay,
        )

    @routes.delete(
        "/{address}", summary="Remove an account, its aliases and its mail", status_code=204
    )
    async def delete_account(
        address: Address,
        keep_mail: Annotated[bool, Query(description="leave its mail in the store")] = False,
    ) -> None:
        await remove_account(services, address, keep_mail=keep_mail)

    return routes


def _account_details(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/accounts/{address}")
    directory = services.directory

    @routes.put("/password", summary="Set the password; open sessions end soon", status_code=204)
    async def set_password(address: Address, body: r.NewPassword) -> None:
        await directory.set_password(
            address, body.password.get_secret_value(), accept_weak=body.accept_weak
        )

    @routes.get("/quota", summary="Show what may be kept, and what is", response_model=r.Quota)
    async def get_quota(address: Address) -> r.Quota:
        found = await usage_of(services, address)
        account, usage = found.account, found.usage
        return r.Quota(
            quota_bytes=account.quota_bytes,
            quota_messages=account.quota_messages,
            quota_mailboxes=account.quota_mailboxes,
            bytes=usage.bytes,
            messages=usage.messages,
            mailboxes=usage.mailboxes,
        )

    @routes.put("/quota", summary="Set what may be kept", response_model=r.Quota)
    async def set_quota(address: Address, body: r.NewQuota) -> r.Quota:
        await directory.update_account(
            address,
            quota_bytes=body.quota_bytes,
            quota_messages=body.quota_messages,
            quota_mailboxes=body.quota_mailboxes,
        )
        return await get_quota(address)

    @routes.get("/usage", summary="Show what an account keeps", response_model=r.Usage)
    async def get_usage(address: Address) -> Usage:
        return (await usage_of(services, address)).usage

    return routes


def _aliases(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/aliases")
    directory = services.directory

    @routes.get("", summary="List the aliases", response_model=r.Listing[r.Alias])
    async def list_aliases(domain: OfDomain = "") -> Page[Alias]:
        return Page(await directory.list_aliases(domain))

    @routes.post(
        "", summary="Let an address deliver to others", status_code=201, response_model=r.Alias
    )
    async def create_alias(body: r.NewAlias, response: Response) -> Alias:
        made = await directory.create_alias(body.address, body.targets)
        tell_location(response, "aliases", made.address)
        return made

    @routes.patch("/{address}", summary="Add and remove targets", response_model=r.Alias)
    async def change_alias(address: Address, body: r.AliasChange) -> Alias:
        return await directory.change_alias(address, body.added, body.removed)

    @routes.delete("/{address}", summary="Remove an alias", status_code=204)
    async def delete_alias(address: Address) -> None:
        await directory.delete_alias(address)

    return routes
