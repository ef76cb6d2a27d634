"""postroom tenant, domain, account, alias."""

from __future__ import annotations

from typing import Annotated

import typer

from postroom_admin.accounts import remove_account, usage_of
from postroom_admin.cli import secret
from postroom_admin.cli.output import (
    AsJson,
    limit,
    parse_size,
    say,
    show_fields,
    show_json,
    show_table,
    size,
)
from postroom_admin.cli.session import examples, fail, of
from postroom_admin.model import Account, every
from postroom_admin.ports import Services

Address = Annotated[str, typer.Argument(metavar="ADDRESS", help="An account's address.")]
Name = Annotated[str, typer.Argument(metavar="NAME")]
OfDomain = Annotated[str, typer.Option("--domain", metavar="NAME", help="Only of this domain.")]
Yes = Annotated[bool, typer.Option("--yes", help="Don't ask.")]


def group(help_text: str, *lines: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(help=help_text, epilog=examples(*lines), no_args_is_help=True)


tenant = group("Tenants: who domains belong to.", "postroom tenant list")
domain = group(
    "Domains that mail is received for.",
    "postroom domain add example.org",
    "postroom domain catch-all example.org ann@example.org",
)
account = group(
    "Accounts: people with a mailbox.",
    "postroom account add ann@example.org --quota 2G",
    "postroom account disable ann@example.org",
)
alias = group(
    "Addresses that deliver to others.", "postroom alias add info@example.org ann@example.org"
)


@tenant.command("add", epilog=examples("postroom tenant add school"))
def add_tenant(ctx: typer.Context, name: Name) -> None:
    """Make a tenant."""
    made = of(ctx).run(lambda services: services.directory.create_tenant(name))
    say(f"Tenant {made.name} is made. `postroom domain add --tenant` gives it domains.")


@tenant.command("list", epilog=examples("postroom tenant list", "postroom tenant list --json"))
def list_tenants(ctx: typer.Context, as_json: AsJson = False) -> None:
    """List the tenants."""
    found = of(ctx).run(lambda services: services.directory.list_tenants())
    if as_json:
        return show_json(list(found))
    show_table(["TENANT"], [[one.name] for one in found], "There are no tenants.")


@tenant.command("remove", epilog=examples("postroom tenant remove school"))
def remove_tenant(ctx: typer.Context, name: Name) -> None:
    """Remove a tenant that has no domains any more."""
    of(ctx).run(lambda services: services.directory.delete_tenant(name))
    say(f"Tenant {name} is removed.")


@domain.command(
    "add",
    epilog=examples(
        "postroom domain add example.org", "postroom domain add example.net --tenant school"
    ),
)
def add_domain(
    ctx: typer.Context,
    name: Name,
    tenant: Annotated[str, typer.Option(metavar="NAME", help='Whose it is; "default".')] = "",
) -> None:
    """Receive mail for a domain."""
    made = of(ctx).run(lambda services: services.directory.create_domain(name, tenant))
    say(f"Domain {made.name} of tenant {made.tenant} is added.")


@domain.command(
    "list",
    epilog=examples(
        "postroom domain list", "postroom domain list --tenant school --json | jq -r '.[].name'"
    ),
)
def list_domains(
    ctx: typer.Context,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Only this tenant's.")] = "",
    as_json: AsJson = False,
) -> None:
    """List the domains."""
    found = of(ctx).run(lambda services: services.directory.list_domains(tenant))
    if as_json:
        return show_json(list(found))
    rows = [[one.name, one.tenant, one.accounts, one.catch_all or "-"] for one in found]
    show_table(
        ["DOMAIN", "TENANT", "ACCOUNTS#", "CATCH-ALL"],
        rows,
        "There are no domains: `postroom domain add example.org` adds one.",
    )


@domain.command("remove", epilog=examples("postroom domain remove example.org"))
def remove_domain(ctx: typer.Context, name: Name) -> None:
    """Remove a domain that has no accounts and aliases any more."""
    of(ctx).run(lambda services: services.directory.delete_domain(name))
    say(f"Domain {name} is removed.")


@domain.command(
    "catch-all",
    epilog=examples(
        "postroom domain catch-all example.org ann@example.org",
        "postroom domain catch-all example.org --none",
    ),
)
def catch_all(
    ctx: typer.Context,
    name: Name,
    address: Annotated[
        str, typer.Argument(metavar="ADDRESS", help="The account that gets it.")
    ] = "",
    none: Annotated[bool, typer.Option("--none", help="Refuse unknown addresses.")] = False,
) -> None:
    """Give an account all mail for a domain's addresses that nobody has."""
    if bool(address) == none:
        raise typer.BadParameter("give an account's ADDRESS, or --none")
    of(ctx).run(lambda services: services.directory.set_catch_all(name, address))
    say(f"The catch-all of {name} is {address}." if address else f"{name} has no catch-all.")


@account.command(
    "add",
    epilog=examples(
        "postroom account add ann@example.org",
        "postroom account add ben@example.org --name 'Ben Doe' --quota 2G --generate",
        "pass mail/eve | postroom account add eve@example.org --stdin",
    ),
)
def add_account(
    ctx: typer.Context,
    address: Address,
    name: Annotated[str, typer.Option(metavar="TEXT", help="The person's name.")] = "",
    quota: Annotated[
        str, typer.Option(metavar="SIZE", help="The most that it may keep.")
    ] = "unlimited",
    generate: secret.Generate = False,
    stdin: secret.Stdin = False,
    no_password: Annotated[
        bool, typer.Option("--no-password", help="Nobody can sign in until one is set.")
    ] = False,
    password: secret.Argument = None,
    accept_weak: secret.AcceptWeak = False,
) -> None:
    """Make an account. Asks for its password, unless told where it comes from."""
    quota_bytes = parse_size(quota)
    chosen = "" if no_password else secret.chosen(generate=generate, stdin=stdin, argument=password)
    made = of(ctx).run(
        lambda services: services.directory.create_account(
            address, chosen, name, quota_bytes, accept_weak=accept_weak
        )
    )
    say(f"Account {made.address} is made.")
    if generate:
        say(f"Its password is {chosen}")


@account.command(
    "list",
    epilog=examples(
        "postroom account list",
        "postroom account list --domain example.org --json | jq -r '.[].address'",
    ),
)
def list_accounts(ctx: typer.Context, domain: OfDomain = "", as_json: AsJson = False) -> None:
    """List the accounts, in order of address."""

    async def found(services: Services) -> list[Account]:
        directory = services.directory
        return [one async for one in every(lambda token: directory.list_accounts(domain, token))]

    accounts = of(ctx).run(found)
    if as_json:
        return show_json(accounts)
    rows = [
        [one.address, one.display_name, limit(one.quota_bytes), one.disabled, one.created_at]
        for one in accounts
    ]
    show_table(
        ["ADDRESS", "NAME", "QUOTA#", "DISABLED", "CREATED"],
        rows,
        "There are no accounts: `postroom account add ann@example.org` makes one.",
    )


@account.command(
    "show",
    epilog=examples(
        "postroom account show ann@example.org", "postroom account show ann@example.org --json"
    ),
)
def show_account(ctx: typer.Context, address: Address, as_json: AsJson = False) -> None:
    """Show an account and what it keeps."""
    found = of(ctx).run(lambda services: usage_of(services, address))
    if as_json:
        return show_json(found)
    account, usage = found.account, found.usage
    show_fields(
        [
            ("Address", account.address),
            ("Name", account.display_name or "-"),
            ("Tenant", account.tenant),
            ("Id", str(account.account_id)),
            ("Created", account.created_at),
            ("Disabled", account.disabled),
            ("Administrator", account.administrator),
            ("App passwords only", account.app_passwords_only),
            ("Quota", limit(account.quota_bytes)),
            ("POP3", _kept(account)),
            ("Used", f"{size(usage.bytes)} in {usage.messages:,} messages"),
            ("Mailboxes", usage.mailboxes),
        ]
    )


@account.command(
    "remove",
    epilog=examples(
        "postroom account remove ann@example.org",
        "postroom account remove ann@example.org --keep-mail --yes",
    ),
)
def remove(
    ctx: typer.Context,
    address: Address,
    keep_mail: Annotated[
        bool, typer.Option("--keep-mail", help="Leave its mail in the store, nobody's.")
    ] = False,
    yes: Yes = False,
) -> None:
    """Remove an account, its aliases and all of its mail. Nothing brings them back."""
    if not yes:
        what = "its aliases" if keep_mail else "its aliases and all of its mail"
        typer.confirm(f"Remove {address} with {what}?", abort=True, err=True)
    account_id = of(ctx).run(
        lambda services: remove_account(services, address, keep_mail=keep_mail)
    )
    kept = f" Its mail stays, under id {account_id}." if keep_mail else ""
    say(f"Account {address} is removed.{kept}")


@account.command("purge", epilog=examples("postroom account purge 17 --yes"))
def purge(
    ctx: typer.Context,
    account_id: Annotated[
        int, typer.Argument(metavar="ID", min=1, help="As `account remove` told it.")
    ],
    yes: Yes = False,
) -> None:
    """Remove the mail that a removed account has left."""
    if not yes:
        typer.confirm(f"Remove all mail of account id {account_id}?", abort=True, err=True)
    of(ctx).run(lambda services: services.store.purge_account(account_id))
    say(f"The mail of account id {account_id} is removed.")


@account.command("enable", epilog=examples("postroom account enable ann@example.org"))
def enable(ctx: typer.Context, address: Address) -> None:
    """Let a disabled account sign in again."""
    of(ctx).run(lambda services: services.directory.update_account(address, disabled=False))
    say(f"Account {address} is enabled.")


@account.command("disable", epilog=examples("postroom account disable ann@example.org"))
def disable(ctx: typer.Context, address: Address) -> None:
    """Let nobody sign in to an account; it still receives mail.

    Sessions that are open end within a minute.
    """
    of(ctx).run(lambda services: services.directory.update_account(address, disabled=True))
    say(f"Account {address} is disabled. Its open sessions end within a minute.")


@account.command("appoint", epilog=examples("postroom account appoint ann@example.org"))
def appoint(ctx: typer.Context, address: Address) -> None:
    """Let a person set the quotas of their tenant's accounts by IMAP (SETQUOTA)."""
    of(ctx).run(lambda services: services.directory.update_account(address, administrator=True))
    say(f"{address} administers the quotas of its tenant.")


@account.command("dismiss", epilog=examples("postroom account dismiss ann@example.org"))
def dismiss(ctx: typer.Context, address: Address) -> None:
    """Let a person set quotas no more."""
    of(ctx).run(lambda services: services.directory.update_account(address, administrator=False))
    say(f"{address} administers nothing any more.")


@account.command(
    "pop3",
    epilog=examples(
        "postroom account pop3 ann@example.org --delete",
        "postroom account pop3 ann@example.org --days 30 --login-delay 60",
        "postroom account pop3 ann@example.org --keep",
    ),
)
def set_pop3(
    ctx: typer.Context,
    address: Address,
    keep: Annotated[
        bool, typer.Option("--keep", help="Keep mail until it is deleted, as for everybody.")
    ] = False,
    delete: Annotated[
        bool, typer.Option("--delete", help="Remove what was retrieved when a session ends.")
    ] = False,
    days: Annotated[
        int | None,
        typer.Option(metavar="N", min=1, help="Remove read mail when it is so many days old."),
    ] = None,
    login_delay: Annotated[
        int | None,
        typer.Option(metavar="SECONDS", min=0, help="From one sign-in to the next; 0 for none."),
    ] = None,
) -> None:
    """Set how an account's mail is kept for POP3, and how often it may be asked for.

    Clients are told: EXPIRE and LOGIN-DELAY. What isn't named stays as it is.
    """
    chosen = keep + delete + (days is not None)
    if chosen > 1 or (not chosen and login_delay is None):
        fail("say one of --keep, --delete and --days, or --login-delay")
    changed = of(ctx).run(
        lambda services: services.directory.update_account(
            address,
            pop3_delete=delete if chosen else None,
            pop3_days=(days or 0) if chosen else None,
            pop3_login_delay=login_delay,
        )
    )
    say(f"POP3 for {address}: {_kept(changed)}.")


def _kept(account: Account) -> str:
    """How mail is kept for POP3."""
    kept = "mail is kept"
    if account.pop3_delete:
        kept = "what was retrieved goes at the end"
    elif account.pop3_days:
        kept = f"read mail goes after {account.pop3_days:,} days"
    delay = account.pop3_login_delay
    return f"{kept}, {delay:,} seconds between sign-ins" if delay else kept


@alias.command(
    "add",
    epilog=examples(
        "postroom alias add info@example.org ann@example.org",
        "postroom alias add team@example.org ann@example.org ben@example.net",
    ),
)
def add_alias(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="The new address.")],
    targets: Annotated[
        list[str], typer.Argument(metavar="TARGET", help="Where it delivers, here or elsewhere.")
    ],
) -> None:
    """Let an address deliver to one or more others."""
    made = of(ctx).run(lambda services: services.directory.create_alias(address, targets))
    say(f"{made.address} delivers to {', '.join(made.targets)}.")


