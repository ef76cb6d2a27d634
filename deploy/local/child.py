"""One process of a local Postroom: start, readiness, stop, and what it logged."""

from __future__ import annotations

import http.client
import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from .ports import HOST

PROBE_SECONDS = 5.0
POLL_SECONDS = 0.05


class StartFailed(Exception):
    """A process ended, or wasn't ready in time."""


class Child:
    """A process that is started, may die, and is started again.

    Args:
        name: as its log is named.
        command: what is run.
        settings: environment variables beside our own.
        log: a file that its output is appended to.
        http_port: where it answers /readyz; 0: it is ready when it runs.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        settings: Mapping[str, str],
        log: Path,
        http_port: int = 0,
    ) -> None:
        self.name = name
        self.log = log
        self._command = command
        self._settings = settings
        self._http_port = http_port
        self._process: subprocess.Popen[bytes] | None = None
        self._log_start = 0
        self._answer = ""

    @property
    def pid(self) -> int:
        """Its process id; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def status(self) -> str:
        """How it ended, in words."""
        code = self._process.poll() if self._process else None
        if code is None:
            return "runs"
        return f"was ended by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"

    def start(self) -> None:
        with self.log.open("ab") as output:
            self._log_start = output.tell()
            self._process = subprocess.Popen(
                self._command,
                env={**os.environ, **self._settings},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Ctrl-C is for the starter alone, which stops its processes in their order.
                start_new_session=True,
            )

    def is_ready(self) -> bool:
        if not self._http_port:
            return self.running
        connection = http.client.HTTPConnection(HOST, self._http_port, timeout=PROBE_SECONDS)
        try:
            connection.request("GET", "/readyz")
            response = connection.getresponse()
            self._answer = response.read().decode("utf-8", "replace")
            return response.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def await_ready(self, deadline: float) -> None:
        """Wait until /readyz answers 200. Raises StartFailed, with what it logged last.

        Args:
            deadline: in the time of time.monotonic.
        """
        while not self.is_ready():
            if not self.running:
                raise StartFailed(f"{self.name} {self.status}:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(f"{self.name} isn't ready: {self._answer}\n{self.tail()}")
            time.sleep(POLL_SECONDS)

    def ask_to_stop(self) -> None:
        """Let it finish what it has in hand and end (SIGTERM)."""
        if self._process and self.running:
            self._process.terminate()

    def await_stop(self, seconds: float) -> None:
        """Wait for the end, and bring it about where it takes longer."""
        if self._process is None:
            return
        try:
            self._process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it without a warning (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def tail(self, lines: int = 8) -> str:
        """The last lines that it logged since its start."""
        with self.log.open("rb") as log:
            log.seek(max(self._log_start, self.log.stat().st_size - 64 * 1024))
            text = log.read().decode("utf-8", "replace")
        return "\n".join(f"  {line}" for line in text.splitlines()[-lines:])
