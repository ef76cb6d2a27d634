"""The store's wiring."""

from __future__ import annotations

import sys

from postroom.store.v1 import (
    admin_pb2,
    change_pb2,
    delivery_pb2,
    mailbox_pb2,
    maildrop_pb2,
    message_pb2,
    queue_pb2,
    quota_pb2,
    url_pb2,
)
from postroom_chassis.lifecycle import Service, run
from postroom_chassis.rpc.server import Server
from postroom_chassis.tickets import TicketVerifier, read_verification_keys
from sqlalchemy import Connection, text

from postroom_store.accounts import AccountNews, news_since
from postroom_store.blobs import BlobFiles
from postroom_store.database import Readers, is_sqlite, open_engine
from postroom_store.domain.change import Change
from postroom_store.ingest import Ingest
from postroom_store.migrations import migrate
from postroom_store.notices import Notices
from postroom_store.reading import changes_since
from postroom_store.rpc.admin import AdminService
from postroom_store.rpc.changes import ChangeService
from postroom_store.rpc.delivery import DeliveryService
from postroom_store.rpc.mailboxes import MailboxService, Provision
from postroom_store.rpc.maildrop import MaildropService
from postroom_store.rpc.messages import MessageService
from postroom_store.rpc.queue import QueueService
from postroom_store.rpc.quota import QuotaService
from postroom_store.rpc.urls import UrlService
from postroom_store.search.index import Indexer
from postroom_store.settings import StoreSettings
from postroom_store.sharing import Sharing
from postroom_store.sweeping import Sweeper
from postroom_store.uploads import Contents
from postroom_store.watch import ChangeHub
from postroom_store.writer import Writer, Writers

# How long a thread waits for one that computes before it may ask for the interpreter's lock. A
# write passes between threads a few times: Python's own 5 ms would be most of what it takes.
SWITCH_SECONDS = 0.0005


async def start(service: Service, settings: StoreSettings) -> None:
    sys.setswitchinterval(SWITCH_SECONDS)
    writing = open_engine(settings.database_url, settings.writers + 1)
    service.stack.callback(writing.dispose)
    migrate(writing)
    reading = open_engine(settings.database_url, settings.readers + settings.searchers)
    service.stack.callback(reading.dispose)
    readers = Readers(reading, settings.readers)
    service.stack.callback(readers.close)
    # A search may take long, and nobody shall wait behind one for a mailbox or a message.
    searchers = Readers(reading, settings.searchers)
    service.stack.callback(searchers.close)

    async def read_since(account_id: int, mailbox_id: int, since: int) -> Change | None:
        return await readers.run(lambda c: changes_since(c, account_id, mailbox_id, since))

    async def read_account(account_id: int, since: int) -> AccountNews | None:
        return await readers.run(lambda c: news_since(c, account_id, since))

    hub = ChangeHub(read_since, read_account)
    files = BlobFiles(settings.blob_folder) if settings.blob_folder else None

    def publish(changes: list[tuple[int, Change]]) -> None:
        hub.publish(changes)
        if any(change.added.uids for _, change in changes):
            indexer.wake()

    notices = None if is_sqlite(writing) else Notices()
    if notices is not None:
        service.keep(notices.listen(writing, hub))
    notify = notices.send if notices else None
    count = 1 if is_sqlite(writing) else settings.writers
    writers = Writers(
        [Writer(writing, publish, settings.batch_operations, notify) for _ in range(count)]
    )
    indexer = Indexer(readers, writers, files)
    service.stack.callback(writers.close)
    service.keep(indexer.run())
    ingest = Ingest(files if settings.blobs == "fs" else None, settings.blob_inline_bytes)
    contents = Contents(ingest, readers, writers, files, settings.message_bytes)
    service.stack.callback(contents.close)
    verifier = TicketVerifier(read_verification_keys(settings.public_keys))
    provision = Provision(readers, writers)

    sweeper = Sweeper(readers, writers, files, settings)
    service.keep(sweeper.run())
    sharing = Sharing(readers, writers)
    changes = ChangeService(hub, verifier, provision, readers)
    service.on_drain(changes.drain)
    server = Server(settings.rpc_tls, verifier)
    for file, name, implementation in (
        (
            mailbox_pb2,
            "MailboxService",
            MailboxService(readers, writers, provision, sharing, settings.mailboxes),
        ),
        (
            message_pb2,
            "MessageService",
            MessageService(readers, searchers, writers, provision, contents, files, sharing),
        ),
        (quota_pb2, "QuotaService", QuotaService(readers, provision, settings.mailboxes)),
        (change_pb2, "ChangeService", changes),
        (delivery_pb2, "DeliveryService", DeliveryService(readers, writers, contents, verifier)),
        (url_pb2, "UrlService", UrlService(readers, writers, files)),
        (queue_pb2, "QueueService", QueueService(readers, writers)),
        (
            maildrop_pb2,
            "MaildropService",
            MaildropService(readers, writers, provision, files, settings.lease_seconds),
        ),
        (
            admin_pb2,
            "AdminService",
            AdminService(readers, writers, provision, contents, files, sweeper, sharing, settings),
        ),
    ):
        server.add(file.DESCRIPTOR.services_by_name[name], implementation)
    service.ports["rpc"] = await server.start(settings.rpc_listen)
    service.on_drain(server.stop)
    service.ready_when("database", lambda: readers.run(_ping))


def _ping(connection: Connection) -> None:
    connection.execute(text("SELECT 1"))


if __name__ == "__main__":
    run("store", StoreSettings, start)
