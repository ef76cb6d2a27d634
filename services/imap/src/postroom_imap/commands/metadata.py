"""GETMETADATA and SETMETADATA (RFC 5464).

The shared annotations of the server are what its operator has set; nobody changes them by IMAP. All
others are kept by the store.
"""

from __future__ import annotations

import re

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap import replies
from postroom_imap.ports.mailboxes import Annotations, Mailbox
from postroom_imap.protocol.commands import GetMetadata, SetMetadata
from postroom_imap.protocol.commands.search import is_filter_name, parse_filter
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.responses import codes, metadata
from postroom_imap.session import Session

MOST_VALUE_BYTES = 65_536  # as the store has it

_FILTER = re.compile(r"/(?:private|shared)/filters/(values|descriptions)/(.*)")
_NOT_UTF8 = "A description is UTF-8"
_CODES = {
    Kind.TOO_LARGE: metadata.max_size(MOST_VALUE_BYTES),
    Kind.LIMIT_EXCEEDED: metadata.TOO_MANY,
    Kind.UNSUPPORTED: codes.USE_ATTR,  # RFC 6154 section 4: /private/specialuse
}


async def get_metadata(session: Session, tag: bytes, command: GetMetadata) -> None:
    found = await session.front.mailboxes.get_metadata(
        session.ticket, command.mailbox, command.entries, command.depth, command.max_size
    )
    if not command.mailbox:
        found = _with_servers(session, command, found)
    values = told_values(found, command.entries if command.depth == 0 else ())
    told = b""
    if values:
        told = metadata.metadata_response(command.mailbox, values.items(), utf8=session.utf8)
    code = metadata.long_entries(found.longest) if found.longest else None
    session.finish(tag, "GETMETADATA completed", code, before=told)


def told_values(found: Annotations, named: tuple[str, ...]) -> dict[str, bytes | None]:
    """What is told: values that there are, and of those named also that there is none."""
    left_out = {entry: None for entry in named if entry not in found.values}
    return {**found.values, **left_out} if not found.longest else dict(found.values)


def describe_metadata(session: Session, mailbox: Mailbox, entries: tuple[str, ...]) -> bytes:
    """METADATA of a mailbox in LIST (RFC 9590): every entry, without a value too."""
    values = {entry: mailbox.annotations.get(entry) for entry in entries}
    return metadata.metadata_response(mailbox.name, values.items(), utf8=session.utf8)


async def set_metadata(session: Session, tag: bytes, command: SetMetadata) -> None:
    if session.notification is not None:
        session.notification.own(command.mailbox)
    if not command.mailbox and (wrong := find_wrong_filter(command, session.limits)):
        session.refuse(tag, wrong, codes.CANNOT)
        return
    try:
        await session.front.mailboxes.set_metadata(
            session.ticket, command.mailbox, dict(command.values)
        )
    except PostroomError as error:
        if error.kind not in _CODES:
            raise
        session.refuse(tag, replies.text_of(error), _CODES[error.kind])
        return
    session.finish(tag, "SETMETADATA completed")


def find_wrong_filter(command: SetMetadata, limits: Limits) -> str:
    """Why what is to be a filter, or its description, is none; else nothing (RFC 5466 s. 3.2)."""
    for entry, value in command.values:
        found = _FILTER.fullmatch(entry)
        if found is None:
            continue
        kind, name = found.groups()
        if not is_filter_name(name):
            return "A filter can't be called so"
        try:
            if value is not None and kind == "values":
                parse_filter(value, limits)
            elif value is not None:
                value.decode()
        except (SyntaxFault, UnicodeDecodeError) as fault:
            return f"Not a filter: {fault.text}" if isinstance(fault, SyntaxFault) else _NOT_UTF8
    return ""


def _with_servers(session: Session, command: GetMetadata, found: Annotations) -> Annotations:
    """What was found, and the server's own annotations that were asked for."""
    values, longest = dict(found.values), found.longest
    for entry, value in session.front.server_annotations.items():
        if not command.wants(entry):
            continue
        if command.max_size is not None and len(value) > command.max_size:
            longest = max(longest, len(value))
        else:
            values[entry] = value
    return Annotations(values, longest)
