"""The checks, put together from what the settings say."""

from __future__ import annotations

from dataclasses import dataclass

from postroom_smtp.checks.content import Workers
from postroom_smtp.checks.dmarc import read_suffixes
from postroom_smtp.checks.filters import Filter
from postroom_smtp.checks.milter import Milter
from postroom_smtp.checks.policy import Checks
from postroom_smtp.checks.ports import Screening, SigningKeys
from postroom_smtp.checks.rspamd import Rspamd
from postroom_smtp.checks.screening import Screen
from postroom_smtp.checks.settings import CheckSettings, parse_milters
from postroom_smtp.checks.signing import Signer
from postroom_smtp.dns import Resolver
from postroom_smtp.ports import Policy


@dataclass(frozen=True, slots=True)
class Checking:
    """What a front checks and signs with."""

    policy: Policy
    signer: Signer
    workers: Workers

    def close(self) -> None:
        """No more is checked."""
        self.workers.close()


def make_checking(
    settings: CheckSettings,
    name: str,
    resolver: Resolver,
    screening: Screening,
    keys: SigningKeys,
) -> Checking:
    """The checks that the settings ask for.

    Args:
        name: of this host.
    """
    resolver = resolver.apart()  # strangers' names are slow, and our own mail doesn't wait for them
    workers = Workers(settings.check_threads, settings.check_large)
    signer = Signer(keys, workers, settings.authserv_id or name.lower())
    filters: list[Filter] = [
        Milter(address, settings, name) for address in parse_milters(settings.milters)
    ]
    if settings.rspamd_url:
        filters.append(Rspamd(settings, name))
    screen = Screen(screening, settings)
    read_suffixes()
    policy = Checks(settings, name, resolver, screen, signer, workers, filters)
    return Checking(policy, signer, workers)
