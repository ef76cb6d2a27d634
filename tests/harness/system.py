"""A running Postroom for system tests, whatever it runs as.

Tests are written against `MailSystem`; a runner brings one about. POSTROOM_TEST_RUNNER names the
runner: `processes` (each service by itself, as `make run` starts them), unless it is `containers`
(as `docker compose up` does, for the tests that need no more than clients see).
"""

from __future__ import annotations

import http.client
import itertools
import os
import ssl
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Protocol

import grpc
import psutil

from deploy.local import ports
from deploy.local.provision import DOMAIN, Account
from deploy.local.system import System
from tests.deploy.system import containers

COMMAND_SECONDS = 300.0
RUNNER = os.environ.get("POSTROOM_TEST_RUNNER", "processes")

SETTINGS = {
    # Every test comes from loopback: the failures of one must not keep the others waiting.
    "POSTROOM_AUTH_THROTTLE_EXEMPT": "127.0.0.0/8",
    # No test sends anything to anybody, but those that say to whom.
    "POSTROOM_SMTP_SEND": "false",
}


class MailSystem(Protocol):
    """What a test may know of the system under it."""

    host: str

    @property
    def state(self) -> Path:
        """The folder of all that it writes, as `make run` has it."""

    @property
    def authority(self) -> Path:
        """The CA of the certificates that clients see."""

    @property
    def haproxy(self) -> bool:
        """Whether implicit TLS ends in HAProxy."""

    def port(self, name: str) -> int:
        """Where clients come: smtp, submission, submissions, imap, imaps, pop3, pop3s."""

    def new_account(self) -> Account:
        """An account that nobody else uses."""

    def postroom(self, *arguments: str) -> str:
        """What the `postroom` command answers. Raises subprocess.CalledProcessError."""

    def kill(self, service: str) -> None:
        """End a service as a crash would."""

    def restart(self, service: str) -> None:
        """Start a service that was killed, and wait until it is ready."""

    def memory(self, service: str) -> int:
        """The resident memory of a service, in bytes."""

    def log(self, service: str) -> str:
        """What a service has logged."""

    def metrics(self, service: str) -> str:
        """What a service says of itself to Prometheus."""

    def channel(self, service: str, caller: str = "") -> grpc.Channel:
        """A plain gRPC channel to an owner, with a caller's certificate, or none."""


class Processes:
    """The runner that starts every service as its own process on free ports.

    Args:
        state: a folder for all that it writes.
        haproxy: whether HAProxy ends implicit TLS; None: where it is installed.
        settings: environment variables of the services.
        chosen: where everything listens; None: on free ports.
    """

    host = ports.HOST

    def __init__(
        self,
        state: Path,
        *,
        haproxy: bool | None = None,
        settings: Mapping[str, str] | None = None,
        chosen: ports.Ports | None = None,
    ) -> None:
        everything = {**SETTINGS, **(settings or {})}
        self.system = System(state, chosen or ports.free(), everything, haproxy=haproxy)
        self._numbers = itertools.count(1)

    @property
    def state(self) -> Path:
        return self.system.state

    @property
    def authority(self) -> Path:
        return self.system.authority

    @property
    def haproxy(self) -> bool:
        return "haproxy" in self.system.children

    def port(self, name: str) -> int:
        return self.system.ports.public[name]

    def new_account(self) -> Account:
        account = Account(f"user{next(self._numbers)}@{DOMAIN}", "correct horse")
        self.system.provision([account])
        return account

    def postroom(self, *arguments: str) -> str:
        lines = self.system.admin_environment.read_text().splitlines()
        settings = dict(line.split("=", 1) for line in lines)
        ran = subprocess.run(
            [sys.executable, "-m", "postroom_admin.cli", *arguments],
            env={**os.environ, **settings},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
        )
        if ran.returncode:
            raise AssertionError(f"postroom {' '.join(arguments)}: {ran.stdout}{ran.stderr}")
        return ran.stdout

    def kill(self, service: str) -> None:
        self.system.kill(service)

    def restart(self, service: str) -> None:
        self.system.restart(service)

    def memory(self, service: str) -> int:
        process = psutil.Process(self.system.pids[service])
        family = [process, *process.children(recursive=True)]
        return sum(int(member.memory_info().rss) for member in family)

    def log(self, service: str) -> str:
        return self.system.log(service)

    def metrics(self, service: str) -> str:
        port = self.system.ports.internal[f"{service}-http"]
        connection = http.client.HTTPConnection(self.host, port, timeout=COMMAND_SECONDS)
        with closing(connection):
            connection.request("GET", "/metrics")
            return connection.getresponse().read().decode()

    def channel(self, service: str, caller: str = "") -> grpc.Channel:
        certs = self.system.certificates
        own = [(certs / f"{caller}.{kind}").read_bytes() for kind in ("key", "pem") if caller]
        credentials = grpc.ssl_channel_credentials((certs / "ca.pem").read_bytes(), *own)
        target = (("grpc.ssl_target_name_override", f"{service}.postroom"),)
        address = self.system.ports.address(f"{service}-rpc")
        return grpc.secure_channel(address, credentials, options=target)


@contextmanager
def running(
    state: Path, *, haproxy: bool | None = None, settings: Mapping[str, str] | None = None
) -> Iterator[MailSystem]:
    """A system by the runner that POSTROOM_TEST_RUNNER names, until the context ends.

    Args:
        state: a folder for all that it writes.
        haproxy: whether HAProxy ends implicit TLS; None: where it is installed.
        settings: environment variables of the services.
    """
    match RUNNER:
        case "processes":
            processes = Processes(state, haproxy=haproxy, settings=settings)
            with processes.system:
                yield processes
        case "containers":
            with containers(state, {**SETTINGS, **(settings or {})}) as found:
                yield found
        case other:
            raise ValueError(f"POSTROOM_TEST_RUNNER: there is no runner {other}")


def client_tls(system: MailSystem) -> ssl.SSLContext:
    """What a client trusts: the system's CA alone."""
    return ssl.create_default_context(cafile=str(system.authority))
