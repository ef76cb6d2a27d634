"""Named searches (RFC 5466): annotations of the server, put in the place of FILTER keys.

A filter that holds several keys stands for all of them together, as in parentheses. A person's own
comes before the one that the operator gives everybody.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import partial

from postroom_imap.protocol.commands.search import (
    FILTER_CHARSETS,
    PRIVATE_FILTERS,
    SHARED_FILTERS,
    parse_filter,
)
from postroom_imap.protocol.commands.search_keys import (
    AndKey,
    FilterKey,
    FuzzyKey,
    NotKey,
    OrKey,
    SearchKey,
)
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.responses import codes
from postroom_imap.session import Session

PASSES = 3  # of substitution: as many as section 3.1 asks for, so that no loop need be looked for


class UndefinedFilter(Exception):
    """There is no such filter, or none that can be used."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


async def without_filters(
    session: Session, tag: bytes, program: SearchKey, charset: str | None
) -> SearchKey | None:
    """A program with its FILTER keys replaced; None where the command was refused for them.

    Every command with a search program asks this first. A filter costs a call; one that names
    others costs one more for each level.
    """
    names = set(_names(program))
    if not names:
        return program
    if charset is not None and charset not in FILTER_CHARSETS:
        session.reject(tag, "Filters are UTF-8", codes.bad_charset(FILTER_CHARSETS))
        return None
    try:
        known = await _read_all(session, names)
        return _Substitution(known, session.limits).run(program)
    except UndefinedFilter as undefined:
        session.refuse(tag, "There is no such filter", codes.undefined_filter(undefined.name))
    except SyntaxFault as fault:
        session.refuse(tag, fault.text, fault.code)
    return None


async def _read_all(session: Session, names: set[str]) -> Mapping[str, SearchKey]:
    """The filters of these names, and those that they name, as deep as they are looked for."""
    known: dict[str, SearchKey] = {}
    for _ in range(PASSES):
        if not names:
            break
        values = await _read(session, names)
        for name in names:
            known[name] = _parse(name, values, session.limits)
        names = {inner for name in names for inner in _names(known[name])} - known.keys()
    if names:
        raise UndefinedFilter(min(names))
    return known


async def _read(session: Session, names: Iterable[str]) -> Mapping[str, bytes]:
    entries = [PRIVATE_FILTERS + name for name in sorted(names)]
    found = await session.front.mailboxes.get_metadata(session.ticket, "", entries, 0, None)
    return {**session.front.server_annotations, **found.values}


def _parse(name: str, values: Mapping[str, bytes], limits: Limits) -> SearchKey:
    value = values.get(PRIVATE_FILTERS + name, values.get(SHARED_FILTERS + name))
    if value is None:
        raise UndefinedFilter(name)
    try:
        return parse_filter(value, limits)
    except SyntaxFault:
        raise UndefinedFilter(name) from None


def _names(key: SearchKey) -> Iterator[str]:
    match key:
        case FilterKey(name):
            yield name
        case AndKey(keys) | OrKey(keys):
            for inner in keys:
                yield from _names(inner)
        case NotKey(inner) | FuzzyKey(inner):
            yield from _names(inner)


class _Substitution:
    """Puts filters into a program, which may come to no more than a command may hold."""

    def __init__(self, known: Mapping[str, SearchKey], limits: Limits) -> None:
        self._known = known
        self._limits = limits
        self._keys = 0

    def run(self, program: SearchKey) -> SearchKey:
        return self._put(program, 0, 0)

    def _put(self, key: SearchKey, passes: int, depth: int) -> SearchKey:
        self._keys += 1
        if self._keys > self._limits.search_keys or depth > self._limits.search_depth:
            raise SyntaxFault("With its filters the search is too large", b"LIMIT")
        put = partial(self._put, passes=passes, depth=depth + 1)
        match key:
            case FilterKey(name):
                if passes == PASSES:
                    raise UndefinedFilter(name)
                return self._put(self._known[name], passes + 1, depth + 1)
            case AndKey(keys):
                return AndKey(tuple(map(put, keys)))
            case OrKey(keys):
                return OrKey(tuple(map(put, keys)))
            case NotKey(inner):
                return NotKey(put(inner))
            case FuzzyKey(inner):
                return FuzzyKey(put(inner))
        return key
