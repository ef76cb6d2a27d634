import pytest
from postroom_mime import COLLATIONS, casemap


@pytest.mark.parametrize(
    ("text", "mapped"),
    [
        ("", ""),
        ("aB_c", "AB_C"),
        ("ä", "A\u0308"),
        ("Ä", "A\u0308"),
        ("ß", "ß"),
        ("ǆ", "D\u007a\u030c"),
        ("ﬁ", "fi"),
        ("é", "E\u0301"),
        ("σς", "ΣΣ"),
    ],
)
def test_casemap(text: str, mapped: str) -> None:
    assert casemap(text) == mapped


def test_marks_beyond_thirty_in_a_row_are_dropped() -> None:
    assert len(casemap("a" + "\u0301\u0323" * 100_000)) == 31


def test_order_is_that_of_i_ascii_casemap() -> None:
    assert sorted(["b", "_", "A"], key=casemap) == ["A", "b", "_"]


@pytest.mark.parametrize(
    ("collation", "mapped"),
    [
        ("i;unicode-casemap", "AO\u0308"),
        ("i;ascii-casemap", "A\u00f6"),
        ("i;octet", "a\u00f6"),
    ],
)
def test_collations(collation: str, mapped: str) -> None:
    assert COLLATIONS[collation]("a\u00f6") == mapped
