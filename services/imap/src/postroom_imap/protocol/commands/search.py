"""SEARCH (RFC 3501 section 6.4.4): the command, and the parser of its keys.

An unknown charset is no fault of the grammar: the command is read as if it were octets, and refused
when it is run, since the refusal empties a saved result (RFC 5182 section 2.2, example 5).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from functools import partial

from postroom_imap.protocol import flag
from postroom_imap.protocol.commands.annotation import parse_pattern, parse_searched
from postroom_imap.protocol.commands.result_options import (
    ResultOption,
    ResultOptions,
    parse_result_options,
)
from postroom_imap.protocol.commands.search_keys import (
    AllKey,
    AndKey,
    AnnotationKey,
    DateField,
    DateKey,
    DateRelation,
    EmailIdKey,
    FilterKey,
    FlagKey,
    FuzzyKey,
    HeaderKey,
    ModseqKey,
    NotKey,
    OrKey,
    RecentKey,
    SearchKey,
    SequenceKey,
    SizeKey,
    SizeRelation,
    TextKey,
    TextScope,
    ThreadIdKey,
    UidKey,
    WithinKey,
)
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.date_time import parse_date
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.sequence_set import MAX_NUMBER, SequenceSet

# Charset in upper case -> codec. UTF-8 and US-ASCII are what RFC 3501 asks for; the others are what
# older clients still name.
CHARSETS = {
    "US-ASCII": "ascii",
    "UTF-8": "utf-8",
    "ISO-8859-1": "latin-1",
    "ISO-8859-2": "iso-8859-2",
    "ISO-8859-15": "iso-8859-15",
    "WINDOWS-1252": "cp1252",
    "KOI8-R": "koi8-r",
    "ISO-2022-JP": "iso-2022-jp",
}
# Where filters are kept: annotations of the server (RFC 5466 section 3.2).
PRIVATE_FILTERS, SHARED_FILTERS = "/private/filters/values/", "/shared/filters/values/"
FILTER_CHARSETS = ("US-ASCII", "UTF-8")  # RFC 5466 section 3.1
_FILTER_NAME = re.compile(rb"[!#$&'+,\-.0-9:;<=>?@A-Z\[^_`a-z|}~]+")  # ATOM-CHAR except "/"
_DEFAULT_CODEC = "utf-8"
_ANY_OCTETS = "latin-1"


@dataclass(frozen=True, slots=True)
class Search:
    """SEARCH, UID SEARCH; ``charset`` is the client's, in upper case; texts are decoded by it.

    ``charset`` may be none of ``CHARSETS``. ``result`` is None without RETURN.
    """

    uid: bool
    charset: str | None
    program: SearchKey
    result: ResultOptions | None = None


@dataclass(frozen=True, slots=True)
class CancelUpdate:
    """CANCELUPDATE (RFC 5267): the tags of commands that asked for updates."""

    tags: tuple[bytes, ...]


def parse_cancel_update(cursor: Cursor) -> CancelUpdate:
    """``CANCELUPDATE "tag" ["tag" ...]``."""
    tags: list[bytes] = []
    while cursor.take(b" "):
        tags.append(cursor.string())
        if len(tags) > cursor.limits.elements:
            raise SyntaxFault("Too many tags", b"LIMIT")
    if not tags:
        raise SyntaxFault("Expected a tag")
    return CancelUpdate(tuple(tags))


def _parse_search(uid: bool, cursor: Cursor) -> Search:
    """``SEARCH [RETURN (…)] [CHARSET charset] key …``."""
    cursor.space()
    result = parse_result_options(cursor)
    charset = parse_charset(cursor)
    return Search(uid, charset, parse_program(cursor, charset, result), result)


def parse_program(
    cursor: Cursor,
    charset: str | None,
    result: ResultOptions | None = None,
    *,
    scored: bool = False,
) -> SearchKey:
    """Keys to the end of the command, their texts in ``charset``; one is FUZZY if ``scored``."""
    codec = _DEFAULT_CODEC if charset is None else CHARSETS.get(charset, _ANY_OCTETS)
    program = _Program(cursor, codec)
    keys = program.conjunction()
    scored = scored or (result is not None and ResultOption.RELEVANCY in result)
    if scored and not program.fuzzy:
        raise SyntaxFault("RELEVANCY needs a FUZZY key")  # RFC 6203 sections 4, 5
    return keys


def parse_filter(value: bytes, limits: Limits) -> SearchKey:
    """The program that a filter holds, in UTF-8. Raises SyntaxFault where it is none."""
    cursor = Cursor(value, 0, limits)
    program = parse_program(cursor, None)
    cursor.end()
    return program


def is_filter_name(name: str) -> bool:
    """Whether a filter can be called so (RFC 5466 section 4)."""
    return _FILTER_NAME.fullmatch(name.encode()) is not None


parse_search, parse_uid_search = partial(_parse_search, False), partial(_parse_search, True)


def parse_charset(cursor: Cursor) -> str | None:
    """``CHARSET charset SP`` where it comes next, in upper case, else None."""
    if cursor.data[cursor.position : cursor.position + 8].upper() != b"CHARSET ":
        return None
    cursor.position += 8
    charset = cursor.astring().upper().decode("ascii", "replace")
    cursor.space()
    return charset


class _Program:
    """The recursive descent over keys, with what bounds it."""

    __slots__ = ("codec", "count", "cursor", "depth", "fuzzy")

    def __init__(self, cursor: Cursor, codec: str) -> None:
        self.cursor = cursor
        self.codec = codec
        self.count = 0
        self.depth = 0
        self.fuzzy = False

    def conjunction(self) -> SearchKey:
        """``key *(SP key)``: all of them must hold."""
        keys = [self.key()]
        while self.cursor.take(b" "):
            keys.append(self.key())
        return keys[0] if len(keys) == 1 else AndKey(tuple(keys))

    def key(self) -> SearchKey:
        """One key of any kind."""
        self.count += 1
        if self.count > self.cursor.limits.search_keys:
            raise SyntaxFault("Too many search keys", b"LIMIT")
        if self.cursor.at(b"("):
            return self.nested(self.group)
        if self.cursor.data[self.cursor.position : self.cursor.position + 1] in _SET_STARTS:
            return SequenceKey(self.cursor.sequence_set())
        word = self.cursor.word()
        plain = _PLAIN.get(word)
        if plain is not None:
            return plain
        parse = _WITH_ARGUMENTS.get(word)
        if parse is None:
            raise SyntaxFault("Unknown search key")
        self.cursor.space()
        return parse(self)

    def nested(self, parse: Callable[[], SearchKey]) -> SearchKey:
        """What ``parse`` gives, one level further down."""
        self.depth += 1
        if self.depth > self.cursor.limits.search_depth:
            raise SyntaxFault("Search keys are nested too deeply", b"LIMIT")
        key = parse()
        self.depth -= 1
        return key

    def group(self) -> SearchKey:
        self.cursor.expect(b"(")
        key = self.conjunction()
        self.cursor.expect(b")")
        return key

    def negation(self) -> SearchKey:
        return NotKey(self.nested(self.key))

    def alike(self) -> SearchKey:
        self.fuzzy = True
        return FuzzyKey(self.nested(self.key))

    def alternative(self) -> SearchKey:
        """OR has two keys; chains of them become one flat ``OrKey``."""
        left = self.nested(self.key)
        self.cursor.space()
        right = self.nested(self.key)
        return OrKey((*_alternatives(left), *_alternatives(right)))

    def text(self) -> str:
        return self._decoded(self.cursor.astring())

    def _decoded(self, octets: bytes) -> str:
        try:
            return octets.decode(self.codec)
        except UnicodeDecodeError:
            raise SyntaxFault("A search string is not in its charset") from None

    def annotation(self) -> SearchKey:
        """``entry-match SP att-search SP value``."""
        cursor = self.cursor
        entry = parse_pattern(cursor)
        cursor.space()
        private, shared = parse_searched(cursor)
        cursor.space()
        octets = cursor.nstring8() if cursor.at(b"~") else cursor.astring()
        return AnnotationKey(entry, private, shared, self._decoded(octets or b""))

    def day(self) -> date:
        try:
            return parse_date(self.cursor.astring())
        except ValueError:
            raise SyntaxFault("Not a valid date") from None

    def modseq(self) -> SearchKey:
        """``["/flags/x" shared|priv|all] number``: all flags share one modseq here."""
        if self.cursor.at(b'"'):
            self.cursor.string()
            self.cursor.space()
            if self.cursor.word() not in (b"ALL", b"PRIV", b"SHARED"):
                raise SyntaxFault("Expected priv, shared or all")
            self.cursor.space()
        return ModseqKey(self.cursor.number())

    def filter(self) -> SearchKey:
        name = self.cursor.match(_FILTER_NAME, "the name of a filter").group()
        return FilterKey(name.decode("ascii").lower())

    def seconds(self) -> int:
        seconds = self.cursor.number()
        if not 1 <= seconds <= MAX_NUMBER:
            raise SyntaxFault("Not a number of seconds")
        return seconds

    def uids(self, *, after: bool) -> SearchKey:
        """UIDs above or below one (RFC 9738 section 3.8)."""
        uid = self.cursor.number()
        if not 1 <= uid <= MAX_NUMBER:
            raise SyntaxFault("Not a UID")
        low, high = (uid + 1, MAX_NUMBER) if after else (1, uid - 1)
        if low > high:
            return NotKey(AllKey())
        return UidKey(SequenceSet.parse(b"%d:%d" % (low, high)))

    def header(self) -> SearchKey:
        name = self.cursor.astring()
        if not name.isascii():
            raise SyntaxFault("Not a header field name")
        self.cursor.space()
        return HeaderKey(name.decode("ascii").lower(), self.text())


def _alternatives(key: SearchKey) -> tuple[SearchKey, ...]:
    return key.keys if isinstance(key, OrKey) else (key,)


def _header(name: str) -> Callable[[_Program], SearchKey]:
    return lambda program: HeaderKey(name, program.text())


def _text(scope: TextScope) -> Callable[[_Program], SearchKey]:
    return lambda program: TextKey(scope, program.text())


def _date(field: DateField, relation: DateRelation) -> Callable[[_Program], SearchKey]:
    return lambda program: DateKey(field, relation, program.day())


def _size(relation: SizeRelation) -> Callable[[_Program], SearchKey]:
    return lambda program: SizeKey(relation, program.cursor.number())


def _within(older: bool) -> Callable[[_Program], SearchKey]:
    return lambda program: WithinKey(older, program.seconds())


def _keyword(present: bool) -> Callable[[_Program], SearchKey]:
    return lambda program: FlagKey(program.cursor.atom(), present)


_SET_STARTS = frozenset(b"%d" % digit for digit in range(10)) | {b"*", b"$"}
_PLAIN: dict[bytes, SearchKey] = {
    b"ALL": AllKey(),
    b"ANSWERED": FlagKey(flag.ANSWERED),
    b"DELETED": FlagKey(flag.DELETED),
    b"DRAFT": FlagKey(flag.DRAFT),
    b"FLAGGED": FlagKey(flag.FLAGGED),
    b"NEW": AndKey((RecentKey(), FlagKey(flag.SEEN, present=False))),
    b"OLD": NotKey(RecentKey()),
    b"RECENT": RecentKey(),
    b"SAVEDATESUPPORTED": AllKey(),  # RFC 8514 section 4.3: by all mailboxes
    b"SEEN": FlagKey(flag.SEEN),
    b"UNANSWERED": FlagKey(flag.ANSWERED, present=False),
    b"UNDELETED": FlagKey(flag.DELETED, present=False),
    b"UNDRAFT": FlagKey(flag.DRAFT, present=False),
    b"UNFLAGGED": FlagKey(flag.FLAGGED, present=False),
    b"UNSEEN": FlagKey(flag.SEEN, present=False),
}
_WITH_ARGUMENTS: dict[bytes, Callable[[_Program], SearchKey]] = {
    b"ANNOTATION": _Program.annotation,
    b"BCC": _header("bcc"),
    b"BEFORE": _date(DateField.INTERNAL, DateRelation.BEFORE),
    b"BODY": _text(TextScope.BODY),
    b"CC": _header("cc"),
    b"EMAILID": lambda program: EmailIdKey(program.cursor.atom()),
    b"FILTER": _Program.filter,
    b"FROM": _header("from"),
    b"FUZZY": _Program.alike,
    b"HEADER": _Program.header,
    b"KEYWORD": _keyword(present=True),
    b"LARGER": _size(SizeRelation.LARGER),
    b"MODSEQ": _Program.modseq,
    b"NOT": _Program.negation,
    b"ON": _date(DateField.INTERNAL, DateRelation.ON),
    b"OLDER": _within(older=True),
    b"OR": _Program.alternative,
    b"SAVEDBEFORE": _date(DateField.SAVED, DateRelation.BEFORE),
    b"SAVEDON": _date(DateField.SAVED, DateRelation.ON),
    b"SAVEDSINCE": _date(DateField.SAVED, DateRelation.SINCE),
    b"SENTBEFORE": _date(DateField.SENT, DateRelation.BEFORE),
    b"SENTON": _date(DateField.SENT, DateRelation.ON),
    b"SENTSINCE": _date(DateField.SENT, DateRelation.SINCE),
    b"SINCE": _date(DateField.INTERNAL, DateRelation.SINCE),
    b"SMALLER": _size(SizeRelation.SMALLER),
    b"SUBJECT": _header("subject"),
    b"TEXT": _text(TextScope.TEXT),
    b"THREADID": lambda program: ThreadIdKey(program.cursor.atom()),
    b"TO": _header("to"),
    b"UIDAFTER": lambda program: program.uids(after=True),
    b"UIDBEFORE": lambda program: program.uids(after=False),
    b"UID": lambda program: UidKey(program.cursor.sequence_set()),
    b"UNKEYWORD": _keyword(present=False),
    b"YOUNGER": _within(older=False),
}
