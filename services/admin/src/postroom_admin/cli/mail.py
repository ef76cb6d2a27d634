"""postroom import, export, undelete."""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC
from pathlib import Path
from typing import Annotated

import typer
from postroom_chassis.errors import PostroomError
from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
)

from postroom_admin.cli.directory import group
from postroom_admin.cli.output import AsJson, parse_time, printable, say, show_json, size
from postroom_admin.cli.session import examples, fail, of
from postroom_admin.model import Account
from postroom_admin.ports import Services
from postroom_admin.transfer.entry import Entry
from postroom_admin.transfer.exporting import check_free, export_mailbox, files_of, mailboxes_of
from postroom_admin.transfer.importing import IN_FLIGHT, Import, Report
from postroom_admin.transfer.journal import Journal
from postroom_admin.transfer.maildir import read_maildir
from postroom_admin.transfer.mbox import read_mbox

LARGEST = 64 * 1024 * 1024
SHOWN = 20  # skipped messages that are told one by one
INTERRUPTED = 130  # as shells say it: ended by SIGINT

imports = group(
    "Take mail over from elsewhere. A run that was interrupted goes on when it is started again.",
    "postroom import maildir ~/Maildir --account ann@example.org",
    "postroom import mbox archive.mbox --account ann@example.org --mailbox Archive",
)

AccountOption = Annotated[
    str, typer.Option("--account", metavar="ADDRESS", help="Whose mail it becomes.")
]
MailboxOption = Annotated[
    str, typer.Option("--mailbox", metavar="NAME", help="Where it goes; made if it is missing.")
]
State = Annotated[
    Path | None,
    typer.Option(
        metavar="FOLDER",
        help="Where the journals are that make imports restartable;"
        " ~/.local/state/postroom without it.",
    ),
]
Afresh = Annotated[
    bool, typer.Option("--afresh", help="Forget earlier runs: take every message, again.")
]
Largest = Annotated[
    int, typer.Option("--max-size", metavar="BYTES", help="Larger messages are left out.")
]
InFlight = Annotated[
    int,
    typer.Option(
        "--in-flight", min=1, max=32, help="Calls under way at once; 1 keeps the order strictly."
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands that are no group's."""
    app.command(
        "export",
        epilog=examples(
            "postroom export --account ann@example.org --mailbox INBOX --output inbox.mbox",
            "postroom export --account ann@example.org --output backup/ann",
        ),
    )(export)
    app.command(
        "undelete",
        epilog=examples(
            "postroom undelete --account ann@example.org",
            "postroom undelete --account ann@example.org --mailbox Work --since 3d",
            "postroom undelete --account ann@example.org --since 2030-01-31T09:00",
        ),
    )(undelete)


@imports.command(
    "maildir",
    epilog=examples(
        "postroom import maildir ~/Maildir --account ann@example.org",
        "postroom import maildir ~/old --account ann@example.org --mailbox Archive",
    ),
)
def import_maildir(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(metavar="PATH", help="The folder with cur and new.")],
    account: AccountOption,
    mailbox: MailboxOption = "INBOX",
    state: State = None,
    afresh: Afresh = False,
    largest: Largest = LARGEST,
    in_flight: InFlight = IN_FLIGHT,
    as_json: AsJson = False,
) -> None:
    """Take over a Maildir with its flags and dates.

    Its subfolders (.Sent, .Sent.2024) become mailboxes (Sent, Sent/2024), under the mailbox that is
    named unless that is INBOX. Exits with status 1 when messages had to be left out, and says which
    and why.
    """
    _import(ctx, path, read_maildir, account, mailbox, state, afresh, largest, in_flight, as_json)


@imports.command(
    "mbox",
    epilog=examples(
        "postroom import mbox archive.mbox --account ann@example.org --mailbox Archive",
        "postroom import mbox backup/ann --account ann@example.org",
    ),
)
def import_mbox(
    ctx: typer.Context,
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="An mbox, or a folder that `export` made.")
    ],
    account: AccountOption,
    mailbox: MailboxOption = "INBOX",
    state: State = None,
    afresh: Afresh = False,
    largest: Largest = LARGEST,
    in_flight: InFlight = IN_FLIGHT,
    as_json: AsJson = False,
) -> None:
    """Take over an mbox (mboxrd), or every *.mbox in a folder as a mailbox of its name.

    Dates come from the "From " lines (UTC where they name no zone), flags from Status, X-Status,
    X-Keywords and X-Mozilla-Status. Exits with status 1 when messages had to be left out, and says
    which and why.
    """
    _import(ctx, path, read_mbox, account, mailbox, state, afresh, largest, in_flight, as_json)


