"""Let a mailbox have several special uses; find the messages that are \\Deleted."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    # A number from 1 to 7 becomes the bit of that number.
    op.execute("UPDATE mailboxes SET special_use = 1 << special_use WHERE special_use > 0")
    op.create_index(
        "placements_deleted",
        "placements",
        ["account_id", "mailbox_id", "size"],
        sqlite_where=sa.text("(flags & 8) != 0"),
        postgresql_where=sa.text("(flags & 8) != 0"),
    )


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
