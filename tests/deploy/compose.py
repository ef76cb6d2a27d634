"""The whole system in containers, as `docker compose up` starts it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.deploy.containers import REPOSITORY, TAG, Docker
from tests.harness.clients import require

CLIENT_IMAGE = "postroom-test/client"
SCRIPT = REPOSITORY / "tests/deploy/client.py"
# The tests' engine has no way out, and so no DNS that could be asked of who sends.
FILES = ("compose.yaml", "tests/deploy/offline.yaml")
UP_SECONDS = 180.0
READY_SECONDS = 60.0
POLL_SECONDS = 0.2

# Any ports of loopback: nobody comes by them.
PORTS = ("SMTP", "SUBMISSION", "SUBMISSIONS", "IMAP", "IMAPS", "POP3", "POP3S", "HTTPS")
# Where clients come, in the network of theirs.
ENTRANCES = {
    "smtp": ("smtp-tls", "4025"),
    "submission": ("smtp-tls", "4587"),
    "submissions": ("smtp-tls", "4465"),
    "imap": ("imap-tls", "4143"),
    "imaps": ("imap-tls", "4993"),
    "pop3": ("pop3-tls", "4110"),
    "pop3s": ("pop3-tls", "4995"),
    "https": ("admin-tls", "8443"),
}
METRICS = (
    "import urllib.request;"
    "print(urllib.request.urlopen('http://localhost:8080/metrics').read().decode())"
)


@dataclass(frozen=True, slots=True)
class Stack:
    """A project of Compose.

    Attributes:
        plugin: Docker Compose.
        files: what it is made of.
    """

    docker: Docker
    plugin: Path
    project: str
    files: Sequence[str] = FILES
    environment: tuple[tuple[str, str], ...] = ()

    def __call__(self, *words: str, seconds: float = UP_SECONDS) -> str:
        """What Compose writes on stdout; it must end well."""
        ran = self.run(*words, seconds=seconds)
        output = f"{ran.stdout[-4000:]}{ran.stderr[-8000:]}"
        assert ran.returncode == 0, f"{words} exited with {ran.returncode}:\n{output}"
        return ran.stdout

    def run(
        self, *words: str, stdin: str = "", seconds: float = UP_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run Compose to its end, however it ends."""
        files = [word for file in self.files for word in ("--file", file)]
        return subprocess.run(
            [self.plugin, "--project-name", self.project, *files, *words],
            cwd=REPOSITORY,
            env=self._variables(),
            input=stdin,
            capture_output=True,
            text=True,
            timeout=seconds,
        )

    def up(self, *words: str) -> None:
        """Start what isn't there, and wait until all are healthy."""
        self("up", "--detach", "--wait", "--wait-timeout", str(int(UP_SECONDS)), *words)

    def postroom(self, *words: str, stdin: str = "") -> str:
        """What the `postroom` command writes."""
        ran = self.run("run", "--rm", "-T", "admin", "postroom", *words, stdin=stdin)
        assert ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"
        return ran.stdout

    def containers(self, service: str) -> list[str]:
        """The ids of a service's containers that run."""
        return self("ps", "--quiet", service).split()

    def client(self, *words: str, check: bool = True, network: str = "clients") -> str:
        """What a program of the client's image writes, in a network of the stack's."""
        ran = subprocess.run(
            self._client(*words, network=network),
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=UP_SECONDS,
        )
        assert not check or ran.returncode == 0, f"{words}: {ran.stdout}{ran.stderr}"
        return ran.stdout + ("" if check else ran.stderr)

    def script(self, *words: str) -> str:
        """What tests/deploy/client.py writes in there."""
        return self.client("python3", "/client.py", *words)

    @contextmanager
    def in_background(self, *words: str) -> Iterator[subprocess.Popen[str]]:
        """The same, while something else goes on."""
        process = subprocess.Popen(
            self._client("python3", "-u", "/client.py", *words),
            env=self._variables(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            yield process
        finally:
            process.terminate()
            process.communicate()

    def numbers(self, address: str, password: str) -> list[int]:
        """The numbers of the messages in an account's INBOX."""
        return [
            int(word)
            for word in self.script("read", *ENTRANCES["imaps"], address, password).split()
        ]

    def open_connections(self, container: str, listener: str) -> int:
        """How many connections a front has."""
        told = self.docker("exec", container, "/opt/postroom/bin/python", "-c", METRICS)
        found = re.search(
            rf'^postroom_open_connections{{listener="{listener}"}} (\d+)', told, re.MULTILINE
        )
        return int(found[1]) if found else 0

    def _client(self, *words: str, network: str = "clients") -> list[str]:
        joined = f"--network={self.project}_{network}"
        mounted = f"--volume={SCRIPT}:/client.py:ro"
        return [self.docker.client, "run", "--rm", "--init", joined, mounted, CLIENT_IMAGE, *words]

    def _variables(self) -> dict[str, str]:
        return {
            **os.environ,
            **self.docker.environment,
            **{f"POSTROOM_{port}": "127.0.0.1:0" for port in PORTS},
            "POSTROOM_VERSION": TAG,
            **dict(self.environment),
        }


@contextmanager
def running(
    docker: Docker, project: str, *overlays: str, environment: Mapping[str, str] | None = None
) -> Iterator[Stack]:
    """A stack that is there as long as the context lasts, with its volumes.

    Args:
        overlays: paths of what is added to compose.yaml.
        environment: what wins over .env.
    """
    files = (*FILES, *overlays)
    variables = tuple((environment or {}).items())
    stack = Stack(docker, compose_plugin(docker), project, files, variables)
    try:
        yield stack
    finally:
        stack.run("--profile=*", "down", "--volumes", "--timeout", "1")


def made_image(docker: Docker, kind: str) -> str:
    """The name of an image out of Debian's packages; it is made where it is missing."""
    made = docker.execute(["tests/deploy/base-image", kind], seconds=600)
    assert made.returncode == 0, made.stderr
    return made.stdout.split()[-1]


def compose_plugin(docker: Docker) -> Path:
    """Docker Compose: the machine's, or one that is built now."""
    found = docker.run("compose", "version")
    if found.returncode == 0 and (path := shutil.which("docker-compose")):
        return Path(path)
    require("" if shutil.which(os.environ.get("GO", "go")) else "go")
    made = docker.execute(["tests/deploy/compose-plugin"], seconds=1200)
    assert made.returncode == 0, made.stderr
    return Path(made.stdout.strip())


def until(condition: Callable[[], bool], what: str, seconds: float = READY_SECONDS) -> None:
    """Wait for something that comes by itself."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {seconds:g} seconds"
        time.sleep(POLL_SECONDS)
