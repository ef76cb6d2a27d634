import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime.markup import strip_markup


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("", ""),
        ("plain", "plain"),
        ("<p>one</p><p>two</p>", "one two"),
        ("<b>bo</b>ld <span style='x'>te</span>xt", "bold text"),
        ("a<br>b<br/>c<BR />d", "a b c d"),
        ("<td>a</td><td>b", "a b"),
        ("a &amp; b &lt;c&gt; &#228;&nbsp;&bogus;", "a & b <c> ä &bogus;"),
        ("a<!-- x > y -->b", "a b"),
        ("a<style type='x'>p > q { }</style >b", "a b"),
        ("a<SCRIPT>if (x < y) </Script>b", "a b"),
        ("<title>x</title>a", "a"),
        ("<titles>x", "x"),
        ("a<!-- open", "a"),
        ("a<style>open", "a"),
        ("a<p open", "a"),
        ("a<p open <b>b", "a b"),
        ("a&#99999999;b&#" + "1" * 5_000 + ";c", "a\ufffdb\ufffdc"),
        ("&#x" + "f" * 5_000 + ";&#0;&#xD800;", "\ufffd\ufffd\ufffd"),
        ("1 < 2 and 3 > 2", "1 < 2 and 3 > 2"),
        ("<3 you", "<3 you"),
        ("<!DOCTYPE html><?xml x?><html>a", "a"),
        ("<bold>x", "x"),
    ],
)
def test_strip_markup(source: str, text: str) -> None:
    assert " ".join(strip_markup(source).split()) == text


@given(st.text("<>!-/ &;#b styleScript", max_size=60))
def test_any_text_is_markup(source: str) -> None:
    assert isinstance(strip_markup(source), str)


@pytest.mark.parametrize(
    "unit", ["<", "<!--", "<style>", "<b", "<b>", "&", "&#", "</", "<p ", "<a <", "<script ", "--"]
)
def test_hostile_markup_ends(unit: str) -> None:
    # A pattern that reads on to the end from every one of these would take minutes.
    assert len(strip_markup(unit * 200_000)) <= len(unit) * 200_000
