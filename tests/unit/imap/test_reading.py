"""Commands as they arrive: whole, in pieces, too long, with literals of both kinds."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postroom_chassis.net.stream import ByteStream, EndOfStream
from postroom_imap.protocol.commands import Fetch, List, Login, Noop, Select
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.reading import (
    READY,
    Done,
    SaslCancel,
    read_done,
    read_sasl_response,
)
from postroom_imap.protocol.secret import Secret
from postroom_imap.protocol.state import State
from postroom_imap.protocol.table import Request

from tests.unit.imap.wire import Client, drive

NOOP = Request(b"z", Noop())
SMALL = Limits(line=64, literals=20, discard=200, sasl_line=64)


def reply(result: object) -> bytes:
    assert isinstance(result, InvalidCommand), result
    return result.reply()


class TestLines:
    def test_a_line(self) -> None:
        assert Client().sends(b"a NOOP\r\n") == Request(b"a", Noop())

    def test_byte_by_byte(self) -> None:
        assert Client().sends(*(b"%c" % octet for octet in b"z noop\r\n")) == NOOP

    def test_a_bare_line_feed_ends_a_line(self) -> None:
        assert Client().sends(b"z NOOP\n") == NOOP

    def test_pipelined(self) -> None:
        client = Client()
        assert client.sends(b"a SELECT x\r\nb FETCH 1 FAST\r\nz NOOP\r\n") == Request(
            b"a", Select("x")
        )
        second = client.sends()
        assert isinstance(second, Request)
        assert isinstance(second.command, Fetch)
        assert client.sends() == NOOP

    def test_the_end_of_the_stream(self) -> None:
        with pytest.raises(EndOfStream):
            Client().sends(b"a NOOP")

    @pytest.mark.parametrize(
        ("line", "answer"),
        [
            (b"\r\n", b"* BAD Expected a tag and a command\r\n"),
            (b"\n", b"* BAD Expected a tag and a command\r\n"),
            (b"a\r\n", b"a BAD Expected a tag and a command\r\n"),
            (b"+ NOOP\r\n", b"* BAD Expected a tag and a command\r\n"),
            (b"a  NOOP\r\n", b"a BAD Expected a tag and a command\r\n"),
            (b"a NOOP \r\n", b"a BAD Unexpected text after the command\r\n"),
            (b"a FROB\r\n", b"a BAD Unknown command\r\n"),
            (b"a UID\r\n", b"a BAD Unknown command\r\n"),
            (b"a UID NOOP\r\n", b"a BAD Unknown command\r\n"),
            (b"a LOGIN x y\r\n", b"a BAD Not allowed: the state is selected\r\n"),
            (b"\xff\xfe\r\n", b"* BAD Expected a tag and a command\r\n"),
            (b"t" * 300 + b" NOOP\r\n", b"* BAD The tag is too long\r\n"),
        ],
    )
    def test_bad_lines_have_answers(self, line: bytes, answer: bytes) -> None:
        client = Client()
        assert reply(client.sends(line + b"z NOOP\r\n")) == answer
        assert client.sends() == NOOP


class TestLongLines:
    def test_is_dropped_to_its_end(self) -> None:
        client = Client(SMALL)
        answer = reply(client.sends(b"a LIST " + b"x" * 100 + b"\r\nz NOOP\r\n"))
        assert answer == b"a BAD [TOOBIG] The line is too long\r\n"
        assert client.sends() == NOOP

    @pytest.mark.parametrize("size", range(56, 66))
    def test_whatever_the_length(self, size: int) -> None:
        client = Client(SMALL)
        first = client.sends(b"a SELECT " + b"x" * (size - 11) + b"\r\nz NOOP\r\n")
        assert isinstance(first, Request) == (size <= SMALL.line)
        assert client.sends() == NOOP

    def test_without_a_tag(self) -> None:
        answer = reply(Client(SMALL).sends(b"(" * 100 + b"\r\n"))
        assert answer == b"* BAD [TOOBIG] The line is too long\r\n"

    def test_without_an_end(self) -> None:
        client = Client(SMALL)
        answer = reply(client.sends(*[b"a " + b"x" * 50] * 20))
        assert answer == b"* BYE [TOOBIG] The line is too long\r\n"
        assert len(client.stream) < 200

    def test_takes_its_literal_along(self) -> None:
        client = Client(SMALL)
        answer = reply(client.sends(b"a LIST " + b"x" * 90 + b" {6+}\r\nb NOOP\r\nz NOOP\r\n"))
        assert answer.startswith(b"a BAD [TOOBIG]")
        assert client.sends() == NOOP


class TestLiterals:
    LOGIN = Request(b"a", Login("fred foobar", Secret(b"fat\r\nman")))

    def test_synchronizing(self) -> None:
        client = Client(state=State.NOT_AUTHENTICATED)
        sent = [b"a LOGIN {11}\r\n", b"fred foobar", b" {8}\r\n", b"fat\r\nman", b"\r\n"]
        assert client.sends(*sent) == self.LOGIN
        assert client.heard == READY * 2

    def test_non_synchronizing(self) -> None:
        client = Client(state=State.NOT_AUTHENTICATED)
        assert client.sends(b"a LOGIN {11+}\r\nfred foobar {8+}\r\nfat\r\nman\r\n") == self.LOGIN
        assert client.heard == b""

    @pytest.mark.parametrize("cut", range(45))
    def test_cut_anywhere(self, cut: int) -> None:
        whole = b"a LOGIN {11+}\r\nfred foobar {8}\r\nfat\r\nman\r\n"
        client = Client(state=State.NOT_AUTHENTICATED)
        assert client.sends(whole[:cut], whole[cut:]) == self.LOGIN
        assert client.heard == READY

    def test_content_is_no_syntax(self) -> None:
        result = Client().sends(b'a LIST {2+}\r\n"( {3+}\r\n{9}\r\n')
        assert result == Request(b"a", List('"(', ("{9}",)))

    def test_empty(self) -> None:
        assert Client().sends(b"a LIST {0+}\r\n {0}\r\n\r\n") == Request(b"a", List("", ("",)))

    def test_nul_is_refused(self) -> None:
        assert reply(Client().sends(b"a SELECT {1+}\r\n\0\r\n")).startswith(b"a BAD A literal")

    def test_too_large_is_refused_before_it_is_sent(self) -> None:
        client = Client(SMALL)
        answer = reply(client.sends(b"a SELECT {21}\r\n", b"z NOOP\r\n"))
        assert answer == b"a BAD [TOOBIG] The literals are too large\r\n"
        assert client.heard == b""
        assert client.sends(b"z NOOP\r\n") == NOOP

    def test_the_sum_counts(self) -> None:
        client = Client(SMALL)
        answer = reply(client.sends(b"a LIST {11}\r\n", b"x" * 11, b" {11}\r\n"))
        assert answer == b"a BAD [TOOBIG] The literals are too large\r\n"
        assert client.heard == READY

    def test_too_large_but_sent_is_dropped(self) -> None:
        client = Client(SMALL)
        sent = b"a LIST {21+}\r\n" + b"b NOOP\r\n" * 3
        answer = reply(client.sends(sent[:-3] + b" {2+}\r\nx\n\r\nz NOOP\r\n"))
        assert answer == b"a BAD [TOOBIG] The literals are too large\r\n"
        assert client.sends() == NOOP

    @pytest.mark.parametrize("size", [b"300", b"9" * 18, b"9" * 50, b"9" * 5000])
    def test_far_too_large_ends_the_connection(self, size: bytes) -> None:
        limits = Limits(literals=20, discard=200)
        answer = reply(Client(limits).sends(b"a SELECT {%b+}\r\n" % size))
        assert answer == b"* BYE [TOOBIG] The literals are too large\r\n"

    def test_a_flood_of_empty_literals_is_a_long_command(self) -> None:
        client = Client(SMALL)
        answer = reply(client.sends(b"a LIST " + b"{0+}\r\n" * 90))
        assert answer == b"* BYE [TOOBIG] The command is too long\r\n"

    def test_of_an_unknown_command(self) -> None:
        client = Client()
        assert reply(client.sends(b"a FROB {3}\r\nz NOOP\r\n")) == b"a BAD Unknown command\r\n"
        assert client.sends() == NOOP

    def test_of_an_unknown_command_that_does_not_wait(self) -> None:
        client = Client()
        sent = b"a FROB {8+}\r\nb NOOP\r\n {1+}\r\nx y\r\nz NOOP\r\n"
        assert reply(client.sends(sent)) == b"a BAD Unknown command\r\n"
        assert client.sends() == NOOP

    def test_a_long_line_after_a_dropped_literal(self) -> None:
        client = Client(SMALL)
        sent = b"a FROB {1+}\r\nx" + b"y" * 100 + b" {8+}\r\nb NOOP\r\n\r\nz NOOP\r\n"
        assert reply(client.sends(sent)) == b"a BAD Unknown command\r\n"
        assert client.sends() == NOOP

    def test_in_the_wrong_state_does_not_get_its_literal(self) -> None:
        client = Client(state=State.NOT_AUTHENTICATED)
        answer = reply(client.sends(b"a APPEND x {3}\r\n"))
        assert answer == b"a BAD Not allowed: the state is not authenticated\r\n"
        assert client.heard == b""


class TestContinuations:
    @pytest.mark.parametrize(
        ("line", "result"),
        [
            (b"DONE\r\n", Done()),
            (b"done\n", Done()),
            (b"a NOOP\r\n", InvalidCommand(b"i", "Expected DONE")),
            (b"x" * 100 + b"\r\n", InvalidCommand(b"i", "Expected DONE")),
            (b"x" * 1000, InvalidCommand(b"i", "Expected DONE", fatal=True)),
        ],
    )
    def test_end_of_idle(self, line: bytes, result: object) -> None:
        stream = ByteStream()
        assert drive(stream, read_done(stream, SMALL, b"i"), [line]) == result

    @pytest.mark.parametrize(
        ("line", "result"),
        [
            (b"AGZyZWQAZm9v\r\n", Secret(b"\0fred\0foo")),
            (b"\r\n", Secret(b"")),
            (b"*\r\n", SaslCancel()),
            (b"AGZ*\r\n", InvalidCommand(b"s", "The response is not base64")),
            (b"AGZyZWQ\r\n", InvalidCommand(b"s", "The response is not base64")),
            (b"A" * 96 + b"\r\n", InvalidCommand(b"s", "The response is too long", b"TOOBIG")),
        ],
    )
    def test_sasl_response(self, line: bytes, result: object) -> None:
        stream = ByteStream()
        assert drive(stream, read_sasl_response(stream, SMALL, b"s"), [line]) == result


class TestAnyBytes:
    FRAGMENTS = st.sampled_from(
        [b"a ", b"b UID ", b"FETCH", b"SEARCH ", b"APPEND x ", b"LIST ", b"STORE 1 ", b"NOOP",
         b"{3}", b"{9+}", b"{200+}", b"{99999}", b"\r\n", b"\n", b"\r", b" ", b"(", b")", b'"',
         b"\\", b"\0", b"&", b"*", b"1:*", b"OR ", b"NOT ", b"BODY[", b"<0.1>", b"\xff"]
    )  # fmt: skip
    NOISE = st.lists(FRAGMENTS | st.binary(max_size=8), max_size=60)

    @given(NOISE, st.sampled_from(State))
    @settings(max_examples=300, deadline=None)
    def test_never_raise_and_are_never_kept(self, noise: list[bytes], state: State) -> None:
        client = Client(SMALL, state)
        largest_chunk = 8
        try:
            for _ in range(1000):
                result = client.sends(*noise)
                noise = []
                if isinstance(result, InvalidCommand):
                    assert result.reply().endswith(b"\r\n")
                    assert result.reply().count(b"\n") == 1
                    if result.fatal:
                        break
        except EndOfStream:
            assert len(client.stream) <= SMALL.line + SMALL.literals + largest_chunk

    @given(NOISE, st.data())
    @settings(max_examples=200, deadline=None)
    def test_arrival_makes_no_difference(self, noise: list[bytes], data: st.DataObject) -> None:
        whole = b"".join(noise) + b"\r\n"
        cut = data.draw(st.integers(0, len(whole)))

        def outcome(*chunks: bytes) -> object:
            try:
                return Client(SMALL).sends(*chunks)
            except EndOfStream:
                return None

        assert outcome(whole) == outcome(whole[:cut], whole[cut:])
