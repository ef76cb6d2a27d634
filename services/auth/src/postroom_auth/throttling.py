"""The throttle: what all replicas have counted, as this one knows it.

Counts are in the database and mirrored in memory. While nobody fails, nothing is written, and what
is read is read while a hash is computed: a sign-in takes no longer. A failure is written before it
is answered, and the answer of the database tells the total of all replicas. So guesses that are
spread over replicas are as many as if they had come to one.
"""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict, defaultdict
from collections.abc import Callable, Sequence

from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.throttle import Failures, Pace
from postroom_auth.ports import FailureCounts, Subject, Successes
from postroom_auth.remembered import Remembered

log = logs.logger(__name__)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

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
        self._begun: defaultdict[Subject, list[str]] = defaultdict(list)
        self._exempt = exempt
        self._clock = clock

    async def check(self, subject: Subject) -> None:
        if self._wait(subject) and not self._fresh.get(subject, False):
            # Somebody must wait as far as this replica knows: is that so still?
            self._fresh.put(subject, True, self._fresh.era)
            await self._read(subject, self._key(subject))
            if self._wait_for_account(subject):
                await self._recognise(subject)
        self._refuse(self._wait(subject))

    async def begin(self, subject: Subject) -> None:
        await self.check(subject)
        key = self._key(subject)
        self._begun[subject].append(key)
        self._accounts.begin(key)

    async def learn(self, subject: Subject) -> None:
        key = self._key(subject)
        await self._read(subject, key)
        if self._accounts.wait(key, self._clock(), pending=False) and await self._recognise(
            subject
        ):
            key = self._key(subject)
            await self._read(subject, key)
        wait = self._accounts.wait(key, self._clock(), pending=False)
        self._refuse(max(wait, self._wait_for_network(subject)))

    async def failed(self, subject: Subject, *, begun: bool = True) -> None:
        key = self._begun_as(subject) if begun else self._key(subject)
        now = self._clock()
        try:
            subjects = {ACCOUNT + key: self._accounts.pace}
            if self._counted(subject.network):
                subjects[NETWORK + subject.network] = self._networks.pace
            totals = await self._counts.add(subjects, now)
            self._accounts.put(key, totals[ACCOUNT + key])
            if NETWORK + subject.network in totals:
                self._networks.put(subject.network, totals[NETWORK + subject.network])
        except PostroomError as error:
            log.warning("throttle.not_shared", error=error.message)
            self._accounts.add(key, now)
            if self._counted(subject.network):
                self._networks.add(subject.network, now)
        finally:
            if begun:
                self._end(subject)

    async def succeeded(self, subject: Subject, *, begun: bool = True) -> None:
        key = self._begun_as(subject) if begun else self._key(subject)
        if begun:
            self._end(subject)
        self._befriend(subject)
        if self._accounts.record(key, self._clock()) is None:
            return
        self._accounts.put(key, None)
        try:
            await self._counts.clear([ACCOUNT + key])
        except PostroomError as error:
            log.warning("throttle.not_shared", error=error.message)

    async def withdrawn(self, subject: Subject) -> None:
        self._end(subject)

    def _key(self, subject: Subject) -> str:
        if subject in self._familiar:
            return f"{subject.account} {subject.network}"
        return subject.account

    def _begun_as(self, subject: Subject) -> str:
        """The key that a guess was begun under: the network may have become familiar since."""
        begun = self._begun.get(subject)
        return begun[0] if begun else self._key(subject)

    def _end(self, subject: Subject) -> None:
        if begun := self._begun.get(subject):
            self._accounts.end(begun.pop(0))
        if not begun:
            self._begun.pop(subject, None)

    def _wait(self, subject: Subject) -> float:
        return max(self._wait_for_account(subject), self._wait_for_network(subject))

    def _wait_for_account(self, subject: Subject) -> float:
        return self._accounts.wait(self._key(subject), self._clock())

    def _wait_for_network(self, subject: Subject) -> float:
        if not self._counted(subject.network):
            return 0.0
        return self._networks.wait(subject.network, self._clock())

    def _refuse(self, wait: float) -> None:
        if wait > 0:
            seconds = math.ceil(wait)
            raise PostroomError(
                Kind.RATE_LIMITED, f"too many failures: try again in {seconds} seconds"
            )

    async def _read(self, subject: Subject, key: str) -> None:
        """Learn what all replicas have counted."""
        subjects = [ACCOUNT + key]
        if self._counted(subject.network):
            subjects.append(NETWORK + subject.network)
        found = await self._counts.read(subjects)
        self._accounts.put(key, found.get(ACCOUNT + key))
        if self._counted(subject.network):
            self._networks.put(subject.network, found.get(NETWORK + subject.network))

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

    def _counted(self, network: str) -> bool:
        if not network:
            return False
        if not self._exempt:
            return True
        inner = ipaddress.ip_network(network)
        return not any(
            inner.version == outer.version and inner.network_address in outer
            for outer in self._exempt
        )
