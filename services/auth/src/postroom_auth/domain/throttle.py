"""How failures to sign in slow further guesses down.

Each subject (an account's name, a network) has some failures free. After these it has to wait,
twice as long with each failure, up to a most; a subject with no failure for a while is forgotten.
A refused attempt is not counted: a client that keeps trying with an old password doesn't lock its
owner out for ever.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a throttle is.

    Attributes:
        free: failures without a wait.
        first: seconds to wait after the next one.
        most: seconds to wait at most.
        memory: seconds after the last failure until all is forgotten.
        subjects: how many are remembered; beyond, the one that failed longest ago is forgotten.
    """

    free: int
    first: float
    most: float
    memory: float
    subjects: int


@dataclass(frozen=True, slots=True)
class _Record:
    count: int
    last: float


class Failures:
    """Failures of many subjects of one sort, in bounded memory."""

    def __init__(self, pace: Pace) -> None:
        self._pace = pace
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def wait(self, subject: str, now: float) -> float:
        """Seconds until the subject may try again; 0: now."""
        record = self._current(subject, now)
        if record is None or record.count <= self._pace.free:
            return 0.0
        doublings = min(record.count - self._pace.free - 1, DOUBLINGS)
        pause = min(self._pace.most, self._pace.first * 2.0**doublings)
        return max(0.0, record.last + pause - now)

    def add(self, subject: str, now: float) -> None:
        """Count a failure."""
        record = self._current(subject, now)
        self._records[subject] = _Record(record.count + 1 if record else 1, now)
        self._records.move_to_end(subject)
        if len(self._records) > self._pace.subjects:
            self._records.popitem(last=False)

    def take_back(self, subject: str) -> None:
        """Uncount a failure that was none; the time of the last one stays."""
        record = self._records.get(subject)
        if record is not None and record.count > 1:
            self._records[subject] = _Record(record.count - 1, record.last)
        elif record is not None:
            del self._records[subject]

    def clear(self, subject: str) -> None:
        self._records.pop(subject, None)

    def _current(self, subject: str, now: float) -> _Record | None:
        record = self._records.get(subject)
        if record is not None and now - record.last > self._pace.memory:
            del self._records[subject]
            return None
        return record
