"""What the documentation shows works as it is shown."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from postroom_admin.settings import ApiSettings
from postroom_auth.settings import AuthSettings
from postroom_chassis.settings import ServiceSettings
from postroom_imap.settings import ImapSettings
from postroom_pop3.settings import Pop3Settings
from postroom_smtp.settings import SmtpSettings
from postroom_store.settings import StoreSettings
from pydantic import SecretStr
from pydantic.fields import FieldInfo

from deploy.local.provision import Account
from tests.harness.clients import CLIENT_SECONDS, run_client
from tests.harness.mail import deliver, message
from tests.harness.system import MailSystem

REPOSITORY = Path(__file__).resolve().parents[2]
SETTINGS: dict[str, type[ServiceSettings]] = {
    "smtp": SmtpSettings,
    "pop3": Pop3Settings,
    "imap": ImapSettings,
    "auth": AuthSettings,
    "store": StoreSettings,
    "admin": ApiSettings,
}
# Whose README leaves some of them to a page of their own.
PAGES_OF_SETTINGS = {"smtp": ("docs/checks.md",)}
OF_THE_MACHINE = {"HOSTNAME": "the machine's", "HASH_THREADS": "CPUs"}
PAGES = ("README.md", "docs/**/*.md", "libs/*/README.md", "services/*/README.md")
# To another file of the repository; what follows # is a place in it.
LINK = re.compile(r"\]\((?!https?:|#)([^)#\s]+)")
EXAMPLE = re.compile(r"^\.venv/bin/python (docs/examples/\S+) (.*)$", re.MULTILINE)


def shown_command(values: dict[str, str]) -> list[str]:
    """The command of docs/clients.md, with our values for what stands in it."""
    ((script, arguments),) = EXAMPLE.findall((REPOSITORY / "docs/clients.md").read_text())
    words = [values[word] for word in shlex.split(arguments)]
    return [sys.executable, str(REPOSITORY / script), *words]


@pytest.mark.processes
def test_the_example_for_authors_of_clients(system: MailSystem, account: Account) -> None:
    command = shown_command(
        {
            ".run": str(system.state),
            "bob@example.test": account.address,
            "PASSWORD": account.password,
        }
    )

    empty = run_client(*command).decode()
    deliver(system, account, message("one", "The first.\n"), message("two", "The second.\n"))
    full = run_client(*command).decode().splitlines()

    assert re.fullmatch(r"0 messages, UID validity [1-9][0-9]*\n", empty)
    assert full[0] == empty.strip().replace("0 messages", "2 messages")
    assert [line.split(maxsplit=2)[::2] for line in full[1:]] == [
        ["1", "The first."],
        ["2", "The second."],
    ]


@pytest.mark.processes
def test_the_example_with_a_wrong_password(system: MailSystem, account: Account) -> None:
    command = shown_command(
        {".run": str(system.state), "bob@example.test": account.address, "PASSWORD": "wrong"}
    )

    ran = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_SECONDS)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "UNAUTHENTICATED: the name or the password is wrong\n"


@pytest.mark.parametrize("service", SETTINGS)
def test_a_readme_tells_every_setting_and_its_default(service: str) -> None:
    shared = ServiceSettings.model_fields.keys()
    fields = SETTINGS[service].model_fields.items()
    own = dict(shown(name, field) for name, field in fields if name not in shared)

    told = told_settings(REPOSITORY / f"services/{service}/README.md")
    for page in PAGES_OF_SETTINGS.get(service, ()):
        assert f"({Path('../..') / page})" in readme_of(service)
        told |= told_settings(REPOSITORY / page)
    assert told == own


def readme_of(service: str) -> str:
    return (REPOSITORY / f"services/{service}/README.md").read_text()


def test_the_chassis_tells_the_settings_of_all() -> None:
    shared = dict(shown(name, field) for name, field in ServiceSettings.model_fields.items())

    assert told_settings(REPOSITORY / "libs/chassis/README.md") == shared


def test_links_lead_somewhere() -> None:
    pages = [page for where in PAGES for page in REPOSITORY.glob(where)]
    links = [(page, link) for page in pages for link in LINK.findall(page.read_text())]

    assert len(links) > 20
    assert [(page, link) for page, link in links if not (page.parent / link).exists()] == []


def shown(field: str, info: FieldInfo) -> tuple[str, str]:
    """A setting's name and default as a table has them; no default where a value is needed."""
    name, default = field.upper(), info.default
    if isinstance(default, SecretStr):
        default = default.get_secret_value()
    if info.is_required():
        told = ""
    elif name in OF_THE_MACHINE:
        told = OF_THE_MACHINE[name]
    elif default in (None, ""):
        told = "none"
    elif isinstance(default, bool):
        told = str(default).lower()
    else:
        told = f"{default:g}" if isinstance(default, float) else str(default)
    return name, told


def told_settings(page: Path) -> dict[str, str]:
    """The rows of the tables `name | default |`, a name each."""
    _, *tables = page.read_text().split("| name | default | |\n|---|---|---|\n")
    told: dict[str, str] = {}
    for row in (row for table in tables for row in table.split("\n\n")[0].splitlines()):
        _, first, second, _ = row.split("|", 3)
        names, defaults = first.strip().split(", "), second.strip().replace("`", "").split(", ")
        if len(defaults) == 1:
            defaults *= len(names)
        told |= {name.strip("`"): value for name, value in zip(names, defaults, strict=True)}
    return told
