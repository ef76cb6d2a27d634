"""Runs the workloads: starts and fills all targets, then runs each row on every target in turn.

Taking turns keeps a ratio honest on a noisy machine: what slows one target in a row slows the
others as well.
"""

import datetime as dt
from collections.abc import Sequence
from contextlib import ExitStack, nullcontext
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
)

from .corpus import Corpus
from .imap import CommandError
from .machine import Machine
from .pop3 import Pop3Error
from .processes import wait_idle
from .profile import recording
from .results import Cell, Results
from .smtp import RefusedError
from .target import NotOfferedError, Target, UnavailableError
from .workload import Sizes, Stage, Workload
from .workloads import drop_caches, fill

SETTLE_SECONDS = 300.0
_FAILURES = (CommandError, Pop3Error, RefusedError, OSError)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a run is to do.

    Attributes:
        directory: where the servers write.
        profiles: a folder for a profile of Postroom's services in every workload, if wanted.
    """

    targets: Sequence[Target]
    workloads: Sequence[Workload]
    sizes: Sizes
    repeats: int
    directory: Path
    profiles: Path | None = None


def run(plan: Plan, console: Console) -> Results:
    """Measures everything, and stops what was started, however it ends.

    A target that can't be started is left out, with a line that says why; a workload that fails on
    a target leaves a note in its cell.

    Raises:
        UnavailableError: when no target could be started.
    """
    machine = Machine.here(plan.directory)
    corpus = Corpus()
    with ExitStack() as running:
        targets = [target for target in plan.targets if _started(target, running, console)]
        if not targets:
            raise UnavailableError("no target could be started")
        stages = [Stage(target, corpus, plan.sizes) for target in targets]
        results = Results(
            machine=machine,
            sizes=plan.sizes,
            repeats=plan.repeats,
            caches_dropped=drop_caches(),
            started=dt.datetime.now(dt.UTC),
            targets={target.name: target.title for target in targets},
            versions={target.name: target.version for target in targets},
        )
        progress = running.enter_context(_progress(console))
        for stage in stages:
            task = progress.add_task(f"filling {stage.target.title}", total=plan.sizes.messages)
            fill(stage, partial(progress.advance, task))
            results.background[stage.target.name] = _settle([stage])
        _measure_all(stages, plan, results, progress)
    return results


def _started(target: Target, running: ExitStack, console: Console) -> bool:
    running.callback(target.stop)
    try:
        target.start()
    except UnavailableError as error:
        console.print(f"[yellow]{target.title} is left out:[/] {escape(str(error))}")
        return False
    return True


def _measure_all(stages: Sequence[Stage], plan: Plan, results: Results, progress: Progress) -> None:
    total = len(plan.workloads) * plan.repeats * len(stages)
    task = progress.add_task("measuring", total=total)
    for workload in plan.workloads:
        for turn in range(plan.repeats):
            for stage in stages:
                progress.update(task, description=f"{workload.name}: {stage.target.title}")
                _settle(stages)
                _measure(replace(stage, turn=turn), workload, plan.profiles, results)
                progress.advance(task)
    progress.update(task, description="measured")


def _settle(stages: Sequence[Stage]) -> float:
    """Waits for what the targets do behind the scenes; says how many seconds they took."""
    return sum(wait_idle(partial(_processes, stage.target), SETTLE_SECONDS) for stage in stages)


def _processes(target: Target) -> Sequence[int]:
    try:
        return target.processes()
    except NotOfferedError:  # not on this machine: nothing is known of them
        return ()


def _measure(stage: Stage, workload: Workload, profiles: Path | None, results: Results) -> None:
    """Runs one repeat and adds its figures to the cells."""
    profiling = recording(stage.target, workload.name, profiles) if profiles else nullcontext()
    try:
        with profiling:
            figures = workload.measure(stage)
    except NotOfferedError as error:
        _note(stage, workload, results, f"not offered: {error}")
        return
    except _FAILURES as error:
        _note(stage, workload, results, f"failed: {type(error).__name__}: {error}"[:200])
        return
    for row, figure in zip(workload.rows, figures, strict=True):
        key = (row.key, stage.target.name)
        cell = results.cells.get(key, Cell())
        results.cells[key] = replace(cell, samples=(*cell.samples, figure))


def _note(stage: Stage, workload: Workload, results: Results, words: str) -> None:
    for row in workload.rows:
        key = (row.key, stage.target.name)
        results.cells[key] = replace(results.cells.get(key, Cell()), missing=words)


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description:<32}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
    )
