"""Every command that the documentation shows works, in the order in which it is shown."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from asyncio.subprocess import PIPE, STDOUT
from pathlib import Path

from tests.protocol.admin.conftest import Owners

DOCS = Path(__file__).parents[3] / "docs" / "admin.md"
CONSOLE = re.compile(r"```console\n(.*?)```", re.DOTALL)

# One process for all: each would take most of a second to start.
RUN = """
import os, shlex, sys
from postroom_admin.cli.app import app
from typer.testing import CliRunner

for line in sys.stdin.read().splitlines():
    arguments = [os.path.expanduser(word) for word in shlex.split(line)[1:]]
    result = CliRunner().invoke(app, arguments)
    if result.exit_code:
        sys.exit(f"{line}: {result.output} {result.exception!r}")
"""


def commands(text: str) -> list[str]:
    lines = (line for block in CONSOLE.findall(text) for line in block.splitlines())
    return [line.removeprefix("$ ") for line in lines if line.startswith("$ postroom ")]


async def test_the_page_for_administrators(owners: Owners, tmp_path: Path) -> None:
    (tmp_path / "Maildir" / "cur").mkdir(parents=True)
    (tmp_path / "Maildir" / "cur" / "1893553445.a.host:2,S").write_bytes(b"Subject: x\n\nx\n")
    (tmp_path / "archive.mbox").write_bytes(b"From a Mon Feb  7 21:52:25 1994\n\nold\n")
    shown = commands(DOCS.read_text(encoding="utf-8"))
    assert len(shown) > 40
    settings = {"HOME": str(tmp_path), "POSTROOM_ADMIN_API_TOKENS": str(tmp_path / "tokens")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", RUN),
        env={**os.environ, **owners.environment, **settings},
        stdin=PIPE,
        stdout=PIPE,
        stderr=STDOUT,
    )
    told, _ = await process.communicate("\n".join(shown).encode())
    assert process.returncode == 0, told.decode()
    ben = await owners.services.directory.get_account("ben@example.org")
    kept = [
        message.content
        async for message in owners.services.store.export_messages(ben.account_id, "INBOX")
    ]
    assert kept == [b"Subject: x\r\n\r\nx\r\n"]
