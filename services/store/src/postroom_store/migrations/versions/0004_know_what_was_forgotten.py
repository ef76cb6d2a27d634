"""Know up to which modseq a mailbox's expunges may be forgotten."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    # Until now nothing was noted: whoever asks about the time before must look at what is there.
    column = sa.Column("forgotten_modseq", sa.BigInteger, nullable=False, server_default="0")
    op.add_column("mailboxes", column)
    op.execute("UPDATE mailboxes SET forgotten_modseq = highest_modseq")


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
