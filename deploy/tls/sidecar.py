"""Runs HAProxy, and gives it certificates that change without dropping a connection.

Run as `python sidecar.py [CONFIGURATION ...]` (haproxy.cfg beside this file), with Python 3.11 or
newer and nothing else. HAProxy tells by its runtime API which chains it has read; they and their
keys are looked at every second, whatever way they change. SIGTERM, SIGINT and SIGUSR1 mean: accept
no more, end with the last session, or after POSTROOM_TLS_GRACE; a second one: end now. The exit
status is HAProxy's.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime
import json
import os
import re
import signal
import sys
import tempfile
from pathlib import Path

LOOK_SECONDS = 1.0
ANSWER_SECONDS = 10.0
STOPPING = (signal.SIGTERM, signal.SIGINT, signal.SIGUSR1)
PEM = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----\n[A-Za-z0-9+/=\n]+?-----END \1-----\n")
SILENCE = "HAProxy doesn't answer: is it longer than 16 KB?"
ADVICE = "the former stays in use: put a chain and the key that belongs to it there"
LEVELS = {"[ALERT]": "error", "[WARNING]": "warning"}


class Certificates:
    """The files that HAProxy has read, with what it was given of each last.

    Args:
        socket: where HAProxy takes commands (its management guide, section 9.3).
    """

    def __init__(self, socket: str) -> None:
        self._socket = socket
        self._given: dict[str, str] = {}
        self._seen: dict[str, str] = {}

    async def look(self) -> None:
        """Give HAProxy what has changed. Raises OSError where it doesn't answer."""
        # Authorities of clients are left alone: HAProxy 2.6 that has exchanged one goes on with the
        # certificate of that time, whatever chain it is given later.
        lines = (await self._ask("show ssl cert")).splitlines()
        for name in [line for line in lines if line and line[0] not in "#*"]:
            content = read_pem(Path(name), *keys_beside(name))
            # Two looks must agree: a chain and its key may change one after the other.
            settled = self._seen.get(name) == content
            self._seen[name] = content
            if settled and self._given.get(name) != content:
                self._given[name] = content
                await self._give(name, content)

    async def _give(self, name: str, content: str) -> None:
        """Let HAProxy use it from the next handshake on."""
        try:
            said = await self._ask(f"set ssl cert {name} <<\n{content}")
            if "ransaction" in said:
                said = await self._ask(f"commit ssl cert {name}")
        except OSError:
            said = SILENCE
        if "Success!" in said:
            return log("info", "tls.certificate_loaded", file=name)
        log("error", "tls.certificate_unusable", file=name, error=said.strip(), advice=ADVICE)
        with contextlib.suppress(OSError):
            await self._ask(f"abort ssl cert {name}")

    async def _ask(self, command: str) -> str:
        async with asyncio.timeout(ANSWER_SECONDS):
            reader, writer = await asyncio.open_unix_connection(self._socket)
            try:
                writer.write(f"{command}\n".encode())
                return (await reader.read()).decode()
            finally:
                writer.close()


def keys_beside(name: str) -> list[Path]:
    """Where HAProxy looks for a key (ssl-load-extra-del-ext)."""
    key = Path(f"{name.removesuffix('.crt')}.key")
    return [key] if key.exists() else []


def read_pem(*files: Path) -> str:
    """The PEM of files alone: an empty line would end what HAProxy is told."""
    found = []
    for file in files:
        with contextlib.suppress(OSError):
            text = file.read_text("utf-8", "replace").replace("\r\n", "\n")
            found += [match.group() for match in PEM.finditer(f"{text}\n")]
    return "".join(found)


def log(level: str, event: str, **fields: object) -> None:
    """One line of JSON, as the services write them."""
    time = datetime.datetime.now(datetime.UTC).isoformat().replace("+00:00", "Z")
    told = {"service": "tls", "event": event, **fields, "level": level, "timestamp": time}
    print(json.dumps(told), flush=True)


async def pass_on(output: asyncio.StreamReader) -> None:
    """Log what HAProxy says."""
    async for line in output:
        if text := line.decode("utf-8", "replace").strip():
            log(LEVELS.get(text.split()[0], "info"), "haproxy.said", text=text)


async def run(configurations: list[str], socket: str) -> int:
    """Run HAProxy to its end, and return its status."""
    loop, stopping = asyncio.get_running_loop(), asyncio.Event()
    for signum in STOPPING:
        loop.add_signal_handler(signum, stopping.set)
    haproxy = await asyncio.create_subprocess_exec(
        *("haproxy", "-db", *(word for file in configurations for word in ("-f", file))),
        env={**os.environ, "POSTROOM_TLS_SOCKET": socket},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,  # a terminal's Ctrl-C is for us to pass on
    )
    assert haproxy.stdout is not None  # noqa: S101 (a pipe)
    said = asyncio.create_task(pass_on(haproxy.stdout))
    ended, stop = asyncio.create_task(haproxy.wait()), asyncio.create_task(stopping.wait())
    certificates = Certificates(socket)
    while not ended.done() and not stop.done():
        with contextlib.suppress(OSError):  # it has yet to start, or ends
            await certificates.look()
        await asyncio.wait({ended, stop}, timeout=LOOK_SECONDS, return_when="FIRST_COMPLETED")
    if not ended.done():
        log("info", "service.draining")
        for signum in STOPPING:
            loop.add_signal_handler(signum, haproxy.terminate)
        haproxy.send_signal(signal.SIGUSR1)
    status = await ended
    await said
    stop.cancel()
    log("info", "service.stopped", status=status)
    return status if status >= 0 else 128 - status


if __name__ == "__main__":
    files = sys.argv[1:] or [str(Path(__file__).with_name("haproxy.cfg"))]
    with tempfile.TemporaryDirectory(prefix="postroom-tls-") as folder:
        status = asyncio.run(run(files, os.environ.get("POSTROOM_TLS_SOCKET", f"{folder}/api")))
    sys.exit(status)
