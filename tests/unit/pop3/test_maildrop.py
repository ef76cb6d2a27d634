"""Numbers and marks (RFC 1939 section 5)."""

from __future__ import annotations

import pytest
from postroom_pop3.protocol.maildrop import Maildrop, NoSuchMessage, Snapshot


def drop() -> Maildrop:
    return Maildrop(Snapshot(3, [10, 12, 19], [100, 200, 400]))


def test_marks_take_messages_out_and_reset_brings_them_back() -> None:
    maildrop = drop()
    maildrop.mark(2)
    assert (len(maildrop), maildrop.octets, maildrop.deleted_uids) == (2, 500, [12])
    assert "".join(maildrop.scan_listing()) == "1 100\r\n3 400\r\n"
    assert "".join(maildrop.unique_id_listing()) == "1 3.10\r\n3 3.19\r\n"
    maildrop.unmark_all()
    assert (len(maildrop), maildrop.octets, maildrop.deleted_uids) == (3, 700, [])


@pytest.mark.parametrize("number", [0, -1, 2, 4, 10**9])
def test_there_is_no_message_by_such_a_number(number: int) -> None:
    maildrop = drop()
    maildrop.mark(2)
    with pytest.raises(NoSuchMessage):
        maildrop.index(number)
    with pytest.raises(NoSuchMessage):
        maildrop.mark(number)


def test_numbers_stay_when_others_are_marked() -> None:
    maildrop = drop()
    maildrop.mark(1)
    assert maildrop.unique_id(maildrop.index(3)) == "3.19"
    assert maildrop.following(0, 5) == [1, 2]


def test_a_snapshot_has_a_size_for_each_uid() -> None:
    with pytest.raises(ValueError, match="size"):
        Snapshot(1, [1, 2], [3])
