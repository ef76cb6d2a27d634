"""Backups: databases in use, files beside them, and what isn't what it was."""

from __future__ import annotations

import json
import shutil
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from postroom_admin.backup import (
    MANIFEST,
    PARTIAL,
    BackupFault,
    backups,
    prune,
    read,
    restore,
    save,
    size_of,
)

NOW = datetime(2030, 1, 2, 3, 4, 5, tzinfo=UTC)
ROWS = 2000


def nobody(count: int) -> None:
    """Who is told of no progress."""


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """An owner's folder: a database in use, and contents."""
    folder = tmp_path / "data"
    (folder / "blobs" / "ab").mkdir(parents=True)
    (folder / "blobs" / "ab" / "cd").write_bytes(b"content")
    (folder / "secret").write_bytes(b"key")
    (folder / "secret").chmod(0o600)
    with closing(sqlite3.connect(folder / "store.sqlite3")) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE pairs (number INTEGER, text TEXT)")
        database.commit()
    return folder


@pytest.fixture
def into(tmp_path: Path) -> Path:
    return tmp_path / "backups"


def pairs(database: Path) -> list[tuple[int, str]]:
    with closing(sqlite3.connect(database)) as connection:
        return connection.execute("SELECT number, text FROM pairs ORDER BY number").fetchall()


@pytest.fixture
def writer(data: Path) -> Iterator[threading.Event]:
    """Somebody who writes pairs of rows all the time, each pair in a transaction; set: at it."""
    begun, over = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(data / "store.sqlite3", timeout=30)) as database:
            number = 0
            while not over.is_set():
                with database:
                    for half in (number, number + 1):
                        database.execute("INSERT INTO pairs VALUES (?, ?)", (half, "x" * 5000))
                number += 2
                if number > ROWS:
                    begun.set()

    thread = threading.Thread(target=write)
    thread.start()
    yield begun
    over.set()
    thread.join()


def test_a_database_is_saved_at_one_moment_while_it_is_used(
    data: Path, into: Path, tmp_path: Path, writer: threading.Event
) -> None:
    assert writer.wait(60)
    told: list[int] = []
    made = save({"store": data}, into, NOW, told.append)
    later = len(pairs(data / "store.sqlite3"))
    assert len(told) > 2
    restore(made, {"store": tmp_path / "new"}, nobody)
    found = pairs(tmp_path / "new" / "store.sqlite3")
    assert ROWS < len(found) <= later
    assert [number for number, _ in found] == list(range(len(found)))
    assert len(found) % 2 == 0


def test_what_a_database_names_is_in_it_though_it_came_meanwhile(data: Path, into: Path) -> None:
    """Contents are there before their rows: so what comes while a database is copied is saved."""

    def deliver(_count: int) -> None:
        (data / "blobs" / "ab" / "new").write_bytes(b"came meanwhile")

    made = save({"store": data}, into, NOW, deliver)
    assert "store/blobs/ab/new" in made.files


def test_everything_comes_back_as_it_was(data: Path, into: Path, tmp_path: Path) -> None:
    with closing(sqlite3.connect(data / "store.sqlite3")) as used:
        used.execute("INSERT INTO pairs VALUES (1, 'one')")
        used.commit()  # it is in the -wal file alone, which is no file of the backup
        made = save({"store": data}, into, NOW, nobody)
    assert made.path == into / "postroom-20300102T030405Z"
    assert sorted(made.files) == ["store/blobs/ab/cd", "store/secret", "store/store.sqlite3"]
    new = tmp_path / "new"
    (new / "lost+found").mkdir(parents=True)
    restore(read(made.path), {"store": new}, nobody)
    assert (new / "blobs" / "ab" / "cd").read_bytes() == b"content"
    assert (new / "secret").stat().st_mode & 0o777 == 0o600
    assert pairs(new / "store.sqlite3") == [(1, "one")]
    assert sorted(one.name for one in into.iterdir()) == [made.path.name]


