"""Append, flags, copy, move, expunge: against the rows and counters that they leave."""

from __future__ import annotations

import asyncio

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import UNLIMITED, Quota
from postroom_store import messages, reading
from postroom_store.domain.flags import DELETED, FLAGGED, SEEN
from postroom_store.ingest import Ingest
from postroom_store.messages import Appended, Arrival
from postroom_store.reading import Fetch, Wanted
from postroom_store.transaction import Transaction

from .conftest import Store

ANN = 7
HELLO = b"From: bob@example.org\r\nSubject: hello\r\nMessage-ID: <1@x>\r\n\r\nHow are you?\r\n"
INGEST = Ingest(None, 0)


async def append(
    store: Store,
    *contents: bytes,
    flags: tuple[str, ...] = (),
    name: str = "INBOX",
    quota: Quota = UNLIMITED,
) -> Appended:
    arrivals = [Arrival(INGEST.prepare(content), flags) for content in contents]
    return await store.write(
        lambda t: messages.append(t, t.mailbox_named(ANN, name), arrivals, quota)
    )


def counts(store: Store, name: str = "INBOX") -> tuple[int, int, int, int]:
    mailbox = store.read(lambda c: reading.find_mailbox_named(c, ANN, name))
    return mailbox.messages, mailbox.unseen, mailbox.deleted, mailbox.size


async def test_a_message_is_given_back_byte_for_byte(store: Store) -> None:
    appended = await append(store, HELLO)
    assert appended.uids == [1]
    mailbox, columns = store.read(lambda c: reading.open_mailbox(c, ANN, "inbox"))
    assert (columns.uids, columns.flags) == ([1], [0])
    assert mailbox.highest_modseq == columns.modseqs[0] == appended.change.modseq
    fetch = Fetch(
        ANN,
        mailbox.mailbox_id,
        [(1, 1)],
        ("size", "header"),
        (Wanted(""), Wanted("TEXT"), Wanted("", 6, 5), Wanted("2"), Wanted("HEADER")),
        None,
    )
    batch, position = store.read(lambda c: fetch.read(c, (0, 0)))
    header, _, text = HELLO.partition(b"\r\n\r\n")
    assert position is None
    assert batch.columns["size"] == [len(HELLO)]
    assert batch.columns["header"] == [header + b"\r\n\r\n"]
    assert batch.sections == [[HELLO], [text], [HELLO[6:11]], [None], [header + b"\r\n\r\n"]]
    assert counts(store) == (1, 1, 0, len(HELLO))


async def test_sections_may_not_add_up_to_many_times_the_message(store: Store) -> None:
    content = HELLO + b"x" * 300_000
    await append(store, content)
    mailbox_id = store.published[0][1].mailbox_id

    def fetch(*wanted: Wanted) -> list[list[bytes | None]]:
        command = Fetch(ANN, mailbox_id, [(1, 1)], (), wanted, None)
        return store.read(lambda c: command.read(c, (0, 0)))[0].sections

    headers = fetch(*(Wanted("1.MIME"),) * 90, Wanted("TEXT"), Wanted(""))
    assert headers[-1] == [content]
    with pytest.raises(PostroomError) as refused:
        fetch(*(Wanted("", start, len(content)) for start in range(100)))
    assert refused.value.kind is Kind.LIMIT_EXCEEDED


async def test_uids_and_changes_form_a_chain(store: Store) -> None:
    first = await append(store, HELLO)
    second = await append(store, HELLO, HELLO)
    assert second.uids == [2, 3]
    assert second.change.previous == first.change.modseq
    assert [change.modseq for _, change in store.published] == [
        first.change.modseq,
        second.change.modseq,
    ]


async def test_flags_are_added_removed_and_replaced(store: Store) -> None:
    await append(store, HELLO, HELLO, flags=("\\Seen",))
    mailbox_id = store.published[0][1].mailbox_id

    async def flag(mode: str, *names: str) -> messages.Stored:
        return await store.write(
            lambda t: messages.store_flags(
                t, t.mailbox(ANN, mailbox_id), [(1, 1)], mode, names, None
            )
        )

    added = await flag("add", "\\Flagged", "$Work")
    assert added.change is not None
    assert added.change.keywords == [(0, "$Work")]
    assert added.change.flagged.flags == [SEEN | FLAGGED | 1 << 8]
    assert (await flag("add", "$work")).change is None
    removed = await flag("remove", "\\Seen", "$work", "unknown")
    assert removed.change is not None
    assert removed.change.flagged.flags == [FLAGGED]
    assert counts(store)[:3] == (2, 1, 0)
    replaced = await flag("replace", "\\Deleted")
    assert replaced.change is not None
    assert replaced.change.flagged.flags == [DELETED]
    assert counts(store)[:3] == (2, 1, 1)


async def test_one_statement_flags_a_thousand(store: Store) -> None:
    await append(store, *[HELLO] * 1000)
    stored = await store.write(
        lambda t: messages.store_flags(
            t, t.mailbox_named(ANN, "INBOX"), [(1, 1500)], "add", ["\\Seen", "k"], None
        )
    )
    assert stored.change is not None
    assert len(stored.change.flagged.uids) == 1000
    _, columns = store.read(lambda c: reading.open_mailbox(c, ANN, "INBOX"))
    assert set(columns.flags) == {SEEN | 1 << 8}
    assert counts(store)[:2] == (1000, 0)


