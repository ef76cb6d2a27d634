"""postroom dns."""

from __future__ import annotations

from collections.abc import Sequence
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

Server = Annotated[
    str,
    typer.Option(
        metavar="HOST[:PORT]",
        help="The DNS server that is asked, by its IP address; POSTROOM_ADMIN_DNS_SERVER, or those"
        " of the system, if left out.",
    ),
]


def add_commands(app: typer.Typer) -> None:
    """Add the command that is no group's."""
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


def dns(
    ctx: typer.Context,
    domain: Annotated[str, typer.Argument(metavar="DOMAIN", help="A domain of ours.")],
    hosts: Annotated[
        list[str] | None,
        typer.Option(
            "--host",
            metavar="NAME",
            help="A host that takes its mail, the first one first; POSTROOM_ADMIN_MAIL_HOSTS, or"
            " mail.DOMAIN, if left out.",
        ),
    ] = None,
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

    def setup() -> Setup:
        return Setup.of(domain, named, networks or (), reports, dmarc, sts)

    if not check:

        async def wanted(services: Services) -> tuple[Setup, list[Record]]:
            facts = setup()
            return facts, await wanted_records(services, facts)

        facts, found = session.run(wanted)
        return show_json(found) if as_json else _show(facts, found)

    async def checked(services: Services) -> list[Finding]:
        return await check_domain(with_server(services, server), setup(), datetime.now(UTC))

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
        f"Also let the addresses of {', '.join(setup.hosts)} lead back to these names (reverse"
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
