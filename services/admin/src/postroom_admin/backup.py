"""Backups of what the owners keep in folders: SQLite databases as they were at one moment, while
they are used, and whatever lies beside them.

A backup is a folder with the same files and a manifest of their digests, so that any program can
copy it elsewhere. What hasn't changed since the backup before is a hard link to that one's file.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

MANIFEST = "manifest.json"
PREFIX = "postroom-"
PARTIAL = ".partial"
STAMP = "%Y%m%dT%H%M%SZ"
PIECE = 1024 * 1024
PAGES = 4096  # of a database, copied between two signs of progress
SQLITE = b"SQLite format 3\0"
SQLITE_SIDES = ("-wal", "-shm", "-journal")  # of a database in use; its copy has none
EMPTY_ENOUGH = frozenset({"lost+found"})

# Called with how many octets have been copied since the last call.
Told = Callable[[int], None]


class BackupFault(Exception):
    """It can't be done, or the backup isn't what it was. The message says what to do."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A file of a backup."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Backup:
    """A whole backup.

    Attributes:
        files: by their paths in it: the folder's name, and the path in that folder.
    """

    path: Path
    made_at: datetime
    files: Mapping[str, Kept]

    @property
    def size(self) -> int:
        return sum(one.size for one in self.files.values())

    @property
    def folders(self) -> list[str]:
        return sorted({name.partition("/")[0] for name in self.files})


def size_of(folders: Mapping[str, Path]) -> int:
    """How many octets there are to be saved, about."""
    return sum(_size(path) for folder in folders.values() for path in _files(folder))


def save(folders: Mapping[str, Path], into: Path, now: datetime, told: Told) -> Backup:
    """Make a backup of some folders.

    Args:
        folders: by the names that they get in it, in the order in which they are saved: what names
            things (auth's accounts name the store's) goes after what it names.
        into: where backups are; gets one that is whole, or none.

    Raises:
        BackupFault, OSError: there is no room, or a folder can't be read.
    """
    for name, folder in folders.items():
        if not folder.is_dir():
            raise BackupFault(f"{name}: there is no folder {folder}")
    into.mkdir(parents=True, exist_ok=True)
    with _alone(into):
        return _save(folders, into, now, told)


def _save(folders: Mapping[str, Path], into: Path, now: datetime, told: Told) -> Backup:
    for left in into.glob(f"{PREFIX}*{PARTIAL}"):
        shutil.rmtree(left)  # of one that was killed
    before = next(iter(reversed(backups(into))), None)
    path = into / f"{PREFIX}{now.astimezone(UTC):{STAMP}}"
    if path.exists():
        raise BackupFault(f"{path} is there already: try again in a second")
    partial = path.with_name(path.name + PARTIAL)
    partial.mkdir()
    try:
        files: dict[str, Kept] = {}
        for name, folder in folders.items():
            for source in _databases_first(folder):
                relative = f"{name}/{source.relative_to(folder).as_posix()}"
                try:
                    files[relative] = _save_file(source, partial / relative, relative, before, told)
                except FileNotFoundError:
                    continue  # removed meanwhile: nothing named it any more
        backup = Backup(path, now, files)
        _write_manifest(backup, partial)
        partial.rename(path)
        _sync(into)
    except sqlite3.Error as error:
        raise BackupFault(f"a database can't be copied: {error}") from error
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return backup


def _databases_first(folder: Path) -> Iterator[Path]:
    """A folder's files. Contents are written before the rows that name them, and stay for a while
    after the last of these: so what there is beside databases is looked for once these are saved.
    """
    yield from (databases := sorted(file for file in _files(folder) if _is_sqlite(file)))
    yield from sorted(set(_files(folder)) - set(databases))


def restore(backup: Backup, folders: Mapping[str, Path], told: Told) -> None:
    """Put a backup's files where they came from.

    Args:
        folders: where each of its folders goes; must be empty: nothing is overwritten.

    Raises:
        BackupFault: a folder is in use or missing, or a file isn't what was saved; then nothing is
            left in the folders.
        OSError.
    """
    if missing := set(backup.folders) - set(folders):
        raise BackupFault(f"it has {', '.join(sorted(missing))}: say where that goes, by --folder")
    for name, folder in folders.items():
        folder.mkdir(parents=True, exist_ok=True)
        if {one.name for one in folder.iterdir()} - EMPTY_ENOUGH:
            raise BackupFault(f"{name}: {folder} isn't empty; move away what is there first")
    written: list[Path] = []
    try:
        for relative, kept in backup.files.items():
            name, _, inner = relative.partition("/")
            target = folders[name] / inner
            target.parent.mkdir(parents=True, exist_ok=True)
            written.append(target)
            if _copy(backup.path / relative, target, told) != kept:
                raise BackupFault(f"{backup.path / relative} isn't what was saved: take another")
        for folder in {target.parent for target in written}:
            _sync(folder)
    except BaseException:
        for folder in folders.values():
            for left in folder.iterdir():
                if left.name in EMPTY_ENOUGH:
                    continue
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        raise


