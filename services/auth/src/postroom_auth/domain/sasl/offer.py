"""What an operator offers: `PLAIN,LOGIN:tls,CRAM-MD5:clear`."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Self

from postroom_auth.domain.sasl import MECHANISMS
from postroom_auth.domain.sasl.exchange import Mechanism, Need

TLS = "tls"
CLEAR = "clear"


@dataclass(frozen=True, slots=True)
class Offer:
    """The mechanisms on offer for the connections of one protocol.

    Attributes:
        secure: on connections that nobody else can read.
        clear: on the others.
    """

    secure: frozenset[str]
    clear: frozenset[str]

    @classmethod
    def parse(cls, text: str, *, allow_cleartext: bool) -> Self:
        """Read a list of names, comma separated; empty: those that are offered by default.

        A name may say where it is offered: `NAME:tls`, or `NAME:clear` for everywhere. One that
        doesn't is offered everywhere, but for those that reveal a password: these need TLS,
        unless `allow_cleartext`.

        Raises:
            ValueError: there is no such mechanism, or it can't be offered so.
        """
        secure, clear = set(), set()
        for item in _listed(text) or [row.name for row in MECHANISMS.values() if row.by_default]:
            name, _, where = item.partition(":")
            if name not in MECHANISMS:
                raise ValueError(f"there is no mechanism {name}; there are {', '.join(MECHANISMS)}")
            if where not in ("", TLS, CLEAR):
                raise ValueError(f"{item} ends in neither :{TLS} nor :{CLEAR}")
            secure.add(name)
            guarded = MECHANISMS[name].reveals_password and not allow_cleartext
            if where == CLEAR or (where == "" and not guarded):
                clear.add(name)
        return cls(frozenset(secure), frozenset(clear))

    def mechanisms(
        self, protocol: str, met: Collection[Need], *, secure: bool
    ) -> Iterator[Mechanism]:
        """The mechanisms for a connection, strongest first.

        Args:
            protocol: of the connection.
            met: what is there, of all that mechanisms need.
            secure: nobody else can read the connection.
        """
        names = self.secure if secure else self.clear
        for row in MECHANISMS.values():
            here = not row.protocols or protocol in row.protocols
            if row.name in names and here and row.needs.issubset(met):
                yield row


def _listed(text: str) -> list[str]:
    return [item.strip() for item in text.split(",") if item.strip()]
