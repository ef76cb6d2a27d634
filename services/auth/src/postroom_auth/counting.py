"""Failures of what can't be guessed: tokens, and tickets of Kerberos.

Passwords are counted before their outcome is known, so that many guesses at once are many. Here a
client that opens ten connections at once may do so: only what has failed is counted.
"""

from __future__ import annotations

from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.ports import Subject, Throttle


async def count_failure(throttle: Throttle, subject: Subject) -> None:
    """Count a failure, unless the subject has to wait already."""
    try:
        await throttle.begin(subject)
    except PostroomError as error:
        if error.kind is not Kind.RATE_LIMITED:
            raise
        return
    await throttle.failed(subject)
