"""Principals of Kerberos (RFC 4120 section 6), and the addresses that they stand for."""

from __future__ import annotations

import re
from collections.abc import Mapping

from postroom_auth.domain.address import Address, DomainName, InvalidAddress

# One component, nothing quoted: neither `ann/admin@REALM` nor a service is a person.
_PERSON = re.compile(r"(?P<name>[^\\/@\0]+)@(?P<realm>[^\\/@\0]+)")


def parse_realms(text: str) -> dict[str, DomainName]:
    """Realms and the domains of their people: `EXAMPLE.ORG=example.org, ...`. Raises ValueError."""
    found: dict[str, DomainName] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        realm, equals, domain = (part.strip() for part in item.partition("="))
        if not realm or not equals or realm in found:
            raise ValueError(f"{item}: not of the form REALM=domain, or a realm comes twice")
        found[realm] = DomainName.parse(domain)
    return found


def address_of(principal: str, realms: Mapping[str, DomainName]) -> Address | None:
    """The address of a principal's account; None for one that is nobody's here."""
    person = _PERSON.fullmatch(principal)
    domain = realms.get(person["realm"]) if person else None
    if person is None or domain is None:
        return None
    try:
        return Address(person["name"], domain)
    except InvalidAddress:
        return None
