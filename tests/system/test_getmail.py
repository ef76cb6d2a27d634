"""getmail fetches mailboxes into a Maildir, by IMAP and by POP3, each message once."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.provision import Account
from tests.harness.clients import run_client
from tests.harness.mail import contents, deliver, logged_in, message, without_trace
from tests.harness.system import MailSystem

pytestmark = pytest.mark.clients("getmail")

CONFIGURATION = """\
[retriever]
type = {retriever}
server = localhost
port = {port}
username = {account.address}
password = {account.password}
{more}

[destination]
type = Maildir
path = {folder}/Maildir/
{user}

[options]
read_all = false
delete = {delete}
delivered_to = false
received = false
"""

WHENCE = re.compile(rb"^X-getmail-retrieved-from-mailbox: .*\n", re.MULTILINE)

RETRIEVERS = [
    ("SimplePOP3Retriever", "pop3"),
    ("SimplePOP3SSLRetriever", "pop3s"),
    ("SimpleIMAPRetriever", "imap"),
    ("SimpleIMAPSSLRetriever", "imaps"),
]


@pytest.fixture
def folder() -> Iterator[Path]:
    """Where getmail delivers; as root it does so as somebody else, who must get there."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        folder.chmod(0o755)
        for part in ("cur", "new", "tmp"):
            (folder / "Maildir" / part).mkdir(parents=True)
        if os.getuid() == 0:
            for path in (folder / "Maildir", *(folder / "Maildir").iterdir()):
                shutil.chown(path, "nobody")
        yield folder


def configure(
    system: MailSystem,
    account: Account,
    folder: Path,
    retriever: str,
    port: str,
    *,
    mailboxes: tuple[str, ...] = (),
    delete: bool = False,
) -> None:
    more = [f"ca_certs = {system.authority}"] if "SSL" in retriever else []
    if mailboxes:
        more.append(f"mailboxes = {mailboxes!r}")
    configuration = folder / "getmailrc"
    configuration.write_text(
        CONFIGURATION.format(
            retriever=retriever,
            port=system.port(port),
            account=account,
            more="\n".join(more),
            folder=folder,
            user="user = nobody" if os.getuid() == 0 else "",
            delete=delete,
        )
    )
    configuration.chmod(0o600)


def getmail(folder: Path) -> None:
    run_client("getmail", "--getmaildir", folder, "--rcfile", "getmailrc", "--quiet")


def maildir(folder: Path) -> list[bytes]:
    """What was delivered, without what servers and getmail put into it, in order of content."""
    delivered = (path.read_bytes() for path in (folder / "Maildir/new").iterdir())
    original = (WHENCE.sub(b"", content).replace(b"\n", b"\r\n") for content in delivered)
    return sorted(map(without_trace, original))


@pytest.mark.parametrize(("retriever", "port"), RETRIEVERS)
def test_fetches_what_is_new(
    system: MailSystem, account: Account, folder: Path, retriever: str, port: str
) -> None:
    sent = [message(f"number {number}", f"text {number}\n.dot\n") for number in range(20)]
    configure(system, account, folder, retriever, port)

    deliver(system, account, *sent[:15])
    getmail(folder)
    assert maildir(folder) == sorted(sent[:15])

    deliver(system, account, *sent[15:])
    getmail(folder)
    assert maildir(folder) == sorted(sent)
    assert len(contents(system, account)) == 20


@pytest.mark.parametrize(("retriever", "port"), RETRIEVERS)
def test_takes_all(
    system: MailSystem, account: Account, folder: Path, retriever: str, port: str
) -> None:
    sent = [message(f"number {number}") for number in range(5)]
    deliver(system, account, *sent)
    configure(system, account, folder, retriever, port, delete=True)

    getmail(folder)

    assert maildir(folder) == sorted(sent)
    assert contents(system, account) == []


def test_several_mailboxes(system: MailSystem, account: Account, folder: Path) -> None:
    sent = [message(f"number {number}") for number in range(3)]
    with logged_in(system, account) as imap:
        for name, content in zip(("INBOX", "Archive", '"Ideen &- mehr"'), sent, strict=True):
            imap.create(name)
            assert imap.append(name, "", "", content)[0] == "OK"
    names = ("INBOX", "Archive", "Ideen & mehr")
    configure(system, account, folder, "SimpleIMAPSSLRetriever", "imaps", mailboxes=names)

    getmail(folder)

    assert maildir(folder) == sorted(sent)
