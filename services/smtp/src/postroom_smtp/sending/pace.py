"""How fast each destination is sent to: connections at a time, and messages a second.

Both shrink when a destination says that it is too much, and come back while it takes mail. What is
counted here is this worker's; the number of connections of all workers together is the store's.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

MOST_KNOWN = 10_000  # destinations that differ from the usual
MOST_WAIT = 5.0  # seconds for which a connection waits for its turn by a rate
SLOW_SECONDS = 60.0  # for which a destination that has had too much gets nothing new
LEAST_TAKEN = 20  # messages after which one more connection is tried


@dataclass(slots=True)
class _Destination:
    limit: int
    usual: int
    resting_until: float = 0.0
    taken: int = 0
    next_at: float = 0.0  # when the rate lets the next message go


class Pace:
    """The limits of every destination.

    Args:
        connections: the usual limit.
        limits: of domains with another one.
        rates: messages a second, of domains that have such a limit; "*" for all others.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        connections: int,
        limits: Mapping[str, int],
        rates: Mapping[str, float],
        clock: Callable[[], float],
    ) -> None:
        self._usual = connections
        self._limits = limits
        self._rates = rates
        self._clock = clock
        self._known: dict[str, _Destination] = {}

    def limits(self) -> dict[str, int]:
        """Where the number of batches isn't the usual one; 0: not now."""
        now = self._clock()
        self._forget(now)
        told = dict(self._limits)
        for domain, one in self._known.items():
            closed = one.resting_until > now or one.next_at > now + MOST_WAIT
            told[domain] = 0 if closed else one.limit
        return told

    def delay(self, domain: str) -> float:
        """Seconds to wait before the next message, which counts as sent then; where they are more
        than `MOST_WAIT`, it doesn't count, and isn't to be sent.
        """
        rate = self._rate(domain)
        if not rate:
            return 0.0
        now, one = self._clock(), self._of(domain)
        at = max(one.next_at, now)
        if at <= now + MOST_WAIT:
            one.next_at = at + 1 / rate
        return at - now

    def turns(self, domain: str, count: int) -> list[float]:
        """In how many seconds each of some messages has its turn, if all goes by the rate."""
        rate = self._rate(domain)
        first = max(self._of(domain).next_at - self._clock(), 0.0)
        return [first + number / rate if rate else first for number in range(count)]

    def _rate(self, domain: str) -> float:
        return self._rates.get(domain, self._rates.get("*", 0.0))

    def too_much(self, domain: str) -> None:
        """The destination asks for less."""
        one = self._of(domain)
        one.limit = max(one.limit // 2, 1)
        one.resting_until = self._clock() + SLOW_SECONDS
        one.taken = 0

    def took(self, domain: str) -> None:
        """The destination took a message."""
        one = self._known.get(domain)
        if one is None or one.limit >= one.usual:
            return
        one.taken += 1
        if one.taken >= LEAST_TAKEN:
            one.limit += 1
            one.taken = 0

    def _of(self, domain: str) -> _Destination:
        one = self._known.get(domain)
        if one is None:
            if len(self._known) >= MOST_KNOWN:
                del self._known[next(iter(self._known))]
            usual = self._limits.get(domain, self._usual)
            one = self._known[domain] = _Destination(usual, usual)
        return one

    def _forget(self, now: float) -> None:
        """Drop what is as usual again."""
        usual = [
            domain
            for domain, one in self._known.items()
            if one.limit >= one.usual and one.resting_until <= now and one.next_at <= now
        ]
        for domain in usual:
            del self._known[domain]
