"""What a client that was away has missed (RFC 7162 section 3.2.5): which of its UIDs are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from postroom_imap.ports.columns import Range, Ranges
from postroom_imap.protocol.commands.mailboxes import Resync
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.tracker import Tracker


def vanished(tracker: Tracker, gone: Ranges | None, known: Ranges) -> SequenceSet:
    """The UIDs among those that a client knows that are gone.

    Args:
        gone: what was expunged since the client looked; None: nobody knows any more, so that
            every UID without a message may have been one.
        known: ascending.
    """
    uids = tracker.uids[: tracker.exists]
    # What went while the store was asked still counts here, and is told like any expunge.
    among = unused(uids, tracker.view.uid_next) if gone is None else without(gone, uids)
    return SequenceSet(tuple(joined(common(among, known))))


def known_uids(tracker: Tracker, resync: Resync, forgotten: bool) -> Ranges:
    """The UIDs that a client may still know of.

    Args:
        forgotten: nobody knows what was expunged: numbers and UIDs that went together spare the
            client to hear of those below again.
    """
    last = tracker.view.uid_next - 1
    known = ((1, last),) if resync.uids is None else resync.uids.resolve(last)
    if not forgotten or resync.matches is None:
        return known
    whole = _matched(tracker, *resync.matches)
    return tuple(common(known, ((whole + 1, last),))) if whole < last else ()


def _matched(tracker: Tracker, numbers: SequenceSet, uids: SequenceSet) -> int:
    """The largest UID up to which numbers and UIDs still go together (section 3.2.5.2)."""
    whole = 0
    for number, uid in zip(_members(numbers), _members(uids), strict=False):
        if number > tracker.exists or tracker.uids[number - 1] != uid:
            break
        whole = uid
    return whole


def _members(numbers: SequenceSet) -> Iterator[int]:
    return (number for low, high in numbers.ranges for number in range(low, high + 1))


def unused(uids: Sequence[int], uid_next: int) -> Iterator[Range]:
    """The UIDs below the next one that no message has, as ranges."""
    low = 1
    for uid in uids:
        if uid > low:
            yield low, uid - 1
        low = uid + 1
    if low < uid_next:
        yield low, uid_next - 1


def without(ranges: Ranges, uids: Sequence[int]) -> Iterator[Range]:
    """Ascending ranges but for some UIDs, ascending."""
    return common(ranges, unused(uids, (ranges[-1][1] if ranges else 0) + 1))


def common(ones: Iterable[Range], others: Iterable[Range]) -> Iterator[Range]:
    """What two ascending lists of ranges share."""
    left, right = iter(ones), iter(others)
    one, other = next(left, None), next(right, None)
    while one is not None and other is not None:
        low, high = max(one[0], other[0]), min(one[1], other[1])
        if low <= high:
            yield low, high
        if one[1] < other[1]:
            one = next(left, None)
        else:
            other = next(right, None)


def joined(ranges: Iterable[Range]) -> Iterator[Range]:
    """Ascending ranges, those that touch made one."""
    last: Range | None = None
    for low, high in ranges:
        if last is not None and low <= last[1] + 1:
            last = (last[0], high)
        else:
            if last is not None:
                yield last
            last = (low, high)
    if last is not None:
        yield last
