"""How commands show what they found: tables for people, JSON for scripts."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import sys
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
SPANS = {"m": 60, "h": 3600, "d": 86400}
PIPED_WIDTH = 10_000  # a pipe has no width: nothing is cut


def show_json(value: Any) -> None:
    """Print a value, a dataclass or a list of them, as JSON with times in ISO 8601."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))


def plain(value: Any) -> Any:
    """What JSON has a form for."""
    match value:
        case datetime():
            return value.isoformat()
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {key: plain(item) for key, item in value.items()}
        case _ if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return plain({f.name: getattr(value, f.name) for f in dataclasses.fields(value)})
    return value


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> None:
    """Print rows under column names; a name that ends in "#" has its numbers to the right.

    Args:
        nothing: what is said where there are no rows.
    """
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), header_style="bold")
    for column in columns:
        table.add_column(
            column.removesuffix("#"),
            justify="right" if column.endswith("#") else "left",
            overflow="fold",
        )
    for row in rows:
        table.add_row(*(Text(printable(_cell(value))) for value in row))
    if table.row_count:
        _print(table)
    else:
        typer.echo(nothing, err=True)


def show_fields(fields: Iterable[tuple[str, object]]) -> None:
    """Print one thing, a field a line."""
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0), show_header=False)
    for name, value in fields:
        table.add_row(Text(name, style="bold"), Text(printable(_cell(value)), overflow="fold"))
    _print(table)


def say(message: str) -> None:
    """Tell that something is done."""
    typer.echo(printable(message))


def printable(text: str) -> str:
    """The text without what could command a terminal: others wrote much of it."""
    return "".join(char if char.isprintable() else "\ufffd" for char in text)


def size(count: int) -> str:
    """1536 as "1.5 KiB"."""
    value = float(count)
    for unit in UNITS:
        if value < 1024 or unit == UNITS[-1]:
            return f"{value:.0f} B" if unit == "B" else f"{value:.1f} {unit}"
        value /= 1024
    raise AssertionError("the last unit takes everything")


def limit(count: int) -> str:
    """A quota: 0 bytes is no limit."""
    return size(count) if count else "unlimited"


def parse_size(text: str) -> int:
    """Bytes from "2G", "500 MiB", "1048576"; 0 from "unlimited". Raises typer.BadParameter."""
    folded = text.strip().upper().replace(" ", "")
    if folded in ("UNLIMITED", "NONE"):
        return 0
    digits = folded.rstrip("BI").rstrip("KMGTP")
    unit = folded[len(digits) :].removesuffix("B").removesuffix("I")
    powers = {"": 0, "K": 1, "M": 2, "G": 3, "T": 4, "P": 5}
    try:
        count = int(float(digits) * 1024 ** powers[unit])
        if not 0 <= count < 2**63:
            raise ValueError
    except (KeyError, ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text!r} is no size: say 500M, 2G, 1048576 or unlimited"
        ) from error
    return count


def parse_time(text: str, now: float, *, ahead: bool = False) -> int:
    """Unix seconds from "3d" or ISO 8601 (local time where it names no zone).

    Args:
        ahead: the time is to come: "3d" counts from now on, not back from now.

    Raises:
        typer.BadParameter: it is no time, or over where it is to come.
    """
    if span := re.fullmatch(r"(\d{1,6})([mhd])", text.strip()):
        seconds = int(span[1]) * SPANS[span[2]]
        return int(now) + (seconds if ahead else -seconds)
    try:
        time = int(datetime.fromisoformat(text.strip()).timestamp())
    except (ValueError, OverflowError) as error:
        raise typer.BadParameter(
            f"{text!r} is no time: say 30m, 12h, 3d or 2030-01-31T09:00"
        ) from error
    if ahead and time <= now:
        raise typer.BadParameter(f"{text!r} is over")
    return time


def parse_count(text: str) -> int:
    """A number from "200" or "100,000"; 0 from "unlimited". Raises typer.BadParameter."""
    folded = text.strip().upper().replace(",", "")
    if folded in ("UNLIMITED", "NONE"):
        return 0
    if not (folded.isascii() and folded.isdecimal() and int(folded) < 2**62):
        raise typer.BadParameter(f"{text!r} is no number: say 200 or unlimited")
    return int(folded)


def moment(time: datetime | None) -> str:
    """A time as people read it, where they are."""
    return f"{time.astimezone():%Y-%m-%d %H:%M}" if time else "-"


def _cell(value: object) -> str:
    match value:
        case bool():
            return "yes" if value else "no"
        case datetime():
            return moment(value)
        case int():
            return f"{value:,}"
    return str(value)


def _print(table: Table) -> None:
    if sys.stdout.isatty():
        Console().print(table)
        return
    plain_console = Console(width=PIPED_WIDTH, no_color=True, file=io.StringIO())
    with plain_console.capture() as captured:
        plain_console.print(table)
    typer.echo("\n".join(line.rstrip() for line in captured.get().splitlines()))
