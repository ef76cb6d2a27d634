"""Annotations of messages: set, told, copied, and gone with their messages."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import UNLIMITED
from postroom_store import (
    acl,
    annotating,
    annotation,
    mailboxes,
    maintenance,
    messages,
    reading,
    tables,
)
from postroom_store.annotation import Annotation, Setting, Wanted
from postroom_store.domain import annotation_names as naming
from postroom_store.domain.change import Annotated
from postroom_store.ingest import Ingest
from postroom_store.messages import Arrival, Stored
from postroom_store.metadata import SHARED
from postroom_store.reading import Fetch
from postroom_store.search import program
from postroom_store.search.collation import OCTET, UNICODE, Collation
from postroom_store.uid_ranges import Ranges
from sqlalchemy import Connection, func, select

from .conftest import Store

ANN, BOB = 7, 8
HELLO = b"From: bob@example.org\r\nSubject: hello\r\n\r\nHow are you?\r\n"
CONTENT = Ingest(None, 0).prepare(HELLO)
EVERYTHING: Ranges = ((1, 99),)


async def append(store: Store, count: int = 3, name: str = "INBOX") -> int:
    """Messages in Ann's mailbox; answers its id."""
    arrivals = [Arrival(CONTENT)] * count
    done = await store.write(
        lambda t: messages.append(t, t.mailbox_named(ANN, name), arrivals, UNLIMITED)
    )
    return done.change.mailbox_id


async def annotate(
    store: Store,
    mailbox_id: int,
    uids: Ranges,
    values: dict[str, bytes | None],
    *,
    holder: int = ANN,
    person: int = ANN,
    since: int | None = None,
) -> Stored:
    settings = [Setting(entry, holder, value) for entry, value in values.items()]
    return await store.write(
        lambda t: annotating.store(t, t.mailbox(ANN, mailbox_id), uids, settings, person, since)
    )


def told(
    store: Store, mailbox_id: int, *patterns: str, person: int = ANN, uids: Ranges = EVERYTHING
) -> dict[int, dict[str, bytes]]:
    """Values by UID, and by name; those of shared ones with a plus sign."""
    fetch = Fetch(ANN, mailbox_id, uids, (), (), None, Wanted(person, patterns or ("*",)))
    found: dict[int, dict[str, bytes]] = {}
    position: reading.Position | None = (0, 0)
    while position is not None:
        at = position
        batch, position = store.read(lambda c, at=at: fetch.read(c, at))  # type: ignore[misc]
        for uid, each in zip(batch.uids, batch.annotations or (), strict=bool(batch.uids)):
            found[uid] = {"+" * one.shared + one.entry: one.value for one in each}
    return found


def rows(store: Store) -> int:
    table = tables.message_annotations
    return store.read(lambda c: c.execute(select(func.count()).select_from(table)).scalar_one())


async def test_the_migrations_make_the_tables_that_the_code_knows(store: Store) -> None:
    def differences(connection: Connection) -> list[object]:
        found = compare_metadata(MigrationContext.configure(connection), tables.metadata)
        return [one for one in found if "message_annotations" in str(one)]

    assert store.read(differences) == []


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("*", ["/comment", "/1/comment"], [""]),
        ("/*", ["/comment", "/vendor/a/b"], ["/", "comment"]),
        ("/%", ["/comment", "/altsubject"], ["/1/comment", "/"]),
        ("/%/comment", ["/1/comment", "/1.2/comment"], ["/comment", "/1/vendor/comment"]),
        ("/*comment", ["/1/comment", "/1/vendor/comment"], ["/comment", "/Xcommentx"]),
        ("/vendor/*/b%", ["/vendor/a/bc", "/vendor/a/b/bc"], ["/vendor/a/b", "/vendor/a/b/c"]),
        ("/comment", ["/comment"], ["/Comment", "/comment/"]),
        ("%%", ["ab"], ["a", "a/"]),
    ],
)
def test_patterns(pattern: str, matching: Sequence[str], others: Sequence[str]) -> None:
    wanted = Wanted(ANN, (pattern,))
    assert [entry for entry in [*matching, *others] if wanted.holds(entry)] == list(matching)


@pytest.mark.parametrize(
    "entry",
    [
        "/comment",
        "/altsubject",
        "/vendor/example/label.priv",
        "/vendor/example",
        "/1/comment",
        "/1.2.3/vendor/example/a/b",
        "/2/flags/seen",
    ],
)
def test_names_that_there_are(entry: str) -> None:
    naming.check(entry, b"1")


