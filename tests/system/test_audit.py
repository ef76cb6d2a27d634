"""Who signed in is known after a crash."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy.local.provision import Account
from tests.harness.mail import logged_in
from tests.harness.system import MailSystem, running

WAIT_SECONDS = 30.0


@pytest.fixture
def crashing(tmp_path: Path) -> Iterator[MailSystem]:
    """A system of one's own: others don't like it when auth is killed under them."""
    with running(tmp_path) as system:
        yield system


def audit(system: MailSystem, account: Account) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(
        system.postroom("audit", "--account", account.address, "--json")
    )
    return entries


def test_an_entry_outlives_a_crash_a_second_later(crashing: MailSystem) -> None:
    account = crashing.new_account()
    with logged_in(crashing, account):
        signed_in = time.monotonic()
    # Told by auth out of its database, where it has been committed.
    while not audit(crashing, account):
        assert time.monotonic() - signed_in < WAIT_SECONDS
    crashing.kill("auth")
    crashing.restart("auth")
    (entry,) = audit(crashing, account)
    assert (entry["outcome"], entry["protocol"], entry["credential"]) == ("OK", "imap", "password")
    assert entry["client"] == "127.0.0.1"
