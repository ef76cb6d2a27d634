"""What URLs name (RFC 5092): a message of an account, a part of one, some bytes of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from postroom_chassis.errors import PostroomError
from postroom_mime import bodystructure_of, decode_structure, find_part, header_fields, split_fields
from sqlalchemy import Connection

from postroom_store.blobs import BlobFiles
from postroom_store.reading import Fetch, Wanted, find_mailbox_named, path_of


@dataclass(frozen=True, slots=True)
class Reference:
    """Bytes of a message.

    Attributes:
        mailbox: its name.
        uid_validity: 0: whatever it is.
        section: as in BODY[section], HEADER.FIELDS included.
        length: None: to the end.
    """

    mailbox: str
    uid_validity: int
    uid: int
    section: str
    offset: int = 0
    length: int | None = None


@dataclass(frozen=True, slots=True)
class References:
    """Reads what references name in one account; None where that is nothing."""

    connection: Connection
    files: BlobFiles | None
    account_id: int

    def read(self, reference: Reference, *, decoded: bool = False) -> bytes | None:
        """The bytes.

        Args:
            decoded: of a part as a whole, without its transfer encoding. Raises PostroomError
                UNSUPPORTED where that is unknown.
        """
        spec, fields = split_fields(reference.section)
        if fields is None:
            return self._section(reference, Wanted(spec, *_range(reference), decoded=decoded))
        header = self._section(reference, Wanted(spec))
        if header is None:
            return None
        chosen = header_fields(header, fields.names, fields.invert)
        offset, length = _range(reference)
        return chosen[offset : None if length is None else offset + length]

    def structure(self, reference: Reference, *, decoded: bool) -> bytes | None:
        """The BODYSTRUCTURE of a part, rendered; None, too, for a section that is no part.

        Args:
            decoded: as it is without its transfer encoding, if that is known.
        """
        path = path_of(reference.section)
        if reference.section and not path:
            return None
        row = self._row(reference, ("structure", "bodystructure"), Wanted(""))
        if row is None or not path:
            return None if row is None else row[1]
        structure, _, content = row
        part = find_part(decode_structure(structure), path)
        if part is None:
            return None
        if decoded and not part.children:
            whole = replace(reference, offset=0, length=None)
            try:
                data = self.read(whole, decoded=True) or b""
            except PostroomError:
                return bodystructure_of(content, part)
            end = part.body_start + len(data)
            lines = data.count(b"\n") if part.lines else 0
            part = replace(part, encoding="binary", body_end=end, lines=lines)
        return bodystructure_of(content, part)

    def _section(self, reference: Reference, wanted: Wanted) -> bytes | None:
        row = self._row(reference, (), wanted)
        return None if row is None else row[-1]

    def _row(self, reference: Reference, columns: tuple[str, ...], wanted: Wanted) -> Any:
        """Columns and one section of the message."""
        try:
            mailbox = find_mailbox_named(self.connection, self.account_id, reference.mailbox)
        except PostroomError:
            return None
        if reference.uid_validity not in (0, mailbox.uid_validity):
            return None
        uids = ((reference.uid, reference.uid),)
        fetch = Fetch(self.account_id, mailbox.mailbox_id, uids, columns, (wanted,), self.files)
        batch, _ = fetch.read(self.connection, (0, 0))
        if not batch.uids:
            return None
        return (*(bytes(batch.columns[name][0]) for name in columns), batch.sections[0][0])


def _range(reference: Reference) -> tuple[int, int | None]:
    return reference.offset, reference.length
