"""The table: every example command of RFC 3501 section 6 is read, in the state where it stands."""

import pytest
from postroom_imap.protocol.commands import (
    Authenticate,
    CancelUpdate,
    Capability,
    Check,
    Close,
    Command,
    Comparator,
    Compress,
    Copy,
    Create,
    Delete,
    DeleteAcl,
    Enable,
    Examine,
    Expunge,
    Fetch,
    FetchAttribute,
    FetchItems,
    GenUrlAuth,
    GetAcl,
    GetMetadata,
    GetQuota,
    GetQuotaRoot,
    Idle,
    Language,
    List,
    ListRights,
    Login,
    Logout,
    Lsub,
    Move,
    MultiSearch,
    MyRights,
    Namespace,
    Noop,
    Notify,
    Rename,
    ResetKey,
    Search,
    Select,
    SetAcl,
    SetMetadata,
    SetQuota,
    StartTls,
    Status,
    StatusItem,
    Store,
    StoreMode,
    Subscribe,
    UidBatches,
    UidExpunge,
    Unauthenticate,
    Unselect,
    Unsubscribe,
    UrlFetch,
)
from postroom_imap.protocol.commands.acl import RightsChange
from postroom_imap.protocol.commands.multisearch import Source, SourceMailboxes
from postroom_imap.protocol.commands.search_keys import AllKey, FlagKey, TextKey, TextScope
from postroom_imap.protocol.commands.sorting import Algorithm, Criterion, Sort, SortKey, Thread
from postroom_imap.protocol.commands.urlauth import UrlItem, WantedUrl
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.secret import Secret
from postroom_imap.protocol.sequence_set import SequenceSet
from postroom_imap.protocol.state import State
from postroom_imap.protocol.table import COMMANDS, Request, find_tag, parse_command

NOT_AUTHENTICATED, AUTHENTICATED, SELECTED = (
    State.NOT_AUTHENTICATED,
    State.AUTHENTICATED,
    State.SELECTED,
)

