import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime.normal_form import normal_form

# Sorted by insertion, these would take minutes.
HOSTILE = ["\u0301\u0323", "\u0301\uff9e", "\uff9f\u0301", "\u0f73\u0301", "\u0301\u0f81"]


@pytest.mark.parametrize("marks", HOSTILE)
def test_runs_of_marks_are_cut(marks: str) -> None:
    assert len(normal_form("NFKC", "a" + marks * 100_000)) <= 61
    assert normal_form("NFKD", marks * 5 + "a" + marks * 5) == unicodedata.normalize(
        "NFKD", marks * 5 + "a" + marks * 5
    )


def test_signs_that_are_no_marks_are_kept() -> None:
    line = "\u2014" * 100 + "\U0001f600" * 100
    assert normal_form("NFKC", line) == line


@given(st.text(max_size=30))
def test_ordinary_text_is_normalised_as_ever(text: str) -> None:
    assert normal_form("NFKC", text) == unicodedata.normalize("NFKC", text)
