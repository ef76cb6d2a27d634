"""/livez, /readyz and /metrics of every service: FastAPI on uvicorn, in the service's loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Network, IPv6Network

import uvicorn
from fastapi import FastAPI, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from postroom_chassis.errors import PostroomError
from postroom_chassis.net.tls import ServerTls

Check = Callable[[], Awaitable[None]]
Network = IPv4Network | IPv6Network

CHECK_SECONDS = 2.0


class Readiness:
    """Whether a service can do its work now.

    Args:
        checks: by name; each raises where what it needs can't be had.
    """

    def __init__(self, checks: dict[str, Check]) -> None:
        self._checks = checks
        self.draining = False

    async def faults(self) -> dict[str, str]:
        """What is missing, by name; empty when all is well."""
        if self.draining:
            return {"lifecycle": "draining"}
        results = await asyncio.gather(*(self._run(check) for check in self._checks.values()))
        return {name: fault for name, fault in zip(self._checks, results, strict=True) if fault}

    @staticmethod
    async def _run(check: Check) -> str:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                await check()
        except PostroomError as error:
            return f"{error.kind}: {error.message}"
        except Exception as error:
            return type(error).__name__
        return ""


def probes(service: str, readiness: Readiness) -> FastAPI:
    """The application that answers probes and scrapes."""
    app = FastAPI(title=f"Postroom {service}", docs_url=None, redoc_url=None, openapi_url=None)

    @app.get("/livez")
    async def livez() -> dict[str, str]:
        return {"status": "ok"}

    @app.get("/readyz")
    async def readyz(response: Response) -> dict[str, str]:
        faults = await readiness.faults()
        if faults:
            response.status_code = 503
        return faults or {"status": "ok"}

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)

    return app


class HttpServer(uvicorn.Server):
    """uvicorn inside a running loop; signals are the lifecycle's."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    @classmethod
    async def start(
        cls,
        app: FastAPI,
        host: str,
        port: int,
        tls: ServerTls | None = None,
        proxies: Sequence[Network] = (),
    ) -> HttpServer:
        """Serve an application and answer once it listens. Raises OSError where the address is
        taken.

        Args:
            tls: HTTPS where given.
            proxies: whose X-Forwarded-For and X-Forwarded-Proto tell of the client.
        """
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            proxy_headers=bool(proxies),
            forwarded_allow_ips=[str(network) for network in proxies],
            server_header=False,
            ssl_context_factory=(lambda *_: tls.context) if tls else None,
        )
        server = cls(config)
        # Bound here: where it can't bind, uvicorn leaves the process instead of raising.
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        bound = socket.create_server((host, port), family=family, backlog=config.backlog)
        server._task = asyncio.create_task(server.serve([bound]))
        while not server.started:
            if server._task.done():
                raise OSError(f"can't listen on {host}:{port}")
            await asyncio.sleep(0.01)
        return server

    _task: asyncio.Task[None]

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.servers[0].sockets[0].getsockname()[1])

    async def stop(self) -> None:
        self.should_exit = True
        await self._task
