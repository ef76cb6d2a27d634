"""Annotate messages."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"

# Names compare by code point, on PostgreSQL too, as those of mailboxes' annotations.
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "message_annotations",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("holder_id", sa.BigInteger(), nullable=False),
        sa.Column("entry", Name, nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "mailbox_id", "uid", "holder_id", "entry"),
    )
    op.create_index(
        "message_annotations_changed",
        "message_annotations",
        ["account_id", "mailbox_id", "modseq", "size"],
    )


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
