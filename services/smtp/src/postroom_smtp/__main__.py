"""The SMTP front's wiring."""

from __future__ import annotations

import os

from postroom_chassis.lifecycle import Service, run
from postroom_chassis.net.listener import Limits, Listener
from postroom_chassis.net.tls import ProxyCertificate, ServerTls
from postroom_chassis.rpc.client import Channel

from postroom_smtp.dns import Resolver
from postroom_smtp.front import REFUSED, Front
from postroom_smtp.remote import RemoteAuthenticator, RemoteDirectory, RemoteStore, check
from postroom_smtp.sending.remote import RemoteQueue
from postroom_smtp.sending.wiring import open_worker
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
    authenticator, directory, mail = (
        RemoteAuthenticator(auth),
        RemoteDirectory(auth),
        RemoteStore(store),
    )
    fronts = {
        role: Front(House(authenticator, directory, mail, tls[role], settings), role)
        for role in Role
    }
    shown = ProxyCertificate(settings.proxy_certificate) if settings.proxy_certificate else None
    if settings.send:
        queue = RemoteQueue(store, f"{settings.hostname} {os.getpid()}")
        resolver = Resolver(
            settings.resolvers, seconds=settings.dns_seconds, trusted=settings.dns_trusted
        )
        worker = open_worker(settings, settings.hostname, queue, mail, directory, resolver)
        worker.start()
        service.on_drain(worker.drain)
    for address in settings.addresses:
        role = role_of(address)
        listener = Listener(
            address.name,
            fronts[role].serve,
            tls=tls[role] if address.tls else None,
            proxies=settings.proxies if address.proxy else (),
            proxy_certificate=shown,
            limits=Limits(settings.connections, settings.connections_per_address),
            refusal=REFUSED,
        )
        service.ports[address.name] = await listener.start(address.host, address.port)
        service.on_drain(listener.drain)


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
    }


if __name__ == "__main__":
    run("smtp", SmtpSettings, start)
