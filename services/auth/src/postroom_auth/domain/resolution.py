"""Where mail to an address goes, out of what is known of addresses and domains.

The order: the address itself, the address without "+detail", the domain's catch-all account, for
postmaster the house's own (RFC 5321 section 4.5.1), nobody. Aliases are followed as far as they
lead; an address that comes up twice on the way counts once, so that no loop matters.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum

from postroom_auth.domain.address import Address

POSTMASTER = "postmaster"


class Kind(StrEnum):
    """What an address turned out to be."""

    LOCAL = "LOCAL"
    UNKNOWN = "UNKNOWN"
    FOREIGN = "FOREIGN"
    INVALID = "INVALID"
    UNAVAILABLE = "UNAVAILABLE"


@dataclass(frozen=True, slots=True)
class Mailbox:
    """An account as the end of a way.

    Attributes:
        external: another system's directory says whether the person still exists.
    """

    account_id: int
    address: str
    quota_bytes: int
    quota_messages: int = 0
    quota_mailboxes: int = 0
    external: bool = False


@dataclass(frozen=True, slots=True)
class Forwarding:
    """An alias: where it leads."""

    targets: tuple[Address, ...]


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Whoever knows what an address stands for can't be asked now."""


Entry = Mailbox | Forwarding


@dataclass(frozen=True, slots=True)
class Hosted:
    """A domain of ours."""

    catch_all: Mailbox | None


@dataclass(frozen=True, slots=True)
class Recipient:
    """An account that receives a copy."""

    mailbox: Mailbox
    detail: str


@dataclass(frozen=True, slots=True)
class Resolution:
    """The answer for one address."""

    kind: Kind
    recipients: tuple[Recipient, ...] = ()
    forwards: tuple[str, ...] = ()


@dataclass(slots=True)
class Known:
    """What has been learnt so far, by key. A value of None: there is none such."""

    domains: dict[str, Hosted | None] = field(default_factory=dict)
    entries: dict[str, Entry | Unanswered | None] = field(default_factory=dict)

    def entry(self, address: Address) -> Entry | Unanswered | None:
        """What an address stands for by itself, else without its detail."""
        found = self.entries.get(address.key)
        if isinstance(found, Entry):
            return found
        return self.entries.get(address.undetailed.key) or found


def keys_of(address: Address) -> set[str]:
    """The keys under which an address may be found."""
    return {address.key, address.undetailed.key}


@dataclass(frozen=True, slots=True)
class Ways:
    """Follows addresses through what is known.

    Args:
        known: everything that can be reached.
        postmaster: who reads mail to postmaster where a domain says nothing.
    """

    known: Known
    postmaster: Mailbox | None = None

    def resolve(self, address: Address) -> Resolution:
        """Where mail to an address goes."""
        if self.known.domains.get(address.domain.name) is None:
            return Resolution(Kind.FOREIGN)
        recipients: dict[int, Recipient] = {}
        forwards: dict[str, str] = {}
        for end in self._ends(address):
            match end:
                case Unanswered():
                    # Not to some now and to the others later: the sender comes back.
                    return Resolution(Kind.UNAVAILABLE)
                case Recipient(mailbox):
                    recipients.setdefault(mailbox.account_id, end)
                case Address():
                    forwards.setdefault(end.key, str(end))
        if not recipients and not forwards:
            return Resolution(Kind.UNKNOWN)
        return Resolution(Kind.LOCAL, tuple(recipients.values()), tuple(forwards.values()))

    def leads_to(self, address: Address, account_id: int) -> bool | None:
        """Whether an address is an account's own or that of an alias that leads to it; None: that
        can't be said now."""
        ends = list(self._ends(address, named_only=True))
        if any(isinstance(end, Recipient) and end.mailbox.account_id == account_id for end in ends):
            return True
        return None if Unanswered() in ends else False

    def _ends(
        self, address: Address, *, named_only: bool = False
    ) -> Iterator[Recipient | Address | Unanswered]:
        """The accounts and foreign addresses at the end of every way, in order."""
        waiting = [address]
        seen: set[str] = set()
        while waiting:
            current = waiting.pop()
            if current.key in seen:
                continue
            seen.add(current.key)
            domain = self.known.domains.get(current.domain.name)
            if domain is None:
                yield current
                continue
            match self.known.entry(current):
                case Mailbox() as mailbox:
                    yield Recipient(mailbox, self._detail(current))
                case Forwarding(targets):
                    waiting.extend(reversed(targets))
                case Unanswered() as unanswered:
                    yield unanswered
                case None if not named_only and (caught := self._caught(current, domain)):
                    yield Recipient(caught, "")

    def _detail(self, address: Address) -> str:
        return "" if isinstance(self.known.entries.get(address.key), Entry) else address.detail

    def _caught(self, address: Address, domain: Hosted) -> Mailbox | None:
        if domain.catch_all is not None:
            return domain.catch_all
        return self.postmaster if address.local.lower() == POSTMASTER else None
