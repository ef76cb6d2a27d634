"""Find what is indexed in part."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_index(
        "emails_in_part",
        "emails",
        ["account_id", "email_id"],
        sqlite_where=sa.text("indexed = 2"),
        postgresql_where=sa.text("indexed = 2"),
    )


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
