"""What the system takes in containers: `python -m bench.containers`.

What `docker compose up` starts is told by container: the memory as it is when nothing goes on, and
with sessions in IDLE; the processor's time for a message of 4 KiB that comes in by SMTP, and for an
IMAP session that signs in over TLS and selects its INBOX. So many of either a processor does in a
second; who sends shares the machine. The images are built where they are missing. Printed only.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from tests.deploy.compose import ENTRANCES, Stack, made_image, running
from tests.deploy.containers import some_engine

MESSAGES, OCTETS = 5_000, 4_096
SESSIONS = 500
ANN, PASSWORD = "ann@example.org", "correct horse battery"
SERVICES = ("smtp", "imap", "pop3", "admin", "auth", "store", "smtp-tls", "imap-tls")
MEBIBYTE = 1024 * 1024
UNITS = {"B": 1, "KiB": 1024, "MiB": MEBIBYTE, "GiB": 1024 * MEBIBYTE}

# Seconds of processors that a container has used (cgroups of version 2, or 1).
USED = """
import pathlib
new, old = (pathlib.Path("/sys/fs/cgroup") / name for name in ("cpu.stat", "cpuacct/cpuacct.usage"))
if new.exists():
    print(int(dict(line.split() for line in new.read_text().splitlines())["usage_usec"]) / 1e6)
else:
    print(int(old.read_text()) / 1e9)
"""


@dataclass(frozen=True, slots=True)
class Taken:
    """What the containers have taken so far: seconds of processors, and MiB."""

    seconds: Mapping[str, float]
    memory: Mapping[str, float]

    @classmethod
    def by(cls, stack: Stack) -> Taken:
        names = {service: f"{stack.project}-{service}-1" for service in SERVICES}
        told = stack.docker(
            "stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}}", *names.values()
        )
        memory = dict(line.split(maxsplit=1) for line in told.splitlines())
        return cls(
            {
                service: float(stack.docker("exec", name, "python3", "-c", USED))
                for service, name in names.items()
            },
            {service: _mebibytes(memory[name]) for service, name in names.items()},
        )


def measure(stack: Stack) -> str:
    """A table of what was taken."""
    stack.up()
    stack.postroom("domain", "add", "example.org")
    stack.postroom("account", "add", ANN, "--stdin", "--accept-weak", stdin=PASSWORD)
    stack.script("load", *ENTRANCES["smtp"], ANN, "100", str(OCTETS))
    idle = Taken.by(stack)
    sent = float(stack.script("load", *ENTRANCES["smtp"], ANN, str(MESSAGES), str(OCTETS)))
    loaded = Taken.by(stack)
    sitting = ("sit", *ENTRANCES["imaps"], ANN, PASSWORD, str(SESSIONS))
    with stack.in_background(*sitting) as sessions:
        assert sessions.stdout is not None
        begun = float(sessions.stdout.readline())
        sat = Taken.by(stack)
    lines = [
        f"{os.cpu_count()} processors, the sender's work among it:",
        f"  {MESSAGES / sent:,.0f} messages/s in, {SESSIONS / begun:,.0f} sessions/s begun",
        "",
        "| container | idle | after messages | a message | with sessions | a session begun |",
        "|---|--:|--:|--:|--:|--:|",
    ]
    for service in SERVICES:
        message = (loaded.seconds[service] - idle.seconds[service]) / MESSAGES
        session = (sat.seconds[service] - loaded.seconds[service]) / SESSIONS
        lines.append(
            f"| `{service}` | {idle.memory[service]:.0f} MiB | {loaded.memory[service]:.0f} MiB "
            f"| {message * 1000:.2f} ms | {sat.memory[service]:.0f} MiB | {session * 1000:.2f} ms |"
        )
    return "\n".join(lines)


def _mebibytes(told: str) -> float:
    found = re.match(r"([\d.]+)(B|KiB|MiB|GiB) /", told)
    assert found, told
    return float(found[1]) * UNITS[found[2]] / MEBIBYTE


def main() -> None:
    with some_engine() as docker:
        docker.build()
        made_image(docker, "client")
        with running(docker, "postroom-bench") as stack:
            print(measure(stack))


if __name__ == "__main__":
    main()
