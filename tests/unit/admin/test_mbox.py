"""mbox, as others write it and as we do."""

from __future__ import annotations

import mailbox as stdlib
import os
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_admin.model import NewMessage, StoredMessage
from postroom_admin.transfer.entry import Unimportable
from postroom_admin.transfer.mbox import (
    file_of,
    format_message,
    mailbox_of,
    parse_message,
    read_mbox,
    spans,
)
from postroom_chassis.errors import Kind, PostroomError

from tests.harness.corpus import bare_line_breaks, corpus, with_nul

LIMIT = 64 * 1024 * 1024
FROM = b"From terry@example.org Mon Feb  7 21:52:25 1994\n"
WHEN = int(datetime(1994, 2, 7, 21, 52, 25, tzinfo=UTC).timestamp())
EVERYTHING = corpus() | bare_line_breaks() | with_nul()


def read(tmp_path: Path, data: bytes) -> list[NewMessage]:
    file = tmp_path / "test.mbox"
    file.write_bytes(data)
    return [entry.read(LIMIT) for entry in read_mbox(file, "INBOX")]


def contents(tmp_path: Path, data: bytes) -> list[bytes]:
    return [message.content for message in read(tmp_path, data)]


def test_lines_get_crlf_and_the_separating_line_goes(tmp_path: Path) -> None:
    data = FROM + b"Subject: a\n\none\n\n" + FROM + b"Subject: b\n\ntwo\n\n"
    assert contents(tmp_path, data) == [b"Subject: a\r\n\r\none\r\n", b"Subject: b\r\n\r\ntwo\r\n"]


def test_a_file_with_crlf_is_read_as_well(tmp_path: Path) -> None:
    data = (FROM + b"Subject: a\n\none\n\n" + FROM + b"\ntwo\n\n").replace(b"\n", b"\r\n")
    assert contents(tmp_path, data) == [b"Subject: a\r\n\r\none\r\n", b"\r\ntwo\r\n"]


def test_quoting_is_taken_off_once(tmp_path: Path) -> None:
    data = FROM + b"\n>From here\n>>From there\n> From\nx >From\n\n"
    assert contents(tmp_path, data) == [b"\r\nFrom here\r\n>From there\r\n> From\r\nx >From\r\n"]


def test_a_line_in_a_body_that_only_begins_with_from_is_text(tmp_path: Path) -> None:
    body = b"\nDear all,\n\nFrom now on: no more.\nFrom a@b Mon Feb  7 21:52:25 1994\n"
    (only,) = contents(tmp_path, FROM + body + b"\n")
    assert only == body.replace(b"\n", b"\r\n")


def test_no_final_newline(tmp_path: Path) -> None:
    assert contents(tmp_path, FROM + b"\nlast line") == [b"\r\nlast line"]
    assert contents(tmp_path, FROM + b"\nlast line\n") == [b"\r\nlast line\r\n"]


def test_empty_messages(tmp_path: Path) -> None:
    assert contents(tmp_path, FROM + b"\n" + FROM + b"\n\n" + FROM) == [b"", b"\r\n", b""]


def test_an_empty_file_has_no_messages(tmp_path: Path) -> None:
    assert contents(tmp_path, b"") == []


@pytest.mark.parametrize("data", [b"Subject: a mail\n\nbody\n", b"\n" + FROM, b"\0" * 5000])
def test_what_does_not_begin_with_from_is_no_mbox(tmp_path: Path, data: bytes) -> None:
    with pytest.raises(PostroomError) as refused:
        read(tmp_path, data)
    assert refused.value.kind is Kind.INVALID
    assert "is not an mbox" in refused.value.message


@pytest.mark.parametrize(
    ("line", "when"),
    [
        (b"From a Mon Feb  7 21:52:25 1994", WHEN),
        (b"From - Mon Feb 07 21:52:25 1994", WHEN),
        (b"From a@b Mon Feb  7 21:52:25 +0100 1994", WHEN - 3600),
        (b"From a@b Mon Feb  7 21:52:25 1994 -0800", WHEN + 8 * 3600),
        (b"From a@b Mon Feb  7 21:52 1994", WHEN - 25),
        (b"From a b c Mon Feb  7 21:52:25 PST 1994", WHEN),
    ],
)
def test_the_from_line_has_the_date(tmp_path: Path, line: bytes, when: int) -> None:
    data = FROM + b"\none\n\n" + line + b"\n\ntwo\n\n"
    assert [message.internaldate for message in read(tmp_path, data)] == [WHEN, when]


