"""Rights on a mailbox: a letter each (RFC 4314 section 2.1).

RFC 2086 had two letters less, and two others, which stand for several of today's here: "c" for what
makes and removes mailboxes, "d" for what removes messages. Of the two ways to have them that
section 2.1.1 offers, this is the first. They are told wherever one of theirs is, and taken for all
of theirs.
"""

from collections.abc import Iterable

LOOKUP = "l"
READ = "r"
KEEP_SEEN = "s"
WRITE = "w"
INSERT = "i"
CREATE = "k"
DELETE_MESSAGES = "t"
EXPUNGE = "e"
ANNOTATE = "n"  # set shared annotations of messages (RFC 5257 section 3.4)

ALL = "lrswipkxtean"
NEW = "texkn"  # since RFC 2086, "n" by RFC 5257: what the capability RIGHTS= tells
VIRTUAL = {"c": "kx", "d": "te"}

EVERY_FLAG = frozenset({KEEP_SEEN, WRITE, DELETE_MESSAGES})  # what it takes to change all flags

_TOLD = "lrswipkxtecdan"
_CHANGING = "switen"  # any of them lets a person change a mailbox (section 5.2)
_TO_ANNOTATE = "rswip"  # any of them, with "l", lets a person annotate (RFC 5464 section 3.3)


def told(rights: str) -> str:
    """Rights as clients are told of them, the virtual ones among them."""
    virtual = {letter for letter, some in VIRTUAL.items() if set(some) & set(rights)}
    return "".join(letter for letter in _TOLD if letter in virtual or letter in rights)


def meant(letters: str) -> str:
    """Rights that a client has named; those that it named by a virtual one among them."""
    named = {right for letter in letters for right in VIRTUAL.get(letter, letter)}
    return "".join(right for right in ALL if right in named)


def unknown(letters: str) -> str:
    """The letters that stand for no right here."""
    return "".join(letter for letter in letters if letter not in _TOLD)


def changes(rights: str) -> bool:
    """Whether a person may change anything in a mailbox."""
    return not set(_CHANGING).isdisjoint(rights)


def annotates(rights: str) -> bool:
    """Whether a person may have annotations of a mailbox."""
    return LOOKUP in rights and not set(_TO_ANNOTATE).isdisjoint(rights)


def settable(flags: Iterable[str], rights: str) -> list[str]:
    """Those of some flags that a person may change (section 4)."""
    needed = {"\\seen": KEEP_SEEN, "\\deleted": DELETE_MESSAGES}
    return [name for name in flags if needed.get(name.lower(), WRITE) in rights]
