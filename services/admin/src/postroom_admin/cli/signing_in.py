"""postroom app-password, and what `postroom account` does about locks."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from postroom_admin.cli.directory import Address, account, group
from postroom_admin.cli.output import (
    AsJson,
    moment,
    parse_time,
    say,
    show_fields,
    show_json,
    show_table,
)
from postroom_admin.cli.session import examples, of
from postroom_admin.model import Standing

PROTOCOLS = ("imap", "pop3", "smtp")

app_password = group(
    "Generated passwords, each for one program.",
    "postroom app-password add ann@example.org phone",
    "postroom app-password revoke ann@example.org phone",
)

Name = Annotated[str, typer.Argument(metavar="NAME", help="What it is called: of its program.")]


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


@account.command(
    "app-passwords-only",
    epilog=examples(
        "postroom account app-passwords-only ann@example.org",
        "postroom account app-passwords-only ann@example.org --off",
    ),
)
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


@account.command(
    "lock",
    epilog=examples(
        "postroom account lock ann@example.org",
        "postroom account lock ann@example.org --for 2h",
    ),
)
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


@account.command("unlock", epilog=examples("postroom account unlock ann@example.org"))
def unlock(ctx: typer.Context, address: Address) -> None:
    """End a lock, whoever set it, and forget failed attempts."""
    standing = of(ctx).run(lambda services: services.credentials.unlock(address))
    but = " It is disabled, though: `postroom account enable`." if standing.disabled else ""
    say(f"Account {address} is unlocked.{but}")


@account.command(
    "status",
    epilog=examples(
        "postroom account status ann@example.org",
        "postroom account status ann@example.org --json",
    ),
)
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
