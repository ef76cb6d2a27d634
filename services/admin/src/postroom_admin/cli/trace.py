"""postroom trace."""

from __future__ import annotations

from typing import Annotated

import typer
from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.cli.output import AsJson, printable, show_json, show_table
from postroom_admin.cli.session import examples, fail, of
from postroom_admin.ports import Services
from postroom_admin.tracing import Event, Life, life_of


def add_commands(app: typer.Typer) -> None:
    """Add the command that is no group's."""
    app.command(
        "trace",
        epilog=examples(
            "postroom trace '<20300102.17@example.org>'",
            "postroom trace 20300102.17@example.org --json | jq -r '.events[].what'",
        ),
    )(trace)


def trace(
    ctx: typer.Context,
    message_id: Annotated[
        str,
        typer.Argument(
            metavar="MESSAGE-ID",
            help="Of the message, with or without angle brackets (quote those), or the id in the"
            " server's reply and in its Received field.",
        ),
    ],
    as_json: AsJson = False,
) -> None:
    """Tell the life of a message: accepted, checked, stored or queued, each attempt, seen.

    Attempts are known for as long as the store keeps them. What is now comes last.
    """

    async def found_life(services: Services) -> Life | None:
        try:
            return await life_of(services, message_id)
        except PostroomError as error:
            if error.kind is Kind.NOT_FOUND:
                return None
            raise

    found = of(ctx).run(found_life)
    if found is None:
        fail(
            f"nothing is known of {printable(message_id)}: is the id whole, as in the message's"
            " Message-ID or Received field? What was sent on is forgotten after some days"
        )
    if as_json:
        return show_json(found)
    show_table(
        ["TIME", "EVENT", "RECIPIENT", "DETAILS"],
        [_row(event) for event in found.events],
        "Nothing is known of it.",
    )


def _row(event: Event) -> list[object]:
    time = f"{event.at.astimezone():%Y-%m-%d %H:%M:%S}" if event.at else "now"
    return [time, event.kind, event.who or "-", event.what]
