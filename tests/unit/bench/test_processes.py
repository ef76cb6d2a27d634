"""Finding a server's processes and their memory."""

import subprocess
import sys
from pathlib import Path

import pytest

from bench.processes import descendants, memory, wait_gone

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
