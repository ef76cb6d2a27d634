"""What a workload is: rows of a table, goals, sizes, and the stage one repeat plays on."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from .corpus import Corpus
from .imap import ImapClient
from .target import Account, Target

SMALL = "Small"


class Better(StrEnum):
    """Which way a figure should go."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Mark:
    """A goal: at least `factor` times as good as `peer` is in `row` (None: the same row)."""

    words: str
    factor: float
    peer: str
    row: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the results."""

    key: str
    title: str
    unit: str
    better: Better
    first: Mark | None = None
    then: Mark | None = None


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much of everything: the full measure, or a quick look."""

    messages: int = 20_000
    deliveries: int = 2_000
    appends: int = 300
    bodies: int = 1_000
    body_range: int = 2_000
    stores: int = 500
    noops: int = 4_000
    logins: int = 200
    idle: int = 500
    crowd: int = 5_000
    retrievals: int = 1_000
    mixed_seconds: float = 8.0

    @classmethod
    def quick(cls, messages: int = 2_000) -> "Sizes":
        """A tenth of everything, for a look in a minute or two."""
        return cls(messages, 300, 60, 200, 1_000, 100, 1_000, 40, 100, 500, 200, 2.0)


@dataclass(frozen=True, slots=True)
class Stage:
    """Where one repeat of a workload plays.

    Attributes:
        turn: number of the repeat, from 0; workloads take other words, ranges and flags each time,
            so that an answer remembered from the last turn is worth nothing.
    """

    target: Target
    corpus: Corpus
    sizes: Sizes
    turn: int = 0

    @property
    def reader(self) -> Account:
        return self.target.accounts[0]

    @property
    def writer(self) -> Account:
        return self.target.accounts[1]

    def large(self) -> ImapClient:
        """Opens a session with the large mailbox selected."""
        client = ImapClient(self.target.imap, self.reader)
        client.select("INBOX")
        return client

    def small(self) -> ImapClient:
        """Opens a session with a small mailbox selected."""
        client = ImapClient(self.target.imap, self.writer)
        client.select(SMALL)
        return client


@dataclass(frozen=True, slots=True)
class Workload:
    """What is measured together; `measure` returns a figure for each of `rows`, in order."""

    name: str
    rows: tuple[Row, ...]
    measure: Callable[[Stage], tuple[float, ...]]


class Stopwatch:
    """Measures the body of a ``with`` in seconds."""

    seconds = 0.0

    def __enter__(self) -> "Stopwatch":
        self._begin = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._begin
