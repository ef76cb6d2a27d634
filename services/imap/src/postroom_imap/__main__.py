"""The IMAP front's wiring."""

from __future__ import annotations

import time
from dataclasses import dataclass

from postroom_chassis.lifecycle import Service, run
from postroom_chassis.net.listener import Limits, Listener
from postroom_chassis.net.tls import ProxyCertificate, ServerTls
from postroom_chassis.rpc.client import Channel

from postroom_imap.accounts import AccountViews
from postroom_imap.commands import HANDLERS
from postroom_imap.items import ItemCache
from postroom_imap.ports.accounts import Accounts
from postroom_imap.ports.changes import Changes
from postroom_imap.ports.directory import Directory
from postroom_imap.ports.identity import Authenticator
from postroom_imap.ports.mailboxes import Mailboxes
from postroom_imap.ports.messages import Messages
from postroom_imap.ports.quotas import Quotas
from postroom_imap.ports.urls import Urls
from postroom_imap.remote.calls import check
from postroom_imap.remote.changes import RemoteChanges
from postroom_imap.remote.directory import RemoteDirectory
from postroom_imap.remote.identity import RemoteAuthenticator
from postroom_imap.remote.mailboxes import RemoteMailboxes
from postroom_imap.remote.messages import RemoteMessages
from postroom_imap.remote.quotas import RemoteQuotas
from postroom_imap.remote.urls import RemoteUrls
from postroom_imap.session import LARGEST_BODY, LARGEST_ITEM, REFUSED, Front
from postroom_imap.settings import ImapSettings
from postroom_imap.sort_columns import SortColumns
from postroom_imap.sorting import Sorting, ThreadAnswers
from postroom_imap.views import Views


@dataclass(frozen=True)
class Ports:
    """All that stands behind the front."""

    authenticator: Authenticator
    mailboxes: Mailboxes
    messages: Messages
    changes: Changes
    accounts: Accounts
    quotas: Quotas
    directory: Directory
    urls: Urls


async def start(service: Service, settings: ImapSettings) -> None:
    auth = Channel(settings.auth_address, "auth", settings.rpc_tls)
    service.stack.push_async_callback(auth.close)
    store = Channel(settings.store_address, "store", settings.rpc_tls)
    service.stack.push_async_callback(store.close)
    service.ready_when("auth", lambda: check(auth))
    service.ready_when("store", lambda: check(store))
    await serve(service, settings, remote_ports(service, auth, store))


def remote_ports(service: Service, auth: Channel, store: Channel) -> Ports:
    """The ports over gRPC."""
    changes = RemoteChanges(store)
    service.stack.push_async_callback(changes.close)
    return Ports(
        RemoteAuthenticator(auth),
        RemoteMailboxes(store),
        RemoteMessages(store),
        changes,
        changes,
        RemoteQuotas(auth, store),
        RemoteDirectory(auth),
        RemoteUrls(store),
    )


async def serve(service: Service, settings: ImapSettings, ports: Ports) -> None:
    """Listen, with whatever stands behind."""
    views = Views(ports.mailboxes, ports.messages, ports.changes, settings.warmth, time.monotonic)
    service.keep(views.sweep_forever())
    tls = (
        ServerTls(settings.tls_certificate, settings.tls_key, settings.tls_client_authority)
        if settings.tls_certificate and settings.tls_key
        else None
    )
    front = Front(
        authenticator=ports.authenticator,
        mailboxes=ports.mailboxes,
        messages=ports.messages,
        views=views,
        accounts=AccountViews(ports.accounts),
        quotas=ports.quotas,
        directory=ports.directory,
        urls=ports.urls,
        sorting=Sorting(
            ports.messages,
            SortColumns(ports.messages, settings.sort_cache_bytes),
            ThreadAnswers(settings.sort_cache_bytes // 4),
        ),
        items=ItemCache(settings.item_cache_bytes, LARGEST_ITEM),
        bodies=ItemCache(settings.body_cache_bytes, LARGEST_BODY),
        bounds=settings.bounds,
        handlers=HANDLERS,
        tls=tls,
        server_annotations=settings.server_annotations,
    )
    shown = ProxyCertificate(settings.proxy_certificate) if settings.proxy_certificate else None
    for address in settings.addresses:
        listener = Listener(
            address.name,
            front.serve,
            tls=tls if address.tls else None,
            proxies=settings.proxies if address.proxy else (),
            proxy_certificate=shown,
            secure=address.secure,
            limits=Limits(settings.connections, settings.connections_per_address),
            refusal=REFUSED,
        )
        service.ports[address.name] = await listener.start(address.host, address.port)
        service.on_drain(listener.drain)


if __name__ == "__main__":
    run("imap", ImapSettings, start)
