"""What a client alone can't bring about: limits, drains, lost answers, late news, ended tickets."""

from __future__ import annotations

import asyncio
import importlib

import pytest
from postroom_chassis import tickets
from postroom_chassis.errors import Kind, PostroomError
from postroom_imap import views as views_module
from postroom_imap.ports.messages import FlagMode
from postroom_imap.remote.messages import RemoteMessages
from postroom_store.rpc import encoding as store_encoding

from tests.protocol.imap.front import FrontAlone
from tests.protocol.imap.system import Imap, small

# The package has a handler of the same name.
fetch_module = importlib.import_module("postroom_imap.commands.fetch")


async def test_local_commands_make_no_call(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=3)
    alone.calls.clear()
    for command in (
        "NOOP",
        "CHECK",
        "STATUS INBOX (MESSAGES)",
        "FETCH 1:* (UID FLAGS)",
        "SEARCH UNSEEN UID 1:2",
        "UID SEARCH 1:2 NOT DELETED",
    ):
        await client.ok(command)
    assert not alone.calls.made


async def test_other_commands_make_one_call(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=3)
    for command, calls in {
        "SELECT INBOX": {"status": 1},
        "FETCH 1:* (ENVELOPE BODYSTRUCTURE)": {"fetch": 1},
        "FETCH 1:2 (ENVELOPE BODYSTRUCTURE)": {},
        "STORE 1:3 +FLAGS (\\Seen)": {"store_flags": 1},
        "COPY 1:3 Trash": {"copy": 1},
        "SEARCH TEXT hello": {"search": 1},
        "STATUS Trash (MESSAGES)": {"status": 1},
        'LIST "" *': {"list": 1},
        "EXPUNGE": {"expunge": 1},
    }.items():
        alone.calls.clear()
        await client.ok(command)
        assert alone.calls.made == calls, command


async def test_a_message_is_read_and_marked_in_one_round_trip(
    imap: Imap, alone: FrontAlone
) -> None:
    client = await imap.select(messages=2)
    alone.calls.clear()
    with alone.calls.answers_held("store_flags"):
        tag = await client.start("FETCH 2 (BODY[TEXT])")
        async with asyncio.timeout(20):
            while not alone.calls.made["fetch"]:  # noqa: ASYNC110 (nobody tells)
                await asyncio.sleep(0.001)
    told, done = await client.finish(tag)
    assert done.startswith("OK")
    assert [line.partition("BODY")[0] for line in told] == ["* 2 FETCH (FLAGS (\\Seen) "]
    assert alone.calls.made == {"store_flags": 1, "fetch": 1}


