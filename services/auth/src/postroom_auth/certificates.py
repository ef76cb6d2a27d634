"""Whom a client's certificate names."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.people import Credential
from postroom_auth.ports import Directory, Subject, Throttle

NOT_NAMED = "the certificate names no account, or not this one"


class CertificateChecks:
    """Answers whose account a certificate names, whose signature somebody else has checked."""

    def __init__(self, directory: Directory, throttle: Throttle) -> None:
        self._directory = directory
        self._throttle = throttle

    async def check(self, wanted: str | None, named: Sequence[str], network: str) -> Credential:
        """The credential of an account that is named.

        Args:
            wanted: its key, empty where it can't be anybody's; None: the first that is named.
            named: the keys of the names in the certificate.

        Raises:
            PostroomError: UNAUTHENTICATED, RATE_LIMITED, UNAVAILABLE.
        """
        tried = [key for key in named if key and wanted in (None, key)]
        subject = Subject(wanted or next(iter(tried), ""), network)
        await self._throttle.begin(subject)
        try:
            credential = await self._first(tried)
        except BaseException:
            await self._throttle.withdrawn(subject)
            raise
        if credential is None:
            await self._throttle.failed(subject)
            raise PostroomError(Kind.UNAUTHENTICATED, NOT_NAMED)
        await self._throttle.succeeded(subject)
        return credential

    async def _first(self, keys: Sequence[str]) -> Credential | None:
        for key in keys:
            credential = await self._directory.credential(key)
            if credential is not None and not credential.disabled:
                return credential
        return None
