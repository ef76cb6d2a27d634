"""Lease the queue, and keep what was asked for a message and how it came."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"

# Names compare by code point, on PostgreSQL too.
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for column in (
        sa.Column("submission_id", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("own_sender", sa.Text(), nullable=False, server_default=""),
        sa.Column("original", sa.Text(), nullable=False, server_default=""),
        sa.Column("notify", sa.SmallInteger(), nullable=False, server_default="0"),
        sa.Column("hold_until", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("delay_told", sa.Boolean(), nullable=False, server_default=sa.text("false")),
        sa.Column("last_host", sa.Text(), nullable=False, server_default=""),
        sa.Column("lease_id", sa.LargeBinary()),
    ):
        op.add_column("queue", column)
    op.drop_index("queue_due", "queue")
    _index("queue_due", "queue", "domain", "next_attempt_at", "submission_id", where="state <> 2")
    _index("queue_leased", "queue", "lease_id", "next_attempt_at", where="state = 3")
    _index("queue_submission", "queue", "account_id", "submission_id")
    op.create_table(
        "submissions",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("submission_id", sa.BigInteger(), nullable=False),
        sa.Column("request", sa.LargeBinary(), nullable=False),
        sa.Column("eight_bit", sa.Boolean(), nullable=False),
        *_arrival(),
        sa.PrimaryKeyConstraint("account_id", "submission_id"),
    )
    op.create_table(
        "receptions",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("email_id", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        *_arrival(),
        sa.PrimaryKeyConstraint("account_id", "email_id"),
    )
    for table in ("submissions", "receptions"):
        _index(f"{table}_message", table, "message_hash")
        _index(f"{table}_arrival", table, "arrival_hash")
    op.create_table(
        "attempts",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("queue_id", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("host", sa.Text(), nullable=False),
        sa.Column("tls", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account_id", "queue_id", "number"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "finished",
        sa.Column("account_id", sa.BigInteger(), nullable=False),
        sa.Column("queue_id", sa.BigInteger(), nullable=False),
        sa.Column("submission_id", sa.BigInteger(), nullable=False),
        sa.Column("sender", sa.Text(), nullable=False),
        sa.Column("recipient", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("finished_at", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.SmallInteger(), nullable=False),
        sa.Column("lease_id", sa.LargeBinary()),
        sa.PrimaryKeyConstraint("account_id", "queue_id"),
    )
    _index("finished_order", "finished", "queue_id")
    _index("finished_age", "finished", "account_id", "finished_at")
    _index("finished_submission", "finished", "account_id", "submission_id")
    op.create_table(
        "destinations",
        sa.Column("domain", sa.Text(), primary_key=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("retry_at", sa.BigInteger(), nullable=False),
        sa.Column("reply", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
    )
    _index("destinations_failing", "destinations", "domain", where="failures > 0")
    op.create_table(
        "batches",
        sa.Column("lease_id", sa.LargeBinary(), primary_key=True),
        sa.Column("domain", sa.Text(), nullable=False),
        sa.Column("worker", sa.Text(), nullable=False),
        sa.Column("leased_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("failures", sa.Integer(), nullable=False),
    )
    _index("batches_domain", "batches", "domain", "expires_at")
    _index("batches_age", "batches", "expires_at")
    op.create_table(
        "suppressions",
        sa.Column("address", Name, primary_key=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    )


def _arrival() -> list[sa.Column]:
    return [
        sa.Column("message_hash", sa.BigInteger()),
        sa.Column("arrival_hash", sa.BigInteger()),
        sa.Column("arrival_id", sa.Text(), nullable=False),
        sa.Column("client", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("verdict", sa.Text(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
    ]


def _index(name: str, table: str, *columns: str, where: str | None = None) -> None:
    condition = sa.text(where) if where else None
    op.create_index(name, table, list(columns), sqlite_where=condition, postgresql_where=condition)


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
