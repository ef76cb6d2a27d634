"""Whom a client's certificate names."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.people import Credential
from postroom_auth.passwords import DISABLED, Tried
from postroom_auth.ports import Directory, Subject, Throttle

NOT_NAMED = "the certificate names no account, or not this one"


class CertificateChecks:
    """Answers whose account a certificate names, whose signature somebody else has checked.

    A certificate can't be guessed, so only what has failed is counted.
    """

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
        await self._throttle.check(subject)
        await self._throttle.learn(subject)
        credential = await self._first(keys, tried)
        if credential is None:
            await self._throttle.failed(subject, begun=False)
            raise PostroomError(Kind.UNAUTHENTICATED, NOT_NAMED)
        await self._throttle.succeeded(subject, begun=False)
        return credential

    async def _first(self, keys: Sequence[str], tried: Tried) -> Credential | None:
        for key in keys:
            credential = await self._directory.credential(key)
            if credential is not None and not credential.disabled:
                tried.why = ""
                return credential
            if credential is not None:
                tried.why = DISABLED
        return None