def test_what_has_not_changed_is_not_kept_twice(data: Path, into: Path) -> None:
    first = save({"store": data}, into, NOW, nobody)
    (data / "secret").write_bytes(b"new")
    second = save({"store": data}, into, NOW + timedelta(days=1), nobody)
    name = "store/blobs/ab/cd"
    assert (second.path / name).samefile(first.path / name)
    assert (second.path / "store/secret").read_bytes() == b"new"
    assert (first.path / "store/secret").read_bytes() == b"key"
    assert backups(into) == [first, second]
    assert [one.path for one in prune(into, 1)] == [first.path]
    assert (second.path / name).read_bytes() == b"content"
    assert prune(into, 5) == []


def test_a_file_that_is_not_what_was_saved(data: Path, into: Path, tmp_path: Path) -> None:
    made = save({"store": data}, into, NOW, nobody)
    (made.path / "store" / "secret").write_bytes(b"yek")
    new = tmp_path / "new"
    with pytest.raises(BackupFault, match="secret isn't what was saved"):
        restore(made, {"store": new}, nobody)
    assert list(new.iterdir()) == []  # or another try would find that it isn't empty


def test_nothing_is_overwritten(data: Path, into: Path, tmp_path: Path) -> None:
    made = save({"store": data}, into, NOW, nobody)
    with pytest.raises(BackupFault, match="isn't empty"):
        restore(made, {"store": data}, nobody)
    assert (data / "secret").read_bytes() == b"key"
    with pytest.raises(BackupFault, match="it has store"):
        restore(made, {"auth": tmp_path / "new"}, nobody)


def test_a_backup_that_was_killed_is_none(data: Path, into: Path) -> None:
    (into / f"postroom-20300101T000000Z{PARTIAL}" / "store").mkdir(parents=True)
    assert backups(into) == []
    made = save({"store": data}, into, NOW, nobody)
    assert [one.name for one in into.iterdir()] == [made.path.name]


def test_one_that_fails_leaves_nothing(data: Path, into: Path) -> None:
    database = data / "store.sqlite3"
    with database.open("r+b") as file:
        file.seek(4096)  # where its table begins
        file.write(b"\xff" * 4096)
    with pytest.raises(BackupFault, match="is broken"):
        save({"store": data}, into, NOW, nobody)
    assert list(into.iterdir()) == []
    with pytest.raises(BackupFault, match="there is no folder"):
        save({"auth": data / "nothing"}, into, NOW, nobody)


def test_one_at_a_time(data: Path, into: Path) -> None:
    refused: list[str] = []

    def again(_count: int) -> None:
        if not refused:
            with pytest.raises(BackupFault) as fault:
                save({"store": data}, into, NOW, nobody)
            refused.append(str(fault.value))

    save({"store": data}, into, NOW, again)
    assert refused == [f"another backup is being made in {into}"]


@pytest.mark.parametrize(
    "manifest",
    [
        "",
        "[]",
        '{"made_at": "2030-01-02T03:04:05+00:00"}',
        '{"made_at": "now", "files": {}}',
        '{"made_at": "2030-01-02T03:04:05+00:00", "files": {"store/../../x": {"size": 1, '
        '"sha256": ""}}}',
        '{"made_at": "2030-01-02T03:04:05+00:00", "files": {"/x/y": {"size": 1, "sha256": ""}}}',
    ],
)
def test_manifests_that_can_not_be(data: Path, into: Path, manifest: str) -> None:
    made = save({"store": data}, into, NOW, nobody)
    (made.path / MANIFEST).write_text(manifest)
    with pytest.raises(BackupFault, match=MANIFEST):
        read(made.path)
    assert backups(into) == []
    save({"store": data}, into, NOW + timedelta(days=1), nobody)  # is not stopped by it
    (made.path / MANIFEST).unlink()
    with pytest.raises(BackupFault, match="is no backup"):
        read(made.path)


def test_its_size_is_known_before(data: Path, into: Path) -> None:
    expected = size_of({"store": data})
    told: list[int] = []
    made = save({"store": data}, into, NOW, told.append)
    assert sum(told) == expected == made.size
    assert json.loads((made.path / MANIFEST).read_text())["files"].keys() == made.files.keys()
    shutil.rmtree(made.path)
