"""The command table: what each verb is called, where it is legal, and how it is read.

A missing row is the error path. ``UID`` verbs are rows of their own (RFC 3501 section 6.4.8).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from postroom_imap.protocol import state as legal
from postroom_imap.protocol.commands import (
    Command,
    acl,
    append,
    fetch,
    listing,
    mailboxes,
    messages,
    metadata,
    multisearch,
    notify,
    quota,
    search,
    session,
    sorting,
    urlauth,
)
from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import InvalidCommand, SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.protocol.state import State

_TAG = rb"[!#$&',\-./0-9:;<=>?@A-Z\[\]^_`a-z|}~]+"  # ASTRING-CHAR except "+"
_HEAD = re.compile(rb"(%b) ((?:UID )?[A-Z0-9\-]+)(?= |\Z)" % _TAG, re.IGNORECASE)
_TAG_ALONE = re.compile(rb"(%b)(?: |\Z)" % _TAG)
_LONGEST_TAG = 256


@dataclass(frozen=True, slots=True)
class Row:
    """One command of the table."""

    states: frozenset[State]
    parse: Callable[[Cursor], Command]
    type: type[Command]
    # Its literals are messages, which are not gathered: what goes before a mailbox name in one.
    streams: re.Pattern[bytes] | None = None


@dataclass(frozen=True, slots=True)
class Request:
    """A command that is well-formed and legal in the state it was read in."""

    tag: bytes
    command: Command


@dataclass(frozen=True, slots=True)
class Head:
    """The start of a command: whose it is, what it is, and where its arguments begin."""

    tag: bytes
    row: Row
    arguments: int


def _bare(command: Command) -> Callable[[Cursor], Command]:
    """A parser of a command without arguments; the value is one and the same."""
    return lambda _: command


def _row(states: frozenset[State], command: Command) -> Row:
    return Row(states, _bare(command), type(command))


COMMANDS: dict[bytes, Row] = {
    # Any state: RFC 3501 section 6.1, RFC 2971, RFC 5255
    b"CAPABILITY": _row(legal.ANY, session.Capability()),
    b"NOOP": _row(legal.ANY, session.Noop()),
    b"LOGOUT": _row(legal.ANY, session.Logout()),
    b"LANGUAGE": Row(legal.ANY, session.parse_language, session.Language),
    b"ID": Row(legal.ANY, session.parse_id, session.Id),
    # Not authenticated: section 6.2
    b"STARTTLS": _row(legal.NOT_AUTHENTICATED, session.StartTls()),
    b"AUTHENTICATE": Row(legal.NOT_AUTHENTICATED, session.parse_authenticate, session.Authenticate),
    b"LOGIN": Row(legal.NOT_AUTHENTICATED, session.parse_login, session.Login),
    # Authenticated: section 6.3, RFC 2177, RFC 2342, RFC 4978, RFC 5161, RFC 5255, RFC 8437
    b"SELECT": Row(legal.AUTHENTICATED, mailboxes.parse_select, mailboxes.Select),
    b"EXAMINE": Row(legal.AUTHENTICATED, mailboxes.parse_examine, mailboxes.Examine),
    b"CREATE": Row(legal.AUTHENTICATED, mailboxes.parse_create, mailboxes.Create),
    b"DELETE": Row(legal.AUTHENTICATED, mailboxes.parse_delete, mailboxes.Delete),
    b"RENAME": Row(legal.AUTHENTICATED, mailboxes.parse_rename, mailboxes.Rename),
    b"SUBSCRIBE": Row(legal.AUTHENTICATED, mailboxes.parse_subscribe, mailboxes.Subscribe),
    b"UNSUBSCRIBE": Row(legal.AUTHENTICATED, mailboxes.parse_unsubscribe, mailboxes.Unsubscribe),
    b"STATUS": Row(legal.AUTHENTICATED, mailboxes.parse_status, mailboxes.Status),
    b"LIST": Row(legal.AUTHENTICATED, listing.parse_list, listing.List),
    b"LSUB": Row(legal.AUTHENTICATED, listing.parse_lsub, listing.Lsub),
    b"RLIST": Row(legal.AUTHENTICATED, listing.parse_rlist, listing.List),
    b"RLSUB": Row(legal.AUTHENTICATED, listing.parse_lsub, listing.Lsub),
    b"APPEND": Row(legal.AUTHENTICATED, append.parse_append, append.Append, append.APPEND_MAILBOX),
    b"COMPARATOR": Row(legal.AUTHENTICATED, session.parse_comparator, session.Comparator),
    b"ENABLE": Row(legal.AUTHENTICATED, session.parse_enable, session.Enable),
    b"NAMESPACE": _row(legal.AUTHENTICATED, session.Namespace()),
    b"IDLE": _row(legal.AUTHENTICATED, session.Idle()),
    b"UNAUTHENTICATE": _row(legal.AUTHENTICATED, session.Unauthenticate()),
    b"COMPRESS": Row(legal.AUTHENTICATED, session.parse_compress, session.Compress),
    # Authenticated: RFC 4314
    b"SETACL": Row(legal.AUTHENTICATED, acl.parse_set_acl, acl.SetAcl),
    b"DELETEACL": Row(legal.AUTHENTICATED, acl.parse_delete_acl, acl.DeleteAcl),
    b"GETACL": Row(legal.AUTHENTICATED, acl.parse_get_acl, acl.GetAcl),
    b"LISTRIGHTS": Row(legal.AUTHENTICATED, acl.parse_list_rights, acl.ListRights),
    b"MYRIGHTS": Row(legal.AUTHENTICATED, acl.parse_my_rights, acl.MyRights),
    # Authenticated: RFC 4467
    b"GENURLAUTH": Row(legal.AUTHENTICATED, urlauth.parse_gen_url_auth, urlauth.GenUrlAuth),
    b"RESETKEY": Row(legal.AUTHENTICATED, urlauth.parse_reset_key, urlauth.ResetKey),
    b"URLFETCH": Row(legal.AUTHENTICATED, urlauth.parse_url_fetch, urlauth.UrlFetch),
    # Authenticated: RFC 9208
    b"GETQUOTA": Row(legal.AUTHENTICATED, quota.parse_get_quota, quota.GetQuota),
    b"GETQUOTAROOT": Row(legal.AUTHENTICATED, quota.parse_get_quota_root, quota.GetQuotaRoot),
    b"SETQUOTA": Row(legal.AUTHENTICATED, quota.parse_set_quota, quota.SetQuota),
    # Authenticated: RFC 5464
    b"GETMETADATA": Row(legal.AUTHENTICATED, metadata.parse_get_metadata, metadata.GetMetadata),
    b"SETMETADATA": Row(legal.AUTHENTICATED, metadata.parse_set_metadata, metadata.SetMetadata),
    # Authenticated: RFC 5465
    b"NOTIFY": Row(legal.AUTHENTICATED, notify.parse_notify, notify.Notify),
    # Authenticated: RFC 7377
    b"ESEARCH": Row(legal.AUTHENTICATED, multisearch.parse_multi_search, multisearch.MultiSearch),
    # Selected: section 6.4, RFC 3691, RFC 4315, RFC 5256, RFC 6851, RFC 8508
    b"CHECK": _row(legal.SELECTED, messages.Check()),
    b"CLOSE": _row(legal.SELECTED, messages.Close()),
    b"UNSELECT": _row(legal.SELECTED, messages.Unselect()),
    b"EXPUNGE": _row(legal.SELECTED, messages.Expunge()),
    b"UID EXPUNGE": Row(legal.SELECTED, messages.parse_uid_expunge, messages.UidExpunge),
    b"CANCELUPDATE": Row(legal.SELECTED, search.parse_cancel_update, search.CancelUpdate),
    b"UIDBATCHES": Row(legal.SELECTED, messages.parse_uid_batches, messages.UidBatches),
    b"SEARCH": Row(legal.SELECTED, search.parse_search, search.Search),
    b"UID SEARCH": Row(legal.SELECTED, search.parse_uid_search, search.Search),
    b"SORT": Row(legal.SELECTED, sorting.parse_sort, sorting.Sort),
    b"UID SORT": Row(legal.SELECTED, sorting.parse_uid_sort, sorting.Sort),
    b"THREAD": Row(legal.SELECTED, sorting.parse_thread, sorting.Thread),
    b"UID THREAD": Row(legal.SELECTED, sorting.parse_uid_thread, sorting.Thread),
    b"FETCH": Row(legal.SELECTED, fetch.parse_fetch, fetch.Fetch),
    b"UID FETCH": Row(legal.SELECTED, fetch.parse_uid_fetch, fetch.Fetch),
    b"STORE": Row(legal.SELECTED, messages.parse_store, messages.Store),
    b"UID STORE": Row(legal.SELECTED, messages.parse_uid_store, messages.Store),
    b"COPY": Row(legal.SELECTED, messages.parse_copy, messages.Copy),
    b"UID COPY": Row(legal.SELECTED, messages.parse_uid_copy, messages.Copy),
    b"REPLACE": Row(legal.SELECTED, append.parse_replace, append.Replace, append.REPLACE_MAILBOX),
    b"UID REPLACE": Row(
        legal.SELECTED, append.parse_uid_replace, append.Replace, append.REPLACE_MAILBOX
    ),
    b"MOVE": Row(legal.SELECTED, messages.parse_move, messages.Move),
    b"UID MOVE": Row(legal.SELECTED, messages.parse_uid_move, messages.Move),
}


def find_head(text: bytes, state: State) -> Head | InvalidCommand:
    """The head of the command that starts ``text``, or why there is none for ``state``."""
    found = _HEAD.match(text)
    if found is None:
        return InvalidCommand(find_tag(text), "Expected a tag and a command")
    tag, verb = found.groups()
    if len(tag) > _LONGEST_TAG:
        return InvalidCommand(None, "The tag is too long")
    row = COMMANDS.get(verb.upper())
    if row is None:
        return InvalidCommand(tag, "Unknown command")
    if state not in row.states:
        return InvalidCommand(tag, f"Not allowed: the state is {state}")
    return Head(tag, row, found.end())


def find_tag(text: bytes) -> bytes | None:
    """The tag that starts ``text``, if it looks like one."""
    found = _TAG_ALONE.match(text)
    return found.group(1) if found and found.end(1) <= _LONGEST_TAG else None


def parse_arguments(text: bytes, head: Head, limits: Limits) -> Request | InvalidCommand:
    """The whole command; ``text`` as ``Cursor`` wants it."""
    cursor = Cursor(text, head.arguments, limits)
    try:
        command = head.row.parse(cursor)
        cursor.end()
    except SyntaxFault as fault:
        return InvalidCommand(head.tag, fault.text, fault.code, fault.refusal)
    return Request(head.tag, command)


def parse_command(text: bytes, limits: Limits, state: State) -> Request | InvalidCommand:
    """The command that ``text``, complete with its literals, makes in ``state``."""
    head = find_head(text, state)
    if isinstance(head, InvalidCommand):
        return head
    return parse_arguments(text, head, limits)
