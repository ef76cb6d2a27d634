"""Who a message says that it is from, as far as domains go (RFC 5322 section 3.6.2)."""

from __future__ import annotations

from collections.abc import Sequence

from postroom_mime.address import Address, parse_addresses

from postroom_smtp.protocol.fields import Field

MOST_AUTHORS = 10  # whose domains are looked at; who names more names too many


class TooManyAuthors(ValueError):
    """More than anybody checks."""


def author_domains(fields: Sequence[Field]) -> tuple[str, ...]:
    """The domains of the addresses in From, each once, in lower case, as they are looked up; of all
    the From fields, where somebody sends several. Raises TooManyAuthors.
    """
    domains: dict[str, None] = {}
    authors = [field for field in fields if field.name == "from"]
    if len(authors) > MOST_AUTHORS:
        raise TooManyAuthors
    for field in authors:
        for item in parse_addresses(field.value):
            if isinstance(item, Address) and (domain := _as_name(item.host)):
                domains[domain] = None
                if len(domains) > MOST_AUTHORS:
                    raise TooManyAuthors
    return tuple(domains)


def _as_name(host: bytes) -> str:
    try:
        name = host.decode().lower().removesuffix(".")
        return name if name.isascii() else name.encode("idna").decode("ascii")
    except UnicodeError:
        return ""
