"""Directory over auth."""

from __future__ import annotations

import time

from postroom.auth.v1 import directory_pb2, directory_pb2_grpc
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import Quota
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.repeating import repeat

from postroom_imap.ports.directory import Account

KEPT_SECONDS = 60.0  # how long an account is known without asking again
MOST_KEPT = 10_000

Resolution = directory_pb2.Resolution


class RemoteDirectory:
    """Directory over postroom.auth.v1.DirectoryService."""

    def __init__(self, auth: Channel) -> None:
        self._stub = auth.stub(directory_pb2_grpc.DirectoryServiceStub)
        self._kept: dict[str, tuple[float, Account]] = {}

    async def account(self, *addresses: str) -> Account | None:
        for address in addresses:
            expires, kept = self._kept.get(address, (0.0, None))
            if kept is not None and time.monotonic() < expires:
                return kept
        request = directory_pb2.ResolveRequest(addresses=addresses)
        answer = await repeat(lambda: self._stub.Resolve(request))
        for address, resolution in zip(addresses, answer.resolutions, strict=True):
            # Who was unknown a moment ago may have been made since: only who is there is kept.
            if (account := _account(resolution, address)) is not None:
                self._keep(address, account)
                return account
        return None

    def _keep(self, address: str, account: Account) -> None:
        if len(self._kept) >= MOST_KEPT:
            self._kept.clear()
        self._kept[address] = (time.monotonic() + KEPT_SECONDS, account)


def _account(resolution: Resolution, address: str) -> Account | None:
    """The account itself: whom an alias or a catch-all leads to is somebody else."""
    if resolution.kind == Resolution.KIND_UNAVAILABLE:
        raise PostroomError(Kind.UNAVAILABLE, "its directory can't be asked now")
    if resolution.kind != Resolution.KIND_LOCAL or len(resolution.recipients) != 1:
        return None
    (found,) = resolution.recipients
    if resolution.forwards or found.detail or found.address.casefold() != address.casefold():
        return None
    quota = Quota(found.quota_bytes, found.quota_messages, found.quota_mailboxes)
    return Account(found.account_id, found.address, quota)
