"""What one person may do with a mailbox that several have open."""

from __future__ import annotations

from dataclasses import replace

from postroom_imap.ports.identity import Ticket
from postroom_imap.standing import Standing
from postroom_imap.tracker import Tracker

from tests.unit.imap.mailboxes import Feed, opened

BOB = Ticket("his", 8, "bob@example.org", 4_000_000_000)


def guest(feed: Feed, rights: str = "lr") -> Standing:
    return Standing(feed.view, BOB, "Other Users/ann@example.org/INBOX", rights, feed.modseq)


def change_rights(feed: Feed) -> int:
    """The ACL becomes another; answers the modseq."""
    feed.view.follow(replace(feed.change(), rights_changed=True))
    return feed.modseq


def test_an_owner_may_do_everything_always() -> None:
    feed = Feed(1)
    change_rights(feed)
    assert not feed.standing.guest
    assert not feed.standing.uncertain
    feed.standing.learn("", feed.modseq)
    assert not feed.standing.ended


def test_rights_are_uncertain_from_a_change_on() -> None:
    feed = Feed(1)
    standing = guest(feed)
    feed.flag(1)
    assert not standing.hidden
    changed = change_rights(feed)
    assert standing.uncertain
    standing.learn("lr", changed - 1)
    assert standing.uncertain
    standing.learn("l", changed)
    assert not standing.uncertain
    assert standing.ended
    standing.learn("lr", changed - 1)
    assert standing.ended


def test_what_is_known_later_is_certain_at_once() -> None:
    feed = Feed(1)
    change_rights(feed)
    assert not guest(feed).uncertain


def test_a_change_that_is_ahead_of_the_chain_counts_at_once() -> None:
    feed = Feed(1)
    standing, heard = guest(feed), []
    feed.view.listen(lambda: heard.append(standing.uncertain))
    missing = feed.change()
    feed.view.follow(replace(feed.change(), rights_changed=True))
    assert heard == [True]
    feed.view.follow(missing)
    assert standing.uncertain


def test_a_change_that_is_known_by_another_way_counts_too() -> None:
    """The answer to a call of the owner's may have brought the view further than the stream."""
    feed = Feed(1)
    standing = guest(feed)
    change = replace(feed.change(), rights_changed=True)
    feed.view.follow(replace(change, rights_changed=False))
    feed.view.follow(change)
    assert standing.uncertain


def test_nothing_is_certain_once_the_stream_is_lost() -> None:
    feed = Feed(1)
    standing = guest(feed)
    feed.view.lose(temporary=True)
    assert standing.uncertain
    feed.view.replace(opened([1], modseq=feed.modseq))
    assert not standing.uncertain  # there was nothing between
    feed.view.lose(temporary=True)
    feed.view.replace(opened([1], modseq=9))
    assert standing.uncertain
    standing.learn("lr", 9)
    assert not standing.uncertain


def test_nothing_is_told_while_rights_are_uncertain() -> None:
    feed = Feed(1)
    standing = guest(feed)
    mine, theirs = Tracker(feed.standing, read_only=False), Tracker(standing, read_only=False)
    changed = change_rights(feed)
    feed.add()
    assert b"* 2 EXISTS\r\n" in mine.tell()
    assert theirs.tell() == []
    assert theirs.farewell() == b""
    standing.learn("lr", changed)
    assert b"* 2 EXISTS\r\n" in theirs.tell()
    feed.add()
    standing.learn("l", changed)
    assert theirs.tell() == []
    assert theirs.farewell().startswith(b"* BYE ")
