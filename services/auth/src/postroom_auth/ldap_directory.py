"""A directory that is asked by LDAP (RFC 4511).

libldap's calls block, so they run in a few threads of this directory's own; a server that is slow
holds up nobody else. Connections are kept: some are bound as the one who searches, others as
whoever signed in by them last, and these never search.

When a question has timed out, nobody waits in vain after it: all are told at once that the
directory is away, until a question that is asked again and again in the background is answered.
"""

from __future__ import annotations

import asyncio
import secrets
import ssl
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar

import idna
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError
from prometheus_client import Histogram

from postroom_auth.directory_settings import LdapSettings
from postroom_auth.domain.address import Address, InvalidAddress
from postroom_auth.domain.password import Password
from postroom_auth.domain.resolution import Forwarding, Unanswered
from postroom_auth.ports import Person

try:
    import ldap
    import ldap.filter
    from ldap.controls.libldap import SimplePagedResultsControl
except ImportError:  # it is compiled where it is installed: only those who need it do
    ldap = None

log = logs.logger(__name__)
T = TypeVar("T")

QUESTION_SECONDS = Histogram(
    "postroom_auth_directory_seconds", "How long a directory took to answer", ["directory"]
)

Answer = Person | Forwarding | Unanswered | None

KEYS_A_SEARCH = 100
ENTRIES = 10_000  # of one search
MEMBERS_AT_ONCE = 50
PROBE_SECONDS = 0.5
# Active Directory writes "SMTP:ann@example.org" into this one.
PREFIXED = "proxyaddresses"
PREFIX = "smtp:"


@dataclass(frozen=True, slots=True)
class Found:
    """An entry: its DN and its attributes, by name in lower case."""

    dn: str
    attributes: Mapping[str, Sequence[bytes]]

    def texts(self, attribute: str) -> list[str]:
        """An attribute's values that are text."""
        values = self.attributes.get(attribute.lower(), ())
        return [value.decode() for value in values if _is_text(value)]


