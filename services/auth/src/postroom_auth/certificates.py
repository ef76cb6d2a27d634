"""Whom a client's certificate names."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.people import Credential
from postroom_auth.passwords import Tried, enabled
from postroom_auth.ports import Directory, Subject, Throttle
from postroom_auth.slowing import slowed

NOT_NAMED = "the certificate names no account, or not this one"


class CertificateChecks:
    """Answers whose account a certificate names, whose signature somebody else has checked."""

    def __init__(self, directory: Directory, throttle: Throttle) -> None:
        self._directory = directory
        self._throttle = throttle

    async def check(
        self, wanted: str | None, named: Sequence[str], network: str, tried: Tried
    ) -> Credential:
        """The credential of an account that is named.

        Args:
            wanted: its key, empty where it can't be anybody's; None: the first that is named.
            named: the keys of the names in the certificate.
            tried: told why somebody who is named was refused.

        Raises:
            PostroomError: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE.
        """
        keys = [key for key in named if key and wanted in (None, key)]
        subject = Subject(wanted or next(iter(keys), ""), network)
        async with slowed(self._throttle, subject):
            for key in keys:
                credential = enabled(await self._directory.credential(key), tried)
                if credential is not None:
                    tried.why = ""
                    return credential
            raise PostroomError(Kind.UNAUTHENTICATED, NOT_NAMED)
