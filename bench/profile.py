"""Records where Postroom's services spend their time during a workload, by py-spy if installed."""

import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .postroom import Postroom
from .target import Target, UnavailableError

_END_SECONDS = 30.0


def find_profiler() -> str:
    """Finds py-spy beside this Python or on the path. Raises UnavailableError."""
    beside = Path(sys.executable).parent / "py-spy"
    found = str(beside) if beside.exists() else shutil.which("py-spy")
    if found is None:
        raise UnavailableError("py-spy isn't installed (pip install py-spy)")
    return found


@contextmanager
def recording(target: Target, workload: str, folder: Path) -> Iterator[None]:
    """Profiles every service while the body runs: flame graphs ``folder/WORKLOAD-SERVICE.svg``.

    Other targets aren't profiled. Restarted services escape: the rows "after a restart" show only
    their start.
    """
    if not isinstance(target, Postroom):
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    recorders = [
        _record(process, folder / f"{workload}-{service}.svg")
        for service, process in target.services.items()
    ]
    try:
        yield
    finally:
        for recorder in recorders:
            recorder.send_signal(signal.SIGINT)
        for recorder in recorders:
            recorder.wait(_END_SECONDS)


def _record(process: int, output: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [find_profiler(), "record", "--pid", str(process), "--subprocesses", "--output", output],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
