"""The queue, suppressions and the life of a message, by the command, against a real store, from
which mail is taken and sent as smtp does it.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator

import pytest
from postroom.store.v1 import (
    delivery_pb2,
    delivery_pb2_grpc,
    queue_pb2,
    sending_pb2,
    sending_pb2_grpc,
)
from postroom_chassis.rpc.client import Channel

from tests.harness.services import Certificates
from tests.protocol.admin.conftest import Owners

ANN = "ann@example.org"
CONTENT = b"Message-ID: <1@example.org>\r\nSubject: x\r\n\r\nx\r\n"
CAME = delivery_pb2.Reception(
    message_id="4Qx7Jm1zYk", client="192.0.2.7", name="laptop", verdict="auth=pass"
)
MX = "mx.example.com [192.0.2.1]"


@pytest.fixture
async def store(owners: Owners, certificates: Certificates) -> AsyncIterator[Channel]:
    """What the SMTP front has of the store."""
    channel = Channel(owners.settings.store_address, "store", certificates.tls("smtp"))
    yield channel
    await channel.close()


async def submit(store: Channel, *recipients: str, account_id: int = 0) -> list[int]:
    """A message for some people elsewhere, and for an account here."""
    local = [delivery_pb2.LocalRecipient(account_id=account_id, address=ANN)] if account_id else []
    delivery = delivery_pb2.Delivery(
        idempotency_key=b"key " + " ".join(recipients).encode()[:60],
        sender="ben@example.org",
        content=CONTENT,
        local=local,
        queue=[delivery_pb2.QueueRecipient(address=address) for address in recipients],
        reception=CAME,
    )
    stub = store.stub(delivery_pb2_grpc.DeliveryServiceStub)
    answer = await stub.Deliver(delivery_pb2.DeliverRequest(deliveries=[delivery]))
    assert answer.results[0].error_kind == ""
    return list(answer.results[0].queue_ids)


async def lease(store: Channel) -> sending_pb2.Batch:
    """All that is due for one domain."""
    stub = store.stub(sending_pb2_grpc.SendingServiceStub)
    request = sending_pb2.LeaseRequest(
        worker="test", batches=1, entries=100, per_domain=1, lease_seconds=60
    )
    (batch,) = (await stub.Lease(request)).batches
    return batch


async def settle(
    store: Channel, batch: sending_pb2.Batch, outcome: queue_pb2.Outcome, reply: str
) -> None:
    """Say the same of all of a batch."""
    attempt = queue_pb2.Attempt(outcome=outcome, reply=reply, host=MX, tls="TLSv1.3 dane")
    entries = [
        sending_pb2.SettledEntry(
            queue_id=entry.queue_id, attempt=attempt, next_attempt_at=int(time.time()) + 3600
        )
        for entry in batch.entries
    ]
    settlement = sending_pb2.Settlement(lease_id=batch.lease_id, entries=entries, ended=True)
    stub = store.stub(sending_pb2_grpc.SendingServiceStub)
    answer = await stub.Settle(sending_pb2.SettleRequest(settlements=[settlement]))
    assert not answer.lost


async def test_mail_that_waits(owners: Owners, store: Channel) -> None:
    first, second = await submit(store, "x@example.com", "y@example.com")
    await settle(store, await lease(store), queue_pb2.OUTCOME_DEFERRED, "451 4.7.1 Greylisted")
    listed = (await owners.postroom("queue", "list")).stdout
    assert re.search(
        rf"{first} +waiting .* x@example\.com +1 +mx\.example\.com \[192.*\] +451 4\.7\.1 G",
        listed,
    )
    shown = (await owners.postroom("queue", "show", str(first))).stdout
    assert "Message-ID     <1@example.org>" in shown or "Message-ID     1@example.org" in shown
    assert re.search(r"deferred +mx\.example\.com .* +TLSv1\.3 dane +451 4\.7\.1 Grey", shown)
    summary = json.loads((await owners.postroom("queue", "summary", "--json")).stdout)
    assert summary["total"] == 2
    assert (summary["domains"][0]["domain"], summary["domains"][0]["waiting"]) == (
        "example.com",
        2,
    )
    held = await owners.postroom("queue", "hold", str(second))
    assert held.stdout == "1 held.\n"
    retried = await owners.postroom("queue", "retry", str(first))
    assert retried.stdout == "1 to be tried now.\n"
    batch = await lease(store)
    assert [entry.queue_id for entry in batch.entries] == [first]
    cancelled = await owners.postroom("queue", "cancel", "--all", "--yes")
    assert cancelled.stdout == "1 cancelled.\n"
    assert cancelled.stderr.startswith("1 passed over: they are being sent now")
    busy = await owners.postroom("queue", "hold", str(first), status=1)
    assert "is being sent" in busy.stderr
    missing = await owners.postroom("queue", "show", str(second), status=1)
    assert "no such entry" in missing.stderr


async def test_the_life_of_a_message(owners: Owners, store: Channel) -> None:
    await owners.services.directory.create_domain("example.org")
    account = await owners.services.directory.create_account(ANN)
    await submit(store, "x@example.com", "y@example.net", account_id=account.account_id)
    outcomes = {
        "example.com": (queue_pb2.OUTCOME_DELIVERED, "250 2.0.0 Ok"),
        "example.net": (queue_pb2.OUTCOME_DEFERRED, "451 4.3.0 Later"),
    }
    for _ in outcomes:
        batch = await lease(store)
        await settle(store, batch, *outcomes[batch.domain])
    for name in ("<1@example.org>", "1@example.org", "4Qx7Jm1zYk"):
        told = (await owners.postroom("trace", name)).stdout
        assert re.search(
            r"accepted +- +from laptop \[192\.0\.2\.7\], sender <ben@example\.org>, as 4Qx7Jm1zYk",
            told,
        )
        assert re.search(r"checked +- +auth=pass", told)
        assert re.search(r"stored +ann@example\.org +in INBOX, UID 1", told)
        assert re.search(r"queued +x@example\.com +queue id \d", told)
        assert re.search(
            r"delivered +x@example\.com +mx\.example\.com \[192\.0\.2\.1\] \(TLSv1\.3 dane\):"
            r" 250 2\.0\.0 Ok",
            told,
        )
        assert re.search(r"deferred +y@example\.net +.*: 451 4\.3\.0 Later", told)
        assert re.search(r"now +unseen +ann@example\.org", told)
        assert re.search(r"now +waits +y@example\.net +1 tries so far, next try 2", told)
    life = json.loads((await owners.postroom("trace", "1@example.org", "--json")).stdout)
    assert life["events"][0]["kind"] == "accepted"
    missing = await owners.postroom("trace", "2@example.org", status=1)
    assert "nothing is known of 2@example.org" in missing.stderr


async def test_suppressions(owners: Owners, store: Channel) -> None:
    await owners.postroom("suppression", "add", "Gone@example.com", "--reason", "left")
    (one,) = json.loads((await owners.postroom("suppression", "list", "--json")).stdout)
    assert one["reason"] == "left"
    await submit(store, "gone@example.com")
    (entry,) = (await lease(store)).entries
    assert entry.suppressed
    await owners.postroom("suppression", "remove", "gone@example.com")
    missing = await owners.postroom("suppression", "remove", "gone@example.com", status=1)
    assert "postroom: " in missing.stderr
    nobody = await owners.postroom("suppression", "add", "no address", status=1)
    assert "postroom: " in nobody.stderr
