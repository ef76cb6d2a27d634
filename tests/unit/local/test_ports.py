"""Ports for clients are fixed or free; a taken one is named."""

from __future__ import annotations

import socket

import pytest

from deploy.local import ports


def test_the_base_moves_all() -> None:
    chosen = ports.fixed(41_000)

    assert chosen.public["imap"] == 41_143
    assert chosen.address("smtp") == "127.0.0.1:41525"


def test_a_taken_port_is_named_with_the_remedy() -> None:
    with socket.create_server((ports.HOST, 42_143)):
        with pytest.raises(ports.PortTaken) as taken:
            ports.fixed(42_000)

    assert "Port 42143 (imap) is taken" in str(taken.value)
    assert "--port-base" in str(taken.value)


def test_every_free_port_is_another() -> None:
    chosen = ports.free()

    everything = [*chosen.public.values(), *chosen.internal.values()]
    assert len(set(everything)) == len(everything) == len(ports.OFFSETS) + len(ports.INTERNAL)
    assert all(map(ports.is_free, everything))
