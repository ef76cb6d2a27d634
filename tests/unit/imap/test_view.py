"""MailboxView: what it makes of changes in order, early, late, twice, folded and missing."""

from __future__ import annotations

from array import array

import hypothesis.strategies as st
import pytest
from hypothesis import given
from postroom_imap import view
from postroom_imap.keywords import DELETED, FLAGGED, SEEN
from postroom_imap.ports.columns import Change
from postroom_imap.view import MailboxView

from tests.unit.imap.mailboxes import TICKET, Feed, columns, opened


def test_columns_are_found_by_uid() -> None:
    found = MailboxView(TICKET, opened([2, 5, 9]))
    assert [found.index(uid) for uid in (1, 2, 5, 9, 10)] == [-1, 0, 1, 2, -1]
    assert found.indexes([1, 2, 6, 9]) == [0, 2]


def test_the_first_unseen_message_is_found_in_one_look() -> None:
    feed = Feed(4)
    assert feed.view.unseen == (4, 0)
    feed.flag(1, 2, 4)
    assert feed.view.unseen == (1, 2)
    feed.flag(3, flags=SEEN | DELETED | 1 << 63)
    assert feed.view.unseen == (0, -1)


def test_new_messages_come_behind_and_the_array_stays_the_same() -> None:
    feed = Feed(2)
    before = feed.view.uids
    feed.add(2)
    assert list(feed.view.uids) == [1, 2, 3, 4]
    assert list(feed.view.email_ids) == [10, 20, 30, 40]
    assert feed.view.uid_next == 5
    assert feed.view.uids is before


def test_an_expunge_leaves_the_array_that_sessions_hold_as_it_was() -> None:
    feed = Feed(4)
    before = feed.view.uids
    feed.expunge(2, 3)
    assert list(before) == [1, 2, 3, 4]
    assert list(feed.view.uids) == [1, 4]
    assert list(feed.view.email_ids) == [10, 40]


@given(st.sets(st.integers(1, 200)))
def test_any_set_of_messages_can_go(gone: set[int]) -> None:
    feed = Feed(200)
    feed.expunge(*gone)
    left = [uid for uid in range(1, 201) if uid not in gone]
    assert list(feed.view.uids) == left
    assert list(feed.view.email_ids) == [uid * 10 for uid in left]
    assert len(feed.view.flags) == len(feed.view.modseqs) == len(left)


def test_a_change_that_is_known_is_dropped() -> None:
    feed = Feed(3)
    change = feed.expunge(2)
    applied = feed.view.applied
    feed.view.follow(change)
    assert feed.view.applied == applied


def test_a_change_ahead_waits_for_what_lies_between() -> None:
    feed = Feed(3)
    between = feed.change(flagged=columns([1], SEEN, 2))
    ahead = feed.change(expunged=[2])
    feed.view.follow(ahead)
    assert (list(feed.view.uids), feed.view.modseq) == ([1, 2, 3], 1)
    feed.view.follow(between)
    assert (list(feed.view.uids), feed.view.modseq) == ([1, 3], 3)
    assert list(feed.view.flags) == [SEEN, 0]


def test_a_folded_change_that_begins_before_us_is_applied_where_it_is_new() -> None:
    feed = Feed(2)
    feed.flag(1)  # modseq 2
    feed.add()  # modseq 3, uid 3
    folded = Change(
        3,
        1,
        5,
        5,
        added=columns([3, 4], FLAGGED, 5),
        flagged=columns([1], SEEN, 2),
        expunged=(2,),
    )
    feed.view.follow(folded)
    assert list(feed.view.uids) == [1, 3, 4]
    assert list(feed.view.flags) == [SEEN, FLAGGED, FLAGGED]
    assert list(feed.view.email_ids) == [10, 30, 40]
    (news,) = feed.view.news_since(feed.view.applied - 1) or []
    assert list(news.flagged) == [3]  # message 1 was told with its own change


