"""postroom backup."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn

from postroom_admin import backup as backups
from postroom_admin.backup import Backup, BackupFault
from postroom_admin.cli.directory import group
from postroom_admin.cli.output import AsJson, say, show_json, show_table, size
from postroom_admin.cli.session import examples, fail

FOLDERS = "--folder store=/data/store --folder auth=/data/auth"

backup = group(
    "Backups of what auth and store keep in SQLite and in folders, made while they run.",
    f"postroom backup save /backups {FOLDERS}",
    "postroom backup list /backups",
    f"postroom backup restore /backups/postroom-20300102T030405Z {FOLDERS}",
)

Where = Annotated[Path, typer.Argument(metavar="FOLDER", help="Where the backups are.")]
Folders = Annotated[
    list[str],
    typer.Option(
        "--folder",
        metavar="NAME=PATH",
        help="A folder and its name in the backup; the store's goes before auth's.",
    ),
]


@backup.command(
    "save",
    epilog=examples(
        f"postroom backup save /backups {FOLDERS}",
        f"postroom backup save /backups --keep 14 {FOLDERS}",
    ),
)
def save(
    where: Where,
    folder: Folders,
    keep: Annotated[
        int, typer.Option(metavar="N", min=0, help="Remove all but so many; 0: none.")
    ] = 0,
) -> None:
    """Make a backup. What is written meanwhile is in it or not, and nothing of it by halves."""
    folders = _parsed(folder)
    with _faults_told():
        with _progress("Saving", backups.size_of(folders)) as told:
            made = backups.save(folders, where, datetime.now(UTC).replace(microsecond=0), told)
        gone = backups.prune(where, keep) if keep else []
    say(f"{made.path}: {len(made.files):,} files, {size(made.size)}.")
    for old in gone:
        say(f"{old.path} is removed.")


@backup.command("list", epilog=examples("postroom backup list /backups"))
def list_backups(where: Where, as_json: AsJson = False) -> None:
    """List the backups in a folder, oldest first."""
    with _faults_told():
        found = backups.backups(where)
    if as_json:
        return show_json([_told(one) for one in found])
    rows = [[one.path.name, one.made_at, len(one.files), size(one.size)] for one in found]
    show_table(["BACKUP", "MADE", "FILES#", "SIZE#"], rows, f"There are no backups in {where}.")


@backup.command(
    "restore",
    epilog=examples(f"postroom backup restore /backups/postroom-20300102T030405Z {FOLDERS}"),
)
def restore(
    path: Annotated[Path, typer.Argument(metavar="BACKUP", help="As `backup list` shows it.")],
    folder: Folders,
) -> None:
    """Put a backup into empty folders, while auth and store are stopped.

    Every file is held against its digest; where one isn't what was saved, nothing is restored.
    """
    folders = _parsed(folder)
    with _faults_told():
        found = backups.read(path)
        with _progress("Restoring", found.size) as told:
            backups.restore(found, folders, told)
    say(f"{len(found.files):,} files of {found.made_at:%Y-%m-%d %H:%M} are back. Start the system.")


def _parsed(named: list[str]) -> dict[str, Path]:
    folders: dict[str, Path] = {}
    for one in named:
        name, equals, path = one.partition("=")
        if not (equals and path and name.isidentifier()) or name in folders:
            raise typer.BadParameter(f"{one!r} is no folder: say --folder store=/data/store")
        folders[name] = Path(path)
    return folders


@contextmanager
def _faults_told() -> Iterator[None]:
    try:
        yield
    except BackupFault as fault:
        fail(str(fault))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(binary_units=True),
        TimeRemainingColumn(),
    )
    shown = sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)


def _told(one: Backup) -> dict[str, object]:
    return {
        "path": str(one.path),
        "made_at": one.made_at,
        "folders": one.folders,
        "files": len(one.files),
        "bytes": one.size,
    }
