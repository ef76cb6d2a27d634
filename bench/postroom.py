"""Postroom as `make run` starts it, and any IMAP server that runs already.

The contract with the starter (``python -m deploy.local.run --state DIR --json``): when all services
answer it prints one line of JSON, ``{"ports": {"smtp": …, "imap": …, "pop3": …}, "accounts":
[{"address": …, "password": …}, …], "pids": {"store": …, …}}``, and it drains and stops everything
on SIGTERM. A second start on the same folder keeps the mail.
"""

import contextlib
import json
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import processes
from .target import Account, Endpoint, NotOfferedError, UnavailableError

REPOSITORY = Path(__file__).resolve().parent.parent
STARTER = (sys.executable, "-m", "deploy.local.run")
START_SECONDS = 180.0
STOP_SECONDS = 60.0


class Postroom:
    """A target: every service as its own process on loopback.

    Args:
        root: the folder for its database, certificates and log.
        starter: the command that starts it; ``--state DIR --json`` is added.
    """

    name = "postroom"
    title = "Postroom"

    def __init__(self, root: Path, starter: Sequence[str] = STARTER) -> None:
        self._root = root
        self._command = [*starter, "--state", str(root), "--json"]
        self._starter: subprocess.Popen[bytes] | None = None
        self._ready: Mapping[str, Any] = {}

    @property
    def version(self) -> str:
        commit = subprocess.run(
            ["git", "rev-parse", "--short", "HEAD"], cwd=REPOSITORY, capture_output=True, text=True
        )
        return f"Postroom at commit {commit.stdout.strip() or 'unknown'}"

    @property
    def smtp(self) -> Endpoint:
        return self._endpoint("smtp")

    @property
    def imap(self) -> Endpoint:
        return self._endpoint("imap")

    @property
    def pop3(self) -> Endpoint:
        return self._endpoint("pop3")

    @property
    def accounts(self) -> Sequence[Account]:
        return [Account(each["address"], each["password"]) for each in self._ready["accounts"]]

    @property
    def services(self) -> Mapping[str, int]:
        """The process id of every service, by name."""
        return {name: int(process) for name, process in self._ready.get("pids", {}).items()}

    def start(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        log = self._root / "bench.log"
        with log.open("ab") as errors:
            self._starter = subprocess.Popen(
                self._command,
                cwd=REPOSITORY,
                stdout=subprocess.PIPE,
                stderr=errors,
                start_new_session=True,
            )
        try:
            self._ready = self._await_ready(self._starter)
        except (TimeoutError, ValueError) as error:
            self.stop()
            raise UnavailableError(
                f"Postroom did not start ({error}): {log.read_text()[-500:].strip()}"
            ) from error

    def stop(self) -> None:
        if self._starter is None:
            return
        family = processes.descendants([self._starter.pid])
        self._starter.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._starter.wait(STOP_SECONDS)
        if not processes.wait_gone([*family], 5):
            for process in family:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
            self._starter.wait()
        if self._starter.stdout:
            self._starter.stdout.close()
        self._starter = None

    def restart(self, *, forget: bool) -> None:
        # Nothing to forget: all that is derived was made at ingest, by the commit that took the
        # message.
        self.stop()
        self.start()

    def processes(self) -> Sequence[int]:
        return processes.descendants([self._starter.pid] if self._starter else [])

    def _endpoint(self, service: str) -> Endpoint:
        return Endpoint(self._ready.get("host", "127.0.0.1"), int(self._ready["ports"][service]))

    def _await_ready(self, starter: subprocess.Popen[bytes]) -> Mapping[str, Any]:
        if starter.stdout is None:
            raise ValueError("its output isn't ours")
        buffer = b""
        deadline = time.monotonic() + START_SECONDS
        with selectors.DefaultSelector() as selector:
            selector.register(starter.stdout, selectors.EVENT_READ)
            while not buffer.endswith(b"\n"):
                if not selector.select(max(0.0, deadline - time.monotonic())):
                    raise TimeoutError(f"not ready after {START_SECONDS:.0f} s")
                piece = os.read(starter.stdout.fileno(), 64 << 10)
                if not piece:
                    raise ValueError("it ended before it was ready")
                buffer += piece
        ready: Mapping[str, Any] = json.loads(buffer.splitlines()[-1])
        return ready


@dataclass(frozen=True, slots=True)
class Attached:
    """A server that runs already, in Postroom's place: it isn't started, stopped or looked into."""

    imap: Endpoint
    accounts: Sequence[Account]
    smtp: Endpoint | None = None
    pop3: Endpoint | None = None
    name: str = "postroom"
    title: str = "attached server"

    @property
    def version(self) -> str:
        return f"the server at {self.imap.host}:{self.imap.port}"

    def start(self) -> None:
        return

    def stop(self) -> None:
        return

    def restart(self, *, forget: bool) -> None:
        raise NotOfferedError("an attached server isn't restarted")

    def processes(self) -> Sequence[int]:
        raise NotOfferedError("the processes of an attached server are unknown")