class LdapDirectory:
    """ExternalDirectory (see ports).

    Args:
        name: as the settings call it.

    Raises:
        OSError: python-ldap is not installed, or the authority's file can't be read.
    """

    def __init__(self, name: str, settings: LdapSettings) -> None:
        if ldap is None:
            raise OSError(f"the directory {name} needs python-ldap, which is not installed")
        if settings.authority is not None:
            settings.authority.read_bytes()
        self.name = name
        self._settings = settings
        self._searching: deque[Any] = deque()
        self._binding: deque[Any] = deque()
        self._pool = ThreadPoolExecutor(settings.connections, thread_name_prefix=f"ldap-{name}")
        self._probe: asyncio.Task[None] | None = None

    async def entries(self, keys: Collection[str]) -> Mapping[str, Answer]:
        return await self._run(partial(self._entries, sorted(keys)))

    async def may_sign_in(self, key: str) -> bool | None:
        return await self._run(partial(self._may_sign_in, key))

    async def check_password(self, key: str, password: Password) -> bool:
        return await self._run(partial(self._check_password, key, password))

    async def close(self) -> None:
        """Ask no more."""
        if self._probe is not None:
            self._probe.cancel()
            await asyncio.wait([self._probe])
        self._pool.shutdown(wait=False, cancel_futures=True)
        for connection in (*self._searching, *self._binding):
            _drop(connection)

    # Threads from outside.

    async def _run(self, work: Callable[[], T]) -> T:
        if self._probe is not None:
            raise self._away()
        try:
            return await self._in_time(work)
        except TimeoutError:
            log.warning("directory.slow", directory=self.name, seconds=self._settings.seconds)
            if self._probe is None:
                self._probe = asyncio.create_task(self._ask_until_it_answers())
            raise self._away() from None

    async def _in_time(self, work: Callable[[], T]) -> T:
        with QUESTION_SECONDS.labels(self.name).time():
            async with asyncio.timeout(self._settings.seconds):
                return await asyncio.get_running_loop().run_in_executor(self._pool, work)

    async def _ask_until_it_answers(self) -> None:
        while True:
            try:
                await self._in_time(partial(self._with_connection, self._searching, _probe))
                break
            except (TimeoutError, PostroomError):
                await asyncio.sleep(PROBE_SECONDS)
        log.info("directory.back", directory=self.name)
        self._probe = None

    def _away(self) -> PostroomError:
        return PostroomError(Kind.UNAVAILABLE, "the directory can't be asked now")

    # Inside of a thread.

    def _entries(self, keys: Sequence[str]) -> dict[str, Answer]:
        answers: dict[str, Answer] = dict.fromkeys(keys)
        rest = iter(keys)
        while some := list(islice(rest, KEYS_A_SEARCH)):
            self._with_connection(self._searching, partial(self._ask, some, answers))
        return answers

    def _ask(self, keys: Sequence[str], answers: dict[str, Answer], connection: Any) -> None:
        settings = self._settings
        groups = settings.groups_base and self._search(
            connection, settings.groups_base, settings.groups_filter, keys, (settings.members,)
        )
        for group in groups or ():
            known = [one.key for one in self._addresses(group) if one.key in answers]
            if known:
                answers.update(dict.fromkeys(known, self._leading(connection, group)))
        found = [(one, self._addresses(one)) for one in self._people(connection, keys)]
        claims = Counter(address.key for _, addresses in found for address in addresses)
        for person, addresses in found:
            for address in addresses:
                if address.key not in answers:
                    continue
                if claims[address.key] > 1:
                    # Mail for one person must not go to another.
                    log.error(
                        "directory.ambiguous",
                        directory=self.name,
                        address=address.key,
                        entry=person.dn,
                    )
                    answers[address.key] = Unanswered()
                elif address == addresses[0]:
                    names = person.texts(settings.display_name)
                    answers[address.key] = Person(address, names[0] if names else "")
                else:
                    answers[address.key] = Forwarding((addresses[0],))

    def _leading(self, connection: Any, group: Found) -> Forwarding | Unanswered | None:
        """The addresses of a group's members; a group among them stands by its own address."""
        values = group.texts(self._settings.members)
        if len(values) > self._settings.most_members:
            log.error(
                "directory.group_too_large",
                directory=self.name,
                group=group.dn,
                members=len(values),
            )
            return Unanswered()
        targets: dict[str, Address] = {}
        dns = []
        for value in values:
            if "=" in value.partition("@")[0]:
                dns.append(value)
            elif address := _address(value):
                targets[address.key] = address
        rest = iter(dns)
        while some := list(islice(rest, MEMBERS_AT_ONCE)):
            for found in self._read_many(connection, some):
                for address in self._addresses(found, any_domain=True)[:1]:
                    targets[address.key] = address
        return Forwarding(tuple(targets.values())) if targets else None

    def _may_sign_in(self, key: str) -> bool | None:
        return self._with_connection(self._searching, partial(self._permits, key))

    def _permits(self, key: str, connection: Any) -> bool | None:
        person = self._person(connection, key)
        if person is None:
            return None
        settings = self._settings
        if settings.sign_in_filter and not self._matches(
            connection, person.dn, settings.sign_in_filter
        ):
            return False
        member = f"({settings.members}={ldap.filter.escape_filter_chars(person.dn)})"
        return not settings.sign_in_groups or any(
            self._matches(connection, group, member) for group in settings.sign_in_groups
        )

    def _check_password(self, key: str, password: Password) -> bool:
        person = self._with_connection(self._searching, partial(self._person, key=key))
        # As many questions for nobody as for somebody.
        dn = person.dn if person else f"cn={secrets.token_hex(8)},{self._settings.people_base}"
        right = self._with_connection(self._binding, partial(_bind, dn, password.prepared))
        return right and person is not None

    def _person(self, connection: Any, key: str) -> Found | None:
        """The one entry whose main address has a key; more than one are nobody's."""
        found = [
            person
            for person in self._people(connection, [key])
            if any(address.key == key for address in self._addresses(person)[:1])
        ]
        return found[0] if len(found) == 1 else None

    def _people(self, connection: Any, keys: Sequence[str]) -> list[Found]:
        settings = self._settings
        return self._search(
            connection, settings.people_base, settings.people_filter, keys, (settings.display_name,)
        )

    def _search(
        self,
        connection: Any,
        base: str,
        which: str,
        keys: Sequence[str],
        attributes: Sequence[str],
    ) -> list[Found]:
        """Entries that have one of the addresses, page by page (RFC 2696)."""
        wanted = "".join(
            f"({attribute}={_prefix(attribute)}{ldap.filter.escape_filter_chars(written)})"
            for key in keys
            for written in _written(key)
            for attribute in self._settings.addresses
        )
        page = SimplePagedResultsControl(False, size=self._settings.page, cookie=b"")
        found: list[Found] = []
        while True:
            message = connection.search_ext(
                base,
                ldap.SCOPE_SUBTREE,
                f"(&{which}(|{wanted}))",
                [*self._settings.addresses, *attributes],
                serverctrls=[page],
                timeout=self._settings.seconds,
            )
            _, data, _, controls = connection.result3(message, timeout=self._settings.seconds)
            found += _read(data)
            told = [one for one in controls if isinstance(one, SimplePagedResultsControl)]
            if not told or not told[0].cookie:
                return found
            if len(found) > ENTRIES:
                raise self._away()
            page.cookie = told[0].cookie

    def _read_many(self, connection: Any, dns: Sequence[str]) -> Iterator[Found]:
        """Entries by their DNs, all asked for before the first is read."""
        messages = []
        for dn in dns:
            try:
                messages.append(
                    connection.search_ext(
                        dn, ldap.SCOPE_BASE, "(objectClass=*)", list(self._settings.addresses)
                    )
                )
            except ldap.INVALID_DN_SYNTAX:
                continue
        for message in messages:
            try:
                _, data = connection.result(message, timeout=self._settings.seconds)
            except (ldap.NO_SUCH_OBJECT, ldap.INVALID_DN_SYNTAX, ldap.REFERRAL):
                continue
            yield from _read(data)

    def _matches(self, connection: Any, dn: str, which: str) -> bool:
        """Whether an entry fulfils a filter."""
        try:
            message = connection.search_ext(
                dn, ldap.SCOPE_BASE, which, ["1.1"], timeout=self._settings.seconds
            )
            _, data = connection.result(message, timeout=self._settings.seconds)
        except ldap.NO_SUCH_OBJECT:
            return False
        return any(dn is not None for dn, *_ in data)

    def _addresses(self, entry: Found, *, any_domain: bool = False) -> list[Address]:
        """An entry's addresses in this directory's domains, the main one first."""
        found: dict[str, Address] = {}
        for attribute in self._settings.addresses:
            prefix = _prefix(attribute)
            # Values have no order (RFC 4512 section 2.5.1); ours must stay the same.
            for value in sorted(entry.texts(attribute)):
                if value.lower().startswith(prefix) and (address := _address(value[len(prefix) :])):
                    if any_domain or address.domain.name in self._settings.domains:
                        found.setdefault(address.key, address)
        return list(found.values())

    def _with_connection(self, idle: deque[Any], work: Callable[[Any], T]) -> T:
        """Work on a connection that nobody else uses meanwhile.

        Raises:
            PostroomError: UNAVAILABLE.
        """
        try:
            while True:
                try:
                    connection = idle.pop()
                except IndexError:
                    return self._kept(self._open(bound=idle is self._searching), idle, work)
                try:
                    return self._kept(connection, idle, work)
                except (ldap.SERVER_DOWN, ldap.CONNECT_ERROR, ldap.UNAVAILABLE):
                    continue  # the server has closed it, and perhaps all others
        except ldap.LDAPError as error:
            log.warning("directory.failed", directory=self.name, error=_told(error))
            if isinstance(error, ldap.TIMEOUT | ldap.TIMELIMIT_EXCEEDED):
                raise TimeoutError from None
            raise self._away() from None

    def _kept(self, connection: Any, idle: deque[Any], work: Callable[[Any], T]) -> T:
        """Work on a connection, which is idle afterwards, or closed where something went wrong."""
        try:
            result = work(connection)
        except BaseException:
            _drop(connection)
            raise
        idle.append(connection)
        return result

    def _open(self, *, bound: bool) -> Any:
        settings = self._settings
        connection = ldap.initialize(settings.url)
        try:
            # Referrals would send passwords to whoever the server names.
            connection.set_option(ldap.OPT_REFERRALS, 0)
            connection.set_option(ldap.OPT_PROTOCOL_VERSION, ldap.VERSION3)
            connection.set_option(ldap.OPT_NETWORK_TIMEOUT, settings.seconds)
            connection.set_option(ldap.OPT_TIMEOUT, settings.seconds)
            connection.timeout = settings.seconds
            authority = settings.authority or ssl.get_default_verify_paths().cafile
            if authority is not None:
                connection.set_option(ldap.OPT_X_TLS_CACERTFILE, str(authority))
            connection.set_option(ldap.OPT_X_TLS_REQUIRE_CERT, ldap.OPT_X_TLS_DEMAND)
            connection.set_option(ldap.OPT_X_TLS_PROTOCOL_MIN, ldap.OPT_X_TLS_PROTOCOL_TLS1_2)
            connection.set_option(ldap.OPT_X_TLS_NEWCTX, 0)
            if settings.start_tls:
                connection.start_tls_s()
            if bound:
                connection.simple_bind_s(
                    settings.bind_dn, settings.bind_password.get_secret_value()
                )
        except BaseException:
            _drop(connection)
            raise
        return connection


