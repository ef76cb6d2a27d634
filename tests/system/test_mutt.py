"""mutt, told what to press, reads, flags, copies, deletes, searches and sends."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.provision import Account
from tests.harness.clients import run_client, run_on_terminal
from tests.harness.mail import contents, deliver, logged_in, message, without_trace
from tests.harness.system import MailSystem

pytestmark = pytest.mark.clients("mutt")

CONFIGURATION = """\
set imap_user="{account.address}"
set imap_pass="{account.password}"
set smtp_pass="{account.password}"
set certificate_file="{authority}"
set ssl_starttls=yes
set ssl_force_tls=yes
set folder="{scheme}://localhost:{port}/"
set spoolfile="=INBOX"
set record="=Sent"
set from="{account.address}"
set hidden_host
set move=no
set mark_old=no
set confirmappend=no
set delete=yes
set quit=yes
set resolve=no
set wait_key=no
set sleep_time=0
set sort=mailbox-order
set header_cache="{folder}/headers/"
set message_cachedir="{folder}/messages/"
set imap_qresync=yes
set smtp_url="smtp://{account.address}@localhost:{submission}/"
"""

LISTENERS = [("imap", "imap"), ("imaps", "imaps")]  # the first by STARTTLS


def configure(
    system: MailSystem, account: Account, folder: Path, scheme: str = "imaps", port: str = "imaps"
) -> Path:
    for cache in ("headers", "messages"):
        (folder / cache).mkdir()
    configuration = folder / "muttrc"
    configuration.write_text(
        CONFIGURATION.format(
            account=account,
            authority=system.authority,
            scheme=scheme,
            port=system.port(port),
            submission=system.port("submission"),
            folder=folder,
        )
    )
    return configuration


def press(configuration: Path, *keys: str) -> None:
    """Open the inbox, press keys, leave."""
    pressed = "".join((*keys, "<sync-mailbox><quit>"))
    run_on_terminal(
        *("mutt", "-n", "-F", configuration, "-e", f"push '{pressed}'"),
        environment={"HOME": str(configuration.parent)},
    )


def flags(system: MailSystem, account: Account, mailbox: str = "INBOX") -> list[bytes]:
    """The flags of every message, as FETCH tells them."""
    with logged_in(system, account) as imap:
        imap.select(mailbox, readonly=True)
        return [line for line in imap.fetch("1:*", "(FLAGS)")[1] if isinstance(line, bytes)]


@pytest.mark.parametrize(("scheme", "port"), LISTENERS)
def test_reads_flags_copies_and_deletes(
    system: MailSystem, account: Account, tmp_path: Path, scheme: str, port: str
) -> None:
    sent = [message(f"number {number}", f"text {number}\n") for number in range(6)]
    deliver(system, account, *sent)
    configuration = configure(system, account, tmp_path, scheme, port)

    press(
        configuration,
        f"<first-entry><display-message><pipe-message>cat >{tmp_path}/read<enter><exit>",
        "<next-entry><flag-message>",
        "<next-entry><copy-message>=Archive<enter>",
        "<next-entry><save-message>=Kept<enter>y",  # it asks whether to create it
        "<next-entry><delete-message>",
    )

    read = (tmp_path / "read").read_bytes().replace(b"\n", b"\r\n")
    assert without_trace(read) == sent[0]
    left = [without_trace(content) for content in contents(system, account)]
    assert left == [*sent[:3], sent[5]]
    assert flags(system, account) == [
        rb"1 (FLAGS (\Seen))",
        rb"2 (FLAGS (\Flagged))",
        rb"3 (FLAGS ())",
        rb"4 (FLAGS ())",
    ]
    assert [without_trace(copy) for copy in contents(system, account, "Archive")] == sent[2:3]
    assert [without_trace(copy) for copy in contents(system, account, "Kept")] == sent[3:4]


def test_comes_back_to_what_has_changed(
    system: MailSystem, account: Account, tmp_path: Path
) -> None:
    """By QRESYNC (RFC 7162 section 3.2.6): it has kept the headers of the first visit."""
    sent = [message(f"number {number}", f"text {number}\n") for number in range(4)]
    deliver(system, account, *sent[:3])
    configuration = configure(system, account, tmp_path)
    press(configuration, "<first-entry><flag-message>")
    with logged_in(system, account) as imap:
        imap.select("INBOX")
        imap.store("2", "+FLAGS", r"(\Deleted)")
        imap.expunge()
        imap.store("1", "-FLAGS", r"(\Flagged)")
    deliver(system, account, sent[3])

    # It deletes by what it sees: nothing is flagged any more, and the last is new.
    press(configuration, "<delete-pattern>~F<enter><last-entry><display-message><exit>")
    left = [without_trace(content) for content in contents(system, account)]
    assert left == [sent[0], *sent[2:]]
    press(configuration, "<delete-pattern>!~R<enter>")
    assert [without_trace(content) for content in contents(system, account)] == sent[3:]


def test_searches_on_the_server(system: MailSystem, account: Account, tmp_path: Path) -> None:
    sent = [message(f"number {number}", f"text {number % 2}\n") for number in range(4)]
    deliver(system, account, *sent)
    configuration = configure(system, account, tmp_path)

    press(configuration, '<delete-pattern>=b "text 1"<enter>')

    assert [without_trace(content) for content in contents(system, account)] == sent[::2]


def test_sends_and_keeps_a_copy(
    system: MailSystem, account: Account, sender: Account, tmp_path: Path
) -> None:
    configuration = configure(system, sender, tmp_path)
    attached = tmp_path / "octets"
    attached.write_bytes(bytes(range(256)) * 40)

    run_client(
        *("mutt", "-n", "-F", configuration, "-s", "Grüße", "-a", attached, "--", account.address),
        stdin="Schöne Grüße!\n".encode(),
        environment={"HOME": str(tmp_path), "LC_ALL": "C.UTF-8"},
    )

    (received,) = contents(system, account)
    (kept,) = contents(system, sender, "Sent")
    assert without_trace(received).partition(b"\r\n\r\n")[2] == kept.partition(b"\r\n\r\n")[2]
    assert flags(system, sender, "Sent") == [rb"1 (FLAGS (\Seen))"]
