"""Response codes, without their brackets (RFC 3501 section 7.1, RFC 4315, RFC 5530, RFC 6851)."""

import re
from collections.abc import Iterable

from postroom_imap.protocol.object_id import ObjectId
from postroom_imap.protocol.responses.strings import flag_list, quoted
from postroom_imap.protocol.sequence_set import SequenceSet, in_order

ALERT = b"ALERT"
PARSE = b"PARSE"
READ_ONLY = b"READ-ONLY"
READ_WRITE = b"READ-WRITE"
TRY_CREATE = b"TRYCREATE"
UID_NOT_STICKY = b"UIDNOTSTICKY"  # RFC 4315 section 3
UNKNOWN_CTE = b"UNKNOWN-CTE"  # RFC 3516 section 4.3
TOO_BIG = b"TOOBIG"  # RFC 4469 section 4.3, RFC 7888 section 4
COMPRESSION_ACTIVE = b"COMPRESSIONACTIVE"  # RFC 4978 section 3
CLOSED = b"CLOSED"  # RFC 7162 section 3.2.11
USE_ATTR = b"USEATTR"  # RFC 6154 section 6
UID_REQUIRED = b"UIDREQUIRED"  # RFC 9586 section 3.1

ANNOTATE_TOO_BIG = b"ANNOTATE TOOBIG"  # RFC 5257 section 4.5
ANNOTATE_TOO_MANY = b"ANNOTATE TOOMANY"

NOTIFICATION_OVERFLOW = b"NOTIFICATIONOVERFLOW"  # RFC 5465 section 5.8

# RFC 5530
UNAVAILABLE = b"UNAVAILABLE"
AUTHENTICATION_FAILED = b"AUTHENTICATIONFAILED"
AUTHORIZATION_FAILED = b"AUTHORIZATIONFAILED"
EXPIRED = b"EXPIRED"
PRIVACY_REQUIRED = b"PRIVACYREQUIRED"
CONTACT_ADMIN = b"CONTACTADMIN"
NO_PERMISSION = b"NOPERM"
IN_USE = b"INUSE"
EXPUNGE_ISSUED = b"EXPUNGEISSUED"
CORRUPTION = b"CORRUPTION"
SERVER_BUG = b"SERVERBUG"
CLIENT_BUG = b"CLIENTBUG"
CANNOT = b"CANNOT"
LIMIT = b"LIMIT"
OVER_QUOTA = b"OVERQUOTA"
ALREADY_EXISTS = b"ALREADYEXISTS"
NONEXISTENT = b"NONEXISTENT"

BAD_COMPARATOR = b"BADCOMPARATOR"  # RFC 5255 section 4.9
TOO_FEW = b"TOOFEW"  # draft-ietf-mailmaint-imap-uidbatches
TOO_MANY = b"TOOMANY"
NOT_SAVED = b"NOTSAVED"  # RFC 5182 section 2.5


_NO_URL_TEXT = re.compile(rb"[^!-\[^-~]")  # "]" ends the code; "\\" is left out by its ABNF
_LONGEST_URL = 1000


def capability(names: Iterable[str]) -> bytes:
    """CAPABILITY, as greetings and the OK of LOGIN carry it."""
    return b"CAPABILITY " + " ".join(names).encode("ascii")


def message_limit(most: int, lowest_uid: int | None = None) -> bytes:
    """MESSAGELIMIT (RFC 9738); where part of the work was done, with the lowest UID of that."""
    return b"MESSAGELIMIT %d" % most + (b"" if lowest_uid is None else b" %d" % lowest_uid)


def no_update(tag: bytes) -> bytes:
    """NOUPDATE (RFC 5267 section 4.3.1): the result of a command isn't kept true."""
    return b"NOUPDATE " + quoted(tag)


def permanent_flags(flags: Iterable[str]) -> bytes:
    """PERMANENTFLAGS; include ``flag.ANY_KEYWORD`` where new keywords can be made."""
    return b"PERMANENTFLAGS " + flag_list(flags)


def uid_next(uid: int) -> bytes:
    """UIDNEXT."""
    return b"UIDNEXT %d" % uid


def uid_validity(value: int) -> bytes:
    """UIDVALIDITY."""
    return b"UIDVALIDITY %d" % value


def mailbox_id(object_id: ObjectId) -> bytes:
    """MAILBOXID (RFC 8474 sections 4.1, 4.2)."""
    return f"MAILBOXID {object_id}".encode("ascii")


def highest_modseq(modseq: int) -> bytes:
    """HIGHESTMODSEQ (RFC 7162 section 3.1.2.1)."""
    return b"HIGHESTMODSEQ %d" % modseq


def annotations(most_bytes: int | None) -> bytes:
    """ANNOTATIONS (RFC 5257 section 4.1): the longest value; None: none can be set."""
    return b"ANNOTATIONS READ-ONLY" if most_bytes is None else b"ANNOTATIONS %d" % most_bytes


def modified(numbers: SequenceSet) -> bytes:
    """MODIFIED: messages that a conditional STORE left alone (RFC 7162 section 3.1.3)."""
    return b"MODIFIED " + bytes(numbers)


def unseen(number: int) -> bytes:
    """UNSEEN: the sequence number of the first message that is not \\Seen."""
    return b"UNSEEN %d" % number


def append_uid(validity: int, uids: SequenceSet) -> bytes:
    """APPENDUID (RFC 4315 section 3)."""
    return b"APPENDUID %d %b" % (validity, bytes(uids))


def in_progress(tag: bytes, done: int, goal: int) -> bytes:
    """INPROGRESS (RFC 9585 section 4); a tag that would end the code isn't told."""
    return b"INPROGRESS (%b %d %d)" % (b"NIL" if b"]" in tag else quoted(tag), done, goal)


def undefined_filter(name: str) -> bytes:
    """UNDEFINED-FILTER (RFC 5466 section 3.1)."""
    return b"UNDEFINED-FILTER " + name.encode("ascii")


def bad_charset(known: Iterable[str]) -> bytes:
    """BADCHARSET, with what would be taken."""
    return b"BADCHARSET (%b)" % " ".join(known).encode("ascii")


def url_mechanisms(mechanisms: Iterable[str]) -> bytes:
    """URLMECH (RFC 4467 section 8)."""
    return b"URLMECH " + " ".join(mechanisms).encode("ascii")


def bad_url(url: bytes) -> bytes:
    """BADURL (RFC 4469 section 4.1); what the code can't hold is percent-encoded."""
    return b"BADURL " + _NO_URL_TEXT.sub(_percent_encoded, url[:_LONGEST_URL])


def _percent_encoded(found: re.Match[bytes]) -> bytes:
    return b"%%%02X" % found.group()[0]


def copy_uid(validity: int, sources: Iterable[int], targets: Iterable[int]) -> bytes:
    """COPYUID (RFC 4315 section 3): the two lists match element by element, in the order given."""
    return b"COPYUID %d %b %b" % (validity, in_order(sources), in_order(targets))
