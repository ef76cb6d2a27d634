"""What tells a container's engine whether the service within is ready."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest
from postroom_chassis import probe
from postroom_chassis.http import HttpServer, Readiness, probes


async def faulty() -> None:
    raise RuntimeError


@pytest.mark.parametrize(
    ("readiness", "status", "told"),
    [
        (Readiness({}), 0, '{"status":"ok"}'),
        (Readiness({"store": faulty}), 1, '{"store":"RuntimeError"}'),
    ],
)
async def test_it_ends_as_the_service_answers(
    readiness: Readiness,
    status: int,
    told: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    server = await HttpServer.start(probes("imap", readiness), "127.0.0.1", 0)
    monkeypatch.setenv("POSTROOM_HTTP_PORT", str(server.port))
    try:
        ended = await asyncio.to_thread(probe.main)
    finally:
        await server.stop()
    assert (ended, capsys.readouterr().out) == (status, told)


def test_it_ends_badly_where_nobody_answers(
    unused_tcp_port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("POSTROOM_HTTP_PORT", str(unused_tcp_port))

    assert probe.main() == 1
    assert f"port {unused_tcp_port}: " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("environment", "port"),
    [
        ({}, 8080),
        ({"POSTROOM_HTTP_PORT": "1"}, 1),
        ({"POSTROOM_HTTP_PORT": "1", "POSTROOM_IMAP_HTTP_PORT": "2"}, 2),
        ({"POSTROOM_IMAP_HTTP_PORT": "2"}, 2),
    ],
)
def test_it_asks_where_the_service_was_told_to_answer(
    environment: dict[str, str], port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)

    assert probe.http_port() == port


def test_it_imports_next_to_nothing() -> None:
    """It runs every few seconds beside the service, in its limits."""
    listed = "import sys, postroom_chassis.probe; print(*sys.modules)"
    ran = subprocess.run([sys.executable, "-c", listed], capture_output=True, text=True, check=True)

    assert not {"asyncio", "grpc", "http", "logging", "pydantic"} & set(ran.stdout.split())
