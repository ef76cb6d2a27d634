"""How a service lives: start, announce that it is ready, wait for SIGTERM, drain, stop.

`__main__` of a service is `run(NAME, Settings, start)`: `start` builds the parts on an exit stack,
which takes them down in the opposite order.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack
from typing import Any, TypeVar

import uvloop

from postroom_chassis import logs, settings, tracing
from postroom_chassis.http import Check, HttpServer, Readiness, probes

log = logs.logger(__name__)

CANCEL_SECONDS = 1.0

S = TypeVar("S", bound=settings.ServiceSettings)


class Service:
    """What `start` adds its parts to.

    Attributes:
        stack: closed, last first, when the service stops.
        ports: what it listens on, by name; told when it is ready.
    """

    def __init__(self, stack: AsyncExitStack) -> None:
        self.stack = stack
        self.ports: dict[str, int] = {}
        self.checks: dict[str, Check] = {}
        self._drains: list[Callable[[float], Awaitable[None]]] = []
        self.stopping = asyncio.Event()

    def ready_when(self, name: str, check: Check) -> None:
        """Let /readyz answer 503 while a check raises."""
        self.checks[name] = check

    def on_drain(self, drain: Callable[[float], Awaitable[None]]) -> None:
        """Call on SIGTERM with the seconds there are, all at once, before the stack closes."""
        self._drains.append(drain)

    def keep(self, work: Coroutine[Any, Any, None]) -> None:
        """Have something done until the service stops, which waits for its end."""
        task = asyncio.create_task(work)

        async def end() -> None:
            # Again and again: up to Python 3.11 `wait_for` loses a cancellation that comes with
            # what it waits for.
            while not task.done():
                task.cancel()
                await asyncio.wait((task,), timeout=CANCEL_SECONDS)

        self.stack.push_async_callback(end)

    async def drain(self, seconds: float) -> None:
        await asyncio.gather(*(drain(seconds) for drain in self._drains))


def run(name: str, settings_class: type[S], start: Callable[[Service, S], Awaitable[None]]) -> None:
    """Be a service until SIGTERM or SIGINT. Exits with status 1 where it can't start."""
    loaded = settings.load(settings_class)
    logs.configure(name, loaded.log_level, loaded.log_format)
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_live(name, loaded, start))
    except OSError as error:
        sys.stderr.write(f"postroom-{name} can't start: {error}\n")
        sys.exit(1)


async def _live(name: str, loaded: S, start: Callable[[Service, S], Awaitable[None]]) -> None:
    async with AsyncExitStack() as stack:
        provider = tracing.configure(name, loaded.otlp_endpoint)
        stack.callback(provider.shutdown)
        service = Service(stack)
        loop = asyncio.get_running_loop()
        for signum in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(signum, service.stopping.set)
        await start(service, loaded)
        readiness = Readiness(service.checks)
        http = await HttpServer.start(probes(name, readiness), loaded.http_host, loaded.http_port)
        stack.push_async_callback(http.stop)
        # What is there by now stays: looking it through for garbage took 2% of a store's time.
        gc.collect()
        gc.freeze()
        log.info("service.ready", ports={**service.ports, "http": http.port})
        await service.stopping.wait()
        log.info("service.draining")
        # Readiness goes first, so that no balancer sends more (the order of uvicorn and boulder).
        readiness.draining = True
        await service.drain(loaded.drain_seconds)
    log.info("service.stopped")
