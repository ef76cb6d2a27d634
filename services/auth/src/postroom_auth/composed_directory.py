"""The house's own directory, completed by those of other systems, each for its own domains.

What is written in the database comes first: aliases, and accounts that an administrator made. For
everybody else in a domain that another system's directory knows, that directory is asked. Whom it
knows has a row here too (an account's number, its quota), made when somebody signs in or writes to
them for the first time. Who has left the directory can't sign in and gets no mail; the row and its
mail stay until an administrator deletes the account.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.domain.resolution import Entry, Hosted, Mailbox, Unanswered
from postroom_auth.first_sight import make_account
from postroom_auth.ports import Directory, ExternalDirectory, Hasher, Person, Registry


@dataclass(frozen=True, slots=True)
class Belonging:
    """The directory that knows a domain's people.

    Attributes:
        name: as the settings call it.
        quota_bytes: of an account that is made at first sight.
    """

    name: str
    directory: ExternalDirectory
    quota_bytes: int


class ComposedDirectory:
    """Directory and Passwords (see ports).

    Args:
        own: the house's.
        others: by domain.
    """

    def __init__(
        self,
        own: Directory,
        registry: Registry,
        hasher: Hasher,
        others: Mapping[str, Belonging],
    ) -> None:
        self._own = own
        self._registry = registry
        self._hasher = hasher
        self._others = others

    async def credential(self, key: str) -> Credential | None:
        credential = await self._own.credential(key)
        other = self._other(key)
        # An account with a password of its own is the house's, also in another's domain (that of
        # a scanner, or of an administrator who must get in when the other system is down).
        if other is None or (credential and not credential.external and credential.password_hash):
            return credential
        allowed = await other.directory.may_sign_in(key)
        if allowed is None:
            return None if credential is None or credential.external else credential
        if credential is None:
            person = (await other.directory.entries([key])).get(key)
            if not isinstance(person, Person) or not await self._make(person, other):
                return None
            credential = await self._own.credential(key)
        if credential is None:
            return None
        return replace(credential, external=True, disabled=credential.disabled or not allowed)

    async def credential_of(self, account_id: int) -> Credential | None:
        credential = await self._own.credential_of(account_id)
        if credential is None or not credential.external:
            return credential
        try:
            return await self.credential(credential.address)
        except PostroomError as error:
            if error.kind is not Kind.UNAVAILABLE:
                raise
            # Whoever is signed in already may go on while the other system is down.
            return credential

    async def domains(self, names: Collection[str]) -> Mapping[str, Hosted | None]:
        return await self._own.domains(names)

    async def entries(self, keys: Collection[str]) -> Mapping[str, Entry | Unanswered | None]:
        found = dict(await self._own.entries(keys))
        asked: dict[str, list[str]] = defaultdict(list)
        for key, entry in found.items():
            external = isinstance(entry, Mailbox) and entry.external
            if (entry is None or external) and self._other(key):
                asked[_domain(key)].append(key)
        for part in await asyncio.gather(
            *(self._complete(self._others[domain], some, found) for domain, some in asked.items())
        ):
            found.update(part)
        return found

    async def verify(self, key: str, credential: Credential | None, password: Password) -> bool:
        other = self._other(key)
        if other is not None and (credential is None or credential.external):
            return await other.directory.check_password(key, password)
        return await self._hasher.verify(credential.password_hash if credential else "", password)

    def _other(self, key: str) -> Belonging | None:
        return self._others.get(_domain(key))

    async def _complete(
        self,
        other: Belonging,
        keys: Collection[str],
        rows: Mapping[str, Entry | Unanswered | None],
    ) -> dict[str, Entry | Unanswered | None]:
        """What another directory says of some keys, whose rows are known."""
        try:
            theirs = await other.directory.entries(keys)
        except PostroomError as error:
            if error.kind is not Kind.UNAVAILABLE:
                raise
            # Whoever has been seen before still gets mail.
            return {key: rows[key] or Unanswered() for key in keys}
        found: dict[str, Entry | Unanswered | None] = {}
        made: list[str] = []
        for key in keys:
            match theirs.get(key):
                case Person() as person:
                    found[key] = rows[key]
                    if rows[key] is None and await self._make(person, other):
                        made.append(key)
                case entry:
                    found[key] = entry
        if made:
            found.update(await self._own.entries(made))
        return found

    async def _make(self, person: Person, other: Belonging) -> bool:
        return await make_account(self._registry, person, other.quota_bytes, by=other.name)


def _domain(key: str) -> str:
    return key.rpartition("@")[2]
