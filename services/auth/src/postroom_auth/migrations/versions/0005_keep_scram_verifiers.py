"""Keep SCRAM verifiers beside the hash of a password."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    column = sa.Column("scram", sa.Text, nullable=False, server_default="")
    op.add_column("credentials", column)


def downgrade() -> None:
    raise NotImplementedError("steps are not undone: restore a backup")
