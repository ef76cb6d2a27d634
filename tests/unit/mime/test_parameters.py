import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import limits
from postroom_mime.parameters import (
    ContentType,
    decode_param,
    parse_content_type,
    parse_disposition,
    parse_languages,
    parse_word,
)


@pytest.mark.parametrize(
    ("value", "parsed"),
    [
        (b"text/plain", ("text", "plain", ())),
        (b"TEXT/Plain; Charset=UTF-8", ("text", "plain", ((b"Charset", b"UTF-8"),))),
        # RFC 2045 section 5.1: the same value twice
        (
            b"text/plain; charset=us-ascii (Plain text)",
            ("text", "plain", ((b"charset", b"us-ascii"),)),
        ),
        (b'text/plain; charset="us-ascii"', ("text", "plain", ((b"charset", b"us-ascii"),))),
        (
            b'a/b;c="d;e=\\"f\\"" ; g = h;;',
            ("a", "b", ((b"c", b'd;e="f"'), (b"g", b"h"))),
        ),
        (b'a/b; c="open; d=e', ("a", "b", ((b"c", b"open; d=e"),))),
        (b"a/b; c=d e f; g", ("a", "b", ((b"c", b"d e f"),))),
        (b"a/b; c=", ("a", "b", ((b"c", b""),))),
        (b"application/vnd.x+json", ("application", "vnd.x+json", ())),
        (b"", None),
        (b"text", None),
        (b"/plain", None),
        (b"\xff/\xff", None),
    ],
)
def test_content_type(value: bytes, parsed: ContentType | None) -> None:
    assert parse_content_type(value) == parsed


def test_number_of_parameters_is_bounded() -> None:
    parsed = parse_content_type(b"a/b" + b"; c=d" * (limits.PARAMS + 1))
    assert parsed is not None
    assert len(parsed.params) == limits.PARAMS


def test_disposition() -> None:
    assert parse_disposition(b"Attachment; filename=x") == ("attachment", ((b"filename", b"x"),))
    assert parse_disposition(b"; filename=x") is None


def test_word() -> None:
    assert parse_word(b"Base64 ") == "base64"
    assert parse_word(b"(really) 7BIT") == "7bit"
    assert parse_word(b"") is None


def test_languages() -> None:
    assert parse_languages(b"en, de-AT (Austrian), , f r,") == (b"en", b"de-AT")


def decode(value: bytes, name: str) -> str | None:
    parsed = parse_content_type(b"x/x; " + value)
    assert parsed is not None
    return decode_param(parsed.params, name)


@pytest.mark.parametrize(
    ("value", "name", "text"),
    [
        # the examples of RFC 2231 sections 3 and 4
        (
            b'URL*0="ftp://"; URL*1="cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"',
            "url",
            "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar",
        ),
        (
            b"title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            "title",
            "This is ***fun***",
        ),
        (
            b"title*0*=us-ascii'en'This%20is%20even%20more%20;"
            b'title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2="isn\'t it!"',
            "title",
            "This is even more ***fun*** isn't it!",
        ),
        (b"a*=utf-8''%C3%A4; a=b", "a", "ä"),
        (b"a*=%C3%A4", "a", "ä"),
        (b"a*=nonsense''%e4", "a", "ä"),
        (b"a*0*=iso-8859-1''%E4; a*1*=%F6", "a", "äö"),
        (b"a*0=x; a*2=z", "a", "x"),
        (b"a*1=y", "a", None),
        (b"a*0*=x%20y", "a", "x y"),
        (b'a="=?utf-8?B?w6Q=?="', "a", "ä"),
        (b"a=\xc3\xa4", "a", "ä"),
        (b"a=1; a=2", "A", "1"),
        (b"b=1", "a", None),
    ],
)
def test_decode_param(value: bytes, name: str, text: str | None) -> None:
    assert decode(value, name) == text


@given(st.binary(max_size=100) | st.text(" ;=\"\\()*0'%fax/", max_size=40).map(str.encode))
def test_any_bytes_are_parameters(value: bytes) -> None:
    parse_disposition(value)
    parse_languages(value)
    for params in (parse_content_type(b"a/b;" + value), parse_content_type(value)):
        if params:
            assert isinstance(decode_param(params.params, "a"), str | None)
