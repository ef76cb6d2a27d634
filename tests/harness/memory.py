"""The memory of a service, watched while a test goes on."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.harness.system import MailSystem

MEGABYTE = 1 << 20
SAMPLE_SECONDS = 0.05


@contextmanager
def growth(system: MailSystem, service: str, most: int) -> Iterator[None]:
    """Demands that a service grows by no more, at any moment."""
    before, peak, over = system.memory(service), [0], threading.Event()

    def look() -> None:
        while not over.wait(SAMPLE_SECONDS):
            peak[0] = max(peak[0], system.memory(service) - before)

    looking = threading.Thread(target=look)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join()
    assert max(peak[0], system.memory(service) - before) < most