def export(
    ctx: typer.Context,
    account: Annotated[str, typer.Option("--account", metavar="ADDRESS", help="Whose mail.")],
    output: Annotated[
        Path,
        typer.Option("--output", metavar="PATH", help="A file; a folder without --mailbox."),
    ],
    mailbox: Annotated[
        str, typer.Option("--mailbox", metavar="NAME", help="One mailbox alone.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over files.")] = False,
) -> None:
    """Write mail to an mbox file, or to a folder of them.

    The format is mboxrd: one mailbox to one file, or every mailbox to a file of its name.

    Each message keeps its flags (Status, X-Status, X-Keywords) and its date (the "From " line).
    `postroom import mbox` gives back exactly the bytes that were exported.
    """

    async def write(services: Services) -> tuple[int, int]:
        owner = await services.directory.get_account(account)
        mailboxes = await mailboxes_of(services.store, owner.account_id)
        if mailbox:
            mailboxes = [one for one in mailboxes if one.name == mailbox]
            files = {mailbox: output}
        else:
            files = files_of(mailboxes, output)
        if not force:
            check_free(list(files.values()))
        messages = 0
        with _progress("Exporting", sum(one.messages for one in mailboxes)) as told:
            for name, file in files.items():
                messages += await export_mailbox(services.store, owner.account_id, name, file, told)
        return messages, len(files)

    messages, files = of(ctx).run(write)
    where = f"{output}" if mailbox else f"{files:,} files in {output}"
    say(f"{messages:,} messages are in {where}.")


def undelete(
    ctx: typer.Context,
    account: Annotated[str, typer.Option("--account", metavar="ADDRESS", help="Whose mail.")],
    mailbox: Annotated[
        str, typer.Option("--mailbox", metavar="NAME", help="Where it was.")
    ] = "INBOX",
    since: Annotated[
        str,
        typer.Option(metavar="WHEN", help="Expunged at or after: 30m, 12h, 3d ago, or ISO 8601."),
    ] = "1d",
) -> None:
    """Bring back messages that were expunged.

    The store keeps them for 14 days, unless it is set otherwise.
    """
    start = parse_time(since, time.time())

    async def restore(services: Services) -> int:
        owner = await services.directory.get_account(account)
        return await services.store.undelete(owner.account_id, mailbox, start)

    restored = of(ctx).run(restore)
    say(f"{restored:,} messages are back in {mailbox}.")


def journal_file(state: Path | None, source: Path, mailbox: str, account: Account) -> Path:
    """The journal of an import, by what makes it another one. The time at which the account was
    made tells apart accounts of two systems with one id.
    """
    folder = state or Path(
        os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state", "postroom"
    )
    made = account.created_at.astimezone(UTC).isoformat()
    parts = (str(source.resolve()), mailbox, str(account.account_id), made)
    name = hashlib.blake2b(os.fsencode("\0".join(parts)), digest_size=8).hexdigest()
    return folder / f"import-{re.sub(r'[^A-Za-z0-9.@+-]', '_', account.address)}-{name}.journal"


def _import(
    ctx: typer.Context,
    path: Path,
    read: Callable[[Path, str], list[Entry]],
    address: str,
    mailbox: str,
    state: Path | None,
    afresh: bool,
    largest: int,
    in_flight: int,
    as_json: bool,
) -> None:
    async def take_over(services: Services) -> tuple[Report, int, Path]:
        account = await services.directory.get_account(address)
        entries = await asyncio.to_thread(read, path, mailbox)
        file = journal_file(state, path, mailbox, account)
        journal = Journal.open(file, afresh=afresh)
        try:
            with _progress("Importing", len(entries)) as told:
                importing = Import(
                    services.store,
                    account,
                    journal,
                    largest=largest,
                    in_flight=in_flight,
                    told=told,
                )
                report = await _until_interrupted(importing, entries)
        finally:
            journal.close()
        return report, len(entries), file

    report, total, file = of(ctx).run(take_over)
    if as_json:
        show_json(report)
    else:
        _tell(report, total, file)
    if report.stopped:
        fail(f"{report.stopped}\n          The same command goes on from here.")
    if report.interrupted:
        typer.echo("Interrupted. The same command goes on from here.", err=True)
        raise typer.Exit(INTERRUPTED)
    if report.skipped:
        raise typer.Exit(1)


async def _until_interrupted(importing: Import, entries: Sequence[Entry]) -> Report:
    """Run an import. The first Ctrl-C lets the calls under way finish, the second doesn't wait;
    the journal is right in both cases.
    """
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(importing.run(entries))

    def interrupt() -> None:
        if importing.report.interrupted:
            task.cancel()
        importing.stop()

    loop.add_signal_handler(signal.SIGINT, interrupt)
    try:
        return await task
    except asyncio.CancelledError:
        return importing.report
    except PostroomError as error:
        importing.report.stopped = error.message
        return importing.report
    finally:
        loop.remove_signal_handler(signal.SIGINT)


def _tell(report: Report, total: int, file: Path) -> None:
    say(f"{report.imported:,} of {total:,} messages are imported ({size(report.bytes)}).")
    if report.before:
        say(f"{report.before:,} were imported before, as {file} says; --afresh takes them again.")
    for identity, reason in report.skipped[:SHOWN]:
        typer.echo(printable(f"left out: {identity}: {reason}"), err=True)
    if len(report.skipped) > SHOWN:
        left = len(report.skipped) - SHOWN
        typer.echo(f"left out: {left:,} more (--json tells all)", err=True)


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on stderr where that is a terminal; what it gives takes the count of messages done."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    shown = sys.stderr.isatty()
    with Progress(*columns, console=Console(stderr=True), disable=not shown) as progress:
        task = progress.add_task(what, total=total)
        yield lambda count: progress.advance(task, count)
