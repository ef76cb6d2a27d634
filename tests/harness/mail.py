"""The shortest ways to put mail in and to take it out, for tests about something else."""

from __future__ import annotations

import imaplib
import re
import smtplib
import socket
from collections.abc import Iterator
from contextlib import contextmanager

from deploy.local.provision import Account
from tests.harness.system import MailSystem

WAIT_SECONDS = 60.0

# RFC 5321 §4.4: what servers put above a message they took.
TRACE = re.compile(
    rb"(?:(?:Return-Path|Received|Delivered-To):[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)*"
)


def message(
    subject: str,
    body: str = "Hello.\n",
    *,
    to: str = "you@example.test",
    author: str = "me@example.org",
) -> bytes:
    """A plain message."""
    text = f"From: <{author}>\nTo: <{to}>\nSubject: {subject}\n\n{body}"
    return text.replace("\n", "\r\n").encode()


def submitted(subject: str, *, to: str, author: str) -> bytes:
    """A message to which submission adds nothing (RFC 6409 section 8)."""
    added = b"Date: Mon, 1 Jan 2024 00:00:00 +0000\r\nMessage-ID: <1@example.org>\r\n"
    return added + message(subject, to=to, author=author)


def deliver(system: MailSystem, to: Account, *contents: bytes) -> None:
    """Hand messages over as another server would; all are delivered when this returns."""
    with smtplib.SMTP(system.host, system.port("smtp"), timeout=WAIT_SECONDS) as smtp:
        for content in contents:
            refused = smtp.sendmail("me@example.org", [to.address], content)
            assert not refused


@contextmanager
def logged_in(system: MailSystem, account: Account) -> Iterator[imaplib.IMAP4]:
    """An IMAP session of an account, in clear text over loopback."""
    imap = imaplib.IMAP4(system.host, system.port("imap"), timeout=WAIT_SECONDS)
    # imaplib writes a literal and its line end apart: the second would wait for an ACK each time.
    imap.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    try:
        imap.login(account.address, account.password)
        yield imap
    finally:
        imap.shutdown()


def contents(system: MailSystem, account: Account, mailbox: str = "INBOX") -> list[bytes]:
    """Every message of a mailbox, in order of UID."""
    with logged_in(system, account) as imap:
        assert imap.select(mailbox, readonly=True)[0] == "OK"
        status, data = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")
        assert status == "OK"
        return [item[1] for item in data if isinstance(item, tuple)]


def without_trace(content: bytes) -> bytes:
    """A message without what the servers on its way put above it."""
    found = TRACE.match(content)
    return content[found.end() :] if found else content
