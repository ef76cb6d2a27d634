"""postroom queue."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated

import typer

from postroom_admin.cli.directory import Yes, group
from postroom_admin.cli.output import AsJson, say, show_fields, show_json, show_table, size
from postroom_admin.cli.session import examples, of
from postroom_admin.model import PAGE, QueueEntry
from postroom_admin.ports import Queue, Services
from postroom_admin.queueing import change_entries, find_entry, ids_for, summarise

queue = group(
    "Mail that waits to be sent elsewhere.",
    "postroom queue summary",
    "postroom queue list --domain example.com",
    "postroom queue hold --domain example.com",
)

Ids = Annotated[list[int] | None, typer.Argument(metavar="ID", help="As `queue list` shows them.")]
ForDomain = Annotated[
    str, typer.Option("--domain", metavar="NAME", help="All entries for this domain.")
]
Everything = Annotated[bool, typer.Option("--all", help="Every entry there is.")]
Change = Callable[[Sequence[int]], Awaitable[int]]


@queue.command(
    "list",
    epilog=examples(
        "postroom queue list",
        "postroom queue list --domain example.com --limit 20",
        "postroom queue list --json | jq '.[] | select(.attempts > 3).queue_id'",
    ),
)
def list_queue(
    ctx: typer.Context,
    domain: Annotated[str, typer.Option(metavar="NAME", help="Only for this domain.")] = "",
    most: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = PAGE,
    as_json: AsJson = False,
) -> None:
    """List what waits, oldest first."""
    found = of(ctx).run(lambda services: _first(services.queue, domain, most))
    if as_json:
        return show_json(found)
    rows = [
        [
            str(one.queue_id),
            one.state,
            one.created_at,
            size(one.size),
            one.sender or "<>",
            one.recipient,
            one.attempts,
            one.last_reply,
        ]
        for one in found
    ]
    show_table(
        ["ID#", "STATE", "SINCE", "SIZE#", "FROM", "TO", "TRIES#", "LAST REPLY"],
        rows,
        "Nothing waits.",
    )


@queue.command("show", epilog=examples("postroom queue show 17", "postroom queue show 17 --json"))
def show(
    ctx: typer.Context,
    queue_id: Annotated[int, typer.Argument(metavar="ID")],
    as_json: AsJson = False,
) -> None:
    """Show all that is known of one entry."""
    found = of(ctx).run(lambda services: find_entry(services.queue, queue_id))
    if as_json:
        return show_json(found)
    show_fields(
        [
            ("Id", str(found.queue_id)),
            ("State", found.state),
            ("From", found.sender or "<>"),
            ("To", found.recipient),
            ("Message-ID", found.message_id or "-"),
            ("Size", size(found.size)),
            ("Submitted by", f"account id {found.account_id}" if found.account_id else "-"),
            ("Since", found.created_at),
            ("Tries", found.attempts),
            ("Next try", found.next_attempt_at),
            ("Last reply", found.last_reply or "-"),
        ]
    )


@queue.command(
    "summary", epilog=examples("postroom queue summary", "postroom queue summary --json")
)
def summary(ctx: typer.Context, as_json: AsJson = False) -> None:
    """Show how much waits for each domain, the most first."""
    found = of(ctx).run(lambda services: summarise(services.queue))
    if as_json:
        return show_json(found)
    rows = [
        [one.domain, one.waiting, one.held, one.sending, size(one.bytes), one.oldest]
        for one in found
    ]
    show_table(
        ["DOMAIN", "WAITING#", "HELD#", "SENDING#", "SIZE#", "OLDEST"], rows, "Nothing waits."
    )


@queue.command(
    "hold", epilog=examples("postroom queue hold 17 18", "postroom queue hold --domain example.com")
)
def hold(
    ctx: typer.Context, ids: Ids = None, domain: ForDomain = "", everything: Everything = False
) -> None:
    """Keep entries from being tried."""
    _check_choice(ids, domain, everything)
    changed = of(ctx).run(_change(lambda one: one.hold, ids, domain))
    say(f"{changed:,} held.")


@queue.command(
    "release", epilog=examples("postroom queue release 17", "postroom queue release --all")
)
def release(
    ctx: typer.Context, ids: Ids = None, domain: ForDomain = "", everything: Everything = False
) -> None:
    """Let held entries be tried, at once."""
    _check_choice(ids, domain, everything)
    changed = of(ctx).run(_change(lambda one: one.release, ids, domain))
    say(f"{changed:,} released.")


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
    changed = of(ctx).run(_change(lambda one: one.cancel, ids, domain))
    say(f"{changed:,} cancelled.")


def _check_choice(ids: list[int] | None, domain: str, everything: bool) -> None:
    if bool(ids) + bool(domain) + everything != 1:
        raise typer.BadParameter("give IDs, or --domain, or --all")


def _change(
    pick: Callable[[Queue], Change], ids: list[int] | None, domain: str
) -> Callable[[Services], Awaitable[int]]:
    async def change(services: Services) -> int:
        chosen = ids or await ids_for(services.queue, domain)
        return await change_entries(pick(services.queue), chosen)

    return change


async def _first(queue: Queue, domain: str, most: int) -> list[QueueEntry]:
    found: list[QueueEntry] = []
    token = ""
    while len(found) < most:
        page = await queue.list(domain, token, min(PAGE, most - len(found)))
        found += page.items
        token = page.next_page_token
        if not token:
            break
    return found[:most]
