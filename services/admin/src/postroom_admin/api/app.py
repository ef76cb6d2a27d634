"""The application: who may come in, what is noted of them, and the resources below /v1."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Depends, FastAPI, Request
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from prometheus_client import Counter, Histogram
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from postroom_admin.api.directory import directory_routes
from postroom_admin.api.page import render
from postroom_admin.api.problems import RESPONSES, Problem, answer_with_problems, problem
from postroom_admin.api.publishing import publishing_routes
from postroom_admin.api.queue import (
    queue_routes,
    suppression_routes,
    trace_routes,
    usage_routes,
)
from postroom_admin.api.signing_in import signing_in_routes
from postroom_admin.ports import Services
from postroom_admin.tokens import TokenFile

log = logs.logger(__name__)

METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
LOGGED_PATH = 400  # characters; an address has 320
BODY_BYTES = 512 * 1024  # 1,000 targets of an alias, at their longest
REQUESTS = Counter(
    "postroom_api_requests_total", "Requests to the REST API", ["method", "route", "status"]
)
SECONDS = Histogram("postroom_api_seconds", "How long requests took", ["method", "route"])

DESCRIPTION = """
Tenants, domains, accounts, aliases, the queue, keys that mail is signed with and usage of a
Postroom mail system.

* Every request below `/v1` bears a token: `Authorization: Bearer postroom_...` (RFC 6750).
  `postroom token add NAME` makes one.
* Errors are problem details (RFC 9457); decide by `type`.
* Lists come in pages: while `next_page_token` is not empty, ask again with it as `page_token`.
* Making what exists answers 409, removing what doesn't 404; everything else may be repeated.
* Sizes are bytes; times are UTC.
"""

Bearer = HTTPBearer(auto_error=False, description="A token of `postroom token add`.")


class Api(FastAPI):
    """FastAPI, with the form of our errors in its description."""

    def openapi(self) -> dict[str, Any]:
        schema = super().openapi()
        schema["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        return schema


def build_api(services: Services, tokens: TokenFile, mail_hosts: Sequence[str] = ()) -> FastAPI:
    """The REST API over the owners, for those who bear one of some tokens.

    Args:
        mail_hosts: that take mail, as others know them.
    """

    async def authenticate(
        request: Request,
        credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(Bearer)],
    ) -> None:
        try:
            bearer = tokens.bearer(credentials.credentials) if credentials else None
        except (OSError, PostroomError) as error:
            log.error("api.tokens_unusable", error=str(error))
            raise PostroomError(Kind.UNAVAILABLE, "tokens can't be checked now") from error
        if bearer is None:
            raise PostroomError(Kind.UNAUTHENTICATED, "this needs a bearer token that is good")
        request.state.bearer = bearer

    app = Api(
        title="Postroom administration",
        version="1",
        description=DESCRIPTION,
        docs_url=None,  # FastAPI's would load scripts from elsewhere
        redoc_url=None,
    )
    for routes in (
        directory_routes(services),
        signing_in_routes(services),
        queue_routes(services),
        suppression_routes(services),
        trace_routes(services),
        publishing_routes(services, mail_hosts),
        usage_routes(services),
    ):
        app.include_router(
            routes, prefix="/v1", dependencies=[Depends(authenticate)], responses=RESPONSES
        )

    @app.get("/docs", include_in_schema=False)
    async def docs(request: Request) -> HTMLResponse:
        return HTMLResponse(
            render(app.openapi(), str(request.base_url).rstrip("/")),
            headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"},
        )

    answer_with_problems(app)
    app.add_middleware(Edge)
    return app


class Edge:
    """Round every request: limits its body, measures it, notes who asked for what, and forbids
    caches to keep the answer.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        began = time.perf_counter()
        status = 0

        async def note(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
            await send(message)

        try:
            body = await _read(receive)
        except ClientDisconnect:
            return None
        if body is None:
            refusal = problem(Kind.TOO_LARGE, f"a request's body has at most {BODY_BYTES:,} bytes")
            await refusal(scope, receive, note)
        else:
            await self._app(scope, _replay(body, receive), note)
        _record(scope, status, time.perf_counter() - began)


async def _read(receive: Receive) -> bytes | None:
    """A request's body, or None where it is too large. Raises ClientDisconnect."""
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        body += message.get("body", b"")
        if len(body) > BODY_BYTES:
            return None
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    told = False

    async def once() -> Message:
        nonlocal told
        if told:
            return await receive()
        told = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


def _record(scope: Scope, status: int, seconds: float) -> None:
    route: Any = scope.get("route")
    # Never path and method as they came: anybody can make up as many as they like.
    template = getattr(route, "path", "none")
    method = scope["method"] if scope["method"] in METHODS else "other"
    REQUESTS.labels(method, template, status).inc()
    SECONDS.labels(method, template).observe(seconds)
    log.info(
        "api.request",
        method=method,
        path=scope["path"][:LOGGED_PATH],
        status=status,
        bearer=scope.get("state", {}).get("bearer", ""),
        address=(scope.get("client") or ("",))[0],
        seconds=round(seconds, 4),
    )
