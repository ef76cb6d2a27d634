"""Checking a token: which issuer's it is, what that says, throttled, and whose account it opens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from postroom_auth.domain.people import Credential
from postroom_auth.domain.sasl.exchange import Proven, TokenRefused
from postroom_auth.first_sight import make_account
from postroom_auth.oidc_issuer import INVALID_TOKEN, named_issuer
from postroom_auth.passwords import Tried, enabled
from postroom_auth.ports import Bearer, Directory, Issuer, Registry, Subject, Throttle
from postroom_auth.slowing import slowed


class ForgetfulDirectory(Directory, Protocol):
    """A directory that remembers what it was told, until it is told otherwise."""

    def forget(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Issuing:
    """An issuer, and what its settings say of its people.

    Attributes:
        url: as its tokens name it.
        create_accounts: whoever signs in for the first time gets an account.
        quota_bytes: of that.
    """

    name: str
    issuer: Issuer
    url: str
    domains: Sequence[str]
    create_accounts: bool
    quota_bytes: int


class TokenChecks:
    """Answers whom a token opens which account for."""

    def __init__(
        self,
        directory: ForgetfulDirectory,
        registry: Registry,
        throttle: Throttle,
        issuers: Sequence[Issuing],
    ) -> None:
        self._directory = directory
        self._registry = registry
        self._throttle = throttle
        self._by_domain: Mapping[str, Issuing] = {
            domain: one for one in issuers for domain in one.domains
        }
        self._issuers = issuers

    async def check(self, name: str, key: str, token: str, network: str, tried: Tried) -> Proven:
        """Who bears a token.

        Args:
            name: who the client says it is; empty: whoever the token says.
            key: of the account that the name means; empty: none.
            tried: told whom the token is for, and why it was refused.

        Raises:
            TokenRefused: with one text for a token that is wrong and an account that is none.
            PostroomError: RATE_LIMITED, UNAVAILABLE.
        """
        one = self._issuing(name, key, token)
        if not token:
            raise one.issuer.refusal("invalid_request") if one else TokenRefused("invalid_request")
        # Guesses without a name are counted for where they come from alone.
        subject = Subject(key if name else None, network)
        async with slowed(self._throttle, subject):
            if one is None:
                raise TokenRefused(INVALID_TOKEN)
            bearer = await one.issuer.check_token(token)
            credential = await self._credential(one, bearer)
            tried.account = bearer.address.key
            credential = enabled(credential, tried)
            if credential is None or (name and key != bearer.address.key):
                raise one.issuer.refusal(INVALID_TOKEN)
            return Proven(credential, until=bearer.until)

    def _issuing(self, name: str, key: str, token: str) -> Issuing | None:
        if name:
            return self._by_domain.get(key.rpartition("@")[2])
        named = named_issuer(token)
        found = [one for one in self._issuers if not named or one.url == named]
        return found[0] if len(found) == 1 else None

    async def _credential(self, one: Issuing, bearer: Bearer) -> Credential | None:
        key = bearer.address.key
        credential = await self._directory.credential(key)
        if credential is not None or not one.create_accounts:
            return credential
        if not await make_account(self._registry, bearer, one.quota_bytes, by=one.name):
            return None
        self._directory.forget()
        return await self._directory.credential(key)
