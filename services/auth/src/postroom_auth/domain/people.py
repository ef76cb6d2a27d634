"""Tenants, domains, accounts and aliases, and what is kept of a person's credential."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, fields

from postroom_auth.domain.address import Address
from postroom_auth.domain.maildrop_policy import DAYS, DELAY_SECONDS, MaildropPolicy

NAME_CHARACTERS = 200
QUOTA_BYTES = 2**62
QUOTA_COUNT = 2**62
ALIAS_TARGETS = 1000
DEFAULT_TENANT = "default"


class InvalidValue(ValueError):
    """A name, a quota or a list that can't be. The text is for people."""


def check_name(what: str, name: str, *, may_be_empty: bool = False) -> str:
    """A name for people: printable, at most 200 characters. Raises InvalidValue."""
    text = unicodedata.normalize("NFC", name.strip())
    if not text and not may_be_empty:
        raise InvalidValue(f"{what} is empty")
    if len(text) > NAME_CHARACTERS:
        raise InvalidValue(f"{what} is longer than {NAME_CHARACTERS} characters")
    if not text.isprintable():
        raise InvalidValue(f"{what} holds a control character")
    return text


def check_quota(quota_bytes: int) -> int:
    """A quota in bytes, 0 for unlimited. Raises InvalidValue."""
    if not 0 <= quota_bytes <= QUOTA_BYTES:
        raise InvalidValue("a quota is a number of bytes from 0 (unlimited) up")
    return quota_bytes


def check_count(count: int) -> int:
    """A limit on messages or mailboxes, 0 for unlimited. Raises InvalidValue."""
    if not 0 <= count <= QUOTA_COUNT:
        raise InvalidValue("a limit is a number from 0 (unlimited) up")
    return count


@dataclass(frozen=True, slots=True)
class Tenant:
    """An organisation that owns domains."""

    tenant_id: int
    name: str


@dataclass(frozen=True, slots=True)
class Domain:
    """A domain whose mail is kept here.

    Attributes:
        catch_all: the address of the account that gets what nobody else gets, or nothing.
        accounts: how many there are.
    """

    name: str
    tenant: str
    catch_all: str
    accounts: int


@dataclass(frozen=True, slots=True)
class Account:
    """A person, or a role, with a mailbox.

    Attributes:
        address: in the form in which addresses are compared.
        quota_bytes: 0 for unlimited, as in the other quotas.
        created_at: Unix seconds.
        administrator: may set the quotas of the tenant's accounts.
        app_passwords_only: its own password opens nothing, app passwords alone do.
        pop3_delete, pop3_days, pop3_login_delay: how its mail is kept for POP3.
    """

    account_id: int
    address: str
    tenant: str
    display_name: str
    quota_bytes: int
    disabled: bool
    created_at: int
    quota_messages: int = 0
    quota_mailboxes: int = 0
    administrator: bool = False
    app_passwords_only: bool = False
    pop3_delete: bool = False
    pop3_days: int = 0
    pop3_login_delay: int = 0


@dataclass(frozen=True, slots=True)
class NewAccount:
    """What is told of an account that is to be made.

    Attributes:
        external: another system's directory says that the person exists.

    Raises:
        InvalidValue: the name or the quota can't be.
    """

    address: Address
    display_name: str
    quota_bytes: int
    external: bool = False

    def __post_init__(self) -> None:
        check_name("the display name", self.display_name, may_be_empty=True)
        check_quota(self.quota_bytes)


@dataclass(frozen=True, slots=True)
class Changes:
    """What is to change of an account; None leaves a field as it is.

    Raises:
        InvalidValue: the name or the quota can't be.
    """

    display_name: str | None = None
    quota_bytes: int | None = None
    disabled: bool | None = None
    quota_messages: int | None = None
    quota_mailboxes: int | None = None
    administrator: bool | None = None
    app_passwords_only: bool | None = None
    pop3_delete: bool | None = None
    pop3_days: int | None = None
    pop3_login_delay: int | None = None

    def __post_init__(self) -> None:
        if self.display_name is not None:
            check_name("the display name", self.display_name, may_be_empty=True)
        if self.quota_bytes is not None:
            check_quota(self.quota_bytes)
        for count in (self.quota_messages, self.quota_mailboxes):
            if count is not None:
                check_count(count)
        if not 0 <= (self.pop3_days or 0) <= DAYS:
            raise InvalidValue(f"mail is kept for 1 to {DAYS:,} days, or for ever (0)")
        if not 0 <= (self.pop3_login_delay or 0) <= DELAY_SECONDS:
            raise InvalidValue(f"a delay is a number of seconds from 0 to {DELAY_SECONDS:,}")


CHANGEABLE = tuple(each.name for each in fields(Changes))


@dataclass(frozen=True, slots=True)
class Alias:
    """An address that stands for others.

    Raises:
        InvalidValue: there are no targets, too many, one twice, or the alias itself.
    """

    address: Address
    targets: tuple[Address, ...]

    def __post_init__(self) -> None:
        if not 1 <= len(self.targets) <= ALIAS_TARGETS:
            raise InvalidValue(f"an alias has 1 to {ALIAS_TARGETS} targets")
        keys = {target.key for target in self.targets}
        if len(keys) < len(self.targets):
            raise InvalidValue("an alias names each target once")
        if self.address.domain.name.startswith("["):
            raise InvalidValue("an alias belongs to a domain, not to an IP address")


@dataclass(frozen=True, slots=True, repr=False)
class Credential:
    """What signing in needs to know of an account. Its `repr` shows no hash.

    Attributes:
        password_hash: a PHC string, or empty where nobody can sign in with a password.
        disabled: by an administrator, or locked for now.
        version: grows with each change of the credential; tickets carry it.
        external: another system's directory knows the person, and checks the password.
        app_passwords_only: the account's own password opens nothing.
        scram: the password's verifiers (see domain/scram.py); empty: none.
        pop3_delete, pop3_days, pop3_login_delay: as of the account.
        app_password: the number of the app password that somebody has signed in with; 0: none.
    """

    account_id: int
    address: str
    quota_bytes: int
    disabled: bool
    password_hash: str
    version: int
    quota_messages: int = 0
    quota_mailboxes: int = 0
    external: bool = False
    app_passwords_only: bool = False
    scram: str = ""
    pop3_delete: bool = False
    pop3_days: int = 0
    pop3_login_delay: int = 0
    app_password: int = 0

    @property
    def maildrop_policy(self) -> MaildropPolicy:
        expire_days = 0 if self.pop3_delete else self.pop3_days or None
        return MaildropPolicy(expire_days, self.pop3_login_delay)

    def __repr__(self) -> str:
        return f"Credential({self.address}, version={self.version})"
