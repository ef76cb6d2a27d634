"""The SMTP front's wiring."""

from __future__ import annotations

import os
import socket
from dataclasses import replace

from postroom_chassis.lifecycle import Service, run
from postroom_chassis.net.listener import Limits, Listener
from postroom_chassis.net.tls import ProxyCertificate, ServerTls
from postroom_chassis.rpc.client import Channel

from postroom_smtp.checks.remote import RemoteScreening, RemoteSigningKeys
from postroom_smtp.checks.wiring import make_checking
from postroom_smtp.dns import Resolver
from postroom_smtp.front import REFUSED, Front
from postroom_smtp.remote import (
    RemoteAuthenticator,
    RemoteDirectory,
    RemoteStore,
    RemoteUrls,
    RemoteWaiting,
    check,
)
from postroom_smtp.sending.remote import RemoteQueue
from postroom_smtp.sending.wiring import open_rewriting, open_worker
from postroom_smtp.session import House
from postroom_smtp.settings import Role, SmtpSettings, role_of


async def start(service: Service, settings: SmtpSettings) -> None:
    auth = Channel(settings.auth_address, "auth", settings.rpc_tls)
    service.stack.push_async_callback(auth.close)
    store = Channel(settings.store_address, "store", settings.rpc_tls)
    service.stack.push_async_callback(store.close)
    service.ready_when("auth", lambda: check(auth))
    service.ready_when("store", lambda: check(store))
    tls = open_tls(settings)
    resolver = Resolver(
        settings.resolvers, seconds=settings.dns_seconds, trusted=settings.dns_trusted
    )
    checking = make_checking(
        settings,
        settings.hostname,
        resolver,
        RemoteScreening(store, settings),
        RemoteSigningKeys(auth),
    )
    service.stack.callback(checking.close)
    directory, mail = RemoteDirectory(auth), RemoteStore(store)
    common = House(
        RemoteAuthenticator(auth),
        directory,
        mail,
        None,
        settings,
        policy=checking.policy,
        signer=checking.signer,
        waiting=RemoteWaiting(store),
        urls=RemoteUrls(store),
        rewriting=open_rewriting(settings),
    )
    fronts = {role: Front(replace(common, tls=tls[role]), role) for role in Role}
    shown = ProxyCertificate(settings.proxy_certificate) if settings.proxy_certificate else None
    for address in settings.addresses:
        role = role_of(address)
        listener = Listener(
            address.name,
            fronts[role].serve,
            tls=tls[role] if address.tls else None,
            proxies=settings.proxies if address.proxy else (),
            proxy_certificate=shown,
            secure=address.secure,
            limits=Limits(settings.connections, settings.connections_per_address),
            refusal=REFUSED,
        )
        service.ports[address.name] = await listener.start(address.host, address.port)
        service.on_drain(listener.drain)
    if settings.send:
        queue = RemoteQueue(store, f"{socket.gethostname()}/{os.getpid()}")
        worker = open_worker(
            settings,
            settings.hostname,
            queue,
            mail,
            directory,
            resolver,
            signer=checking.signer,
            spool_folder=settings.spool_folder,
        )
        worker.start()
        service.on_drain(worker.drain)


def open_tls(settings: SmtpSettings) -> dict[Role, ServerTls | None]:
    """TLS by role: other servers are asked for no certificate, which would turn away those that
    show one of another authority's.
    """
    certificate, key = settings.tls_certificate, settings.tls_key
    if certificate is None or key is None:
        return dict.fromkeys(Role)
    return {
        Role.MX: ServerTls(certificate, key),
        Role.SUBMISSION: ServerTls(certificate, key, settings.tls_client_authority),
        Role.LMTP: ServerTls(certificate, key),
    }


if __name__ == "__main__":
    run("smtp", SmtpSettings, start)
