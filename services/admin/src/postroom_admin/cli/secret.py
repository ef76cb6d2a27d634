"""Where a command gets a password from: a prompt, standard input, or chance."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from postroom_admin.accounts import new_password

LONGEST = 1024  # bytes; no password is longer

Generate = Annotated[bool, typer.Option("--generate", help="Make a random one and print it.")]
Stdin = Annotated[bool, typer.Option("--stdin", help="Read it from standard input's first line.")]
Argument = Annotated[
    str | None,
    typer.Option(
        "--password",
        metavar="TEXT",
        help="The password itself: others on this machine can read it in the list of processes.",
    ),
]
AcceptWeak = Annotated[
    bool, typer.Option("--accept-weak", help="Take it even where it is easy to guess.")
]


def chosen(*, generate: bool, stdin: bool, argument: str | None) -> str:
    """The password that the options stand for. Raises typer.BadParameter."""
    if generate + stdin + (argument is not None) > 1:
        raise typer.BadParameter("choose one of --generate, --stdin and --password")
    if generate:
        return new_password()
    if stdin:
        return _checked(sys.stdin.readline(LONGEST + 2).rstrip("\r\n"))
    if argument is not None:
        return _checked(argument)
    if not sys.stdin.isatty():
        raise typer.BadParameter("there is no terminal to ask at: use --stdin or --generate")
    return _checked(
        str(typer.prompt("Password", hide_input=True, confirmation_prompt=True, err=True))
    )


def _checked(password: str) -> str:
    if not password or len(password) > LONGEST:
        raise typer.BadParameter(f"a password has 1 to {LONGEST:,} characters")
    return password
