"""Files whose changes are taken up without a restart: certificates and their keys."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path

CHECK_SECONDS = 5.0


class FollowedFiles:
    """Files that are looked at now and then, by when they were last changed.

    Kubernetes puts other files in the place of those of a secret, by a symbolic link that all of
    them are reached through: that shows, too.

    Args:
        clock: seconds, monotonic.
    """

    def __init__(self, files: Sequence[Path], clock: Callable[[], float] = time.monotonic) -> None:
        self._files = files
        self._clock = clock
        self._checked = clock()
        self._seen = self._times()

    @property
    def due(self) -> bool:
        """Whether it is time to look again."""
        now = self._clock()
        if now - self._checked <= CHECK_SECONDS:
            return False
        self._checked = now
        return True

    @property
    def changed(self) -> tuple[int, ...] | None:
        """What `taken` is to be told once the files were read; None: they are as before."""
        times = self._times()
        return None if times == self._seen else times

    def taken(self, times: tuple[int, ...]) -> None:
        self._seen = times

    def _times(self) -> tuple[int, ...]:
        return tuple(file.stat().st_mtime_ns if file.exists() else 0 for file in self._files)
