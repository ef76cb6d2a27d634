"""A Docker engine of the tests' own, where the machine has Debian's `docker.io` and runs none.

It lives in namespaces of its own (network, mounts, processes): the machine's addresses, firewall
and /run stay as they are, and the end of its first process is the end of all that it started.
There is no way out of its network but while `online` lasts, which building images needs.

By hand: python -m tests.deploy.engine FOLDER [--online] runs one until Ctrl-C.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

START_SECONDS = 60.0
STOP_SECONDS = 60.0
POLL_SECONDS = 0.05

PROGRAMS = (
    "dockerd",
    "docker-init",
    "containerd",
    "runc",
    "iptables",
    "slirp4netns",
    "nsenter",
    "unshare",
)
# Debian's own: its client builds by BuildKit without a plugin.
CLIENT = Path("/usr/bin/docker")

# Within its namespaces: an empty /run hides what another engine has there.
START = "mount -t tmpfs tmpfs /run && ip link set lo up && exec dockerd --config-file {settings}"


class EngineFailed(Exception):
    """The engine ended, or didn't answer in time."""


class Engine:
    """An engine that is started and stopped.

    Args:
        folder: where all that it keeps lies, its images too; made when it is missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> Mapping[str, str]:
        """What a client of it needs in its environment."""
        return {
            "DOCKER": str(CLIENT),
            "DOCKER_HOST": f"unix://{self.folder / 'docker.sock'}",
            "DOCKER_CONFIG": str(self.folder / "client"),
        }

    @property
    def answers(self) -> bool:
        ran = subprocess.run(
            [CLIENT, "version"], env={**os.environ, **self.environment}, capture_output=True
        )
        return ran.returncode == 0

    def start(self) -> None:
        """Start it and wait until it answers. Raises EngineFailed."""
        (self.folder / "client").mkdir(parents=True, exist_ok=True)
        settings = self.folder / "daemon.json"
        settings.write_text(json.dumps(self._settings(), indent=2))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [
                    *("unshare", "--net", "--mount", "--pid", "--fork", "--mount-proc"),
                    *("--kill-child", "--propagation", "private"),
                    # Reaps what containers leave behind, as the first process has to.
                    *("docker-init", "--", "sh", "-c", START.format(settings=settings)),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + START_SECONDS
        while not self.answers:
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                raise EngineFailed(f"the engine doesn't answer:\n{self._tail()}")
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """Stop its containers and it, and wait for the end."""
        if self._process is None:
            return
        if self._process.poll() is None:
            os.kill(self._first, signal.SIGTERM)
            try:
                self._process.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                os.kill(self._first, signal.SIGKILL)
        self._process.wait()
        self._process = None

    @contextmanager
    def online(self) -> Iterator[None]:
        """Let containers reach what this machine reaches, as long as the context lasts."""
        ready, told = os.pipe()
        way_out = subprocess.Popen(
            [
                *("slirp4netns", "--configure", "--mtu=1500", "--disable-host-loopback"),
                *(f"--ready-fd={told}", str(self._first), "tap0"),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            pass_fds=(told,),
        )
        os.close(told)
        try:
            if not os.read(ready, 1):
                failed = way_out.communicate()[1].decode("utf-8", "replace")
                raise EngineFailed(f"there is no way out of the engine's network:\n{failed}")
            yield
        finally:
            os.close(ready)
            way_out.terminate()
            way_out.communicate()

    def run(self, command: Sequence[str], environment: Mapping[str, str]) -> int:
        """Run a command in the engine's network, where the ports are that containers publish, and
        as its client; what it exits with."""
        inside = ["nsenter", f"--net=/proc/{self._first}/ns/net", *command]
        return subprocess.run(inside, env={**environment, **self.environment}).returncode

    def __enter__(self) -> Engine:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self.folder / "engine.log"

    @property
    def _first(self) -> int:
        """The first process within, as it is known from here."""
        assert self._process is not None
        pid = self._process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def _settings(self) -> dict[str, object]:
        return {
            "hosts": [f"unix://{self.folder / 'docker.sock'}"],
            "data-root": str(self.folder / "data"),
            "exec-root": "/run/docker",
            "pidfile": "/run/docker.pid",
            # Else it is written to /etc.
            "deprecated-key-path": str(self.folder / "key.json"),
            "exec-opts": ["native.cgroupdriver=cgroupfs"],
            # Lowering it takes a capability that not every machine gives.
            "oom-score-adjust": 0,
        }

    def _tail(self, lines: int = 20) -> str:
        return "\n".join(self._log.read_text("utf-8", "replace").splitlines()[-lines:])


def missing_programs() -> list[str]:
    """What an engine can't be started without, of what isn't there."""
    path = os.environ.get("PATH", "") + ":/usr/sbin:/sbin"
    return [name for name in PROGRAMS if shutil.which(name, path=path) is None] + (
        [] if CLIENT.exists() else [str(CLIENT)]
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.deploy.engine", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--online", action="store_true", help="let its containers out")
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with Engine(arguments.folder) as engine:
        for name, value in engine.environment.items():
            print(f"export {name}={value}", flush=True)
        try:
            if arguments.online:
                with engine.online():
                    signal.pause()
            signal.pause()
        except KeyboardInterrupt:
            return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
