"""How what can't be guessed is checked: tokens, tickets, certificates, secrets of many random bits.

Nothing is counted before it has failed: all of somebody's devices may come back at one moment.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.sasl.exchange import TokenExpired, TokenRefused
from postroom_auth.ports import Subject, Throttle


@asynccontextmanager
async def slowed(throttle: Throttle, subject: Subject) -> AsyncIterator[None]:
    """Around a check: made unless the subject must wait, by what all replicas have counted. What
    is refused meanwhile is a failure; where nothing is raised, somebody is proved.

    Raises:
        PostroomError: RATE_LIMITED, UNAVAILABLE.
    """
    await admit(throttle, subject)
    async with counted(throttle, subject):
        yield
    await throttle.succeeded(subject)


async def admit(throttle: Throttle, subject: Subject) -> None:
    """Raises PostroomError RATE_LIMITED where the subject must wait, UNAVAILABLE."""
    await throttle.check(subject)
    await throttle.learn(subject)


@asynccontextmanager
async def counted(throttle: Throttle, subject: Subject) -> AsyncIterator[None]:
    """Counts what is refused meanwhile."""
    try:
        yield
    except (PostroomError, TokenRefused) as error:
        if _is_failure(error):
            await throttle.failed(subject)
        raise


def _is_failure(error: PostroomError | TokenRefused) -> bool:
    """Whether somebody may have tried to get in who mustn't: an old token was good once."""
    if isinstance(error, PostroomError):
        return error.kind is Kind.UNAUTHENTICATED
    return not isinstance(error, TokenExpired)
