"""CHUNKING and BINARYMIME (RFC 3030)."""

from __future__ import annotations

import pytest

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import Person, System, greeted, stuffed, told, without_trace
from tests.protocol.wire import Wire


async def begin(wire: Wire, person: Person, parameters: str = "") -> None:
    await wire.play(
        f"""
        C: MAIL FROM:<a@client.example>{parameters}
        S: 250 2.1.0 ...
        C: RCPT TO:<{person.name}>
        S: 250 2.1.5 ...
        """
    )


async def bdat(wire: Wire, chunk: bytes, last: str = "") -> None:
    await wire.send(b"BDAT %d%b\r\n" % (len(chunk), last.encode()) + chunk)


async def test_both_are_offered(system: System) -> None:
    assert {"CHUNKING", "BINARYMIME"} <= set(await told(system))


async def test_the_example_of_rfc_3030_section_4_1(system: System) -> None:
    """A message in one chunk, and one in binary in two."""
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    content = b"To: Susan@random.example\r\nFrom: Sam@random.example\r\n" + b"x" * 39 + b"\r\n"
    await bdat(wire, content, " LAST")
    await wire.expect("250 2.0.0 taken as ...")
    await begin(wire, ann, " BODY=BINARYMIME")
    first, second = b"Subject: b\r\n\r\n" + bytes(range(256)) * 100, b"\r\n.\r\n\n\r\0.\n\r"
    await bdat(wire, first)
    await bdat(wire, second, " last")
    await wire.play(
        f"""
        S: 250 2.0.0 {len(first)} octets ...
        S: 250 2.0.0 taken as ...
        C: QUIT
        S: 221 2.0.0 ...
        """
    )
    one, two = await system.inbox(ann)
    assert without_trace(one) == content
    assert without_trace(two) == first + second


async def test_the_pipelined_example_of_rfc_3030_section_4_2(system: System) -> None:
    """All of it at once, with a recipient that fails and the chunks behind it."""
    ann = await system.person()
    wire = await greeted(system)
    await wire.send(
        f"MAIL FROM:<ned@ymir.claremont.example>\r\nRCPT TO:<nobody@{system.domain}>\r\n".encode()
        + f"RCPT TO:<{ann.name}>\r\n".encode()
        + b"BDAT 6\r\nSubjecBDAT 0\r\nBDAT 7 LAST\r\nt: hi\r\nQUIT\r\n"
    )
    await wire.play(
        """
        S: 250 2.1.0 ...
        S: 550 5.1.1 ...
        S: 250 2.1.5 ...
        S: 250 2.0.0 6 octets ...
        S: 250 2.0.0 6 octets ...
        S: 250 2.0.0 taken as ...
        S: 221 2.0.0 ...
        """
    )
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == b"Subject: hi\r\n"


@pytest.mark.parametrize("last", [b"BDAT 0 LAST\r\n", b"bdat 00   last\r\n"])
@pytest.mark.parametrize("content", [b"", b"Subject: x\r\n", b"no end of line"])
async def test_the_last_chunk_may_be_empty(system: System, content: bytes, last: bytes) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    if content:
        await bdat(wire, content)
        await wire.expect("250 2.0.0 ...")
    await wire.send(last)
    await wire.expect("250 2.0.0 taken as ...")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored + b"\r\n\r\n").startswith(content)


async def test_chunks_are_read_where_nobody_gets_them(system: System) -> None:
    """RFC 3030 section 2: their octets must go, whatever the reply."""
    wire = await greeted(system)
    await bdat(wire, b"RSET\r\nQUIT\r\n", " LAST")
    await wire.play("S: 503 5.5.1 ...\nC: MAIL FROM:<a@client.example>\nS: 250 ...")
    await bdat(wire, b"QUIT\r\n")
    await wire.expect("503 5.5.1 ...")
    await wire.play(f"C: RCPT TO:<nobody@{system.domain}>\nS: 550 5.1.1 ...")
    await bdat(wire, b"QUIT\r\n" * 100_000, " LAST")
    await wire.play("S: 503 5.5.1 ...\nC: NOOP\nS: 250 2.0.0 OK")


