"""The process that takes the text out of messages: at low priority, and replaceable.

In a thread of the store it would make every client wait for the interpreter's lock. A process may
also be killed, by the kernel for want of memory or by us for want of an answer, and the store goes
on. Run as a module this is the process; it ends when its parent does.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import cast

from postroom_mime import SearchText

from postroom_store.search.long_text import text_of

COMMAND = (sys.executable, "-m", "postroom_store.search.extraction")
SECONDS = 30.0  # for a batch, which takes a tenth of one where nothing is wrong


class ExtractionError(Exception):
    """The process died of its work, or was killed for taking too long."""


class Extraction:
    """The parent's side. The process starts when there is work, and anew after it ended.

    Args:
        command: what to run, with the number of a descriptor as its last argument.
        seconds: what an answer, or the start, may take.
    """

    def __init__(self, command: Sequence[str] = COMMAND, seconds: float = SECONDS) -> None:
        self._command = command
        self._seconds = seconds
        self._child: _Child | None = None

    def run(self, contents: list[bytes]) -> list[SearchText]:
        """The text of each message; blocks. For one thread at a time.

        Raises ExtractionError; OSError where the process doesn't even start.
        """
        child = self._child
        if child is None or child.process.poll() is not None:
            child = self._start()
        try:
            return child.ask(contents, self._seconds)
        except (EOFError, OSError) as error:
            raise ExtractionError("the process that takes text out of messages ended") from error

    def close(self) -> None:
        """End the process; from any thread."""
        if self._child is not None:
            self._child.end()

    def _start(self) -> _Child:
        ours, theirs = Pipe()
        with theirs:
            process = subprocess.Popen(  # noqa: S603 (our own command)
                [*self._command, str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
            )
        self._child = _Child(process, ours)
        try:
            # What can't start is not the fault of a message.
            self._child.ask([], self._seconds)
        except (EOFError, OSError) as error:
            raise OSError("the process that takes text out of messages doesn't start") from error
        return self._child


@dataclass(frozen=True, slots=True)
class _Child:
    process: subprocess.Popen[bytes]
    connection: Connection

    def ask(self, contents: list[bytes], seconds: float) -> list[SearchText]:
        """Raises EOFError, OSError where the process ended."""
        # Killed, it lets go of whoever writes to it or reads from it.
        watchdog = threading.Timer(seconds, self.process.kill)
        watchdog.start()
        try:
            self.connection.send(contents)
            return cast("list[SearchText]", self.connection.recv())
        except (EOFError, OSError):
            self.end()
            self.connection.close()
            raise
        finally:
            watchdog.cancel()

    def end(self) -> None:
        self.process.kill()
        self.process.wait()


def serve(descriptor: int, extract: Callable[[bytes], SearchText]) -> None:
    """The process: answer what the parent asks until it goes."""
    os.nice(10)  # clients go first
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal's signal is for the parent
    with Connection(descriptor) as connection:
        while True:
            try:
                contents = connection.recv()
            except (EOFError, OSError):
                return
            connection.send([extract(content) for content in contents])


if __name__ == "__main__":
    serve(int(sys.argv[1]), text_of)
