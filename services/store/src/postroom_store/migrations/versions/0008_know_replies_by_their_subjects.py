"""Know replies and forwards by their subjects."""

from __future__ import annotations

import re

import sqlalchemy as sa
from alembic import op
from postroom_mime import base_subject

revision = "0008"
down_revision = "0007"

PAGE = 1000
# An envelope begins with the date and the subject, each a string or NIL (RFC 3501 section 7.4.2).
STRING = re.compile(rb' ?(?:NIL|"((?:[^"\\]|\\.)*)"|\{([0-9]+)\}\r\n)', re.DOTALL)


def upgrade() -> None:
    op.add_column(
        "emails", sa.Column("is_reply", sa.Boolean, nullable=False, server_default=sa.false())
    )
    emails = sa.table(
        "emails",
        sa.column("account_id", sa.BigInteger),
        sa.column("email_id", sa.BigInteger),
        sa.column("envelope", sa.LargeBinary),
        sa.column("is_reply", sa.Boolean),
    )
    key = sa.tuple_(emails.c.account_id, emails.c.email_id)
    page = sa.select(emails.c.account_id, emails.c.email_id, emails.c.envelope).order_by(
        emails.c.account_id, emails.c.email_id
    )
    mark = (
        sa.update(emails)
        .where(
            emails.c.account_id == sa.bindparam("account"),
            emails.c.email_id == sa.bindparam("email"),
        )
        .values(is_reply=True)
    )
    connection = op.get_bind()
    after = (-1, -1)
    while rows := connection.execute(page.where(key > sa.tuple_(*after)).limit(PAGE)).fetchall():
        after = (rows[-1][0], rows[-1][1])
        replies = [
            {"account": account_id, "email": email_id}
            for account_id, email_id, envelope in rows
            if base_subject(subject_of(bytes(envelope)))[1]
        ]
        if replies:
            connection.execute(mark, replies)


def subject_of(envelope: bytes) -> bytes:
    """The subject in a rendered envelope, as the header had it."""
    position, subject = 1, b""
    for _ in ("date", "subject"):
        found = STRING.match(envelope, position)
        if found is None:
            return b""
        position = found.end()
        subject = re.sub(rb"\\(.)", rb"\1", found[1] or b"")
        if found[2] is not None:
            subject = envelope[position : position + int(found[2])]
            position += len(subject)
    return subject


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
