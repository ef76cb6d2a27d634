"""UrlService: who may read what by a URL, whatever a front says."""

from __future__ import annotations

import asyncio

import pytest
from postroom.store.v1 import admin_pb2, mailbox_pb2, message_pb2, url_pb2
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import ticketed

from .conftest import ANN, Callers

BOB = 8
HELLO = b"From: bob@example.org\r\nSubject: hello\r\n\r\nHow are you?\r\n"
Item = url_pb2.FetchUrlsRequest.Item


def rump(account_id: int = ANN, rest: str = "INBOX/;UID=1", access: str = "authuser") -> str:
    return f"imap://account{account_id}%40example.org@store.test/{rest};URLAUTH={access}"


async def authorize(store: Callers, *rumps: str, account_id: int = ANN) -> list[str]:
    request = url_pb2.AuthorizeRequest(rumps=rumps)
    answer = await store.urls.Authorize(request, metadata=store.ticket(account_id))
    return list(answer.urls)


async def fetch(store: Callers, url: str, account_id: int = BOB) -> bytes | None:
    wanted = url_pb2.FetchUrlsRequest.Url(url=url, items=[Item.ITEM_BODY])
    request = url_pb2.FetchUrlsRequest(urls=[wanted])
    data = [
        datum
        async for answer in store.urls.Fetch(request, metadata=store.ticket(account_id))
        for datum in answer.data
    ]
    return None if data[0].missing else b"".join(datum.data for datum in data)


async def hello(store: Callers, name: str = "INBOX") -> None:
    message = message_pb2.NewMessage(content=HELLO)
    request = message_pb2.AppendRequest(
        idempotency_key=name.encode(), name=name, messages=[message]
    )
    await store.messages.Append(request, metadata=store.ticket())


async def test_a_token_opens_what_it_was_made_for(store: Callers) -> None:
    await hello(store)
    whole, part = await authorize(store, rump(), rump(rest="INBOX/;UID=1/;SECTION=TEXT"))
    assert await fetch(store, whole) == HELLO
    assert await fetch(store, part) == b"How are you?\r\n"
    assert await authorize(store, rump()) == [whole]
    # The same token for another message, another account, another person.
    assert await fetch(store, whole.replace("UID=1", "UID=2")) is None
    token = whole.rpartition(":")[2]
    await store.mailboxes.List(mailbox_pb2.ListRequest(), metadata=store.ticket(BOB))
    theirs = token[:2] + BOB.to_bytes(8, "big").hex() + token[18:]
    assert await fetch(store, whole.replace(token, theirs)) is None
    (mine,) = await authorize(store, rump(access="user+account7%40example.org"))
    assert await fetch(store, mine) is None
    assert await fetch(store, mine, ANN) == HELLO


async def test_a_submission_server_opens_what_is_meant_for_it(store: Callers) -> None:
    """RFC 4468 section 3.1: in the name of who signed in there, and for nobody else."""
    await hello(store)
    mine, theirs, anybodys = await authorize(
        store,
        rump(access="submit+account7%40example.org"),
        rump(access="submit+account8%40example.org"),
        rump(access="anonymous"),
    )
    submitting = ticketed(store.certificates.ticket(ANN, scope="submit"))
    for url, content in ((mine, HELLO), (theirs, None), (anybodys, HELLO)):
        wanted = url_pb2.FetchUrlsRequest.Url(url=url, items=[Item.ITEM_BODY])
        request = url_pb2.FetchUrlsRequest(urls=[wanted])
        answers = [one async for one in store.submitted.Fetch(request, metadata=submitting)]
        data = [datum for answer in answers for datum in answer.data]
        assert (None if data[0].missing else data[0].data) == content
    assert await fetch(store, mine, ANN) is None  # who reads mail is no submission server
    for refused in (
        store.submitted.Authorize(url_pb2.AuthorizeRequest(rumps=[rump()]), metadata=submitting),
        store.submitted.ResetKeys(url_pb2.ResetKeysRequest(), metadata=submitting),
    ):
        with pytest.raises(PostroomError) as error:
            await refused
        assert error.value.kind is Kind.DENIED


async def test_nobody_authorizes_what_is_not_theirs(store: Callers) -> None:
    await hello(store)
    await store.mailboxes.List(mailbox_pb2.ListRequest(), metadata=store.ticket(BOB))
    for refused in (rump(ANN), rump(BOB, "nowhere/;UID=1"), rump(BOB).partition(";URLAUTH")[0]):
        with pytest.raises(PostroomError) as error:
            await authorize(store, rump(BOB), refused, account_id=BOB)
        assert error.value.kind is Kind.INVALID
    (url,) = await authorize(store, rump(BOB), account_id=BOB)
    assert await fetch(store, url.replace("account8", "account7")) is None


async def test_keys_are_one_a_mailbox_and_can_be_reset(store: Callers) -> None:
    await hello(store)
    await hello(store, "Sent")
    made = await asyncio.gather(
        *(authorize(store, rump(), rump(rest="Sent/;UID=1")) for _ in range(5))
    )
    assert all(urls == made[0] for urls in made)
    inbox, sent = made[0]
    request = url_pb2.ResetKeysRequest(idempotency_key=b"r", name="INBOX")
    await store.urls.ResetKeys(request, metadata=store.ticket())
    assert (await fetch(store, inbox), await fetch(store, sent)) == (None, HELLO)
    (again,) = await authorize(store, rump())
    # Repeated, as after a lost answer: what was authorized since stays so.
    await store.urls.ResetKeys(request, metadata=store.ticket())
    assert await fetch(store, again) == HELLO
    everything = url_pb2.ResetKeysRequest(idempotency_key=b"s")
    await store.urls.ResetKeys(everything, metadata=store.ticket())
    assert (await fetch(store, again), await fetch(store, sent)) == (None, None)


async def test_an_account_that_was_purged_leaves_no_key(store: Callers) -> None:
    await hello(store)
    (url,) = await authorize(store, rump())
    await store.admin.PurgeAccount(admin_pb2.PurgeAccountRequest(account_id=ANN))
    await hello(store)
    assert await fetch(store, url) is None


async def test_bounds(store: Callers) -> None:
    with pytest.raises(PostroomError) as refused:
        await authorize(store, *[rump()] * 101)
    assert refused.value.kind is Kind.INVALID
    both = url_pb2.FetchUrlsRequest.Url(url="x", items=[Item.ITEM_BODY, Item.ITEM_BINARY])
    with pytest.raises(PostroomError) as refused:
        async for _ in store.urls.Fetch(
            url_pb2.FetchUrlsRequest(urls=[both]), metadata=store.ticket()
        ):
            pass
    assert refused.value.kind is Kind.INVALID
