"""Let each mailbox have a lease of its own."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.create_table(
        "maildrop_leases",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("lease_id", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "mailbox_id"),
    )
    # Sessions that are open go on: they have INBOX.
    op.execute(
        "INSERT INTO maildrop_leases (account_id, mailbox_id, lease_id, expires_at)"
        " SELECT leases.account_id, mailboxes.mailbox_id, lease_id, expires_at"
        " FROM leases JOIN mailboxes"
        " ON mailboxes.account_id = leases.account_id AND mailboxes.name = 'INBOX'"
    )
    op.drop_table("leases")


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
