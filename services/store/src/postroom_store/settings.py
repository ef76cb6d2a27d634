"""What the store can be told, from POSTROOM_STORE_*."""

from __future__ import annotations

from pathlib import Path

from postroom_chassis.settings import ServiceSettings
from pydantic import Field
from pydantic_settings import SettingsConfigDict


class StoreSettings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="POSTROOM_STORE_")

    rpc_listen: str = Field("127.0.0.1:0", description="host:port where RPC is served")
    database_url: str = Field(description="sqlite:////path/store.db or postgresql://...")
    ticket_public_keys: str = Field(description="PEM files of auth's public keys, comma separated")
    blobs: str = Field(
        "sql", pattern="^(sql|fs)$", description="where contents over blob_inline_bytes are kept"
    )
    blob_folder: Path | None = Field(None, description="for blobs=fs")
    blob_inline_bytes: int = Field(
        64 * 1024, ge=0, description="contents up to this size are always beside the rows"
    )
    readers: int = Field(4, ge=1, le=64, description="threads that read the database")
    searchers: int = Field(2, ge=1, le=64, description="threads that search")
    writers: int = Field(2, ge=1, le=16, description="writers on PostgreSQL; SQLite has one")
    batch_operations: int = Field(200, ge=1, description="most changes in one transaction")
    message_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="largest message taken")
    mailboxes: int = Field(10_000, ge=1, description="most mailboxes of an account")
    expunge_days: float = Field(14.0, ge=0, description="how long expunged mail is kept")
    attempt_days: float = Field(
        30.0, ge=0, description="how long it is told what became of mail that left the queue"
    )
    greylist_entries: int = Field(
        1_000_000, ge=1000, description="most that a greylist remembers of who sends"
    )
    rate_entries: int = Field(1_000_000, ge=1000, description="most senders that are counted")
    sweep_hours: float = Field(6.0, gt=0, description="between two collections of garbage")
    idempotency_hours: float = Field(24.0, gt=0, description="how long repeats are recognised")
    upload_seconds: float = Field(3600.0, gt=0, description="how long an upload waits to be used")
    lease_seconds: float = Field(30.0, gt=0, description="how long a maildrop lease lasts")

    @property
    def public_keys(self) -> list[bytes]:
        return [Path(name.strip()).read_bytes() for name in self.ticket_public_keys.split(",")]
