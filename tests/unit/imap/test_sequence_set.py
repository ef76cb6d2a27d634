"""Sequence sets: what is one, what it selects, how it is written."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_imap.protocol.sequence_set import MAX_NUMBER, STAR, SequenceSet

NUMBERS = st.integers(1, 60)
ENDS = NUMBERS.map(str) | st.just("*")
TEXTS = st.lists(ENDS | st.tuples(ENDS, ENDS).map(":".join), min_size=1, max_size=12).map(
    lambda parts: ",".join(parts).encode()
)


def parse(text: bytes) -> SequenceSet:
    return SequenceSet.parse(text)


@pytest.mark.parametrize(
    ("text", "ranges"),
    [
        (b"1", ((1, 1),)),
        (b"4294967295", ((MAX_NUMBER, MAX_NUMBER),)),
        (b"2:4", ((2, 4),)),
        (b"4:2", ((2, 4),)),  # RFC 3501 section 9, seq-range: order does not matter
        (b"*", ((STAR, STAR),)),
        (b"*:4", ((4, STAR),)),
        (b"5,1:3,4", ((1, 5),)),
        (b"2,4:7,9,12:*", ((2, 2), (4, 7), (9, 9), (12, STAR))),
        (b"1:3,2:9,20", ((1, 9), (20, 20))),
    ],
)
def test_parse(text: bytes, ranges: tuple[tuple[int, int], ...]) -> None:
    assert parse(text).ranges == ranges


@pytest.mark.parametrize(
    "text",
    [b"", b"0", b"01", b"1:", b":1", b"1,", b",1", b"1:2:3", b"a", b"-1", b"1 2", b"**", b"1:0",
     b"4294967296", b"9999999999", b"99999999999", b"1:4294967296", b"9" * 5000, "١".encode()],
)  # fmt: skip
def test_what_is_none(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse(text)


@pytest.mark.parametrize("ranges", [((0, 1),), ((2, 1),), ((1, 2), (3, 4)), ((5, 6), (1, 2))])
def test_wrong_ranges_are_unbuildable(ranges: tuple[tuple[int, int], ...]) -> None:
    with pytest.raises(ValueError, match="range"):
        SequenceSet(ranges)


@pytest.mark.parametrize(
    ("text", "largest", "resolved"),
    [
        (b"1:*", 5, ((1, 5),)),
        (b"559:*", 5, ((5, 5),)),  # RFC 3501 section 6.4.8
        (b"*", 5, ((5, 5),)),
        (b"1:3,7:*", 4, ((1, 4),)),
        (b"3:9", 5, ((3, 5),)),
        (b"7:9", 5, ()),
        (b"1:*", 0, ()),
    ],
)
def test_resolve(text: bytes, largest: int, resolved: tuple[tuple[int, int], ...]) -> None:
    assert parse(text).resolve(largest) == resolved


@pytest.mark.parametrize(
    ("text", "largest", "too_large"),
    [(b"1:5", 5, False), (b"1:6", 5, True), (b"6:*", 5, False), (b"*", 0, True), (b"9,1", 5, True)],
)
def test_exceeds(text: bytes, largest: int, too_large: bool) -> None:
    assert parse(text).exceeds(largest) is too_large


def test_star_depends_on_the_mailbox() -> None:
    assert parse(b"1:*").has_star
    assert not parse(b"1:4294967295").has_star
    assert not SequenceSet(()).has_star


def test_a_set_of_everything_is_one_slice() -> None:
    assert parse(b"1:4294967295").slices([3, 7, 8]) == [range(0, 3)]


def test_nothing_is_selected_of_nothing() -> None:
    assert parse(b"1:*").slices([]) == []
    assert SequenceSet(()).select([1, 2]) == []
    assert not SequenceSet(())


@given(TEXTS, st.sets(NUMBERS).map(sorted))
def test_selects_what_the_text_means(text: bytes, uids: list[int]) -> None:
    largest = uids[-1] if uids else 0
    wanted: set[int] = set()
    for part in text.decode().replace("*", str(largest)).split(","):
        low, _, high = part.partition(":")
        ends = sorted((int(low), int(high or low)))
        wanted.update(range(ends[0], ends[1] + 1))
    sequence_set = parse(text)
    assert sequence_set.select(uids) == [uid for uid in uids if uid in wanted]
    assert [uid for uid in uids if sequence_set.contains(uid, largest)] == sequence_set.select(uids)


@given(TEXTS)
def test_parse_undoes_format(text: bytes) -> None:
    assert parse(bytes(parse(text))) == parse(text)


@given(st.sets(st.integers(1, MAX_NUMBER), min_size=1) | st.sets(NUMBERS, min_size=1))
def test_of_numbers(numbers: set[int]) -> None:
    sequence_set = SequenceSet.of(numbers)
    assert parse(bytes(sequence_set)) == sequence_set
    assert sequence_set.select(sorted(numbers)) == sorted(numbers)


def test_format_is_compact() -> None:
    assert bytes(SequenceSet.of([5, 3, 2, 1, 3])) == b"1:3,5"
    assert bytes(parse(b"7,*:9")) == b"7,9:*"


@given(st.binary(max_size=30) | st.text("0123456789*:,", max_size=30).map(str.encode))
def test_any_bytes_are_a_set_or_a_value_error(text: bytes) -> None:
    try:
        sequence_set = parse(text)
    except ValueError:
        return
    assert parse(bytes(sequence_set)) == sequence_set
