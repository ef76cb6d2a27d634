"""Tickets: what lets a front act for one person.

A ticket is a JWT (RFC 7519) signed with Ed25519 (RFC 8037). Auth signs it when the person has
authenticated; the store checks it offline on every call. It says who (sub), what for (scope), how
much may be kept (quota), until when (exp).
"""

from __future__ import annotations

import random
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet, OKPKey

from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota

ALGORITHM = "Ed25519"
CACHED_TICKETS = 50_000
SCOPE_MAIL = "mail"
SCOPE_MAILDROP = "maildrop"
SCOPE_SUBMIT = "submit"
SCOPE_QUOTA = "quota"  # to see how much there is, and nothing of what it is
MESSAGES_CLAIM = "quota_messages"  # left out where there is no limit, as the next one
MAILBOXES_CLAIM = "quota_mailboxes"
APP_CLAIM = "app"  # the app password's number; left out where the account's own credential was it
UNTIL_CLAIM = "until"  # left out where there is none
RENEW_AT = (0.6, 0.9)  # of the time that there is: renewed at a random moment between
RENEW_RETRY_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Ticket:
    """A verified ticket.

    Attributes:
        account_id: the only account that the bearer may touch.
        address: the account's main address, for logs.
        scopes: of "mail", "maildrop", "submit", "quota".
        expires_at: Unix seconds.
        quota_bytes: 0 for unlimited, as in the other quotas.
        credential: which version of the account's credentials opened it; renewal checks it.
        app_password: the app password that opened it, which renewal checks instead; 0: none did.
        until: Unix seconds: when what the person proved ends (a token's expiry), and every ticket
            that is renewed from this one; 0: it doesn't age.
    """

    account_id: int
    address: str
    scopes: frozenset[str]
    expires_at: int
    quota_bytes: int = 0
    credential: int = 0
    quota_messages: int = 0
    quota_mailboxes: int = 0
    app_password: int = 0
    until: int = 0

    @property
    def quota(self) -> Quota:
        """What the account may keep."""
        return Quota(self.quota_bytes, self.quota_messages, self.quota_mailboxes)


def renewal_delay(expires_at: int, renew_seconds: int) -> float:
    """After how many seconds a front renews a ticket.

    Args:
        renew_seconds: within these it is to be renewed, however long it lasts; 0: nobody said.
    """
    life = max(1.0, expires_at - time.time())
    part = random.uniform(*RENEW_AT)  # noqa: S311 (spreads load, hides nothing)
    return part * min(life, renew_seconds or life)


def may_go_on(refusal: PostroomError, expires_at: int) -> bool:
    """Whether a session goes on with the ticket that it has, where none was to be had for it:
    while auth is away that one is good for as long as it says.
    """
    return refusal.temporary and expires_at > time.time()


def read_signing_key(pem: str | bytes) -> OKPKey:
    """The private key in a PEM file. Raises ValueError."""
    key = OKPKey.import_key(pem)
    if not key.is_private:
        raise ValueError("a private Ed25519 key is needed")
    return key


def read_verification_keys(pems: Iterable[str | bytes]) -> KeySet:
    """The public keys in PEM files; several while keys are rotated. Raises ValueError."""
    return KeySet([_with_thumbprint(OKPKey.import_key(pem)) for pem in pems])


def _with_thumbprint(key: OKPKey) -> OKPKey:
    key.ensure_kid()
    return key


class TicketSigner:
    """Signs tickets with auth's private key."""

    def __init__(self, key: OKPKey) -> None:
        self._key = _with_thumbprint(key)

    def sign(self, ticket: Ticket) -> str:
        """The compact serialisation of a ticket, some 350 characters."""
        claims = {
            "sub": str(ticket.account_id),
            "name": ticket.address,
            "scope": " ".join(sorted(ticket.scopes)),
            "exp": ticket.expires_at,
            "iat": int(time.time()),
            "jti": secrets.token_urlsafe(9),
            "quota": ticket.quota_bytes,
            "cred": ticket.credential,
        }
        for claim, number in (
            (MESSAGES_CLAIM, ticket.quota_messages),
            (MAILBOXES_CLAIM, ticket.quota_mailboxes),
            (APP_CLAIM, ticket.app_password),
            (UNTIL_CLAIM, ticket.until),
        ):
            if number:
                claims[claim] = number
        header = {"alg": ALGORITHM, "kid": self._key.kid}
        return jwt.encode(header, claims, self._key, algorithms=[ALGORITHM])


class TicketVerifier:
    """Checks tickets against auth's public keys and remembers them until they expire."""

    def __init__(self, keys: KeySet, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._clock = clock
        self._seen: OrderedDict[str, Ticket] = OrderedDict()

    def verify(self, token: str) -> Ticket:
        """The ticket that a token carries.

        Raises:
            PostroomError: UNAUTHENTICATED where it is missing, malformed or signed by nobody we
                know; EXPIRED.
        """
        ticket = self._seen.get(token)
        if ticket is None:
            ticket = self._decode(token)
            self._seen[token] = ticket
            if len(self._seen) > CACHED_TICKETS:
                self._seen.popitem(last=False)
        if ticket.expires_at <= self._clock():
            self._seen.pop(token, None)
            raise PostroomError(Kind.EXPIRED, "the ticket has expired")
        return ticket

    def _decode(self, token: str) -> Ticket:
        try:
            claims = jwt.decode(token, self._keys, algorithms=[ALGORITHM]).claims
            return Ticket(
                account_id=int(claims["sub"]),
                address=str(claims["name"]),
                scopes=frozenset(str(claims["scope"]).split()),
                expires_at=int(claims["exp"]),
                quota_bytes=int(claims["quota"]),
                credential=int(claims["cred"]),
                quota_messages=int(claims.get(MESSAGES_CLAIM, 0)),
                quota_mailboxes=int(claims.get(MAILBOXES_CLAIM, 0)),
                app_password=int(claims.get(APP_CLAIM, 0)),
                until=int(claims.get(UNTIL_CLAIM, 0)),
            )
        except (JoseError, ValueError, KeyError, TypeError) as error:
            raise PostroomError(Kind.UNAUTHENTICATED, "no valid ticket") from error
