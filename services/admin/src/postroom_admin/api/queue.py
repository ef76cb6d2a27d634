"""/v1/queue, /v1/suppressions, /v1/trace and /v1/usage."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from postroom_admin.api import resources as r
from postroom_admin.api.directory import PageSize, PageToken
from postroom_admin.model import (
    PAGE,
    Page,
    QueueEntry,
    QueueSummary,
    ShownEntry,
    Suppression,
    Usage,
)
from postroom_admin.ports import Queue, Services
from postroom_admin.queueing import Change, Changed, change_all, change_entries
from postroom_admin.tracing import Life, life_of

QueueId = Annotated[int, Path(ge=1, le=r.LARGEST)]
Elsewhere = Annotated[
    str,
    Path(
        description="an address elsewhere",
        max_length=r.LONGEST_ADDRESS,
        examples=["gone@example.com"],
    ),
]


def queue_routes(services: Services) -> APIRouter:
    """Mail that waits to be sent elsewhere."""
    routes = APIRouter(prefix="/queue", tags=["queue"])
    queue = services.queue

    @routes.get("", summary="List what waits, oldest first", response_model=r.Listing[r.QueueEntry])
    async def list_queue(
        domain: Annotated[str, Query(max_length=255, description="only for this domain")] = "",
        page_token: PageToken = "",
        page_size: PageSize = PAGE,
    ) -> Page[QueueEntry]:
        return await queue.list(domain, page_token, page_size)

    @routes.get(
        "/domains",
        summary="Show how much waits for each domain, the most first",
        response_model=r.QueueSummary,
    )
    async def summary() -> QueueSummary:
        return await queue.summarize()

    for verb, change, text in (
        ("hold", queue.hold, "Keep entries from being tried, until they are released"),
        ("release", queue.release, "Let held entries be tried, at once"),
        ("retry", queue.retry, "Try entries that wait at once, and their domains"),
        ("cancel", queue.cancel, "Remove entries without notice to anyone"),
    ):
        _add_change(routes, queue, verb, change, text)

    @routes.get(
        "/{queue_id}", summary="Show an entry and its attempts", response_model=r.ShownEntry
    )
    async def get_entry(queue_id: QueueId) -> r.ShownEntry:
        return _shown(await queue.show(queue_id))

    for verb, change, text in (
        ("hold", queue.hold, "Keep an entry from being tried"),
        ("release", queue.release, "Let a held entry be tried, at once"),
        ("retry", queue.retry, "Try an entry at once"),
    ):
        _add_turn(routes, queue, verb, change, text)

    @routes.delete(
        "/{queue_id}", summary="Remove an entry without notice to anyone", status_code=204
    )
    async def cancel(queue_id: QueueId) -> None:
        await queue.cancel([queue_id])

    return routes


def _add_change(routes: APIRouter, queue: Queue, verb: str, change: Change, summary: str) -> None:
    """One resource for many entries."""

    @routes.post(f"/{verb}", summary=summary, name=f"{verb} entries", response_model=r.Changed)
    async def change_some(body: r.QueueChange) -> Changed:
        if body.queue_ids is not None:
            return await change_entries(change, body.queue_ids)
        return await change_all(queue, change, body.domain or "")


def _add_turn(routes: APIRouter, queue: Queue, verb: str, change: Change, summary: str) -> None:
    """One resource for one entry."""

    @routes.post(
        f"/{{queue_id}}/{verb}", summary=summary, name=f"{verb} entry", response_model=r.ShownEntry
    )
    async def turn(queue_id: QueueId) -> r.ShownEntry:
        await change([queue_id])
        return _shown(await queue.show(queue_id))


def _shown(found: ShownEntry) -> r.ShownEntry:
    entry = r.QueueEntry.model_validate(found.entry)
    attempts = [r.Attempt.model_validate(one) for one in found.attempts]
    return r.ShownEntry(**entry.model_dump(), tries=attempts)


def suppression_routes(services: Services) -> APIRouter:
    """Addresses elsewhere to which nothing is sent."""
    routes = APIRouter(prefix="/suppressions", tags=["queue"])
    queue = services.queue

    @routes.get(
        "",
        summary="List addresses to which nothing is sent",
        response_model=r.Listing[r.Suppression],
    )
    async def list_suppressions(page_token: PageToken = "") -> Page[Suppression]:
        return await queue.list_suppressions(page_token)

    @routes.put("/{address}", summary="Send nothing more to an address", status_code=204)
    async def suppress(address: Elsewhere, body: r.NewSuppression) -> None:
        await queue.suppress(address, body.reason)

    @routes.delete("/{address}", summary="Send to an address again", status_code=204)
    async def unsuppress(address: Elsewhere) -> None:
        await queue.unsuppress(address)

    return routes


def trace_routes(services: Services) -> APIRouter:
    """The life of messages."""
    routes = APIRouter(prefix="/trace", tags=["queue"])

    @routes.get(
        "",
        summary="Tell the life of a message, oldest event first, then how it is now",
        response_model=r.Life,
    )
    async def trace(
        message_id: Annotated[
            str,
            Query(
                min_length=1,
                max_length=r.LONGEST_MESSAGE_ID,
                description="with or without angle brackets, or the id in the server's reply",
            ),
        ],
    ) -> Life:
        return await life_of(services, message_id)

    return routes


def usage_routes(services: Services) -> APIRouter:
    """What accounts keep."""
    routes = APIRouter(prefix="/usage", tags=["usage"])

    @routes.get(
        "",
        summary="List what accounts keep, in order of account id",
        response_model=r.Listing[r.Usage],
    )
    async def usage(page_token: PageToken = "") -> Page[Usage]:
        return await services.store.usage(0, page_token)

    return routes
