"""postroom setup, postroom dns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Annotated

import typer

from postroom_admin.cli.output import AsJson, printable, show_json, show_table
from postroom_admin.cli.session import examples, of
from postroom_admin.ports import Services
from postroom_admin.publishing.checking import check_domain, wanted_records
from postroom_admin.publishing.dns_servers import DnsServers
from postroom_admin.publishing.judging import Finding, Verdict
from postroom_admin.publishing.records import DmarcPolicy, Purpose, Record, Setup, StsMode
from postroom_admin.setting_up import Beginning, set_up

Server = Annotated[
    str,
    typer.Option(
        metavar="HOST[:PORT]",
        help="The DNS server that is asked, by its IP address; POSTROOM_ADMIN_DNS_SERVER, or those"
        " of the system, if left out.",
    ),
]

Hosts = Annotated[
    list[str] | None,
    typer.Option(
        "--host",
        metavar="NAME",
        help="A host that takes its mail, the first one first; POSTROOM_ADMIN_MAIL_HOSTS, or"
        " mail.DOMAIN, if left out.",
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Add the commands that are no group's."""
    app.command(
        "setup",
        epilog=examples(
            "postroom setup example.org",
            "postroom setup example.org --account ann --host mail.example.org > example.org.zone",
        ),
    )(setup)
    app.command(
        "dns",
        epilog=examples(
            "postroom dns example.org --host mail.example.org",
            "postroom dns example.org --check",
            "postroom dns example.org --dmarc reject --sts enforce --reports reports@example.org",
            "postroom dns example.org --check --server 9.9.9.9 --json | jq '.[] | .next'",
        ),
    )(dns)


def with_server(services: Services, server: str) -> Services:
    """The same, asking another DNS server where one is named. Raises typer.BadParameter."""
    if not server:
        return services
    try:
        return replace(services, dns=DnsServers(server))
    except ValueError as error:
        raise typer.BadParameter(f"{server!r} is no DNS server: {error}") from None


def setup(
    ctx: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="That mail is to be for.")],
    account: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Of the first account, which gets mail for postmaster and abuse."
        ),
    ] = "postmaster",
    hosts: Hosts = None,
    as_json: AsJson = False,
) -> None:
    """Begin with a domain: an account, postmaster and abuse, keys, and what is to be published.

    Prints the records as `postroom dns` does, and what it has made, a password among it, to
    stderr. What is there already stays as it is.
    """
    session = of(ctx)
    named = tuple(hosts or session.settings().mail_host_list)
    facts, begun = session.run(lambda services: _begin(services, domain, named, account))
    if as_json:
        return show_json(begun)
    for line in _made(begun):
        typer.echo(printable(line), err=True)
    _show(facts, begun.records)
    if begun.keys:
        typer.echo(f"and `postroom dkim rotate {domain}`, which lets the keys sign.", err=True)


async def _begin(
    services: Services, domain: str, hosts: Sequence[str], account: str
) -> tuple[Setup, Beginning]:
    facts = Setup.of(domain, hosts)
    return facts, await set_up(services, facts, account)


def _made(begun: Beginning) -> Iterator[str]:
    """What was made, and what is to be done next."""
    yield f"Domain {begun.domain} is {'added' if begun.added else 'here already'}."
    if begun.password:
        yield f"Account {begun.account} is made. Its password is {begun.password}"
    else:
        yield f"Account {begun.account} is here already, with the password that it has."
    for alias in begun.aliases:
        yield f"{alias} leads to {begun.account}."
    for key in begun.keys:
        yield f"Key {key.selector} ({key.algorithm}) is made."
    yield "Publish this:"
    yield ""


