"""IMAP commands of every kind, and what becomes of them in hostile hands."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

# Each verb with arguments that exercise its grammar, literals of both kinds among them. What is
# read behind the command (the end of IDLE, a SASL response, a message) comes along.
COMMANDS: dict[bytes, Sequence[bytes]] = {
    b"CAPABILITY": [b""],
    b"NOOP": [b""],
    b"LOGOUT": [b""],
    b"LANGUAGE": [b"", b" de en", b' "*"'],
    b"ID": [b" NIL", b' ("name" "x" "version" NIL)', b" ({4+}\r\nname {1+}\r\nx)"],
    b"STARTTLS": [b""],
    b"AUTHENTICATE": [b" PLAIN AGEAYg==", b" PLAIN =", b" LOGIN\r\n*", b" PLAIN\r\nAGEAYg=="],
    b"LOGIN": [b" ann secret", b' "a\\"nn" {6+}\r\nsecret', b" {3+}\r\nann {6}\r\nsecret"],
    b"SELECT": [
        b" INBOX", b" INBOX (CONDSTORE)", b" INBOX (QRESYNC (1 2 1:3 (1,2 1,2)))", b" x (ANNOTATE)",
    ],
    b"EXAMINE": [b" {5+}\r\nINBOX", b' "INBOX" (QRESYNC (1 2))'],
    b"CREATE": [b" new", b' "a&AOk-/b" (USE (\\Sent \\Archive))'],
    b"DELETE": [b" new", b' "Entw&APw-rfe"'],
    b"RENAME": [b" new newer", b" {3+}\r\nnew {5+}\r\nnewer"],
    b"SUBSCRIBE": [b" new"],
    b"UNSUBSCRIBE": [b" new"],
    b"STATUS": [b" INBOX (MESSAGES RECENT UIDNEXT UIDVALIDITY UNSEEN SIZE HIGHESTMODSEQ)"],
    b"LIST": [
        b' "" "*"',
        b' (SUBSCRIBED RECURSIVEMATCH SPECIAL-USE) "" ("a%" "*" {1+}\r\n%) RETURN (CHILDREN '
        b"SUBSCRIBED SPECIAL-USE STATUS (MESSAGES UNSEEN) METADATA (/private/comment))",
    ],
    b"LSUB": [b' "" "*"', b" a/ %"],
    b"RLIST": [b' "" "*"'],
    b"RLSUB": [b' "" "*"'],
    b"APPEND": [
        b" INBOX {3+}\r\nabc",
        b' INBOX (\\Seen $a) "17-Jul-1996 02:44:25 -0700" {3+}\r\nabc {1+}\r\nx',
        b' INBOX ~{4+}\r\na\0b\n CATENATE (URL "/INBOX/;UID=1" TEXT {2+}\r\nab)',
        b" INBOX UTF8 (~{2+}\r\nab)",
        b" {7+}\r\nmissing {3+}\r\nabc",
    ],
    b"COMPARATOR": [b"", b' "i;*" i;octet'],
    b"ENABLE": [b" CONDSTORE", b" UTF8=ACCEPT QRESYNC X-OTHER", b" IMAP4rev2"],
    b"NAMESPACE": [b""],
    b"IDLE": [b"\r\nDONE"],
    b"UNAUTHENTICATE": [b""],
    b"COMPRESS": [b" GZIP"],  # what follows DEFLATE would be no command
    b"GENURLAUTH": [b' "imap://x@y/INBOX/;uid=20;urlauth=anonymous" INTERNAL'],
    b"RESETKEY": [b"", b" INBOX", b" INBOX INTERNAL"],
    b"URLFETCH": [b' "imap://x@y/INBOX/;uid=20"', b" (x BODYPARTSTRUCTURE BINARY) {1+}\r\ny"],
    b"SETACL": [b" INBOX ann@example.org +lrs", b' INBOX {1+}\r\nx ""', b" INBOX x -texkn"],
    b"DELETEACL": [b" INBOX ann@example.org"],
    b"GETACL": [b" INBOX", b' "Other Users/ann@example.org/INBOX"'],
    b"LISTRIGHTS": [b" INBOX ann@example.org"],
    b"MYRIGHTS": [b" INBOX"],
    b"GETQUOTA": [b" x", b' "a b"'],
    b"GETQUOTAROOT": [b" INBOX"],
    b"SETQUOTA": [b" x (STORAGE 10 MESSAGE 20)", b' "" ()'],
    b"GETMETADATA": [
        b" INBOX /private/comment",
        b' (MAXSIZE 9 DEPTH infinity) "" (/shared/a /private/b)',
    ],
    b"SETMETADATA": [b" INBOX (/private/a {3+}\r\nabc /shared/b NIL /private/c ~{1+}\r\n\0)"],
    b"NOTIFY": [
        b" NONE",
        b" SET STATUS (SELECTED (MessageNew (UID BODY.PEEK[HEADER.FIELDS (From)]) MessageExpunge "
        b"FlagChange)) (MAILBOXES (INBOX Sent) (MessageNew MessageExpunge)) (PERSONAL NONE)",
    ],
    b"ESEARCH": [b' IN (mailboxes ("a" INBOX) subtree-one b selected) RETURN (COUNT ALL) SEEN'],
    b"CHECK": [b""],
    b"CLOSE": [b""],
    b"UNSELECT": [b""],
    b"EXPUNGE": [b""],
    b"UID EXPUNGE": [b" 1:2", b" $"],
    b"CANCELUPDATE": [b' "a" "b"'],
    b"UIDBATCHES": [b" 2", b" 1000 1:2"],
    b"SEARCH": [
        b" ALL",
        b" RETURN (MIN MAX COUNT SAVE UPDATE CONTEXT PARTIAL 1:10) CHARSET UTF-8 OR (FROM a "
        b"NOT TO {2+}\r\nbc) KEYWORD $x 1:*,3 UID $ HEADER X-A {1+}\r\nb LARGER 10 YOUNGER 20",
        b' MODSEQ "/flags/\\\\Seen" all 3 SENTSINCE 1-Feb-1994 FUZZY BODY x EMAILID a FILTER b',
    ],
    b"UID SEARCH": [b" NOT (OR SEEN (DELETED DRAFT)) SAVEDATESUPPORTED SAVEDBEFORE 1-Jan-2024"],
    b"SORT": [b" RETURN (PARTIAL -1:-5) (REVERSE DATE SUBJECT DISPLAYFROM) UTF-8 ALL"],
    b"UID SORT": [b" (SIZE ANNOTATION /comment value.priv) us-ascii TEXT {1+}\r\nx"],
    b"THREAD": [b" REFERENCES UTF-8 ALL", b" ORDEREDSUBJECT us-ascii 1:2"],
    b"UID THREAD": [b" REFS UTF-8 SUBJECT a"],
    b"FETCH": [
        b" 1:* FULL",
        b" 1 (ANNOTATION ((/comment /1/%) (value.priv size.shared)))",
        b" 1 (UID FLAGS INTERNALDATE ENVELOPE BODYSTRUCTURE BODY RFC822.SIZE EMAILID THREADID "
        b"SAVEDATE PREVIEW (LAZY) MODSEQ)",
        b" 1,2:3 (BODY[1.2.HEADER.FIELDS.NOT ({4+}\r\nDate To)]<0.20> BINARY.PEEK[1]<1.2> "
        b"BINARY.SIZE[1] RFC822.HEADER BODY.PEEK[])",
    ],
    b"UID FETCH": [b" 1:* (FLAGS) (CHANGEDSINCE 1 VANISHED PARTIAL -1:-3)"],
    b"STORE": [b" 1 +FLAGS.SILENT (\\Seen $a b)", b" 1:* (UNCHANGEDSINCE 1) FLAGS \\Deleted a",
        b" 1 ANNOTATION (/comment (value.priv {2+}\r\nhi value.shared NIL))"],
    b"UID STORE": [b" 1:3 -FLAGS ()"],
    b"COPY": [b" 1 Sent", b" * {4+}\r\nSent"],
    b"UID COPY": [b" 1:* Sent"],
    b"REPLACE": [b" 1 Drafts (\\Draft) {3+}\r\nabc"],
    b"UID REPLACE": [b' 1 Drafts CATENATE (TEXT {1+}\r\na URL {13+}\r\n/INBOX/;UID=1)'],
    b"MOVE": [b" 1 Trash"],
    b"UID MOVE": [b" 1:2,5 Trash"],
}  # fmt: skip

_PIECES = [
    *(b" ", b"  ", b"(", b")", b"((((", b"))))", b'"', b'""', b"\\", b"\\\\", b"[", b"]", b"<0.1>"),
    *(b"\r", b"\n", b"\r\n", b"\0", b"\x7f", b"\xff", b"\xc3\xa9", b"\xc3", b"&", b"&-", b"&AOk-"),
    *(b"{", b"}", b"{0}", b"{0+}\r\n", b"{1+}\r\n", b"{3}\r\n", b"{9+}", b"~{2+}\r\n", b"{-1}"),
    *(b"{99999999999999999999}", b"{99999999999999999999+}\r\n", b"{200000+}\r\n", b"{x}"),
    *(b"*", b"%", b"$", b"+", b"1:*", b"*:*", b"0", b"1", b"4294967295", b"4294967296", b"-1"),
    *(b"1:4294967295", b"18446744073709551616", b"1," * 50, b"NIL", b"INBOX", b"ALL", b"UID "),
    *(b"NOT ", b"OR ", b"NOT " * 30, b"(" * 60, b"BODY[", b"BODY[1.1.1.1]", b"RETURN (", b"DONE"),
    *(b"1-Jan-2024", b"99-Foo-0000", b'"17-Jul-1996 02:44:25 -0700"', b"x" * 300, b"=", b"CHARSET"),
]


def _edits() -> list[Callable[[Random, bytearray], None]]:
    def insert(random: Random, line: bytearray) -> None:
        at = random.randint(0, len(line))
        line[at:at] = random.choice(_PIECES)

    def replace(random: Random, line: bytearray) -> None:
        at = random.randint(0, len(line))
        line[at : at + random.randint(0, 8)] = random.choice(_PIECES)

    def delete(random: Random, line: bytearray) -> None:
        at = random.randint(0, len(line))
        del line[at : at + random.randint(1, 8)]

    def repeat(random: Random, line: bytearray) -> None:
        at = random.randint(0, len(line))
        line[at:at] = line[at : at + random.randint(1, 30)] * random.randint(1, 20)

    def cut(random: Random, line: bytearray) -> None:
        del line[random.randint(0, len(line)) :]

    def spoil(random: Random, line: bytearray) -> None:
        if line:
            line[random.randrange(len(line))] = random.randrange(256)

    def graft(random: Random, line: bytearray) -> None:
        other = random.choice(random.choice(list(COMMANDS.values())))
        line[random.randint(0, len(line)) :] = other[random.randint(0, len(other)) :]

    return [insert, replace, delete, repeat, cut, spoil, graft]


_EDITS = _edits()


def command(random: Random, tag: bytes) -> bytes:
    """A command as it should be."""
    verb = random.choice(list(COMMANDS))
    return b"%b %b%b\r\n" % (tag, verb, random.choice(COMMANDS[verb]))


def hostile(random: Random, tag: bytes) -> bytes:
    """What was a command, or never was one; it may end before it ends."""
    if random.random() < 0.05:
        return random.randbytes(random.randint(0, 200)) + random.choice((b"", b"\n", b"\r\n"))
    verb = random.choice(list(COMMANDS))
    line = bytearray(random.choice(COMMANDS[verb]))
    for _ in range(random.choice((0, 1, 1, 1, 2, 3, 8))):
        random.choice(_EDITS)(random, line)
    head = bytearray(b"%b %b" % (tag, verb))
    if random.random() < 0.1:
        random.choice(_EDITS)(random, head)
    return bytes(head + line) + b"\r\n"
