"""mbsync keeps a Maildir and a mailbox of 2,000 messages the same, both ways."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from bench.corpus import Corpus
from deploy.local.provision import Account
from tests.harness.clients import run_client
from tests.harness.mail import contents, logged_in
from tests.harness.system import MailSystem

pytestmark = pytest.mark.clients("mbsync")

MESSAGES = 2_000
SECONDS = 600.0

CONFIGURATION = """\
IMAPAccount there
Host localhost
Port {port}
User {account.address}
Pass "{account.password}"
SSLType IMAPS
CertificateFile {authority}
SystemCertificates no
Timeout 60

IMAPStore there
Account there

MaildirStore here
Path {folder}/
Inbox {folder}/Inbox
SubFolders Verbatim

Channel all
Far :there:
Near :here:
Patterns INBOX
Create Near
Expunge Both
Sync All
SyncState *
"""


def configure(system: MailSystem, account: Account, folder: Path) -> Path:
    folder.mkdir(exist_ok=True)
    file = folder.with_suffix(".mbsyncrc")
    file.write_text(
        CONFIGURATION.format(
            port=system.port("imaps"),
            account=account,
            authority=system.authority,
            folder=folder,
        )
    )
    return file


def synchronize(configuration: Path) -> None:
    run_client("mbsync", "-q", "-c", configuration, "-a", seconds=SECONDS)


def maildir(folder: Path) -> list[Path]:
    return sorted(path for part in ("cur", "new") for path in (folder / "Inbox" / part).iterdir())


def body(content: bytes) -> bytes:
    """A message with the line ends of a file, without the header line that mbsync adds."""
    lines = content.replace(b"\r\n", b"\n").splitlines(keepends=True)
    return b"".join(line for line in lines if not line.startswith(b"X-TUID: "))


def test_both_ways(system: MailSystem, account: Account, tmp_path: Path) -> None:
    corpus = Corpus(7)
    first = [corpus.message(number).content for number in range(MESSAGES)]
    with logged_in(system, account) as imap:
        for content in first:
            assert imap.append("INBOX", "", "", content)[0] == "OK"
    near, configuration = tmp_path / "near", configure(system, account, tmp_path / "near")

    synchronize(configuration)
    pulled = Counter(body(path.read_bytes()) for path in maildir(near))
    assert pulled == Counter(body(content) for content in first)

    # Changes on both sides: flags, messages gone, messages new.
    there = {body(path.read_bytes()): path for path in maildir(near)}
    read, gone = there[body(first[0])], there[body(first[1])]
    read.rename(near / "Inbox/cur" / f"{read.name.partition(':2,')[0]}:2,S")
    gone.unlink()
    added = corpus.message(MESSAGES).content
    (near / "Inbox/new/1700000000.1_1.here").write_bytes(body(added))
    with logged_in(system, account) as imap:
        imap.select("INBOX")
        imap.store("3", "+FLAGS", r"(\Flagged)")
        imap.store("4", "+FLAGS", r"(\Deleted)")
        imap.expunge()

    synchronize(configuration)
    expected = Counter(map(body, [*first[:1], *first[2:3], *first[4:], added]))
    assert Counter(map(body, contents(system, account))) == expected
    assert Counter(body(path.read_bytes()) for path in maildir(near)) == expected
    with logged_in(system, account) as imap:
        imap.select("INBOX")
        assert imap.search(None, "SEEN") == ("OK", [b"1"])
    flagged = [path for path in maildir(near) if "F" in path.name.partition(":2,")[2]]
    assert [body(path.read_bytes()) for path in flagged] == [body(first[2])]


def test_a_maildir_comes_in_whole(system: MailSystem, account: Account, tmp_path: Path) -> None:
    corpus = Corpus(8)
    near, configuration = tmp_path / "near", configure(system, account, tmp_path / "near")
    for part in ("cur", "new", "tmp"):
        (near / "Inbox" / part).mkdir(parents=True)
    pushed = [corpus.message(number).content for number in range(MESSAGES)]
    for number, content in enumerate(pushed):
        (near / f"Inbox/cur/1700000000.{number}_1.here:2,S").write_bytes(body(content))

    synchronize(configuration)

    assert Counter(map(body, contents(system, account))) == Counter(map(body, pushed))
