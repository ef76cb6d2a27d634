"""/v1/accounts/{address}/app-passwords, …/secrets, …/standing, …/lock, and /v1/audit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Path, Query, Response

from postroom_admin.api import resources as r
from postroom_admin.api.directory import Address, PageSize, PageToken, tell_location
from postroom_admin.model import (
    PAGE,
    AppPassword,
    AuditEntry,
    AuditFilter,
    NewAppPassword,
    Page,
    Secret,
    Standing,
)
from postroom_admin.ports import Services

# Never empty, which would stand for all of them.
Name = Annotated[str, Path(min_length=1, max_length=200, description="the app password's name")]


def signing_in_routes(services: Services) -> APIRouter:
    """How people sign in."""
    routes = APIRouter()
    routes.include_router(_app_passwords(services), tags=["accounts"])
    routes.include_router(_secrets(services), tags=["secrets"])
    routes.include_router(_locks(services), tags=["accounts"])
    routes.include_router(_audit(services), tags=["audit"])
    return routes


def _app_passwords(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/accounts/{address}/app-passwords")
    credentials = services.credentials

    @routes.get("", summary="List app passwords", response_model=r.Listing[r.AppPassword])
    async def list_app_passwords(address: Address) -> Page[AppPassword]:
        return Page(await credentials.list_app_passwords(address))

    @routes.post(
        "", summary="Make an app password", status_code=201, response_model=r.MadeAppPassword
    )
    async def add_app_password(
        address: Address, body: r.NewAppPassword, response: Response
    ) -> NewAppPassword:
        made = await credentials.add_app_password(
            address, body.name, body.protocols, body.networks, _seconds(body.expires_at)
        )
        tell_location(response, "accounts", address, "app-passwords", body.name)
        return made

    @routes.delete(
        "/{name:path}", summary="Revoke an app password; its sessions end soon", status_code=204
    )
    async def revoke_app_password(address: Address, name: Name) -> None:
        await credentials.revoke_app_password(address, name)

    @routes.delete("", summary="Revoke all app passwords", status_code=204)
    async def revoke_app_passwords(
        address: Address,
        all_of_them: Annotated[
            Literal["true"], Query(alias="all", description="so that nobody means another")
        ],
    ) -> None:
        await credentials.revoke_app_password(address, "")

    return routes


def _secrets(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/accounts/{address}/secrets")
    credentials = services.credentials

    @routes.get("", summary="List an account's secrets", response_model=r.Listing[r.Secret])
    async def list_secrets(address: Address) -> Page[Secret]:
        return Page(await credentials.list_secrets(address))

    @routes.post("", summary="Make a secret for one mechanism", status_code=201)
    async def add_secret(address: Address, body: r.NewSecret) -> r.MadeSecret:
        made, text = await credentials.add_secret(address, body.kind, body.networks)
        return r.MadeSecret(
            secret_id=made.secret_id,
            kind=made.kind,
            networks=list(made.networks),
            created_at=made.created_at,
            text=text,
        )

    @routes.delete("/{secret_id}", summary="End a secret; open sessions end soon", status_code=204)
    async def revoke_secret(address: Address, secret_id: int) -> None:
        await credentials.revoke_secret(address, secret_id)

    return routes


def _locks(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/accounts/{address}")
    credentials = services.credentials

    @routes.get("/standing", summary="Show whether somebody can sign in", response_model=r.Standing)
    async def get_standing(address: Address) -> Standing:
        return await credentials.standing(address)

    @routes.put("/lock", summary="Let nobody sign in for a time", response_model=r.Standing)
    async def lock(address: Address, body: r.Lock) -> Standing:
        return await credentials.lock(address, _seconds(body.until))

    @routes.delete(
        "/lock", summary="End a lock, and forget failed attempts", response_model=r.Standing
    )
    async def unlock(address: Address) -> Standing:
        return await credentials.unlock(address)

    return routes


def _audit(services: Services) -> APIRouter:
    routes = APIRouter(prefix="/audit")

    @routes.get(
        "", summary="List attempts to sign in, newest first", response_model=r.Listing[r.AuditEntry]
    )
    async def list_audit(
        account: Annotated[str, Query(max_length=r.LONGEST_ADDRESS)] = "",
        network: Annotated[
            str, Query(max_length=64, description="an address, or 192.0.2.0/24")
        ] = "",
        succeeded: Annotated[bool | None, Query(description="these alone")] = None,
        since: Annotated[datetime | None, Query()] = None,
        page_token: PageToken = "",
        page_size: PageSize = PAGE,
    ) -> Page[AuditEntry]:
        wanted = AuditFilter(account, network, succeeded, _seconds(since))
        return await services.credentials.audit(wanted, page_token, page_size)

    return routes


def _seconds(time: datetime | None) -> int:
    """Unix seconds of a time, which is UTC where it names no zone; 0: none."""
    if time is None:
        return 0
    return int((time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp())
