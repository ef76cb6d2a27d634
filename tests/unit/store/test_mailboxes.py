"""The tree of mailboxes."""

from __future__ import annotations

from functools import partial

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import UNLIMITED, Quota
from postroom_store import mailboxes, messages, reading
from postroom_store.domain import special_uses
from postroom_store.ingest import Ingest
from postroom_store.messages import Arrival
from postroom_store.transaction import Transaction

from .conftest import Store

ANN = 7
LIMITS = mailboxes.Limits(20)
FIRST = ["Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash"]


async def create(store: Store, name: str) -> int:
    return (await store.write(lambda t: mailboxes.create(t, ANN, name, 0, LIMITS))).uid_validity


def names(store: Store) -> list[str]:
    listed, _ = store.read(lambda c: reading.list_mailboxes(c, ANN, ""))
    return [one.name for one in listed if one.mailbox is not None and one.mailbox.selectable]


async def test_a_new_account_has_the_usual_mailboxes(store: Store) -> None:
    await store.write(lambda t: t.account(ANN))
    assert names(store) == FIRST


async def test_superiors_are_made_too(store: Store) -> None:
    await create(store, "a/b/c/")
    assert names(store) == sorted([*FIRST, "a", "a/b", "a/b/c"])


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("inbox", Kind.ALREADY_EXISTS),
        ("a//b", Kind.INVALID),
        ("", Kind.INVALID),
        ("a\0b", Kind.INVALID),
        ("x" * 2000, Kind.INVALID),
        ("/".join("abcdefghijklmnopqrst"), Kind.LIMIT_EXCEEDED),
    ],
)
async def test_a_bad_name_is_refused(store: Store, name: str, kind: Kind) -> None:
    with pytest.raises(PostroomError) as refused:
        await create(store, name)
    assert refused.value.kind is kind


async def test_a_name_with_inferiors_stays_when_it_is_removed(store: Store) -> None:
    first = await create(store, "a/b")
    await create(store, "a0")
    await store.write(lambda t: mailboxes.remove(t, ANN, "a"))
    assert "a" not in names(store)
    assert "a/b" in names(store)
    with pytest.raises(PostroomError) as refused:
        await store.write(lambda t: mailboxes.remove(t, ANN, "a"))
    assert refused.value.kind is Kind.CONFLICT
    assert await create(store, "a") > first
    assert "a" in names(store)


async def test_a_mailbox_made_again_has_another_uid_validity(store: Store) -> None:
    first = await create(store, "x")
    await store.write(lambda t: mailboxes.remove(t, ANN, "x"))
    assert "x" not in names(store)
    assert await create(store, "x") > first


async def test_a_rename_takes_inferiors_along_and_nothing_else(store: Store) -> None:
    for name in ("a/b/c", "a0", "ab", "A"):
        await create(store, name)
    await store.write(lambda t: mailboxes.rename(t, ANN, "a", "new/place", LIMITS))
    made = {"A", "a0", "ab", "new", "new/place", "new/place/b", "new/place/b/c"}
    assert set(names(store)) == {*FIRST, *made}
    with pytest.raises(PostroomError) as refused:
        await store.write(lambda t: mailboxes.rename(t, ANN, "new", "new/deeper", LIMITS))
    assert refused.value.kind is Kind.INVALID


@pytest.mark.parametrize(
    ("inferior", "new_name", "fits"),
    [
        ("a/" + "x" * 900, "new/" + "y" * 96, "new/" + "y" * 95),
        ("a/b/c", "/".join("n" * 49), "/".join("n" * 48)),
    ],
)
async def test_a_rename_makes_no_inferior_too_long_or_too_deep(
    store: Store, inferior: str, new_name: str, fits: str
) -> None:
    await create(store, inferior)
    before = names(store)
    with pytest.raises(PostroomError) as refused:
        await store.write(lambda t: mailboxes.rename(t, ANN, "a", new_name, LIMITS))
    assert refused.value.kind is Kind.INVALID
    assert names(store) == before
    await store.write(lambda t: mailboxes.rename(t, ANN, "a", fits, mailboxes.Limits(100)))
    assert inferior.replace("a", fits, 1) in names(store)


