"""A message comes out as it went in, byte for byte, whichever way it takes."""

from __future__ import annotations

import mailbox
from contextlib import closing
from pathlib import Path

import pytest

from deploy.local.provision import Account
from tests.harness.corpus import bare_line_breaks, corpus
from tests.harness.mail import TRACE, contents, logged_in, without_trace
from tests.harness.system import MailSystem
from tests.harness.wire import Wire

LARGE = 50 * 1024 * 1024


def large_message() -> bytes:
    """50 MB in lines of 76 characters, none the same."""
    head = b"Subject: large\r\n\r\n"
    return head + b"".join(b"%076d\r\n" % number for number in range((LARGE - len(head)) // 78))


def retrieved(system: MailSystem, account: Account) -> list[bytes]:
    """Every message as POP3 gives it."""
    with Wire(system.host, system.port("pop3")) as wire:
        assert wire.line().startswith(b"+OK")
        wire.send(f"USER {account.address}\r\nPASS {account.password}\r\n".encode())
        assert wire.line().startswith(b"+OK")
        assert wire.line().startswith(b"+OK")
        wire.send(b"STAT\r\n")
        count = int(wire.line().split()[1])
        found = []
        for number in range(1, count + 1):
            wire.send(b"RETR %d\r\n" % number)
            assert wire.line().startswith(b"+OK")
            found.append(wire.multiline())
        wire.send(b"QUIT\r\n")
        assert wire.line().startswith(b"+OK")
        return found


def ended(content: bytes) -> bytes:
    """What a protocol with lines makes of a message that ends within one."""
    return content if content.endswith(b"\r\n") or not content else content + b"\r\n"


def append(system: MailSystem, account: Account, *messages: bytes) -> None:
    with logged_in(system, account) as imap:
        for content in messages:
            # imaplib's own append turns every line break into CRLF.
            imap.literal = content  # type: ignore[assignment]
            assert imap._simple_command("APPEND", "INBOX")[0] == "OK"


def send(system: MailSystem, account: Account, *messages: bytes) -> list[bytes]:
    """Deliver messages by DATA and return the replies to their ends."""
    with Wire(system.host, system.port("smtp")) as wire:
        assert wire.reply().startswith(b"220 ")
        assert wire.say(b"EHLO client.example.org").startswith(b"250")
        replies = []
        for content in messages:
            assert wire.say(b"MAIL FROM:<me@example.org> BODY=8BITMIME").startswith(b"250 ")
            assert wire.say(f"RCPT TO:<{account.address}>".encode()).startswith(b"250 ")
            assert wire.say(b"DATA").startswith(b"354 ")
            stuffed = (b"\r\n" + ended(content)).replace(b"\r\n.", b"\r\n..")[2:]
            wire.send(stuffed + b".\r\n")
            replies.append(wire.reply())
        return replies


@pytest.mark.processes  # what it exports lies where the service is
def test_append_to_fetch_retr_and_export(
    system: MailSystem, account: Account, tmp_path: Path
) -> None:
    messages = corpus() | bare_line_breaks()
    added = [content for content in messages.values() if content]  # RFC 3501 §6.3.11: not empty

    append(system, account, *added)

    assert contents(system, account) == added
    assert retrieved(system, account) == [ended(content) for content in added]
    assert exported_and_imported(system, account, tmp_path) == added


def exported_and_imported(system: MailSystem, account: Account, folder: Path) -> list[bytes]:
    """What an mbox that was exported brings to another account."""
    file, other = folder / "inbox.mbox", system.new_account()
    system.postroom(
        *("export", "--account", account.address, "--mailbox", "INBOX", "--output", str(file))
    )
    system.postroom(
        *("import", "mbox", str(file), "--account", other.address, "--in-flight", "1"),
        *("--state", str(folder)),
    )
    imported = contents(system, other)
    with closing(mailbox.mbox(file)) as read_by_others:
        assert len(read_by_others) == len(imported)
    return imported


def test_smtp_to_fetch_and_retr(system: MailSystem, account: Account) -> None:
    messages = corpus()
    # It would go on with the field that is put before it (RFC 5322 section 2.2.3).
    folded = messages.pop("leading fold")
    assert send(system, account, folded)[0].startswith(b"550 5.6.0 ")
    sent = list(messages.values())

    replies = send(system, account, *sent)

    assert [reply for reply in replies if not reply.startswith(b"250 2.")] == []
    received = contents(system, account)
    assert len(received) == len(sent)
    for content, original in zip(received, sent, strict=True):
        assert content.endswith(ended(original))
        assert TRACE.fullmatch(content.removesuffix(ended(original)))
    assert retrieved(system, account) == received


@pytest.mark.parametrize("name", bare_line_breaks())
def test_smtp_refuses_bare_line_breaks(system: MailSystem, account: Account, name: str) -> None:
    (reply,) = send(system, account, bare_line_breaks()[name])

    # Refused at the end or taken as it is: but never another command in it (SMTP smuggling).
    assert reply.startswith((b"5", b"250 "))
    assert len(contents(system, account)) == reply.startswith(b"250 ")


def test_partial_fetches_make_the_whole(system: MailSystem, account: Account) -> None:
    whole = corpus()["binary without NUL"]
    append(system, account, whole)

    with logged_in(system, account) as imap:
        imap.select("INBOX")
        parts = []
        for start in range(0, len(whole), 4096):
            _, data = imap.fetch("1", f"(BODY.PEEK[]<{start}.4096>)")
            assert isinstance(data[0], tuple)
            parts.append(data[0][1])

    assert b"".join(parts) == whole


def test_50_megabytes_by_smtp(system: MailSystem, account: Account) -> None:
    sent = large_message()

    (reply,) = send(system, account, sent)

    assert reply.startswith(b"250 2.")
    (received,) = contents(system, account)
    assert without_trace(received) == sent
    assert retrieved(system, account) == [received]


@pytest.mark.processes  # what it exports lies where the service is
def test_50_megabytes_by_append(system: MailSystem, account: Account, tmp_path: Path) -> None:
    added = large_message()

    append(system, account, added)

    assert contents(system, account) == [added]
    assert exported_and_imported(system, account, tmp_path) == [added]
