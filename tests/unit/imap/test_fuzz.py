"""Commands of every kind, and what is made of them, in any pieces: each is one or is refused."""

from __future__ import annotations

import tracemalloc
from collections.abc import Generator, Iterator
from random import Random
from typing import TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postroom_chassis.net.stream import ByteStream, EndOfStream
from postroom_imap.protocol.appending import AppendReader, CommandEnd, Text
from postroom_imap.protocol.commands import Append, Authenticate, Idle, Replace
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.reading import (
    discard_message,
    read_command,
    read_done,
    read_sasl_response,
)
from postroom_imap.protocol.state import State
from postroom_imap.protocol.table import COMMANDS, Request

from tests.harness import imap_grammar

T = TypeVar("T")

LARGEST_PIECE = 700
FLOOD_BYTES = 1_000_000
USUAL = Limits()
SMALL = Limits(line=400, literals=100, discard=600, sasl_line=100, search_depth=5, search_keys=10)
UTF8 = Limits(utf8_names=True)


class Wire:
    """What arrives, piece by piece; a reader never leaves more of it waiting than it may.

    Attributes:
        heard: all that the reader wrote.
    """

    def __init__(self, pieces: Iterator[bytes], limits: Limits) -> None:
        self.stream = ByteStream()
        self.heard = bytearray()
        self._pieces = pieces
        self._most = max(limits.line, limits.literals, limits.sasl_line) + LARGEST_PIECE

    def read(self, reading: Generator[None, None, T]) -> T:
        """What a reader makes of it. Raises EndOfStream."""
        while True:
            try:
                next(reading)
            except StopIteration as stop:
                value: T = stop.value
                return value
            assert len(self.stream) <= self._most
            piece = next(self._pieces, None)
            if piece is None:
                self.stream.feed_eof()
            else:
                self.stream.feed(piece)

    def hear(self, data: bytes) -> None:
        self.heard += data


def conversation(pieces: Iterator[bytes], limits: Limits, state: State) -> list[object]:
    """All that is read of what a client says, as a session reads it, up to the end."""
    wire, told = Wire(pieces, limits), list[object]()
    try:
        while True:
            read = wire.read(read_command(wire.stream, limits, state, wire.hear))
            told.append(read)
            if isinstance(read, Request):
                told += rest(wire, limits, read)
            if any(isinstance(each, InvalidCommand) and each.fatal for each in told[-1:]):
                return told
    except EndOfStream:
        return told


def rest(wire: Wire, limits: Limits, request: Request) -> Iterator[object]:
    """What belongs to a command and comes behind it."""
    match request.command:
        case Idle():
            yield wire.read(read_done(wire.stream, limits, request.tag))
        case Authenticate(initial_response=None):
            yield wire.read(read_sasl_response(wire.stream, limits, request.tag))
        case Append(messages=line) | Replace(message=line):
            reader = AppendReader(wire.stream, limits, wire.hear, request.tag, line, most=3)
            while True:
                step = wire.read(reader.step())
                yield step
                if isinstance(step, CommandEnd | InvalidCommand):
                    return
                if isinstance(step, Text):
                    wire.read(discard_message(wire.stream, step.literal.size))


def in_pieces(random: Random, said: bytes, most: int) -> Iterator[bytes]:
    """The same octets, as they may arrive."""
    at = 0
    while at < len(said):
        size = random.randint(1, most)
        yield said[at : at + size]
        at += size


def test_every_verb_is_in_the_grammar() -> None:
    assert imap_grammar.COMMANDS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("verb", imap_grammar.COMMANDS, ids=bytes.decode)
def test_what_is_in_the_grammar_is_a_command(verb: bytes) -> None:
    """So that what is made of it is near enough to one."""
    known = State.SELECTED in COMMANDS[verb].states
    state = State.SELECTED if known else State.NOT_AUTHENTICATED
    for arguments in imap_grammar.COMMANDS[verb]:
        told = conversation(iter([b"a %b%b\r\nz NOOP\r\n" % (verb, arguments)]), USUAL, state)
        assert isinstance(told[0], Request), told
        assert isinstance(told[-1], Request)
        assert told[-1].tag == b"z"


@given(st.integers(0, 2**64).map(Random), st.sampled_from(State))
@settings(max_examples=1_000, deadline=None)
@pytest.mark.parametrize("limits", [USUAL, SMALL, UTF8], ids=["usual", "small", "utf8"])
def test_what_is_no_command_is_refused(limits: Limits, random: Random, state: State) -> None:
    said = b"".join(imap_grammar.hostile(random, b"t%d" % n) for n in range(random.randint(1, 8)))
    told = conversation(in_pieces(random, said, most=LARGEST_PIECE), limits, state)
    for each in told:
        if isinstance(each, InvalidCommand):
            reply = each.reply()
            assert reply.endswith(b"\r\n")
            assert reply.count(b"\n") == 1
            assert reply.isascii()
            assert reply[:-2].decode().isprintable()
    # It makes no difference how it comes.
    for most in (1, 20):
        assert told == conversation(in_pieces(random, said, most), limits, state)


FLOODS = {
    "a line": (b"", b"x"),
    "a tag": (b"", b"t"),
    "spaces": (b"a NOOP", b" "),
    "parentheses": (b"a SEARCH ", b"("),
    "literals": (b"a SEARCH ", b"TEXT {9+}\r\nxxxxxxxxx "),
    "empty literals": (b"a LIST ", b"{0+}\r\n "),
    "literals of an unknown command": (b"a WHAT ", b"{9+}\r\nxxxxxxxxx "),
    "one literal": (b"a LIST {90000+}\r\n", b"x"),
    "announcements": (b"a LIST {9", b"9"),
    "the end of IDLE": (b"a IDLE\r\n", b"D"),
    "commands": (b"", b"a SEARCH OR ALL ALL\r\n"),
    "lines that are none": (b"", b"x" * 80 + b"\r\n"),
    "messages": (b"a APPEND x", b" {9+}\r\nxxxxxxxxx"),
    "pieces of a message": (b"a APPEND x CATENATE (TEXT {1+}\r\nx", b" TEXT {9+}\r\nxxxxxxxxx"),
}


@pytest.mark.parametrize(("head", "more"), FLOODS.values(), ids=FLOODS)
def test_floods_are_not_kept(head: bytes, more: bytes) -> None:
    limits = Limits(line=4_096, literals=8_192, discard=100_000, sasl_line=4_096)
    piece = more * (LARGEST_PIECE // len(more))

    def arriving() -> Iterator[bytes]:
        yield head
        for _ in range(FLOOD_BYTES // len(piece)):
            yield piece

    tracemalloc.start()
    try:
        wire = Wire(arriving(), limits)
        try:
            while True:
                result = wire.read(read_command(wire.stream, limits, State.SELECTED, wire.hear))
                for last in rest(wire, limits, result) if isinstance(result, Request) else ():
                    result = last
                if isinstance(result, InvalidCommand) and result.fatal:
                    break
        except EndOfStream:
            pass
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < FLOOD_BYTES / 5
