"""What is rendered of immutable messages, kept for the next client that asks: a bounded cache.

Two generations stand in for a list in order of use: entries are made in the young one; when that
has half of the bytes, it becomes the old one, and the one before is dropped whole. What is found in
the old generation moves to the young. So a lookup is one dictionary access and eviction costs
nothing.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

_ENTRY_BYTES = 130  # a dictionary entry, its key, and what a bytes object adds to its content

Shelf = dict[int, bytes]
Key = tuple[int, Hashable]


class ItemCache:
    """Rendered items by account, kind and email id.

    Args:
        most_bytes: of both generations together.
        largest: an item with more bytes is not kept.
    """

    def __init__(self, most_bytes: int, largest: int) -> None:
        self._half = most_bytes // 2
        self._largest = largest
        self._young: dict[Key, Shelf] = {}
        self._old: dict[Key, Shelf] = {}
        self._bytes = 0

    def get_many(
        self, account_id: int, kind: Hashable, email_ids: Sequence[int]
    ) -> list[bytes | None]:
        """The item of each message, or None where it isn't kept."""
        key = (account_id, kind)
        young, old = self._young.get(key), self._old.get(key)
        found: list[bytes | None]
        found = list(map(young.get, email_ids)) if young else [None] * len(email_ids)
        if old:
            for index, email_id in enumerate(email_ids):
                if found[index] is None and (item := old.pop(email_id, None)) is not None:
                    found[index] = item
                    self.put(account_id, kind, email_id, item)
        return found

    def put(self, account_id: int, kind: Hashable, email_id: int, item: bytes) -> None:
        """Keep an item, unless it is too large."""
        if len(item) > self._largest:
            return
        size = len(item) + _ENTRY_BYTES
        if self._bytes + size > self._half:
            self._old, self._young, self._bytes = self._young, {}, 0
        self._young.setdefault((account_id, kind), {})[email_id] = item
        self._bytes += size

    def put_many(
        self, account_id: int, kind: Hashable, email_ids: Sequence[int], items: Sequence[bytes]
    ) -> None:
        """Keep the items of several messages."""
        sizes = list(map(len, items))
        size = sum(sizes) + _ENTRY_BYTES * len(sizes)
        if max(sizes, default=0) > self._largest or size > self._half - self._bytes:
            for email_id, item in zip(email_ids, items, strict=True):
                self.put(account_id, kind, email_id, item)
            return
        shelf = self._young.setdefault((account_id, kind), {})
        shelf.update(zip(email_ids, items, strict=True))
        self._bytes += size
