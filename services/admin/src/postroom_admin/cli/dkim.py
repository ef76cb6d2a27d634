"""postroom dkim."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Annotated

import typer

from postroom_admin.cli.directory import Yes, group
from postroom_admin.cli.output import AsJson, moment, printable, say, show_json, show_table
from postroom_admin.cli.publishing import Server, with_server
from postroom_admin.cli.session import examples, fail, of
from postroom_admin.model import Algorithm, DkimKey, KeyState, every
from postroom_admin.ports import Services
from postroom_admin.publishing.checking import keys_of, published
from postroom_admin.publishing.records import key_record
from postroom_admin.publishing.rotating import Done, Step, rotate

dkim = group(
    "Keys that mail of a domain is signed with (DKIM).",
    "postroom dkim make example.org",
    "postroom dkim activate example.org rsa-20300102",
    "postroom dkim rotate example.org --older-than 180d",
)


class Kind(StrEnum):
    """How algorithms are typed."""

    RSA = "rsa"
    ED25519 = "ed25519"


ALGORITHMS = {Kind.RSA: Algorithm.RSA, Kind.ED25519: Algorithm.ED25519}
Domain = Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain of ours.")]
Selector = Annotated[str, typer.Argument(metavar="SELECTOR", help="As `dkim list` shows it.")]
Bits = Annotated[
    int, typer.Option(metavar="N", help="Of an RSA key, 1024 to 4096; 2048 if left out.")
]


@dkim.command(
    "make",
    epilog=examples(
        "postroom dkim make example.org",
        "postroom dkim make example.org --algorithm ed25519 --selector ed2030",
    ),
)
def make(
    ctx: typer.Context,
    domain: Domain,
    algorithm: Annotated[
        Kind, typer.Option(help="ed25519 stands beside rsa: not everybody knows it yet.")
    ] = Kind.RSA,
    selector: Annotated[
        str, typer.Option(metavar="NAME", help="One is made of algorithm and date if left out.")
    ] = "",
    bits: Bits = 0,
    as_json: AsJson = False,
) -> None:
    """Make a key, and print the record to publish. It signs once it is activated."""
    made = of(ctx).run(
        lambda services: services.dkim.make(domain, ALGORITHMS[algorithm], selector, bits)
    )
    if as_json:
        return show_json(made)
    _show_record(made)
    typer.echo(
        f"Publish it; when it is seen, `postroom dkim activate {made.domain} {made.selector}`"
        " lets the key sign.",
        err=True,
    )


@dkim.command(
    "list", epilog=examples("postroom dkim list", "postroom dkim list example.org --json")
)
def list_keys(
    ctx: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="[DOMAIN]", help="Only of this domain.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the keys, and which of them sign."""
    found = of(ctx).run(lambda services: _all(services, domain))
    if as_json:
        return show_json(found)
    rows = [
        [key.domain, key.selector, key.algorithm, key.state, key.created_at, moment(key.retired_at)]
        for key in found
    ]
    show_table(
        ["DOMAIN", "SELECTOR", "ALGORITHM", "STATE", "MADE", "RETIRED"],
        rows,
        f"There are no keys: `postroom dkim make {domain or 'DOMAIN'}` makes one.",
    )


@dkim.command(
    "activate",
    epilog=examples(
        "postroom dkim activate example.org rsa-20300102",
        "postroom dkim activate example.org rsa-20300102 --unchecked",
    ),
)
def activate(
    ctx: typer.Context,
    domain: Domain,
    selector: Selector,
    unchecked: Annotated[
        bool, typer.Option("--unchecked", help="Don't look whether its record is published.")
    ] = False,
    server: Server = "",
) -> None:
    """Let a key sign, in place of the one of its algorithm that did, which is retired.

    Its record must be published, as others see it.
    """

    async def activated(services: Services) -> DkimKey | None:
        if not unchecked:
            key = await _one(services, domain, selector)
            if key is not None and not await published(with_server(services, server).dns, key):
                return None
        return await services.dkim.activate(domain, selector)

    key = of(ctx).run(activated)
    if key is None:
        fail(
            f"the record of {selector} isn't published, or not seen yet:"
            f" `postroom dkim record {domain} {selector}` shows it;"
            " --unchecked lets the key sign all the same"
        )
    say(f"Mail of {key.domain} is signed with {key.selector} ({key.algorithm}).")


