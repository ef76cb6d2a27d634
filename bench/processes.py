"""Finds the processes of a server and adds up their memory, from /proc (Linux)."""

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path

from .target import NotOfferedError

_PROC = Path("/proc")


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