def test_flags_that_went_and_came_back_in_a_folded_change_are_news() -> None:
    feed = Feed(3)
    feed.flag(1, 3)  # modseq 2
    feed.view.follow(Change(3, 2, 4, 4, flagged=columns([1, 3], SEEN, 4)))
    (news,) = feed.view.news_since(feed.view.applied - 1) or []
    assert list(news.flagged) == [1, 3]
    assert list(feed.view.modseqs) == [4, 1, 4]


def test_two_changes_ahead_that_overlap_leave_no_gap() -> None:
    feed = Feed(3)
    first = feed.change(flagged=columns([1], SEEN, 2))
    own = feed.change(flagged=columns([2], SEEN, 3))
    folded = Change(3, 2, 4, 4, flagged=columns([2, 3], SEEN, 4))
    feed.view.follow(folded)
    feed.view.follow(own)
    feed.view.follow(first)
    assert feed.view.modseq == 4
    assert list(feed.view.flags) == [SEEN] * 3


def test_too_many_changes_ahead_make_the_view_stale() -> None:
    feed = Feed(1)
    feed.change()
    for _ in range(65):
        feed.view.follow(feed.change())
    assert feed.view.stale


def test_a_mailbox_read_anew_becomes_one_change() -> None:
    feed = Feed(4)
    feed.view.stale = True
    anew = opened([1, 3, 5, 6], modseq=9)
    anew.columns.flags[1] = SEEN
    anew.columns.modseqs[1] = 8
    feed.view.replace(anew)
    assert list(feed.view.uids) == [1, 3, 5, 6]
    assert list(feed.view.flags) == [0, SEEN, 0, 0]
    assert feed.view.modseq == 9
    assert not feed.view.stale
    (news,) = feed.view.news_since(0) or []
    assert (list(news.flagged), list(news.expunged)) == ([3], [2, 4])


def test_an_older_reading_changes_nothing() -> None:
    feed = Feed(2)
    feed.add()
    feed.view.replace(opened([1, 2], modseq=1))
    assert list(feed.view.uids) == [1, 2, 3]


def test_marking_all_of_a_run_sets_the_column_at_once() -> None:
    feed = Feed(1000)
    feed.flag(*range(1, 1001))
    assert feed.view.flags == array("Q", [SEEN] * 1000)


def test_the_mailbox_can_go() -> None:
    feed = Feed(1)
    heard: list[bool] = []
    feed.view.listen(lambda: heard.append(feed.view.gone))
    feed.view.follow(Change(3, 1, 2, 2, deleted=True))
    assert heard == [True]


def test_listeners_hear_each_change_until_they_leave() -> None:
    feed = Feed(1)
    heard: list[int] = []

    def listener() -> None:
        heard.append(feed.view.modseq)

    feed.view.listen(listener)
    feed.add()
    feed.view.unlisten(listener)
    feed.add()
    assert heard == [2]


@pytest.mark.parametrize("lose", [False, True])
def test_waiters_are_called_when_the_view_is_there_or_lost(lose: bool) -> None:
    feed = Feed(1)
    called: list[str] = []
    feed.view.call_at(3, lambda: called.append("three"))
    feed.view.call_at(9, lambda: called.append("nine"))
    feed.add()
    assert called == []
    feed.add()
    assert called == ["three"]
    if lose:
        feed.view.lose(temporary=True)
        assert called == ["three", "nine"]


def test_news_are_forgotten_beyond_a_bound_and_without_sessions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "MOST_NEWS", 4)
    feed = Feed(4)
    feed.add()
    feed.flag(1)
    assert feed.view.news_since(0) is not None
    feed.flag(2, 3)
    assert feed.view.news_since(0) is None
    assert list(feed.view.changed_since(2)) == [1, 2, 3]
    feed.view.sessions = 0
    feed.add()
    assert feed.view.news_since(feed.view.applied) == []
    assert feed.view.news_since(feed.view.applied - 1) is None


def test_a_change_that_the_stream_told_first_is_attributed_when_its_answer_comes() -> None:
    feed, session = Feed(2), object()
    change = feed.flag(1)
    feed.view.follow(change, session)
    (news,) = feed.view.news_since(0) or []
    assert news.origin is session