def test_a_date_field_stands_in_for_it_and_the_files_time_for_that(tmp_path: Path) -> None:
    dated = b"From nobody\nDate: Mon, 7 Feb 1994 21:52:25 +0000\n\nbody\n"
    assert read(tmp_path, dated)[0].internaldate == WHEN
    file = tmp_path / "undated.mbox"
    file.write_bytes(b"From nobody\nDate: whenever\n\nbody\n")
    os.utime(file, (WHEN, WHEN))
    assert read_mbox(file, "INBOX")[0].read(LIMIT).internaldate == WHEN


@pytest.mark.parametrize(
    ("fields", "flags"),
    [
        (b"Status: RO\n", {"\\Seen"}),
        (b"Status: O\nX-Status: AFDT\n", {"\\Answered", "\\Flagged", "\\Deleted", "\\Draft"}),
        (b"X-Keywords: $Junk work   \n", {"$Junk", "work"}),
        (b"X-Mozilla-Status: 0005\n", {"\\Seen", "\\Flagged"}),
        (b"X-Mozilla-Status: nothing\nX-Mozilla-Keys: $label1\n", {"$label1"}),
        (b"Subject: x\n\nStatus: RO\n", set()),
    ],
)
def test_status_fields_have_the_flags(tmp_path: Path, fields: bytes, flags: set[str]) -> None:
    (message,) = read(tmp_path, FROM + fields + b"\nbody\n\n")
    assert set(message.flags) == flags
    assert message.content.startswith(fields.replace(b"\n", b"\r\n"))


def test_deleted_in_thunderbird_and_folder_data_are_left_out(tmp_path: Path) -> None:
    data = (
        FROM
        + b"Subject: DON'T DELETE THIS MESSAGE -- FOLDER INTERNAL DATA\nX-IMAP: 1 2\n\nx\n\n"
        + FROM
        + b"X-Mozilla-Status: 0009\n\ngone\n\n"
        + FROM
        + b"\nhere\n\n"
    )
    assert contents(tmp_path, data) == [b"\r\nhere\r\n"]


def test_equal_messages_have_identities_of_their_own_that_stay(tmp_path: Path) -> None:
    file = tmp_path / "a.mbox"
    file.write_bytes((FROM + b"\nsame\n\n") * 2 + FROM + b"\nother\n\n")
    before = [entry.identity for entry in read_mbox(file, "INBOX")]
    assert len(set(before)) == 3
    file.write_bytes(FROM + b"\nnew\n\n" + file.read_bytes())
    assert [entry.identity for entry in read_mbox(file, "INBOX")][1:] == before


def test_a_large_message_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "a.mbox"
    file.write_bytes(FROM + b"\n" + b"x" * 5000 + b"\n\n")
    (entry,) = read_mbox(file, "INBOX")
    with pytest.raises(Unimportable, match="5,002 bytes, and 1,000 is the most"):
        entry.read(1000)


@pytest.mark.parametrize("name", EVERYTHING)
def test_what_was_exported_comes_back_byte_for_byte(tmp_path: Path, name: str) -> None:
    stored = StoredMessage(1, EVERYTHING[name], ("\\Seen", "$Forwarded", "\\Draft"), WHEN)
    between = StoredMessage(2, b"Subject: between\r\n\r\n.\r\n", (), WHEN + 1)
    data = b"".join(map(format_message, [stored, between, stored]))
    found = read(tmp_path, data)
    assert [one.content for one in found] == [stored.content, between.content, stored.content]
    assert [set(one.flags) for one in found] == [set(stored.flags), set(), set(stored.flags)]
    assert [one.internaldate for one in found] == [WHEN, WHEN + 1, WHEN]


MAIL = st.lists(
    st.sampled_from(
        [b"\n", b"\r\n", b"\r", b"From ", FROM, b">", b"Status: RO\r\n", b"X-Status:\n", b"a", b""]
    ),
    max_size=30,
).map(b"".join)


@given(st.lists(MAIL, min_size=1, max_size=4))
def test_any_bytes_come_back(mails: list[bytes]) -> None:
    data = b"".join(
        format_message(StoredMessage(uid, mail, (), WHEN)) for uid, mail in enumerate(mails)
    )
    found = [
        parse_message(data[one.start : one.content], data[one.content : one.end]).content
        for one in spans(data)
    ]
    assert found == mails


