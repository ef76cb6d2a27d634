"""An auth service for each test, on each database."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from postroom_chassis.certificates import make_development_certificates

from tests.protocol.auth.house import House, opened


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("certificates")
    make_development_certificates(folder)
    return folder


@pytest.fixture
async def house(certificates: Path, database_url: str) -> AsyncIterator[House]:
    """A running service whose database is empty."""
    async with opened(certificates, database_url) as running:
        yield running


@pytest.fixture
async def sqlite_house(certificates: Path, sqlite_url: str) -> AsyncIterator[House]:
    """For what doesn't depend on the engine."""
    async with opened(certificates, sqlite_url) as running:
        yield running