@dkim.command(
    "rotate",
    epilog=examples(
        "postroom dkim rotate example.org",
        "postroom dkim rotate example.org --older-than 180d",
    ),
)
def turn(
    ctx: typer.Context,
    domain: Domain,
    older_than: Annotated[
        str, typer.Option(metavar="SPAN", help="Leave keys alone that are younger: 180d.")
    ] = "0d",
    bits: Bits = 0,
    server: Server = "",
    as_json: AsJson = False,
) -> None:
    """Take the next step in turning keys: make one; when its record is published, let it sign.

    To be called until the new key signs, by hand or by a nightly job.
    """
    span = _span(older_than)

    async def turned(services: Services) -> list[Step]:
        now = datetime.now(UTC)
        return await rotate(with_server(services, server), domain, span, bits, now)

    steps = of(ctx).run(turned)
    if as_json:
        return show_json(steps)
    for step in steps:
        _tell(step)


@dkim.command("retire", epilog=examples("postroom dkim retire example.org rsa-20300102"))
def retire(ctx: typer.Context, domain: Domain, selector: Selector) -> None:
    """Let a key sign no more. Its record is to stay until what it has signed has arrived."""

    async def retired(services: Services) -> tuple[DkimKey, bool]:
        key = await services.dkim.retire(domain, selector)
        keys = await keys_of(services, domain)
        return key, any(one.state is KeyState.ACTIVE for one in keys)

    key, others = of(ctx).run(retired)
    say(f"{key.selector} of {key.domain} signs no more. Keep its record for a week.")
    if not others:
        typer.echo(
            f"Nothing signs mail of {key.domain} now: `postroom dkim list {key.domain}` shows what"
            " could.",
            err=True,
        )


@dkim.command("remove", epilog=examples("postroom dkim remove example.org rsa-20300102"))
def remove(ctx: typer.Context, domain: Domain, selector: Selector, yes: Yes = False) -> None:
    """Remove a key for good, which no longer signs. Its record can go then."""
    if not yes:
        typer.confirm(f"Remove the key {selector} of {domain} for good?", abort=True, err=True)
    of(ctx).run(lambda services: services.dkim.remove(domain, selector))
    say(f"{selector} of {domain} is removed; take its record away, too.")


@dkim.command(
    "record",
    epilog=examples(
        "postroom dkim record example.org rsa-20300102",
        "postroom dkim record example.org rsa-20300102 --text",
    ),
)
def record(
    ctx: typer.Context,
    domain: Domain,
    selector: Selector,
    text: Annotated[
        bool, typer.Option("--text", help="The text alone, for a provider's form.")
    ] = False,
) -> None:
    """Print the record that is to be published for a key."""
    key = of(ctx).run(lambda services: _one(services, domain, selector))
    if key is None:
        fail(f"{domain} has no key {selector} (`postroom dkim list {domain}` shows what there is)")
    if text:
        typer.echo(printable(key.record))
    else:
        _show_record(key)


def _show_record(key: DkimKey) -> None:
    typer.echo(printable(key_record(key).line))


def _tell(step: Step) -> None:
    key = step.key
    match step.done:
        case Done.MADE:
            _show_record(key)
            typer.echo(
                f"{key.selector} is made: publish its record, and call this again.", err=True
            )
        case Done.WAITING:
            _show_record(key)
            typer.echo(
                f"The record of {key.selector} isn't seen yet: publish it, and call this again.",
                err=True,
            )
        case Done.ACTIVATED:
            say(f"{key.selector} signs now.")
            if step.replaced:
                say(
                    f"{step.replaced} is retired: keep its record for a week, then"
                    f" `postroom dkim remove {key.domain} {step.replaced}`."
                )
        case Done.KEPT:
            say(f"{key.selector} stays: it was made on {moment(key.created_at)}.")


def _span(text: str) -> timedelta:
    found = re.fullmatch(r"(\d{1,5})d", text.strip())
    if found is None:
        raise typer.BadParameter(f"{text!r} is no number of days: say 180d")
    return timedelta(days=int(found[1]))


async def _one(services: Services, domain: str, selector: str) -> DkimKey | None:
    wanted = selector.strip().lower()
    return next((key for key in await keys_of(services, domain) if key.selector == wanted), None)


async def _all(services: Services, domain: str) -> list[DkimKey]:
    return [key async for key in every(lambda token: services.dkim.list(domain, token))]
