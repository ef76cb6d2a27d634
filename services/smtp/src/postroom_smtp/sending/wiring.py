"""The parts of sending put together."""

from __future__ import annotations

import random
import socket
import time
from ipaddress import ip_address
from pathlib import Path

from postroom_smtp.dns import Resolver
from postroom_smtp.ports import Directory, Signer, Store
from postroom_smtp.protocol.srs import Rewriting
from postroom_smtp.sending.connector import Connector, Times
from postroom_smtp.sending.converting import Converter
from postroom_smtp.sending.courier import Courier, Map
from postroom_smtp.sending.home import Home
from postroom_smtp.sending.hosts import Hosts, Ourselves
from postroom_smtp.sending.notices import Notices
from postroom_smtp.sending.pace import Pace
from postroom_smtp.sending.pool import Pool
from postroom_smtp.sending.ports import Queue
from postroom_smtp.sending.routes import Route
from postroom_smtp.sending.schedule import Schedule
from postroom_smtp.sending.security import Safety, verifying_context
from postroom_smtp.sending.settings import SendingSettings
from postroom_smtp.sending.sts import Policies
from postroom_smtp.sending.worker import Load, Worker

FAMILIES = {"4": socket.AF_INET, "6": socket.AF_INET6}


def open_worker(
    settings: SendingSettings,
    hostname: str,
    queue: Queue,
    store: Store,
    directory: Directory,
    resolver: Resolver,
    *,
    signer: Signer | None = None,
    spool_folder: Path | None = None,
    sts_port: int = 443,
) -> Worker:
    """A worker that waits for its `start`."""
    chance = random.SystemRandom()
    ourselves = Ourselves(
        frozenset({hostname.lower()}), frozenset(map(ip_address, settings.own_addresses))
    )
    times = Times(
        settings.connect_seconds,
        settings.reply_seconds,
        settings.piece_seconds,
        settings.end_seconds,
        settings.reach_seconds,
    )
    connector = Connector(
        Hosts(
            resolver,
            ourselves,
            [FAMILIES[each] for each in settings.send_families.split(",")],
            chance.shuffle,
        ),
        Policies(resolver, verifying_context(settings.send_authorities), port=sts_port),
        Safety(resolver, settings.send_authorities),
        times,
        hostname,
        ourselves,
    )
    pace = Pace(
        settings.send_connections, settings.connection_limits, settings.rates, time.monotonic
    )
    courier = Courier(
        queue,
        connector,
        Pool(settings.send_reuse_seconds, settings.send_reuse_messages),
        Notices(store, directory, hostname, open_rewriting(settings)),
        Schedule(settings.send_days * 86_400, settings.send_delay_hours * 3_600, chance.random),
        pace,
        Map(settings.routes, Route(port=settings.send_port), settings.sources),
        times,
        Home(queue, store, directory, open_rewriting(settings)),
        Converter(signer, spool_folder),
        host_connections=settings.send_host_connections,
    )
    load = Load(
        settings.send_batches,
        settings.send_entries,
        settings.send_connections,
        settings.send_lease_seconds,
    )
    return Worker(queue, courier, pace, load)


def open_rewriting(settings: SendingSettings) -> Rewriting | None:
    """By which forwarded messages get a reverse-path of ours; None: they keep their own."""
    if not settings.srs_domain:
        return None
    told = settings.srs_secrets.get_secret_value()
    secrets = [one.strip().encode() for one in told.split(",") if one.strip()]
    return Rewriting(settings.srs_domain, secrets)
