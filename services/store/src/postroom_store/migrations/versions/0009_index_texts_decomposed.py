"""Make the search index anew: its texts are fully decomposed now (RFC 5051 section 2.3)."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from postroom_store.search.index import create_index

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    connection = op.get_bind()
    for table in ("search_index", "search_text"):
        connection.execute(sa.text(f"DROP TABLE IF EXISTS {table}"))
    create_index(connection)
    connection.execute(sa.text("UPDATE emails SET indexed = 0 WHERE indexed <> 0"))


def downgrade() -> None:
    raise NotImplementedError("mail is not migrated backwards: restore a backup")
