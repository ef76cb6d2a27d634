"""ANNOTATION (RFC 5257) in FETCH, STORE, APPEND, SEARCH and SORT, and in responses."""

from __future__ import annotations

import pytest
from postroom_imap.plan import compile_plan
from postroom_imap.ports.messages import Batch, Column
from postroom_imap.protocol.commands import (
    AnnotationColumn,
    AnnotationItem,
    AnnotationSetting,
    Fetch,
    Search,
    Select,
    Sort,
    Store,
)
from postroom_imap.protocol.commands.annotation import MOST_ENTRIES, MOST_VALUE_BYTES
from postroom_imap.protocol.commands.search_keys import AnnotationKey, NotKey
from postroom_imap.protocol.commands.sorting import Criterion, SortKey
from postroom_imap.protocol.invalid import InvalidCommand, Refusal
from postroom_imap.protocol.responses.annotation import annotation_data, changed_annotations
from postroom_imap.protocol.state import State

from tests.unit.imap.wire import command_of

BOTH = ("value.priv", "value.shared")


@pytest.mark.parametrize(
    ("arguments", "item"),
    [
        (b"(/comment value)", AnnotationItem(("/comment",), BOTH)),
        (b'("/comment" ("value.priv"))', AnnotationItem(("/comment",), ("value.priv",))),
        (
            b"((/comment /* {7+}\r\n/vendor) (size value.shared value))",
            AnnotationItem(
                ("/comment", "/*", "/vendor"),
                ("size.priv", "size.shared", "value.shared", "value.priv"),
            ),
        ),
        (b"(* value.shared)", AnnotationItem(("*",), ("value.shared",))),
        (b"((/a /a) (value.priv value.priv))", AnnotationItem(("/a",), ("value.priv",))),
    ],
)
def test_fetch(arguments: bytes, item: AnnotationItem) -> None:
    command = command_of(b"a FETCH 1 (ANNOTATION %b)\r\n" % arguments, State.SELECTED)
    assert isinstance(command, Fetch)
    assert command.items.items == (item,)


@pytest.mark.parametrize(
    ("arguments", "settings"),
    [
        (b'(/comment (value.priv "x"))', [("/comment", False, b"x")]),
        (
            b'(/comment (value.priv NIL value.shared "NIL") /1.2/flags/seen (value.shared "0"))',
            [
                ("/comment", False, None),
                ("/comment", True, b"NIL"),
                ("/1.2/flags/seen", True, b"0"),
            ],
        ),
        (
            b'("/vendor/a b/c" (value.priv ~{3+}\r\n\0\r\n))',
            [("/vendor/a b/c", False, b"\0\r\n")],
        ),
    ],
)
def test_store(arguments: bytes, settings: list[tuple[str, bool, bytes | None]]) -> None:
    line = b"a UID STORE 1:3 (UNCHANGEDSINCE 7) annotation %b\r\n" % arguments
    command = command_of(line, State.SELECTED)
    assert isinstance(command, Store)
    assert (command.uid, command.unchanged_since, command.flags) == (True, 7, ())
    assert list(command.annotations) == [AnnotationSetting(*one) for one in settings]


def test_select() -> None:
    command = command_of(b"a EXAMINE x (ANNOTATE CONDSTORE)\r\n")
    assert isinstance(command, Select)
    assert (command.annotate, command.condstore) == (True, True)
    plain = command_of(b"a SELECT x\r\n")
    assert isinstance(plain, Select)
    assert not plain.annotate


def test_search() -> None:
    line = 'a SEARCH CHARSET UTF-8 NOT ANNOTATION /% value.shared "ä"\r\n'.encode()
    command = command_of(line, State.SELECTED)
    assert isinstance(command, Search)
    assert command.program == NotKey(AnnotationKey("/%", False, True, "ä"))
    line = b"a SEARCH ANNOTATION /comment value ~{3+}\r\na\0b\r\n"
    command = command_of(line, State.SELECTED)
    assert isinstance(command, Search)
    assert command.program == AnnotationKey("/comment", True, True, "a\0b")


