"""Texts that only this service can read: AES-256-GCM (NIST SP 800-38D) with keys of the operator's.

What is sealed says by which key. The first key seals, all of them open, so that one can follow the
other: the new key is added behind the old one everywhere, then put before it, and when nothing
that the old one sealed is left, the old one goes. What a text belongs to is authenticated with it:
moved to another row, it opens no more.
"""

from __future__ import annotations

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY_OCTETS = 32
NONCE_OCTETS = 12  # a random one: 2^32 texts by one key are safe (section 8.3)
KEY_ID_CHARACTERS = 32
NO_KEY = "auth has no key to keep secrets with: POSTROOM_AUTH_SECRETS_KEYS gives it one"


@dataclass(frozen=True, slots=True)
class Sealed:
    """A text that was sealed: the nonce, then the ciphertext with its tag."""

    key_id: str
    octets: bytes = field(repr=False)


class Unreadable(Exception):
    """The key is not there, or the text was not sealed so. The text says which."""


class Sealer:
    """Seals and opens texts.

    Args:
        keys: by id, the one that seals first.
    """

    def __init__(self, keys: Mapping[str, bytes]) -> None:
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self.key_id = next(iter(keys))

    def seal(self, text: bytes, about: bytes) -> Sealed:
        """Seal a text that belongs to something."""
        nonce = os.urandom(NONCE_OCTETS)
        return Sealed(self.key_id, nonce + self._keys[self.key_id].encrypt(nonce, text, about))

    def open(self, sealed: Sealed, about: bytes) -> bytes:
        """The text. Raises Unreadable."""
        key = self._keys.get(sealed.key_id)
        if key is None:
            raise Unreadable(f"there is no key {sealed.key_id}")
        try:
            nonce, encrypted = sealed.octets[:NONCE_OCTETS], sealed.octets[NONCE_OCTETS:]
            return key.decrypt(nonce, encrypted, about)
        except (InvalidTag, ValueError):
            raise Unreadable(f"key {sealed.key_id} did not seal this") from None


def read_keys(text: str) -> dict[str, bytes]:
    """Keys from `id:base64` parted by commas or lines, in that order. Raises ValueError."""
    keys: dict[str, bytes] = {}
    for item in text.replace("\n", ",").split(","):
        if not item.strip():
            continue
        key_id, colon, encoded = item.strip().partition(":")
        if not (colon and key_id.isidentifier() and len(key_id) <= KEY_ID_CHARACTERS):
            raise ValueError("a key is written id:base64, its id of letters, digits and _")
        if key_id in keys:
            raise ValueError(f"there are two keys {key_id}")
        try:
            keys[key_id] = base64.b64decode(encoded.strip(), validate=True)
        except binascii.Error:
            raise ValueError(f"key {key_id} is not base64") from None
        if len(keys[key_id]) != KEY_OCTETS:
            raise ValueError(f"key {key_id} has not {KEY_OCTETS} octets")
    return keys
