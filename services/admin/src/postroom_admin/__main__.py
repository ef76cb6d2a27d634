"""The REST API as a service: wiring alone."""

from __future__ import annotations

import asyncio
from functools import partial

from postroom_chassis import logs
from postroom_chassis.errors import PostroomError
from postroom_chassis.http import HttpServer
from postroom_chassis.lifecycle import Service, run
from postroom_chassis.net.listener import parse_listeners, parse_networks
from postroom_chassis.net.tls import ServerTls

from postroom_admin.api.app import build_api
from postroom_admin.remote import check_health, owner_channels, services_over
from postroom_admin.settings import ApiSettings
from postroom_admin.tokens import TokenFile

log = logs.logger(__name__)

CERTIFICATE_SECONDS = 5.0


async def start(service: Service, settings: ApiSettings) -> None:
    """Serve the API. Raises OSError where something it needs can't be had."""
    try:
        tokens = TokenFile(settings.api_tokens)
    except PostroomError as error:
        raise OSError(f"{settings.api_tokens}: {error.message}") from error
    if tokens.empty:
        log.warning("admin.no_tokens", advice="`postroom token add NAME` lets somebody in")
    channels = owner_channels(settings)
    for owner, channel in channels.items():
        service.stack.push_async_callback(channel.close)
        service.ready_when(owner, partial(check_health, channel))
    services = services_over(channels, settings.dns_server)
    api = build_api(services, tokens, settings.mail_host_list)
    proxies = parse_networks(settings.proxy_networks)
    for address in parse_listeners(settings.listeners):
        tls = _tls(settings) if address.tls else None
        if tls is not None:
            service.keep(_follow(tls))
        server = await HttpServer.start(api, address.host, address.port, tls, proxies)
        service.stack.push_async_callback(server.stop)
        service.ports[address.name] = server.port


def _tls(settings: ApiSettings) -> ServerTls:
    if settings.tls_certificate is None or settings.tls_key is None:
        raise OSError(
            "a listener with ';tls' needs POSTROOM_ADMIN_TLS_CERTIFICATE and POSTROOM_ADMIN_TLS_KEY"
        )
    return ServerTls(settings.tls_certificate, settings.tls_key)


async def _follow(tls: ServerTls) -> None:
    """uvicorn asks for the context once: look for new certificates now and then."""
    while True:
        await asyncio.sleep(CERTIFICATE_SECONDS)
        tls.reload()


if __name__ == "__main__":
    run("admin", ApiSettings, start)
