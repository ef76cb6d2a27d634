"""How failures to sign in slow further guesses down.

Each subject (an account's name, a network) has some failures free. After these it has to wait,
twice as long with each failure, up to a most; after very many it is locked for long. A subject with
no failure for a while is forgotten. A refused attempt is not counted: a client that keeps trying
with an old password doesn't lock its owner out for ever.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from dataclasses import dataclass

DOUBLINGS = 30


@dataclass(frozen=True, slots=True)
class Record:
    """Failures of one subject.

    Attributes:
        count: how many.
        last: Unix seconds of the last one.
    """

    count: int
    last: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How patient a throttle is.

    Attributes:
        free: failures without a wait.
        first: seconds to wait after the next one.
        most: seconds to wait at most.
        memory: seconds after the last failure until all is forgotten.
        subjects: how many are remembered; beyond, the one that failed longest ago is forgotten.
        lock_after: failures that lock; 0: none do.
        lock: seconds that a lock lasts.
    """

    free: int
    first: float
    most: float
    memory: float
    subjects: int
    lock_after: int = 0
    lock: float = 0.0

    def locks(self, count: int) -> bool:
        """Whether so many failures lock."""
        return 0 < self.lock_after <= count

    def pause(self, count: int) -> float:
        """Seconds to wait after the last of so many failures."""
        if self.locks(count):
            return max(self.lock, self.most)
        if count <= self.free:
            return 0.0
        doublings = min(count - self.free - 1, DOUBLINGS)
        return min(self.most, self.first * 2.0**doublings)

    def forgotten(self, record: Record, now: float) -> bool:
        """Whether failures are so long ago that they count no more."""
        return now - record.last > max(self.memory, self.pause(record.count))


class Failures:
    """Failures of many subjects of one sort, in bounded memory: those that are known, and guesses
    under way, which count as failures until they end.
    """

    def __init__(self, pace: Pace) -> None:
        self.pace = pace
        self._records: OrderedDict[str, Record] = OrderedDict()
        self._pending: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._records)

    def record(self, subject: str, now: float) -> Record | None:
        """What is known of a subject."""
        record = self._records.get(subject)
        if record is not None and self.pace.forgotten(record, now):
            del self._records[subject]
            return None
        return record

    def wait(self, subject: str, now: float, *, pending: bool = True) -> float:
        """Seconds until the subject may try again; 0: now."""
        record = self.record(subject, now)
        under_way = self._pending[subject] if pending and subject in self._pending else 0
        count = (record.count if record else 0) + under_way
        last = now if under_way or record is None else record.last
        return max(0.0, last + self.pace.pause(count) - now)

    def begin(self, subject: str) -> None:
        """A guess is under way."""
        self._pending[subject] += 1

    def end(self, subject: str) -> None:
        """It has ended, however."""
        self._pending[subject] -= 1
        if self._pending[subject] <= 0:
            del self._pending[subject]

    def learn(self, subject: str, told: Record | None, before: Record | None) -> None:
        """What is known of a subject by the word of somebody who was asked.

        Args:
            before: what was known then. If more has come to be known since, it is newer.
        """
        known = self._records.get(subject)
        if known is None or known is before or (told and told.count >= known.count):
            self.put(subject, told)

    def put(self, subject: str, record: Record | None) -> None:
        """What is known of a subject is this now; None: it has not failed."""
        if record is None:
            self._records.pop(subject, None)
            return
        self._records[subject] = record
        self._records.move_to_end(subject)
        if len(self._records) > self.pace.subjects:
            self._records.popitem(last=False)

    def add(self, subject: str, now: float) -> None:
        """One more failure, which nobody else knows of."""
        record = self.record(subject, now)
        self.put(subject, Record(record.count + 1 if record else 1, now))