EXAMPLES: list[tuple[str, State, Command]] = [
    # RFC 3501 section 6.1
    ("CAPABILITY", NOT_AUTHENTICATED, Capability()),
    ("NOOP", SELECTED, Noop()),
    ("LOGOUT", AUTHENTICATED, Logout()),
    # section 6.2
    ("STARTTLS", NOT_AUTHENTICATED, StartTls()),
    ("AUTHENTICATE GSSAPI", NOT_AUTHENTICATED, Authenticate("GSSAPI")),
    ("LOGIN SMITH SESAME", NOT_AUTHENTICATED, Login("SMITH", Secret(b"SESAME"))),
    # section 6.3
    ("SELECT INBOX", AUTHENTICATED, Select("INBOX")),
    ("EXAMINE blurdybloop", AUTHENTICATED, Examine("blurdybloop")),
    ("CREATE owatagusiam/", AUTHENTICATED, Create("owatagusiam/")),
    ("DELETE foo/bar", AUTHENTICATED, Delete("foo/bar")),
    ("RENAME blurdybloop sarasoop", AUTHENTICATED, Rename("blurdybloop", "sarasoop")),
    ("SUBSCRIBE #news.comp.mail.mime", AUTHENTICATED, Subscribe("#news.comp.mail.mime")),
    ("UNSUBSCRIBE #news.comp.mail.mime", AUTHENTICATED, Unsubscribe("#news.comp.mail.mime")),
    ('LIST "" ""', AUTHENTICATED, List("", ("",))),
    ('LIST #news.comp.mail.misc ""', AUTHENTICATED, List("#news.comp.mail.misc", ("",))),
    ('LIST /usr/staff/jones ""', AUTHENTICATED, List("/usr/staff/jones", ("",))),
    ("LIST ~/Mail/ %", AUTHENTICATED, List("~/Mail/", ("%",))),
    ('LSUB "#news." "comp.mail.*"', AUTHENTICATED, Lsub("#news.", "comp.mail.*")),
    (
        "STATUS blurdybloop (UIDNEXT MESSAGES)",
        AUTHENTICATED,
        Status("blurdybloop", (StatusItem.UIDNEXT, StatusItem.MESSAGES)),
    ),
    # RFC 4467 section 7, RFC 5524 section 3
    ("RESETKEY", AUTHENTICATED, ResetKey(None, ())),
    ("RESETKEY INBOX xsample", AUTHENTICATED, ResetKey("INBOX", ("XSAMPLE",))),
    (
        'GENURLAUTH "imap://joe@example.com/INBOX/;uid=20;urlauth=anonymous" internal /x y',
        AUTHENTICATED,
        GenUrlAuth(
            (
                (b"imap://joe@example.com/INBOX/;uid=20;urlauth=anonymous", "INTERNAL"),
                (b"/x", "Y"),
            )
        ),
    ),
    (
        'URLFETCH "x" ("y") (z BINARY BODYPARTSTRUCTURE)',
        AUTHENTICATED,
        UrlFetch(
            (
                WantedUrl(b"x", ()),
                WantedUrl(b"y", ()),
                WantedUrl(b"z", (UrlItem.BINARY, UrlItem.BODYPARTSTRUCTURE)),
            )
        ),
    ),
    # section 6.4
    ("CHECK", SELECTED, Check()),
    ("CLOSE", SELECTED, Close()),
    ("EXPUNGE", SELECTED, Expunge()),
    (
        'SEARCH TEXT "string not in mailbox"',
        SELECTED,
        Search(False, None, TextKey(TextScope.TEXT, "string not in mailbox")),
    ),
    # RFC 5267 section 4.3.5
    ('CANCELUPDATE "B02" "B03"', SELECTED, CancelUpdate((b"B02", b"B03"))),
    ("UIDBATCHES 2000", SELECTED, UidBatches(2000)),
    ("UIDBATCHES 2000 10:20", SELECTED, UidBatches(2000, (10, 20))),
    # RFC 5256 sections 3, 4
    (
        "SORT (SUBJECT REVERSE DATE) UTF-8 ALL",
        SELECTED,
        Sort(
            False,
            (Criterion(SortKey.SUBJECT), Criterion(SortKey.DATE, reverse=True)),
            "UTF-8",
            AllKey(),
        ),
    ),
    (
        'UID THREAD REFERENCES us-ascii TEXT "gewp"',
        SELECTED,
        Thread(True, Algorithm.REFERENCES, "US-ASCII", TextKey(TextScope.TEXT, "gewp")),
    ),
    (
        "STORE 2:4 +FLAGS (\\Deleted)",
        SELECTED,
        Store(False, SequenceSet.parse(b"2:4"), StoreMode.ADD, False, ("\\Deleted",)),
    ),
    ("COPY 2:4 MEETING", SELECTED, Copy(False, SequenceSet.parse(b"2:4"), "MEETING")),
    (
        "UID FETCH 4827313:4828442 FLAGS",
        SELECTED,
        Fetch(
            True,
            SequenceSet.parse(b"4827313:4828442"),
            FetchItems((FetchAttribute.UID, FetchAttribute.FLAGS)),
        ),
    ),
    # RFC 2177, 2342, 3691, 4315, 5161, 6851
    ("IDLE", AUTHENTICATED, Idle()),
    # RFC 5255, with what its section 3.2 asks for
    ("LANGUAGE", NOT_AUTHENTICATED, Language()),
    ('LANGUAGE FR-CA "EN-CA"', SELECTED, Language(("FR-CA", "EN-CA"))),
    ("COMPARATOR", AUTHENTICATED, Comparator()),
    ('COMPARATOR "cz;*" i;basic', SELECTED, Comparator(("cz;*", "i;basic"))),
    # RFC 7377, with an example of its section 3
    (
        'ESEARCH IN (mailboxes "folder1" subtree "folder2") unseen',
        AUTHENTICATED,
        MultiSearch(
            (
                SourceMailboxes(Source.MAILBOXES, ("folder1",)),
                SourceMailboxes(Source.SUBTREE, ("folder2",)),
            ),
            None,
            FlagKey("\\Seen", present=False),
        ),
    ),
    # RFC 2193
    ('RLIST "" #SHARED/%', AUTHENTICATED, List("", ("#SHARED/%",))),
    ('RLSUB "" #SHARED/%', AUTHENTICATED, Lsub("", "#SHARED/%")),
    # RFC 8437
    ("UNAUTHENTICATE", SELECTED, Unauthenticate()),
    # RFC 4978
    ("COMPRESS deflate", AUTHENTICATED, Compress("DEFLATE")),
    ("NAMESPACE", AUTHENTICATED, Namespace()),
    ("UNSELECT", SELECTED, Unselect()),
    ("UID EXPUNGE 3000:3002", SELECTED, UidExpunge(SequenceSet.parse(b"3000:3002"))),
    ("ENABLE CONDSTORE X-GOOD-IDEA", AUTHENTICATED, Enable(("CONDSTORE", "X-GOOD-IDEA"))),
    ("UID MOVE 42:69 foo", SELECTED, Move(True, SequenceSet.parse(b"42:69"), "foo")),
    # RFC 5464 section 4
    ('GETMETADATA "" /shared/comment', AUTHENTICATED, GetMetadata("", ("/shared/comment",))),
    (
        "SETMETADATA INBOX (/private/comment NIL)",
        AUTHENTICATED,
        SetMetadata("INBOX", (("/private/comment", None),)),
    ),
    # RFC 5465
    ("NOTIFY NONE", AUTHENTICATED, Notify()),
    # RFC 9208 section 4.1
    # RFC 4314 section 3
    (
        "SETACL INBOX/Drafts Byron lrswikda",
        AUTHENTICATED,
        SetAcl("INBOX/Drafts", "Byron", RightsChange.REPLACE, "lrswikda"),
    ),
    ("SETACL INBOX David +x", AUTHENTICATED, SetAcl("INBOX", "David", RightsChange.ADD, "x")),
    ('SETACL INBOX David "-"', AUTHENTICATED, SetAcl("INBOX", "David", RightsChange.REMOVE, "")),
    ("DELETEACL INBOX Fred", AUTHENTICATED, DeleteAcl("INBOX", "Fred")),
    ("GETACL INBOX", AUTHENTICATED, GetAcl("INBOX")),
    ("LISTRIGHTS ~/Mail/saved smith", AUTHENTICATED, ListRights("~/Mail/saved", "smith")),
    ("MYRIGHTS INBOX", AUTHENTICATED, MyRights("INBOX")),
    ('GETQUOTA "!partition/sda4"', AUTHENTICATED, GetQuota("!partition/sda4")),
    ("GETQUOTAROOT INBOX", AUTHENTICATED, GetQuotaRoot("INBOX")),
    (
        'SETQUOTA "#user/alice" (STORAGE 510)',
        AUTHENTICATED,
        SetQuota("#user/alice", (("STORAGE", 510),)),
    ),
]


