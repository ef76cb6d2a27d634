"""The SMTP front's wiring."""

from __future__ import annotations

from postroom_chassis.lifecycle import Service, run
from postroom_chassis.net.listener import Limits, Listener
from postroom_chassis.net.tls import ServerTls
from postroom_chassis.rpc.client import Channel

from postroom_smtp.front import REFUSED, Front
from postroom_smtp.remote import RemoteAuthenticator, RemoteDirectory, RemoteStore, check
from postroom_smtp.session import House
from postroom_smtp.settings import Role, SmtpSettings, role_of


async def start(service: Service, settings: SmtpSettings) -> None:
    auth = Channel(settings.auth_address, "auth", settings.rpc_tls)
    service.stack.push_async_callback(auth.close)
    store = Channel(settings.store_address, "store", settings.rpc_tls)
    service.stack.push_async_callback(store.close)
    service.ready_when("auth", lambda: check(auth))
    service.ready_when("store", lambda: check(store))
    tls = (
        ServerTls(settings.tls_certificate, settings.tls_key)
        if settings.tls_certificate and settings.tls_key
        else None
    )
    house = House(
        RemoteAuthenticator(auth), RemoteDirectory(auth), RemoteStore(store), tls, settings
    )
    fronts = {role: Front(house, role) for role in Role}
    for address in settings.addresses:
        listener = Listener(
            address.name,
            fronts[role_of(address)].serve,
            tls=tls if address.tls else None,
            proxies=settings.proxies if address.proxy else (),
            limits=Limits(settings.connections, settings.connections_per_address),
            refusal=REFUSED,
        )
        service.ports[address.name] = await listener.start(address.host, address.port)
        service.on_drain(listener.drain)


if __name__ == "__main__":
    run("smtp", SmtpSettings, start)
