"""What was held for people here (RFC 4865), once its time has come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp.ports import Account
from postroom_smtp.protocol.envelope import Body, Notify, Recipient, Request, Return
from postroom_smtp.sending.ports import Outcome

from tests.harness.post import MESSAGE, Post, posting

ANN = "ann@here.example"
HELD = Request(hold_until=1)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with posting(tmp_path, srs_domain="here.example", srs_secrets="secret") as running:
        yield running


async def test_it_is_delivered_here(post: Post) -> None:
    (attempt,) = await post.send(ANN, request=HELD, sender="bob@here.example")
    assert attempt.outcome is Outcome.DELIVERED
    assert (attempt.reply, attempt.host) == ("250 2.0.0 delivered here", "")
    (delivery,) = post.store.messages
    assert (delivery.sender, delivery.queue) == ("bob@here.example", ())
    assert [(one.account_id, one.address) for one in delivery.local] == [(7, ANN)]
    assert post.store.content(delivery) == b"Return-Path: <bob@here.example>\r\n" + MESSAGE


async def test_those_elsewhere_are_sent_to(post: Post) -> None:
    peer = await post.peer("there.example")
    (attempt,) = await post.send("bob@there.example", request=HELD)
    assert attempt.outcome is Outcome.RELAYED
    assert len(peer.taken) == 1
    assert post.store.messages == []


async def test_what_an_alias_forwards_goes_on(post: Post) -> None:
    post.directory.add(
        "list@here.example", Account(8, "b@here.example"), forwards=("c@there.example",)
    )
    await post.send("list@here.example", request=HELD, sender="a@elsewhere.example")
    (delivery,) = post.store.messages
    assert [one.account_id for one in delivery.local] == [8]
    (forwarded,) = delivery.queue
    assert forwarded.address == "c@there.example"
    assert forwarded.sender is not None
    assert forwarded.sender.startswith("SRS0=")


async def test_what_was_asked_for_goes_on_with_what_is_forwarded(post: Post) -> None:
    post.directory.add("list@here.example", forwards=("c@there.example",))
    asked = Request(
        Return.HEADERS, "id", require_tls=True, smtputf8=True, body=Body.BINARY, hold_until=1
    )
    await post.send("list@here.example", request=asked)
    (delivery,) = post.store.messages
    assert delivery.request == replace(asked, hold_until=0)


async def test_a_large_one_is_uploaded(post: Post) -> None:
    content = MESSAGE + b"x" * 3_000_000
    await post.send(ANN, request=HELD, content=content)
    (stored,) = post.store.uploads.values()
    assert stored.endswith(content)


async def test_success_is_told_where_that_was_asked(post: Post) -> None:
    asked = Recipient(ANN, notify=frozenset({Notify.SUCCESS}))
    await post.send(asked, request=HELD, sender=ANN)
    message, notice = post.store.messages
    assert b"Action: delivered\r\n" in post.store.content(notice)
    assert post.store.content(message).endswith(MESSAGE)


async def test_who_is_gone_by_then_is_told_of(post: Post) -> None:
    (attempt,) = await post.send("gone@here.example", request=HELD)
    assert attempt.outcome is Outcome.FAILED
    assert attempt.reply.startswith("550 5.1.1 ")
    assert post.notice()["Subject"] == "Your message was not delivered"


@pytest.mark.parametrize("why", ["full", "auth", "store"])
async def test_what_can_not_be_delivered_now_is_tried_again(post: Post, why: str) -> None:
    post.directory.add("eve@here.example", Account(9, "eve@here.example", 1_000))
    if why == "full":
        post.store.full.add(9)
    elif why == "auth":
        post.directory.fault = PostroomError(Kind.INTERNAL, "away")
    else:
        post.store.faults += [PostroomError(Kind.INTERNAL, "away")] * 10
    (attempt,) = await post.send("eve@here.example", request=HELD)
    assert attempt.outcome is Outcome.DEFERRED
    assert attempt.reply.startswith("452 4.2.2 " if why == "full" else "451 4.3.0 ")