def _bind(dn: str, password: bytes, connection: Any) -> bool:
    """Whether a password is an entry's. An empty one would be nobody's and right (RFC 4513
    section 5.1.2)."""
    if not password:
        return False
    try:
        connection.simple_bind_s(dn, password)
    except (
        ldap.INVALID_CREDENTIALS,
        ldap.INAPPROPRIATE_AUTH,
        ldap.INSUFFICIENT_ACCESS,
        ldap.NO_SUCH_OBJECT,
        ldap.INVALID_DN_SYNTAX,
        ldap.CONSTRAINT_VIOLATION,
        ldap.UNWILLING_TO_PERFORM,
    ):
        return False
    return True


def _probe(connection: Any) -> None:
    connection.search_ext_s("", ldap.SCOPE_BASE, "(objectClass=*)", ["1.1"])


def _drop(connection: Any) -> None:
    try:
        connection.unbind_ext()
    except ldap.LDAPError:
        pass  # it was closed already


def _read(data: Sequence[Any]) -> Iterator[Found]:
    for dn, attributes, *_ in data:
        if dn is not None:  # else a reference to another server
            yield Found(dn, {name.lower(): values for name, values in attributes.items()})


def _told(error: Any) -> str:
    """What libldap and the server say, without anything that was sent."""
    details = error.args[0] if error.args and isinstance(error.args[0], dict) else {}
    return " ".join(filter(None, (type(error).__name__, details.get("info", ""))))


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _address(text: str) -> Address | None:
    try:
        return Address.parse(text)
    except InvalidAddress:
        return None


def _written(key: str) -> set[str]:
    """How a directory may have written an address: `mail` holds ASCII alone (RFC 4524)."""
    local, _, domain = key.rpartition("@")
    return {key} if key.isascii() else {key, f"{local}@{idna.encode(domain).decode('ascii')}"}


def _prefix(attribute: str) -> str:
    return PREFIX if attribute.lower() == PREFIXED else ""
