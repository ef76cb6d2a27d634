"""Mailboxes over store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from collections.abc import Sequence as Seq
from typing import Any

from postroom.store.v1 import (
    mailbox_pb2,
    mailbox_pb2_grpc,
)
from postroom_chassis.quota import Quota
from postroom_chassis.rpc.client import Channel, ticketed
from postroom_chassis.rpc.repeating import repeat

from postroom_imap.ports.columns import MailboxKey
from postroom_imap.ports.identity import Ticket
from postroom_imap.ports.mailboxes import AclEntry, AclMode, Annotations, Mailbox, SpecialUse
from postroom_imap.protocol.rights import ALL as ALL_RIGHTS
from postroom_imap.remote.calls import fresh_key
from postroom_imap.remote.encoding import owner_of, owner_quota

_SPECIAL_USES = {
    mailbox_pb2.SPECIAL_USE_ALL: SpecialUse.ALL,
    mailbox_pb2.SPECIAL_USE_ARCHIVE: SpecialUse.ARCHIVE,
    mailbox_pb2.SPECIAL_USE_DRAFTS: SpecialUse.DRAFTS,
    mailbox_pb2.SPECIAL_USE_FLAGGED: SpecialUse.FLAGGED,
    mailbox_pb2.SPECIAL_USE_JUNK: SpecialUse.JUNK,
    mailbox_pb2.SPECIAL_USE_SENT: SpecialUse.SENT,
    mailbox_pb2.SPECIAL_USE_TRASH: SpecialUse.TRASH,
}


_DEPTHS = {
    0: mailbox_pb2.GetMetadataRequest.DEPTH_ENTRIES,
    1: mailbox_pb2.GetMetadataRequest.DEPTH_CHILDREN,
    None: mailbox_pb2.GetMetadataRequest.DEPTH_INFINITY,
}


_MODES = {
    AclMode.REPLACE: mailbox_pb2.SetAclRequest.MODE_REPLACE,
    AclMode.ADD: mailbox_pb2.SetAclRequest.MODE_ADD,
    AclMode.REMOVE: mailbox_pb2.SetAclRequest.MODE_REMOVE,
}


class RemoteMailboxes:
    """Mailboxes over postroom.store.v1.MailboxService."""

    def __init__(self, store: Channel) -> None:
        self._stub = store.stub(mailbox_pb2_grpc.MailboxServiceStub)

    async def list(
        self, ticket: Ticket, *, deleted_sizes: bool = False, entries: Seq[str] = ()
    ) -> Seq[Mailbox]:
        found: list[Mailbox] = []
        request = mailbox_pb2.ListRequest(deleted_sizes=deleted_sizes, entries=entries)
        while True:
            page = await self._call(self._stub.List, request, ticket)
            found += map(mailbox_of, page.mailboxes)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    async def status(self, ticket: Ticket, name: str, *, deleted_sizes: bool = False) -> Mailbox:
        request = mailbox_pb2.StatusRequest(names=[name], deleted_sizes=deleted_sizes)
        return mailbox_of((await self._call(self._stub.Status, request, ticket)).mailboxes[0])

    async def create(
        self, ticket: Ticket, name: str, uses: Seq[SpecialUse] = (), quota: Quota | None = None
    ) -> Mailbox:
        numbers = [number for number, use in _SPECIAL_USES.items() if use in uses]
        request = mailbox_pb2.CreateRequest(
            idempotency_key=fresh_key(),
            name=name,
            special_uses=numbers,
            owner_quota=owner_quota(quota),
        )
        return mailbox_of(await self._call(self._stub.Create, request, ticket))

    async def delete(self, ticket: Ticket, name: str) -> None:
        request = mailbox_pb2.DeleteRequest(idempotency_key=fresh_key(), name=name)
        await self._call(self._stub.Delete, request, ticket)

    async def rename(
        self, ticket: Ticket, name: str, new_name: str, quota: Quota | None = None
    ) -> None:
        request = mailbox_pb2.RenameRequest(
            idempotency_key=fresh_key(),
            name=name,
            new_name=new_name,
            owner_quota=owner_quota(quota),
        )
        await self._call(self._stub.Rename, request, ticket)

    async def subscribe(self, ticket: Ticket, name: str, subscribed: bool) -> None:
        request = mailbox_pb2.SubscribeRequest(
            idempotency_key=fresh_key(), name=name, subscribed=subscribed
        )
        await self._call(self._stub.Subscribe, request, ticket)

    async def get_metadata(
        self,
        ticket: Ticket,
        name: str,
        entries: Seq[str],
        depth: int | None,
        max_size: int | None,
    ) -> Annotations:
        request = mailbox_pb2.GetMetadataRequest(
            name=name, entries=entries, depth=_DEPTHS[depth], max_size=max_size
        )
        answer = await self._call(self._stub.GetMetadata, request, ticket)
        return Annotations(_annotations(answer.annotations), answer.longest)

    async def set_metadata(
        self, ticket: Ticket, name: str, values: Mapping[str, bytes | None]
    ) -> None:
        request = mailbox_pb2.SetMetadataRequest(
            idempotency_key=fresh_key(),
            name=name,
            annotations=[
                mailbox_pb2.Annotation(entry=entry, value=value) for entry, value in values.items()
            ],
        )
        await self._call(self._stub.SetMetadata, request, ticket)

    async def rights(self, ticket: Ticket, mailbox: str | MailboxKey) -> str:
        if isinstance(mailbox, str):
            request = mailbox_pb2.MyRightsRequest(name=mailbox)
        else:
            owner = owner_of(ticket, mailbox)
            request = mailbox_pb2.MyRightsRequest(mailbox_id=mailbox[1], owner=owner)
        return str((await self._call(self._stub.MyRights, request, ticket)).rights)

    async def acl(self, ticket: Ticket, name: str) -> Seq[AclEntry]:
        request = mailbox_pb2.GetAclRequest(name=name)
        answer = await self._call(self._stub.GetAcl, request, ticket)
        return [AclEntry(one.identifier, one.rights, one.account_id) for one in answer.entries]

    async def set_acl(
        self, ticket: Ticket, name: str, entry: AclEntry, mode: AclMode = AclMode.REPLACE
    ) -> None:
        request = mailbox_pb2.SetAclRequest(
            idempotency_key=fresh_key(),
            name=name,
            identifier=entry.identifier,
            account_id=entry.account_id,
            mode=_MODES[mode],
            rights=entry.rights,
        )
        await self._call(self._stub.SetAcl, request, ticket)

    async def _call(self, method: Any, request: Any, ticket: Ticket) -> Any:
        metadata = ticketed(ticket.token)
        return await repeat(lambda: method(request, metadata=metadata))


def _annotations(annotations: Iterable[mailbox_pb2.Annotation]) -> dict[str, bytes]:
    return {annotation.entry: annotation.value for annotation in annotations}


def mailbox_of(mailbox: mailbox_pb2.Mailbox) -> Mailbox:
    """A mailbox that the store told of."""
    counts = mailbox.counts
    return Mailbox(
        mailbox_id=mailbox.mailbox_id,
        name=mailbox.name,
        selectable=mailbox.selectable,
        subscribed=mailbox.subscribed,
        special_uses=[_SPECIAL_USES[use] for use in mailbox.special_uses if use in _SPECIAL_USES],
        uid_validity=mailbox.uid_validity,
        messages=counts.messages,
        unseen=counts.unseen,
        deleted=counts.deleted,
        size=counts.size,
        deleted_size=counts.deleted_size,
        uid_next=counts.uid_next,
        modseq=counts.highest_modseq,
        annotations=_annotations(mailbox.annotations),
        rights=mailbox.rights if mailbox.owner else ALL_RIGHTS,
        owner=mailbox.owner,
    )
