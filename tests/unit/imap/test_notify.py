"""Arguments of NOTIFY (RFC 5465 section 8)."""

import pytest
from postroom_imap.protocol.commands import FetchAttribute, FetchItems, Notify
from postroom_imap.protocol.commands.notify import Event, EventGroup, Scope
from postroom_imap.protocol.invalid import InvalidCommand, Refusal

from tests.unit.imap.wire import command_of

PAIR = frozenset({Event.MESSAGE_NEW, Event.MESSAGE_EXPUNGE})


@pytest.mark.parametrize(
    ("arguments", "command"),
    [
        (b"NONE", Notify()),
        (
            b"set status (selected (MessageNew (uid flags) messageExpunge)) "
            b"(subtree Lists (MessageNew MessageExpunge))",
            Notify(
                (
                    EventGroup(
                        Scope.SELECTED,
                        (),
                        PAIR,
                        FetchItems((FetchAttribute.UID, FetchAttribute.FLAGS)),
                    ),
                    EventGroup(Scope.SUBTREE, ("Lists",), PAIR),
                ),
                status=True,
            ),
        ),
        (
            b"SET (selected-delayed (MessageNew MessageExpunge FlagChange)) "
            b'(mailboxes (inbox "a b") (MailboxName)) (personal NONE)',
            Notify(
                (
                    EventGroup(Scope.SELECTED_DELAYED, (), PAIR | {Event.FLAG_CHANGE}),
                    EventGroup(Scope.MAILBOXES, ("INBOX", "a b"), frozenset({Event.MAILBOX_NAME})),
                    EventGroup(Scope.PERSONAL, (), frozenset()),
                )
            ),
        ),
        # As the example of section 3.1 has it: without parentheses.
        (
            b"SET (inboxes MessageNew MessageExpunge)",
            Notify((EventGroup(Scope.INBOXES, (), PAIR),)),
        ),
    ],
)
def test_notify(arguments: bytes, command: Notify) -> None:
    assert command_of(b"a NOTIFY %b\r\n" % arguments) == command


@pytest.mark.parametrize(
    "arguments",
    [
        b"",
        b" SET",
        b" SOME",
        b" SET ()",
        b" SET (nobody (MessageNew MessageExpunge))",
        b" SET (personal)",
        b" SET (personal ())",
        b" SET (subtree (MessageNew MessageExpunge))",
        b" SET (personal (MessageNew))",
        b" SET (personal (MessageExpunge))",
        b" SET (personal (FlagChange))",
        b" SET (personal (MessageNew (UID) MessageExpunge))",
        b" SET (selected (MailboxName))",
        b" SET (selected (MessageNew (FROB) MessageExpunge))",
        b" SET (selected NONE) (selected-delayed NONE)",
        b" SET" + b" (personal NONE)" * 60,
    ],
)
def test_what_is_no_notify(arguments: bytes) -> None:
    refused = command_of(b"a NOTIFY%b\r\n" % arguments)
    assert isinstance(refused, InvalidCommand)
    assert refused.refusal is Refusal.BAD


def test_unknown_events_are_refused_with_those_that_are_known() -> None:
    refused = command_of(b"a NOTIFY SET (personal (MailboxName FrobChange))\r\n")
    assert isinstance(refused, InvalidCommand)
    assert refused.reply().startswith(
        b"a NO [BADEVENT (MessageNew MessageExpunge FlagChange AnnotationChange MailboxName "
        b"SubscriptionChange MailboxMetadataChange ServerMetadataChange)] "
    )
