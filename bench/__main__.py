"""The command line of the benchmark."""

import signal
import sys
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markdown import Markdown

from .dovecot import Dovecot, Storage
from .postroom import Attached, Postroom
from .profile import find_profiler
from .results import SUBJECT, render
from .runner import Plan, run
from .table import WORKLOADS
from .target import Account, Endpoint, Target, UnavailableError
from .workload import Sizes, Workload

RESULTS = Path(__file__).parent / "RESULTS.md"
_NAMES = ("postroom", *(str(storage) for storage in Storage))


def main(
    only: Annotated[
        str, typer.Option(help=f"Workloads: {', '.join(each.name for each in WORKLOADS)}.")
    ] = "",
    targets: Annotated[str, typer.Option(help="What to measure.")] = ",".join(_NAMES),
    messages: Annotated[
        int | None,
        typer.Option(min=200, help="Size of the large mailbox: 20000, with --quick 2000."),
    ] = None,
    quick: Annotated[bool, typer.Option(help="A tenth of everything.")] = False,
    repeat: Annotated[int, typer.Option(min=1, help="Repeats of every workload.")] = 3,
    output: Annotated[
        Path | None,
        typer.Option(help="Where the page goes. A full run writes bench/RESULTS.md, others print."),
    ] = None,
    state: Annotated[
        Path,
        typer.Option(
            help="Where the servers write. Not in memory (/tmp may be): durability has a price."
        ),
    ] = Path("/var/tmp"),
    profile: Annotated[
        Path | None, typer.Option(help="Folder for flame graphs of Postroom's services (py-spy).")
    ] = None,
    attach: Annotated[
        str, typer.Option(help="Measure the server on this host in Postroom's place.")
    ] = "",
    imap_port: int = 143,
    smtp_port: Annotated[int, typer.Option(help="0: none.")] = 25,
    pop3_port: Annotated[int, typer.Option(help="0: none.")] = 110,
    account: Annotated[
        list[str] | None,
        typer.Option(help="ADDRESS:PASSWORD on the attached server, twice. Their mail is deleted!"),
    ] = None,
) -> None:
    """Measures Postroom and, where they are installed, Postfix and Dovecot by the same workloads.

    Examples:

      python -m bench                                  everything, into bench/RESULTS.md

      python -m bench --quick                          a look in a few minutes, printed only

      python -m bench --only noop,login --repeat 5     some workloads, printed only

      python -m bench --targets postroom --profile .run/profiles --only mixed

      python -m bench --attach 192.0.2.7 --account a@example.org:one --account b@example.org:two
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that what was started is stopped
    console = Console(stderr=True)
    workloads = _chosen(only)
    sizes = Sizes.quick(messages or 2_000) if quick else Sizes(messages or 20_000)
    whole = not (only or quick or attach or messages) and targets == ",".join(_NAMES)
    try:
        if profile:
            find_profiler()
        with tempfile.TemporaryDirectory(prefix="bench-", dir=state) as name:
            directory = Path(name)
            directory.chmod(0o755)  # the mail user of a peer must get through
            chosen = [_target(each, directory) for each in targets.split(",")]
            if attach:
                there = _attached(attach, imap_port, smtp_port, pop3_port, account or [])
                chosen = [there if each.name == there.name else each for each in chosen]
            results = run(Plan(chosen, workloads, sizes, repeat, directory, profile), console)
    except UnavailableError as error:
        console.print(f"bench: {error}", style="red", markup=False)
        raise typer.Exit(1) from error
    page = render(results, workloads)
    # A page without Postroom must not take the place of one with it.
    destination = output or (RESULTS if whole and SUBJECT in results.targets else None)
    if destination:
        destination.write_text(page)
        console.print(f"written: {destination}")
    _show(page)


def _show(page: str) -> None:
    console = Console()
    if console.is_terminal:
        console.print(Markdown(page))
    else:
        console.out(page, highlight=False)


def _chosen(only: str) -> list[Workload]:
    by_name = {workload.name: workload for workload in WORKLOADS}
    wanted = only.split(",") if only else list(by_name)
    unknown = [name for name in wanted if name not in by_name]
    if unknown:
        raise typer.BadParameter(f"no such workload: {', '.join(unknown)}", param_hint="--only")
    return [by_name[name] for name in wanted]


def _target(name: str, directory: Path) -> Target:
    if name == "postroom":
        return Postroom(directory / name)
    if name not in _NAMES:
        raise typer.BadParameter(f"no such target: {name}", param_hint="--targets")
    return Dovecot(Storage(name), directory / name)


def _attached(host: str, imap: int, smtp: int, pop3: int, accounts: list[str]) -> Target:
    people = [Account(*each.split(":", 1)) for each in accounts if ":" in each]
    if len(people) < 2:
        raise typer.BadParameter("two of ADDRESS:PASSWORD are needed", param_hint="--account")
    return Attached(
        Endpoint(host, imap),
        people,
        Endpoint(host, smtp) if smtp else None,
        Endpoint(host, pop3) if pop3 else None,
    )


if __name__ == "__main__":
    typer.run(main)
