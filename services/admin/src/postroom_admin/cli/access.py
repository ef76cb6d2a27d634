"""postroom quota, password, token."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from postroom_chassis.errors import PostroomError

from postroom_admin.accounts import usage_of
from postroom_admin.cli import secret
from postroom_admin.cli.directory import Address, group
from postroom_admin.cli.output import (
    AsJson,
    limit,
    parse_count,
    parse_size,
    say,
    show_fields,
    show_json,
    show_table,
    size,
)
from postroom_admin.cli.session import Session, examples, fail, of
from postroom_admin.tokens import TokenHash, new_token, read_tokens, write_tokens

quota = group(
    "How much accounts may keep.",
    "postroom quota show ann@example.org",
    "postroom quota set ann@example.org 2G",
)
password = group("Passwords of accounts.", "postroom password set ann@example.org")
token = group("Bearer tokens of the REST API.", "postroom token add backup-script")

File = Annotated[
    Path | None,
    typer.Option(
        "--file",
        metavar="FILE",
        help="The API's file of tokens; where POSTROOM_ADMIN_API_TOKENS is set, that one.",
    ),
]


@quota.command(
    "show",
    epilog=examples(
        "postroom quota show ann@example.org", "postroom quota show ann@example.org --json"
    ),
)
def show_quota(ctx: typer.Context, address: Address, as_json: AsJson = False) -> None:
    """Show how much an account may keep, and how much it does."""
    found = of(ctx).run(lambda services: usage_of(services, address))
    account, usage = found.account, found.usage
    if as_json:
        return show_json(
            {
                "address": account.address,
                "quota_bytes": account.quota_bytes,
                "bytes": usage.bytes,
                "quota_messages": account.quota_messages,
                "messages": usage.messages,
                "quota_mailboxes": account.quota_mailboxes,
                "mailboxes": usage.mailboxes,
            }
        )
    show_fields(
        [
            ("Quota", limit(account.quota_bytes)),
            ("Used", size(usage.bytes) + _share(usage.bytes, account.quota_bytes)),
            ("Messages", _of(usage.messages, account.quota_messages)),
            ("Mailboxes", _of(usage.mailboxes, account.quota_mailboxes)),
        ]
    )


@quota.command(
    "set",
    epilog=examples(
        "postroom quota set ann@example.org 2G",
        "postroom quota set ann@example.org unlimited",
        "postroom quota set ann@example.org --messages 100000 --mailboxes 200",
    ),
)
def set_quota(
    ctx: typer.Context,
    address: Address,
    most: Annotated[
        str | None,
        typer.Argument(metavar="[SIZE]", help="500M, 2G, bytes, or unlimited. 1K is 1024."),
    ] = None,
    messages: Annotated[
        str | None, typer.Option(metavar="N", help="The most messages, or unlimited.")
    ] = None,
    mailboxes: Annotated[
        str | None, typer.Option(metavar="N", help="The most mailboxes, or unlimited.")
    ] = None,
) -> None:
    """Set how much an account may keep. Mail beyond it is refused, none is removed.

    What isn't named stays as it is.
    """
    if most is None and messages is None and mailboxes is None:
        fail("say how much: a SIZE, --messages or --mailboxes")
    size_wanted = None if most is None else parse_size(most)
    counts = [None if count is None else parse_count(count) for count in (messages, mailboxes)]
    changed = of(ctx).run(
        lambda services: services.directory.update_account(
            address,
            quota_bytes=size_wanted,
            quota_messages=counts[0],
            quota_mailboxes=counts[1],
        )
    )
    told = [limit(changed.quota_bytes)]
    if changed.quota_messages:
        told.append(f"{changed.quota_messages:,} messages")
    if changed.quota_mailboxes:
        told.append(f"{changed.quota_mailboxes:,} mailboxes")
    say(f"The quota of {address} is {', '.join(told)}.")


def _of(used: int, most: int) -> str:
    """A count, and what part of its limit it is."""
    return f"{used:,} of {most:,}{_share(used, most)}" if most else f"{used:,}"


def _share(used: int, most: int) -> str:
    return f" ({used / most:.0%})" if most else ""


@password.command(
    "set",
    epilog=examples(
        "postroom password set ann@example.org",
        "postroom password set ann@example.org --generate",
        "pass mail/ann | postroom password set ann@example.org --stdin",
    ),
)
def set_password(
    ctx: typer.Context,
    address: Address,
    generate: secret.Generate = False,
    stdin: secret.Stdin = False,
    password: secret.Argument = None,
    accept_weak: secret.AcceptWeak = False,
) -> None:
    """Set an account's password. Asks for it, unless told where it comes from.

    Sessions that are open end within a minute.
    """
    chosen = secret.chosen(generate=generate, stdin=stdin, argument=password)
    of(ctx).run(
        lambda services: services.directory.set_password(address, chosen, accept_weak=accept_weak)
    )
    say(f"The password of {address} is set.")
    if generate:
        say(f"It is {chosen}")


@token.command(
    "add",
    epilog=examples(
        "postroom token add backup-script",
        "postroom token add ann --file /etc/postroom/api_tokens",
    ),
)
def add_token(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who will bear it; for the log.")],
    file: File = None,
) -> None:
    """Make a token and print it, once. The API's file of tokens gets its hash."""
    path = _token_file(of(ctx), file)
    tokens = _tokens(path) if path.exists() else ()
    if any(one.name == name for one in tokens):
        fail(f"{name} has a token: `postroom token remove {name}` ends it")
    try:
        text, kept = new_token(name)
        write_tokens(path, [*tokens, kept])
    except PostroomError as error:
        fail(error.message)
    except OSError as error:
        fail(f"{path} can't be written: {error.strerror}")
    typer.echo(text)
    typer.echo(f"Its hash is in {path}. It is not shown again.", err=True)


@token.command("list", epilog=examples("postroom token list --file /etc/postroom/api_tokens"))
def list_tokens(ctx: typer.Context, file: File = None, as_json: AsJson = False) -> None:
    """List who bears tokens."""
    names = [one.name for one in _tokens(_token_file(of(ctx), file))]
    if as_json:
        return show_json([{"name": name} for name in names])
    show_table(["NAME"], [[name] for name in names], "There are no tokens.")


@token.command("remove", epilog=examples("postroom token remove backup-script"))
def remove_token(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(metavar="NAME")],
    file: File = None,
) -> None:
    """End a token, at once."""
    path = _token_file(of(ctx), file)
    tokens = _tokens(path)
    left = [one for one in tokens if one.name != name]
    if len(left) == len(tokens):
        fail(f"nobody named {name} has a token (`postroom token list` shows who has)")
    try:
        write_tokens(path, left)
    except OSError as error:
        fail(f"{path} can't be written: {error.strerror}")
    say(f"The token of {name} is no good any more.")


def _token_file(session: Session, file: Path | None) -> Path:
    named = file or session.variable("POSTROOM_ADMIN_API_TOKENS")
    if not named:
        fail("name the API's file of tokens with --file, or set POSTROOM_ADMIN_API_TOKENS")
    return Path(named)


def _tokens(path: Path) -> tuple[TokenHash, ...]:
    try:
        return read_tokens(path.read_text(encoding="utf-8"))
    except OSError as error:
        fail(f"{path} can't be read ({error.strerror}): `postroom token add` makes it")
    except (PostroomError, UnicodeDecodeError) as error:
        fail(f"{path} is not a file of tokens: {error}")
