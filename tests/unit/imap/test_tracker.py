"""Tracker: what a session is told, when, and which numbers its messages have meanwhile."""

from __future__ import annotations

from dataclasses import dataclass, field

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from postroom_imap import view
from postroom_imap.dialect import Dialect
from postroom_imap.keywords import DELETED, FLAGGED, SEEN
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.tracker import Heed, Tracker

from tests.unit.imap.mailboxes import Feed


def numbers(tracker: Tracker, text: bytes, uid: bool = False) -> list[int]:
    """The UIDs of the messages in a set."""
    return list(tracker.uids_at(tracker.positions(SequenceSet.parse(text), uid)))


def test_a_session_that_is_up_to_date_shares_the_views_array() -> None:
    feed = Feed(3)
    tracker = Tracker(feed.standing, read_only=False)
    assert tracker.uids is feed.view.uids
    assert tracker.tell() == []
    feed.expunge(1)
    tracker.tell()
    assert tracker.uids is feed.view.uids


def test_new_messages_are_unknown_until_told() -> None:
    feed = Feed(2)
    tracker = Tracker(feed.standing, read_only=False)
    feed.add(2)
    assert tracker.exists == 2
    assert numbers(tracker, b"1:*") == [1, 2]
    assert numbers(tracker, b"1:*", uid=True) == [1, 2]
    assert tracker.tell() == [b"* 4 EXISTS\r\n", b"* 2 RECENT\r\n"]
    assert numbers(tracker, b"1:*") == [1, 2, 3, 4]


def test_names_of_annotations_are_told_to_those_who_want_them() -> None:
    feed = Feed(3)
    plain, own = Tracker(feed.standing, False), Tracker(feed.standing, False, annotates=True)
    wants = Tracker(feed.standing, False, annotates=True)
    follows = Tracker(feed.standing, False, Dialect(modseq=True))
    feed.annotate((2, "/comment", 7), (2, "/altsubject", 0), (3, "/comment", 8), origin=own)
    feed.flag(1, flags=FLAGGED)
    flagged = b"* 1 FETCH (FLAGS (\\Flagged))\r\n"
    assert plain.tell() == own.tell() == [flagged]
    told = b"* 2 FETCH (FLAGS () ANNOTATION (/altsubject /comment))\r\n"
    assert wants.tell() == [flagged, told]
    assert [line.split()[1] for line in follows.tell()] == [b"1", b"2"]


