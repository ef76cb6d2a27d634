"""Principals, and the accounts that they are."""

from __future__ import annotations

import pytest
from postroom_auth.domain.principal import address_of, parse_realms

REALMS = parse_realms("EXAMPLE.ORG = example.org, CORP.EXAMPLE.COM=Example.COM")


@pytest.mark.parametrize(
    ("principal", "key"),
    [
        ("ann@EXAMPLE.ORG", "ann@example.org"),
        ("Ann@CORP.EXAMPLE.COM", "ann@example.com"),
        ("zoë@EXAMPLE.ORG", "zoë@example.org"),
        ("ann@example.org", None),  # realms are compared letter by letter
        ("ann@ELSEWHERE.EXAMPLE", None),
        ("ann/admin@EXAMPLE.ORG", None),
        ("imap/localhost@EXAMPLE.ORG", None),
        ("ann\\@example.com@EXAMPLE.ORG", None),
        ("ann", None),
        ("@EXAMPLE.ORG", None),
        ("a" * 65 + "@EXAMPLE.ORG", None),
        ("", None),
    ],
)
def test_whose_account_a_principal_opens(principal: str, key: str | None) -> None:
    address = address_of(principal, REALMS)
    assert (address.key if address else None) == key


@pytest.mark.parametrize("text", ["EXAMPLE.ORG", "=example.org", "A=b.c,A=d.e", "A=-"])
def test_realms_that_cant_be(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_realms(text)