@alias.command(
    "change",
    epilog=examples(
        "postroom alias change team@example.org --add eve@example.org",
        "postroom alias change team@example.org --remove ben@example.net",
    ),
)
def change_alias(
    ctx: typer.Context,
    address: Annotated[str, typer.Argument(metavar="ADDRESS")],
    added: Annotated[
        list[str] | None, typer.Option("--add", metavar="TARGET", help="Deliver there, too.")
    ] = None,
    removed: Annotated[
        list[str] | None, typer.Option("--remove", metavar="TARGET", help="Not there any more.")
    ] = None,
) -> None:
    """Let an alias deliver to others, too, or to some no more: a group's members come and go."""
    if not added and not removed:
        raise typer.BadParameter("say --add TARGET or --remove TARGET")
    made = of(ctx).run(
        lambda services: services.directory.change_alias(address, added or (), removed or ())
    )
    say(f"{made.address} delivers to {', '.join(made.targets)}.")


@alias.command(
    "list", epilog=examples("postroom alias list", "postroom alias list --domain example.org")
)
def list_aliases(ctx: typer.Context, domain: OfDomain = "", as_json: AsJson = False) -> None:
    """List the aliases."""
    found = of(ctx).run(lambda services: services.directory.list_aliases(domain))
    if as_json:
        return show_json(list(found))
    rows = [[one.address, ", ".join(one.targets)] for one in found]
    show_table(["ALIAS", "DELIVERS TO"], rows, "There are no aliases.")


@alias.command("remove", epilog=examples("postroom alias remove info@example.org"))
def remove_alias(
    ctx: typer.Context, address: Annotated[str, typer.Argument(metavar="ADDRESS")]
) -> None:
    """Remove an alias."""
    of(ctx).run(lambda services: services.directory.delete_alias(address))
    say(f"Alias {address} is removed.")
