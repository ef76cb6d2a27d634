"""Batches of UIDs (draft-ietf-mailmaint-imap-uidbatches section 3)."""

import itertools

from hypothesis import given
from hypothesis import strategies as st
from postroom_imap.commands.uid_batches import batches


def test_they_follow_one_another_down_to_1() -> None:
    assert batches([7, 9, 20, 21, 40], 2) == [(40, 21), (20, 8), (7, 1)]
    assert batches([7, 9, 20, 21], 2) == [(21, 10), (9, 1)]
    assert batches([7], 2) == [(7, 1)]
    assert batches([], 2) == []


def test_some_of_them() -> None:
    assert batches([7, 9, 20, 21, 40], 2, (2, 2)) == [(20, 8)]
    assert batches([7, 9, 20, 21, 40], 2, (2, 9)) == [(20, 8), (7, 1)]
    assert batches([7, 9, 20, 21, 40], 2, (4, 9)) == []


@given(st.sets(st.integers(1, 10_000)), st.integers(1, 50))
def test_every_message_is_in_one(uids: set[int], size: int) -> None:
    found = batches(sorted(uids), size)
    counts = [sum(low <= uid <= high for uid in uids) for high, low in found]
    assert sum(counts) == len(uids)
    assert all(count == size for count in counts[:-1])
    assert all(count <= size for count in counts)
    assert all(low == high + 1 for (_, low), (high, _) in itertools.pairwise(found))
