"""What happened in an account, found by comparing what the store told."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_imap import accounts
from postroom_imap.accounts import (
    AccountEvent,
    AccountView,
    AccountViews,
    Annotated,
    Counted,
    Named,
    Subscribed,
)
from postroom_imap.ports.accounts import AccountFollower, AccountNews
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.mailboxes import Mailbox

ANN = 7
TICKET = Ticket("first", ANN, "ann@example.org", 4_000_000_000)
FRESH = replace(TICKET, token="fresh")


def box(number: int, name: str, **fields: int | bool) -> Mailbox:
    return replace(Mailbox(number, name, modseq=number, uid_validity=number), **fields)


INBOX, A, AB, ABC = box(1, "INBOX"), box(2, "a"), box(3, "a/b"), box(4, "a/b/c")
TREE = (INBOX, A, AB, ABC)


def tree(modseq: int, *mailboxes: Mailbox) -> AccountNews:
    return AccountNews(ANN, modseq, mailboxes, tree=True, annotated={})


def events_of(*news: AccountNews) -> list[AccountEvent]:
    """What a listener hears after the tree is known."""
    view, heard = AccountView(TICKET), list[AccountEvent]()
    view.listeners[heard.extend] = None
    view.follow_account(tree(10, *TREE))
    assert heard == []
    for one in news:
        view.follow_account(one)
    return heard


def test_changed_counts() -> None:
    told = box(3, "a/b", messages=2, uid_next=3, modseq=11)
    news = AccountNews(ANN, 11, [replace(told, name="", subscribed=True)], False, {})
    (event,) = events_of(news, news)  # told twice, heard once
    assert event == Counted(AB, told)


def test_a_new_mailbox_and_its_parent() -> None:
    new = box(5, "INBOX/x")
    assert events_of(tree(11, *TREE, new)) == [Named("INBOX/x", new), Named("INBOX", INBOX)]


def test_a_new_mailbox_with_messages() -> None:
    new = box(5, "x", messages=1, uid_next=2)
    empty = Mailbox(5, "x", uid_validity=5)
    assert events_of(tree(11, *TREE, new)) == [Named("x", new), Counted(empty, new)]


def test_a_mailbox_that_is_gone() -> None:
    assert events_of(tree(11, INBOX, A, AB)) == [Named("a/b/c", None), Named("a/b", AB)]


def test_a_name_that_lost_its_mailbox() -> None:
    noselect = replace(AB, selectable=False, modseq=11)
    assert events_of(tree(11, INBOX, A, noselect, ABC))[0] == Named("a/b", noselect)


def test_a_rename_is_told_once_for_all_below() -> None:
    renamed = [replace(m, name=m.name.replace("a", "z", 1)) for m in (A, AB, ABC)]
    assert events_of(tree(11, INBOX, *renamed)) == [Named("z", renamed[0], "a")]


def test_a_rename_within_a_rename() -> None:
    moved = [replace(A, name="z"), replace(AB, name="z/y"), replace(ABC, name="z/y/c")]
    assert events_of(tree(11, INBOX, *moved)) == [
        Named("z", moved[0], "a"),
        Named("z/y", moved[1], "a/b"),
    ]


def test_another_mailbox_of_the_same_name() -> None:
    other = box(9, "a/b/c", uid_validity=99)
    assert events_of(tree(11, INBOX, A, AB, other)) == [
        Named("a/b/c", other),
        Counted(ABC, other),
    ]


def test_subscriptions() -> None:
    gone = box(0, "gone", subscribed=True, selectable=False)
    assert events_of(tree(11, replace(INBOX, subscribed=True), A, AB, ABC, gone)) == [
        Subscribed("INBOX"),
        Subscribed("gone"),
    ]


def test_annotations() -> None:
    news = AccountNews(ANN, 11, [], False, {0: ["/private/x"], 3: ["/shared/y"], 99: ["/z"]})
    assert events_of(news) == [Annotated("", ["/private/x"]), Annotated("a/b", ["/shared/y"])]


class Told:
    """Accounts that are told what a test wants."""

    def __init__(self, *, first: bool = True) -> None:
        self.followers: list[AccountFollower] = []
        self.removed: list[AccountFollower] = []
        self._first = first

    def add_account(self, follower: AccountFollower) -> None:
        self.followers.append(follower)
        if self._first:
            follower.follow_account(tree(10, *TREE))

    def remove_account(self, follower: AccountFollower) -> None:
        self.removed.append(follower)


def listener(events: Sequence[AccountEvent]) -> None: ...


def other_listener(events: Sequence[AccountEvent]) -> None: ...


async def test_sessions_share_a_view_until_the_last_has_left() -> None:
    told = Told()
    views = AccountViews(told)
    first = await views.watch(TICKET, listener)
    assert await views.watch(TICKET, other_listener) is first
    assert [*first.mailboxes] == [mailbox.name for mailbox in TREE]
    views.leave(first, listener)
    assert told.removed == []
    views.leave(first, other_listener)
    assert told.removed == [first]
    assert await views.watch(TICKET, listener) is not first


async def test_a_lost_account_is_followed_again_with_a_fresh_ticket() -> None:
    told = Told()
    views = AccountViews(told)
    view = await views.watch(TICKET, listener)
    view.lose_account()
    views.renewed(view, FRESH)
    assert told.followers == [view, view]
    assert (view.ticket, view.modseq) == (FRESH, 10)
    views.renewed(view, FRESH)
    assert len(told.followers) == 2


async def test_a_store_that_tells_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accounts, "FIRST_SECONDS", 0.01)
    told = Told(first=False)
    with pytest.raises(PostroomError) as refused:
        await AccountViews(told).watch(TICKET, listener)
    assert refused.value.kind is Kind.UNAVAILABLE
    assert told.removed == told.followers


async def test_a_session_that_goes_while_it_waits() -> None:
    told = Told(first=False)
    waiting = asyncio.create_task(AccountViews(told).watch(TICKET, listener))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert told.removed == told.followers
