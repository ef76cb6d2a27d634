"""the first schema"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from postroom_store.search.index import create_index

# Names compare by code point, on PostgreSQL too.
NAME = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "accounts",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("next_mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("next_email_id", sa.BigInteger(), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("used_bytes", sa.BigInteger(), nullable=False),
        sa.Column("used_messages", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "answers",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("answer", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "key"),
        sqlite_with_rowid=False,
    )
    op.create_index("answers_age", "answers", ["created_at"], unique=False)
    op.create_table(
        "blobs",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "digest"),
    )
    op.create_table(
        "emails",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("internaldate", sa.BigInteger(), nullable=False),
        sa.Column("thread_id", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("indexed", sa.SmallInteger(), nullable=False),
        sa.Column("has_attachment", sa.Boolean(), nullable=False),
        sa.Column("base_subject", sa.Text(), nullable=False),
        sa.Column("sort_from", sa.Text(), nullable=False),
        sa.Column("sort_to", sa.Text(), nullable=False),
        sa.Column("sort_cc", sa.Text(), nullable=False),
        sa.Column("display_from", sa.Text(), nullable=False),
        sa.Column("display_to", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("references", sa.Text(), nullable=False),
        sa.Column("preview", sa.Text(), nullable=False),
        sa.Column("envelope", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("bodystructure", sa.LargeBinary(), nullable=False),
        sa.Column("structure", sa.LargeBinary(), nullable=False),
        sa.Column("header", sa.LargeBinary(), nullable=True),
        sa.PrimaryKeyConstraint("account_id", "email_id"),
    )
    op.create_index(
        "emails_unindexed",
        "emails",
        ["account_id", "email_id"],
        unique=False,
        sqlite_where=sa.text('"indexed" = 0'),
        postgresql_where=sa.text('"indexed" = 0'),
    )
    op.create_table(
        "leases",
        sa.Column("account_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("lease_id", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id"),
    )
    op.create_table(
        "mailboxes",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.Column("selectable", sa.Boolean(), nullable=False),
        sa.Column("special_use", sa.SmallInteger(), nullable=False),
        sa.Column("uid_validity", sa.BigInteger(), nullable=False),
        sa.Column("uid_next", sa.BigInteger(), nullable=False),
        sa.Column("highest_modseq", sa.BigInteger(), nullable=False),
        sa.Column("messages", sa.BigInteger(), nullable=False),
        sa.Column("unseen", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "mailbox_id"),
        sa.UniqueConstraint("account_id", "name"),
    )
    op.create_table(
        "placements",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.BigInteger(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("created_modseq", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("saved_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "mailbox_id", "uid"),
        sqlite_with_rowid=False,
    )
    op.create_index(
        "placements_changed", "placements", ["account_id", "mailbox_id", "modseq"], unique=False
    )
    op.create_index("placements_email", "placements", ["account_id", "email_id"], unique=False)
    op.create_table(
        "queue",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("queue_id", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("state", sa.SmallInteger(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("next_attempt_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("last_reply", sa.Text(), nullable=False),
        sa.Column("message_id", sa.Text(), nullable=False),
        sa.Column("trace_id", sa.String(length=32), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "queue_id"),
    )
    op.create_index("queue_domain", "queue", ["domain", "queue_id"], unique=False)
    op.create_index("queue_due", "queue", ["state", "next_attempt_at"], unique=False)
    op.create_index("queue_order", "queue", ["queue_id"], unique=False)
    op.create_table(
        "subscriptions",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("name", NAME, nullable=False),
        sa.PrimaryKeyConstraint("account_id", "name"),
    )
    op.create_table(
        "threads",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("message_hash", sa.BigInteger(), nullable=False),
        sa.Column("thread_id", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "message_hash"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "tombstones",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("mailbox_id", sa.BigInteger(), nullable=False),
        sa.Column("uid", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("flags", sa.BigInteger(), nullable=False),
        sa.Column("modseq", sa.BigInteger(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("expunged_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "mailbox_id", "uid"),
        sqlite_with_rowid=False,
    )
    op.create_index("tombstones_age", "tombstones", ["expunged_at"], unique=False)
    op.create_index(
        "tombstones_changed", "tombstones", ["account_id", "mailbox_id", "modseq"], unique=False
    )
    op.create_index("tombstones_email", "tombstones", ["account_id", "email_id"], unique=False)
    op.create_table(
        "uploads",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("upload_id", sa.LargeBinary(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "upload_id"),
    )
    create_index(op.get_bind())


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
