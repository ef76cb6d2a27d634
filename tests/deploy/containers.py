"""Docker's client, as tests use it, and the images that are built once for all of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.deploy.engine import Engine, missing_programs
from tests.harness.clients import require

REPOSITORY = Path(__file__).resolve().parents[2]
SERVICES = ("auth", "store", "smtp", "pop3", "imap", "admin")
IMAGES = (*SERVICES, "tls")
TAG = "test"
SECONDS = 60.0
BUILD_SECONDS = 1800.0

# What Postroom runs with wherever it is deployed.
CONFINED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--tmpfs=/tmp")


@dataclass(frozen=True, slots=True)
class Docker:
    """A client and its engine.

    Attributes:
        environment: what tells the client where its engine is.
        engine: where it is the tests' own.
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    engine: Engine | None = None

    @property
    def client(self) -> str:
        return {**os.environ, **self.environment}.get("DOCKER", "docker")

    def run(
        self, *words: str | Path, stdin: str = "", seconds: float = SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run the client to its end, however it ends."""
        return self.execute([self.client, *map(str, words)], stdin=stdin, seconds=seconds)

    def __call__(self, *words: str | Path, seconds: float = SECONDS) -> str:
        """What the client writes on stdout; it must end well."""
        return _well(self.run(*words, seconds=seconds))

    def execute(
        self,
        command: Sequence[str | Path],
        environment: Mapping[str, str] | None = None,
        stdin: str = "",
        seconds: float = SECONDS,
    ) -> subprocess.CompletedProcess[str]:
        """Run something that runs the client."""
        return subprocess.run(
            command,
            cwd=REPOSITORY,
            env={**os.environ, **self.environment, **(environment or {})},
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def inspect(self, name: str) -> dict[str, Any]:
        """What the engine knows of a container or an image."""
        found: list[dict[str, Any]] = json.loads(self("inspect", name))
        return found[0]

    def online(self) -> AbstractContextManager[None]:
        return self.engine.online() if self.engine else nullcontext()

    def build(self, *options: str) -> None:
        """Build images, as `make images` does."""
        environment = {}
        if self.engine:
            made = self.execute(["tests/deploy/base-image", "python"], seconds=BUILD_SECONDS)
            environment["PYTHON_IMAGE"] = _well(made).split()[-1]
        with self.online():
            command = ["deploy/images/build", "--tag", TAG, *options]
            _well(self.execute(command, environment, seconds=BUILD_SECONDS))

    @contextmanager
    def container(self, *words: str | Path) -> Iterator[str]:
        """A container that runs as long as the context lasts; its id."""
        name = self("run", "--detach", *words).strip()
        try:
            yield name
        finally:
            self("rm", "--force", "--volumes", name)


@contextmanager
def some_engine() -> Iterator[Docker]:
    """The engine that there is, or one of our own; else whoever asks is skipped."""
    docker = Docker()
    if shutil.which(docker.client) and docker.run("version").returncode == 0:
        yield docker
        return
    require(", ".join(missing_programs()))
    if os.geteuid() != 0:
        pytest.skip("only root can start a Docker engine")
    with Engine(REPOSITORY / ".run/engine") as engine:
        yield Docker(engine.environment, engine)


def _well(ran: subprocess.CompletedProcess[str]) -> str:
    output = f"{ran.stdout[-4000:]}{ran.stderr[-4000:]}"
    assert ran.returncode == 0, f"{ran.args} exited with {ran.returncode}:\n{output}"
    return ran.stdout
