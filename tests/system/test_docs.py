"""What the documentation shows works as it is shown."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

from deploy.local.provision import Account
from tests.harness.clients import CLIENT_SECONDS, run_client
from tests.harness.mail import deliver, message
from tests.harness.system import MailSystem

REPOSITORY = Path(__file__).resolve().parents[2]
EXAMPLE = re.compile(r"^\.venv/bin/python (docs/examples/\S+) (.*)$", re.MULTILINE)


def shown_command(values: dict[str, str]) -> list[str]:
    """The command of docs/clients.md, with our values for what stands in it."""
    ((script, arguments),) = EXAMPLE.findall((REPOSITORY / "docs/clients.md").read_text())
    words = [values[word] for word in shlex.split(arguments)]
    return [sys.executable, str(REPOSITORY / script), *words]


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


def test_the_example_with_a_wrong_password(system: MailSystem, account: Account) -> None:
    command = shown_command(
        {".run": str(system.state), "bob@example.test": account.address, "PASSWORD": "wrong"}
    )

    ran = subprocess.run(command, capture_output=True, text=True, timeout=CLIENT_SECONDS)

    assert (ran.returncode, ran.stdout) == (1, "")
    assert ran.stderr == "UNAUTHENTICATED: the name or the password is wrong\n"