@pytest.mark.parametrize(
    ("entry", "value"),
    [
        ("/", b""),
        ("comment", b""),
        ("/Comment", b""),
        ("/comment/", b""),
        ("/comment/more", b""),
        ("/flags/seen", b"1"),
        ("/vendor", b""),
        ("/vendor//a", b""),
        ("/vendor/a*", b""),
        ("/vendor/ä", b""),
        ("/vendor/" + "a" * 1000, b""),
        ("/0/comment", b""),
        ("/1./comment", b""),
        ("/1", b""),
        ("/1/altsubject", b""),
        ("/1/flags/odd", b"1"),
        ("/1/flags/seen", b"yes"),
    ],
)
def test_names_that_there_are_not(entry: str, value: bytes) -> None:
    with pytest.raises(PostroomError) as refused:
        naming.check(entry, value)
    assert refused.value.kind is Kind.INVALID


async def test_set_replace_remove(store: Store) -> None:
    inbox = await append(store)
    first = await annotate(store, inbox, ((1, 2),), {"/comment": b"\0\xff", "/altsubject": b"x"})
    assert first.change is not None
    assert (first.change.flagged.uids, first.change.flagged.flags) == ([1, 2], [0, 0])
    assert first.change.annotated == Annotated(
        [1, 1, 2, 2], ["/comment", "/altsubject"] * 2, [ANN] * 4
    )
    await annotate(store, inbox, ((1, 1),), {"/comment": b"two"})
    await annotate(store, inbox, ((2, 2),), {"/comment": None, "/altsubject": b""})
    assert told(store, inbox) == {
        1: {"/altsubject": b"x", "/comment": b"two"},
        2: {"/altsubject": b""},
        3: {},
    }
    assert told(store, inbox, "/c%") == {1: {"/comment": b"two"}, 2: {}, 3: {}}
    assert told(store, inbox, "/altsubject", uids=((2, 3),)) == {2: {"/altsubject": b""}, 3: {}}


async def test_only_what_becomes_another_changes(store: Store) -> None:
    inbox = await append(store)
    await annotate(store, inbox, ((2, 2),), {"/comment": b"same"})
    again = await annotate(store, inbox, ((1, 2),), {"/comment": b"same", "/altsubject": None})
    assert again.change is not None
    assert again.change.annotated == Annotated([1], ["/comment"], [ANN])
    assert store.published[-1] == (ANN, again.change)
    mailbox, columns = store.read(lambda c: reading.open_mailbox(c, ANN, "INBOX"))
    assert columns.modseqs[0] == mailbox.highest_modseq == again.change.modseq
    assert columns.modseqs[1] < again.change.modseq
    nothing = await annotate(store, inbox, ((1, 3),), {"/altsubject": None})
    assert nothing == Stored(None, [])


async def test_unchanged_since(store: Store) -> None:
    inbox = await append(store)
    first = await annotate(store, inbox, ((1, 1),), {"/comment": b"one"})
    assert first.change is not None
    before = first.change.modseq - 1
    second = await annotate(store, inbox, EVERYTHING, {"/comment": b"two"}, since=before)
    assert second.modified == [1]
    comments = [one.get("/comment") for one in told(store, inbox).values()]
    assert comments == [b"one", b"two", b"two"]


async def test_private_ones_are_each_person_s(store: Store) -> None:
    inbox = await append(store, 1)
    one: Ranges = ((1, 1),)
    await annotate(store, inbox, one, {"/comment": b"ann"})
    await annotate(store, inbox, one, {"/comment": b"bob"}, holder=BOB, person=BOB)
    await annotate(store, inbox, one, {"/comment": b"all"}, holder=SHARED)
    assert told(store, inbox)[1] == {"/comment": b"ann", "+/comment": b"all"}
    assert told(store, inbox, person=BOB)[1] == {"/comment": b"bob", "+/comment": b"all"}
    # Without a right on the mailbox nothing is kept for Bob.
    for rights in ("lr", ""):
        await store.write(
            lambda t, r=rights: acl.set_entry(  # type: ignore[misc]
                t, t.mailbox(ANN, inbox), BOB, "bob@example.org", lambda _: r
            )
        )
    assert told(store, inbox, person=BOB)[1] == {"+/comment": b"all"}


async def test_what_a_watcher_missed(store: Store) -> None:
    inbox = await append(store)
    mailbox, _ = store.read(lambda c: reading.open_mailbox(c, ANN, "INBOX"))
    since = mailbox.highest_modseq
    await annotate(store, inbox, ((1, 2),), {"/comment": b"one"})
    await annotate(store, inbox, ((2, 2),), {"/comment": None})
    await annotate(store, inbox, ((3, 3),), {"/altsubject": b"x"}, holder=SHARED)
    change = store.read(lambda c: reading.changes_since(c, ANN, inbox, since))
    assert change is not None
    assert change.annotated == Annotated(
        [1, 2, 3], ["/comment", "/comment", "/altsubject"], [ANN, ANN, SHARED]
    )
    assert change.flagged.uids == [1, 2, 3]


