"""Know when an account's tree and its annotations changed last."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    for table, name in (
        ("accounts", "tree_modseq"),
        ("accounts", "annotations_modseq"),
        ("mailbox_annotations", "modseq"),
    ):
        column = sa.Column(name, sa.BigInteger(), nullable=False, server_default="0")
        op.add_column(table, column)


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
