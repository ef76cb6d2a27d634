"""Finding a server's processes and their memory."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from bench.processes import descendants, memory, processor_seconds, wait_gone, wait_idle

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/smaps_rollup").exists(), reason="needs Linux's /proc"
)
PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=sys.stdin)
print(child.pid, flush=True)
child.wait()
"""


def test_children_of_children_are_found_and_gone_in_the_end() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        grandchild = int(parent.stdout.readline())
        assert set(descendants([parent.pid])) == {parent.pid, grandchild}
        assert memory([parent.pid, grandchild]) > memory([parent.pid]) > 1 << 20
        assert not wait_gone([grandchild], 0)
    assert wait_gone([parent.pid, grandchild], 10)
    assert descendants([parent.pid]) == []
    assert memory([parent.pid]) == 0


@pytest.fixture
def busy() -> Iterator[Callable[[str], int]]:
    """Starts a script, which is ended with the test, and gives its process id."""
    with ExitStack() as started:

        def start(script: str) -> int:
            whole = f"print(flush=True)\n{script}"
            process = subprocess.Popen([sys.executable, "-c", whole], stdout=subprocess.PIPE)
            started.enter_context(process)
            started.callback(process.kill)
            assert process.stdout is not None
            process.stdout.readline()  # it has begun
            return process.pid

        yield start


def test_work_is_waited_for(busy: Callable[[str], int]) -> None:
    process = busy("import time\nwhile time.process_time() < 1.5: pass\ntime.sleep(600)")

    seconds = wait_idle(lambda: [process], 60)

    assert processor_seconds([process]) >= 1.4  # it is counted in hundredths
    assert 0 < seconds < 60


def test_what_never_rests_is_not_waited_for_ever(busy: Callable[[str], int]) -> None:
    process = busy("while True: pass")

    assert wait_idle(lambda: [process], 1) == 1