async def test_unchanged_since_leaves_later_ones_alone(store: Store) -> None:
    first = await append(store, HELLO)
    await append(store, HELLO)
    stored = await store.write(
        lambda t: messages.store_flags(
            t,
            t.mailbox_named(ANN, "INBOX"),
            [(1, 9)],
            "add",
            ["\\Seen"],
            first.change.modseq,
        )
    )
    assert stored.modified == [2]
    assert stored.change is not None
    assert stored.change.flagged.uids == [1]


async def test_a_move_takes_keywords_along_and_leaves_tombstones(store: Store) -> None:
    await append(store, HELLO, flags=("later", "\\Flagged"))
    await append(store, HELLO, flags=("other",), name="Trash")
    moved = await store.write(
        lambda t: messages.copy(
            t,
            t.mailbox_named(ANN, "INBOX"),
            [(1, 5)],
            t.mailbox_named(ANN, "Trash"),
            UNLIMITED,
            move=True,
        )
    )
    assert (moved.source_uids, moved.target_uids) == ([1], [2])
    assert moved.source_change is not None
    assert moved.source_change.expunged == [1]
    mailbox, columns = store.read(lambda c: reading.open_mailbox(c, ANN, "Trash"))
    assert mailbox.keywords == ["other", "later"]
    assert columns.flags == [1 << 8, FLAGGED | 1 << 9]
    assert counts(store) == (0, 0, 0, 0)
    source = moved.source_change
    since = store.read(lambda c: reading.changes_since(c, ANN, source.mailbox_id, source.previous))
    assert since is not None
    assert since.expunged == [1]


async def test_expunge_takes_only_deleted_ones(store: Store) -> None:
    await append(store, HELLO, HELLO, flags=("\\Deleted",))
    await append(store, HELLO)
    change = await store.write(
        lambda t: messages.expunge(t, t.mailbox_named(ANN, "INBOX"), [(2, 3)])
    )
    assert change is not None
    assert change.expunged == [2]
    assert counts(store) == (2, 2, 1, 2 * len(HELLO))
    change = await store.write(lambda t: messages.expunge(t, t.mailbox_named(ANN, "INBOX"), None))
    assert change is not None
    assert change.expunged == [1]
    assert (
        await store.write(lambda t: messages.expunge(t, t.mailbox_named(ANN, "INBOX"), None))
        is None
    )


async def test_messages_are_limited_by_quota(store: Store) -> None:
    await append(store, HELLO, HELLO, quota=Quota(messages=3))
    with pytest.raises(PostroomError) as refused:
        await append(store, HELLO, HELLO, quota=Quota(messages=3))
    assert refused.value.kind is Kind.OVER_QUOTA
    await append(store, HELLO, quota=Quota(messages=3))
    assert store.read(lambda c: reading.usage(c, ANN)).messages == 3


async def test_a_full_quota_refuses_and_adds_nothing(store: Store) -> None:
    await append(store, HELLO, quota=Quota(len(HELLO)))
    with pytest.raises(PostroomError) as full:
        await append(store, HELLO, quota=Quota(len(HELLO)))
    assert full.value.kind is Kind.OVER_QUOTA
    assert counts(store)[0] == 1


async def test_one_operation_that_fails_takes_no_other_along(store: Store) -> None:
    def fail(transaction: Transaction) -> None:
        transaction.next_modseq(transaction.account(ANN))
        raise PostroomError(Kind.INVALID, "too late")

    outcomes = await asyncio.gather(
        append(store, HELLO), store.write(fail), append(store, HELLO), return_exceptions=True
    )
    assert isinstance(outcomes[1], PostroomError)
    assert outcomes[1].kind is Kind.INVALID
    assert counts(store)[0] == 2
    _, columns = store.read(lambda c: reading.open_mailbox(c, ANN, "INBOX"))
    assert columns.uids == [1, 2]


async def test_what_changed_since_tells_new_from_flagged(store: Store) -> None:
    first = await append(store, HELLO)
    await append(store, HELLO)
    await store.write(
        lambda t: messages.store_flags(
            t, t.mailbox_named(ANN, "INBOX"), [(1, 1)], "add", ["\\Seen"], None
        )
    )
    here = first.change.mailbox_id
    since = store.read(lambda c: reading.changes_since(c, ANN, here, first.change.modseq))
    assert since is not None
    assert (since.added.uids, since.flagged.uids) == ([2], [1])
    assert store.read(lambda c: reading.changes_since(c, ANN, here, since.modseq)) is None


async def test_threads_follow_references(store: Store) -> None:
    reply = b"Subject: re\r\nMessage-ID: <2@x>\r\nReferences: <1@x>\r\n\r\n"
    other = b"Subject: other\r\nMessage-ID: <3@x>\r\n\r\n"
    await append(store, HELLO)
    await append(store, reply, other)
    mailbox, _ = store.read(lambda c: reading.open_mailbox(c, ANN, "INBOX"))
    fetch = Fetch(ANN, mailbox.mailbox_id, [(1, 3)], ("thread_id",), (), None)
    batch, _ = store.read(lambda c: fetch.read(c, (0, 0)))
    first, second, third = batch.columns["thread_id"]
    assert first == second != third
