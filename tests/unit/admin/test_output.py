"""What people type and are shown."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import typer
from postroom_admin.cli.output import limit, parse_size, parse_time, plain, printable, size
from postroom_admin.cli.session import read_env
from postroom_admin.model import Alias, Page


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("2G", 2 * 1024**3),
        ("2g", 2 * 1024**3),
        ("500 MiB", 500 * 1024**2),
        ("1.5K", 1536),
        ("1048576", 1048576),
        ("10 B", 10),
        ("0", 0),
        ("unlimited", 0),
    ],
)
def test_sizes_are_read(text: str, count: int) -> None:
    assert parse_size(text) == count


@pytest.mark.parametrize("text", ["", "G", "-1", "2X", "nan", "1e400", "99999P", "2GG"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(typer.BadParameter, match="is no size"):
        parse_size(text)


def test_sizes_are_shown() -> None:
    shown = [size(count) for count in (0, 1023, 1536, 2 * 1024**3, 5 * 1024**5)]
    assert shown == ["0 B", "1023 B", "1.5 KiB", "2.0 GiB", "5.0 PiB"]
    assert limit(0) == "unlimited"


def test_terminals_are_not_commanded_by_what_others_wrote() -> None:
    assert printable("550 \x1b]0;gotcha\x07 no\r\n") == "550 \ufffd]0;gotcha\ufffd no\ufffd\ufffd"


def test_json_has_plain_values() -> None:
    when = datetime(2030, 1, 2, tzinfo=UTC)
    assert plain([Page([Alias("a", ("b",))], ""), when]) == [
        {"items": [{"address": "a", "targets": ["b"]}], "next_page_token": ""},
        "2030-01-02T00:00:00+00:00",
    ]


def test_times_are_read() -> None:
    assert parse_time("3d", 1_000_000) == 1_000_000 - 3 * 86400
    assert parse_time("30m", 1_000_000) == 1_000_000 - 1800
    assert parse_time("1970-01-02T00:00:00+00:00", 0) == 86400
    with pytest.raises(typer.BadParameter, match="is no time"):
        parse_time("yesterday", 0)


def test_times_to_come_are_read() -> None:
    assert parse_time("3d", 1_000_000, ahead=True) == 1_000_000 + 3 * 86400
    assert parse_time("1970-01-02T00:00:00+00:00", 0, ahead=True) == 86400
    with pytest.raises(typer.BadParameter, match="is over"):
        parse_time("1970-01-02T00:00:00+00:00", 86400, ahead=True)


def test_a_file_of_settings_is_read() -> None:
    text = "# made by make run\nA=1\nexport B='two words'\n\nC=\"x=y\"\nnonsense\n D = 4 \n"
    assert read_env(text) == {"A": "1", "B": "two words", "C": "x=y", "D": "4"}
