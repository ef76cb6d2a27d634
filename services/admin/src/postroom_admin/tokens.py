"""Bearer tokens of the REST API (RFC 6750): random, and on disk only as SHA-256.

A token has 256 random bits, so that a fast hash is as good as a slow one. The file has a line for
each, `NAME HASH`; "#" begins a comment. It is read again when it changes: a token that is removed
there ends at once.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
import secrets
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from postroom_chassis.errors import Kind, PostroomError

PREFIX = "postroom_"  # lets scanners for leaked secrets know one
NAME = re.compile(r"[A-Za-z0-9._@-]{1,64}")
HASH = re.compile(r"[0-9a-f]{64}")

Stamp = tuple[int, int, int]  # a file's time, size and number: another one is another file


@dataclass(frozen=True, slots=True)
class TokenHash:
    """What is known of a token: who bears it, and its SHA-256 in hexadecimal."""

    name: str
    digest: str

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or not HASH.fullmatch(self.digest):
            raise PostroomError(
                Kind.INVALID, "a token's line is NAME (letters, digits, . _ @ -) and its SHA-256"
            )


def new_token(name: str) -> tuple[str, TokenHash]:
    """A fresh token, and what is kept of it. Raises PostroomError INVALID for the name."""
    token = PREFIX + secrets.token_urlsafe(32)
    return token, TokenHash(name, _digest(token))


def read_tokens(text: str) -> tuple[TokenHash, ...]:
    """The tokens of a file's text. Raises PostroomError INVALID with the number of the line."""
    found: list[TokenHash] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].split()
        if not words:
            continue
        try:
            found.append(TokenHash(*words))
        except (TypeError, PostroomError) as error:
            raise PostroomError(Kind.INVALID, f"line {number} is not NAME and SHA-256") from error
    return tuple(found)


def write_tokens(file: Path, tokens: Iterable[TokenHash]) -> None:
    """Put tokens in the place of a file's. Raises OSError."""
    partial = file.with_name(f".{file.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.writelines(f"{token.name} {token.digest}\n" for token in tokens)
        out.flush()
        os.fsync(out.fileno())
    partial.replace(file)


class TokenFile:
    """The tokens that are good now.

    Args:
        file: read here and whenever it has changed; as long as it isn't there, its folder must be,
            and there are no tokens. Raises OSError, and PostroomError INVALID.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        self._tokens: Sequence[TokenHash] = ()
        self._seen: Stamp | None = None
        file.parent.stat()
        self._refresh()

    @property
    def empty(self) -> bool:
        return not self._tokens

    def bearer(self, token: str) -> str | None:
        """The name of who bears a token, or None. Takes as long for any token."""
        self._refresh()
        digest = _digest(token)
        name = None
        for known in self._tokens:
            if hmac.compare_digest(known.digest, digest):
                name = known.name
        return name

    def _refresh(self) -> None:
        """Raises OSError or PostroomError where the file is gone or broken: nobody gets in."""
        stamp = self._stamp()
        if stamp != self._seen:
            self._tokens = ()
            self._tokens = read_tokens(self._file.read_text(encoding="utf-8"))
            self._seen = stamp

    def _stamp(self) -> Stamp | None:
        try:
            status = self._file.stat()
        except FileNotFoundError:
            if self._seen is None:
                return None  # it has never been there
            self._tokens = ()
            raise
        return status.st_mtime_ns, status.st_size, status.st_ino


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
