"""The tables, as SQLAlchemy Core knows them; `migrations/` makes them.

Accounts and aliases share one namespace, `addresses`, so that the database itself keeps an address
from meaning two things. Addresses and domains are stored in the form in which they are compared.
"""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

metadata = MetaData()

# SQLite numbers rows by itself in INTEGER columns alone.
Id = BigInteger().with_variant(Integer(), "sqlite")
# Ordered by code point on every engine, whatever the database's locale: pages depend on it.
Name = Text().with_variant(Text(collation="C"), "postgresql")

tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", Id, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    sqlite_autoincrement=True,
)

domains = Table(
    "domains",
    metadata,
    Column("domain_id", Id, primary_key=True),
    Column("name", Name, nullable=False, unique=True),
    Column("tenant_id", ForeignKey("tenants.tenant_id"), nullable=False, index=True),
    Column(
        "catch_all_id",
        ForeignKey("accounts.account_id", ondelete="SET NULL", use_alter=True),
        index=True,
    ),
    sqlite_autoincrement=True,
)

# Numbers are never given twice: an account's mail may outlive it.
accounts = Table(
    "accounts",
    metadata,
    Column("account_id", Id, primary_key=True),
    Column("address", Name, nullable=False, unique=True),
    Column("domain_id", ForeignKey("domains.domain_id"), nullable=False),
    Column("display_name", Text, nullable=False),
    Column("quota_bytes", BigInteger, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("quota_messages", BigInteger, nullable=False, server_default="0"),
    Column("quota_mailboxes", BigInteger, nullable=False, server_default="0"),
    Column("administrator", Boolean, nullable=False, server_default=false()),
    # Made because another system's directory knows the person.
    Column("external", Boolean, nullable=False, server_default=false()),
    # Unix seconds; FOR_GOOD: until somebody unlocks it.
    Column("locked_until", BigInteger, nullable=False, server_default="0"),
    Column("app_passwords_only", Boolean, nullable=False, server_default=false()),
    # For POP3: what was retrieved goes at the end of a session; else what was read goes after so
    # many days (0: never); seconds between sign-ins; when the last one was.
    Column("pop3_delete", Boolean, nullable=False, server_default=false()),
    Column("pop3_days", BigInteger, nullable=False, server_default="0"),
    Column("pop3_login_delay", BigInteger, nullable=False, server_default="0"),
    Column("pop3_login_at", BigInteger, nullable=False, server_default="0"),
    Index("accounts_by_domain", "domain_id", "address"),
    # The strictest policy of all is asked for often.
    Index("accounts_by_pop3_delete", "pop3_delete"),
    Index("accounts_by_pop3_days", "pop3_days"),
    Index("accounts_by_pop3_login_delay", "pop3_login_delay"),
    sqlite_autoincrement=True,
)

credentials = Table(
    "credentials",
    metadata,
    Column(
        "account_id",
        ForeignKey("accounts.account_id", ondelete="CASCADE"),
        primary_key=True,
        autoincrement=False,
    ),
    Column("password_hash", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("changed_at", BigInteger, nullable=False),
    # Verifiers of the same password (RFC 5803), parted by blanks.
    Column("scram", Text, nullable=False, server_default=""),
)

# protocols, networks: words. Times are Unix seconds; 0: never.
app_passwords = Table(
    "app_passwords",
    metadata,
    Column("app_password_id", Id, primary_key=True),
    Column("account_id", ForeignKey("accounts.account_id", ondelete="CASCADE"), nullable=False),
    Column("public_id", Name, nullable=False),
    Column("name", Name, nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("protocols", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("expires_at", BigInteger, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("used_at", BigInteger, nullable=False),
    UniqueConstraint("account_id", "public_id"),
    UniqueConstraint("account_id", "name"),
    sqlite_autoincrement=True,
)

# Of names and networks; a row for each that has failed of late. last: Unix seconds.
failures = Table(
    "failures",
    metadata,
    Column("subject", Name, primary_key=True),
    Column("count", Integer, nullable=False),
    Column("last", Double, nullable=False, index=True),
)

# Every end of an exchange. at: Unix milliseconds of the first of `times` that were alike.
# address_order: 32 hexadecimal digits, so that a network is a range.
audit = Table(
    "audit",
    metadata,
    Column("audit_id", Id, primary_key=True),
    Column("at", BigInteger, nullable=False, index=True),
    Column("account", Name, nullable=False),
    Column("outcome", Name, nullable=False),
    Column("why", Text, nullable=False),
    Column("protocol", Name, nullable=False),
    Column("front", Name, nullable=False),
    Column("mechanism", Name, nullable=False),
    Column("credential", Text, nullable=False),
    Column("address", Text, nullable=False),
    Column("address_order", Name, nullable=False, index=True),
    Column("network", Name, nullable=False),
    Column("tls", Text, nullable=False),
    Column("times", Integer, nullable=False),
    Index("audit_by_account", "account", "network"),
    sqlite_autoincrement=True,
)

# Secrets that an account shares with a client, each for one mechanism (see shared_secret.py).
# networks: parted by spaces; key_id: of the key that sealed it.
secrets = Table(
    "secrets",
    metadata,
    Column("secret_id", Id, primary_key=True),
    Column("account_id", ForeignKey("accounts.account_id", ondelete="CASCADE"), nullable=False),
    Column("kind", Text, nullable=False),
    Column("networks", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    Index("secrets_by_account", "account_id", "kind"),
    sqlite_autoincrement=True,
)

# What mail of a domain is signed with (see dkim.py). public_key: base64, as its record has it;
# sealed: the private key. One at most of a domain and an algorithm is active.
dkim_keys = Table(
    "dkim_keys",
    metadata,
    Column("dkim_key_id", Id, primary_key=True),
    Column("domain_id", ForeignKey("domains.domain_id", ondelete="CASCADE"), nullable=False),
    Column("selector", Name, nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("public_key", Text, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("retired_at", BigInteger, nullable=False),
    Column("key_id", Text, nullable=False),
    Column("sealed", LargeBinary, nullable=False),
    UniqueConstraint("domain_id", "selector"),
    Index(
        "dkim_keys_active",
        "domain_id",
        "algorithm",
        unique=True,
        sqlite_where=text("state = 'active'"),
        postgresql_where=text("state = 'active'"),
    ),
    sqlite_autoincrement=True,
)

# account_id: the account whose main address it is; null: an alias.
addresses = Table(
    "addresses",
    metadata,
    Column("address", Name, primary_key=True),
    Column("domain_id", ForeignKey("domains.domain_id"), nullable=False),
    Column("account_id", ForeignKey("accounts.account_id", ondelete="CASCADE"), unique=True),
    Index("addresses_by_domain", "domain_id", "address"),
)

# target: as written (the local part elsewhere may be case-sensitive); the keys: to find it by.
alias_targets = Table(
    "alias_targets",
    metadata,
    Column("address", ForeignKey("addresses.address", ondelete="CASCADE"), primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("target", Name, nullable=False),
    Column("target_key", Name, nullable=False, index=True),
    Column("undetailed_key", Name, nullable=False, index=True),
)