async def test_what_was_removed_is_forgotten_in_the_end(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(annotation, "MOST_REMOVED", 1)
    inbox = await append(store)
    await annotate(store, inbox, EVERYTHING, {"/comment": b"x"})
    await annotate(store, inbox, ((1, 1),), {"/comment": None})
    assert rows(store) == 3
    await annotate(store, inbox, ((2, 2),), {"/comment": None})
    assert rows(store) == 2  # that which stays, and the last that was removed


async def test_limits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(annotation, "MOST_OF_MESSAGE", 3)
    monkeypatch.setattr(annotation, "MOST_BYTES_OF_MESSAGE", 100)
    monkeypatch.setattr(annotation, "MOST_VALUE_BYTES", 60)
    inbox = await append(store)
    entries = [f"/vendor/x/{number}" for number in range(4)]
    await annotate(store, inbox, ((1, 2),), dict.fromkeys(entries[:3], b"x"))
    for values, kind in (
        ({"/comment": b"x" * 61}, Kind.TOO_LARGE),
        ({entries[3]: b"x"}, Kind.LIMIT_EXCEEDED),
        ({entries[0]: b"x" * 60, entries[1]: b"x" * 60}, Kind.LIMIT_EXCEEDED),
        ({"/odd": b"x"}, Kind.INVALID),
    ):
        with pytest.raises(PostroomError) as refused:
            await annotate(store, inbox, EVERYTHING, values)  # type: ignore[arg-type]
        assert refused.value.kind is kind
    assert told(store, inbox)[3] == {}  # all or none
    await annotate(store, inbox, ((1, 1),), {entries[0]: None, entries[3]: b"y"})
    monkeypatch.setattr(annotation, "MOST_BYTES", 7 * annotation.ROW_BYTES + 10)
    await annotate(store, inbox, ((3, 3),), {"/comment": b"x"})
    with pytest.raises(PostroomError) as refused:
        await annotate(store, inbox, ((3, 3),), {"/altsubject": b"x"})
    assert refused.value.kind is Kind.OVER_QUOTA
    with pytest.raises(PostroomError) as refused:
        await store.write(
            lambda t: messages.copy(
                t, t.mailbox(ANN, inbox), EVERYTHING, t.mailbox_named(ANN, "Archive"), UNLIMITED
            )
        )
    assert refused.value.kind is Kind.OVER_QUOTA


async def test_batches_are_cut_by_what_annotations_weigh(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BATCH_BYTES", 1000)
    inbox = await append(store, 6)
    await annotate(store, inbox, ((2, 5),), {"/comment": b"x" * 600})
    fetch = Fetch(ANN, inbox, ((1, 2), (4, 6)), (), (), None, Wanted(ANN, ("/comment",)))
    batch, position = store.read(lambda c: fetch.read(c, (0, 0)))
    assert (batch.uids, position) == ([1, 2, 4], (1, 5))
    assert batch.annotations is not None
    assert [len(one) for one in batch.annotations] == [0, 1, 1]
    assert list(told(store, inbox)) == [1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("move", [False, True])
async def test_copies_take_along_what_may_go(store: Store, move: bool) -> None:
    inbox = await append(store)
    for holder, value in ((ANN, b"ann"), (BOB, b"bob"), (SHARED, b"all")):
        await annotate(store, inbox, ((2, 3),), {"/comment": value}, holder=holder)
    await annotate(store, inbox, ((3, 3),), {"/comment": None})

    async def copy(holders: Sequence[int] | None) -> list[int]:
        done = await store.write(
            lambda t: messages.copy(
                t,
                t.mailbox(ANN, inbox),
                ((2, 3),),
                t.mailbox_named(ANN, "Archive"),
                UNLIMITED,
                move=move,
                holders=holders,
            )
        )
        return done.target_uids

    assert await copy((ANN, SHARED)) == [1, 2]
    archive = store.read(lambda c: reading.find_mailbox_named(c, ANN, "Archive")).mailbox_id
    assert told(store, archive) == {
        1: {"/comment": b"ann", "+/comment": b"all"},
        2: {"+/comment": b"all"},
    }
    assert told(store, archive, person=BOB)[1] == {"+/comment": b"all"}
    assert list(told(store, inbox)) == ([1] if move else [1, 2, 3])
    if not move:
        await copy((ANN,))
        assert told(store, archive, uids=((3, 3),)) == {3: {"/comment": b"ann"}}
        await copy(None)
        assert told(store, archive, person=BOB)[5] == {"/comment": b"bob", "+/comment": b"all"}


async def test_a_renamed_inbox_takes_everybody_s_along(store: Store) -> None:
    inbox = await append(store, 1)
    await annotate(store, inbox, EVERYTHING, {"/comment": b"bob"}, holder=BOB)
    await store.write(lambda t: mailboxes.rename(t, ANN, "INBOX", "Old", mailboxes.Limits(100)))
    old = store.read(lambda c: reading.find_mailbox_named(c, ANN, "Old")).mailbox_id
    assert told(store, old, person=BOB) == {1: {"/comment": b"bob"}}


async def test_annotations_go_with_messages(store: Store) -> None:
    inbox = await append(store)
    await store.write(lambda t: mailboxes.create(t, ANN, "Work", 0, mailboxes.Limits(100)))
    work = await append(store, 2, "Work")
    for mailbox_id in (inbox, work):
        await annotate(store, mailbox_id, EVERYTHING, {"/comment": b"x"})
    await store.write(lambda t: messages.remove(t, t.mailbox(ANN, inbox), ((2, 2),)))
    assert rows(store) == 4
    await store.write(lambda t: mailboxes.remove(t, ANN, "Work"))
    assert rows(store) == 2
    while await store.write(lambda t: maintenance.purge_step(t, None, ANN)):
        pass
    assert rows(store) == 0


async def test_messages_come_with_annotations(store: Store) -> None:
    arrivals = [
        Arrival(CONTENT, annotations=(Annotation("/comment", ANN, b"mine"),)),
        Arrival(CONTENT),
        Arrival(CONTENT, annotations=(Annotation("/comment", SHARED, b"all"),)),
    ]
    done = await store.write(
        lambda t: messages.append(t, t.mailbox_named(ANN, "INBOX"), arrivals, UNLIMITED)
    )
    assert told(store, done.change.mailbox_id) == {
        1: {"/comment": b"mine"},
        2: {},
        3: {"+/comment": b"all"},
    }
    many = [Annotation(f"/vendor/x/{number}", ANN, b"") for number in range(101)]
    with pytest.raises(PostroomError) as refused:
        await store.write(
            lambda t: messages.append(
                t, t.mailbox_named(ANN, "INBOX"), [Arrival(CONTENT, annotations=many)], UNLIMITED
            )
        )
    assert refused.value.kind is Kind.LIMIT_EXCEEDED


@pytest.mark.parametrize(
    ("key", "collation", "found"),
    [
        (program.Annotated("/comment", (ANN, SHARED), "straße"), UNICODE, [1, 3]),
        (program.Annotated("/comment", (ANN, SHARED), "STRASSE"), UNICODE, [1, 3]),
        (program.Annotated("/comment", (ANN, SHARED), "STRASSE"), OCTET, []),
        (program.Annotated("/comment", (SHARED,), "Straße"), OCTET, [3]),
        (program.Annotated("/comment", (ANN,), ""), UNICODE, [1, 2]),
        (program.Annotated("/%", (ANN,), "a"), UNICODE, [1]),
        (program.Annotated("*", (ANN,), "a"), UNICODE, [1, 2]),
        (program.Not(program.Annotated("*", (ANN,), "a")), UNICODE, [3]),
        (
            program.AllOf(
                (program.Annotated("*", (ANN,), "a"), program.Text(("body",), "are you"))
            ),
            UNICODE,
            [1, 2],
        ),
        (program.AnyOf((program.Annotated("*", (BOB,), "a"), program.Uids(((2, 2),)))), OCTET, [2]),
    ],
)
async def test_search(
    store: Store, key: program.Key, collation: Collation, found: Sequence[int]
) -> None:
    inbox = await append(store)
    await annotate(store, inbox, ((1, 1),), {"/comment": "Lange Straße".encode()})
    await annotate(store, inbox, ((2, 2),), {"/comment": b"\xff", "/vendor/x/y": b"A"})
    await annotate(store, inbox, ((3, 3),), {"/comment": "Straße".encode()}, holder=SHARED)
    assert (
        store.read(lambda c: program.search(c, None, ANN, inbox, key, collation=collation)).uids
        == found
    )


async def test_what_is_sorted_by(store: Store) -> None:
    inbox = await append(store)
    await annotate(store, inbox, ((2, 2),), {"/altsubject": "ähm".encode()})
    await annotate(store, inbox, ((3, 3),), {"/altsubject": b"Zebra"}, holder=SHARED)
    found = store.read(
        lambda c: program.search(
            c,
            None,
            ANN,
            inbox,
            program.AllOf(),
            columns=["size"],
            sorted_by=[("/altsubject", ANN), ("/altsubject", SHARED)],
        )
    )
    assert found.uids == [1, 2, 3]
    assert found.columns["size"] == [len(HELLO)] * 3
    order = UNICODE.order
    assert found.annotations == [["", order("ähm"), ""], ["", "", order("Zebra")]]
