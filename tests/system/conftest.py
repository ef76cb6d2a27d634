"""One Postroom for all system tests; accounts are each test's own."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from deploy.local.provision import Account
from tests.harness.client_certificates import Certified, certified_system
from tests.harness.clients import require_clients
from tests.harness.system import RUNNER, MailSystem, running


def pytest_runtest_setup(item: pytest.Item) -> None:
    require_clients(item)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """On containers, what needs no more of the system than clients see."""
    if RUNNER == "processes":
        return
    chosen = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and "system" in item.fixturenames
        and "certified" not in item.fixturenames
        and item.get_closest_marker("processes") is None
    ]
    config.hook.pytest_deselected(items=[item for item in items if item not in chosen])
    items[:] = chosen


@pytest.fixture(scope="session")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MailSystem]:
    # Whoever ends the tests by SIGTERM must not leave the services behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    with running(tmp_path_factory.mktemp("postroom")) as started:
        yield started
    signal.signal(signal.SIGTERM, before)


@pytest.fixture
def account(system: MailSystem) -> Account:
    return system.new_account()


@pytest.fixture
def sender(system: MailSystem) -> Account:
    return system.new_account()


@pytest.fixture(scope="session", params=["native", "sidecar"])
def certified(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Certified]:
    """A Postroom that asks clients for certificates; HAProxy ends implicit TLS, or the fronts."""
    sidecar = request.param == "sidecar"
    with certified_system(tmp_path_factory.mktemp(request.param), haproxy=sidecar) as started:
        yield started
