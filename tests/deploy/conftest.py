"""One engine, and images that are built once, for all tests of deployment."""

from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from tests.deploy.compose import made_image
from tests.deploy.containers import Docker, some_engine


@pytest.fixture(scope="session")
def docker() -> Iterator[Docker]:
    # Whoever ends the tests by SIGTERM must not leave an engine behind.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with some_engine() as found:
            yield found
    finally:
        signal.signal(signal.SIGTERM, before)


@pytest.fixture(scope="session")
def images(docker: Docker) -> Docker:
    """An engine that has all images of this repository as it is, and that of a client."""
    docker.build()
    made_image(docker, "client")
    return docker
