"""Tenants, domains, accounts, credentials, addresses and aliases."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

Id = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
Name = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")


def upgrade() -> None:
    op.create_table(
        "tenants",
        sa.Column("tenant_id", Id, primary_key=True),
        sa.Column("name", Name, nullable=False, unique=True),
        sqlite_autoincrement=True,
    )
    # A domain knows its catch-all account and an account its domain: SQLite takes a reference to a
    # table that doesn't exist yet, PostgreSQL takes it afterwards.
    later = op.get_context().dialect.name != "sqlite"
    catch_all = sa.ForeignKey("accounts.account_id", ondelete="SET NULL", use_alter=later)
    op.create_table(
        "domains",
        sa.Column("domain_id", Id, primary_key=True),
        sa.Column("name", Name, nullable=False, unique=True),
        sa.Column("tenant_id", Id, sa.ForeignKey("tenants.tenant_id"), nullable=False, index=True),
        sa.Column("catch_all_id", Id, *(() if later else (catch_all,)), index=True),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "accounts",
        sa.Column("account_id", Id, primary_key=True),
        sa.Column("address", Name, nullable=False, unique=True),
        sa.Column("domain_id", Id, sa.ForeignKey("domains.domain_id"), nullable=False),
        sa.Column("display_name", sa.Text, nullable=False),
        sa.Column("quota_bytes", sa.BigInteger, nullable=False),
        sa.Column("disabled", sa.Boolean, nullable=False),
        sa.Column("created_at", sa.BigInteger, nullable=False),
        sa.Index("accounts_by_domain", "domain_id", "address"),
        sqlite_autoincrement=True,
    )
    if later:
        op.create_foreign_key(
            "domains_catch_all_id_fkey",
            "domains",
            "accounts",
            ["catch_all_id"],
            ["account_id"],
            ondelete="SET NULL",
        )
    op.create_table(
        "credentials",
        sa.Column(
            "account_id",
            Id,
            sa.ForeignKey("accounts.account_id", ondelete="CASCADE"),
            primary_key=True,
            autoincrement=False,
        ),
        sa.Column("password_hash", sa.Text, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.Column("changed_at", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "addresses",
        sa.Column("address", Name, primary_key=True),
        sa.Column("domain_id", Id, sa.ForeignKey("domains.domain_id"), nullable=False),
        sa.Column(
            "account_id",
            Id,
            sa.ForeignKey("accounts.account_id", ondelete="CASCADE"),
            unique=True,
        ),
        sa.Index("addresses_by_domain", "domain_id", "address"),
    )
    op.create_table(
        "alias_targets",
        sa.Column(
            "address",
            Name,
            sa.ForeignKey("addresses.address", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("position", sa.Integer, primary_key=True),
        sa.Column("target", Name, nullable=False),
        sa.Column("target_key", Name, nullable=False, index=True),
        sa.Column("undetailed_key", Name, nullable=False, index=True),
    )


def downgrade() -> None:
    raise NotImplementedError("the first step can't be undone: drop the database")