async def test_after_a_chunk_only_chunks_come(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    await bdat(wire, b"one\r\n")
    await wire.play(
        f"""
        S: 250 2.0.0 ...
        C: DATA
        S: 503 5.5.1 ...
        C: RCPT TO:<{ann.name}>
        S: 503 5.5.1 ...
        C: MAIL FROM:<b@client.example>
        S: 503 5.5.1 ...
        C: NOOP
        S: 250 2.0.0 OK
        """
    )
    await bdat(wire, b"two\r\n", " LAST")
    await wire.expect("250 2.0.0 taken as ...")
    # After the last one there is no transaction.
    await bdat(wire, b"three\r\n", " LAST")
    await wire.expect("503 5.5.1 ...")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == b"one\r\ntwo\r\n"


@pytest.mark.parametrize("command", ["RSET", "EHLO again", "HELO again"])
async def test_a_message_may_be_given_up(system: System, command: str) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    await bdat(wire, b"one\r\n")
    await wire.expect("250 2.0.0 ...")
    await wire.say(command)
    while (await wire.hear())[3] == "-":
        pass
    await begin(wire, ann)
    await bdat(wire, b"two\r\n", " LAST")
    await wire.expect("250 2.0.0 taken as ...")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == b"two\r\n"


async def test_a_client_that_leaves_within_a_message_delivers_nothing(system: FrontAlone) -> None:
    ann = await system.person()
    for sent in (b"BDAT 10\r\n12345", b"BDAT 5\r\n12345", b"BDAT 10 LAST\r\n12345"):
        wire = await greeted(system)
        await begin(wire, ann)
        await wire.send(sent)
        wire.say_no_more()
        await wire.hear_rest()
    assert system.store.tries == []


async def test_binary_must_come_in_chunks(system: System) -> None:
    """RFC 3030 section 3: DATA ends with a line."""
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann, " BODY=BINARYMIME")
    await wire.play("C: DATA\nS: 503 5.5.1 ...")
    await bdat(wire, b"\r\n\n\r\0", " LAST")
    await wire.expect("250 2.0.0 ...")


@pytest.mark.parametrize("chunks", [[b"a\nb"], [b"a\r", b"b\r\n"], [b"a\r"], [b"a\r\n", b"\nb"]])
async def test_text_has_lines(system: System, chunks: list[bytes]) -> None:
    """RFC 3030 section 3: only what is declared binary may have a CR or an LF by itself."""
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    *others, last = chunks
    heard = []
    for chunk in others:
        await bdat(wire, chunk)
        heard.append((await wire.hear())[:9])
    await bdat(wire, last, " LAST")
    heard.append((await wire.hear())[:9])
    assert "550 5.6.0" in heard
    assert await system.inbox(ann) == []
    await wire.play("C: NOOP\nS: 250 2.0.0 OK")


async def test_line_ends_may_be_split_between_chunks(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    for chunk in (b"a\r", b"\n", b".\r", b"\n.", b"\r\nb\r"):
        await bdat(wire, chunk)
        await wire.expect("250 2.0.0 ...")
    await bdat(wire, b"\n", " LAST")
    await wire.expect("250 2.0.0 taken as ...")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == b"a\r\n.\r\n.\r\nb\r\n"


@pytest.mark.parametrize(
    "argument", ["", "-1", "+1", "1 FIRST", "LAST", "0x10", "1e3", "9" * 19, "1 LAST 2", "1\u0661"]
)
async def test_a_chunk_without_a_size_ends_the_connection(system: System, argument: str) -> None:
    """Where it ends nobody knows, and what it holds must not be taken for commands."""
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    await wire.send(f"BDAT {argument}\r\nNOOP\r\n".encode())
    heard = (await wire.hear_rest()).decode()
    assert heard[:9] in ("501 5.5.4", "500 5.5.2")
    assert heard.count("\r\n") == 1


@pytest.mark.parametrize("settings", [{"message_bytes": 2_000_000}])
async def test_too_large_by_its_chunks(system: FrontAlone) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    line = b"x" * 998 + b"\r\n"
    await bdat(wire, line * 1_500)
    await wire.expect("250 2.0.0 ...")
    await bdat(wire, line * 1_500)
    await wire.expect("552 5.3.4 ...")
    # The transaction has failed: the chunks that were on their way are read, and mean nothing.
    await bdat(wire, line * 10, " LAST")
    await wire.expect("503 5.5.1 ...")
    await begin(wire, ann)
    await bdat(wire, line * 2_000, " LAST")
    await wire.expect("250 2.0.0 taken as ...")
    await begin(wire, ann)
    await bdat(wire, line * 10)
    await wire.expect("250 2.0.0 ...")
    await bdat(wire, line * 2_000, " LAST")
    await wire.expect("552 5.3.4 ...")
    assert len(system.store.taken) == 1


async def test_dots_are_nothing_special(system: System) -> None:
    ann = await system.person()
    wire = await greeted(system)
    await begin(wire, ann)
    content = stuffed(b"..\r\n") + b"QUIT\r\n.\r\n"
    await bdat(wire, content, " LAST")
    await wire.expect("250 2.0.0 taken as ...")
    (stored,) = await system.inbox(ann)
    assert without_trace(stored) == content


@pytest.mark.parametrize("settings", [{"data_seconds": 0.01}, {"message_seconds": 0.01}])
async def test_a_chunk_that_does_not_come_is_not_waited_for(system: FrontAlone) -> None:
    ann = await system.person()
    for recipient in (True, False):
        wire = await greeted(system)
        if recipient:
            await begin(wire, ann)
        await wire.send(b"BDAT 1000000000000 LAST\r\nabc")
        await wire.play("S: 421 4.4.2 ...\nS: (closed)")
    assert system.store.tries == []
