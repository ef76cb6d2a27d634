"""Says what machine the figures are from."""

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What a reader must know to judge the figures."""

    processor: str
    cores: int
    memory_gib: float
    kernel: str
    python: str
    filesystem: str
    load: float

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
