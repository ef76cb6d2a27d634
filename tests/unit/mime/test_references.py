import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import limits
from postroom_mime.references import parse_ids, parse_message_id, parse_references


@pytest.mark.parametrize(
    ("field", "ids"),
    [
        (b"", []),
        (b"<a@b>", ["a@b"]),
        (b"<a@b> <c@d>\r\n <e@f>", ["a@b", "c@d", "e@f"]),
        (b"<a@b><c@d>", ["a@b", "c@d"]),
        (b"<a@b> <a@b>", ["a@b"]),
        # RFC 5256 section 3: these are the same
        (
            b'<"01KF8JCEOCBS0045PS"@xxx.yyy.com> <01KF8JCEOCBS0045PS@xxx.yyy.com>',
            ["01KF8JCEOCBS0045PS@xxx.yyy.com"],
        ),
        (b'<"a\\b"@c>', ["ab@c"]),
        (b"< a @\tb >", ["a@b"]),
        (b"your message of Tuesday <a@b>", ["a@b"]),
        (b"no id, <none>, <>, <open@x", []),
        (b"<a@\xff>", ["a@\ufffd"]),
        (b"<" + b"x" * limits.ID_BYTES + b"@y>", []),
    ],
)
def test_parse_ids(field: bytes, ids: list[str]) -> None:
    assert parse_ids(field) == ids


def test_message_id() -> None:
    assert parse_message_id(b"<a@b> <c@d>") == "a@b"
    assert parse_message_id(b"none") is None


def test_references_before_in_reply_to() -> None:
    assert parse_references(b"<a@b> <c@d>", b"<e@f>") == ("a@b", "c@d")
    assert parse_references(b"none", b"<e@f> <g@h>") == ("e@f",)
    assert parse_references(b"", b"") == ()


def test_long_threads_keep_their_root_and_the_latest() -> None:
    field = b" ".join(b"<%d@x>" % n for n in range(1000))
    references = parse_references(field, b"")
    assert len(references) == limits.REFERENCES
    assert (references[0], references[1], references[-1]) == ("0@x", "745@x", "999@x")


@given(st.binary(max_size=80) | st.text('<>@" \\a', max_size=30).map(str.encode))
def test_any_bytes_are_references(field: bytes) -> None:
    for reference in parse_references(field, field):
        assert "@" in reference
        assert "\0" not in reference
        reference.encode()
