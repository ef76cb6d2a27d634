"""Writes mailboxes to mbox files. A file appears under its name when it is whole and on disk."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.model import Mailbox, every
from postroom_admin.ports import MailStore
from postroom_admin.transfer.mbox import file_of, format_message


async def mailboxes_of(store: MailStore, account_id: int) -> list[Mailbox]:
    """The mailboxes of an account that can hold messages."""
    return [
        mailbox
        async for mailbox in every(lambda token: store.list_mailboxes(account_id, token))
        if mailbox.selectable
    ]


async def export_mailbox(
    store: MailStore,
    account_id: int,
    mailbox: str,
    file: Path,
    told: Callable[[int], None] = lambda _: None,
) -> int:
    """Write a mailbox to an mbox file and answer how many messages it has.

    Raises:
        PostroomError: NOT_FOUND.
        OSError: the file can't be written; what was there under its name is still there.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    partial = file.with_name(f".{file.name}.{os.getpid()}.partial")
    messages = 0
    try:
        with os.fdopen(_create(partial), "wb") as out:
            async for message in store.export_messages(account_id, mailbox):
                out.write(format_message(message))
                messages += 1
                told(1)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    finally:
        partial.unlink(missing_ok=True)
    return messages


def check_free(files: list[Path]) -> None:
    """Raise PostroomError ALREADY_EXISTS where an export would write over a file."""
    for file in files:
        if file.exists():
            raise PostroomError(
                Kind.ALREADY_EXISTS, f"{file} is there already (--force writes over it)"
            )


def files_of(mailboxes: list[Mailbox], folder: Path) -> dict[str, Path]:
    """The file of each mailbox in an export's folder."""
    return {mailbox.name: folder / file_of(mailbox.name) for mailbox in mailboxes}


def _create(file: Path) -> int:
    # Mail is its owner's alone.
    return os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
