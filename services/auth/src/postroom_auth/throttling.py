"""The throttle in this process's memory. Each replica counts for itself."""

from __future__ import annotations

import ipaddress
import math
from collections import OrderedDict
from collections.abc import Callable, Sequence

from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.throttle import Failures, Pace
from postroom_auth.ports import Subject

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class MemoryThrottle:
    """Counts failures per account and per network.

    Guesses from a network where the account's owner has signed in before are counted apart from
    everybody else's, so that a stranger can't lock the owner out.

    Args:
        account: the pace for an account's name.
        network: the pace for a client's network.
        exempt: networks that are not counted themselves (a webmail's, where all come from).
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        account: Pace,
        network: Pace,
        clock: Callable[[], float],
        exempt: Sequence[Network] = (),
    ) -> None:
        self._accounts = Failures(account)
        self._networks = Failures(network)
        self._familiar: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._most_familiar = account.subjects
        self._exempt = exempt
        self._clock = clock

    async def check(self, subject: Subject) -> None:
        now = self._clock()
        wait = self._accounts.wait(self._account(subject), now)
        if subject.network and not self._is_exempt(subject.network):
            wait = max(wait, self._networks.wait(subject.network, now))
        if wait > 0:
            seconds = math.ceil(wait)
            raise PostroomError(
                Kind.RATE_LIMITED, f"too many failures: try again in {seconds} seconds"
            )

    async def begin(self, subject: Subject) -> None:
        await self.check(subject)
        self._accounts.add(self._account(subject), self._clock())

    async def failed(self, subject: Subject) -> None:
        if subject.network and not self._is_exempt(subject.network):
            self._networks.add(subject.network, self._clock())

    async def succeeded(self, subject: Subject) -> None:
        self._accounts.clear(self._account(subject))
        pair = (subject.account, subject.network)
        self._familiar[pair] = None
        self._familiar.move_to_end(pair)
        if len(self._familiar) > self._most_familiar:
            self._familiar.popitem(last=False)

    async def withdrawn(self, subject: Subject) -> None:
        self._accounts.take_back(self._account(subject))

    def _account(self, subject: Subject) -> str:
        if (subject.account, subject.network) in self._familiar:
            return f"{subject.account} {subject.network}"
        return subject.account

    def _is_exempt(self, network: str) -> bool:
        if not self._exempt:
            return False
        inner = ipaddress.ip_network(network)
        return any(
            inner.version == outer.version and inner.network_address in outer
            for outer in self._exempt
        )