def test_sort() -> None:
    line = b"a SORT (REVERSE ANNOTATION /comment value.shared DATE) UTF-8 ALL\r\n"
    command = command_of(line, State.SELECTED)
    assert isinstance(command, Sort)
    column = AnnotationColumn("/comment", True)
    assert command.criteria == (
        Criterion(SortKey.ANNOTATION, True, column),
        Criterion(SortKey.DATE),
    )


@pytest.mark.parametrize(
    ("line", "code"),
    [
        (b"FETCH 1 (ANNOTATION ((%b) value))" % b" ".join([b"/a"] * 101), b"LIMIT"),
        (b"FETCH 1 (ANNOTATION (/%b value))" % (b"a" * 1000), None),
        (b"FETCH 1 (ANNOTATION (/comment\xc3\xa4 value))", None),
        (b"STORE 1 ANNOTATION (%b)" % b" ".join([b"/comment (value.priv NIL)"] * 2), None),
        (
            b"STORE 1 ANNOTATION (%b)"
            % b" ".join(
                b"/vendor/x/%d (value.priv NIL value.shared NIL)" % number
                for number in range(MOST_ENTRIES // 2 + 1)
            ),
            b"LIMIT",
        ),
        (
            b"STORE 1 ANNOTATION (/comment (value.priv {%d+}\r\n%b))"
            % (MOST_VALUE_BYTES + 1, b"x" * (MOST_VALUE_BYTES + 1)),
            b"ANNOTATE TOOBIG",
        ),
        (
            b"SORT (%b) UTF-8 ALL"
            % b" ".join(b"ANNOTATION /vendor/x/%d value.priv" % number for number in range(21)),
            b"LIMIT",
        ),
    ],
)
def test_what_is_too_much_or_no_name(line: bytes, code: bytes | None) -> None:
    command = command_of(b"a %b\r\n" % line, State.SELECTED)
    assert isinstance(command, InvalidCommand)
    assert command.code == code
    assert (command.refusal is Refusal.NO) == (code == b"ANNOTATE TOOBIG")


@pytest.mark.parametrize(
    ("entries", "attributes", "data"),
    [
        (["/x"], ["value.priv", "size.priv"], b'ANNOTATION (/x (value.priv NIL size.priv "0"))'),
        (["/a"], ["size.shared"], b'ANNOTATION (/a (size.shared "2"))'),
        (["/%"], ["value.shared"], b'ANNOTATION (/a (value.shared "\\"2"))'),
        (["/%"], ["value.priv"], b"ANNOTATION (/b c (value.priv ~{1}\r\n\0))"),
        (
            ["/x", "*"],
            ["value.shared"],
            b'ANNOTATION (/x (value.shared NIL) /a (value.shared "\\"2"))',
        ),
    ],
)
def test_what_is_told(entries: list[str], attributes: list[str], data: bytes) -> None:
    values = {("/a", True): b'"2', ("/b c", False): b"\0"}
    item = AnnotationItem(tuple(entries), tuple(attributes))
    assert annotation_data(item, values) == data.replace(b"/b c", b'"/b c"')


def test_nothing_is_told_of_what_is_not_there() -> None:
    assert annotation_data(AnnotationItem(("/%",), ("value.priv",)), {}) == b""
    assert changed_annotations(["/vendor/a b", "/comment"]) == (
        b'ANNOTATION (/comment "/vendor/a b")'
    )


def test_annotations_are_not_kept() -> None:
    command = command_of(b"a FETCH 1 (ANNOTATION (/% value.priv) ENVELOPE UID)\r\n", State.SELECTED)
    assert isinstance(command, Fetch)
    plan = compile_plan(command.items, False)
    assert not plan.kept
    assert plan.annotations == ("/%",)
    batch = Batch([1, 2], {Column.ENVELOPE: [b"(one)", b"(two)"]}, [], [{("/a", False): b"x"}, {}])
    assert plan.render(batch, 1) == [
        b'ENVELOPE (one) ANNOTATION (/a (value.priv "x"))',
        b"ENVELOPE (two)",
    ]
    assert plan.template % (1, 7, b"ENVELOPE (two)") == b"* 1 FETCH (UID 7 ENVELOPE (two))\r\n"
