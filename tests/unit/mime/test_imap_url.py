"""IMAP URLs of messages and parts (RFC 5092, RFC 4467)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import UrlAuth, parse_imap_url

# RFC 4467 section 5 has such a one.
WHOLE = (
    "imap://joe@example.com/INBOX/;uid=20/;section=1.2;expire=2030-01-01T01:00:00+01:00"
    ";urlauth=submit+fred:internal:91354a473744909de610943775f92038"
)


def test_a_whole_url() -> None:
    url = parse_imap_url(WHOLE)
    assert (url.user, url.host, url.mailbox) == ("joe", "example.com", "INBOX")
    assert (url.uid_validity, url.uid, url.section, url.partial) == (None, 20, "1.2", None)
    assert url.expire == 1_893_456_000
    assert url.auth == UrlAuth("submit", "fred", "internal", "91354a473744909de610943775f92038")
    assert url.rump == WHOLE.partition(":internal")[0]


def test_a_rump_url() -> None:
    text = "IMAP://joe%40example.org;AUTH=*@example.com:143/a%2fb/;UID=7;URLAUTH=anonymous"
    url = parse_imap_url(text)
    assert (url.user, url.host, url.mailbox) == ("joe@example.org", "example.com:143", "a/b")
    assert url.auth == UrlAuth("anonymous", "", "", "")
    assert url.rump == text


def test_every_parameter_in_its_order() -> None:
    url = parse_imap_url("/Entw%C3%BCrfe;UIDVALIDITY=9/;UID=1/;SECTION=HEADER/;PARTIAL=3.4")
    assert (url.mailbox, url.uid_validity, url.uid) == ("Entwürfe", 9, 1)
    assert (url.section, url.partial) == ("HEADER", (3, 4))
    assert parse_imap_url("/x/;UID=1/;PARTIAL=3").partial == (3, None)


@pytest.mark.parametrize(
    ("text", "base", "mailbox"),
    [
        ("/a/b/;UID=1", "c", "a/b"),
        ("/a/b/;UID=1", None, "a/b"),
        (";UID=1", "c/d", "c/d"),
        (";UID=1", None, None),
        ("b/;UID=1", "c/d", "c/b"),
        ("b/;UID=1", "c", "b"),
        ("b/;UID=1", None, "b"),
    ],
)
def test_what_relative_ones_mean(text: str, base: str | None, mailbox: str | None) -> None:
    assert parse_imap_url(text).mailbox_from(base) == mailbox


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "/INBOX",
        "/INBOX;UIDVALIDITY=3",
        "/INBOX;UID=3",
        "/INBOX/;UIDVALIDITY=3/;UID=3",
        "/INBOX/;UID=0",
        "/INBOX/;UID=4294967296",
        "/INBOX/;UID=1;UID=1",
        "/INBOX/;UID=1/;PARTIAL=1.2/;SECTION=1",
        "/INBOX/;UID=1/;PARTIAL=1.0",
        "/INBOX/;UID=1;SECTION=1",
        "/INBOX/;UID=1/",
        "/INBOX/;UID=1/;NONSENSE=1",
        "/;UID=1",
        "//host/INBOX/;UID=1",
        "/IN BOX/;UID=1",
        "/IN%BOX/;UID=1",
        "/IN%00BOX/;UID=1",
        "/IN%FFBOX/;UID=1",
        "/INBÖX/;UID=1",
        "/INBOX/;UID=1#x",
        "/INBOX?SUBJECT%20x",
        "imap://example.org",
        "imap://example.org/",
        "imap://example.org/;UID=1",
        "imap:///INBOX/;UID=1",
        "http://example.org/INBOX/;UID=1",
        "/INBOX/;UID=1;EXPIRE=2030-01-01T00:00:00Z",
        "/INBOX/;UID=1;EXPIRE=2030-13-01T00:00:00Z;URLAUTH=anonymous",
        "/INBOX/;UID=1;EXPIRE=tomorrow;URLAUTH=anonymous",
        "/INBOX/;UID=1;URLAUTH=nobody",
        "/INBOX/;UID=1;URLAUTH=user+",
        "/INBOX/;UID=1;URLAUTH=anonymous:internal:1234",
        "/INBOX/;UID=1;URLAUTH=anonymous:internal",
        "/" + "x" * 9000 + "/;UID=1",
    ],
)
def test_what_is_none(text: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011
        parse_imap_url(text)


PIECES = st.sampled_from(
    ["imap://", "joe", "@", "/", ";", "UID=", "1", "UIDVALIDITY=", "SECTION=", "PARTIAL=",
     ".", "%41", "%", "EXPIRE=", "2030-01-01T00:00:00Z", "URLAUTH=", "user+", "anonymous", ":",
     "internal"]
)  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=3), max_size=20).map("".join))
def test_whatever_comes_is_a_url_or_none(text: str) -> None:
    try:
        url = parse_imap_url(text)
    except ValueError:
        return
    assert text.startswith(url.rump)
    assert url.uid > 0