def test_names_of_annotations_that_are_forgotten_are_not_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The flags tell that something is new."""
    monkeypatch.setattr(view, "MOST_NEWS", 4)
    feed = Feed(9)
    wants = Tracker(feed.standing, False, annotates=True)
    for number in range(1, 10):
        feed.annotate((number, "/comment", 0))
    assert feed.view.news_since(0) is None
    assert wants.tell() == [b"* %d FETCH (FLAGS ())\r\n" % number for number in range(1, 10)]


def test_who_annotated_is_known_though_the_stream_was_quicker() -> None:
    feed = Feed(2)
    own = Tracker(feed.standing, False, annotates=True)
    change = feed.annotate((1, "/comment", 7))
    feed.view.follow(change, own)
    assert own.tell() == []


@pytest.mark.parametrize(
    ("heed", "told"),
    [
        (Heed.ALL, [b"1", b"2"]),
        (Heed.MESSAGES | Heed.FLAGS, [b"1"]),
        (Heed.MESSAGES | Heed.ANNOTATIONS, [b"2"]),
        (Heed.MESSAGES, []),
        (Heed.NOTHING, []),
    ],
)
def test_what_is_heeded(heed: Heed, told: list[bytes]) -> None:
    feed = Feed(2)
    tracker = Tracker(feed.standing, False, annotates=True)
    tracker.heed = heed
    feed.flag(1)
    feed.annotate((2, "/comment", 0))
    assert [line.split()[1] for line in tracker.tell()] == told


def test_expunges_are_told_from_the_last_to_the_first() -> None:
    feed = Feed(5)
    tracker = Tracker(feed.standing, read_only=False)
    feed.expunge(2, 4)
    assert tracker.tell() == [b"* 4 EXPUNGE\r\n", b"* 2 EXPUNGE\r\n"]
    assert numbers(tracker, b"1:*") == [1, 3, 5]


def test_numbers_stay_while_expunges_are_held_back() -> None:
    feed = Feed(4)
    tracker = Tracker(feed.standing, read_only=False)
    feed.expunge(1)
    assert tracker.tell(expunge=False) == []
    assert not tracker.aligned
    assert numbers(tracker, b"2") == [2]
    assert tracker.position(4) == 3
    feed.flag(4)
    assert tracker.tell(expunge=False) == [b"* 4 FETCH (FLAGS (\\Seen))\r\n"]
    assert tracker.tell() == [b"* 1 EXPUNGE\r\n"]
    assert numbers(tracker, b"2") == [3]


def test_new_messages_wait_with_the_expunges_before_them() -> None:
    feed = Feed(2)
    tracker = Tracker(feed.standing, read_only=False)
    feed.expunge(1)
    feed.add()
    assert tracker.tell(expunge=False) == []
    assert tracker.tell() == [b"* 1 EXPUNGE\r\n", b"* 2 EXISTS\r\n", b"* 1 RECENT\r\n"]


def test_new_messages_are_told_at_once_where_nothing_was_expunged() -> None:
    feed = Feed(1)
    tracker = Tracker(feed.standing, read_only=False)
    feed.add()
    assert tracker.tell(expunge=False) == [b"* 2 EXISTS\r\n", b"* 1 RECENT\r\n"]


def test_a_message_that_came_and_went_is_never_told() -> None:
    feed = Feed(1)
    tracker = Tracker(feed.standing, read_only=False)
    feed.add()
    feed.expunge(2)
    assert tracker.tell() == []
    assert tracker.exists == 1


def test_own_flags_are_not_echoed_and_those_of_others_are() -> None:
    feed = Feed(2)
    mine, other = Tracker(feed.standing, read_only=False), Tracker(feed.standing, read_only=False)
    feed.flag(1, origin=mine)
    assert mine.tell() == []
    assert other.tell() == [b"* 1 FETCH (FLAGS (\\Seen))\r\n"]


def test_a_silent_store_hides_nothing_that_another_session_did_before() -> None:
    feed = Feed(1)
    mine, other = Tracker(feed.standing, read_only=False), Tracker(feed.standing, read_only=False)
    feed.flag(1, flags=FLAGGED, origin=other)
    feed.flag(1, flags=FLAGGED | SEEN, origin=mine)
    assert mine.tell() == [b"* 1 FETCH (FLAGS (\\Flagged \\Seen))\r\n"]


def test_flags_are_told_once_with_their_last_value() -> None:
    feed = Feed(1)
    tracker = Tracker(feed.standing, read_only=False)
    feed.flag(1, flags=SEEN)
    feed.flag(1, flags=SEEN | DELETED)
    assert tracker.tell(uid=True) == [b"* 1 FETCH (UID 1 FLAGS (\\Deleted \\Seen))\r\n"]
    assert tracker.tell() == []


def test_flags_of_messages_that_are_gone_or_not_yet_told_are_left_out() -> None:
    feed = Feed(2)
    tracker = Tracker(feed.standing, read_only=False)
    feed.add()
    feed.flag(2, 3)
    feed.expunge(2)
    assert tracker.tell() == [b"* 2 EXPUNGE\r\n", b"* 2 EXISTS\r\n", b"* 1 RECENT\r\n"]


def test_a_new_keyword_is_told_before_the_flags_that_use_it() -> None:
    feed = Feed(1)
    tracker = Tracker(feed.standing, read_only=False)
    feed.keyword(0, "$Junk", 1)
    assert tracker.tell() == [
        b"* FLAGS (\\Answered \\Flagged \\Deleted \\Seen \\Draft $Junk)\r\n",
        b"* 1 FETCH (FLAGS ($Junk))\r\n",
    ]


def test_recent_goes_to_the_first_read_write_session() -> None:
    feed = Feed(1)
    looking = Tracker(feed.standing, read_only=True)
    first, second = Tracker(feed.standing, read_only=False), Tracker(feed.standing, read_only=False)
    feed.add()
    looking.tell()
    first.tell()
    second.tell()
    recents = [tracker.recent_count() for tracker in (looking, first, second)]
    assert recents == [1, 1, 0]
    feed.add()
    for tracker in (second, first, looking):
        tracker.tell()
    assert [tracker.recent_count() for tracker in (looking, first, second)] == [1, 1, 1]
    assert first.is_recent(2)
    assert second.is_recent(3)
    later = Tracker(feed.standing, read_only=False)
    assert later.recent_count() == 0


def test_recent_counts_fall_with_expunges() -> None:
    feed = Feed(1)
    tracker = Tracker(feed.standing, read_only=False)
    feed.add(2)
    tracker.tell()
    feed.expunge(2)
    assert tracker.tell() == [b"* 2 EXPUNGE\r\n", b"* 1 RECENT\r\n"]


def test_who_changed_more_than_is_remembered_is_not_told_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "MOST_NEWS", 4)
    feed = Feed(5)
    mine, other = Tracker(feed.standing, read_only=False), Tracker(feed.standing, read_only=False)
    feed.flag(1, 2, 3, 4, 5, origin=mine)
    assert mine.tell() == []
    assert len(other.tell()) == 5
    feed.flag(1, flags=FLAGGED)
    assert feed.view.news_since(0) is None


def test_a_session_that_lags_far_behind_is_told_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(view, "MOST_NEWS", 4)
    feed = Feed(4)
    tracker = Tracker(feed.standing, read_only=False)
    feed.expunge(2)
    feed.flag(3)
    feed.flag(4, flags=FLAGGED)
    feed.add()
    assert feed.view.news_since(0) is None
    assert tracker.tell() == [
        b"* 2 EXPUNGE\r\n",
        b"* 2 FETCH (FLAGS (\\Seen))\r\n",
        b"* 3 FETCH (FLAGS (\\Flagged))\r\n",
        b"* 4 EXISTS\r\n",
        b"* 1 RECENT\r\n",
    ]


@dataclass
class Client:
    """A client that believes what it is told, and nothing else."""

    tracker: Tracker
    uids: list[int]
    flags: dict[int, bytes] = field(default_factory=dict)

    def hear(self, responses: list[bytes], shifts_allowed: bool) -> None:
        for response in responses:
            words = response.split()
            match words:
                case [b"*", number, b"EXPUNGE"]:
                    assert shifts_allowed
                    del self.uids[int(number) - 1]
                case [b"*", number, b"EXISTS"]:
                    known = len(self.uids)
                    assert int(number) >= known
                    # What a client would ask for next: the UIDs of the new ones.
                    self.uids += self.tracker.uids[known : int(number)]
                case [b"*", number, b"FETCH", *_]:
                    start = response.index(b"FLAGS ") + 6
                    self.flags[self.uids[int(number) - 1]] = response[start:-3]


class Sessions(RuleBasedStateMachine):
    """Three sessions, one mailbox, any order of events: clients are never misled."""

    @initialize(messages=st.integers(0, 6))
    def open(self, messages: int) -> None:
        self.feed = Feed(messages)
        self.clients = []
        for _ in range(3):
            tracker = Tracker(self.feed.standing, read_only=False)
            self.clients.append(Client(tracker, list(tracker.uids)))

    @rule(count=st.integers(1, 3))
    def arrive(self, count: int) -> None:
        self.feed.add(count)

    @rule(data=st.data(), who=st.integers(0, 2))
    def expunge(self, data: st.DataObject, who: int) -> None:
        if uids := list(self.feed.view.uids):
            gone = data.draw(st.sets(st.sampled_from(uids), min_size=1))
            self.feed.expunge(*sorted(gone), origin=self.clients[who].tracker)

    @rule(data=st.data(), flags=st.sampled_from([0, SEEN, FLAGGED, SEEN | FLAGGED]))
    def flag(self, data: st.DataObject, flags: int) -> None:
        if uids := list(self.feed.view.uids):
            chosen = data.draw(st.sets(st.sampled_from(uids), min_size=1))
            self.feed.flag(*sorted(chosen), flags=flags)

    @rule(who=st.integers(0, 2), expunge=st.booleans())
    def command(self, who: int, expunge: bool) -> None:
        client = self.clients[who]
        client.hear(client.tracker.tell(expunge=expunge), expunge)
        if expunge:
            mailbox = self.feed.view
            assert client.uids == list(mailbox.uids)
            assert client.tracker.aligned
            for uid, flags in client.flags.items():
                if (index := mailbox.index(uid)) >= 0:
                    told = flags.replace(b"\\Recent", b"").strip(b"() ").split()
                    assert told == mailbox.keywords[mailbox.flags[index]].strip(b"()").split()

    @invariant()
    def numbers_are_what_the_client_thinks(self) -> None:
        for client in getattr(self, "clients", []):
            tracker = client.tracker
            assert client.uids == list(tracker.uids[: tracker.exists])
            assert [tracker.position(uid) for uid in client.uids] == list(range(tracker.exists))


TestSessions = Sessions.TestCase
TestSessions.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)
