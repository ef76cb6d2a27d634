"""Accounts that sessions watch as wholes (RFC 5465): one view of each in the process.

A view is the tree as the store told of it last, with every mailbox's counts. The store tells
states, not histories, so that what happened is found by comparing; what came and went in between is
nobody's concern. An account that nobody watches costs nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap.ports.accounts import AccountNews, Accounts
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.mailboxes import Mailbox
from postroom_imap.protocol.mailbox_name import DELIMITER

FIRST_SECONDS = 15.0  # until the tree is there


@dataclass(frozen=True, slots=True)
class Counted:
    """The messages of a mailbox changed."""

    before: Mailbox
    after: Mailbox


@dataclass(frozen=True, slots=True)
class Named:
    """A name was given to a mailbox, or taken from one; or it has its first inferior, or its last.

    Attributes:
        mailbox: what has the name now; None: nothing.
        old_name: how that mailbox was called before, where it was renamed.
    """

    name: str
    mailbox: Mailbox | None
    old_name: str = ""


@dataclass(frozen=True, slots=True)
class Subscribed:
    """A name was subscribed or unsubscribed."""

    name: str


@dataclass(frozen=True, slots=True)
class Annotated:
    """Annotations of a mailbox, or of the server where the name is empty, were set or removed."""

    name: str
    entries: Sequence[str]


AccountEvent = Counted | Named | Subscribed | Annotated
Listener = Callable[[Sequence[AccountEvent]], None]


class AccountView:
    """One account as this process knows it.

    Attributes:
        ticket: of a session that watches it: what the change stream is asked with.
        mailboxes: by name; those that are only subscribed have the id 0.
        known: set once the tree is there.
    """

    __slots__ = (
        "_ids",
        "account_id",
        "known",
        "listeners",
        "lost",
        "mailboxes",
        "modseq",
        "parents",
        "ticket",
    )

    def __init__(self, ticket: Ticket) -> None:
        self.account_id = ticket.account_id
        self.ticket = ticket
        self.modseq = 0
        self.mailboxes: dict[str, Mailbox] = {}
        self.parents: frozenset[str] = frozenset()
        self.known = asyncio.Event()
        self.lost = False
        self.listeners: dict[Listener, None] = {}
        self._ids: dict[int, str] = {}

    def by_id(self, mailbox_id: int) -> Mailbox | None:
        """A mailbox as it is now."""
        name = self._ids.get(mailbox_id)
        return None if name is None else self.mailboxes[name]

    def follow_account(self, news: AccountNews) -> None:
        if news.modseq <= self.modseq and self.known.is_set():
            return
        self.modseq = news.modseq
        events = list(self._take_tree(news) if news.tree else self._take_counts(news))
        events += self._take_annotated(news)
        if not self.known.is_set():
            self.known.set()
        elif events:
            for listener in list(self.listeners):
                listener(events)

    def lose_account(self) -> None:
        self.lost = True

    def _take_counts(self, news: AccountNews) -> Iterator[AccountEvent]:
        for after in news.mailboxes:
            before = self.by_id(after.mailbox_id)
            if before is None or before.modseq >= after.modseq:
                continue
            self.mailboxes[before.name] = counted = before.counted_as(after)
            yield Counted(before, counted)

    def _take_tree(self, news: AccountNews) -> Sequence[AccountEvent]:
        before, ids = self.mailboxes, self._ids
        self.mailboxes = {mailbox.name: mailbox for mailbox in news.mailboxes}
        self._ids = {m.mailbox_id: m.name for m in news.mailboxes if m.mailbox_id}
        had = self.parents
        self.parents = frozenset(_above(self._ids.values()))
        events = [*self._names(before, ids), *self._counts(before, ids)]
        told = {event.name for event in events if isinstance(event, Named)}
        for name in sorted(had ^ self.parents):
            # RFC 5465 section 5.4: the parent is affected, too.
            if name in self.mailboxes and name in before and name not in told:
                events.append(Named(name, self.mailboxes[name]))
        subscribed = _subscribed(before.values()) ^ _subscribed(self.mailboxes.values())
        events += map(Subscribed, sorted(subscribed))
        return events

    def _names(self, before: dict[str, Mailbox], ids: dict[int, str]) -> Iterator[AccountEvent]:
        renamed = {
            old: self._ids[mailbox_id]
            for mailbox_id, old in ids.items()
            if self._ids.get(mailbox_id, old) != old
        }
        for mailbox_id, name in self._ids.items():
            mailbox, old = self.mailboxes[name], ids.get(mailbox_id)
            if old is None or before[old].uid_validity != mailbox.uid_validity:
                yield Named(name, mailbox)
                if old is None:
                    yield from _filled(mailbox, before.get(name))
            elif old != name and not _follows(old, name, renamed):
                yield Named(name, mailbox, old)
            elif before[old].selectable and not mailbox.selectable:
                yield Named(name, mailbox)
        for mailbox_id, old in ids.items():
            if mailbox_id not in self._ids and old not in self.mailboxes:
                yield Named(old, None)
            elif mailbox_id not in self._ids and not self.mailboxes[old].mailbox_id:
                yield Named(old, None)

    def _counts(self, before: dict[str, Mailbox], ids: dict[int, str]) -> Iterator[AccountEvent]:
        for mailbox_id, old in ids.items():
            after = self.by_id(mailbox_id)
            if after is not None and after.modseq > before[old].modseq:
                yield Counted(before[old], after)

    def _take_annotated(self, news: AccountNews) -> Iterator[AccountEvent]:
        for mailbox_id, entries in news.annotated.items():
            if not mailbox_id:
                yield Annotated("", entries)
            elif (name := self._ids.get(mailbox_id)) is not None:
                yield Annotated(name, entries)


class AccountViews:
    """Opens views of accounts, shares them, and drops them with their last session."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._views: dict[int, AccountView] = {}

    async def watch(self, ticket: Ticket, listener: Listener) -> AccountView:
        """The view of an account, its tree being there; `leave` it in the end.

        Raises PostroomError UNAVAILABLE where the store doesn't tell.
        """
        view = self._views.get(ticket.account_id)
        if view is None:
            view = self._views[ticket.account_id] = AccountView(ticket)
            self._accounts.add_account(view)
        view.listeners[listener] = None
        self.renewed(view, ticket)
        try:
            async with asyncio.timeout(FIRST_SECONDS):
                await view.known.wait()
        except BaseException as error:
            self.leave(view, listener)
            if isinstance(error, TimeoutError):
                raise PostroomError(Kind.UNAVAILABLE, "nothing can be watched just now") from error
            raise
        return view

    def leave(self, view: AccountView, listener: Listener) -> None:
        """A session watches no more."""
        view.listeners.pop(listener, None)
        if not view.listeners and self._views.get(view.account_id) is view:
            del self._views[view.account_id]
            self._accounts.remove_account(view)

    def renewed(self, view: AccountView, ticket: Ticket) -> None:
        """A session has a fresh ticket: what the old one could not follow goes on with it."""
        view.ticket = ticket
        if view.lost:
            view.lost = False
            self._accounts.add_account(view)


def _filled(mailbox: Mailbox, last: Mailbox | None) -> Iterator[Counted]:
    """A new mailbox may hold messages by now; another may have had its name until now."""
    if last is not None and last.selectable:
        yield Counted(last, mailbox)
    elif mailbox.uid_next > 1:
        empty = Mailbox(mailbox.mailbox_id, mailbox.name, uid_validity=mailbox.uid_validity)
        yield Counted(empty, mailbox)


def _follows(old: str, name: str, renamed: dict[str, str]) -> bool:
    """Whether a mailbox has another name only because one above it has (section 5.4)."""
    above, _, leaf = old.rpartition(DELIMITER)
    new_above, _, new_leaf = name.rpartition(DELIMITER)
    return leaf == new_leaf and bool(above) and renamed.get(above) == new_above


def _above(names: Iterable[str]) -> Iterator[str]:
    for name in names:
        while DELIMITER in name:
            name = name.rpartition(DELIMITER)[0]
            yield name


def _subscribed(mailboxes: Iterable[Mailbox]) -> set[str]:
    return {mailbox.name for mailbox in mailboxes if mailbox.subscribed}
