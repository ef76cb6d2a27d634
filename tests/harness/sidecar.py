"""The TLS sidecar as its container runs it, in front of whatever listens."""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deploy.local import ports
from deploy.local.child import Child
from tests.harness.clients import require

PROGRAM = Path(__file__).resolve().parents[2] / "deploy/tls/sidecar.py"
READY_SECONDS = 30.0
WAIT_SECONDS = 30.0


class Sidecar:
    """A running sidecar.

    Attributes:
        process: its own; HAProxy is a child of it.
        ports: where clients come, by the name that the configuration has for each.
    """

    def __init__(self, process: Child, chosen: Mapping[str, int]) -> None:
        self.process = process
        self.ports = chosen

    def told(self, event: str) -> list[dict[str, Any]]:
        """What it has logged of an event; every line is one of JSON."""
        return told(self.process.log, event)


@contextmanager
def sidecar(
    folder: Path, certificate: Path, fronts: Mapping[str, int], **settings: str
) -> Iterator[Sidecar]:
    """One in front of ports of this machine, until the context ends.

    Args:
        folder: gets its log.
        certificate: what clients see.
        fronts: by what the configuration calls them: imaps, pop3s, submissions, https.
        settings: more of its environment variables, in small letters, without POSTROOM_TLS_.
    """
    require("haproxy" if shutil.which("haproxy") is None else "")
    chosen = ports.choose((*fronts, "http"))
    environment = {
        "POSTROOM_TLS_CERTIFICATE": str(certificate),
        "POSTROOM_TLS_CONNECTIONS": "100",
        "POSTROOM_TLS_GRACE": "5s",
        "POSTROOM_TLS_HTTP_BIND": f"{ports.HOST}:{chosen['http']}",
    }
    for name, value in settings.items():
        environment[f"POSTROOM_TLS_{name.upper()}"] = value
    for name, front in fronts.items():
        environment[f"POSTROOM_{name.upper()}_BIND"] = f"{ports.HOST}:{chosen[name]}"
        environment[f"POSTROOM_{name.upper()}_FRONT"] = f"{ports.HOST}:{front}"
    folder.mkdir(parents=True, exist_ok=True)
    process = Child(
        "sidecar", [sys.executable, PROGRAM], environment, folder / "sidecar.log", chosen["http"]
    )
    process.start()
    try:
        process.await_ready(time.monotonic() + READY_SECONDS)
        yield Sidecar(process, chosen)
    finally:
        process.ask_to_stop()
        process.await_stop(WAIT_SECONDS)


def told(log: Path, event: str) -> list[dict[str, Any]]:
    """The lines of a log that tell of an event."""
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    return [line for line in lines if line["event"] == event]


def until(condition: Callable[[], object], what: str) -> None:
    """Wait for a condition; `what` says what it is."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"in vain: {what}"
        time.sleep(0.05)
