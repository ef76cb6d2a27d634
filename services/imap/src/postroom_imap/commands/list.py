"""LIST and LSUB (RFC 3501 sections 6.3.8, 6.3.9), CHILDREN (RFC 3348), SPECIAL-USE (RFC 6154).

The tree comes whole from the store, by one call; patterns are matched here. The options of RFC 5258
that RFC 6154 builds on work too. Special-use attributes are told in any LIST, as RFC 6154 section 2
allows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from postroom_imap.ports.mailboxes import Mailbox
from postroom_imap.protocol.commands import List, Lsub, ReturnOption, SelectionOption
from postroom_imap.protocol.mailbox_name import DELIMITER
from postroom_imap.protocol.mailbox_pattern import Matcher, compile_patterns
from postroom_imap.protocol.responses import codes
from postroom_imap.protocol.responses.mailboxes import (
    delimiter_response,
    list_response,
    lsub_response,
)
from postroom_imap.session import Session

NO_SELECT = "\\Noselect"
NON_EXISTENT = "\\NonExistent"
HAS_CHILDREN = "\\HasChildren"
HAS_NO_CHILDREN = "\\HasNoChildren"
SUBSCRIBED = "\\Subscribed"
_CHILD_INFO = b' ("CHILDINFO" ("SUBSCRIBED"))\r\n'  # RFC 5258 section 3.5


async def list_(session: Session, tag: bytes, command: List) -> None:
    if command.patterns == ("",) and not command.extended:
        session.finish(tag, "LIST completed", before=delimiter_response())
        return
    tree = Tree(await session.front.mailboxes.list(session.ticket), session.utf8)
    matches = compile_patterns(command.reference, command.patterns)
    _answer(session, tag, "LIST completed", tree.answer_list(command, matches))


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


class Tree:
    """An account's mailboxes and subscriptions, and who has inferiors."""

    def __init__(self, mailboxes: Sequence[Mailbox], utf8: bool) -> None:
        self._mailboxes = mailboxes
        self._utf8 = utf8
        existing = [mailbox.name for mailbox in mailboxes if mailbox.mailbox_id]
        self._parents = {above for name in existing for above in _superiors(name)}
        self._subscribed = {mailbox.name for mailbox in mailboxes if mailbox.subscribed}

    def answer_list(self, command: List, matches: Matcher) -> Iterator[bytes]:
        """LIST responses."""
        selection = command.selection
        if SelectionOption.RECURSIVEMATCH in selection:
            yield from self._list_recursively(command, matches)
            return
        for mailbox in self._mailboxes:
            if matches(mailbox.name) and _selected(mailbox, selection):
                yield list_response(
                    mailbox.name, self._attributes(mailbox, command), utf8=self._utf8
                )

    def answer_lsub(self, matches: Matcher) -> Iterator[bytes]:
        """LSUB responses: subscribed names, and levels above them that a pattern with % stops at.

        Section 6.3.9: foo is told with \\Noselect where foo/bar is subscribed and foo is not.
        """
        above = {name for child in self._subscribed for name in _superiors(child)}
        by_name = {mailbox.name: mailbox for mailbox in self._mailboxes}
        stops = {
            name
            for name in above - self._subscribed
            if matches(name) and not all(map(matches, self._subscribed_below(name)))
        }
        for name in sorted(self._subscribed | stops):
            if name in stops:
                yield lsub_response(name, (NO_SELECT,), utf8=self._utf8)
            elif matches(name):
                mailbox = by_name[name]
                usable = mailbox.selectable or not mailbox.mailbox_id
                yield lsub_response(name, () if usable else (NO_SELECT,), utf8=self._utf8)

    def _subscribed_below(self, name: str) -> Iterator[str]:
        prefix = name + DELIMITER
        return (child for child in self._subscribed if child.startswith(prefix))

    def _list_recursively(self, command: List, matches: Matcher) -> Iterator[bytes]:
        """RFC 5258 section 3.5: also names that match and have a wanted inferior, with CHILDINFO.

        CHILDINFO is told only of inferiors that the patterns themselves don't match.
        """
        wanted = {m.name for m in self._mailboxes if _selected(m, command.selection)}
        hidden = {up for name in wanted if not matches(name) for up in _superiors(name)}
        by_name = {mailbox.name: mailbox for mailbox in self._mailboxes}
        for name in sorted(wanted | hidden):
            if not matches(name):
                continue
            mailbox = by_name.get(name, Mailbox(0, name, selectable=False))
            line = list_response(name, self._attributes(mailbox, command), utf8=self._utf8)
            yield line.removesuffix(b"\r\n") + _CHILD_INFO if name in hidden else line

    def _attributes(self, mailbox: Mailbox, command: List) -> list[str]:
        attributes = []
        if not mailbox.mailbox_id:
            # NonExistent implies Noselect, which is all that older clients know.
            attributes += [NON_EXISTENT, NO_SELECT]
        elif not mailbox.selectable:
            attributes.append(NO_SELECT)
        parent = mailbox.name in self._parents
        attributes.append(HAS_CHILDREN if parent else HAS_NO_CHILDREN)
        asked = (
            ReturnOption.SUBSCRIBED in command.returns
            or SelectionOption.SUBSCRIBED in command.selection
        )
        if asked and mailbox.subscribed:
            attributes.append(SUBSCRIBED)
        if mailbox.special_use is not None:
            attributes.append(mailbox.special_use.value)
        return attributes


def _selected(mailbox: Mailbox, selection: frozenset[SelectionOption]) -> bool:
    if SelectionOption.SUBSCRIBED in selection:
        if not mailbox.subscribed:
            return False
    elif not mailbox.mailbox_id:
        return False
    return SelectionOption.SPECIAL_USE not in selection or mailbox.special_use is not None


def _superiors(name: str) -> Iterator[str]:
    """The names above a name, from the nearest up."""
    while DELIMITER in name:
        name = name.rpartition(DELIMITER)[0]
        yield name
