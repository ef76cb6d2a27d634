"""Delivery status notifications (RFC 3464, RFC 3461 section 6; RFC 6533 where there is UTF-8).

A notice tells one sender what became of one message. What it returns of the message is as it came,
never encoded; where it is binary, the header section alone.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from enum import StrEnum

from postroom_smtp.protocol.bounce import Bounce, classify
from postroom_smtp.protocol.client import xtext
from postroom_smtp.protocol.envelope import Notify, Recipient
from postroom_smtp.protocol.response import Response

MOST_RETURNED = 64 * 1024  # octets of a message that a notice holds; of longer ones, the header
MOST_HEADER = 16 * 1024  # octets of that

_BARE = re.compile(rb"\r(?!\n)|(?<!\r)\n|\0")
_WIDTH = 76


class Action(StrEnum):
    """RFC 3464 section 2.3.3."""

    FAILED = "failed"
    DELAYED = "delayed"
    DELIVERED = "delivered"
    RELAYED = "relayed"
    EXPANDED = "expanded"


@dataclass(frozen=True, slots=True)
class Report:
    """What became of a message for one recipient.

    Attributes:
        status: RFC 3463.
        response: what a server said; None: nothing was said by any.
        host: whose words they are; empty: ours.
        at: when, Unix seconds.
        until: how long it will be tried on; 0: it won't.
    """

    recipient: Recipient
    action: Action
    status: str
    response: Response | None = None
    host: str = ""
    at: float = 0.0
    until: float = 0.0


@dataclass(frozen=True, slots=True)
class Notice:
    """A notice to be written.

    Attributes:
        reporter: our name.
        sender: who hears it: the reverse-path of the message.
        message_id: the notice's own, without brackets.
        at: Unix seconds.
        arrived_at: when the message came.
        envid: RFC 3461 section 4.4, without its xtext.
        header: the header section of the message; as much of it as is there.
        content: the whole message, where it is to be returned; None: its header section.
    """

    reporter: str
    sender: str
    reports: tuple[Report, ...]
    message_id: str
    at: float
    arrived_at: float
    envid: str = ""
    header: bytes = b""
    content: bytes | None = None


def wanted(action: Action, sender: str, recipient: Recipient) -> bool:
    """Whether the sender is to hear of it. The null sender never is (RFC 5321 section 4.5.5)."""
    if not sender or Notify.NEVER in recipient.notify:
        return False
    return _WANTED[action](recipient.notify)


_WANTED: dict[Action, Callable[[frozenset[Notify]], bool]] = {
    Action.FAILED: lambda notify: not notify or Notify.FAILURE in notify,
    # RFC 3461 section 4.1: who says nothing may be told of delays.
    Action.DELAYED: lambda notify: not notify or Notify.DELAY in notify,
    Action.DELIVERED: lambda notify: Notify.SUCCESS in notify,
    Action.RELAYED: lambda notify: Notify.SUCCESS in notify,
    Action.EXPANDED: lambda notify: Notify.SUCCESS in notify,
}

_SUBJECTS = {
    Action.FAILED: "Your message was not delivered",
    Action.DELAYED: "Your message is late",
    Action.DELIVERED: "Your message was delivered",
    Action.RELAYED: "Your message was handed on",
    Action.EXPANDED: "Your message was handed on to a list",
}
_TEXTS = {
    Action.FAILED: "It couldn't be delivered, and won't be tried again.",
    Action.DELAYED: "It couldn't be delivered yet. You need do nothing: it is tried again until"
    " {until}.",
    Action.DELIVERED: "It has been delivered.",
    Action.RELAYED: "It has been handed on to a server that tells nothing of what becomes of it.",
    Action.EXPANDED: "It has been handed on to those on the list.",
}
_REASONS = {
    Bounce.RECIPIENT: "There is nobody with this address there. Is it spelt right?",
    Bounce.INACTIVE: "This mailbox takes no mail.",
    Bounce.DOMAIN: "This domain doesn't exist, or takes no mail. Is it spelt right?",
    Bounce.FULL: "The mailbox is full.",
    Bounce.SIZE: "The message is too large for the server there.",
    Bounce.LOOP: "The domain's records lead back to this server.",
    Bounce.NETWORK: "The server there couldn't be reached.",
    Bounce.EXPIRED: "There was no more time for it.",
    Bounce.TLS: "There is no connection to the server there that is safe enough.",
    Bounce.CONTENT: "The server there can't take a message like this.",
}


def compose(notice: Notice) -> bytes:
    """The notice as a message, with CRLF line ends. It goes out by the null sender, as 8BITMIME
    where it has octets over 127.
    """
    returned = _returned(notice)
    utf8 = not (returned.isascii() and notice.sender.isascii() and _addresses_ascii(notice))
    status = _lines(_status(notice))
    boundary = _boundary(notice.message_id, returned)
    subject = _SUBJECTS[notice.reports[0].action] if notice.reports else ""
    head = (
        f"From: Mail Delivery System <MAILER-DAEMON@{notice.reporter}>",
        f"To: <{notice.sender}>",
        f"Subject: {subject}",
        f"Date: {_date(notice.at)}",
        f"Message-ID: <{notice.message_id}>",
        "Auto-Submitted: auto-replied",  # RFC 3834 section 5
        "MIME-Version: 1.0",
        "Content-Type: multipart/report; report-type=delivery-status;",
        f'\tboundary="{boundary}"',
        "Content-Transfer-Encoding: 8bit" if utf8 else "Content-Transfer-Encoding: 7bit",
    )
    whole = notice.content is not None and returned is notice.content
    parts = (
        ("text/plain; charset=utf-8", _lines(_text(notice))),
        (_kind("message/delivery-status", "message/global-delivery-status", status), status),
        (
            _kind("message/rfc822", "message/global", notice.header)
            if whole
            else _kind("text/rfc822-headers", "message/global-headers", returned),
            returned,
        ),
    )
    body = b"".join(
        f"--{boundary}\r\nContent-Type: {kind}\r\n{_encoding(content)}\r\n".encode()
        + content
        + b"\r\n"  # the boundary's (RFC 2046 section 5.1.1)
        for kind, content in parts
    )
    return _lines(head) + b"\r\n" + body + f"--{boundary}--\r\n".encode()


def _returned(notice: Notice) -> bytes:
    """What of the message is returned."""
    content = notice.content
    if content is not None and len(content) <= MOST_RETURNED and not _BARE.search(content):
        return content
    header = notice.header[:MOST_HEADER]
    if len(header) < len(notice.header):
        header = header[: header.rfind(b"\r\n") + 2]
    return re.sub(rb"[\r\n\0]+", b"\r\n", header)


def _text(notice: Notice) -> Iterator[str]:
    yield f"This is the mail system at {notice.reporter}."
    for report in notice.reports:
        told = _TEXTS[report.action].format(until=_date(report.until))
        yield ""
        yield from textwrap.wrap(f"Your message to <{report.recipient.address}>: {told}", _WIDTH)
        if report.response is None or report.action not in (Action.FAILED, Action.DELAYED):
            continue
        if reason := _REASONS.get(classify(report.response)):
            yield reason
        yield ""
        yield f"{report.host or 'This server'} said:"
        yield from textwrap.wrap(
            str(report.response), _WIDTH, initial_indent="    ", subsequent_indent="    "
        )


def _status(notice: Notice) -> Iterator[str]:
    """RFC 3464 sections 2.2 and 2.3."""
    if notice.envid:
        yield f"Original-Envelope-Id: {xtext(notice.envid)}"
    yield f"Reporting-MTA: dns; {notice.reporter}"
    yield f"Arrival-Date: {_date(notice.arrived_at)}"
    for report in notice.reports:
        yield ""
        if report.recipient.original:
            yield f"Original-Recipient: {_original(report.recipient.original)}"
        address = report.recipient.address
        yield f"Final-Recipient: {'rfc822' if address.isascii() else 'utf-8'}; {address}"
        yield f"Action: {report.action}"
        yield f"Status: {report.status}"
        if report.host:
            yield f"Remote-MTA: dns; {report.host.partition(' ')[0]}"
        if report.response is not None:
            kind = "smtp" if report.host else "x-postroom"
            yield from textwrap.wrap(
                f"Diagnostic-Code: {kind}; {report.response}", _WIDTH, subsequent_indent="\t"
            )
        if report.at:
            yield f"Last-Attempt-Date: {_date(report.at)}"
        if report.until:
            yield f"Will-Retry-Until: {_date(report.until)}"


def _original(original: str) -> str:
    kind, _, address = original.partition(";")
    return f"{kind}; {address if kind.lower() == 'utf-8' else xtext(address)}"


def _kind(plain: str, international: str, content: bytes) -> str:
    return plain if content.isascii() else international


def _encoding(content: bytes) -> str:
    return "" if content.isascii() else "Content-Transfer-Encoding: 8bit\r\n"


def _boundary(message_id: str, content: bytes) -> str:
    plain = re.sub(r"[^A-Za-z0-9]", "", message_id)[:40]
    number = 0
    while f"--{plain}.{number}".encode() in content:
        number += 1
    return f"{plain}.{number}"


def _addresses_ascii(notice: Notice) -> bool:
    return all(one.recipient.address.isascii() for one in notice.reports)


def _date(at: float) -> str:
    return format_datetime(datetime.fromtimestamp(at, UTC))


def _lines(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\r\n" for line in lines).encode()
