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
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from typing import cast

from postroom_mime import SearchText, search_text

COMMAND = (sys.executable, "-m", "postroom_store.search.extraction")


class ExtractionError(Exception):
    """The process died, or was killed for taking too long."""


class Extraction:
    """The parent's side. The process starts when there is work, and anew after it ended.

    Args:
        command: what to run, with the number of a descriptor as its last argument.
    """

    def __init__(self, command: Sequence[str] = COMMAND) -> None:
        self._command = command
        self._process: subprocess.Popen[bytes] | None = None
        self._connection: Connection | None = None

    def run(self, contents: list[bytes], seconds: float) -> list[SearchText]:
        """The text of each message; blocks. For one thread at a time.

        Raises ExtractionError where that took longer than some seconds, or the process died.
        """
        process, connection = self._ready()
        # Killed, it lets go of whoever writes to it or reads from it.
        watchdog = threading.Timer(seconds, process.kill)
        watchdog.start()
        try:
            connection.send(contents)
            return cast("list[SearchText]", connection.recv())
        except (EOFError, OSError) as error:
            self.close()
            raise ExtractionError(f"ended by {-process.wait()}") from error
        finally:
            watchdog.cancel()

    def close(self) -> None:
        """End the process; from any thread."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _ready(self) -> tuple[subprocess.Popen[bytes], Connection]:
        if self._process is None or self._connection is None or self._process.poll() is not None:
            self._connection, theirs = Pipe()
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603 (our own command)
                    [*self._command, str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                )
        return self._process, self._connection


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
    serve(int(sys.argv[1]), search_text)