def dns(
    ctx: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain of ours.")],
    hosts: Hosts = None,
    networks: Annotated[
        list[str] | None,
        typer.Option(
            "--sends-from", metavar="NETWORK", help="Sends its mail, too, beside these hosts."
        ),
    ] = None,
    reports: Annotated[
        str,
        typer.Option(metavar="ADDRESS", help="Gets others' reports; postmaster@DOMAIN."),
    ] = "",
    dmarc: Annotated[
        DmarcPolicy, typer.Option(help="What others do with mail that is not from here.")
    ] = DmarcPolicy.NONE,
    sts: Annotated[
        StsMode, typer.Option(help="Whether others must have TLS to send here.")
    ] = StsMode.TESTING,
    check: Annotated[
        bool, typer.Option("--check", help="Look at what is published, and say what to do.")
    ] = False,
    server: Server = "",
    as_json: AsJson = False,
) -> None:
    """Print what a domain is to publish: MX, SPF, DKIM, DMARC, MTA-STS, TLS-RPT, autoconfig.

    In the form of a zone file. With --check, the exit status is 1 where something is needed that
    isn't there, so that a nightly job can tell.
    """
    session = of(ctx)
    named = tuple(hosts or session.settings().mail_host_list)

    def facts_of() -> Setup:
        return Setup.of(domain, named, networks or (), reports, dmarc, sts)

    if not check:

        async def wanted(services: Services) -> tuple[Setup, list[Record]]:
            facts = facts_of()
            return facts, await wanted_records(services, facts)

        facts, found = session.run(wanted)
        return show_json(found) if as_json else _show(facts, found)

    async def checked(services: Services) -> list[Finding]:
        return await check_domain(with_server(services, server), facts_of(), datetime.now(UTC))

    findings = session.run(checked)
    if as_json:
        show_json(findings)
    else:
        _show_findings(findings)
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def _show(setup: Setup, found: Sequence[Record]) -> None:
    before = ""
    for record in found:
        optional = not record.needed and record.key is None
        about = f"; {record.purpose}: {record.why}{' (optional)' if optional else ''}"
        if about != before:
            typer.echo(about)
            before = about
        typer.echo(printable(record.line))
    if not any(record.purpose is Purpose.DKIM for record in found):
        typer.echo(f"; DKIM: no key yet; `postroom dkim make {setup.domain}` makes one")
    typer.echo(f"; https://mta-sts.{setup.domain}/.well-known/mta-sts.txt is to have this text:")
    for line in setup.sts_policy.splitlines():
        typer.echo(f";   {line}")
    typer.echo(
        f"\nAlso let the addresses of {', '.join(setup.hosts)} lead back to these names (reverse"
        f" DNS).\nWhen it is published: `postroom dns {setup.domain} --check`",
        err=True,
    )


def _show_findings(findings: Sequence[Finding]) -> None:
    rows = [
        [
            one.verdict if one.needed or one.verdict is Verdict.OK else f"{one.verdict} (optional)",
            one.purpose,
            one.name,
            " | ".join(_short(text) for text in one.published) or "-",
        ]
        for one in findings
    ]
    show_table(["STATE", "WHAT", "NAME", "PUBLISHED"], rows, "There is nothing to check.")
    todo = sorted((one for one in findings if one.next), key=_urgency)
    if not todo:
        return typer.echo("\nAll is as it should be.")
    typer.echo("\nWhat to do next:")
    # What is to be done to several records of one kind is one thing to do.
    steps = groupby(todo, key=lambda one: (one.purpose, one.verdict, one.next))
    for number, ((purpose, verdict, what), group) in enumerate(steps, 1):
        some = list(group)
        at = f" at {some[0].name}" if len(some) == 1 else ""
        typer.echo(printable(f"{number:>2}. {purpose}{at}: {what}"))
        if verdict in (Verdict.MISSING, Verdict.WRONG):
            for one in some:
                for text in one.wanted:
                    typer.echo(printable(f"      {one.name} {one.kind} {text}"))


def _urgency(finding: Finding) -> int:
    if not finding.good:
        return 0
    return 1 if finding.needed or finding.purpose is Purpose.DKIM else 2


def _short(text: str) -> str:
    return text if len(text) <= 60 else f"{text[:57]}..."
