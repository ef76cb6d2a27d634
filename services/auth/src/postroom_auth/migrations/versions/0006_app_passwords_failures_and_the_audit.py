"""App passwords, locks, failures that replicas count together, and the audit of sign-ins."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    for column in (
        sa.Column("locked_until", sa.BigInteger, nullable=False, server_default="0"),
        sa.Column("app_passwords_only", sa.Boolean, nullable=False, server_default=sa.false()),
    ):
        op.add_column("accounts", column)
    op.create_table(
        "app_passwords",
        sa.Column("app_password_id", Id, primary_key=True),
        sa.Column(
            "account_id",
            Id,
            sa.ForeignKey("accounts.account_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("public_id", Name, nullable=False),
        sa.Column("name", Name, nullable=False),
        sa.Column("secret_hash", sa.Text, nullable=False),
        sa.Column("protocols", sa.Text, nullable=False),
        sa.Column("networks", sa.Text, nullable=False),
        sa.Column("expires_at", sa.BigInteger, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("used_at", sa.BigInteger, nullable=False),
        sa.UniqueConstraint("account_id", "public_id"),
        sa.UniqueConstraint("account_id", "name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "failures",
        sa.Column("subject", Name, primary_key=True),
        sa.Column("count", sa.Integer, nullable=False),
        sa.Column("last", sa.Double, nullable=False, index=True),
    )
    op.create_table(
        "audit",
        sa.Column("audit_id", Id, primary_key=True),
        sa.Column("at", sa.BigInteger, nullable=False, index=True),
        sa.Column("account", Name, nullable=False),
        sa.Column("outcome", Name, nullable=False),
        sa.Column("why", sa.Text, nullable=False),
        sa.Column("protocol", Name, nullable=False),
        sa.Column("front", Name, nullable=False),
        sa.Column("mechanism", Name, nullable=False),
        sa.Column("credential", sa.Text, nullable=False),
        sa.Column("address", sa.Text, nullable=False),
        sa.Column("address_order", Name, nullable=False, index=True),
        sa.Column("network", Name, nullable=False),
        sa.Column("tls", sa.Text, nullable=False),
        sa.Column("times", sa.Integer, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("audit_by_account", "audit", ["account", "network"])


def downgrade() -> None:
    raise NotImplementedError("steps are not undone: restore a backup")
