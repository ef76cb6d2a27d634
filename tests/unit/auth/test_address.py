"""Addresses: what is one, and which are the same (RFC 5321, RFC 6531, IDNA)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_auth.domain.address import Address, DomainName, InvalidAddress


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("ann@example.org", "ann@example.org"),
        ("Ann.Smith@EXAMPLE.Org", "ann.smith@example.org"),
        ("!#$%&'*+-/=?^_`{|}~@example.org", "!#$%&'*+-/=?^_`{|}~@example.org"),
        ('"ann"@example.org', "ann@example.org"),
        ('"a b"@example.org', '"a b"@example.org'),
        ('"a..b"@example.org', '"a..b"@example.org'),
        ('"a@b"@example.org', '"a@b"@example.org'),
        (r'"a\"b\\c"@example.org', r'"a\"b\\c"@example.org'),
        (r'"\a\n\n"@example.org', "ann@example.org"),
        ("ann@localhost", "ann@localhost"),
        ("ann@[192.0.2.1]", "ann@[192.0.2.1]"),
        ("ann@[IPv6:2001:DB8::1]", "ann@[ipv6:2001:db8::1]"),
        ("j\u00fcrgen@b\u00fccher.example", "j\u00fcrgen@b\u00fccher.example"),
        ("JU\u0308RGEN@BU\u0308CHER.example", "j\u00fcrgen@b\u00fccher.example"),
        ("x@xn--bcher-kva.example", "x@b\u00fccher.example"),
        ("x@stra\u00dfe.example", "x@stra\u00dfe.example"),
        ("STRASSE@example.org", "strasse@example.org"),
        ("stra\u00dfe@example.org", "strasse@example.org"),
        ("\u7528\u6237@\u4f8b\u5b50.\u5e7f\u544a", "\u7528\u6237@\u4f8b\u5b50.\u5e7f\u544a"),
        ("x@\u4f8b\u5b50\u3002\u5e7f\u544a", "x@\u4f8b\u5b50.\u5e7f\u544a"),
        ("a" * 64 + "@example.org", "a" * 64 + "@example.org"),
    ],
)
def test_addresses_have_one_key(text: str, key: str) -> None:
    address = Address.parse(text)
    assert address.key == key
    assert Address.parse(address.key).key == key


@pytest.mark.parametrize(
    "text",
    [
        "",
        "ann",
        "@example.org",
        "ann@",
        ".ann@example.org",
        "ann.@example.org",
        "a..b@example.org",
        "a b@example.org",
        "<ann@example.org>",
        "a@b@example.org",
        '"ann@example.org',
        'an"n"@example.org',
        '""@example.org',
        '"a\tb"@example.org',
        "ann@-example.org",
        "ann@example-.org",
        "ann@exa_mple.org",
        "ann@example..org",
        "ann@example.org.",
        "ann@.example.org",
        "ann@exa mple.org",
        "ann@[192.0.2]",
        "ann@[192.0.2.1",
        "ann@[]",
        "ann@[IPv6:]",
        "ann@xn--zzzzzzzz99999.example",
        "ann@xn--.example",
        "ann@\u200b.example",
        "a\x00b@example.org",
        "a\u0085b@example.org",
        "a\u2028b@example.org",
        "ann\n@example.org",
        "a" * 65 + "@example.org",
        "\u00fc" * 33 + "@example.org",
        "ann@" + "a" * 64 + ".org",
        "a" * 64 + "@" + ".".join(["d" * 63] * 3),
        "a@" + "d." * 200 + "org",
        "x" * 1_000_000,
        "\u00fc" * 1_000_000 + "@example.org",
        "a@" + "\u00fc" * 1_000_000,
    ],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(InvalidAddress):
        Address.parse(text)


@pytest.mark.parametrize(
    ("text", "undetailed", "detail"),
    [
        ("ann@example.org", "ann@example.org", ""),
        ("ann+Shop@example.org", "ann@example.org", "Shop"),
        ("ann+a+b@example.org", "ann@example.org", "a+b"),
        ("ann+@example.org", "ann@example.org", ""),
        ("+x@example.org", "+x@example.org", ""),
        ('"ann b+c d"@example.org', '"ann b"@example.org', "c d"),
    ],
)
def test_details_are_parted_at_the_first_plus(text: str, undetailed: str, detail: str) -> None:
    address = Address.parse(text)
    assert (address.undetailed.key, address.detail) == (undetailed, detail)


def test_an_address_keeps_how_it_was_written() -> None:
    assert str(Address.parse("Zoe.Q@EXAMPLE.org")) == "Zoe.Q@example.org"


def test_wrong_values_can_not_be_built() -> None:
    with pytest.raises(InvalidAddress):
        DomainName("EXAMPLE.org")
    with pytest.raises(InvalidAddress):
        Address("", DomainName("example.org"))
    with pytest.raises(InvalidAddress):
        Address("a\r\nb", DomainName("example.org"))


@given(st.text(max_size=80))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    try:
        address = Address.parse(text)
    except InvalidAddress:
        return
    assert len(str(address).encode()) <= 254
    assert Address.parse(str(address)) == address
    assert Address.parse(address.key).key == address.key


@given(st.text(min_size=1, max_size=20), st.sampled_from(["example.org", "b\u00fccher.example"]))
def test_any_local_part_survives_quoting(local: str, domain: str) -> None:
    try:
        address = Address(local, DomainName(domain))
    except InvalidAddress:
        return
    text = str(address)
    try:
        again = Address.parse(text)
    except InvalidAddress as error:
        raise AssertionError(text) from error
    assert again.key == address.key
