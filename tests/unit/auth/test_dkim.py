"""Keys that mail is signed with: what they are called, and how their records are written."""

from __future__ import annotations

import base64
from datetime import date
from itertools import islice

import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519, rsa
from cryptography.hazmat.primitives.serialization import load_der_private_key, load_der_public_key
from postroom_auth.domain.address import DomainName
from postroom_auth.domain.dkim import (
    Algorithm,
    DkimKey,
    KeyState,
    check_bits,
    check_selector,
    make_pair,
    selectors,
    ways_up,
)
from postroom_auth.domain.people import InvalidValue

EXAMPLE = DomainName.parse("example.org")


def record(algorithm: Algorithm, public: str) -> str:
    return DkimKey(EXAMPLE, "s", algorithm, KeyState.NEW, public, 0).record


def test_an_rsa_key_and_its_record() -> None:
    pair = make_pair(Algorithm.RSA, 1024)
    private = load_der_private_key(pair.private, None)
    public = load_der_public_key(base64.b64decode(pair.public))
    assert isinstance(private, rsa.RSAPrivateKey)
    assert isinstance(public, rsa.RSAPublicKey)
    assert private.key_size == 1024
    assert private.public_key().public_numbers() == public.public_numbers()
    assert record(Algorithm.RSA, pair.public) == f"v=DKIM1; k=rsa; p={pair.public}"
    assert pair.public not in repr(pair)


def test_an_ed25519_key_and_its_record() -> None:
    pair = make_pair(Algorithm.ED25519, 0)
    private = load_der_private_key(pair.private, None)
    assert isinstance(private, ed25519.Ed25519PrivateKey)
    assert base64.b64decode(pair.public) == private.public_key().public_bytes_raw()
    assert record(Algorithm.ED25519, pair.public) == f"v=DKIM1; k=ed25519; p={pair.public}"


def test_algorithms_are_read() -> None:
    assert Algorithm.parse("") is Algorithm.RSA
    assert Algorithm.parse(" Ed25519-SHA256 ") is Algorithm.ED25519
    with pytest.raises(InvalidValue, match="rsa-sha256, ed25519-sha256"):
        Algorithm.parse("rsa-sha1")


def test_lengths() -> None:
    assert check_bits(Algorithm.RSA, 0) == 2048
    assert check_bits(Algorithm.RSA, 4096) == 4096
    assert check_bits(Algorithm.ED25519, 0) == 0
    for algorithm, bits in (
        (Algorithm.RSA, 1023),
        (Algorithm.RSA, 4097),
        (Algorithm.ED25519, 256),
    ):
        with pytest.raises(InvalidValue):
            check_bits(algorithm, bits)


def test_selectors_are_made_of_algorithm_and_date() -> None:
    names = selectors(Algorithm.ED25519, date(2030, 1, 2))
    assert list(islice(names, 3)) == [
        "ed25519-20300102",
        "ed25519-20300102-2",
        "ed25519-20300102-3",
    ]


@pytest.mark.parametrize(
    ("text", "read"), [("", ""), (" Mail.2030 ", "mail.2030"), ("a-b", "a-b"), ("x" * 63, "x" * 63)]
)
def test_selectors_are_read(text: str, read: str) -> None:
    assert check_selector(EXAMPLE, text) == read


@pytest.mark.parametrize(
    "text", ["a b", "a..b", "-a", "a.", "ä", "a_b", "x" * 64, "a;b", "a\nb", "*"]
)
def test_what_no_name_in_the_dns_can_be_is_no_selector(text: str) -> None:
    with pytest.raises(InvalidValue):
        check_selector(EXAMPLE, text)


def test_a_selector_has_room_beside_the_domain() -> None:
    domain = DomainName.parse(".".join(["x" * 60] * 3))
    assert check_selector(domain, "y" * 50)
    with pytest.raises(InvalidValue, match="too long"):
        check_selector(domain, "y" * 63)


def test_the_ways_up() -> None:
    assert list(ways_up(DomainName.parse("a.example.org"))) == [
        "a.example.org",
        "example.org",
        "org",
    ]


def test_the_dns_has_a_labels() -> None:
    assert DomainName.parse("bücher.example").ascii == "xn--bcher-kva.example"
    assert EXAMPLE.ascii == "example.org"
