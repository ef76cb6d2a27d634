"""What a transaction did to a mailbox, as columns. A mailbox's changes are a chain by modseq."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class Columns:
    """Messages as parallel lists by UID; `email_ids` is empty where only flags changed."""

    uids: list[int] = field(default_factory=list)
    flags: list[int] = field(default_factory=list)
    modseqs: list[int] = field(default_factory=list)
    email_ids: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Annotated:
    """Annotations of messages that were set or removed (RFC 5257), as parallel lists.

    Attributes:
        holders: whose a private one is; 0: shared.
    """

    uids: list[int] = field(default_factory=list)
    entries: list[str] = field(default_factory=list)
    holders: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Change:
    """A link of a mailbox's chain: what leads from `previous` to `modseq`.

    Attributes:
        flagged: messages with other flags or annotations than before.
    """

    mailbox_id: int
    previous: int
    modseq: int
    uid_next: int
    added: Columns = field(default_factory=Columns)
    flagged: Columns = field(default_factory=Columns)
    annotated: Annotated = field(default_factory=Annotated)
    expunged: list[int] = field(default_factory=list)
    keywords: list[tuple[int, str]] = field(default_factory=list)
    deleted: bool = False
    rights_changed: bool = False

    @property
    def weight(self) -> int:
        """How many messages it tells of."""
        told = len(self.added.uids) + len(self.flagged.uids) + len(self.annotated.uids)
        return told + len(self.expunged)


WHOLE_ACCOUNT = 0  # in the place of a mailbox's id


@dataclass(frozen=True, slots=True)
class Published:
    """A change, and whose."""

    account_id: int
    change: Change

    @property
    def weight(self) -> int:
        """How many messages it tells of."""
        return self.change.weight
