"""postroom secret."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom_admin.cli.directory import Address, group
from postroom_admin.cli.output import AsJson, say, show_json, show_table
from postroom_admin.cli.session import examples, of

secret = group(
    "Secrets of accounts, for sign-in by APOP, CRAM-MD5 or RPOP.",
    "postroom secret add ann@example.org apop",
    "postroom secret list ann@example.org",
)


@secret.command(
    "add",
    epilog=examples(
        "postroom secret add ann@example.org apop",
        "postroom secret add ann@example.org cram-md5 --network 192.0.2.0/24",
        "postroom secret add ann@example.org rpop --network 192.0.2.7",
    ),
)
def add_secret(
    ctx: typer.Context,
    address: Address,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="apop, cram-md5 or rpop.")],
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--network", metavar="NETWORK", help="Whose clients may use it; more than one may be."
        ),
    ] = None,
) -> None:
    """Make a secret for one mechanism and print it, once.

    The client is given it in place of the password. An rpop has to name a network.
    """
    made, text = of(ctx).run(
        lambda services: services.credentials.add_secret(address, kind, networks or ())
    )
    typer.echo(text)
    typer.echo(f"It is secret {made.secret_id} of {address}, and not shown again.", err=True)


@secret.command("list", epilog=examples("postroom secret list ann@example.org"))
def list_secrets(ctx: typer.Context, address: Address, as_json: AsJson = False) -> None:
    """List an account's secrets, and nothing of what they are."""
    found = of(ctx).run(lambda services: services.credentials.list_secrets(address))
    if as_json:
        return show_json(list(found))
    show_table(
        ["ID#", "KIND", "NETWORKS", "CREATED"],
        [[one.secret_id, one.kind, ", ".join(one.networks), one.created_at] for one in found],
        f"{address} has no secrets.",
    )


@secret.command("revoke", epilog=examples("postroom secret revoke ann@example.org 17"))
def revoke_secret(
    ctx: typer.Context,
    address: Address,
    secret_id: Annotated[int, typer.Argument(metavar="ID", min=1, help="As `list` shows it.")],
) -> None:
    """End a secret. Sessions of the account that are open end within a minute."""
    of(ctx).run(lambda services: services.credentials.revoke_secret(address, secret_id))
    say(f"Secret {secret_id} of {address} is no good any more.")
