"""Keys that mail is signed with, at auth over gRPC."""

from __future__ import annotations

from datetime import UTC, datetime

from postroom.auth.v1 import dkim_pb2, dkim_pb2_grpc
from postroom_chassis.rpc.client import Channel

from postroom_admin.model import DkimKey, KeyState, Page

STATES = {
    dkim_pb2.DkimKey.STATE_NEW: KeyState.NEW,
    dkim_pb2.DkimKey.STATE_ACTIVE: KeyState.ACTIVE,
    dkim_pb2.DkimKey.STATE_RETIRED: KeyState.RETIRED,
}
MAKING_SECONDS = 60.0  # RSA keys are numbers that must be found


class RemoteDkimKeys:
    """ports.DkimKeys at auth."""

    def __init__(self, auth: Channel) -> None:
        self._stub = auth.stub(dkim_pb2_grpc.DkimServiceStub)

    async def make(
        self, domain: str, algorithm: str = "", selector: str = "", bits: int = 0
    ) -> DkimKey:
        request = dkim_pb2.MakeDkimKeyRequest(
            domain=domain, algorithm=algorithm, selector=selector, bits=bits
        )
        return _key(await self._stub.Make(request, timeout=MAKING_SECONDS))

    async def list(self, domain: str = "", page_token: str = "") -> Page[DkimKey]:
        request = dkim_pb2.ListDkimKeysRequest(domain=domain, page_token=page_token)
        answer = await self._stub.List(request)
        return Page([_key(key) for key in answer.keys], answer.next_page_token)

    async def activate(self, domain: str, selector: str) -> DkimKey:
        return _key(await self._stub.Activate(_which(domain, selector)))

    async def retire(self, domain: str, selector: str) -> DkimKey:
        return _key(await self._stub.Retire(_which(domain, selector)))

    async def remove(self, domain: str, selector: str) -> None:
        await self._stub.Remove(_which(domain, selector))


def _which(domain: str, selector: str) -> dkim_pb2.DkimKeyRequest:
    return dkim_pb2.DkimKeyRequest(domain=domain, selector=selector)


def _key(key: dkim_pb2.DkimKey) -> DkimKey:
    return DkimKey(
        domain=key.domain,
        selector=key.selector,
        algorithm=key.algorithm,
        state=STATES[key.state],
        record=key.record,
        created_at=_time(key.created_at),
        retired_at=_time(key.retired_at) if key.retired_at else None,
    )


def _time(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
