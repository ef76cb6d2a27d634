"""Finds the processes of a server, their memory and their processor time, from /proc (Linux)."""

import contextlib
import os
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from .target import NotOfferedError

IDLE_WINDOW = 0.3  # seconds between two looks
IDLE_SHARE = 0.1  # of one core: probes and timers use some
_PROC = Path("/proc")
_TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


def descendants(roots: Iterable[int]) -> Sequence[int]:
    """Lists the given processes and everything they started, as far as it lives."""
    children: dict[int, list[int]] = defaultdict(list)
    alive: set[int] = set()
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (parent := _parent(entry)) is not None:
            children[parent].append(int(entry.name))
            alive.add(int(entry.name))
    found: list[int] = []
    waiting = [root for root in roots if root in alive]
    while waiting:
        process = waiting.pop()
        if process not in found:
            found.append(process)
            waiting += children[process]
    return found


def memory(processes: Iterable[int]) -> int:
    """Adds up the proportional set sizes, in bytes; a process that has gone counts nothing.

    Raises:
        NotOfferedError: where the kernel doesn't tell.
    """
    if not (_PROC / "self/smaps_rollup").exists():
        raise NotOfferedError("no /proc/PID/smaps_rollup here")
    return sum(_proportional_set_size(process) for process in processes)


def wait_idle(list_processes: Callable[[], Iterable[int]], seconds: float) -> float:
    """Waits until the processes use next to no processor time; says how long they went on.

    Gives up after some seconds: then it is as it is.
    """
    begin = time.monotonic()
    used = processor_seconds(list_processes())
    while (passed := time.monotonic() - begin) < seconds:
        time.sleep(IDLE_WINDOW)
        before, used = used, processor_seconds(list_processes())
        if used - before < IDLE_SHARE * IDLE_WINDOW:
            return passed
    return seconds


def processor_seconds(processes: Iterable[int]) -> float:
    """Adds up the processor time that processes have used; one that has gone counts nothing."""
    ticks = 0
    for process in processes:
        with contextlib.suppress(OSError, IndexError):
            fields = (_PROC / str(process) / "stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / _TICKS_PER_SECOND


def wait_gone(processes: Iterable[int], seconds: float) -> bool:
    """Waits until none of the processes is left; says whether that came about in time."""
    deadline = time.monotonic() + seconds
    remaining = set(processes)
    while remaining:
        remaining = {process for process in remaining if (_PROC / str(process)).exists()}
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _parent(entry: Path) -> int | None:
    try:
        # The name in parentheses may hold anything, spaces and parentheses too.
        return int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return None


def _proportional_set_size(process: int) -> int:
    try:
        text = (_PROC / str(process) / "smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    except PermissionError as error:
        raise NotOfferedError(f"may not read the memory of process {process}") from error
    for line in text.splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1]) * 1024
    return 0
