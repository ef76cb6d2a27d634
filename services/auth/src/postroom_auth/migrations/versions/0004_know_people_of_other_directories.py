"""Know people of other systems' directories."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    column = sa.Column("external", sa.Boolean, nullable=False, server_default=sa.false())
    op.add_column("accounts", column)


def downgrade() -> None:
    raise NotImplementedError("steps are not undone: restore a backup")
