"""ESEARCH, the command (RFC 7377): SEARCH of mailboxes that need not be selected."""

from dataclasses import dataclass
from enum import StrEnum

from postroom_imap.protocol.commands.result_options import ResultOptions, parse_result_options
from postroom_imap.protocol.commands.search import parse_charset, parse_program
from postroom_imap.protocol.commands.search_keys import SearchKey
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault


class Source(StrEnum):
    """Which mailboxes are meant (section 2.2, RFC 5465 section 6); the value is the wire name."""

    SELECTED = "SELECTED"
    INBOXES = "INBOXES"
    PERSONAL = "PERSONAL"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"
    SUBTREE_ONE = "SUBTREE-ONE"
    MAILBOXES = "MAILBOXES"


_NAMING = frozenset({Source.SUBTREE, Source.SUBTREE_ONE, Source.MAILBOXES})
_MOST_SOURCES = 50


@dataclass(frozen=True, slots=True)
class SourceMailboxes:
    """Mailboxes to be searched; ``names`` are those that the source names, if it does."""

    source: Source
    names: tuple[str, ...] = ()


SELECTED = (SourceMailboxes(Source.SELECTED),)


@dataclass(frozen=True, slots=True)
class MultiSearch:
    """ESEARCH; ``charset``, ``program`` and ``result`` as in ``Search``."""

    sources: tuple[SourceMailboxes, ...]
    charset: str | None
    program: SearchKey
    result: ResultOptions | None = None

    @property
    def of_selected_alone(self) -> bool:
        """Whether no other mailbox is to be searched."""
        return all(one.source is Source.SELECTED for one in self.sources)


def parse_multi_search(cursor: Cursor) -> MultiSearch:
    """``ESEARCH [IN (mailboxes)] [RETURN (…)] [CHARSET charset] key …``."""
    cursor.space()
    sources = _sources(cursor) if cursor.take_word(b"IN (") else SELECTED
    result = parse_result_options(cursor)
    charset = parse_charset(cursor)
    return MultiSearch(sources, charset, parse_program(cursor, charset, result), result)


def _sources(cursor: Cursor) -> tuple[SourceMailboxes, ...]:
    sources = [_source(cursor)]
    while cursor.take(b" "):
        if cursor.at(b"("):
            raise SyntaxFault("Unknown scope option")  # none is defined (section 4)
        sources.append(_source(cursor))
        if len(sources) > _MOST_SOURCES:
            raise SyntaxFault("Too many mailboxes to search", b"LIMIT")
    cursor.expect(b")")
    cursor.space()
    return tuple(sources)


def _source(cursor: Cursor) -> SourceMailboxes:
    try:
        source = Source(cursor.word().decode("ascii"))
    except ValueError:
        # "selected-delayed" is no source, either (section 2.2).
        raise SyntaxFault("Unknown mailboxes to search") from None
    if source not in _NAMING:
        return SourceMailboxes(source)
    cursor.space()
    if cursor.at(b"("):
        return SourceMailboxes(source, cursor.list_of(cursor.mailbox))
    return SourceMailboxes(source, (cursor.mailbox(),))
