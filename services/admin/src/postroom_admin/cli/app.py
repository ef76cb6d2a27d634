"""The `postroom` command, put together."""

from __future__ import annotations

import os
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from postroom_admin.cli import (
    access,
    audit,
    backup,
    directory,
    dkim,
    mail,
    publishing,
    queue,
    shared_secret,
    signing_in,
    suppression,
    trace,
    upkeep,
)
from postroom_admin.cli.session import Session, examples

if TYPE_CHECKING:
    from postroom_admin.ports import Services
    from postroom_admin.settings import AdminSettings

app = typer.Typer(
    name="postroom",
    help="Administer a Postroom mail system.",
    epilog=examples(
        "postroom --env .run/admin.env domain list",
        "postroom domain add example.org",
        "postroom account add ann@example.org --quota 2G",
        "postroom import maildir ~/Maildir --account ann@example.org",
    ),
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def postroom(
    ctx: typer.Context,
    env: Annotated[
        Path | None,
        typer.Option(
            help="A file with the settings POSTROOM_ADMIN_*, KEY=VALUE a line; also named by"
            " POSTROOM_ADMIN_ENV. The environment overrides it.",
            metavar="FILE",
        ),
    ] = None,
) -> None:
    if ctx.obj is None:
        named = os.environ.get("POSTROOM_ADMIN_ENV")
        ctx.obj = Session(_connect, os.environ, env or (Path(named) if named else None))


app.add_typer(directory.tenant, name="tenant")
app.add_typer(directory.domain, name="domain")
app.add_typer(directory.account, name="account")
app.add_typer(directory.alias, name="alias")
app.add_typer(access.quota, name="quota")
app.add_typer(access.password, name="password")
app.add_typer(access.token, name="token")
app.add_typer(signing_in.app_password, name="app-password")
app.add_typer(shared_secret.secret, name="secret")
app.add_typer(queue.queue, name="queue")
app.add_typer(suppression.suppression, name="suppression")
app.add_typer(dkim.dkim, name="dkim")
app.add_typer(mail.imports, name="import")
app.add_typer(backup.backup, name="backup")
mail.add_commands(app)
audit.add_commands(app)
trace.add_commands(app)
publishing.add_commands(app)
upkeep.add_commands(app)


def _connect(settings: AdminSettings) -> AbstractAsyncContextManager[Services]:
    from postroom_admin.remote import connect  # help and completion don't wait for gRPC

    return connect(settings)


def main() -> None:
    """Be the `postroom` command."""
    app(prog_name="postroom")
