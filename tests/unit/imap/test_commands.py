"""Arguments of the commands, FETCH and SEARCH apart (they have modules of their own)."""

import pytest
from postroom_imap.protocol.commands import (
    Authenticate,
    Create,
    Enable,
    Id,
    List,
    Login,
    Lsub,
    Move,
    Rename,
    ReturnOption,
    SelectionOption,
    Status,
    StatusItem,
    Store,
    StoreMode,
)
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.secret import Secret
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.protocol.state import State

from tests.unit.imap.wire import command_of

ONE = SequenceSet.parse(b"1")


def before_login(line: bytes) -> object:
    return command_of(line, State.NOT_AUTHENTICATED)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b"a AUTHENTICATE plain\r\n", Authenticate("PLAIN")),
        (b"a AUTHENTICATE PLAIN AGEAYg==\r\n", Authenticate("PLAIN", Secret(b"\0a\0b"))),
        (b"a AUTHENTICATE EXTERNAL =\r\n", Authenticate("EXTERNAL", Secret(b""))),
        (b'a LOGIN "us er" "pa\\\\ss"\r\n', Login("us er", Secret(b"pa\\ss"))),
        (b'a LOGIN "\xc3\xa9" ""\r\n', Login("é", Secret(b""))),
        (b"a ID NIL\r\n", Id()),
        (b"a ID ()\r\n", Id()),
        (b'a ID ("name" "x" "os" nil)\r\n', Id((("name", "x"), ("os", None)))),
        (b'a ID ("name" "\xff")\r\n', Id((("name", "\ufffd"),))),
    ],
)
def test_before_login(line: bytes, command: object) -> None:
    assert before_login(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"a AUTHENTICATE\r\n",
        b"a AUTHENTICATE PLAIN =x\r\n",
        b"a AUTHENTICATE PLAIN \r\n",
        b"a LOGIN x\r\n",
        b'a LOGIN "\xe9" x\r\n',
        b"a LOGIN x y z\r\n",
        b"a ID\r\n",
        b'a ID "x"\r\n',
        b'a ID ("name")\r\n',
        b"a STARTTLS now\r\n",
    ],
)
def test_wrong_before_login(line: bytes) -> None:
    refusal = before_login(line)
    assert isinstance(refusal, InvalidCommand)
    assert refusal.reply().startswith(b"a BAD ")


def test_no_password_is_shown() -> None:
    login = before_login(b"a LOGIN fred sesame\r\n")
    plain = before_login(b"a AUTHENTICATE PLAIN c2VzYW1l\r\n")
    assert "sesame" not in repr(login) + repr(plain)


STORES = [
    (b"FLAGS (\\Seen)", StoreMode.REPLACE, False, ("\\Seen",)),
    (b"flags.silent ()", StoreMode.REPLACE, True, ()),
    (b"+FLAGS \\seen", StoreMode.ADD, False, ("\\Seen",)),
    (b"+Flags.Silent (a b A)", StoreMode.ADD, True, ("a", "b", "A")),
    (b"-FLAGS a \\DELETED a", StoreMode.REMOVE, False, ("a", "\\Deleted")),
]


@pytest.mark.parametrize(("change", "mode", "silent", "flags"), STORES)
@pytest.mark.parametrize(("verb", "uid"), [(b"STORE", False), (b"UID STORE", True)])
def test_store(
    verb: bytes, uid: bool, change: bytes, mode: StoreMode, silent: bool, flags: tuple[str, ...]
) -> None:
    assert command_of(b"a %b 1 %b\r\n" % (verb, change)) == Store(uid, ONE, mode, silent, flags)


def test_a_long_store_is_the_same() -> None:
    flags = tuple(f"keyword{number}" for number in range(200))
    line = b"a STORE 1 FLAGS (%b)\r\n" % " ".join(flags).encode()
    assert command_of(line) == Store(False, ONE, StoreMode.REPLACE, False, flags)


