"""Remember those who send."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    op.create_table(
        "greylist",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("first_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("passed", sa.Boolean(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "rates",
        sa.Column("key", sa.LargeBinary(), primary_key=True),
        sa.Column("seconds", sa.Integer(), nullable=False),
        sa.Column("newest", sa.BigInteger(), nullable=False),
        sa.Column("counts", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    for table in ("greylist", "rates"):
        op.create_index(f"{table}_age", table, ["expires_at"])


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
