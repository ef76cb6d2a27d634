"""NOTIFY (RFC 5465): which events a client wants to hear of, and of which mailboxes."""

from dataclasses import dataclass
from enum import StrEnum

from postroom_imap.protocol.commands.fetch import FetchItems, parse_fetch_attributes
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import Refusal, SyntaxFault


class Event(StrEnum):
    """What may happen; the value is the wire name."""

    MESSAGE_NEW = "MessageNew"
    MESSAGE_EXPUNGE = "MessageExpunge"
    FLAG_CHANGE = "FlagChange"
    ANNOTATION_CHANGE = "AnnotationChange"
    MAILBOX_NAME = "MailboxName"
    SUBSCRIPTION_CHANGE = "SubscriptionChange"
    MAILBOX_METADATA_CHANGE = "MailboxMetadataChange"
    SERVER_METADATA_CHANGE = "ServerMetadataChange"


class Scope(StrEnum):
    """Which mailboxes are meant (section 6)."""

    SELECTED = "SELECTED"
    SELECTED_DELAYED = "SELECTED-DELAYED"
    INBOXES = "INBOXES"
    PERSONAL = "PERSONAL"
    SUBSCRIBED = "SUBSCRIBED"
    SUBTREE = "SUBTREE"
    MAILBOXES = "MAILBOXES"


MESSAGE_EVENTS = frozenset(
    {Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE, Event.FLAG_CHANGE, Event.ANNOTATION_CHANGE}
)
SELECTED_SCOPES = frozenset({Scope.SELECTED, Scope.SELECTED_DELAYED})
_NAMING = frozenset({Scope.SUBTREE, Scope.MAILBOXES})
_PAIR = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})
_EVENTS = {event.upper(): event for event in Event}
_BAD_EVENT = b"BADEVENT (%b)" % " ".join(Event).encode("ascii")
_MOST_GROUPS = 50


@dataclass(frozen=True, slots=True)
class EventGroup:
    """Events of some mailboxes.

    Attributes:
        mailboxes: those that the scope names, if it does.
        items: what is fetched of each new message of the selected mailbox.
    """

    scope: Scope
    mailboxes: tuple[str, ...]
    events: frozenset[Event]
    items: FetchItems | None = None


@dataclass(frozen=True, slots=True)
class Notify:
    """NOTIFY SET; without groups NOTIFY NONE. ``status``: tell first where the mailboxes stand."""

    groups: tuple[EventGroup, ...] = ()
    status: bool = False


def parse_notify(cursor: Cursor) -> Notify:
    """``NOTIFY NONE`` or ``NOTIFY SET [STATUS] (scope events) …``."""
    cursor.space()
    match cursor.word():
        case b"NONE":
            return Notify()
        case b"SET":
            return _set(cursor)
    raise SyntaxFault("Expected SET or NONE")


def _set(cursor: Cursor) -> Notify:
    cursor.space()
    status = cursor.take_word(b"STATUS ")
    groups = [_group(cursor)]
    while not cursor.at_end():
        cursor.space()
        groups.append(_group(cursor))
        if len(groups) > _MOST_GROUPS:
            raise SyntaxFault("Too many groups of events", b"LIMIT")
    if sum(group.scope in SELECTED_SCOPES for group in groups) > 1:
        raise SyntaxFault("The selected mailbox is named once")
    return Notify(tuple(groups), status)


def _group(cursor: Cursor) -> EventGroup:
    cursor.expect(b"(")
    try:
        scope = Scope(cursor.word().decode())
    except ValueError:
        raise SyntaxFault("Unknown mailboxes to watch") from None
    cursor.space()
    mailboxes = _mailboxes(cursor) if scope in _NAMING else ()
    events, items = _events(cursor)
    cursor.expect(b")")
    return _checked(EventGroup(scope, mailboxes, events, items))


def _mailboxes(cursor: Cursor) -> tuple[str, ...]:
    """One name or several, and the space behind."""
    if cursor.at(b"("):
        mailboxes = cursor.list_of(cursor.mailbox)
    else:
        mailboxes = (cursor.mailbox(),)
    cursor.space()
    return mailboxes


def _events(cursor: Cursor) -> tuple[frozenset[Event], FetchItems | None]:
    """``(event …)`` or ``NONE``; the RFC's example leaves the parentheses out."""
    events: set[Event] = set()
    items: FetchItems | None = None

    def event() -> None:
        nonlocal items
        name = cursor.atom().upper()
        if name not in _EVENTS:
            raise SyntaxFault("No such event is told of", _BAD_EVENT, Refusal.NO)
        events.add(_EVENTS[name])
        if _EVENTS[name] is Event.MESSAGE_NEW and cursor.take(b" ("):
            cursor.position -= 1
            items = parse_fetch_attributes(cursor)

    if cursor.take_word(b"NONE"):
        return frozenset(), None
    if cursor.at(b"("):
        cursor.list_of(event)
    else:
        event()
        while cursor.take(b" "):
            event()
    return frozenset(events), items


def _checked(group: EventGroup) -> EventGroup:
    """The group, where it makes sense (sections 5, 6.1, 8)."""
    of_messages = group.events & MESSAGE_EVENTS
    if of_messages and not of_messages >= _PAIR:
        raise SyntaxFault("Events of messages need MessageNew and MessageExpunge")
    if group.scope in SELECTED_SCOPES:
        if of_messages != group.events:
            raise SyntaxFault("Of the selected mailbox messages alone are told")
    elif group.items is not None:
        raise SyntaxFault("Messages of the selected mailbox alone are fetched")
    return group