def backups(folder: Path) -> list[Backup]:
    """The whole backups in a folder, oldest first."""
    found: list[Backup] = []
    for manifest in sorted(folder.glob(f"{PREFIX}*/{MANIFEST}")):
        if not manifest.parent.name.endswith(PARTIAL):
            with suppress(BackupFault):
                found.append(read(manifest.parent))
    return found


def read(path: Path) -> Backup:
    """A backup by its folder. Raises BackupFault."""
    try:
        told = json.loads((path / MANIFEST).read_text(encoding="utf-8"))
        files = {name: Kept(one["size"], one["sha256"]) for name, one in told["files"].items()}
        made_at = datetime.fromisoformat(told["made_at"])
    except FileNotFoundError as error:
        raise BackupFault(f"{path} is no backup: it has no {MANIFEST}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BackupFault(f"{path / MANIFEST} can't be read: {error}") from error
    for name in files:
        if not _is_inner(name):
            raise BackupFault(f"{path / MANIFEST} has a path that leads elsewhere: {name}")
    return Backup(path, made_at, files)


def prune(folder: Path, keep: int) -> list[Backup]:
    """Remove all backups but the newest ones; answers those that went."""
    old = backups(folder)[: -keep or None]
    for backup in old:
        # Its manifest goes first: what is half gone is no backup.
        (backup.path / MANIFEST).unlink()
        shutil.rmtree(backup.path)
    return old


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """One backup at a time. Raises BackupFault."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError as error:
        raise BackupFault(f"another backup is being made in {folder}") from error
    finally:
        os.close(descriptor)


def _files(folder: Path) -> Iterator[Path]:
    for path in folder.rglob("*"):
        beside = any(
            path.name.endswith(side) and path.with_name(path.name.removesuffix(side)).exists()
            for side in SQLITE_SIDES
        )
        if path.is_file() and not path.is_symlink() and not beside:
            yield path


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _is_sqlite(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(SQLITE)) == SQLITE
    except FileNotFoundError:
        return False


def _save_file(
    source: Path, target: Path, relative: str, before: Backup | None, told: Told
) -> Kept:
    target.parent.mkdir(parents=True, exist_ok=True)
    if _is_sqlite(source):
        _copy_database(source, target, told)
        return _digest(target)
    if before is not None and relative in before.files:
        old = before.path / relative
        if _unchanged(source, old):
            os.link(old, target)
            told(before.files[relative].size)
            return before.files[relative]
    return _copy(source, target, told)


def _copy_database(source: Path, target: Path, told: Told) -> None:
    """One moment of a database that others write to (sqlite.org/backup.html)."""
    with (
        closing(sqlite3.connect(source, isolation_level=None)) as old,
        closing(sqlite3.connect(target)) as new,
    ):
        (page_size,) = old.execute("PRAGMA page_size").fetchone()
        # Within a transaction others' changes don't make it begin again.
        old.execute("BEGIN")
        old.execute("SELECT count(*) FROM sqlite_master").fetchone()
        left = 0

        def progress(_status: int, remaining: int, total: int) -> None:
            nonlocal left
            told(((left or total) - remaining) * page_size)
            left = remaining

        old.backup(new, pages=PAGES, progress=progress)
        (sound,) = new.execute("PRAGMA quick_check(1)").fetchone()
        if sound != "ok":
            raise BackupFault(f"{source} is broken: {sound}")
        new.execute("PRAGMA journal_mode=DELETE")  # one file, whatever opens it
    shutil.copystat(source, target)
    _sync(target)


def _unchanged(source: Path, old: Path) -> bool:
    try:
        now, then = source.stat(), old.stat()
    except FileNotFoundError:
        return False
    return (now.st_size, now.st_mtime_ns) == (then.st_size, then.st_mtime_ns)


def _copy(source: Path, target: Path, told: Told) -> Kept:
    digest, size = hashlib.sha256(), 0
    with source.open("rb") as old, target.open("xb") as new:
        while piece := old.read(PIECE):
            digest.update(piece)
            new.write(piece)
            size += len(piece)
            told(len(piece))
        new.flush()
        os.fsync(new.fileno())
    shutil.copystat(source, target)
    return Kept(size, digest.hexdigest())


def _digest(path: Path) -> Kept:
    with path.open("rb") as file:
        return Kept(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())


def _write_manifest(backup: Backup, folder: Path) -> None:
    files = {name: {"size": one.size, "sha256": one.sha256} for name, one in backup.files.items()}
    text = json.dumps({"made_at": backup.made_at.isoformat(), "files": files}, indent=1)
    manifest = folder / MANIFEST
    manifest.write_text(text, encoding="utf-8")
    _sync(manifest)


def _is_inner(name: str) -> bool:
    parts = name.split("/")
    return len(parts) > 1 and not any(part in ("", ".", "..") for part in parts)


def _sync(path: Path) -> None:
    """Have a file, or a folder's names, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
