"""Modified UTF-7 (RFC 3501 section 5.1.3), INBOX, and names of what others share."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_imap.protocol.mailbox_name import (
    MOST_OWNERS,
    canonical,
    decode,
    encode,
    is_shared,
    owners_in,
)

PAIRS = [
    ("INBOX", b"INBOX"),
    ("", b""),
    ("R&D", b"R&-D"),
    ("&&", b"&-&-"),
    ("~peter/mail/台北/日本語", b"~peter/mail/&U,BTFw-/&ZeVnLIqe-"),  # RFC 3501 section 5.1.3
    ("été & hiver", b"&AOk-t&AOk- &- hiver"),
    ("é&", b"&AOk-&-"),
    ("😀", b"&2D3eAA-"),
    ("a\tb", b"a&AAk-b"),
]


@pytest.mark.parametrize(("name", "wire"), PAIRS)
def test_both_ways(name: str, wire: bytes) -> None:
    assert encode(name) == wire
    assert decode(wire) == name


@given(st.text())
def test_decode_undoes_encode(name: str) -> None:
    wire = encode(name)
    assert decode(wire) == name
    assert all(0x20 <= octet <= 0x7E for octet in wire)


@pytest.mark.parametrize(
    "wire",
    [
        b"R&D",
        b"&",
        b"&Jjo!",  # RFC 3501 section 5.1.3: does not shift back
        b"&U,BTFw-&ZeVnLIqe-",  # the same: a superfluous shift
        b"&AGE-",  # "a", which stands for itself
        b"&ACY-",  # "&" is "&-"
        b"&AOl-",  # bits left over
        b"&A-",
        b"&2D0-",  # half of a surrogate pair
        b"&AOk=-",
        b"caf\xc3\xa9",
        b"a\tb",
    ],
)
def test_one_spelling_only(wire: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(wire)


@given(st.binary() | st.text("&-,+AOk2Dé").map(str.encode))
def test_any_bytes_are_a_name_or_a_value_error(wire: bytes) -> None:
    try:
        name = decode(wire)
    except ValueError:
        return
    assert encode(name) == wire


def test_a_lone_surrogate_is_no_name() -> None:
    with pytest.raises(ValueError, match="surrogates"):
        encode("\ud800")


@pytest.mark.parametrize(
    ("name", "canonical_name"),
    [
        ("inbox", "INBOX"),
        ("InBox/Sub", "INBOX/Sub"),
        ("inboxes", "inboxes"),
        ("a/inbox", "a/inbox"),
        ("ınbox", "ınbox"),  # a dotless i is another letter
        ("", ""),
    ],
)
def test_inbox_in_any_case(name: str, canonical_name: str) -> None:
    assert canonical(name) == canonical_name


@pytest.mark.parametrize(
    ("name", "owners"),
    [
        ("Other Users/fred@example.org/INBOX", ["fred@example.org"]),
        ("Other Users/fred@example.org/a/b@c/d", ["fred@example.org", "fred@example.org/a/b@c"]),
        ("Other Users/a/b@example.org/x", ["a/b@example.org"]),
        ("Other Users/fred@example.org", []),
        ("Other Users/fred/INBOX", []),
        ("Other Users/@/", ["@"]),
        ("Other Users/", []),
    ],
)
def test_whose_a_shared_name_may_be(name: str, owners: list[str]) -> None:
    assert is_shared(name)
    assert owners_in(name) == owners


def test_a_name_is_looked_for_among_few() -> None:
    assert len(owners_in("Other Users/" + "@/" * 400)) == MOST_OWNERS


@pytest.mark.parametrize("name", ["INBOX", "Other Users", "Other Userss/a@b/c", "a/Other Users/x"])
def test_ones_own_names(name: str) -> None:
    assert not is_shared(name)