async def test_renaming_inbox_moves_its_messages(store: Store) -> None:
    content = Ingest(None, 0).prepare(b"Subject: x\r\n\r\n")
    await store.write(
        lambda t: messages.append(t, t.mailbox_named(ANN, "INBOX"), [Arrival(content)], UNLIMITED)
    )
    await store.write(lambda t: mailboxes.rename(t, ANN, "INBOX", "old", LIMITS))
    old, columns = store.read(lambda c: reading.open_mailbox(c, ANN, "old"))
    inbox, none = store.read(lambda c: reading.open_mailbox(c, ANN, "INBOX"))
    assert (old.messages, inbox.messages) == (1, 0)
    assert (len(columns.uids), none.uids) == (1, [])


async def test_subscriptions_need_no_mailbox(store: Store) -> None:
    await store.write(lambda t: mailboxes.subscribe(t, ANN, "nowhere", True))
    await store.write(lambda t: mailboxes.subscribe(t, ANN, "nowhere", True))
    await store.write(lambda t: mailboxes.subscribe(t, ANN, "Trash", False))
    listed, _ = store.read(lambda c: reading.list_mailboxes(c, ANN, ""))
    subscribed = {one.name for one in listed if one.subscribed}
    assert subscribed == {*FIRST, "nowhere"} - {"Trash"}


async def uses(store: Store) -> dict[str, int]:
    listed, _ = store.read(lambda c: reading.list_mailboxes(c, ANN, ""))
    return {m.name: m.special_use for m in (one.mailbox for one in listed) if m and m.special_use}


async def test_a_special_use_is_one_mailbox_s(store: Store) -> None:
    both = special_uses.SENT | special_uses.DRAFTS
    await store.write(lambda t: mailboxes.create(t, ANN, "mine", both, LIMITS))
    assert await uses(store) == {
        "Archive": special_uses.ARCHIVE,
        "Junk": special_uses.JUNK,
        "Trash": special_uses.TRASH,
        "mine": both,
    }
    with pytest.raises(PostroomError) as refused:
        await store.write(lambda t: mailboxes.create(t, ANN, "Sent", special_uses.SENT, LIMITS))
    assert refused.value.kind is Kind.ALREADY_EXISTS
    assert (await uses(store))["mine"] == both


@pytest.mark.parametrize("number", [1, 4, 8])
def test_what_no_mailbox_is_for(number: int) -> None:
    with pytest.raises(PostroomError) as refused:
        special_uses.mask_of([6, number])
    assert refused.value.kind is Kind.UNSUPPORTED


def test_special_uses_as_a_mask() -> None:
    assert special_uses.numbers_of(special_uses.mask_of([6, 0, 3, 6])) == [3, 6]


async def test_what_the_deleted_messages_weigh(store: Store) -> None:
    content = Ingest(None, 0).prepare(b"Subject: x\r\n\r\n")
    arrivals = [Arrival(content, flags) for flags in ((), ("\\Deleted",), ("\\Deleted", "odd"))]
    for name in ("INBOX", "Sent"):
        await store.write(partial(append_to, name, arrivals))
    inbox, sent = (
        store.read(partial(reading.find_mailbox_named, account_id=ANN, name=name)).mailbox_id
        for name in ("INBOX", "Sent")
    )
    both = {inbox: 2 * content.size, sent: 2 * content.size}
    assert store.read(lambda c: reading.deleted_sizes(c, ANN)) == both
    await store.write(lambda t: messages.expunge(t, t.mailbox_named(ANN, "Sent"), None))
    assert store.read(lambda c: reading.deleted_sizes(c, ANN)) == {inbox: 2 * content.size}


def append_to(name: str, arrivals: list[Arrival], transaction: Transaction) -> None:
    messages.append(transaction, transaction.mailbox_named(ANN, name), arrivals, UNLIMITED)


async def test_mailboxes_are_limited_by_quota(store: Store) -> None:
    seven = mailboxes.Limits(100, 7)
    await store.write(lambda t: mailboxes.create(t, ANN, "a", 0, seven))
    with pytest.raises(PostroomError) as refused:
        await store.write(lambda t: mailboxes.create(t, ANN, "b", 0, seven))
    assert refused.value.kind is Kind.OVER_QUOTA
    with pytest.raises(PostroomError) as refused:
        await store.write(lambda t: mailboxes.rename(t, ANN, "a", "b/a", seven))
    assert refused.value.kind is Kind.OVER_QUOTA
    await create(store, "a/b")
    await store.write(lambda t: mailboxes.remove(t, ANN, "a"))
    assert store.read(lambda c: reading.usage(c, ANN)) == Quota(0, 0, 7)
