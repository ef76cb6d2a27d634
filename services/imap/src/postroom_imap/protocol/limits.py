"""How a client's input is read: how much before it is refused, and what names are written in."""

from dataclasses import dataclass

_DEEPEST_SEARCH = 200  # a level takes three frames of the interpreter, which has a thousand


@dataclass(frozen=True, slots=True, eq=False)
class Limits:
    """Bounds on one command, in bytes unless the name counts things.

    A session may hold two of these: a tight one until the client has authenticated, and this one
    after. Compared by identity, which makes it a cheap key where parsing memoises.
    """

    line: int = 65_536  # all lines of one command together, its literals apart
    literals: int = 131_072  # all literals of one command together, the message of APPEND apart
    discard: int = 1_048_576  # what is read past a refusal before the connection is given up
    sasl_line: int = 65_536  # one base64 line; Kerberos tickets take 16 KiB and more
    search_depth: int = 100
    search_keys: int = 2_000
    elements: int = 1_000  # of any other list: flags, FETCH items, header fields, ID fields
    sections: int = 100  # of one FETCH
    patterns: int = 50  # of one LIST; each is held against each mailbox
    mailbox: int = 1_000  # a mailbox name or pattern as it is sent
    part_depth: int = 100  # numbers in one body part path
    utf8_names: bool = False  # mailbox names are UTF-8 (RFC 9051 section 5.1), not modified UTF-7

    def __post_init__(self) -> None:
        for name in self.__slots__:
            if name != "utf8_names" and getattr(self, name) < 1:
                raise ValueError(f"{name} must be positive")
        if self.search_depth > _DEEPEST_SEARCH:
            raise ValueError(f"search_depth must be at most {_DEEPEST_SEARCH}")
