"""The containers of `docker compose up` as a system under test, for tests of the running whole.

python -m tests.deploy.system [WORDS FOR PYTEST] builds the images and runs tests/system on them,
where the ports are that containers publish: in the network of the tests' own engine, if it is one.
"""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import grpc
import pytest

from deploy.local import ports
from deploy.local.provision import DOMAIN, Account
from tests.deploy.compose import ENTRANCES, METRICS, Stack, compose_plugin, running, until
from tests.deploy.containers import some_engine

PROJECT = "postroom-system"
PYTHON = "/opt/postroom/bin/python"
SERVICES = ("auth", "store", "smtp", "imap", "pop3", "admin")
RPC = Path("/etc/postroom/rpc")

# Clients come from addresses of the engine's networks. For processes they come from loopback, of
# which passwords in clear text are taken, and mail that nobody asks the sender of.
NETWORKS = "10.0.0.0/8,172.16.0.0/12,192.168.0.0/16"
AS_FROM_LOOPBACK = {
    "POSTROOM_AUTH_THROTTLE_EXEMPT": NETWORKS,
    "POSTROOM_SMTP_CHECK_EXEMPT_NETWORKS": NETWORKS,
    "POSTROOM_AUTH_ALLOW_CLEARTEXT": "true",
    "POSTROOM_SMTP_CLEAR_TEXT_LOGIN": "true",
    "POSTROOM_IMAP_CLEAR_TEXT_LOGIN": "true",
    "POSTROOM_POP3_CLEAR_TEXT_LOGIN": "true",
}

# What a service's processes hold, but for who asks.
RESIDENT = """
import os, pathlib
total = 0
for status in pathlib.Path("/proc").glob("[0-9]*/status"):
    try:
        told = dict(line.split(":", 1) for line in status.read_text().splitlines())
    except FileNotFoundError:
        continue
    if int(told["Pid"]) != os.getpid():
        total += int(told.get("VmRSS", "0 kB").split()[0]) * 1024
print(total)
"""


class Containers:
    """A running stack, as tests know a system.

    Args:
        folder: for what clients are given.
    """

    host = ports.HOST
    haproxy = True

    def __init__(self, stack: Stack, folder: Path) -> None:
        self.stack = stack
        self.authority = folder / "ca.pem"
        self.authority.write_text(self._file("admin", RPC / "ca.crt"))
        self._ports = {
            name: int(stack("port", service, port).rpartition(":")[2])
            for name, (service, port) in ENTRANCES.items()
        }
        self._numbers = itertools.count(1)
        self.postroom("domain", "add", DOMAIN)

    @property
    def state(self) -> Path:
        raise NotImplementedError("what is written lies on volumes")

    def port(self, name: str) -> int:
        return self._ports[name]

    def new_account(self) -> Account:
        account = Account(f"user{next(self._numbers)}@{DOMAIN}", "correct horse")
        words = ("account", "add", account.address, "--stdin", "--accept-weak")
        admin = self._container("admin")
        ran = self.stack.docker.run(
            *("exec", "--interactive", admin, "postroom", *words), stdin=account.password
        )
        assert ran.returncode == 0, ran.stderr
        return account

    def postroom(self, *arguments: str) -> str:
        return self.stack.docker("exec", self._container("admin"), "postroom", *arguments)

    def kill(self, service: str) -> None:
        self.stack.docker("kill", self._container(service))

    def restart(self, service: str) -> None:
        name = self._container(service)
        self.stack.docker("start", name)
        state = self.stack.docker.inspect
        until(lambda: state(name)["State"]["Health"]["Status"] == "healthy", service)

    def memory(self, service: str) -> int:
        return int(self._python(service, RESIDENT))

    def log(self, service: str) -> str:
        return self.stack.docker("logs", self._container(service))

    def metrics(self, service: str) -> str:
        return self._python(service, METRICS)

    def channel(self, service: str, caller: str = "") -> grpc.Channel:
        files = ("tls.key", "tls.crt") if caller else ()
        own = [self._file(caller, RPC / file).encode() for file in files]
        credentials = grpc.ssl_channel_credentials(self.authority.read_bytes(), *own)
        target = (("grpc.ssl_target_name_override", f"{service}.postroom"),)
        networks = self.stack.docker.inspect(self._container(service))["NetworkSettings"]
        address = networks["Networks"][f"{PROJECT}_owners"]["IPAddress"]
        return grpc.secure_channel(f"{address}:7400", credentials, options=target)

    def _container(self, service: str) -> str:
        return f"{PROJECT}-{service}-1"

    def _python(self, service: str, program: str) -> str:
        return self.stack.docker("exec", self._container(service), PYTHON, "-c", program)

    def _file(self, service: str, file: Path) -> str:
        return self._python(service, f"print(open({str(file)!r}).read())")


@contextmanager
def containers(folder: Path, settings: Mapping[str, str]) -> Iterator[Containers]:
    """A stack out of this repository's images, which are there already.

    Args:
        folder: for what it is started by, and clients are given.
        settings: environment variables of the services.
    """
    overlay = folder / "settings.json"  # which is YAML
    settings = {**settings, **AS_FROM_LOOPBACK}
    services = {service: {"environment": settings} for service in SERVICES}
    overlay.write_text(json.dumps({"services": services}))
    environment = {"POSTROOM_HOST": "localhost"}
    with (
        some_engine() as docker,
        running(docker, PROJECT, str(overlay), environment=environment) as stack,
    ):
        stack.up()
        yield Containers(stack, folder)


def main() -> int:
    command = [sys.executable, "-m", "pytest", "tests/system", *sys.argv[1:]]
    environment = {**os.environ, "POSTROOM_TEST_RUNNER": "containers"}
    try:
        with some_engine() as docker:
            docker.build()
            compose_plugin(docker)
            if docker.engine:
                return docker.engine.run(command, environment)
            return subprocess.run(command, env=environment).returncode
    except (pytest.skip.Exception, pytest.fail.Exception) as missing:
        print(missing, file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
