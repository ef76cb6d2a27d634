"""Says what machine the figures are from."""

import os
import platform
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader must know to judge the figures.

    Attributes:
        wake_up: microseconds from one process to another that sleeps: on the same processor, and
            on another (0: it can't be told). Each command is at least two of them, and each RPC
            between services several more, so that they weigh on a virtual machine.
    """

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    filesystem: str
    load: float
    wake_up: tuple[float, float]

    @classmethod
    def here(cls, directory: Path) -> "Machine":
        """Looks at this machine; `directory` is where the servers write."""
        return cls(
            processor=_processor(),
            cores=os.cpu_count() or 1,
            memory_gib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30,
            kernel=f"{platform.system()} {platform.release()} {platform.machine()}",
            python=f"{platform.python_implementation()} {platform.python_version()}",
            filesystem=_filesystem(directory.resolve()),
            load=os.getloadavg()[0],
            wake_up=_wake_ups(),
        )


def _processor() -> str:
    try:
        found = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown"


def _filesystem(directory: Path) -> str:
    try:
        mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    except OSError:
        return "unknown"
    over = [mount for mount in mounts if directory.is_relative_to(mount[1])]
    return max(over, key=lambda mount: len(mount[1]))[2] if over else "unknown"


_ROUNDS = 5_000


def _wake_ups() -> tuple[float, float]:
    """How long a wake-up takes on one processor and between two, in microseconds."""
    try:
        processors = sorted(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return 0.0, 0.0
    return _wake_up(processors[0], processors[0]), _wake_up(processors[0], processors[-1])


def _wake_up(here: int, there: int) -> float:
    """Half of the mean time of an octet to a process on another processor and back."""
    ours, theirs = socket.socketpair()
    if (echo := os.fork()) == 0:
        ours.close()
        os.sched_setaffinity(0, {there})
        while octet := theirs.recv(1):
            theirs.send(octet)
        os._exit(0)
    theirs.close()
    allowed = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {here})
        started = time.perf_counter()
        for _ in range(_ROUNDS):
            ours.send(b".")
            ours.recv(1)
        return (time.perf_counter() - started) / _ROUNDS / 2 * 1e6
    finally:
        os.sched_setaffinity(0, allowed)
        ours.close()
        os.waitpid(echo, 0)
