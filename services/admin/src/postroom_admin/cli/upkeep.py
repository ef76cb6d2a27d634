"""postroom usage, check, gc, reindex."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from postroom_admin.accounts import usage_of_all
from postroom_admin.cli.directory import OfDomain
from postroom_admin.cli.output import (
    AsJson,
    limit,
    printable,
    say,
    show_json,
    show_table,
    size,
)
from postroom_admin.cli.session import examples, of
from postroom_admin.model import Collected, Progress
from postroom_admin.ports import Services

FAULTS_SHOWN = 1000

OfAccount = Annotated[
    str, typer.Option("--account", metavar="ADDRESS", help="Only this account; all without it.")
]


def add_commands(app: typer.Typer) -> None:
    """Add these commands, which are no group's."""
    app.command(
        "usage",
        epilog=examples(
            "postroom usage",
            "postroom usage --domain example.org --json | jq 'map(.usage.bytes) | add'",
        ),
    )(usage)
    app.command(
        "check",
        epilog=examples("postroom check", "postroom check --account ann@example.org --contents"),
    )(check)
    app.command("gc", epilog=examples("postroom gc"))(gc)
    app.command(
        "reindex", epilog=examples("postroom reindex", "postroom reindex --account ann@example.org")
    )(reindex)


def usage(ctx: typer.Context, domain: OfDomain = "", as_json: AsJson = False) -> None:
    """Show what each account keeps."""
    found = of(ctx).run(lambda services: usage_of_all(services, domain))
    if as_json:
        return show_json(found)
    rows = [
        [
            one.account.address,
            one.usage.messages,
            size(one.usage.bytes),
            limit(one.account.quota_bytes),
            one.usage.mailboxes,
        ]
        for one in found
    ]
    show_table(["ADDRESS", "MESSAGES#", "USED#", "QUOTA#", "MAILBOXES#"], rows, "No accounts.")


def check(
    ctx: typer.Context,
    account: OfAccount = "",
    contents: Annotated[
        bool, typer.Option("--contents", help="Read every message and compare its hash, too.")
    ] = False,
) -> None:
    """Look for faults in what the store keeps; change nothing.

    Counters are compared with rows, and these with the contents.

    Exits with status 1 when it finds faults.
    """

    async def run(services: Services) -> list[str]:
        account_id = await _id_of(services, account)
        return await _follow("Checking", services.store.check_integrity(account_id, contents))

    faults = of(ctx).run(run)
    for fault in faults[:FAULTS_SHOWN]:
        typer.echo(printable(fault))
    if faults:
        typer.echo(f"postroom: {len(faults):,} faults", err=True)
        raise typer.Exit(1)
    say("No faults.")


def gc(ctx: typer.Context) -> None:
    """Remove expunged mail past its grace time.

    Contents that nothing refers to go too. The store does so by itself now and then; this does it
    at once.
    """

    async def run(services: Services) -> Collected:
        done = Collected(0, 0, 0)
        async for so_far in services.store.collect_garbage():
            done = so_far
        return done

    done = of(ctx).run(run)
    say(f"{done.expunged:,} expunged messages, {done.contents:,} contents: {size(done.bytes)}.")


def reindex(ctx: typer.Context, account: OfAccount = "") -> None:
    """Make columns and search index anew from the messages.

    That heals an index that a fault or an older version has left incomplete.
    """

    async def run(services: Services) -> None:
        account_id = await _id_of(services, account)
        await _follow("Reindexing", services.store.reindex(account_id))

    of(ctx).run(run)
    say("The index is made anew.")


async def _id_of(services: Services, address: str) -> int:
    return (await services.directory.get_account(address)).account_id if address else 0


async def _follow(what: str, job: AsyncIterator[Progress]) -> list[str]:
    """Show a job's progress on stderr, where that is a terminal, and answer its faults."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    faults: list[str] = []
    shown = sys.stderr.isatty()
    with Bar(*columns, console=Console(stderr=True), disable=not shown) as bar:
        task = bar.add_task(what, total=None)
        async for progress in job:
            bar.update(task, completed=progress.done, total=progress.total)
            faults += progress.faults
    return faults
