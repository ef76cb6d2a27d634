"""Ports for clients are fixed or free; a taken one is named."""

from __future__ import annotations

import socket

import pytest

from deploy.local import ports
from tests.harness.ports import free_base


def test_the_base_moves_all() -> None:
    base = free_base()

    chosen = ports.fixed(base)

    assert chosen.public["imap"] == base + 143
    assert chosen.address("smtp") == f"127.0.0.1:{base + 525}"


def test_a_taken_port_is_named_with_the_remedy() -> None:
    base = free_base()
    with socket.create_server((ports.HOST, base + 143)):
        with pytest.raises(ports.PortTaken) as taken:
            ports.fixed(base)

    assert f"Port {base + 143} (imap) is taken" in str(taken.value)
    assert "--port-base" in str(taken.value)


def test_every_free_port_is_another() -> None:
    chosen = ports.free()

    everything = [*chosen.public.values(), *chosen.internal.values()]
    assert len(set(everything)) == len(everything) == len(ports.OFFSETS) + len(ports.INTERNAL)
    assert all(map(ports.is_free, everything))