@pytest.mark.parametrize(
    ("line", "command"),
    [
        (b'a CREATE "a b/"\r\n', Create("a b/")),
        (b"a CREATE x (USE (\\Sent \\JUNK \\Sent))\r\n", Create("x", ("\\Sent", "\\JUNK"))),
        (b"a RENAME inbox &AOk-\r\n", Rename("INBOX", "é")),
        (
            b"a STATUS x (unseen UIDNEXT unseen)\r\n",
            Status("x", (StatusItem.UNSEEN, StatusItem.UIDNEXT)),
        ),
        (b"a MOVE 1 {5+}\r\nInbox\r\n", Move(False, ONE, "INBOX")),
        (b"a ENABLE utf8=accept\r\n", Enable(("UTF8=ACCEPT",))),
        (b'a LSUB "" "*"\r\n', Lsub("", "*")),
        (b"a LIST inbox/ inbox\r\n", List("INBOX/", ("inbox",))),
        (b'a LIST "" inbox\r\n', List("", ("INBOX",))),
        # RFC 5258 section 5, RFC 6154 section 5.2
        (
            b'a LIST (SUBSCRIBED) "" "*"\r\n',
            List("", ("*",), frozenset({SelectionOption.SUBSCRIBED}), extended=True),
        ),
        (
            b'a LIST () "" ("INBOX" "Drafts" "Sent/%")\r\n',
            List("", ("INBOX", "Drafts", "Sent/%"), extended=True),
        ),
        (
            b'a LIST "" "%" RETURN (CHILDREN special-use)\r\n',
            List(
                "",
                ("%",),
                returns=frozenset({ReturnOption.CHILDREN, ReturnOption.SPECIAL_USE}),
                extended=True,
            ),
        ),
        (
            b'a LIST "" "%" RETURN (status (messages SIZE) SUBSCRIBED)\r\n',
            List(
                "",
                ("%",),
                returns=frozenset({ReturnOption.SUBSCRIBED}),
                extended=True,
                status=(StatusItem.MESSAGES, StatusItem.SIZE),
            ),
        ),
        (
            b'a LIST (SPECIAL-USE RECURSIVEMATCH) "" "*" RETURN ()\r\n',
            List(
                "",
                ("*",),
                frozenset({SelectionOption.SPECIAL_USE, SelectionOption.RECURSIVEMATCH}),
                extended=True,
            ),
        ),
    ],
)
def test_on_mailboxes(line: bytes, command: object) -> None:
    assert command_of(line) == command


@pytest.mark.parametrize(
    "line",
    [
        b"a SELECT\r\n",
        b"a SELECT x y\r\n",
        b"a SELECT (x)\r\n",
        b"a RENAME x\r\n",
        b"a STATUS x ()\r\n",
        b"a STATUS x (FROB)\r\n",
        b"a STATUS x MESSAGES\r\n",
        b"a LIST x\r\n",
        b'a LIST (FROB) "" *\r\n',
        b'a LIST (RECURSIVEMATCH) "" *\r\n',
        b'a LIST (RECURSIVEMATCH REMOTE) "" *\r\n',
        b'a LIST "" ()\r\n',
        b'a LIST "" * RETURN (FROB)\r\n',
        b'a LIST "" * FROB ()\r\n',
        b"a ENABLE\r\n",
        b"a CHECK now\r\n",
        b"a COPY x y\r\n",
        b"a COPY 1\r\n",
        b"a STORE 1 FROB (x)\r\n",
        b"a STORE 1 FLAGS\r\n",
        b"a STORE 1 FLAGS \r\n",
        b"a STORE 1 FLAGS (\\Recent)\r\n",
        b"a STORE 1 FLAGS (x) y\r\n",
        b"a STORE 1 FLAGS (x\r\n",
        b"a STORE 0 FLAGS (x)\r\n",
        b"a UID EXPUNGE\r\n",
        b"a UID EXPUNGE x\r\n",
        b"a EXPUNGE 1\r\n",
        b'a LIST "" (%b)\r\n' % b" ".join([b"x"] * 51),
        b"a STORE 1 FLAGS %b\r\n" % b" ".join([b"x"] * 1001),
    ],
)
def test_wrong(line: bytes) -> None:
    refusal = command_of(line)
    assert isinstance(refusal, InvalidCommand)
    assert refusal.reply().startswith(b"a BAD ")


def test_a_name_outside_modified_utf_7() -> None:
    refusal = command_of(b"a CREATE R&D\r\n")
    assert isinstance(refusal, InvalidCommand)
    assert refusal.reply() == b"a NO [CANNOT] Mailbox name is not valid modified UTF-7\r\n"


def test_a_name_that_is_too_long() -> None:
    assert command_of(b"a CREATE " + b"x" * 1000 + b"\r\n") == Create("x" * 1000)
    refusal = command_of(b"a CREATE " + b"x" * 1001 + b"\r\n")
    assert isinstance(refusal, InvalidCommand)
    assert refusal.reply() == b"a NO [LIMIT] Mailbox name is too long\r\n"
