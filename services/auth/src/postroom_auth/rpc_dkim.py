"""The RPCs of keys that mail is signed with: protobuf to the domain and back."""

from __future__ import annotations

from typing import Final

from google.protobuf.descriptor import ServiceDescriptor
from postroom.auth.v1 import dkim_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.server import Call

from postroom_auth.dkim import PAGE, DkimKeeping, Signing, SigningKey
from postroom_auth.domain.dkim import DkimKey, KeyState

DKIM: Final[ServiceDescriptor] = dkim_pb2.DESCRIPTOR.services_by_name["DkimService"]
SIGNING: Final[ServiceDescriptor] = dkim_pb2.DESCRIPTOR.services_by_name["SigningService"]

STATES = {
    KeyState.NEW: dkim_pb2.DkimKey.STATE_NEW,
    KeyState.ACTIVE: dkim_pb2.DkimKey.STATE_ACTIVE,
    KeyState.RETIRED: dkim_pb2.DkimKey.STATE_RETIRED,
}


class DkimService:
    """postroom.auth.v1.DkimService."""

    def __init__(self, keeping: DkimKeeping) -> None:
        self._keeping = keeping

    async def Make(self, request: dkim_pb2.MakeDkimKeyRequest, call: Call) -> dkim_pb2.DkimKey:
        made = await self._keeping.make(
            request.domain, request.algorithm, request.selector, request.bits
        )
        return _key(made)

    async def List(
        self, request: dkim_pb2.ListDkimKeysRequest, call: Call
    ) -> dkim_pb2.ListDkimKeysResponse:
        found = await self._keeping.keys(request.domain, _read_token(request.page_token))
        last = found[-1] if len(found) == PAGE else None
        return dkim_pb2.ListDkimKeysResponse(
            keys=[_key(kept.key) for kept in found],
            next_page_token=f"{last.number} {last.key.domain}" if last else "",
        )

    async def Activate(self, request: dkim_pb2.DkimKeyRequest, call: Call) -> dkim_pb2.DkimKey:
        return _key(await self._keeping.activate(request.domain, request.selector))

    async def Retire(self, request: dkim_pb2.DkimKeyRequest, call: Call) -> dkim_pb2.DkimKey:
        return _key(await self._keeping.retire(request.domain, request.selector))

    async def Remove(
        self, request: dkim_pb2.DkimKeyRequest, call: Call
    ) -> dkim_pb2.RemoveDkimKeyResponse:
        await self._keeping.remove(request.domain, request.selector)
        return dkim_pb2.RemoveDkimKeyResponse()


class SigningService:
    """postroom.auth.v1.SigningService."""

    def __init__(self, signing: Signing) -> None:
        self._signing = signing

    async def Keys(
        self, request: dkim_pb2.SigningKeysRequest, call: Call
    ) -> dkim_pb2.SigningKeysResponse:
        found = await self._signing.keys(request.domains)
        return dkim_pb2.SigningKeysResponse(
            domains=[
                dkim_pb2.SigningKeysResponse.Keys(keys=[_signing_key(key) for key in keys])
                for keys in found
            ]
        )


def _key(key: DkimKey) -> dkim_pb2.DkimKey:
    return dkim_pb2.DkimKey(
        domain=key.domain.name,
        selector=key.selector,
        algorithm=key.algorithm.value,
        state=STATES[key.state],
        record=key.record,
        created_at=key.created_at,
        retired_at=key.retired_at,
    )


def _signing_key(signing: SigningKey) -> dkim_pb2.SigningKey:
    key = signing.key
    return dkim_pb2.SigningKey(
        domain=key.domain.ascii,
        selector=key.selector,
        algorithm=key.algorithm.value,
        private_key=signing.private,
    )


def _read_token(token: str) -> tuple[str, int]:
    """The domain and the number of the last key of a page."""
    number, _, domain = token.partition(" ")
    if not token:
        return "", 0
    if not (number.isascii() and number.isdecimal() and len(number) < 19):
        raise PostroomError(Kind.INVALID, "that is no page token of ours")
    return domain, int(number)
