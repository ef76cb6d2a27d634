"""The store over its RPC, on both databases, with contents in rows and in files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from postroom.store.v1 import (
    admin_pb2,
    change_pb2,
    delivery_pb2,
    mailbox_pb2,
    maildrop_pb2,
    message_pb2,
    queue_pb2,
)
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import ticketed

from .conftest import ANN, Callers

BOB = 8
HELLO = b"From: bob@example.org\r\nSubject: hello\r\n\r\nHow are you?\r\n"
LARGE = b"Subject: large\r\n\r\n" + bytes(range(1, 256)) * 12_000  # 3 MB


def append(key: bytes, *contents: bytes) -> message_pb2.AppendRequest:
    return message_pb2.AppendRequest(
        idempotency_key=key,
        name="INBOX",
        messages=[message_pb2.NewMessage(content=content) for content in contents],
    )


async def chunks(content: bytes) -> AsyncIterator[message_pb2.UploadRequest]:
    for start in range(0, len(content), 256 * 1024):
        yield message_pb2.UploadRequest(data=content[start : start + 256 * 1024])


def deliver(key: bytes, *accounts: int, content: bytes = HELLO) -> delivery_pb2.Delivery:
    return delivery_pb2.Delivery(
        idempotency_key=key,
        sender="bob@example.org",
        content=content,
        local=[delivery_pb2.LocalRecipient(account_id=account) for account in accounts],
    )


async def test_a_repeated_append_gets_the_first_answer(store: Callers) -> None:
    first = await store.messages.Append(append(b"k", HELLO), metadata=store.ticket())
    again = await store.messages.Append(append(b"k", HELLO), metadata=store.ticket())
    assert again == first
    opened = await store.open()
    assert list(opened.messages.uids) == [1]
    assert opened.mailbox.highest_modseq == first.change.modseq
    assert await store.content(opened.mailbox.mailbox_id, 1) == HELLO


async def test_a_large_message_goes_ahead_and_comes_back(store: Callers) -> None:
    uploaded = await store.messages.Upload(chunks(LARGE), metadata=store.ticket())
    assert uploaded.size == len(LARGE)
    request = message_pb2.AppendRequest(
        idempotency_key=b"k",
        name="INBOX",
        messages=[message_pb2.NewMessage(upload_id=uploaded.upload_id)],
    )
    await store.messages.Append(request, metadata=store.ticket())
    opened = await store.open()
    assert await store.content(opened.mailbox.mailbox_id, 1) == LARGE


async def test_many_contents_in_one_upload(store: Callers) -> None:
    contents = [b"Subject: %d\r\n\r\n" % n + bytes(n * 40_000) for n in range(40)]

    async def pieces() -> AsyncIterator[message_pb2.UploadRequest]:
        for content in contents[:-1]:
            yield message_pb2.UploadRequest(data=content, end=True)
        async for piece in chunks(contents[-1]):
            yield piece

    uploaded = await store.messages.Upload(pieces(), metadata=store.ticket())
    assert uploaded.size == sum(map(len, contents))
    assert len(uploaded.upload_ids) == len(contents)
    request = message_pb2.AppendRequest(
        idempotency_key=b"k",
        name="INBOX",
        messages=[message_pb2.NewMessage(upload_id=one) for one in uploaded.upload_ids],
    )
    await store.messages.Append(request, metadata=store.ticket())
    opened = await store.open()
    for uid, content in enumerate(contents, 1):
        assert await store.content(opened.mailbox.mailbox_id, uid) == content


def refer(section: str, uid: int = 1, **fields: Any) -> message_pb2.Catenation.Piece:
    reference = message_pb2.Reference(name="INBOX", uid=uid, section=section, **fields)
    return message_pb2.Catenation.Piece(reference=reference)


def catenate(key: bytes, *pieces: message_pb2.Catenation.Piece) -> message_pb2.AppendRequest:
    message = message_pb2.NewMessage(catenation=message_pb2.Catenation(pieces=pieces))
    return message_pb2.AppendRequest(idempotency_key=key, name="INBOX", messages=[message])


async def test_a_message_takes_the_place_of_what_it_is_made_of(store: Callers) -> None:
    appended = await store.messages.Append(append(b"k", HELLO), metadata=store.ticket())
    request = catenate(
        b"r", message_pb2.Catenation.Piece(content=b"To: you\r\n"), refer("", uid_validity=0)
    )
    request.replaced.mailbox_id, request.replaced.uid = appended.change.mailbox_id, 1
    # The account has room for one of them, and no more.
    ticket = store.ticket(quota_bytes=len(HELLO) + 9)
    first = await store.messages.Append(request, metadata=ticket)
    assert (list(first.uids), list(first.source_change.expunged)) == ([2], [1])
    assert first.source_change.previous_modseq == first.change.modseq
    # Once more, as after a lost answer: what it was made of is gone.
    assert await store.messages.Append(request, metadata=ticket) == first
    assert list((await store.open()).messages.uids) == [2]
    assert await store.content(appended.change.mailbox_id, 2) == b"To: you\r\n" + HELLO
    request.idempotency_key = b"s"
    answer = await store.messages.Append(request, metadata=ticket)
    assert (answer.bad_reference.message, answer.bad_reference.piece) == (0, 1)
    another = append(b"t", HELLO)
    another.replaced.mailbox_id, another.replaced.uid = appended.change.mailbox_id, 1
    with pytest.raises(PostroomError) as refused:
        await store.messages.Append(another, metadata=store.ticket())
    assert refused.value.kind is Kind.CONFLICT
    another.replaced.uid = 2
    another.messages[0].content = bytes(len(HELLO) + 10)
    with pytest.raises(PostroomError) as refused:
        await store.messages.Append(another, metadata=ticket)
    assert refused.value.kind is Kind.OVER_QUOTA
    assert list((await store.open()).messages.uids) == [2]


async def test_references_stay_in_the_account(store: Callers) -> None:
    await store.messages.Append(append(b"k", HELLO), metadata=store.ticket())
    await store.mailboxes.List(mailbox_pb2.ListRequest(), metadata=store.ticket(BOB))
    answer = await store.messages.Append(catenate(b"c", refer("")), metadata=store.ticket(BOB))
    assert answer.HasField("bad_reference")


async def test_a_catenation_is_bounded(store: Callers) -> None:
    await store.messages.Append(append(b"k", HELLO), metadata=store.ticket())
    uploaded = await store.messages.Upload(chunks(bytes(5_000_000)), metadata=store.ticket())
    large = message_pb2.Catenation.Piece(upload_id=uploaded.upload_id)
    refusals = {
        Kind.TOO_LARGE: catenate(b"c", large, large),
        Kind.LIMIT_EXCEEDED: catenate(b"d", *[refer("")] * 1001),
        Kind.INVALID: catenate(b"e", message_pb2.Catenation.Piece()),
    }
    for kind, request in refusals.items():
        with pytest.raises(PostroomError) as refused:
            await store.messages.Append(request, metadata=store.ticket())
        assert refused.value.kind is kind


async def test_what_is_too_large_is_refused(store: Callers) -> None:
    with pytest.raises(PostroomError) as refused:
        await store.messages.Upload(chunks(bytes(9 * 1024 * 1024)), metadata=store.ticket())
    assert refused.value.kind is Kind.TOO_LARGE
    with pytest.raises(PostroomError) as refused:
        await store.messages.Append(append(b"k", bytes(2_000_000)), metadata=store.ticket())
    assert refused.value.kind is Kind.INVALID


async def test_one_account_sees_nothing_of_another(store: Callers) -> None:
    await store.messages.Append(append(b"k", HELLO), metadata=store.ticket())
    opened = await store.open()
    uploaded = await store.messages.Upload(chunks(HELLO), metadata=store.ticket())
    await store.mailboxes.List(mailbox_pb2.ListRequest(), metadata=store.ticket(BOB))
    fetch = message_pb2.FetchRequest(
        mailbox_id=opened.mailbox.mailbox_id,
        uids=[message_pb2.UidRange(first=1, last=9)],
        columns=[message_pb2.COLUMN_SIZE],
    )
    found = [answer async for answer in store.messages.Fetch(fetch, metadata=store.ticket(BOB))]
    assert [uid for answer in found for uid in answer.uids] == []
    stolen = message_pb2.AppendRequest(
        idempotency_key=b"s",
        name="INBOX",
        messages=[message_pb2.NewMessage(upload_id=uploaded.upload_id)],
    )
    with pytest.raises(PostroomError) as refused:
        await store.messages.Append(stolen, metadata=store.ticket(BOB))
    assert refused.value.kind is Kind.NOT_FOUND


async def test_the_quota_of_the_ticket_holds(store: Callers) -> None:
    with pytest.raises(PostroomError) as refused:
        await store.messages.Append(append(b"k", HELLO), metadata=store.ticket(quota_bytes=9))
    assert refused.value.kind is Kind.OVER_QUOTA


async def test_watchers_are_told_and_writers_too(store: Callers) -> None:
    opened = await store.open()
    stream = store.changes.Watch()  # type: ignore[call-arg]
    add = change_pb2.WatchRequest.Add(
        ticket=store.certificates.ticket(ANN),
        mailbox_id=opened.mailbox.mailbox_id,
        since=opened.mailbox.highest_modseq,
    )
    await stream.write(change_pb2.WatchRequest(add=add))
    appended = await store.messages.Append(append(b"k", HELLO), metadata=store.ticket())
    told: list[message_pb2.Change] = []
    async with asyncio.timeout(30):
        while not told:
            told += [each.change for each in (await stream.read()).changes]
    assert told[0] == appended.change
    assert told[0].previous_modseq == opened.mailbox.highest_modseq
    bad = change_pb2.WatchRequest.Add(ticket="no", mailbox_id=1, account_id=BOB)
    await stream.write(change_pb2.WatchRequest(add=bad))
    async with asyncio.timeout(30):
        refusals = list((await stream.read()).refusals)
    assert [(one.kind, one.account_id) for one in refusals] == [("UNAUTHENTICATED", BOB)]
    stream.cancel()


async def test_a_delivery_is_taken_once_for_all_its_recipients(store: Callers) -> None:
    request = delivery_pb2.DeliverRequest(
        deliveries=[deliver(b"a", ANN, BOB), deliver(b"b", ANN), delivery_pb2.Delivery()]
    )
    answer = await store.delivery.Deliver(request)
    assert [result.error_kind for result in answer.results] == ["", "", "INVALID"]
    await store.delivery.Deliver(request)
    usage = await store.admin.Usage(admin_pb2.UsageRequest())
    assert [(each.account_id, each.messages) for each in usage.accounts] == [(ANN, 2), (BOB, 1)]


async def test_who_has_written_a_message_has_seen_it(store: Callers) -> None:
    written = deliver(b"a", ANN)
    written.local.append(delivery_pb2.LocalRecipient(account_id=ANN, seen=True))
    await store.delivery.Deliver(delivery_pb2.DeliverRequest(deliveries=[written]))
    opened = await store.open()
    assert [flags & 1 for flags in opened.messages.flags] == [0, 1]


async def test_a_full_account_is_not_admitted(store: Callers) -> None:
    await store.delivery.Deliver(delivery_pb2.DeliverRequest(deliveries=[deliver(b"a", ANN)]))
    ask = delivery_pb2.AdmitRequest(
        mailboxes=[
            delivery_pb2.AdmitRequest.Mailbox(account_id=ANN, quota_bytes=100),
            delivery_pb2.AdmitRequest.Mailbox(account_id=ANN),
            delivery_pb2.AdmitRequest.Mailbox(account_id=BOB, quota_bytes=100),
            delivery_pb2.AdmitRequest.Mailbox(account_id=ANN, quota_messages=1),
            delivery_pb2.AdmitRequest.Mailbox(account_id=ANN, quota_messages=2),
        ],
        size=90,
    )
    admitted = (await store.delivery.Admit(ask)).admitted
    assert list(admitted) == [False, True, True, False, True]


async def test_nobody_submits_for_somebody_who_has_not_signed_in(store: Callers) -> None:
    def submitted(ticket: str) -> delivery_pb2.Delivery:
        return delivery_pb2.Delivery(
            idempotency_key=b"q",
            content=HELLO,
            queue=[delivery_pb2.QueueRecipient(address="x@elsewhere.test")],
            submitter_ticket=ticket,
        )

    tickets = ("made up", store.certificates.ticket(ANN, scope="mail"))
    request = delivery_pb2.DeliverRequest(deliveries=map(submitted, tickets))
    answer = await store.delivery.Deliver(request)
    assert [one.error_kind for one in answer.results] == ["UNAUTHENTICATED", "DENIED"]
    assert (await store.queue.List(queue_pb2.ListQueueRequest())).total == 0


async def test_mail_to_elsewhere_waits_in_the_queue(store: Callers) -> None:
    delivery = delivery_pb2.Delivery(
        idempotency_key=b"q",
        sender="ann@example.org",
        content=HELLO,
        queue=[delivery_pb2.QueueRecipient(address=f"x{n}@elsewhere.test") for n in range(3)],
        submitter_ticket=store.certificates.ticket(ANN, scope="submit"),
    )
    answer = await store.delivery.Deliver(delivery_pb2.DeliverRequest(deliveries=[delivery]))
    ids = list(answer.results[0].queue_ids)
    assert len(ids) == 3
    page = await store.queue.List(queue_pb2.ListQueueRequest(domain="elsewhere.test", page_size=2))
    assert (len(page.entries), page.total) == (2, 3)
    rest = await store.queue.List(queue_pb2.ListQueueRequest(page_token=page.next_page_token))
    assert {entry.queue_id for entry in (*page.entries, *rest.entries)} == set(ids)
    held = await store.queue.Hold(queue_pb2.QueueEntriesRequest(queue_ids=ids[:2]))
    assert held.changed == 2
    cancelled = await store.queue.Cancel(queue_pb2.QueueEntriesRequest(queue_ids=ids[:1]))
    assert cancelled.changed == 1
    with pytest.raises(PostroomError) as missing:
        await store.queue.Release(queue_pb2.QueueEntriesRequest(queue_ids=ids[:1]))
    assert missing.value.kind is Kind.NOT_FOUND


async def test_the_maildrop_has_one_session(store: Callers) -> None:
    await store.delivery.Deliver(
        delivery_pb2.DeliverRequest(
            deliveries=[deliver(b"a", ANN), deliver(b"b", ANN, content=LARGE[:900_000])]
        )
    )
    ticket = ticketed(store.certificates.ticket(ANN, scope="maildrop"))

    async def lock(key: bytes) -> maildrop_pb2.LockResponse:
        request = maildrop_pb2.LockRequest(idempotency_key=key)
        return await anext(aiter(store.maildrop.Lock(request, metadata=ticket)))

    mine = await lock(b"me")
    assert (list(mine.uids), list(mine.sizes)) == ([1, 2], [len(HELLO), 900_000])
    with pytest.raises(PostroomError) as refused:
        await lock(b"other")
    assert refused.value.kind is Kind.IN_USE
    assert (await lock(b"me")).lease_id == mine.lease_id
    retrieve = maildrop_pb2.RetrieveRequest(lease_id=mine.lease_id, uids=[1, 2])
    contents: dict[int, bytes] = {}
    async for answer in store.maildrop.Retrieve(retrieve, metadata=ticket):
        for uid, content in zip(answer.uids, answer.contents, strict=True):
            contents[uid] = contents.get(uid, b"") + content
    assert contents == {1: HELLO, 2: LARGE[:900_000]}
    commit = maildrop_pb2.CommitRequest(lease_id=mine.lease_id, deleted_uids=[1])
    for _ in range(2):
        assert (await store.maildrop.Commit(commit, metadata=ticket)).removed == 1
    assert list((await lock(b"other")).uids) == [2]


async def test_the_tree_over_rpc(store: Callers) -> None:
    ticket = store.ticket()
    made = await store.mailboxes.Create(
        mailbox_pb2.CreateRequest(idempotency_key=b"1", name="a/b"), metadata=ticket
    )
    assert made.selectable
    await store.mailboxes.Rename(
        mailbox_pb2.RenameRequest(idempotency_key=b"2", name="a", new_name="z"), metadata=ticket
    )
    await store.mailboxes.Delete(
        mailbox_pb2.DeleteRequest(idempotency_key=b"3", name="z/b"), metadata=ticket
    )
    await store.mailboxes.Subscribe(
        mailbox_pb2.SubscribeRequest(idempotency_key=b"4", name="z", subscribed=True),
        metadata=ticket,
    )
    listed = await store.mailboxes.List(mailbox_pb2.ListRequest(), metadata=ticket)
    names = {mailbox.name: mailbox for mailbox in listed.mailboxes}
    assert set(names) == {"Archive", "Drafts", "INBOX", "Junk", "Sent", "Trash", "z"}
    assert names["z"].subscribed
    assert names["Sent"].special_use == mailbox_pb2.SPECIAL_USE_SENT
    status = await store.mailboxes.Status(
        mailbox_pb2.StatusRequest(names=["inbox", "z"]), metadata=ticket
    )
    assert [mailbox.name for mailbox in status.mailboxes] == ["INBOX", "z"]


async def test_what_is_imported_is_exported(store: Callers) -> None:
    request = admin_pb2.ImportRequest(
        idempotency_key=b"i",
        account_id=ANN,
        name="Old/2019",
        messages=[
            message_pb2.NewMessage(content=HELLO, flags=["\\Seen", "work"], internaldate=1_000),
            message_pb2.NewMessage(content=b"", internaldate=2_000),
        ],
    )
    for _ in range(2):
        assert list((await store.admin.Import(request)).uids) == [1, 2]
    export = admin_pb2.ExportRequest(account_id=ANN, name="Old/2019")
    first, *rest = [answer async for answer in store.admin.Export(export)]
    assert first.total == 2
    assert [keyword.name for keyword in first.keywords] == ["work"]
    contents = [content for answer in rest for content in answer.contents]
    dates = [date for answer in rest for date in answer.internaldates]
    assert (contents, dates) == ([HELLO, b""], [1_000, 2_000])


async def test_expunged_mail_comes_back_and_garbage_goes(store: Callers) -> None:
    for number in range(3):
        await store.messages.Append(
            append(b"%d" % number, HELLO + b"%d" % number), metadata=store.ticket()
        )
    opened = await store.open()
    everything = [message_pb2.UidRange(first=1, last=9)]
    await store.messages.StoreFlags(
        message_pb2.StoreFlagsRequest(
            idempotency_key=b"s",
            mailbox_id=opened.mailbox.mailbox_id,
            uids=everything,
            mode=message_pb2.StoreFlagsRequest.MODE_ADD,
            flags=["\\Deleted"],
        ),
        metadata=store.ticket(),
    )
    expunge = message_pb2.ExpungeRequest(
        idempotency_key=b"e", mailbox_id=opened.mailbox.mailbox_id, uids=everything
    )
    gone = await store.messages.Expunge(expunge, metadata=store.ticket())
    assert list(gone.change.expunged) == [1, 2, 3]
    back = await store.admin.Undelete(admin_pb2.UndeleteRequest(account_id=ANN, name="INBOX"))
    assert back.restored == 3
    assert list((await store.open()).messages.uids) == [4, 5, 6]
    swept = [a async for a in store.admin.CollectGarbage(admin_pb2.CollectGarbageRequest())]
    assert swept[-1].finished
    checked = [
        answer
        async for answer in store.admin.CheckIntegrity(
            admin_pb2.CheckIntegrityRequest(contents=True)
        )
    ]
    assert [fault for answer in checked for fault in answer.faults] == []
    reindexed = [a async for a in store.admin.Reindex(admin_pb2.ReindexRequest())]
    assert reindexed[-1].done == 3
    await store.admin.PurgeAccount(admin_pb2.PurgeAccountRequest(account_id=ANN))
    assert not (await store.admin.Usage(admin_pb2.UsageRequest(account_id=ANN))).accounts


async def test_a_search_over_rpc(store: Callers) -> None:
    await store.messages.Append(append(b"k", HELLO, LARGE[:5000]), metadata=store.ticket())
    opened = await store.open()
    request = message_pb2.SearchRequest(
        mailbox_id=opened.mailbox.mailbox_id, key=message_pb2.SearchKey(body="HOW ARE")
    )
    found = [a async for a in store.messages.Search(request, metadata=store.ticket())]
    assert [uid for answer in found for uid in answer.uids] == [1]
