"""Who a message says that it is from, as far as domains go (RFC 5322 section 3.6.2)."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_mime import limits
from postroom_mime.address import Address, parse_addresses

from postroom_smtp.protocol.domain import as_name
from postroom_smtp.protocol.fields import Field

MOST_AUTHORS = 10  # whose domains are looked at; who names more names too many
MOST_OCTETS = limits.ADDRESS_TOKENS  # of a field: so many and no more are sure to be read
UNTOLD = ""  # the domain of an author that has none that can be one


class TooManyAuthors(ValueError):
    """More than anybody checks."""


def author_domains(fields: Sequence[Field]) -> tuple[str, ...]:
    """The domains of the addresses in From, each once, in lower case, as they are looked up; of all
    the From fields, where somebody sends several. UNTOLD is among them for an address whose domain
    can't be looked up. Raises TooManyAuthors.
    """
    domains: dict[str, None] = {}
    authors = [field for field in fields if field.name == "from"]
    if len(authors) > MOST_AUTHORS or any(len(one.value) > MOST_OCTETS for one in authors):
        raise TooManyAuthors
    for field in authors:
        for item in parse_addresses(field.value):
            if isinstance(item, Address) and not _is_word(item):
                domains[_domain(item.host)] = None
                if len(domains) > MOST_AUTHORS:
                    raise TooManyAuthors
    return tuple(domains)


def _is_word(item: Address) -> bool:
    """Whether it is no address: half a name with a comma that should be quoted."""
    return not item.host and item.name is None and b"@" not in item.mailbox


def _domain(host: bytes) -> str:
    try:
        return as_name(host.decode()) or UNTOLD
    except UnicodeDecodeError:
        return UNTOLD
