"""Threads (RFC 5256 section 3), by messages that are nothing but a line of a table."""

from __future__ import annotations

from collections.abc import Sequence

import hypothesis.strategies as st
import pytest
from hypothesis import given
from postroom_imap.protocol.responses.searching import thread_response
from postroom_imap.protocol.threading import (
    Forest,
    by_latest,
    by_references,
    by_subject,
    merge_subjects,
)

# id, references, base subject, whether it is a reply; sent one after the other.
Message = tuple[str, str, str, bool]


def told(forest: Forest, count: int) -> str:
    response = thread_response(forest, range(1, count + 1)).decode()
    return response.removeprefix("* THREAD").strip()


def threads(messages: Sequence[Message], dates: Sequence[int] | None = None) -> str:
    """REFERENCES."""
    dates = dates or range(len(messages))
    forest = by_references(
        [each[0] or None for each in messages], [each[1].split() for each in messages], dates
    )
    subjects, replies = [each[2] for each in messages], [int(each[3]) for each in messages]
    return told(merge_subjects(forest, subjects, replies, dates), len(messages))


def refs(messages: Sequence[Message], moments: Sequence[int]) -> str:
    forest = by_references(
        [each[0] or None for each in messages], [each[1].split() for each in messages], moments
    )
    return told(by_latest(forest, moments), len(messages))


def test_the_response() -> None:
    """RFC 5256 section 4, its second example: 3 has a child 6, and that has two."""
    numbers = [2, 3, 6, 4, 23, 44, 7, 96]
    children = [[], [2], [3, 5], [4], [], [6], [7], []]
    response = thread_response(Forest(8, [0, 1], children), numbers)
    assert response == b"* THREAD (2)(3 6 (4 23)(44 7 96))\r\n"


def test_nothing() -> None:
    assert threads([]) == ""


def test_by_subject() -> None:
    forest = by_subject(["b", "a", "b", "b", "c"], [3, 2, 5, 4, 1])
    assert told(forest, 5) == "(5)(2)(1 (4)(3))"


def test_of_two_messages_the_second_needs_no_list_of_its_own() -> None:
    assert told(by_subject(["a", "a"], [1, 2]), 2) == "(1 2)"


def test_a_chain() -> None:
    assert threads([("a", "", "s", False), ("b", "a", "s", True), ("c", "a b", "s", True)]) == (
        "(1 2 3)"
    )


def test_a_reply_that_came_first() -> None:
    assert threads([("b", "a", "s", True), ("a", "", "s", False)], [2, 1]) == "(2 1)"


def test_answers_to_one_message() -> None:
    assert threads(
        [
            ("a", "", "s", False),
            ("b", "a", "s", True),
            ("c", "a", "s", True),
            ("d", "a c", "s", True),
        ]
    ) == ("(1 (2)(3 4))")


def test_a_message_that_is_not_there_and_has_two_answers() -> None:
    assert threads([("b", "a", "s", True), ("c", "a", "t", True)]) == "((1)(2))"


def test_a_message_that_is_not_there_and_has_one_answer() -> None:
    assert threads([("b", "a", "s", True)]) == "(1)"


def test_messages_that_are_not_there_in_a_row() -> None:
    assert threads([("c", "a b", "s", True), ("d", "a b", "s", True), ("x", "", "y", False)]) == (
        "((1)(2))(3)"
    )


def test_what_is_missing_within_a_thread_is_left_out() -> None:
    assert threads([("a", "", "s", False), ("c", "a b", "s", True)]) == "(1 2)"


def test_what_a_message_says_of_itself_outweighs_what_others_say() -> None:
    # The second claims that c answers b; c itself says that it answers a.
    assert threads(
        [
            ("a", "", "s", False),
            ("d", "b c", "s", True),
            ("b", "", "t", False),
            ("c", "a", "s", True),
        ]
    ) == ("(1 4 2)(3)")


