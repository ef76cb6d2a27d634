"""Turns what was measured into the page of results. Every figure on it comes from here."""

import datetime as dt
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain

from .machine import Machine
from .workload import Better, Mark, Row, Sizes, Workload

SUBJECT = "postroom"
LEVEL = 0.9
"""A goal counts as reached from this share of it on: runs differ by about a tenth."""


@dataclass(frozen=True, slots=True)
class Cell:
    """What one target did in one row: a figure for each repeat, or why there is none."""

    samples: tuple[float, ...] = ()
    missing: str = ""

    @property
    def figure(self) -> float | None:
        """The median; none where a repeat failed."""
        return statistics.median(self.samples) if self.samples and not self.missing else None


@dataclass(slots=True)
class Results:
    """All cells of a run by row key and target name, and what they were measured on."""

    machine: Machine
    sizes: Sizes
    repeats: int
    caches_dropped: bool
    started: dt.datetime
    targets: Mapping[str, str]
    """Heading by target name, in the order of the columns."""
    versions: Mapping[str, str]
    cells: dict[tuple[str, str], Cell] = field(default_factory=dict)
    background: dict[str, float] = field(default_factory=dict)
    """Seconds by target name that it went on working after the fill."""

    def figure(self, row: str, target: str) -> float | None:
        """Looks up a median."""
        return self.cells.get((row, target), Cell()).figure

    def ratio(self, row: str, peer: str) -> float | None:
        """Divides Postroom's figure by the peer's."""
        mine, theirs = self.figure(row, SUBJECT), self.figure(row, peer)
        return mine / theirs if mine is not None and theirs else None

    def reached(self, row: Row, mark: Mark) -> float | None:
        """Says how much of a mark was reached: 1.0 is all of it, None is not measured."""
        mine, theirs = self.figure(row.key, SUBJECT), self.figure(mark.row or row.key, mark.peer)
        if mine is None or theirs is None or 0 in (mine, theirs):
            return None
        good = mine / theirs if row.better is Better.HIGHER else theirs / mine
        return good / mark.factor


def render(results: Results, workloads: Sequence[Workload]) -> str:
    """Writes the page, in Markdown."""
    rows = [row for workload in workloads for row in workload.rows]
    return "\n".join(
        chain(
            ["# Results", "", *_preface(results), "", "## Medians and ratios", ""],
            _main_table(results, rows),
            ["", *_legend(results), "", "## Every repeat", ""],
            _samples_table(results, rows),
            [""],
        )
    )


def _preface(results: Results) -> list[str]:
    machine = results.machine
    return [
        "Written by `python -m bench`; no figure is typed by hand.",
        "",
        f"* Date: {results.started:%Y-%m-%d %H:%M} UTC",
        f"* Machine: {machine.processor}, {machine.cores} cores, {machine.memory_gib:.0f} GiB, "
        f"{machine.filesystem}; load average {machine.load:.1f} at the start",
        f"* Kernel: {machine.kernel}; Python: {machine.python}",
        f"* To wake another process takes {machine.wake_up[0]:.0f} µs on the same processor, "
        f"{machine.wake_up[1]:.0f} µs on another",
        *(f"* {results.targets[name]}: {version}" for name, version in results.versions.items()),
        f"* Large mailbox: {results.sizes.messages:,} messages; medians of {results.repeats}; "
        "the targets take turns in every row",
        "* File caches of the kernel "
        + ("were dropped" if results.caches_dropped else "could not be dropped")
        + " before the rows that follow a restart",
        "* Each measurement begins when all targets are idle; after the fill they went on behind "
        "the scenes (a search index, where there is one) for: "
        + ", ".join(f"{results.targets[n]} {s:.0f} s" for n, s in results.background.items()),
    ]


def _main_table(results: Results, rows: Sequence[Row]) -> list[str]:
    peers = [name for name in results.targets if name != SUBJECT]
    compared = SUBJECT in results.targets
    head = ["workload", *results.targets.values()]
    if compared:
        head += [f"Postroom / {results.targets[name]}" for name in peers]
        head += ["first mark", "and then"]
    lines = [_line(head), _line(["---"] + ["--:"] * (len(head) - 1))]
    for row in rows:
        cells = [f"{row.title} ({row.better} is better)"]
        cells += [_cell(results.cells.get((row.key, name)), row.unit) for name in results.targets]
        if compared:
            cells += [_times(results.ratio(row.key, name)) for name in peers]
            cells += [_goal(results, row, mark) for mark in (row.first, row.then)]
        lines.append(_line(cells))
    return lines


def _samples_table(results: Results, rows: Sequence[Row]) -> list[str]:
    lines = [_line(["row", *results.targets.values()]), _line(["---"] * (len(results.targets) + 1))]
    for row in rows:
        cells = [results.cells.get((row.key, name), Cell()) for name in results.targets]
        lines.append(
            _line(
                [
                    f"`{row.key}` ({row.unit})",
                    *(cell.missing or " ".join(map(number, cell.samples)) for cell in cells),
                ]
            )
        )
    return lines


def _legend(results: Results) -> list[str]:
    if SUBJECT not in results.targets:
        return []
    return [
        f"yes: reached (from {LEVEL:.0%} of the goal on, as runs differ by about a tenth); "
        "otherwise the share of the goal that was reached. "
        "A ratio is Postroom's figure divided by the peer's.",
    ]


def _cell(cell: Cell | None, unit: str) -> str:
    if cell is None:
        return ""
    if cell.missing:
        return cell.missing.partition(":")[0]
    if cell.figure is None:
        return ""
    return f"{number(cell.figure)}{unit if unit.startswith('/') else f' {unit}'}"


def _times(ratio: float | None) -> str:
    return "" if ratio is None else number(ratio)


def _goal(results: Results, row: Row, mark: Mark | None) -> str:
    if mark is None:
        return ""
    reached = results.reached(row, mark)
    if reached is None:
        return mark.words
    return f"{mark.words}: {'yes' if reached >= LEVEL else f'{reached:.0%}'}"


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def number(value: float) -> str:
    """Writes a figure with three significant digits, and no digits made up behind large ones."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    digits = f"{value:.3g}"
    return f"{value:.6f}".rstrip("0") if "e" in digits else digits
