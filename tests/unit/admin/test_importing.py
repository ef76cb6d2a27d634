"""Imports: in batches, told apart by keys, and whole whatever interrupts them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postroom_admin.model import NewMessage
from postroom_admin.transfer.entry import Entry, Unimportable, check_size
from postroom_admin.transfer.importing import Import, Report
from postroom_admin.transfer.journal import Journal
from postroom_chassis.errors import Kind, PostroomError

from tests.unit.admin.fakes import FakeServices

LIMIT = 10 * 1024 * 1024


class Killed(BaseException):
    """The process is gone: nothing catches this."""


def entry(number: int, size: int = 20, mailbox: str = "INBOX", flag: str = "\\Seen") -> Entry:
    content = (b"%d\r\n" % number).ljust(size, b".")

    def read(limit: int) -> NewMessage:
        check_size(size, limit)
        return NewMessage(content, (flag,), number)

    return Entry(f"m{number}", mailbox, read)


def gone(number: int) -> Entry:
    def read(_limit: int) -> NewMessage:
        raise Unimportable("it can't be read")

    return Entry(f"m{number}", "INBOX", read)


async def run(
    services: FakeServices,
    path: Path,
    entries: Sequence[Entry],
    *,
    quota: int = 0,
    in_flight: int = 4,
    afresh: bool = False,
    told: Callable[[int], None] = lambda _: None,
) -> Report:
    if not services.directory.accounts:
        await services.with_account(quota=quota)
    journal = Journal.open(path / "journal", afresh=afresh)
    try:
        return await Import(
            services.store,
            await services.directory.get_account("ann@example.org"),
            journal,
            largest=LIMIT,
            in_flight=in_flight,
            told=told,
            pauses=(0.0, 0.0),
        ).run(entries)
    finally:
        journal.close()


async def test_all_messages_are_taken_over_in_batches(tmp_path: Path) -> None:
    services = FakeServices()
    done: list[int] = []
    report = await run(services, tmp_path, [entry(n) for n in range(1200)], told=done.append)
    assert (report.imported, report.before, report.skipped) == (1200, 0, [])
    assert services.store.imports == 3
    assert Counter(services.store.contents()) == Counter(
        (b"%d\r\n" % number).ljust(20, b".") for number in range(1200)
    )
    assert sum(done) == 1200


async def test_one_call_at_a_time_keeps_the_order(tmp_path: Path) -> None:
    services = FakeServices()
    await run(services, tmp_path, [entry(n) for n in range(1200)], in_flight=1)
    dates = [message.internaldate for message in services.store.mailboxes[1, "INBOX"]]
    assert dates == list(range(1200))


async def test_a_batch_has_one_mailbox_and_at_most_a_mebibyte(tmp_path: Path) -> None:
    services = FakeServices()
    half = 512 * 1024
    entries = [entry(1, half), entry(2, half), entry(3, 1), entry(4, 5, "Sent"), entry(5, 5)]
    await run(services, tmp_path, entries)
    assert services.store.imports == 4
    assert len(services.store.contents("Sent")) == 1


async def test_a_large_message_is_uploaded_and_goes_alone(tmp_path: Path) -> None:
    services = FakeServices()
    report = await run(services, tmp_path, [entry(1), entry(2, 3_000_000), entry(3)])
    assert report.imported == 3
    assert sorted(map(len, services.store.contents())) == [20, 20, 3_000_000]


async def test_what_cannot_be_read_or_is_too_large_is_reported_and_the_rest_taken(
    tmp_path: Path,
) -> None:
    services = FakeServices()
    report = await run(services, tmp_path, [entry(1), gone(2), entry(3, LIMIT + 1), entry(4)])
    assert report.imported == 2
    assert dict(report.skipped) == {
        "m2": "it can't be read",
        "m3": "it has 10,485,761 bytes, and 10,485,760 is the most (--max-size)",
    }


async def test_a_message_that_the_store_refuses_is_found_and_the_rest_of_its_batch_taken(
    tmp_path: Path,
) -> None:
    services = FakeServices()
    entries = [entry(n, flag="bad flag" if n in (3, 77) else "fine") for n in range(100)]
    report = await run(services, tmp_path, entries)
    assert report.imported == 98
    assert sorted(name for name, _ in report.skipped) == ["m3", "m77"]
    assert report.skipped[0][1] == "a keyword is 1 to 100 printable ASCII characters"


async def test_the_stores_own_limit_of_size_holds_too(tmp_path: Path) -> None:
    services = FakeServices()
    services.store.largest = 2_000_000
    report = await run(services, tmp_path, [entry(1), entry(2, 3_000_000), entry(3)])
    assert report.imported == 2
    assert report.skipped == [("m2", "the message is too large")]


async def test_a_second_run_takes_only_what_is_new(tmp_path: Path) -> None:
    services = FakeServices()
    await run(services, tmp_path, [entry(n) for n in range(10)])
    report = await run(services, tmp_path, [entry(n) for n in range(12)])
    assert (report.imported, report.before) == (2, 10)
    assert len(services.store.contents()) == 12


async def test_afresh_takes_everything_again(tmp_path: Path) -> None:
    services = FakeServices()
    await run(services, tmp_path, [entry(1)])
    report = await run(services, tmp_path, [entry(1)], afresh=True)
    assert report.imported == 1
    assert len(services.store.contents()) == 2


async def test_without_its_journal_a_run_is_still_recognised_by_the_store(tmp_path: Path) -> None:
    services = FakeServices()
    await run(services, tmp_path, [entry(n) for n in range(10)])
    (tmp_path / "journal").unlink()
    report = await run(services, tmp_path, [entry(n) for n in range(10)])
    assert report.imported == 10
    assert len(services.store.contents()) == 10


def raising(error: BaseException, *at: int) -> Callable[[int], None]:
    def check(count: int) -> None:
        if count in at:
            raise error

    return check


async def test_a_call_whose_answer_is_lost_is_repeated_with_its_key(tmp_path: Path) -> None:
    services = FakeServices()
    services.store.after = raising(PostroomError(Kind.UNAVAILABLE, "gone"), 1, 2)
    report = await run(services, tmp_path, [entry(n) for n in range(10)])
    assert report.imported == 10
    assert len(services.store.contents()) == 10


async def test_a_store_that_stays_away_stops_it_and_the_next_run_goes_on(tmp_path: Path) -> None:
    services = FakeServices()
    entries = [entry(n) for n in range(2000)]
    services.store.before = raising(PostroomError(Kind.UNAVAILABLE, "gone"), *range(2, 100))
    with pytest.raises(PostroomError, match="gone"):
        await run(services, tmp_path, entries)
    services.store.before = lambda _: None
    await run(services, tmp_path, entries)
    assert Counter(services.store.contents()) == Counter(one.read(LIMIT).content for one in entries)


async def test_over_quota_stops_it_at_once(tmp_path: Path) -> None:
    services = FakeServices()
    with pytest.raises(PostroomError, match="over its quota"):
        await run(services, tmp_path, [entry(n) for n in range(1000)], quota=15_000, in_flight=1)
    assert services.store.imports == 2
    assert len(services.store.contents()) == 500
    await services.directory.update_account("ann@example.org", quota_bytes=0)
    report = await run(services, tmp_path, [entry(n) for n in range(1000)])
    assert (report.imported, report.before) == (500, 500)


@pytest.mark.parametrize("committed", [False, True])
async def test_messages_that_are_away_for_one_run_are_taken_once_all_the_same(
    tmp_path: Path, committed: bool
) -> None:
    services = FakeServices()
    if committed:
        services.store.after = raising(Killed(), 1)
    else:
        services.store.before = raising(Killed(), 1)
    with pytest.raises(Killed):
        await run(services, tmp_path, [entry(n) for n in range(10)])
    await run(services, tmp_path, [entry(n) for n in range(5, 10)])
    assert len(services.store.contents()) == (10 if committed else 5)
    await run(services, tmp_path, [entry(n) for n in range(10)])
    assert Counter(services.store.contents()) == Counter(
        entry(n).read(LIMIT).content for n in range(10)
    )


@settings(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 4000),
    deaths=st.lists(st.tuples(st.booleans(), st.integers(1, 6)), max_size=4),
    torn=st.booleans(),
)
def test_killed_anywhere_any_number_of_times_nothing_is_lost_or_doubled(
    tmp_path_factory: pytest.TempPathFactory,
    count: int,
    deaths: list[tuple[bool, int]],
    torn: bool,
) -> None:
    path = tmp_path_factory.mktemp("import")
    services = FakeServices()
    entries = [entry(number) for number in range(count)]

    async def live_and_die() -> None:
        for after, at in deaths:
            services.store.imports = 0
            services.store.before = services.store.after = lambda _: None
            death = raising(Killed(), at)
            if after:
                services.store.after = death
            else:
                services.store.before = death
            try:
                await run(services, path, entries)
            except Killed:
                if torn:
                    with (path / "journal").open("a") as journal:
                        journal.write('{"begin": "00ff", "mailb')
        services.store.before = services.store.after = lambda _: None
        await run(services, path, entries)

    asyncio.run(live_and_die())
    assert Counter(services.store.contents()) == Counter(one.read(LIMIT).content for one in entries)


async def test_stopping_finishes_what_is_under_way(tmp_path: Path) -> None:
    services = FakeServices()
    account = await services.with_account()
    journal = Journal.open(tmp_path / "journal")
    importing = Import(services.store, account, journal, largest=LIMIT, in_flight=1)
    services.store.before = lambda count: importing.stop() if count == 2 else None
    report = await importing.run([entry(n) for n in range(5000)])
    journal.close()
    assert report.interrupted
    assert report.imported == len(services.store.contents()) == 1000


def test_two_imports_of_one_source_at_once_are_refused(tmp_path: Path) -> None:
    first = Journal.open(tmp_path / "journal")
    with pytest.raises(PostroomError) as refused:
        Journal.open(tmp_path / "journal")
    assert refused.value.kind is Kind.IN_USE
    first.close()
    Journal.open(tmp_path / "journal").close()


@pytest.mark.parametrize("text", ["something else\n", '{"a": 1}\n', "[]\n", '"x"\n', "\xff\n"])
def test_a_file_that_is_no_journal_is_refused_and_kept(tmp_path: Path, text: str) -> None:
    path = tmp_path / "journal"
    path.write_text(text)
    with pytest.raises(PostroomError, match="is not the journal of an import"):
        Journal.open(path)
    assert path.read_text() == text


def test_names_that_are_not_unicode_are_remembered(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    names = ["a\udcff", "ü"]
    journal.finish(journal.begin(1, "INBOX", names), names)
    journal.begin(1, "INBOX", ["b\n"])
    journal.close()
    again = Journal.open(tmp_path / "journal")
    assert again.done == {"a\udcff", "ü"}
    assert [begun.identities for begun in again.unfinished.values()] == [("b\n",)]
    again.close()
    for line in (tmp_path / "journal").read_text().splitlines():
        assert isinstance(json.loads(line), dict)


def test_keys_name_account_mailbox_and_messages(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journal")
    begin = partial(journal.begin, 1, "INBOX")
    keys = [
        begin(["a", "b"]).key,
        begin(["ab"]).key,
        journal.begin(2, "INBOX", ["a", "b"]).key,
        journal.begin(1, "Sent", ["a", "b"]).key,
    ]
    assert len(set(keys)) == 4
    assert begin(["a", "b"]).key == keys[0]
    journal.close()
