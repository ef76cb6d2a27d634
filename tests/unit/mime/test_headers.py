import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from postroom_mime import header_fields, limits, parse_fields
from postroom_mime.headers import find_body, first_fields, unfold

HEADER = b"From: a@b\r\nTo: c@d,\r\n\te@f\r\nSUBJECT : x\r\nno field\r\nX-To: g@h\r\n\r\n"


@pytest.mark.parametrize(
    ("message", "body"),
    [
        (b"a: b\r\n\r\nbody", 8),
        (b"a: b\n\nbody", 6),
        (b"a: b\r\n\nbody", 7),
        (b"a: b\n\r\nbody", 7),
        (b"\r\nbody", 2),
        (b"\nbody", 1),
        (b"a: b\r\n", 6),
        (b"a: b", 4),
        (b"", 0),
        (b"a: b\r\n \r\nfolded\r\n\r\nbody", 19),
    ],
)
def test_header_ends_with_the_first_empty_line(message: bytes, body: int) -> None:
    assert find_body(message, 0, len(message)) == body


def test_fields_are_unfolded_and_in_order() -> None:
    assert parse_fields(HEADER) == [
        (b"from", b"a@b"),
        (b"to", b"c@d,\te@f"),
        (b"subject", b"x"),
        (b"x-to", b"g@h"),
    ]


def test_the_first_of_equal_fields_counts() -> None:
    assert first_fields(b"To: a\r\nto: b\r\n")[b"to"].strip() == b"a"


def test_number_and_size_of_parsed_fields_are_bounded() -> None:
    assert len(parse_fields(b"a: b\r\n" * (limits.FIELDS + 1))) == limits.FIELDS
    huge = b"a: " + b"x" * limits.HEADER_BYTES + b"\r\nlate: b\r\n"
    assert [name for name, _ in parse_fields(huge)] == [b"a"]


@pytest.mark.parametrize(
    ("folded", "line"),
    [(b" a\r\n b\r\n", b"a b"), (b"a\n\tb", b"a\tb"), (b" \r\n \r\n", b""), (b"a\rb", b"a\rb")],
)
def test_unfold(folded: bytes, line: bytes) -> None:
    assert unfold(folded) == line


def test_named_fields_come_byte_for_byte() -> None:
    assert header_fields(HEADER, ["to", b"subject", "cc"]) == (
        b"To: c@d,\r\n\te@f\r\nSUBJECT : x\r\n\r\n"
    )


def test_inverted_gives_all_else() -> None:
    assert header_fields(HEADER, ["to", "subject"], invert=True) == (
        b"From: a@b\r\nno field\r\nX-To: g@h\r\n\r\n"
    )


@pytest.mark.parametrize("names", [[], [""], ["absent"], ["T"], ["o"], [".*"], ["X"]])
def test_no_such_field_gives_the_empty_line(names: list[str]) -> None:
    assert header_fields(HEADER, names) == b"\r\n"
    assert header_fields(HEADER, names, invert=True) == HEADER


@pytest.mark.parametrize(
    ("header", "named", "other"),
    [
        (b"To: a", b"To: a\r\n\r\n", b"\r\n"),
        (b"To: a\r", b"To: a\r\n\r\n", b"\r\n"),
        (b"To: a\r\n", b"To: a\r\n\r\n", b"\r\n"),
        (b"To: a\n\n", b"To: a\n\r\n", b"\n"),
        (b"X: y\r\nTo: a", b"To: a\r\n\r\n", b"X: y\r\n\r\n"),
        (b"To: a\r\nX: y", b"To: a\r\n\r\n", b"X: y\r\n\r\n"),
        (b"", b"\r\n", b"\r\n"),
        (b"\r\n", b"\r\n", b"\r\n"),
    ],
)
def test_every_answer_ends_in_an_empty_line(header: bytes, named: bytes, other: bytes) -> None:
    assert header_fields(header, ["to"]) == named
    assert header_fields(header, ["to"], invert=True) == other


NAMES = st.sampled_from([b"To", b"cc", b"X-A.b", b"subject"])
LINES = st.lists(st.binary(max_size=20).map(lambda line: line.translate(None, b"\r\n")), max_size=3)


@given(st.lists(st.tuples(NAMES, LINES), max_size=8), st.lists(NAMES, max_size=3))
@example([(b"To", [b"", b" "])], [b"To"])
def test_selection_and_rest_share_out_the_header(
    fields: list[tuple[bytes, list[bytes]]], wanted: list[bytes]
) -> None:
    blocks = [
        (name.lower(), name + b":" + b"".join(line + b"\r\n " for line in lines) + b"z\r\n")
        for name, lines in fields
    ]
    header = b"".join(block for _, block in blocks) + b"\r\n"
    lowered = {name.lower() for name in wanted}

    chosen = b"".join(block for name, block in blocks if name in lowered)
    rest = b"".join(block for name, block in blocks if name not in lowered)

    assert header_fields(header, wanted) == chosen + b"\r\n"
    assert header_fields(header, wanted, invert=True) == rest + b"\r\n"
