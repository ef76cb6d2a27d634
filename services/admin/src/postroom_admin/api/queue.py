"""/v1/queue and /v1/usage."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Query

from postroom_admin.api import resources as r
from postroom_admin.api.directory import PageSize, PageToken
from postroom_admin.model import PAGE, Page, QueueEntry, Usage
from postroom_admin.ports import Services
from postroom_admin.queueing import DomainSummary, find_entry, summarise

QueueId = Annotated[int, Path(ge=1, le=r.LARGEST)]


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
        response_model=r.Listing[r.DomainSummary],
    )
    async def summary() -> Page[DomainSummary]:
        return Page(await summarise(queue))

    @routes.get("/{queue_id}", summary="Show an entry", response_model=r.QueueEntry)
    async def get_entry(queue_id: QueueId) -> QueueEntry:
        return await find_entry(queue, queue_id)

    @routes.post(
        "/{queue_id}/hold", summary="Keep an entry from being tried", response_model=r.QueueEntry
    )
    async def hold(queue_id: QueueId) -> QueueEntry:
        await queue.hold([queue_id])
        return await find_entry(queue, queue_id)

    @routes.post(
        "/{queue_id}/release",
        summary="Let a held entry be tried, at once",
        response_model=r.QueueEntry,
    )
    async def release(queue_id: QueueId) -> QueueEntry:
        await queue.release([queue_id])
        return await find_entry(queue, queue_id)

    @routes.delete(
        "/{queue_id}", summary="Remove an entry without notice to anyone", status_code=204
    )
    async def cancel(queue_id: QueueId) -> None:
        await queue.cancel([queue_id])

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
