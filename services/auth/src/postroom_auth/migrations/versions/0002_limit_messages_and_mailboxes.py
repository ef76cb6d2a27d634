"""Limit how many messages and mailboxes an account has."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("quota_messages", "quota_mailboxes"):
        column = sa.Column(name, sa.BigInteger, nullable=False, server_default="0")
        op.add_column("accounts", column)


def downgrade() -> None:
    raise NotImplementedError("steps are not undone: restore a backup")
