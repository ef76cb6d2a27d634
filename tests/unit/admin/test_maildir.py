"""Maildir, with what is found in real ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from postroom_admin.transfer.entry import Entry, Unimportable
from postroom_admin.transfer.maildir import mailbox_of, read_maildir
from postroom_chassis.errors import Kind, PostroomError

LIMIT = 1024 * 1024
WHEN = 1_000_000_000


def put(
    folder: Path, name: str, content: bytes = b"Subject: x\n\nbody\n", when: int = WHEN
) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)
    os.utime(file, (when, when))
    return file


def by_mailbox(entries: list[Entry]) -> dict[str, list[Entry]]:
    found: dict[str, list[Entry]] = {}
    for entry in entries:
        found.setdefault(entry.mailbox, []).append(entry)
    return found


def test_messages_of_cur_and_new_with_their_flags(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.a.host:2,FRS", when=WHEN)
    put(tmp_path, "cur/2.b.host:2,DTP", when=WHEN + 1)
    put(tmp_path, "cur/3.c.host,S=17:2,", when=WHEN + 2)
    put(tmp_path, "new/4.d.host", when=WHEN + 3)
    put(tmp_path, "tmp/5.e.host")
    put(tmp_path, "cur/.hidden")
    flags = [set(entry.read(LIMIT).flags) for entry in read_maildir(tmp_path, "INBOX")]
    assert flags == [
        {"\\Flagged", "\\Answered", "\\Seen"},
        {"\\Draft", "\\Deleted", "$Forwarded"},
        set(),
        set(),
    ]


def test_lower_case_flags_are_keywords_that_a_file_names(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.a:2,Sabz")
    (tmp_path / "dovecot-keywords").write_text("0 $Junk\n1 work\nnonsense\n")
    (entry,) = read_maildir(tmp_path, "INBOX")
    assert set(entry.read(LIMIT).flags) == {"\\Seen", "$Junk", "work"}


def test_bare_lf_becomes_crlf_and_the_rest_stays(tmp_path: Path) -> None:
    put(tmp_path, "new/1", b"Subject: x\n\nbare\rcr\nno final newline", WHEN)
    put(tmp_path, "new/2", b"Subject: x\r\n\r\nmixed\nlines\r\n", WHEN + 1)
    put(tmp_path, "new/3", b"Subject: x\r\n\r\ncrlf\r\r\n", WHEN + 2)
    assert [entry.read(LIMIT).content for entry in read_maildir(tmp_path, "INBOX")] == [
        b"Subject: x\r\n\r\nbare\rcr\r\nno final newline",
        b"Subject: x\r\n\r\nmixed\r\nlines\r\n",
        b"Subject: x\r\n\r\ncrlf\r\r\n",
    ]


def test_subfolders_become_mailboxes(tmp_path: Path) -> None:
    put(tmp_path, "cur/1:2,")
    put(tmp_path, ".Sent.2024/cur/2:2,")
    put(tmp_path, ".Entw&APw-rfe/cur/3:2,")
    (tmp_path / ".not-one").mkdir()
    (tmp_path / "plain" / "cur").mkdir(parents=True)
    assert set(by_mailbox(read_maildir(tmp_path, "INBOX"))) == {"INBOX", "Sent/2024", "Entwürfe"}
    assert set(by_mailbox(read_maildir(tmp_path, "Old"))) == {
        "Old",
        "Old/Sent/2024",
        "Old/Entwürfe",
    }


@pytest.mark.parametrize(
    ("folder", "mailbox"),
    [
        (".a&-b", "a&b"),
        (".&U,BTFw-", "台北"),
        (".Gr\u00f6\u00dfe", "Größe"),
        (".&brokenx-", "&brokenx-"),
        (".&2D0-", "&2D0-"),
    ],
)
def test_names_are_in_modified_utf_7_or_utf_8(folder: str, mailbox: str) -> None:
    assert mailbox_of(folder) == mailbox


def test_the_date_is_the_earlier_of_file_time_and_delivery_time(tmp_path: Path) -> None:
    put(tmp_path, f"cur/{WHEN}.kept.host:2,", when=WHEN - 5000)  # as IMAP servers keep dates
    put(tmp_path, f"cur/{WHEN}.copied.host:2,", when=WHEN + 5000)  # by a copy without times
    put(tmp_path, "cur/17.odd.host:2,", when=WHEN)
    dates = [entry.read(LIMIT).internaldate for entry in read_maildir(tmp_path, "INBOX")]
    assert dates == [WHEN - 5000, WHEN, WHEN]


def test_an_identity_stays_when_flags_change_and_mail_is_seen(tmp_path: Path) -> None:
    file = put(tmp_path, "new/1.a.host")
    (before,) = read_maildir(tmp_path, "INBOX")
    (tmp_path / "cur").mkdir()
    file.rename(tmp_path / "cur" / "1.a.host:2,S")
    (after,) = read_maildir(tmp_path, "INBOX")
    assert before.identity == after.identity


def test_two_files_with_one_unique_name_are_two_messages(tmp_path: Path) -> None:
    put(tmp_path, "cur/1.a:2,S")
    put(tmp_path, "cur/1.a:2,F")
    assert len({entry.identity for entry in read_maildir(tmp_path, "INBOX")}) == 2


def test_oldest_first(tmp_path: Path) -> None:
    for number in (3, 1, 2):
        put(tmp_path, f"cur/{number}.x:2,", b"%d" % number, WHEN + number)
    contents = [entry.read(LIMIT).content for entry in read_maildir(tmp_path, "INBOX")]
    assert contents == [b"1", b"2", b"3"]


def test_what_has_neither_cur_nor_new_is_no_maildir(tmp_path: Path) -> None:
    with pytest.raises(PostroomError, match="is not a Maildir") as refused:
        read_maildir(tmp_path, "INBOX")
    assert refused.value.kind is Kind.INVALID


def test_a_message_that_is_gone_or_too_large_says_so(tmp_path: Path) -> None:
    put(tmp_path, "cur/1:2,").unlink()
    put(tmp_path, "cur/1:2,", b"x" * 2000)
    (entry,) = read_maildir(tmp_path, "INBOX")
    with pytest.raises(Unimportable, match="2,000 bytes"):
        entry.read(1000)
    (tmp_path / "cur" / "1:2,").unlink()
    with pytest.raises(Unimportable, match="can't be read: No such file"):
        entry.read(1000)
