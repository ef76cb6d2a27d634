"""What the SMTP front can be told, from POSTROOM_SMTP_*."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterable
from enum import StrEnum
from functools import cached_property
from ipaddress import IPv4Network
from pathlib import Path
from typing import Self, cast

from postroom_chassis.net.listener import ListenAddress, Network, parse_listeners, parse_networks
from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from postroom_smtp.checks.settings import CheckSettings
from postroom_smtp.sending.settings import SendingSettings

_HOSTNAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,254}")
_SOLICITATION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.\-]*(?::[A-Za-z0-9_.\-]+)+")


class Role(StrEnum):
    """What a listener is for; its name begins with it."""

    MX = "mx"  # mail from other servers (RFC 5321)
    SUBMISSION = "submission"  # mail from our people (RFC 6409)
    LMTP = "lmtp"  # mail that another server has queued and checked (RFC 2033)


class BareNewlines(StrEnum):
    """What becomes of a message with a CR or an LF by itself."""

    REJECT = "reject"
    KEEP = "keep"


def role_of(address: ListenAddress) -> Role:
    """The role that a listener's name begins with. Raises ValueError."""
    for role in Role:
        if address.name.startswith(role):
            return role
    raise ValueError(f"{address.name}: the name of a listener begins with mx, submission or lmtp")


class SmtpSettings(SendingSettings, CheckSettings):
    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="POSTROOM_SMTP_")

    listeners: str = Field(
        "mx=127.0.0.1:1025,submission=127.0.0.1:1587",
        description="name=host:port[;tls][;proxy[;secure]], comma separated; "
        "mx..., submission..., lmtp...",
    )
    hostname: str = Field(
        default_factory=socket.gethostname, description="our name in the greeting and in Received"
    )
    proxy_networks: str = Field("", description="whose PROXY headers are believed")
    trusted_networks: str = Field("", description="who may send to anybody without signing in")
    relay_domains: str = Field("", description="domains elsewhere whose mail is taken from anybody")
    xclient_networks: str = Field("", description="whose XCLIENT is believed")
    lmtp_networks: str = Field("127.0.0.0/8,::1", description="who may connect to lmtp listeners")
    tls_certificate: Path | None = Field(None, description="PEM chain that clients see")
    tls_key: Path | None = Field(None, description="PEM private key of the chain")
    tls_client_authority: Path | None = Field(
        None, description="PEM: who signs clients' certificates; none: clients are asked for none"
    )
    proxy_certificate: Path | None = Field(
        None, description="PEM: what the proxy shows to clients; none: channels aren't bound to it"
    )
    auth_address: str = Field(description="host:port of auth")
    store_address: str = Field(description="host:port of store")
    postmaster: str = Field(
        "", description="gets mail for postmaster where a domain of ours has none"
    )
    clear_text_login: bool = Field(
        False, description="allow passwords in clear text from other machines"
    )
    message_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="largest message taken")
    recipients: int = Field(1_000, ge=100, le=10_000, description="of a message; RFC 5321: 100")
    hops: int = Field(100, ge=10, description="Received fields of a message that loops")
    bare_newlines: BareNewlines = Field(
        BareNewlines.REJECT, description="messages with a CR or an LF by itself: reject or keep"
    )
    connections: int = Field(10_000, ge=1, description="per listener")
    connections_per_address: int = Field(1_000, ge=1)
    command_seconds: float = Field(300.0, gt=0, description="RFC 5321 section 4.5.3.2.7")
    data_seconds: float = Field(180.0, gt=0, description="between two pieces of a message")
    message_seconds: float = Field(3600.0, gt=0, description="for a whole message")
    greeting_seconds: float = Field(
        1.0, ge=0, le=60, description="for which a stranger must wait for the greeting; 0: none"
    )
    hold_seconds: int = Field(
        30 * 86_400, ge=0, description="how long a message may be held (RFC 4865); 0: not at all"
    )
    check_author: bool = Field(
        True, description="whoever signed in writes as an address of theirs alone, in From too"
    )
    vrfy: bool = Field(False, description="say by VRFY who is here")
    expn: bool = Field(False, description="say by EXPN whom an address leads to")
    no_soliciting: str = Field("", description="solicitations that aren't taken (RFC 3865)")
    spool_folder: Path | None = Field(
        None,
        description="where messages over a MiB lie while they come or are converted;"
        " none: the system's place",
    )
    errors: int = Field(100, ge=1, description="how many end a connection")
    login_failures: int = Field(5, ge=1, description="how many end a connection")

    @field_validator("listeners")
    @classmethod
    def _check_listeners(cls, value: str) -> str:
        for address in parse_listeners(value):
            if role_of(address) is Role.LMTP and address.port == 25:
                raise ValueError("port 25 is SMTP's (RFC 2033 section 5)")
        return value

    @field_validator("trusted_networks", "proxy_networks", "xclient_networks", "lmtp_networks")
    @classmethod
    def _check_that_not_all_are_trusted(cls, value: str) -> str:
        # Who may send to everybody or unasked, or say that they are somebody who may, is never
        # everybody.
        for version in (4, 6):
            networks = [one for one in parse_networks(value) if one.version == version]
            if any(one.prefixlen == 0 for one in _collapsed(networks)):
                raise ValueError(
                    "these networks are the whole Internet, of which nobody may be sure"
                )
        return value

    @field_validator("relay_domains")
    @classmethod
    def _check_domains(cls, value: str) -> str:
        for domain in _words(value):
            if not _HOSTNAME.fullmatch(domain) or "." not in domain:
                raise ValueError(f"{domain}: not a domain")
        return value

    @field_validator("no_soliciting")
    @classmethod
    def _check_solicitations(cls, value: str) -> str:
        for word in _words(value):
            if not _SOLICITATION.fullmatch(word):
                raise ValueError(f"{word}: not a solicitation class keyword (RFC 3865 section 2.2)")
        return value

    @field_validator("hostname")
    @classmethod
    def _check_hostname(cls, value: str) -> str:
        if not _HOSTNAME.fullmatch(value):
            raise ValueError("not the name of a host")
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if any(one.tls for one in self.addresses) and not (self.tls_certificate and self.tls_key):
            raise ValueError("a listener with TLS needs tls_certificate and tls_key")
        if any(one.proxy for one in self.addresses) and not self.proxies:
            raise ValueError("a listener behind a proxy needs proxy_networks")
        return self

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        return parse_listeners(self.listeners)

    @property
    def proxies(self) -> tuple[Network, ...]:
        return parse_networks(self.proxy_networks)

    @cached_property
    def trusted(self) -> tuple[Network, ...]:
        return parse_networks(self.trusted_networks)

    @cached_property
    def xclients(self) -> tuple[Network, ...]:
        return parse_networks(self.xclient_networks)

    @cached_property
    def lmtp_clients(self) -> tuple[Network, ...]:
        return parse_networks(self.lmtp_networks)

    @cached_property
    def relays(self) -> frozenset[str]:
        """Domains elsewhere for which we are a relay."""
        return frozenset(_words(self.relay_domains.lower()))

    @cached_property
    def refused_solicitations(self) -> tuple[str, ...]:
        return tuple(_words(self.no_soliciting.lower()))


def _words(text: str) -> list[str]:
    return text.replace(",", " ").split()


def _collapsed(networks: list[Network]) -> Iterable[Network]:
    return ipaddress.collapse_addresses(cast("list[IPv4Network]", networks))
