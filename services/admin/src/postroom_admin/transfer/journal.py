"""What an import has done, on disk, so that another run goes on where this one ended.

One JSON object a line, appended: `begin` a batch (key, mailbox, messages) before it is sent,
flushed to disk; `done` when the store has it (or those `messages` of it); `refused` when the store
won't have it as a whole. A batch begun and not done may be in the store or not: it is sent again
with the same messages and the same key, which the store recognises. A last line that was cut short
counts for nothing.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from postroom_chassis.errors import Kind, PostroomError

VERSION = 1  # as `_salt` expects it


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch as it was first put together."""

    key: bytes
    mailbox: str
    identities: tuple[str, ...]


class Journal:
    """An open journal; no two processes have the same one.

    Attributes:
        done: identities of the messages that the store has.
        unfinished: batches whose outcome is unknown, by key.
    """

    def __init__(self, file: IO[str], salt: str) -> None:
        self._file = file
        self._salt = salt
        self.done: set[str] = set()
        self.unfinished: dict[bytes, Begun] = {}

    @classmethod
    def open(cls, path: Path, *, afresh: bool = False) -> Journal:
        """Open a journal, or begin one.

        Args:
            afresh: forget what was done, and have the store take every message as a new one.

        Raises:
            PostroomError: IN_USE while another import has it; INVALID where it isn't a journal.
            OSError: it can't be read or written.
        """
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii", errors="replace")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            raise PostroomError(Kind.IN_USE, "another import of this source is running") from error
        try:
            if afresh:
                file.truncate(0)
            return cls._read(path, file, os.urandom(16).hex() if afresh else "")
        except BaseException:
            file.close()
            raise

    @classmethod
    def _read(cls, path: Path, file: IO[str], salt: str) -> Journal:
        file.seek(0)
        text = file.read()
        whole = text[: text.rfind("\n") + 1]
        header, *lines = whole.splitlines() or [""]
        if not text:
            header = json.dumps({"postroom_import": VERSION, "salt": salt})
            file.write(header + "\n")
            file.flush()
        journal = cls(file, _salt(header, path))
        for line in lines:
            journal._recall(json.loads(line))
        if whole != text:
            file.truncate(len(whole))  # ASCII: characters are bytes
        return journal

    def close(self) -> None:
        self._file.close()

    def begin(self, account_id: int, mailbox: str, identities: Sequence[str]) -> Begun:
        """Note a batch before it is sent. Raises OSError."""
        named = "\0".join((self._salt, str(account_id), mailbox, *identities))
        key = hashlib.blake2b(named.encode("utf-8", "surrogatepass"), digest_size=16).digest()
        begun = Begun(key, mailbox, tuple(identities))
        self.unfinished[key] = begun
        self._write({"begin": key.hex(), "mailbox": mailbox, "messages": identities})
        os.fsync(self._file.fileno())
        return begun

    def finish(self, begun: Begun, identities: Sequence[str]) -> None:
        """Note which messages of a batch the store has."""
        self._settle(begun.key, identities)
        if len(identities) == len(begun.identities):
            self._write({"done": begun.key.hex()})
        else:
            self._write({"done": begun.key.hex(), "messages": identities})

    def refuse(self, begun: Begun) -> None:
        """Note that the store has nothing of a batch and won't take it."""
        self._settle(begun.key, ())
        self._write({"refused": begun.key.hex()})

    def _settle(self, key: bytes, identities: Sequence[str] | None) -> None:
        """`identities` None: all that the batch had."""
        begun = self.unfinished.pop(key, None)
        if begun is not None:
            self.done.update(begun.identities if identities is None else identities)

    def _write(self, line: dict[str, object]) -> None:
        self._file.write(json.dumps(line) + "\n")
        self._file.flush()

    def _recall(self, line: dict[str, object]) -> None:
        match line:
            case {"begin": str(key), "mailbox": str(mailbox), "messages": list(messages)}:
                begun = Begun(bytes.fromhex(key), mailbox, tuple(map(str, messages)))
                self.unfinished[begun.key] = begun
            case {"done": str(key), "messages": list(messages)}:
                self._settle(bytes.fromhex(key), [str(name) for name in messages])
            case {"done": str(key)}:
                self._settle(bytes.fromhex(key), None)
            case {"refused": str(key)}:
                self._settle(bytes.fromhex(key), ())


def _salt(header: str, path: Path) -> str:
    with suppress(ValueError):
        match json.loads(header):
            case {"postroom_import": 1, "salt": str(salt)}:
                return salt
    raise PostroomError(Kind.INVALID, f"{path} is not the journal of an import")
