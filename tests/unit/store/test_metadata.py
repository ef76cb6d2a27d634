"""Annotations of mailboxes and of the server."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_store import mailboxes, maintenance, metadata, reading
from postroom_store.domain import entries, special_uses
from postroom_store.metadata import Wanted

from .conftest import Store

ANN, BOB = 7, 8
LIMITS = mailboxes.Limits(100)


async def write(
    store: Store, name: str, values: dict[str, bytes | None], holder: int = ANN
) -> None:
    await store.write(lambda t: metadata.write(t, ANN, name, holder, values))


def values(
    store: Store, name: str, *wanted: str, holder: int = ANN, depth: int | None = 0
) -> dict[str, bytes]:
    return store.read(lambda c: metadata.read(c, ANN, name, holder, Wanted(wanted, depth))).values


async def test_set_replace_remove(store: Store) -> None:
    await write(store, "INBOX", {"/shared/comment": b"one", "/private/comment": b"\0\xff"})
    await write(store, "INBOX", {"/shared/comment": b"two"})
    both = ("/private/comment", "/shared/comment")
    assert values(store, "INBOX", *both) == {
        "/private/comment": b"\0\xff",
        "/shared/comment": b"two",
    }
    await write(store, "INBOX", {"/shared/comment": None, "/shared/other": None})
    assert values(store, "INBOX", *both) == {"/private/comment": b"\0\xff"}
    assert values(store, "", *both) == {}


async def test_private_ones_are_each_holder_s(store: Store) -> None:
    await write(store, "INBOX", {"/private/comment": b"ann", "/shared/comment": b"all"})
    await write(store, "INBOX", {"/private/comment": b"bob"}, BOB)
    wanted = ("/private/comment", "/shared/comment")
    assert list(values(store, "INBOX", *wanted).values()) == [b"ann", b"all"]
    assert list(values(store, "INBOX", *wanted, holder=BOB).values()) == [b"bob", b"all"]


@pytest.mark.parametrize(
    ("wanted", "depth", "found"),
    [
        (["/private/a"], 0, ["/private/a"]),
        (["/private/a"], 1, ["/private/a", "/private/a/b"]),
        (["/private/a"], None, ["/private/a", "/private/a/b", "/private/a/b/c"]),
        (["/private"], 1, ["/private/a", "/private/a0", "/private/a_", "/private/ab"]),
        (["/private/a/b", "/shared"], None, ["/private/a/b", "/private/a/b/c", "/shared/a"]),
    ],
)
async def test_entries_below(
    store: Store, wanted: Sequence[str], depth: int | None, found: Sequence[str]
) -> None:
    names = ["a", "a/b", "a/b/c", "a0", "a_", "ab"]
    await write(store, "INBOX", {f"/private/{name}": b"x" for name in names} | {"/shared/a": b"x"})
    assert list(values(store, "INBOX", *wanted, depth=depth)) == found


async def test_long_values_are_left_out(store: Store) -> None:
    await write(store, "INBOX", {"/private/a": b"12345", "/private/b": b"1234", "/private/c": b"1"})
    wanted = Wanted(["/private/a", "/private/b", "/private/c"], 0, 3)
    found = store.read(lambda c: metadata.read(c, ANN, "INBOX", ANN, wanted))
    assert (found.values, found.longest) == ({"/private/c": b"1"}, 5)


async def test_limits(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "MOST_OF_MAILBOX", 3)
    monkeypatch.setattr(metadata, "MOST_BYTES", 100)
    monkeypatch.setattr(metadata, "MOST_VALUE_BYTES", 60)

    async def refused(values: dict[str, bytes | None], name: str = "INBOX") -> Kind:
        with pytest.raises(PostroomError) as error:
            await write(store, name, values)
        return error.value.kind

    await write(store, "INBOX", {"/private/a": b"x", "/private/b": b"x", "/private/c": b"x"})
    assert await refused({"/private/d": b"x"}) is Kind.LIMIT_EXCEEDED
    assert await refused({"/private/a": b"x" * 61}) is Kind.TOO_LARGE
    await write(store, "INBOX", {"/private/a": b"x" * 60})
    assert await refused({"/private/d": b"x" * 40}, "Sent") is Kind.OVER_QUOTA
    assert await refused({"/shared/comment": b"x"}, "") is Kind.DENIED
    assert await refused({"/private/a": b"x"}, "nowhere") is Kind.NOT_FOUND


async def test_they_go_where_their_mailbox_goes(store: Store) -> None:
    await store.write(lambda t: mailboxes.create(t, ANN, "a/b", 0, LIMITS))
    for name in ("a", "a/b", "INBOX"):
        await write(store, name, {"/shared/comment": name.encode()})
    await store.write(lambda t: mailboxes.rename(t, ANN, "a", "c", LIMITS))
    await store.write(lambda t: mailboxes.rename(t, ANN, "INBOX", "old", LIMITS))
    kept = {name: values(store, name, "/shared/comment") for name in ("c", "c/b", "INBOX", "old")}
    assert kept == {
        "c": {"/shared/comment": b"a"},
        "c/b": {"/shared/comment": b"a/b"},
        "INBOX": {"/shared/comment": b"INBOX"},
        "old": {"/shared/comment": b"INBOX"},
    }
    await store.write(lambda t: mailboxes.remove(t, ANN, "c"))
    assert values(store, "c", "/shared/comment") == {}
    assert values(store, "c/b", "/shared/comment") == {"/shared/comment": b"a/b"}
    with pytest.raises(PostroomError):
        store.read(lambda c: reading.find_mailbox_named(c, ANN, "c"))


async def test_all_mailboxes_at_once(store: Store) -> None:
    await write(store, "INBOX", {"/shared/comment": b"inbox", "/private/x": b"x"})
    await write(store, "Sent", {"/shared/comment": b"sent"})
    await write(store, "", {"/private/x": b"server"})
    found = store.read(lambda c: metadata.read_all(c, ANN, ANN, ["/shared/comment"]))
    assert sorted(found.values(), key=str) == [
        {"/shared/comment": b"inbox"},
        {"/shared/comment": b"sent"},
    ]


async def test_special_uses(store: Store) -> None:
    use = entries.SPECIAL_USE
    await store.write(lambda t: t.account(ANN))
    assert values(store, "Sent", use) == {use: b"\\Sent"}
    await write(store, "Archive", {use: b"\\Archive \\SENT", "/private/x": b"x"})
    assert values(store, "Sent", use) == {}
    assert values(store, "Archive", "/private", depth=None) == {
        use: b"\\Archive \\Sent",
        "/private/x": b"x",
    }
    for name, value in (("Archive", b"\\All"), ("INBOX", b"\\Sent"), ("Archive", b"Sent")):
        with pytest.raises(PostroomError) as refused:
            await write(store, name, {use: value, "/private/x": None})
        assert refused.value.kind is Kind.UNSUPPORTED
    assert values(store, "Archive", "/private/x") == {"/private/x": b"x"}
    await write(store, "Archive", {use: None})
    listed, _ = store.read(lambda c: reading.list_mailboxes(c, ANN, ""))
    assert {one.name for one in listed if one.mailbox and one.mailbox.special_use} == {
        "Drafts",
        "Junk",
        "Trash",
    }
    assert special_uses.attributes_of(special_uses.SENT) == "\\Sent"


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "/",
        "/private/",
        "/private//x",
        "/other/x",
        "private/x",
        "/shared/a*",
        "/shared/%",
        "/shared/\x01",
        "/shared/\xe4",
        "/shared/" + "x" * 1000,
    ],
)
def test_names_that_can_t_be(entry: str) -> None:
    with pytest.raises(PostroomError) as refused:
        entries.canonical(entry)
    assert refused.value.kind is Kind.INVALID


async def test_a_purge_takes_them_along(store: Store) -> None:
    await write(store, "INBOX", {"/shared/comment": b"x"})
    while await store.write(lambda t: maintenance.purge_step(t, None, ANN)):
        pass
    assert store.read(lambda c: metadata.read_all(c, ANN, ANN, ["/shared/comment"])) == {}