@pytest.mark.parametrize(("line", "state", "command"), EXAMPLES)
def test_examples_are_read(line: str, state: State, command: Command) -> None:
    assert parse_command(b"A1 " + line.encode(), Limits(), state) == Request(b"A1", command)


@pytest.mark.parametrize(("line", "state", "command"), EXAMPLES)
def test_verbs_are_read_in_any_case(line: str, state: State, command: Command) -> None:
    verb = line.removeprefix("UID ").split(" ")[0]
    folded = line.replace("UID ", "uid ").replace(verb, verb.lower(), 1)
    assert parse_command(b"A1 " + folded.encode(), Limits(), state) == Request(b"A1", command)


@pytest.mark.parametrize("verb", COMMANDS)
@pytest.mark.parametrize("state", State)
def test_the_state_decides(verb: bytes, state: State) -> None:
    result = parse_command(b"t " + verb, Limits(), state)
    refused = InvalidCommand(b"t", f"Not allowed: the state is {state}")
    assert (result == refused) == (state not in COMMANDS[verb].states)


def test_nothing_is_legal_after_logout() -> None:
    assert not [verb for verb, row in COMMANDS.items() if State.LOGOUT in row.states]


def test_every_row_makes_the_type_it_names() -> None:
    made = {type(command) for _, _, command in EXAMPLES}
    named = {row.type for row in COMMANDS.values()}
    elsewhere = {"Append", "Id", "Replace"}  # in modules of their own
    assert {kind.__name__ for kind in named - made} == elsewhere


@pytest.mark.parametrize(
    ("line", "tag"),
    [
        (b"a1 NOOP", b"a1"),
        (b"a]1", b"a]1"),
        (b"a+1 x", None),
        (b"", None),
        (b" a", None),
        (b"x" * 256, b"x" * 256),
        (b"x" * 257, None),
    ],
)
def test_find_tag(line: bytes, tag: bytes | None) -> None:
    assert find_tag(line) == tag
