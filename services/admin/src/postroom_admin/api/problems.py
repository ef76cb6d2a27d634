"""Errors as problem details (RFC 9457): one table from kinds to HTTP statuses.

The type of a problem is a URN that ends in its kind, `urn:postroom:problem:not-found`: a client
decides by it, and shows `detail` to people.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException

log = logs.logger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE = "urn:postroom:problem:"
RETRY_SECONDS = "5"

STATUS: dict[Kind, HTTPStatus] = {
    Kind.INVALID: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.UNSUPPORTED: HTTPStatus.NOT_IMPLEMENTED,
    Kind.NOT_FOUND: HTTPStatus.NOT_FOUND,
    Kind.ALREADY_EXISTS: HTTPStatus.CONFLICT,
    Kind.CONFLICT: HTTPStatus.CONFLICT,
    Kind.IN_USE: HTTPStatus.CONFLICT,
    Kind.LEASE_LOST: HTTPStatus.CONFLICT,
    Kind.OVER_QUOTA: HTTPStatus.INSUFFICIENT_STORAGE,
    Kind.TOO_LARGE: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    Kind.LIMIT_EXCEEDED: HTTPStatus.UNPROCESSABLE_ENTITY,
    Kind.RATE_LIMITED: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.TOO_SOON: HTTPStatus.TOO_MANY_REQUESTS,
    Kind.UNAUTHENTICATED: HTTPStatus.UNAUTHORIZED,
    Kind.EXPIRED: HTTPStatus.UNAUTHORIZED,
    Kind.DENIED: HTTPStatus.FORBIDDEN,
    Kind.UNAVAILABLE: HTTPStatus.SERVICE_UNAVAILABLE,
    Kind.DEADLINE: HTTPStatus.GATEWAY_TIMEOUT,
    Kind.INTERNAL: HTTPStatus.INTERNAL_SERVER_ERROR,
}

# The kinds for errors that HTTP itself raises: no such path, no such method on it.
KIND_OF_STATUS: dict[int, Kind] = {
    HTTPStatus.NOT_FOUND: Kind.NOT_FOUND,
    HTTPStatus.METHOD_NOT_ALLOWED: Kind.UNSUPPORTED,
}


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(
        description="what kind of problem it is", examples=["urn:postroom:problem:not-found"]
    )
    title: str = Field(description="the HTTP status in words", examples=["Not Found"])
    status: int = Field(description="the HTTP status", examples=[404])
    detail: str = Field(
        description="one line for people", examples=["there is no account ann@example.org"]
    )
    errors: list[str] | None = Field(
        None, description="of a request that is not as described: each field that is wrong"
    )


RESPONSES: dict[int | str, dict[str, Any]] = {
    "4XX": {
        "description": "The request can't be done.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
    "5XX": {
        "description": "It can't be done now. It may be repeated where it is safe to repeat.",
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    },
}


def problem(
    kind: Kind,
    detail: str,
    *,
    status: int | None = None,
    errors: list[str] | None = None,
    headers: dict[str, str] | None = None,
) -> JSONResponse:
    """The response for an error.

    Args:
        status: another one than the kind's.
    """
    chosen = HTTPStatus(status or STATUS[kind])
    body: dict[str, Any] = {
        "type": TYPE + kind.lower().replace("_", "-"),
        "title": chosen.phrase,
        "status": int(chosen),
        "detail": detail,
    }
    if errors:
        body["errors"] = errors
    added = dict(headers or {})
    if chosen is HTTPStatus.UNAUTHORIZED:
        added["WWW-Authenticate"] = 'Bearer realm="postroom"'  # RFC 6750 section 3
    if chosen in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.TOO_MANY_REQUESTS):
        added["Retry-After"] = RETRY_SECONDS
    return JSONResponse(body, status_code=chosen, headers=added, media_type=MEDIA_TYPE)


def answer_with_problems(app: FastAPI) -> None:
    """Let every error of an application be a problem."""
    app.add_exception_handler(PostroomError, _known)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _of_http)
    app.add_exception_handler(Exception, _unknown)


async def _known(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, PostroomError)  # noqa: S101 (registered for it alone)
    return problem(error.kind, error.message)


async def _malformed(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)  # noqa: S101
    # Where and why, never the value: it may be a password.
    errors = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
    return problem(Kind.INVALID, "the request is not as the API describes it", errors=errors)


async def _of_http(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)  # noqa: S101
    kind = KIND_OF_STATUS.get(error.status_code, Kind.INVALID)
    headers = dict(error.headers) if error.headers else None
    return problem(kind, str(error.detail), status=error.status_code, headers=headers)


async def _unknown(request: Request, error: Exception) -> JSONResponse:
    log.error("api.failed", method=request.method, path=request.url.path, exc_info=error)
    return problem(Kind.INTERNAL, "something went wrong here; the log has the details")
