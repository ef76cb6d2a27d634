"""Drives a reading of the core the way a connection does: feed, resume, feed the end."""

from collections.abc import Generator, Iterable
from typing import TypeVar

from postroom_chassis.net.stream import ByteStream
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.reading import read_command
from postroom_imap.protocol.state import State
from postroom_imap.protocol.table import Request

T = TypeVar("T")


def drive(stream: ByteStream, reading: Generator[None, None, T], chunks: Iterable[bytes] = ()) -> T:
    """What ``reading`` returns when ``chunks`` arrive one by one and then nothing more."""
    arriving = iter(chunks)
    while True:
        try:
            next(reading)
        except StopIteration as stop:
            value: T = stop.value
            return value
        chunk = next(arriving, None)
        if chunk is None:
            stream.feed_eof()
        else:
            stream.feed(chunk)


class Client:
    """The client's side of a conversation; ``heard`` is all that the core wrote."""

    def __init__(self, limits: Limits | None = None, state: State = State.SELECTED) -> None:
        self.stream = ByteStream()
        self.limits = limits or Limits()
        self.state = state
        self.heard = b""

    def sends(self, *chunks: bytes) -> Request | InvalidCommand:
        """The command that these bytes make; what they hold beyond it stays on the stream."""
        reading = read_command(self.stream, self.limits, self.state, self._hear)
        return drive(self.stream, reading, chunks)

    def _hear(self, data: bytes) -> None:
        self.heard += data


def command_of(line: bytes, state: State = State.SELECTED) -> object:
    """The command that one complete text makes; the refusal if it makes none."""
    result = Client(state=state).sends(line)
    return result.command if isinstance(result, Request) else result