def test_loops_are_not_made() -> None:
    assert threads([("a", "b", "s", False), ("b", "a", "s", False)]) == "(2 1)"
    assert threads([("a", "a", "s", False)]) == "(1)"
    assert threads([("a", "a a x a", "s", False)]) == "(1)"


def test_two_messages_with_one_id() -> None:
    assert threads(
        [("a", "", "s", False), ("a", "", "t", False), ("b", "a", "s", True), ("", "", "u", False)]
    ) == ("(1 3)(2)(4)")


def test_a_reply_is_put_below_the_message_of_its_subject() -> None:
    assert threads([("a", "", "s", False), ("b", "", "s", True)]) == "(1 2)"
    assert threads([("b", "", "s", True), ("a", "", "s", False)]) == "(2 1)"


def test_two_of_one_subject_are_put_beside_one_another() -> None:
    assert threads([("a", "", "s", False), ("b", "", "s", False)]) == "((1)(2))"
    assert threads([("a", "", "s", True), ("b", "", "s", True)]) == "((1)(2))"
    assert threads([(c, "", "s", False) for c in "abcd"]) == "((1)(2)(3)(4))"


def test_those_without_a_subject_stay_apart() -> None:
    assert threads([("a", "", "", False), ("b", "", "", False)]) == "(1)(2)"


def test_two_threads_with_missing_roots_become_one() -> None:
    assert threads(
        [
            ("b", "a", "s", True),
            ("c", "a", "s", True),
            ("e", "d", "s", True),
            ("f", "d", "s", True),
        ]
    ) == ("((1)(2)(3)(4))")


def test_a_thread_with_a_missing_root_takes_up_the_others_of_its_subject() -> None:
    assert threads([("x", "", "s", False), ("b", "a", "s", True), ("c", "a", "s", True)]) == (
        "((1)(2)(3))"
    )


def test_threads_are_in_order_of_their_first_message() -> None:
    assert threads(
        [("a", "", "s", False), ("b", "", "t", False), ("c", "a", "s", True)], [5, 3, 1]
    ) == ("(2)(1 3)")


def test_refs_are_in_order_of_their_latest_message_and_know_no_subjects() -> None:
    messages = [("a", "", "s", False), ("b", "", "s", False), ("c", "a", "s", True)]
    assert refs(messages, [1, 2, 3]) == "(2)(1 3)"


names = st.sampled_from("abcdefgh")
some = st.lists(
    st.tuples(
        names, st.lists(names, max_size=4).map(" ".join), st.sampled_from("st"), st.booleans()
    )
)


@given(some)
def test_every_message_stands_in_one_place(messages: list[Message]) -> None:
    response = threads(messages)
    numbers = response.replace("(", " ").replace(")", " ").split()
    assert sorted(map(int, numbers)) == list(range(1, len(messages) + 1))
    assert response.count("(") == response.count(")")


@pytest.mark.parametrize("backwards", [False, True])
def test_a_chain_of_any_length(backwards: bool) -> None:
    count = 100_000
    numbers = range(count - 1, -1, -1) if backwards else range(count)
    ids = [str(number) for number in numbers]
    references = [[str(number - 1)] if number else [] for number in numbers]
    forest = by_references(ids, references, list(numbers))
    forest = merge_subjects(forest, ["s"] * count, [1] * count, list(numbers))
    response = told(forest, count)
    assert response.startswith("(100000 99999 " if backwards else "(1 2 3 ")
    assert response.count("(") == 1


def test_a_wreath_of_claims_takes_no_longer() -> None:
    """Every message denies what the one before said of it, in one deep thread."""
    count = 20_000
    ids = [str(number) for number in range(count)]
    references = [[str(max(number - 2, 0)), str(number - 1)] for number in range(count)]
    references += [[str(count - 1), str(number)] for number in range(count)]
    forest = by_references([*ids, *([None] * count)], references, range(2 * count))
    numbers = told(forest, 2 * count).replace("(", " ").replace(")", " ").split()
    assert sorted(map(int, numbers)) == list(range(1, 2 * count + 1))
