"""Texts that are secret, made by chance: in groups that can be read out over a telephone."""

from __future__ import annotations

import secrets

ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"  # nothing that looks like something else
GROUP = 5  # 25 random bits


def make_text(groups: int) -> str:
    """A new one."""
    return "-".join("".join(secrets.choice(ALPHABET) for _ in range(GROUP)) for _ in range(groups))
