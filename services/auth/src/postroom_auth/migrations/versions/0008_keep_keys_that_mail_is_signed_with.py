"""Keep the keys that mail of our domains is signed with."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "dkim_keys",
        sa.Column("dkim_key_id", Id, primary_key=True),
        sa.Column(
            "domain_id", Id, sa.ForeignKey("domains.domain_id", ondelete="CASCADE"), nullable=False
        ),
        sa.Column("selector", Name, nullable=False),
        sa.Column("algorithm", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("public_key", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("retired_at", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sa.UniqueConstraint("domain_id", "selector"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "dkim_keys_active",
        "dkim_keys",
        ["domain_id", "algorithm"],
        unique=True,
        sqlite_where=sa.text("state = 'active'"),
        postgresql_where=sa.text("state = 'active'"),
    )


def downgrade() -> None:
    raise NotImplementedError("steps are not undone: restore a backup")
