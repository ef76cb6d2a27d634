"""Ports of this machine that nothing listens on."""

from __future__ import annotations

from deploy.local import ports


def free_base() -> int:
    """A base at which every port for clients is free, below those of outgoing connections."""
    return next(
        base
        for base in range(ports.LOWEST, ports.HIGHEST, 1000)
        if all(ports.is_free(base + offset) for offset in ports.OFFSETS.values())
    )
