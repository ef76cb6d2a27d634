"""postroom app-password, audit, and what `postroom account` does about locks."""

from __future__ import annotations

import asyncio
import json
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Annotated

import typer
from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.cli.directory import Address, group
from postroom_admin.cli.output import (
    AsJson,
    moment,
    parse_time,
    plain,
    printable,
    say,
    show_fields,
    show_json,
    show_table,
)
from postroom_admin.cli.session import examples, of
from postroom_admin.model import AuditEntry, AuditFilter, Standing, every
from postroom_admin.ports import Services

PROTOCOLS = ("imap", "pop3", "smtp")
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

app_password = group(
    "Generated passwords, each for one program.",
    "postroom app-password add ann@example.org phone",
    "postroom app-password revoke ann@example.org phone",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What it is called: of its program.")]


def add_commands(app: typer.Typer, account: typer.Typer) -> None:
    """Add `audit` to the command, and the others to its group of accounts."""
    app.command(
        "audit",
        epilog=examples(
            "postroom audit --account ann@example.org --since 3d",
            "postroom audit --from 192.0.2.0/24 --failed",
            "postroom audit --follow",
            "postroom audit --failed --since 1d --last 1000 --json | jq -r '.[].client' | uniq -c",
        ),
    )(audit)
    account.command(
        "lock",
        epilog=examples(
            "postroom account lock ann@example.org",
            "postroom account lock ann@example.org --for 2h",
        ),
    )(lock)
    account.command("unlock", epilog=examples("postroom account unlock ann@example.org"))(unlock)
    account.command(
        "status",
        epilog=examples(
            "postroom account status ann@example.org",
            "postroom account status ann@example.org --json",
        ),
    )(status)
    account.command(
        "app-passwords-only",
        epilog=examples(
            "postroom account app-passwords-only ann@example.org",
            "postroom account app-passwords-only ann@example.org --off",
        ),
    )(app_passwords_only)


@app_password.command(
    "add",
    epilog=examples(
        "postroom app-password add ann@example.org phone",
        "postroom app-password add ann@example.org scanner --for smtp --network 192.0.2.0/24",
        "postroom app-password add ann@example.org guest --for imap --expires 30d",
    ),
)
def add_app_password(
    ctx: typer.Context,
    address: Address,
    name: Name,
    protocols: Annotated[
        list[str] | None,
        typer.Option("--for", metavar="PROTOCOL", help="imap, pop3, smtp or api; the first three."),
    ] = None,
    networks: Annotated[
        list[str] | None,
        typer.Option("--network", metavar="NETWORK", help="Where alone it works: 192.0.2.0/24."),
    ] = None,
    expires: Annotated[
        str, typer.Option(metavar="WHEN", help="When it ends: in 12h, 30d, or ISO 8601.")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Make an app password and print it, once."""
    until = parse_time(expires, time.time(), ahead=True) if expires else 0
    made = of(ctx).run(
        lambda services: services.credentials.add_app_password(
            address, name, protocols or PROTOCOLS, networks or (), until
        )
    )
    if as_json:
        return show_json(made)
    typer.echo(made.password)
    good = ", ".join(made.app_password.protocols)
    typer.echo(f"It is good for {good}. It is not shown again.", err=True)


@app_password.command("list", epilog=examples("postroom app-password list ann@example.org"))
def list_app_passwords(ctx: typer.Context, address: Address, as_json: AsJson = False) -> None:
    """List an account's app passwords."""
    found = of(ctx).run(lambda services: services.credentials.list_app_passwords(address))
    if as_json:
        return show_json(list(found))
    rows = [
        [
            one.name,
            " ".join(one.protocols),
            " ".join(one.networks) or "everywhere",
            one.created_at,
            one.expires_at or "never",
            one.used_at or "never",
        ]
        for one in found
    ]
    show_table(
        ["NAME", "FOR", "FROM", "CREATED", "ENDS", "LAST USED"],
        rows,
        f"{address} has no app passwords: `postroom app-password add` makes one.",
    )


@app_password.command(
    "revoke",
    epilog=examples(
        "postroom app-password revoke ann@example.org phone",
        "postroom app-password revoke ann@example.org --all",
    ),
)
def revoke_app_password(
    ctx: typer.Context,
    address: Address,
    name: Annotated[str, typer.Argument(metavar="NAME")] = "",
    all_of_them: Annotated[bool, typer.Option("--all", help="All of the account's.")] = False,
) -> None:
    """End an app password. Sessions that it opened end within a minute."""
    if bool(name) == all_of_them:
        raise typer.BadParameter("give an app password's NAME, or --all")
    gone = of(ctx).run(lambda services: services.credentials.revoke_app_password(address, name))
    say(f"{name} is revoked." if name else f"{gone:,} app passwords are revoked.")


def app_passwords_only(
    ctx: typer.Context,
    address: Address,
    off: Annotated[bool, typer.Option("--off", help="Take the own password again.")] = False,
) -> None:
    """Let an account's own password open nothing: app passwords alone do."""
    of(ctx).run(
        lambda services: services.directory.update_account(address, app_passwords_only=not off)
    )
    say(f"{address} takes {'its own password, too' if off else 'app passwords alone'}.")


def lock(
    ctx: typer.Context,
    address: Address,
    time_span: Annotated[
        str, typer.Option("--for", metavar="WHEN", help="Until when: 2h, 3d, or ISO 8601.")
    ] = "",
) -> None:
    """Let nobody sign in to an account, for a time or until it is unlocked; it still receives.

    Sessions that are open end within a minute.
    """
    until = parse_time(time_span, time.time(), ahead=True) if time_span else 0
    standing = of(ctx).run(lambda services: services.credentials.lock(address, until))
    ends = f"until {moment(standing.locked_until)}" if standing.locked_until else "for good"
    say(f"Account {address} is locked {ends}. Its open sessions end within a minute.")


def unlock(ctx: typer.Context, address: Address) -> None:
    """End a lock, whoever set it, and forget failed attempts."""
    standing = of(ctx).run(lambda services: services.credentials.unlock(address))
    but = " It is disabled, though: `postroom account enable`." if standing.disabled else ""
    say(f"Account {address} is unlocked.{but}")


def status(ctx: typer.Context, address: Address, as_json: AsJson = False) -> None:
    """Show whether somebody can sign in to an account now."""
    found = of(ctx).run(lambda services: services.credentials.standing(address))
    if as_json:
        return show_json(found)
    last = found.last_success
    show_fields(
        [
            ("Address", found.address),
            ("Disabled", found.disabled),
            ("Locked", _locked(found)),
            ("Failures of late", found.failures),
            ("Attempts must wait", moment(found.waits_until) if found.waits_until else "no"),
            ("App passwords", found.app_passwords),
            (
                "Last sign-in",
                f"{moment(last.at)} by {last.protocol} from {last.client}" if last else "-",
            ),
        ]
    )


def _locked(standing: Standing) -> str:
    if standing.locked:
        until = moment(standing.locked_until) if standing.locked_until else "it is unlocked"
        return f"until {until}"
    if standing.locked_by_failures and standing.waits_until:
        return f"by failures, until {moment(standing.waits_until)}"
    return "no"


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

    async def found(services: Services) -> list[AuditEntry]:
        size = min(last, 1000)
        entries: list[AuditEntry] = []
        async for entry in every(lambda t: services.credentials.audit(wanted, t, size)):
            entries.append(entry)
            if len(entries) == last:
                break
        return entries[::-1]

    if follow:
        return of(ctx).run(lambda services: _follow(services, wanted, found, as_json))
    entries = of(ctx).run(found)
    if as_json:
        return show_json(entries)
    show_table(AUDIT_COLUMNS, [_row(entry) for entry in entries], "Nobody has tried to sign in.")


async def _follow(
    services: Services,
    wanted: AuditFilter,
    found: Callable[[Services], Awaitable[list[AuditEntry]]],
    as_json: bool,
) -> None:
    """Show entries as they come, until Ctrl-C."""
    known: OrderedDict[int, None] = OrderedDict()
    _show_new(await found(services), known, as_json)
    while True:
        await asyncio.sleep(FOLLOW_SECONDS)
        start = max(wanted.since, int(time.time()) - OVERLAP_SECONDS)
        recent = replace(wanted, since=start)
        try:
            page = await services.credentials.audit(recent)
        except PostroomError as error:
            if error.kind not in (Kind.UNAVAILABLE, Kind.DEADLINE):
                raise
            continue
        _show_new(page.items[::-1], known, as_json)


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
