"""The throttle: what all replicas have counted, as this one knows it.

Counts are in the database and mirrored in memory. While nobody fails, nothing is written, and what
all have counted is read while a hash is computed, or for SCRAM while the account is read: neither
takes longer. All else is checked after that read. A failure is written before it is
answered, and the answer of the database tells the total of all replicas. So guesses that are spread
over replicas are as many as if they had come to one.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.networks import Network
from postroom_auth.domain.throttle import Failures, Pace
from postroom_auth.ports import FailureCounts, Subject, Successes
from postroom_auth.remembered import Remembered

log = logs.logger(__name__)

ACCOUNT, NETWORK = "account ", "network "  # what subjects begin with in the database
FRESH_SECONDS = 1.0  # how old a count may be that makes somebody wait
STRANGER_SECONDS = 60.0  # how long a network stays a strange one


class SharedThrottle:
    """Throttle (see ports): counts failures per account and per network.

    Guesses from a network where the account's owner has signed in before are counted apart from
    everybody else's, so that a stranger can't lock the owner out.

    Args:
        counts: of all replicas.
        successes: who has signed in from where.
        account: the pace for an account's name.
        network: the pace for a client's network.
        exempt: networks that are not counted themselves (a webmail's, where all come from).
        clock: Unix seconds: replicas have it in common.
    """

    def __init__(
        self,
        counts: FailureCounts,
        successes: Successes,
        account: Pace,
        network: Pace,
        clock: Callable[[], float],
        exempt: Sequence[Network] = (),
    ) -> None:
        self._counts = counts
        self._successes = successes
        self._accounts = Failures(account)
        self._networks = Failures(network)
        self._familiar: OrderedDict[Subject, None] = OrderedDict()
        self._strangers = Remembered[Subject, bool](STRANGER_SECONDS, account.subjects, clock)
        self._fresh = Remembered[Subject, bool](FRESH_SECONDS, account.subjects, clock)
        self._exempt = exempt
        self._clock = clock

    async def check(self, subject: Subject) -> None:
        if self._wait(subject) and not self._fresh.get(subject, False):
            # Somebody must wait as far as this replica knows: is that so still?
            self._fresh.put(subject, True, self._fresh.era)
            await self._read(subject, self._key(subject))
            if self._wait_for_account(self._key(subject)):
                await self._recognise(subject)
        self._refuse(self._wait(subject))

    async def begin(self, subject: Subject) -> str | None:
        await self.check(subject)
        key = self._key(subject)
        if key is not None:
            self._accounts.begin(key)
        return key

    async def learn(self, subject: Subject) -> None:
        key = self._key(subject)
        await self._read(subject, key)
        if self._wait_for_account(key, pending=False) and await self._recognise(subject):
            key = self._key(subject)
            await self._read(subject, key)
        wait = self._wait_for_account(key, pending=False)
        self._refuse(max(wait, self._wait_for_network(subject)))

    async def failed(self, subject: Subject, begun: str | None = None) -> None:
        # As the guess was begun: the network may have become familiar since.
        key = self._key(subject) if begun is None else begun
        now = self._clock()
        counted = self._counted(subject, key)
        if not counted:
            return
        try:
            before = [which.record(one, now) for _, which, one in counted]
            totals = await self._counts.add({name: which.pace for name, which, _ in counted}, now)
            for (name, which, one), known in zip(counted, before, strict=True):
                which.learn(one, totals[name], known)
        except PostroomError as error:
            log.warning("throttle.not_shared", error=error.message)
            for _, which, one in counted:
                which.add(one, now)
        finally:
            await self.withdrawn(begun)

    async def succeeded(self, subject: Subject, begun: str | None = None) -> None:
        key = self._key(subject) if begun is None else begun
        await self.withdrawn(begun)
        if key is None:
            return
        self._befriend(subject)
        if self._accounts.record(key, self._clock()) is None:
            return
        self._accounts.put(key, None)
        try:
            await self._counts.clear([ACCOUNT + key])
        except PostroomError as error:
            log.warning("throttle.not_shared", error=error.message)

    async def withdrawn(self, begun: str | None) -> None:
        if begun is not None:
            self._accounts.end(begun)

    def _key(self, subject: Subject) -> str | None:
        """What the account's failures are counted under; None: they are not."""
        if subject in self._familiar:
            return f"{subject.account} {subject.network}"
        return subject.account

    def _wait(self, subject: Subject) -> float:
        return max(self._wait_for_account(self._key(subject)), self._wait_for_network(subject))

    def _wait_for_account(self, key: str | None, *, pending: bool = True) -> float:
        if key is None:
            return 0.0
        return self._accounts.wait(key, self._clock(), pending=pending)

    def _wait_for_network(self, subject: Subject) -> float:
        if not self._is_counted(subject.network):
            return 0.0
        return self._networks.wait(subject.network, self._clock())

    def _refuse(self, wait: float) -> None:
        if wait > 0:
            seconds = math.ceil(wait)
            raise PostroomError(
                Kind.RATE_LIMITED, f"too many failures: try again in {seconds} seconds"
            )

    async def _read(self, subject: Subject, key: str | None) -> None:
        """Learn what all replicas have counted."""
        counted = self._counted(subject, key)
        if not counted:
            return
        before = [which.record(one, self._clock()) for _, which, one in counted]
        found = await self._counts.read([name for name, _, _ in counted])
        for (name, which, one), known in zip(counted, before, strict=True):
            which.learn(one, found.get(name), known)

    def _counted(self, subject: Subject, key: str | None) -> list[tuple[str, Failures, str]]:
        """What is counted of a subject: as the database calls it, and where it is mirrored."""
        counted = []
        if key is not None:
            counted.append((ACCOUNT + key, self._accounts, key))
        if self._is_counted(subject.network):
            counted.append((NETWORK + subject.network, self._networks, subject.network))
        return counted

    async def _recognise(self, subject: Subject) -> bool:
        """Whether the owner has signed in from there, on whichever replica. Asked for those who
        would have to wait alone."""
        if subject in self._familiar or not subject.network or self._strangers.get(subject, False):
            return False
        if await self._successes.signed_in(subject):
            self._befriend(subject)
            return True
        self._strangers.put(subject, True, self._strangers.era)
        return False

    def _befriend(self, subject: Subject) -> None:
        self._familiar[subject] = None
        self._familiar.move_to_end(subject)
        if len(self._familiar) > self._accounts.pace.subjects:
            self._familiar.popitem(last=False)

    def _is_counted(self, network: str) -> bool:
        if not network:
            return False
        if not self._exempt:
            return True
        inner = ipaddress.ip_network(network)
        return not any(
            inner.version == outer.version and inner.network_address in outer
            for outer in self._exempt
        )
