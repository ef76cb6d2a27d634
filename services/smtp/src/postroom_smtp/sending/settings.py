"""What sending can be told; part of the SMTP front's settings."""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import Self

from postroom_chassis.settings import ServiceSettings
from pydantic import Field, SecretStr, model_validator

from postroom_smtp.protocol.sasl import Credentials
from postroom_smtp.sending.routes import (
    Route,
    Source,
    parse_numbers,
    parse_routes,
    parse_sources,
)

_DOMAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,254}")


class SendingSettings(ServiceSettings):
    """A mixin: `SmtpSettings` inherits it."""

    send: bool = Field(True, description="send what is queued")
    send_routes: str = Field(
        "",
        description="domain=host[:port][;option]..., comma separated; .parent and * too;"
        " options: tls, lmtp, login, none, may, encrypt, verify",
    )
    send_port: int = Field(25, ge=1, le=65535, description="of other servers")
    send_sources: str = Field(
        "", description="sender's domain=address[|address][/name], comma separated; * too"
    )
    send_addresses: str = Field(
        "", description="our addresses, to which nothing is handed on; comma separated"
    )
    send_families: str = Field(
        "6,4", pattern="^(4|6|4,6|6,4)$", description="of addresses, the first one is tried first"
    )
    send_authorities: Path | None = Field(
        None, description="PEM: who signs other servers' certificates; none: the system's"
    )
    smart_host_user: str = Field("", description="who we are to a route with login")
    smart_host_password: SecretStr = Field(SecretStr(""), description="and our password there")
    send_batches: int = Field(200, ge=1, le=10_000, description="at a time, in this process")
    send_entries: int = Field(100, ge=1, le=1_000, description="of a batch")
    send_connections: int = Field(
        10, ge=1, le=1_000, description="to a domain, of all workers together"
    )
    send_limits: str = Field("", description="domain=connections, comma separated")
    send_rates: str = Field(
        "", description="domain=messages a second from this process, comma separated; * too"
    )
    send_host_connections: int = Field(
        20, ge=1, le=10_000, description="to a route's host, from this process"
    )
    send_lease_seconds: int = Field(120, ge=30, le=3_600)
    send_reuse_seconds: float = Field(
        2.0, ge=0, le=60, description="that a connection waits for another message"
    )
    send_reuse_messages: int = Field(100, ge=1, description="over one connection")
    send_days: float = Field(5.0, gt=0, le=30, description="for which a message is tried")
    send_delay_hours: float = Field(4.0, gt=0, description="after which its sender is told")
    connect_seconds: float = Field(30.0, gt=0, description="for a connection, and for TLS")
    reply_seconds: float = Field(300.0, gt=0, description="RFC 5321 section 4.5.3.2")
    piece_seconds: float = Field(180.0, gt=0, description="for a piece of a message")
    end_seconds: float = Field(600.0, gt=0, description="for the reply to a message")
    reach_seconds: float = Field(
        300.0, gt=0, description="that all servers of a domain may take until one is ready"
    )
    dns_servers: str = Field("", description="address[:port], comma separated; none: the system's")
    dns_seconds: float = Field(15.0, gt=0, description="that a lookup may take")
    dns_trusted: bool = Field(
        False, description="the resolvers validate DNSSEC, and nobody is between them and us"
    )
    srs_domain: str = Field("", description="of ours, in which bounces of forwards come back")
    srs_secrets: SecretStr = Field(
        SecretStr(""), description="the first one signs, all are believed; comma separated"
    )

    @model_validator(mode="after")
    def _check_sending(self) -> Self:
        for parse in (
            lambda: self.routes,
            lambda: self.sources,
            lambda: self.own_addresses,
            lambda: self.connection_limits,
            lambda: self.rates,
            lambda: self.resolvers,
        ):
            parse()
        if bool(self.srs_domain) != bool(self.srs_secrets.get_secret_value()):
            raise ValueError("srs_domain and srs_secrets need each other")
        if self.srs_domain and not _DOMAIN.fullmatch(self.srs_domain):
            raise ValueError("srs_domain: not a domain")
        return self

    @property
    def routes(self) -> dict[str, Route]:
        user = self.smart_host_user
        password = self.smart_host_password.get_secret_value()
        login = Credentials(user, password) if user and password else None
        return parse_routes(self.send_routes, self.send_port, login)

    @property
    def sources(self) -> dict[str, Source]:
        return parse_sources(self.send_sources)

    @property
    def own_addresses(self) -> list[str]:
        return [str(ip_address(each)) for each in _items(self.send_addresses)]

    @property
    def connection_limits(self) -> dict[str, int]:
        return parse_numbers(self.send_limits, int)

    @property
    def rates(self) -> dict[str, float]:
        return parse_numbers(self.send_rates, float)

    @property
    def resolvers(self) -> Sequence[tuple[str, int]]:
        found = []
        for item in _items(self.dns_servers):
            if item.startswith("[") or item.count(":") == 1:
                host, _, port = item.rpartition(":")
                found.append((host.strip("[]"), int(port)))
            else:
                found.append((item, 53))
        for host, _ in found:
            ip_address(host)
        return found


def _items(text: str) -> list[str]:
    return [each.strip() for each in text.split(",") if each.strip()]
