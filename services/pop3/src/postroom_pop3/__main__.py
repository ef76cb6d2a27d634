"""The POP3 front's wiring."""

from __future__ import annotations

from postroom_chassis.lifecycle import Service, run
from postroom_chassis.net.listener import Limits, Listener
from postroom_chassis.net.tls import ProxyCertificate, ServerTls
from postroom_chassis.rpc.client import Channel

from postroom_pop3.front import REFUSED, Front
from postroom_pop3.remote import RemoteAuthenticator, RemoteMaildrops, check
from postroom_pop3.settings import Pop3Settings


async def start(service: Service, settings: Pop3Settings) -> None:
    auth = Channel(settings.auth_address, "auth", settings.rpc_tls)
    service.stack.push_async_callback(auth.close)
    store = Channel(settings.store_address, "store", settings.rpc_tls)
    service.stack.push_async_callback(store.close)
    authenticator = RemoteAuthenticator(auth)
    service.ready_when("auth", lambda: check(auth))
    service.ready_when("store", lambda: check(store))
    tls = (
        ServerTls(settings.tls_certificate, settings.tls_key, settings.tls_client_authority)
        if settings.tls_certificate and settings.tls_key
        else None
    )
    front = Front(authenticator, RemoteMaildrops(store, authenticator), tls, settings)
    shown = ProxyCertificate(settings.proxy_certificate) if settings.proxy_certificate else None
    for address in (*settings.addresses, *settings.kpop_addresses):
        kpop = address in settings.kpop_addresses
        listener = Listener(
            address.name,
            front.serve_kpop if kpop else front.serve,
            tls=tls if address.tls else None,
            proxies=settings.proxies if address.proxy else (),
            proxy_certificate=shown,
            secure=address.secure,
            limits=Limits(settings.connections, settings.connections_per_address),
            # Before Kerberos has had its say no line can be told.
            refusal=b"" if kpop else REFUSED,
        )
        service.ports[address.name] = await listener.start(address.host, address.port)
        service.on_drain(listener.drain)


if __name__ == "__main__":
    run("pop3", Pop3Settings, start)
