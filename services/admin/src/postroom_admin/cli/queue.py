"""postroom queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Annotated

import typer

from postroom_admin.cli.directory import Yes, group
from postroom_admin.cli.output import (
    AsJson,
    moment,
    say,
    show_fields,
    show_json,
    show_table,
    size,
)
from postroom_admin.cli.session import examples, of
from postroom_admin.model import PAGE, Attempt, QueueEntry, QueueState
from postroom_admin.ports import Queue, Services
from postroom_admin.queueing import Change, Changed, change_all, change_entries, entries_for

queue = group(
    "Mail that waits to be sent elsewhere.",
    "postroom queue summary",
    "postroom queue list --domain example.com",
    "postroom queue show 17",
    "postroom queue retry --domain example.com",
)

Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", help="As `queue list` shows them.")]
ForDomain = Annotated[
    str, typer.Option("--domain", metavar="NAME", help="All entries for this domain.")
]
Everything = Annotated[bool, typer.Option("--all", help="Every entry there is.")]


@queue.command(
    "list",
    epilog=examples(
        "postroom queue list",
        "postroom queue list --domain example.com --state held --limit 20",
        "postroom queue list --json | jq '.[] | select(.attempts > 3).queue_id'",
    ),
)
def list_queue(
    ctx: typer.Context,
    domain: Annotated[str, typer.Option(metavar="NAME", help="Only for this domain.")] = "",
    state: Annotated[QueueState | None, typer.Option(help="Only in this state.")] = None,
    most: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = PAGE,
    as_json: AsJson = False,
) -> None:
    """List what waits, oldest first: since when, why, and when it is tried next."""
    found = of(ctx).run(lambda services: entries_for(services.queue, domain, state, most))
    if as_json:
        return show_json(found)
    now = datetime.now(UTC)
    rows = [
        [
            str(one.queue_id),
            one.state,
            one.created_at,
            _next(one, now),
            size(one.size),
            one.sender or "<>",
            one.recipient,
            one.attempts,
            one.last_host or "-",
            one.last_reply or "-",
        ]
        for one in found
    ]
    columns = ["ID#", "STATE", "SINCE", "NEXT TRY", "SIZE#", "FROM", "TO", "TRIES#", "HOST"]
    show_table([*columns, "REASON"], rows, "Nothing waits.")


@queue.command("show", epilog=examples("postroom queue show 17", "postroom queue show 17 --json"))
def show(
    ctx: typer.Context,
    queue_id: Annotated[int, typer.Argument(metavar="ID")],
    as_json: AsJson = False,
) -> None:
    """Show all that is known of one entry, with every attempt to send it."""
    found = of(ctx).run(lambda services: services.queue.show(queue_id))
    if as_json:
        return show_json(found)
    entry = found.entry
    show_fields(
        [
            ("Id", str(entry.queue_id)),
            ("State", entry.state),
            ("From", entry.sender or "<>"),
            ("To", entry.recipient),
            ("Message-ID", entry.message_id or "-"),
            ("Size", size(entry.size)),
            ("Submitted by", f"account id {entry.account_id}" if entry.account_id else "-"),
            ("Since", entry.created_at),
            ("Tries", entry.attempts),
            ("Next try", _next(entry, datetime.now(UTC))),
            ("Last host", entry.last_host or "-"),
            ("Last reply", entry.last_reply or "-"),
        ]
    )
    rows = [_attempt(one) for one in found.attempts]
    if rows:
        say("")
    show_table(["TIME", "OUTCOME", "HOST", "TLS", "REPLY"], rows, "No attempt is known.")


@queue.command(
    "summary", epilog=examples("postroom queue summary", "postroom queue summary --json")
)
def summary(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show how much waits for each domain, the most first."""
    found = of(ctx).run(lambda services: services.queue.summarize())
    if as_json:
        return show_json(found)
    rows = [
        [
            one.domain,
            one.waiting,
            one.held,
            one.sending,
            one.oldest,
            moment(one.retry_at),
            one.last_reply or "-",
        ]
        for one in found.domains
    ]
    columns = ["DOMAIN", "WAITING#", "HELD#", "SENDING#", "OLDEST", "LEFT ALONE UNTIL", "REASON"]
    show_table(columns, rows, "Nothing waits.")
    if rows:
        typer.echo(f"{found.total:,} entries in all.", err=True)


@queue.command(
    "hold", epilog=examples("postroom queue hold 17 18", "postroom queue hold --domain example.com")
)
def hold(
    ctx: typer.Context, ids: Ids = None, domain: ForDomain = "", everything: Everything = False
) -> None:
    """Keep entries from being tried, until they are released."""
    _check_choice(ids, domain, everything)
    _tell(of(ctx).run(_change(lambda one: one.hold, ids, domain)), "held")


@queue.command(
    "release", epilog=examples("postroom queue release 17", "postroom queue release --all")
)
def release(
    ctx: typer.Context, ids: Ids = None, domain: ForDomain = "", everything: Everything = False
) -> None:
    """Let held entries be tried, at once."""
    _check_choice(ids, domain, everything)
    _tell(of(ctx).run(_change(lambda one: one.release, ids, domain)), "released")


@queue.command(
    "retry", epilog=examples("postroom queue retry 17", "postroom queue retry --domain example.com")
)
def retry(
    ctx: typer.Context, ids: Ids = None, domain: ForDomain = "", everything: Everything = False
) -> None:
    """Try entries that wait at once, though their domain be left alone for a while."""
    _check_choice(ids, domain, everything)
    _tell(of(ctx).run(_change(lambda one: one.retry, ids, domain)), "to be tried now")


@queue.command(
    "cancel",
    epilog=examples("postroom queue cancel 17", "postroom queue cancel --domain example.com --yes"),
)
def cancel(
    ctx: typer.Context,
    ids: Ids = None,
    domain: ForDomain = "",
    everything: Everything = False,
    yes: Yes = False,
) -> None:
    """Remove entries: the mail is not sent, and nobody is told."""
    _check_choice(ids, domain, everything)
    if not yes:
        what = f"{len(ids):,} entries" if ids else f"all entries for {domain or 'every domain'}"
        typer.confirm(f"Remove {what} without notice to anyone?", abort=True, err=True)
    _tell(of(ctx).run(_change(lambda one: one.cancel, ids, domain)), "cancelled")


def _check_choice(ids: list[int] | None, domain: str, everything: bool) -> None:
    if bool(ids) + bool(domain) + everything != 1:
        raise typer.BadParameter("give IDs, or --domain, or --all")


def _change(
    pick: Callable[[Queue], Change], ids: list[int] | None, domain: str
) -> Callable[[Services], Awaitable[Changed]]:
    async def change(services: Services) -> Changed:
        todo = pick(services.queue)
        if ids:
            return await change_entries(todo, ids)
        return await change_all(services.queue, todo, domain)

    return change


def _tell(done: Changed, what: str) -> None:
    say(f"{done.changed:,} {what}.")
    if done.passed_over:
        typer.echo(
            f"{done.passed_over:,} passed over: they are being sent now, or gone."
            " `postroom queue list` shows what is left.",
            err=True,
        )


def _attempt(one: Attempt) -> list[object]:
    time = f"{one.at.astimezone():%Y-%m-%d %H:%M:%S}"
    return [time, one.outcome, one.host or "-", one.tls or "clear", one.reply]


def _next(entry: QueueEntry, now: datetime) -> str:
    if entry.state is not QueueState.WAITING:
        return "-"
    return "now" if entry.next_attempt_at <= now else moment(entry.next_attempt_at)