@given(st.binary(max_size=500))
def test_reading_never_fails_and_loses_nothing_but_separators(data: bytes) -> None:
    kept = sum(one.end - one.content for one in spans(FROM + data))
    assert kept <= len(data)
    for one in spans(FROM + data):
        parse_message((FROM + data)[one.start : one.content], (FROM + data)[one.content : one.end])


def test_a_message_that_was_edited_after_the_export_is_taken_as_it_is(tmp_path: Path) -> None:
    data = format_message(StoredMessage(1, b"Subject: a\r\n\r\nbody", (), WHEN))
    assert contents(tmp_path, data.replace(b"body", b"longer body")) == [
        b"Subject: a\r\n\r\nlonger body\r\n"
    ]


def test_other_readers_find_the_same_messages(tmp_path: Path) -> None:
    mails = {name: mail for name, mail in corpus().items() if mail.startswith(b"Return-Path")}
    file = tmp_path / "all.mbox"
    file.write_bytes(
        b"".join(format_message(StoredMessage(1, mail, (), WHEN)) for mail in mails.values())
    )
    opened = stdlib.mbox(file, create=False)
    try:
        assert len(opened) == len(mails)
    finally:
        opened.close()


def test_the_from_line_names_the_return_path_and_the_date() -> None:
    line = format_message(
        StoredMessage(1, b"Return-Path: <terry@example.org>\r\n\r\n", ("\\Seen",), WHEN)
    ).splitlines()[0]
    assert line == FROM.rstrip(b"\n")


@pytest.mark.parametrize("when", [0, -1, -(10**12), 10**13, 4_000_000_000, -30_610_224_000])
def test_messages_of_any_date_are_found_again(when: int) -> None:
    long_path = b"Return-Path: <" + b"x" * 5000 + b">\r\n\r\n"
    mails = [StoredMessage(uid, long_path, (), when) for uid in range(3)]
    data = b"".join(map(format_message, mails))
    found = [
        parse_message(data[one.start : one.content], data[one.content : one.end])
        for one in spans(data)
    ]
    assert [one.content for one in found] == [long_path] * 3
    assert found[0].internaldate == min(max(when, -30_610_224_000), 253_402_300_799)


@given(st.integers(-30_610_224_000, 253_402_300_799))
def test_dates_come_back(when: int) -> None:
    data = format_message(StoredMessage(1, b"", (), when))
    (one,) = spans(data)
    assert parse_message(data[: one.content], data[one.content :]).internaldate == when


def test_a_header_that_repeats_a_mark_costs_no_more_than_another(tmp_path: Path) -> None:
    body = b"X-IMAP: 1\n" * 100_000 + b"\nbody\n"
    assert contents(tmp_path, FROM + body) == [body.replace(b"\n", b"\r\n")]


@pytest.mark.parametrize(
    ("mailbox", "file"),
    [
        ("INBOX", "INBOX.mbox"),
        ("Sent/2024", "Sent/2024.mbox"),
        ("Größe 🚆", "Größe 🚆.mbox"),
        ("../../etc/passwd", "%2E./%2E./etc/passwd.mbox"),
        (".hidden/..", "%2Ehidden/%2E..mbox"),
        ("a.mbox/b", "a%2Embox/b.mbox"),
        ("100%", "100%25.mbox"),
    ],
)
def test_mailboxes_have_files_that_stay_in_the_folder(mailbox: str, file: str) -> None:
    assert str(file_of(mailbox)) == file
    assert mailbox_of(Path(file)) == mailbox


def test_a_folder_of_mboxes_is_read_as_mailboxes(tmp_path: Path) -> None:
    (tmp_path / "Sent").mkdir()
    for name in ("INBOX", "Sent/2024"):
        (tmp_path / f"{name}.mbox").write_bytes(FROM + b"\n" + name.encode() + b"\n\n")
    found = {entry.mailbox: entry.read(LIMIT).content for entry in read_mbox(tmp_path, "INBOX")}
    assert found == {"INBOX": b"\r\nINBOX\r\n", "Sent/2024": b"\r\nSent/2024\r\n"}
    assert {one.mailbox for one in read_mbox(tmp_path, "Old")} == {"Old/INBOX", "Old/Sent/2024"}


def test_a_folder_without_mboxes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PostroomError, match="holds no file"):
        read_mbox(tmp_path, "INBOX")
