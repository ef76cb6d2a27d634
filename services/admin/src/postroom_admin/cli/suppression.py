"""postroom suppression."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom_admin.cli.directory import group
from postroom_admin.cli.output import AsJson, say, show_json, show_table
from postroom_admin.cli.session import examples, of
from postroom_admin.model import Suppression, every
from postroom_admin.ports import Services

suppression = group(
    "Addresses elsewhere to which nothing is sent.",
    "postroom suppression list",
    "postroom suppression add gone@example.com --reason 'left the company'",
)

Elsewhere = Annotated[str, typer.Argument(metavar="ADDRESS", help="An address elsewhere.")]


@suppression.command(
    "list", epilog=examples("postroom suppression list", "postroom suppression list --json")
)
def list_suppressions(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List them, with who or what has put them there."""
    found = of(ctx).run(_all)
    if as_json:
        return show_json(found)
    rows = [[one.address, one.created_at, one.reason or "-"] for one in found]
    show_table(["ADDRESS", "SINCE", "REASON"], rows, "Mail is sent to everybody.")


@suppression.command(
    "add",
    epilog=examples(
        "postroom suppression add gone@example.com",
        "postroom suppression add gone@example.com --reason 'complained on 2030-01-02'",
    ),
)
def add(
    ctx: typer.Context,
    address: Elsewhere,
    reason: Annotated[
        str, typer.Option(metavar="TEXT", help="Told to those whose mail is returned.")
    ] = "by an administrator",
) -> None:
    """Send nothing more to an address: mail to it is returned at once."""
    of(ctx).run(lambda services: services.queue.suppress(address, reason))
    say(f"Nothing is sent to {address} any more.")


@suppression.command("remove", epilog=examples("postroom suppression remove gone@example.com"))
def remove(ctx: typer.Context, address: Elsewhere) -> None:
    """Send to an address again."""
    of(ctx).run(lambda services: services.queue.unsuppress(address))
    say(f"Mail is sent to {address} again.")


async def _all(services: Services) -> list[Suppression]:
    return [one async for one in every(services.queue.list_suppressions)]
