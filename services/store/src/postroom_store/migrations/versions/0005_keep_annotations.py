"""Keep annotations of mailboxes and of the server."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

# Names compare by code point, on PostgreSQL too, so that what is below one is a range.
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "mailbox_annotations",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("holder_id", sa.BigInteger(), nullable=False),
        sa.Column("entry", Name, nullable=False),
        sa.Column("value", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "mailbox_id", "holder_id", "entry"),
    )


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
