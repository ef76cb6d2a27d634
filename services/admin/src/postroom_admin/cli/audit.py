"""postroom audit."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated

import typer
from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.cli.output import AsJson, parse_time, plain, printable, show_json, show_table
from postroom_admin.cli.session import examples, of
from postroom_admin.model import PAGE, AuditEntry, AuditFilter, every
from postroom_admin.ports import Services

SHOWN = 100
FOLLOW_SECONDS = 1.0
OVERLAP_SECONDS = 30  # entries of several replicas don't come in one order
KNOWN = 100_000  # entries that were shown
AUDIT_COLUMNS = [
    "TIME",
    "ACCOUNT",
    "OUTCOME",
    "WHY",
    "VIA",
    "MECHANISM",
    "WITH",
    "FROM",
    "TLS",
    "TIMES",
]


def add_commands(app: typer.Typer) -> None:
    """Add the command that is no group's."""
    app.command(
        "audit",
        epilog=examples(
            "postroom audit --account ann@example.org --since 3d",
            "postroom audit --from 192.0.2.0/24 --failed",
            "postroom audit --follow",
            "postroom audit --failed --since 1d --last 1000 --json | jq -r '.[].client' | uniq -c",
        ),
    )(audit)


def audit(
    ctx: typer.Context,
    account: Annotated[str, typer.Option(metavar="ADDRESS", help="Only of this account.")] = "",
    network: Annotated[
        str, typer.Option("--from", metavar="NETWORK", help="Only from there: 192.0.2.0/24.")
    ] = "",
    succeeded: Annotated[bool, typer.Option("--succeeded", help="Only what succeeded.")] = False,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed.")] = False,
    since: Annotated[
        str, typer.Option(metavar="WHEN", help="At or after: 30m, 12h, 3d ago, or ISO 8601.")
    ] = "",
    last: Annotated[int, typer.Option(metavar="N", min=1, help="The newest N at most.")] = SHOWN,
    follow: Annotated[bool, typer.Option("--follow", help="Go on as they come.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show who signed in, or tried to: when, how, from where, through which service.

    With --follow and --json, a line of JSON each.
    """
    if succeeded and failed:
        raise typer.BadParameter("choose one of --succeeded and --failed")
    outcome = True if succeeded else False if failed else None
    start = parse_time(since, time.time()) if since else 0
    wanted = AuditFilter(account, network, outcome, start)

    if follow:
        return of(ctx).run(lambda services: _follow(services, wanted, last, as_json))
    entries = of(ctx).run(lambda services: _newest(services, wanted, last))
    if as_json:
        return show_json(entries)
    show_table(AUDIT_COLUMNS, [_row(entry) for entry in entries], "Nobody has tried to sign in.")


async def _newest(services: Services, wanted: AuditFilter, most: int) -> list[AuditEntry]:
    """So many at most, oldest first."""
    size = min(most, PAGE)
    entries: list[AuditEntry] = []
    async for entry in every(lambda token: services.credentials.audit(wanted, token, size)):
        entries.append(entry)
        if len(entries) == most:
            break
    return entries[::-1]


async def _follow(services: Services, wanted: AuditFilter, last: int, as_json: bool) -> None:
    """Show entries as they come, until Ctrl-C; after a time without auth, those of that time."""
    known: OrderedDict[int, None] = OrderedDict()
    entries = await _newest(services, wanted, last)
    oldest = entries[0].entry_id if entries else 0  # what came before wasn't asked for
    while True:
        _show_new(entries, known, as_json)
        if entries:
            newest = int(max(entry.at for entry in entries).timestamp())
            wanted = replace(wanted, since=max(wanted.since, newest - OVERLAP_SECONDS))
        await asyncio.sleep(FOLLOW_SECONDS)
        try:
            recent = await _newest(services, wanted, KNOWN)
            entries = [entry for entry in recent if entry.entry_id >= oldest]
        except PostroomError as error:
            if error.kind not in (Kind.UNAVAILABLE, Kind.DEADLINE):
                raise
            entries = []


def _show_new(entries: Sequence[AuditEntry], known: OrderedDict[int, None], as_json: bool) -> None:
    for entry in entries:
        if entry.entry_id in known:
            continue
        known[entry.entry_id] = None
        if len(known) > KNOWN:
            known.popitem(last=False)
        if as_json:
            typer.echo(json.dumps(plain(entry), ensure_ascii=False))
        else:
            typer.echo(printable("  ".join(str(cell) for cell in _row(entry) if cell != "")))


def _row(entry: AuditEntry) -> list[object]:
    return [
        f"{entry.at.astimezone():%Y-%m-%d %H:%M:%S}",
        entry.account or "-",
        entry.outcome,
        entry.why,
        entry.protocol,
        entry.mechanism,
        entry.credential,
        entry.client,
        entry.tls_version or "clear",
        f"x{entry.times}" if entry.times > 1 else "",
    ]
