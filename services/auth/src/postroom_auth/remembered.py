"""Things worth keeping for a short while, in bounded memory."""

from __future__ import annotations

import hashlib
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")
D = TypeVar("D")

DIGEST_OCTETS = 32


class Missing:
    """Told apart from a remembered None."""


MISSING = Missing()


class Remembered(Generic[K, V]):
    """Values that are good for some seconds; the least recently used go first.

    A value that was read before `forget` and arrives after it is not kept: take `era` before the
    read and give it to `put`.
    """

    def __init__(self, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._seconds = seconds
        self._most = most
        self._clock = clock
        self._values: OrderedDict[K, tuple[float, V]] = OrderedDict()
        self.era = 0

    def __len__(self) -> int:
        return len(self._values)

    def get(self, key: K, default: D) -> V | D:
        """The value of a key, or the default where there is none or it is too old."""
        found = self._values.get(key)
        if found is None:
            return default
        if found[0] <= self._clock():
            del self._values[key]
            return default
        self._values.move_to_end(key)
        return found[1]

    async def or_read(self, key: K, read: Callable[[], Awaitable[V]]) -> V:
        """The value of a key, which is read where it isn't remembered."""
        found = self.get(key, MISSING)
        if not isinstance(found, Missing):
            return found
        era = self.era
        value = await read()
        self.put(key, value, era)
        return value

    def put(self, key: K, value: V, era: int) -> None:
        if era != self.era or self._most == 0:
            return
        self._values[key] = (self._clock() + self._seconds, value)
        self._values.move_to_end(key)
        if len(self._values) > self._most:
            self._values.popitem(last=False)

    def forget(self) -> None:
        self.era += 1
        self._values.clear()


class CheckedPasswords:
    """Passwords that were found right a short while ago, as keyed hashes.

    A digest covers the account and the version of its credential, so that it means nothing for
    another account or after the password has changed. Its key never leaves the process: whoever
    reads the memory can guess passwords fast, but needs the memory.
    """

    def __init__(self, seconds: float, most: int, clock: Callable[[], float]) -> None:
        self._key = secrets.token_bytes(hashlib.blake2b.MAX_KEY_SIZE)
        self._digests: Remembered[bytes, bool] = Remembered(seconds, most, clock)

    def digest(self, credential: Credential, password: Password) -> bytes:
        """What a password is remembered by."""
        hashed = hashlib.blake2b(key=self._key, digest_size=DIGEST_OCTETS)
        # An app password lives by itself: its number is its version.
        one = credential.app_password
        version = b"app %d" % one if one else b"%d" % credential.version
        hashed.update(b"%d %b " % (credential.account_id, version))
        hashed.update(password.prepared)
        return hashed.digest()

    def add(self, digest: bytes) -> None:
        self._digests.put(digest, True, self._digests.era)

    def __contains__(self, digest: bytes) -> bool:
        return self._digests.get(digest, False)
