"""LIST (RFC 9051 section 6.3.9, RFC 5258) and LSUB (RFC 3501 section 6.3.9).

The tree comes whole from the store with its counts, by one call, so that STATUS of each mailbox
(RFC 5819) costs nothing more; patterns are matched here. Special-use attributes and those of
children are told in any LIST, as RFC 6154 section 2 and RFC 9051 section 6.3.9.5 allow.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from postroom_imap.commands.metadata import describe_metadata
from postroom_imap.commands.status import describe, follow_modseqs, wants_deleted_sizes
from postroom_imap.ports.mailboxes import Mailbox
from postroom_imap.protocol.commands import List, Lsub, ReturnOption, SelectionOption
from postroom_imap.protocol.mailbox_name import DELIMITER
from postroom_imap.protocol.mailbox_pattern import Matcher, compile_patterns
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.acl import my_rights_response
from postroom_imap.protocol.responses.mailboxes import (
    child_info,
    delimiter_response,
    list_response,
    lsub_response,
)
from postroom_imap.protocol.rights import READ, annotates
from postroom_imap.session import Session

NO_SELECT = "\\Noselect"
NON_EXISTENT = "\\NonExistent"
HAS_CHILDREN = "\\HasChildren"
HAS_NO_CHILDREN = "\\HasNoChildren"
SUBSCRIBED = "\\Subscribed"
_CRITERIA = (SelectionOption.SUBSCRIBED, SelectionOption.SPECIAL_USE)


async def list_(session: Session, tag: bytes, command: List) -> None:
    if command.patterns == ("",) and not command.extended:
        session.finish(tag, "LIST completed", before=delimiter_response())
        return
    mailboxes = await session.front.mailboxes.list(
        session.ticket,
        deleted_sizes=wants_deleted_sizes(command.status),
        entries=command.metadata,
    )
    follow_modseqs(session, command.status)
    listed = Tree(mailboxes, session.utf8).answer_list(command)
    _answer(session, tag, "LIST completed", _tell(session, command, listed))


def _tell(session: Session, command: List, listed: Iterable[Listed]) -> Iterator[bytes]:
    """What is told of each mailbox, in one piece: LIST, then what RETURN asks for."""
    for one in listed:
        told = one.response
        if one.selected and one.mailbox.mailbox_id:
            told += _tell_more(session, command, one.mailbox)
        yield told


def _tell_more(session: Session, command: List, mailbox: Mailbox) -> bytes:
    """What RETURN asks for of a mailbox that is there and meets the criteria."""
    told, name = b"", mailbox.name
    # RFC 5819 section 2: of what can be selected.
    if command.status and mailbox.selectable and READ in mailbox.rights:
        told += describe(session, name, mailbox, command.status)
    if command.metadata and annotates(mailbox.rights):
        told += describe_metadata(session, mailbox, command.metadata)
    if ReturnOption.MYRIGHTS in command.returns and mailbox.selectable:
        told += my_rights_response(name, mailbox.rights, utf8=session.utf8)
    return told


async def lsub(session: Session, tag: bytes, command: Lsub) -> None:
    if command.pattern == "":
        session.finish(tag, "LSUB completed", before=delimiter_response("LSUB"))
        return
    tree = Tree(await session.front.mailboxes.list(session.ticket), session.utf8)
    matches = compile_patterns(command.reference, (command.pattern,))
    _answer(session, tag, "LSUB completed", tree.answer_lsub(matches))


def _answer(session: Session, tag: bytes, text: str, responses: Iterable[bytes]) -> None:
    told = list(responses)
    if len(told) > session.front.bounds.list_results:
        session.refuse(tag, "Too many mailboxes match", codes.LIMIT)
        return
    session.finish(tag, text, before=b"".join(told))


@dataclass(frozen=True, slots=True)
class Listed:
    """A mailbox, its LIST response, and whether it meets the selection criteria itself."""

    mailbox: Mailbox
    response: bytes
    selected: bool = True


class Tree:
    """An account's mailboxes and subscriptions, and who has inferiors."""

    def __init__(self, mailboxes: Sequence[Mailbox], utf8: bool) -> None:
        self._mailboxes = mailboxes
        self._utf8 = utf8
        self._existing = {mailbox.name for mailbox in mailboxes if mailbox.mailbox_id}
        self._parents = {above for name in self._existing for above in _superiors(name)}
        self._subscribed = {mailbox.name for mailbox in mailboxes if mailbox.subscribed}

    def answer_list(self, command: List) -> Iterator[Listed]:
        """What LIST tells of, in order of name; what others share comes last."""
        matches = compile_patterns(command.reference, command.patterns)
        if SelectionOption.RECURSIVEMATCH in command.selection:
            yield from self._list_recursively(command, matches)
            return
        for mailbox in self._mailboxes:
            if matches(mailbox.name) and _selected(mailbox, command.selection):
                yield self._listed(mailbox, command)
        if not command.selection & {*_CRITERIA}:
            for name in sorted(self._levels(command, matches)):
                yield self._listed(Mailbox(0, name, selectable=False), command)

    def _listed(self, mailbox: Mailbox, command: List) -> Listed:
        attributes = self._attributes(mailbox, command)
        return Listed(mailbox, list_response(mailbox.name, attributes, utf8=self._utf8))

    def _levels(self, command: List, matches: Matcher) -> Iterator[str]:
        """Names of no mailbox that a pattern with % at its end stops at: above what others share.

        RFC 3501 section 6.3.8. To other patterns they don't exist (RFC 4314 section 4, LIST).
        """
        stopping = [pattern for pattern in command.patterns if pattern.endswith("%")]
        stops = compile_patterns(command.reference, stopping)
        for level in filter(stops, self._parents - self._existing):
            if not all(map(matches, _below(level, self._existing))):
                yield level

    def answer_lsub(self, matches: Matcher) -> Iterator[bytes]:
        """LSUB responses: subscribed names, and levels above them that a pattern with % stops at.

        Section 6.3.9: foo is told with \\Noselect where foo/bar is subscribed and foo is not.
        """
        above = {name for child in self._subscribed for name in _superiors(child)}
        by_name = {mailbox.name: mailbox for mailbox in self._mailboxes}
        stops = {
            name
            for name in above - self._subscribed
            if matches(name) and not all(map(matches, _below(name, self._subscribed)))
        }
        for name in sorted(self._subscribed | stops):
            if name in stops:
                yield lsub_response(name, (NO_SELECT,), utf8=self._utf8)
            elif matches(name):
                mailbox = by_name[name]
                usable = mailbox.selectable or not mailbox.mailbox_id
                yield lsub_response(name, () if usable else (NO_SELECT,), utf8=self._utf8)

    def _list_recursively(self, command: List, matches: Matcher) -> Iterator[Listed]:
        """RFC 9051 section 6.3.9.6: also names that match and have an inferior that is wanted.

        One that isn't wanted itself is told only where the client doesn't see such an inferior.
        """
        wanted = {m.name for m in self._mailboxes if _selected(m, command.selection)}
        above = {up for name in wanted for up in _superiors(name)}
        hidden = {up for name in wanted if not matches(name) for up in _superiors(name)}
        by_name = {mailbox.name: mailbox for mailbox in self._mailboxes}
        info = child_info([option for option in _CRITERIA if option in command.selection])
        for name in filter(matches, sorted(wanted | hidden)):
            mailbox = by_name.get(name, Mailbox(0, name, selectable=False))
            attributes = self._attributes(mailbox, command)
            extended = [info] if name in above else []
            response = list_response(name, attributes, extended, utf8=self._utf8)
            yield Listed(mailbox, response, name in wanted)

    def _attributes(self, mailbox: Mailbox, command: List) -> list[str]:
        asked = (
            ReturnOption.SUBSCRIBED in command.returns
            or SelectionOption.SUBSCRIBED in command.selection
        )
        return listing_attributes(mailbox, mailbox.name in self._parents, tell_subscribed=asked)


