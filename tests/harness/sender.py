"""A sending worker as a process: `python -m tests.harness.sender CERTIFICATES STORE AUTH DNS PORT`
with numbers of ports, and settings of sending as `name=value`. SIGTERM drains it.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

from postroom_chassis import logs
from postroom_chassis.rpc.client import Channel
from postroom_smtp.dns import Resolver
from postroom_smtp.remote import RemoteDirectory, RemoteStore
from postroom_smtp.sending.remote import RemoteQueue
from postroom_smtp.sending.wiring import open_worker

from tests.harness.post import HOSTNAME, make_settings
from tests.harness.services import Certificates


async def work(certificates: str, store: str, auth: str, dns: str, port: str, *told: str) -> None:
    """Send until SIGTERM."""
    tls = Certificates(Path(certificates)).tls("smtp")
    channels = [
        Channel(f"127.0.0.1:{store}", "store", tls),
        Channel(f"127.0.0.1:{auth}", "auth", tls),
    ]
    settings: dict[str, Any] = dict(one.split("=", 1) for one in told)
    worker = open_worker(
        make_settings(send_port=int(port), **settings),
        HOSTNAME,
        RemoteQueue(channels[0], "worker"),
        RemoteStore(channels[0]),
        RemoteDirectory(channels[1]),
        Resolver([("127.0.0.1", int(dns))], seconds=3, trusted=True),
    )
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    worker.start()
    await stopping.wait()
    await worker.drain(10)
    for channel in channels:
        await channel.close()


if __name__ == "__main__":
    logs.configure("smtp", "INFO", "json")
    asyncio.run(work(*sys.argv[1:]))
