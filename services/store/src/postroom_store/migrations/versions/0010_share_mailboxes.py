"""Share mailboxes."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.add_column(
        "mailboxes", sa.Column("acl_modseq", sa.BigInteger(), nullable=False, server_default="0")
    )
    op.create_table(
        "acl",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("grantee_id", sa.BigInteger(), nullable=False),
        sa.Column("identifier", sa.Text(), nullable=False),
        sa.Column("rights", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "mailbox_id", "grantee_id"),
        sqlite_with_rowid=False,
    )
    op.create_index("acl_grantee", "acl", ["account_id", "grantee_id"])
    op.create_table(
        "shares",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("owner_id", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "owner_id"),
        sqlite_with_rowid=False,
    )
    # The prefix is the namespace's now: who has a mailbox of that name keeps it under another.
    op.execute(
        "UPDATE mailboxes SET name = 'Other Users (own)' || substr(name, 12) "
        "WHERE name = 'Other Users' OR (name >= 'Other Users/' AND name < 'Other Users0')"
    )
    op.execute(
        "UPDATE subscriptions SET name = 'Other Users (own)' || substr(name, 12) "
        "WHERE name = 'Other Users' OR (name >= 'Other Users/' AND name < 'Other Users0')"
    )


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
