"""Rights as letters (RFC 4314 section 2.1)."""

import pytest
from postroom_imap.protocol.rights import (
    ALL,
    ANNOTATE,
    NEW,
    VIRTUAL,
    annotates,
    changes,
    meant,
    settable,
    told,
    unknown,
)


@pytest.mark.parametrize(
    ("rights", "letters"),
    [
        ("", ""),
        ("lr", "lr"),
        ("lrswikta", "lrswiktcda"),
        ("x", "xc"),
        ("e", "ed"),
        (ALL, "lrswipkxtecdan"),
    ],
)
def test_virtual_rights_are_told_where_one_of_theirs_is(rights: str, letters: str) -> None:
    assert told(rights) == letters


@pytest.mark.parametrize(
    ("letters", "rights"),
    [("", ""), ("lrswikda", "lrswiktea"), ("c", "kx"), ("d", "te"), ("dte", "te"), ("rl", "lr")],
)
def test_virtual_rights_are_taken_for_all_of_theirs(letters: str, rights: str) -> None:
    assert meant(letters) == rights


def test_what_is_told_is_meant_where_all_of_a_virtual_right_is_there() -> None:
    assert meant(told(ALL)) == ALL
    assert {*NEW} == {right for some in VIRTUAL.values() for right in some} | {ANNOTATE}


def test_letters_of_no_right() -> None:
    assert unknown("lrswipkxtecdan") == ""
    assert unknown("lq0r ") == "q0 "


def test_what_rights_let_people_do() -> None:
    assert not changes("lrpkxa")
    assert all(changes(right) for right in "swite")
    assert annotates("lr")
    assert not annotates("l")
    assert not annotates("rswip")


def test_flags_and_the_rights_they_need() -> None:
    flags = ["\\SEEN", "\\Deleted", "\\Flagged", "$Todo", "\\*"]
    assert settable(flags, "s") == ["\\SEEN"]
    assert settable(flags, "t") == ["\\Deleted"]
    assert settable(flags, "w") == ["\\Flagged", "$Todo", "\\*"]
    assert settable(flags, "lrie") == []
