"""Mail clients that come as programs: which a test needs, and how they are run."""

from __future__ import annotations

import contextlib
import os
import pty
import shutil
import subprocess
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

CLIENT_SECONDS = 120.0


def require_clients(item: pytest.Item) -> None:
    """Skip a test marked `clients("curl", ...)` where one isn't installed; fail it where all must
    be (POSTROOM_REQUIRE_CLIENTS=1).
    """
    needed = [name for marker in item.iter_markers("clients") for name in marker.args]
    require(", ".join(name for name in needed if shutil.which(name) is None))


def require(missing: str) -> None:
    """Skip a test, or fail it where nothing may be skipped, for want of what is missing, if
    anything is."""
    if missing and os.environ.get("POSTROOM_REQUIRE_CLIENTS") == "1":
        pytest.fail(f"not installed: {missing}", pytrace=False)
    if missing:
        pytest.skip(f"not installed: {missing}")


def run_client(
    *command: str | Path,
    stdin: bytes = b"",
    environment: Mapping[str, str] | None = None,
    status: int = 0,
    seconds: float = CLIENT_SECONDS,
) -> bytes:
    """Run a client to its end and return what it wrote on stdout; it must end with a status."""
    ran = subprocess.run(
        [str(word) for word in command],
        input=stdin,
        env={**os.environ, **(environment or {})},
        capture_output=True,
        timeout=seconds,
    )
    told = f"{command[0]} exited with {ran.returncode}, not {status}"
    output = (ran.stdout[-4000:] + ran.stderr[-4000:]).decode("utf-8", "replace")
    assert ran.returncode == status, f"{told}:\n{output}"
    return ran.stdout


def run_on_terminal(
    *command: str | Path,
    environment: Mapping[str, str] | None = None,
    seconds: float = CLIENT_SECONDS,
) -> bytes:
    """Run a client that wants a terminal to its end, and return all that it showed; it must end
    well. Nobody types: what it is to do, it must be told by its arguments.
    """
    primary, secondary = pty.openpty()
    shown: list[bytes] = []

    def look() -> None:
        # Linux tells by an error that nobody has the terminal open any more.
        with contextlib.suppress(OSError):
            while piece := os.read(primary, 65536):
                shown.append(piece)

    try:
        process = subprocess.Popen(
            [str(word) for word in command],
            stdin=secondary,
            stdout=secondary,
            stderr=secondary,
            env={**os.environ, "TERM": "xterm", **(environment or {})},
            start_new_session=True,
        )
    finally:
        os.close(secondary)
    looking = threading.Thread(target=look)
    looking.start()
    try:
        status = process.wait(seconds)
    finally:
        process.kill()
        process.wait()
        looking.join()
        os.close(primary)
    output = b"".join(shown)
    told = f"{command[0]} exited with {status}"
    assert status == 0, f"{told}:\n{output[-4000:].decode('utf-8', 'replace')}"
    return output
