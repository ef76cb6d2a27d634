"""What was learnt a moment ago, within a bound of time and of number."""

from __future__ import annotations

import time
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Recent(Generic[K, V]):
    """Answers of the last seconds, so many at most."""

    def __init__(self, seconds: float, most: int) -> None:
        self._seconds = seconds
        self._most = most
        self._answers: dict[K, tuple[float, V]] = {}

    def get(self, key: K) -> V | None:
        expires, answer = self._answers.get(key, (0.0, None))
        return answer if time.monotonic() < expires else None

    def put(self, key: K, answer: V) -> None:
        if len(self._answers) >= self._most:
            self._answers.clear()
        self._answers[key] = (time.monotonic() + self._seconds, answer)