def listing_attributes(mailbox: Mailbox, parent: bool, *, tell_subscribed: bool) -> list[str]:
    """What LIST tells of a mailbox beyond its name; `parent`: it has inferiors."""
    attributes = []
    if not mailbox.mailbox_id:
        # NonExistent implies Noselect, which is all that older clients know.
        attributes += [NON_EXISTENT, NO_SELECT]
    elif not mailbox.selectable:
        attributes.append(NO_SELECT)
    attributes.append(HAS_CHILDREN if parent else HAS_NO_CHILDREN)
    if tell_subscribed and mailbox.subscribed:
        attributes.append(SUBSCRIBED)
    return [*attributes, *mailbox.special_uses]


def _selected(mailbox: Mailbox, selection: frozenset[SelectionOption]) -> bool:
    if SelectionOption.SUBSCRIBED in selection:
        if not mailbox.subscribed:
            return False
    elif not mailbox.mailbox_id:
        return False
    return SelectionOption.SPECIAL_USE not in selection or bool(mailbox.special_uses)


def _below(name: str, names: Iterable[str]) -> Iterator[str]:
    prefix = name + DELIMITER
    return (child for child in names if child.startswith(prefix))


def _superiors(name: str) -> Iterator[str]:
    """The names above a name, from the nearest up."""
    while DELIMITER in name:
        name = name.rpartition(DELIMITER)[0]
        yield name
