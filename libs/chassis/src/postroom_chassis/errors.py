"""The one error type between services.

An owner raises `PostroomError(kind)`; the RPC layer carries its kind and message to the caller,
where the same error is raised again; only a front's reply table turns it into what a person sees.
The message is for people and may be shown to them: it never holds a secret, an address of the
inside, or a stack.
"""

from __future__ import annotations

from enum import StrEnum

import grpc


class Kind(StrEnum):
    """What went wrong, as far as a caller can act on it."""

    INVALID = "INVALID"
    UNSUPPORTED = "UNSUPPORTED"
    NOT_FOUND = "NOT_FOUND"
    ALREADY_EXISTS = "ALREADY_EXISTS"
    CONFLICT = "CONFLICT"
    IN_USE = "IN_USE"
    LEASE_LOST = "LEASE_LOST"
    OVER_QUOTA = "OVER_QUOTA"
    TOO_LARGE = "TOO_LARGE"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    RATE_LIMITED = "RATE_LIMITED"
    TOO_SOON = "TOO_SOON"
    UNAUTHENTICATED = "UNAUTHENTICATED"
    EXPIRED = "EXPIRED"
    DENIED = "DENIED"
    UNAVAILABLE = "UNAVAILABLE"
    DEADLINE = "DEADLINE"
    INTERNAL = "INTERNAL"


STATUS: dict[Kind, grpc.StatusCode] = {
    Kind.INVALID: grpc.StatusCode.INVALID_ARGUMENT,
    Kind.UNSUPPORTED: grpc.StatusCode.UNIMPLEMENTED,
    Kind.NOT_FOUND: grpc.StatusCode.NOT_FOUND,
    Kind.ALREADY_EXISTS: grpc.StatusCode.ALREADY_EXISTS,
    Kind.CONFLICT: grpc.StatusCode.FAILED_PRECONDITION,
    Kind.IN_USE: grpc.StatusCode.ABORTED,
    Kind.LEASE_LOST: grpc.StatusCode.ABORTED,
    Kind.OVER_QUOTA: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.TOO_LARGE: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.LIMIT_EXCEEDED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.RATE_LIMITED: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.TOO_SOON: grpc.StatusCode.RESOURCE_EXHAUSTED,
    Kind.UNAUTHENTICATED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.EXPIRED: grpc.StatusCode.UNAUTHENTICATED,
    Kind.DENIED: grpc.StatusCode.PERMISSION_DENIED,
    Kind.UNAVAILABLE: grpc.StatusCode.UNAVAILABLE,
    Kind.DEADLINE: grpc.StatusCode.DEADLINE_EXCEEDED,
    Kind.INTERNAL: grpc.StatusCode.INTERNAL,
}

# What a status means that came without a kind: from gRPC itself, a proxy, or a service that
# crashed.
KIND_OF_STATUS: dict[grpc.StatusCode, Kind] = {
    grpc.StatusCode.INVALID_ARGUMENT: Kind.INVALID,
    grpc.StatusCode.OUT_OF_RANGE: Kind.INVALID,
    grpc.StatusCode.UNIMPLEMENTED: Kind.UNSUPPORTED,
    grpc.StatusCode.NOT_FOUND: Kind.NOT_FOUND,
    grpc.StatusCode.ALREADY_EXISTS: Kind.ALREADY_EXISTS,
    grpc.StatusCode.FAILED_PRECONDITION: Kind.CONFLICT,
    grpc.StatusCode.ABORTED: Kind.CONFLICT,
    grpc.StatusCode.RESOURCE_EXHAUSTED: Kind.LIMIT_EXCEEDED,
    grpc.StatusCode.UNAUTHENTICATED: Kind.UNAUTHENTICATED,
    grpc.StatusCode.PERMISSION_DENIED: Kind.DENIED,
    grpc.StatusCode.UNAVAILABLE: Kind.UNAVAILABLE,
    grpc.StatusCode.CANCELLED: Kind.UNAVAILABLE,
    grpc.StatusCode.DEADLINE_EXCEEDED: Kind.DEADLINE,
}

# The same request may succeed later, as it is. Everything else fails again until somebody changes
# something.
TEMPORARY = frozenset(
    {
        Kind.IN_USE,
        Kind.OVER_QUOTA,
        Kind.RATE_LIMITED,
        Kind.TOO_SOON,
        Kind.UNAVAILABLE,
        Kind.DEADLINE,
        Kind.INTERNAL,
    }
)


class PostroomError(Exception):
    """An error with a kind that crosses services.

    Args:
        kind: what a caller can act on.
        message: one line for people.
    """

    def __init__(self, kind: Kind, message: str) -> None:
        super().__init__(message)
        self.kind = kind
        self.message = message

    @property
    def temporary(self) -> bool:
        """Whether the same request may succeed later, as it is."""
        return self.kind in TEMPORARY

    def __repr__(self) -> str:
        return f"PostroomError({self.kind}, {self.message!r})"
