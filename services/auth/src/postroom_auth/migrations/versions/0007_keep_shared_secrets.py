"""Keep shared secrets; let accounts have a policy for POP3."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "secrets",
        sa.Column("secret_id", Id, primary_key=True),
        sa.Column(
            "account_id",
            Id,
            sa.ForeignKey("accounts.account_id", ondelete="CASCADE"),
            nullable=False,
        ),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("networks", sa.Text, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Column("key_id", sa.Text, nullable=False),
        sa.Column("sealed", sa.LargeBinary, nullable=False),
        sqlite_autoincrement=True,
    )
    op.create_index("secrets_by_account", "secrets", ["account_id", "kind"])
    delete = sa.Column("pop3_delete", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("accounts", delete)
    for name in ("pop3_days", "pop3_login_delay", "pop3_login_at"):
        column = sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        op.add_column("accounts", column)
    for name in ("pop3_delete", "pop3_days", "pop3_login_delay"):
        op.create_index(f"accounts_by_{name}", "accounts", [name])


def downgrade() -> None:
    raise NotImplementedError("steps are not undone: restore a backup")