async def test_messages_far_apart_are_fetched_by_several_calls(
    imap: Imap, alone: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await imap.select(messages=20)
    for number in range(2, 21, 2):
        await client.ok(f"FETCH {number} (ENVELOPE)")
    monkeypatch.setattr(fetch_module, "MOST_RANGES", 3)
    monkeypatch.setattr(store_encoding, "MOST_RANGES", 3)
    alone.calls.clear()
    lines = await client.ok("FETCH 1:* (ENVELOPE)")
    assert [line.split()[1] for line in lines] == [str(number) for number in range(1, 21)]
    assert all(f"message {number}" in line for number, line in enumerate(lines, 1))
    assert alone.calls.made == {"fetch": 4}


async def test_messages_far_apart_are_marked_seen(
    imap: Imap, alone: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await imap.select(messages=20)
    for number in range(2, 21, 2):
        await client.ok(f"STORE {number} +FLAGS.SILENT (\\Seen)")
    monkeypatch.setattr(fetch_module, "MOST_RANGES", 3)
    monkeypatch.setattr(store_encoding, "MOST_RANGES", 3)
    assert len(await client.ok("FETCH 1:* (BODY[TEXT])")) == 20
    assert await client.ok("SEARCH UNSEEN") == ["* SEARCH"]


async def test_a_walk_over_bodies_makes_few_calls(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=100)
    alone.calls.clear()
    for number in range(1, 101):
        await client.ok(f"UID FETCH {number} (BODY.PEEK[])")
    assert alone.calls.made["fetch"] <= 4


async def test_news_that_come_before_the_answer(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=2)
    other = await imap.select()
    await other.send(b"i IDLE\r\n")
    await other.expect("+ idling")
    with alone.calls.answers_held("store_flags"):
        tag = await client.start("STORE 1 +FLAGS.SILENT (\\Flagged)")
        await other.expect("* 1 FETCH (FLAGS (\\Flagged))")
    told, done = await client.finish(tag)
    assert done.startswith("OK")
    assert told == []
    assert await client.ok("NOOP") == []


async def test_an_expunge_whose_news_come_before_the_answer(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=2)
    await client.ok("STORE 1 +FLAGS (\\Deleted)")
    other = await imap.select()
    await other.send(b"i IDLE\r\n")
    await other.expect("+ idling")
    with alone.calls.answers_held("expunge"):
        tag = await client.start("EXPUNGE")
        await other.expect("* 1 EXPUNGE")
    told, done = await client.finish(tag)
    assert done.startswith("OK")
    assert told == ["* 1 EXPUNGE"]


async def test_news_that_come_after_the_answer(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=2)
    other = await imap.select()
    alone.changes.hold()
    await client.ok("STORE 1 +FLAGS.SILENT (\\Flagged)")
    await alone.changes.held(1)
    alone.changes.tell()
    assert await client.ok("NOOP") == []
    assert await other.ok("NOOP") == ["* 1 FETCH (FLAGS (\\Flagged))"]


async def test_an_answer_waits_for_what_lies_before_it(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=2)
    alone.changes.hold()
    ticket = alone.ticket(imap.person.name)
    inbox = await alone.ports.mailboxes.status(ticket, "INBOX")
    await alone.ports.messages.store_flags(
        ticket, (ticket.account_id, inbox.mailbox_id), [(1, 1)], FlagMode.ADD, ["\\Answered"]
    )
    await alone.changes.held(1)
    tag = await client.start("STORE 2 +FLAGS (\\Flagged)")
    await alone.calls.answered("store_flags", 1)
    alone.changes.tell()
    told, done = await client.finish(tag)
    assert done.startswith("OK")
    assert told == ["* 1 FETCH (FLAGS (\\Answered))", "* 2 FETCH (FLAGS (\\Flagged))"]


async def test_a_view_that_lost_its_stream_is_read_anew(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=3)
    other = await imap.login()
    alone.changes.lose()
    await other.append("Trash", small(1))
    ticket = alone.ticket(imap.person.name)
    inbox = await alone.ports.mailboxes.status(ticket, "INBOX")
    await alone.ports.messages.move(
        ticket, (ticket.account_id, inbox.mailbox_id), [(2, 2)], "Trash"
    )
    assert await client.ok("NOOP") == ["* 2 EXPUNGE"]
    await other.append("INBOX", small(4))
    assert (await client.ok("NOOP"))[0] == "* 3 EXISTS"


async def test_a_view_that_lost_its_stream_is_read_anew_for_those_who_idle(
    imap: Imap, alone: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views_module, "REPAIR_SECONDS", 0.01)
    client = await imap.select()
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    alone.calls.faults["open"] = [PostroomError(Kind.UNAVAILABLE, "away")] * 2
    alone.changes.lose()
    await alone.fill(imap.person.name, 1)
    await client.expect("* 1 EXISTS", "* 1 RECENT")
    await alone.fill(imap.person.name, 1)
    await client.expect("* 2 EXISTS", "* 2 RECENT")


async def test_a_mailbox_can_be_left_while_the_store_is_away(imap: Imap, alone: FrontAlone) -> None:
    clients = [await imap.select(messages=1) for _ in range(3)]
    alone.changes.lose()
    alone.calls.faults["open"] = [PostroomError(Kind.UNAVAILABLE, "away")]
    alone.calls.clear()
    await clients[0].ok("UNSELECT")
    await clients[1].send(b"l LOGOUT\r\n")
    await clients[1].expect("* BYE ...", "l OK ...")
    assert not alone.calls.made
    await clients[2].no("NOOP")
    await clients[2].ok("SELECT Trash")


async def test_who_idles_and_reads_late_is_told_all(imap: Imap, alone: FrontAlone) -> None:
    keywords = f"{'k' * 100} {'l' * 100}"
    await alone.fill(imap.person.name, 3000)
    other = await imap.select()
    client = await alone.connect_slowly()
    await client.expect("* OK ...")
    await client.ok(f'LOGIN "{imap.person.name}" "{imap.person.password}"')
    await client.ok("SELECT INBOX")
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    # 9 MB of news, of which the client reads nothing meanwhile.
    for sign in "+-" * 6:
        await other.ok(f"STORE 1:* {sign}FLAGS.SILENT ({keywords})")
    await other.ok("STORE 1:* FLAGS.SILENT (last)")
    told = 0
    while told < 3000:
        told += (await client.hear()).endswith(b"FETCH (FLAGS (last))")


async def test_a_store_that_is_away(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=1)
    alone.calls.faults["copy"] = [PostroomError(Kind.UNAVAILABLE, "10.0.0.1 refused")]
    _, done = await client.transact("COPY 1 Trash")
    assert done.startswith("NO [UNAVAILABLE] ")
    assert "10.0.0.1" not in done
    await client.ok("COPY 1 Trash")


async def test_a_bug_is_told_without_its_details(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=1)
    alone.calls.faults["copy"] = [ZeroDivisionError("the secret")]
    _, done = await client.transact("COPY 1 Trash")
    assert done.startswith("NO [SERVERBUG] ")
    assert "secret" not in done


async def test_a_full_quota(imap: Imap, alone: FrontAlone) -> None:
    client = await Imap(alone, await alone.person(quota_bytes=100)).login()
    await client.send(b"a APPEND INBOX {200+}\r\n%b\r\n" % (b"x" * 200))
    await client.expect("a NO [OVERQUOTA] ...")


async def test_a_fetch_that_breaks_in_a_literal_ends_the_connection(
    imap: Imap, alone: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = await imap.select()
    await client.append("INBOX", b"x" * 3_000_000)
    whole = RemoteMessages.fetch

    async def broken(*arguments: object):  # type: ignore[no-untyped-def]
        async for batch in whole(*arguments):  # type: ignore[arg-type]
            yield batch
            raise PostroomError(Kind.UNAVAILABLE, "lost")

    monkeypatch.setattr(RemoteMessages, "fetch", broken)
    await client.send(b"f FETCH 1 BODY.PEEK[]\r\n")
    with pytest.raises(asyncio.IncompleteReadError):
        await client.hear()


@pytest.mark.parametrize("bounds", [{"append_bytes": 2000}])
async def test_too_large_a_message(imap: Imap) -> None:
    client = await imap.login()
    await client.send(b"a APPEND INBOX {2001}\r\n")
    await client.expect("a NO [TOOBIG] ...")
    await client.send(b"b APPEND INBOX {300000+}\r\n" + b"x" * 300_000 + b"\r\nc NOOP\r\n")
    await client.expect("b NO [TOOBIG] ...", "c OK ...")
    await client.send(b"d APPEND INBOX {99999999999+}\r\n")
    await client.expect("* BYE [TOOBIG] ...")
    await client.expect_end()


@pytest.mark.parametrize("bounds", [{"bad_commands": 3}])
async def test_too_many_bad_commands(imap: Imap) -> None:
    client = await imap.connect()
    await client.bad("WHAT")
    await client.bad("LOGIN")
    await client.send(b"x WHAT\r\n")
    await client.expect("x BAD ...", "* BYE [CLIENTBUG] ...")
    await client.expect_end()


async def test_an_endless_line(imap: Imap) -> None:
    client = await imap.connect()
    await client.send(b"x" * 200_000)
    await client.expect("* BYE ...")


@pytest.mark.parametrize("bounds", [{"login_seconds": 0.2}])
async def test_silence_before_login(imap: Imap) -> None:
    client = await imap.connect()
    await client.expect("* BYE ...")
    await client.expect_end()


@pytest.mark.parametrize("bounds", [{"autologout_seconds": 0.2}])
@pytest.mark.parametrize("command", [b"", b"i IDLE\r\n"])
async def test_silence_after_login(imap: Imap, command: bytes) -> None:
    client = await imap.select()
    await client.send(command)
    if command:
        await client.expect("+ idling")
    await client.expect("* BYE ...")
    await client.expect_end()


@pytest.mark.parametrize("bounds", [{"list_results": 3}])
async def test_too_many_mailboxes(imap: Imap) -> None:
    client = await imap.login()
    await client.no('LIST "" *', "NO [LIMIT] ...")
    assert len(await client.ok('LIST "" S*')) == 1


@pytest.mark.parametrize("command", [b"", b"i IDLE\r\n"])
async def test_a_drain_says_goodbye(imap: Imap, alone: FrontAlone, command: bytes) -> None:
    client = await imap.select()
    await client.send(command)
    if command:
        await client.expect("+ idling")
    await alone.service.drain(5)
    await client.expect("* BYE [UNAVAILABLE] ...")
    await client.expect_end()


async def test_a_session_whose_renewal_is_refused_ends(
    imap: Imap, alone: FrontAlone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tickets, "RENEW_AT", (0.0002, 0.0004))  # of 300 seconds
    client = await imap.select()
    await client.send(b"i IDLE\r\n")
    await client.expect("+ idling")
    await alone.calls.answered("renew", 2)  # it lives on renewed tickets
    await alone.disable(imap.person.name)
    await client.expect("* BYE [EXPIRED] ...")
    await client.expect_end()


async def test_a_ticket_that_the_store_refuses_ends_the_session(
    imap: Imap, alone: FrontAlone
) -> None:
    client = await imap.select(messages=1)
    alone.calls.faults["copy"] = [PostroomError(Kind.EXPIRED, "the ticket has expired")]
    await client.send(b"c COPY 1 Trash\r\n")
    await client.expect("c NO [EXPIRED] ...", "* BYE [EXPIRED] ...")
    await client.expect_end()


async def test_views_are_shared_and_stay_warm(imap: Imap, alone: FrontAlone) -> None:
    first = await imap.select(messages=2)
    await imap.select()
    assert alone.calls.made["open"] == 1
    await first.ok("UNSELECT")
    await first.append("INBOX", small(3))
    assert "* 3 EXISTS" in await first.ok("SELECT INBOX")
    assert alone.calls.made["open"] == 1


async def test_one_person_sees_nothing_of_anothers(imap: Imap, alone: FrontAlone) -> None:
    client = await imap.select(messages=2)
    await client.ok("FETCH 1:* (ENVELOPE)")
    stranger = await Imap(alone, await alone.person()).select(messages=1)
    (line,) = await stranger.ok("FETCH 1:* (ENVELOPE)")
    assert "message 1" in line
    await client.append("INBOX", small(3))
    assert await stranger.ok("NOOP") == []
    assert await stranger.ok("SEARCH ALL") == ["* SEARCH 1"]
