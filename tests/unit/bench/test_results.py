"""The page of results: medians, ratios and goals come out as they were measured."""

import datetime as dt
from pathlib import Path

import pytest

from bench.machine import Machine
from bench.results import Cell, Results, number, render
from bench.workload import Better, Mark, Row, Sizes, Workload

FAST = Row(
    "fast",
    "messages",
    "/s",
    Better.HIGHER,
    Mark("2 times Maildir", 2.0, "maildir"),
    Mark("level with sdbox", 1.0, "sdbox"),
)
SLOW = Row("slow", "search", "s", Better.LOWER, Mark("a tenth of Maildir", 10.0, "maildir"))
COLD = Row("cold", "cold", "s", Better.LOWER, Mark("half of warm", 2.0, "maildir", "slow"))


def unused(_: object) -> tuple[float, ...]:
    return ()


WORKLOADS = [Workload("first", (FAST, SLOW), unused), Workload("second", (COLD,), unused)]


@pytest.fixture
def results() -> Results:
    machine = Machine(
        "A Processor", 2, 4.0, "Linux 6.1 x86_64", "CPython 3.11.2", "ext4", 0.25, (4.0, 36.0)
    )
    return Results(
        machine=machine,
        sizes=Sizes(),
        repeats=3,
        caches_dropped=False,
        started=dt.datetime(2025, 5, 6, 7, 8, tzinfo=dt.UTC),
        targets={"postroom": "Postroom", "maildir": "Dovecot maildir", "sdbox": "Dovecot sdbox"},
        versions={"postroom": "Postroom at commit abc", "maildir": "Dovecot 2.3"},
    )


def line(page: str, start: str) -> list[str]:
    """Finds a table's line and returns its cells."""
    (found,) = (each for each in page.splitlines() if each.startswith(f"| {start}"))
    return [cell.strip() for cell in found.strip("|").split("|")]


def test_the_page_names_the_machine_and_the_versions(results: Results) -> None:
    page = render(results, WORKLOADS)
    assert "A Processor, 2 cores, 4 GiB, ext4" in page
    assert "2025-05-06 07:08 UTC" in page
    assert "Postroom: Postroom at commit abc" in page
    assert "20,000 messages" in page
    assert "could not be dropped" in page
    assert "takes 4 µs on the same processor, 36 µs on another" in page


def test_a_wake_up_takes_time(tmp_path: Path) -> None:
    assert all(microseconds > 0 for microseconds in Machine.here(tmp_path).wake_up)


def test_medians_ratios_and_goals(results: Results) -> None:
    results.cells[("fast", "postroom")] = Cell((900.0, 1000.0, 3000.0))
    results.cells[("fast", "maildir")] = Cell((400.0,))
    results.cells[("fast", "sdbox")] = Cell((2000.0,))
    assert line(render(results, WORKLOADS), "messages")[1:] == [
        "1,000/s",
        "400/s",
        "2,000/s",
        "2.5",
        "0.5",
        "2 times Maildir: yes",
        "level with sdbox: 50%",
    ]


def test_lower_is_better_where_time_is_measured(results: Results) -> None:
    results.cells[("slow", "postroom")] = Cell((0.2,))
    results.cells[("slow", "maildir")] = Cell((1.0,))
    assert line(render(results, WORKLOADS), "search")[4:] == [
        "0.2",
        "",
        "a tenth of Maildir: 50%",
        "",
    ]


def test_a_goal_may_be_held_against_another_row(results: Results) -> None:
    results.cells[("cold", "postroom")] = Cell((0.5,))
    results.cells[("cold", "maildir")] = Cell((9.0,))
    results.cells[("slow", "maildir")] = Cell((1.0,))
    assert "half of warm: yes" in line(render(results, WORKLOADS), "cold")


def test_a_tenth_short_of_the_goal_counts_as_reached(results: Results) -> None:
    results.cells[("fast", "maildir")] = Cell((100.0,))
    results.cells[("fast", "postroom")] = Cell((181.0,))
    assert "2 times Maildir: yes" in render(results, WORKLOADS)
    results.cells[("fast", "postroom")] = Cell((179.0,))
    assert "2 times Maildir: 90%" in render(results, WORKLOADS)


def test_what_is_not_offered_is_said(results: Results) -> None:
    results.cells[("slow", "postroom")] = Cell(missing="not offered: SORT isn't advertised")
    page = render(results, WORKLOADS)
    assert line(page, "search")[1] == "not offered"
    assert line(page, "`slow`")[1] == "not offered: SORT isn't advertised"


def test_a_failure_is_not_hidden(results: Results) -> None:
    results.cells[("slow", "postroom")] = Cell((0.1,), missing="failed: CommandError: NO")
    page = render(results, WORKLOADS)
    assert line(page, "search")[1] == "failed"
    assert line(page, "`slow`")[1] == "failed: CommandError: NO"


def test_peers_alone_have_no_ratios(results: Results) -> None:
    results.targets = results.versions = {"maildir": "Dovecot maildir"}
    assert line(render(results, WORKLOADS), "workload") == ["workload", "Dovecot maildir"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (12345.6, "12,346"),
        (99.96, "100"),
        (1.5, "1.5"),
        (0.00213, "0.00213"),
        (0.0000512, "0.000051"),
    ],
)
def test_numbers_have_three_digits(value: float, text: str) -> None:
    assert number(value) == text
