"""What the POP3 front can be told, from POSTROOM_POP3_*."""

from __future__ import annotations

from pathlib import Path
from typing import Self

from postroom_chassis.net.listener import ListenAddress, Network, parse_listeners, parse_networks
from postroom_chassis.settings import ServiceSettings
from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict


class Pop3Settings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="POSTROOM_POP3_")

    listeners: str = Field(
        "pop3=127.0.0.1:1110", description="name=host:port[;tls][;proxy[;secure]], comma separated"
    )
    kpop_listeners: str = Field(
        "", description="name=host:port[;proxy], ...: POP3 after Kerberos's sendauth (KPOP)"
    )
    proxy_networks: str = Field("", description="whose PROXY headers are believed")
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
    clear_text_login: bool = Field(
        False, description="allow passwords in clear text from other machines"
    )
    connections: int = Field(20_000, ge=1, description="per listener")
    connections_per_address: int = Field(1_000, ge=1)
    login_seconds: float = Field(60.0, gt=0, description="time for each command before sign-in")
    idle_seconds: float = Field(
        600.0, gt=0, description="time for each command after it; RFC 1939 asks for 600 at least"
    )
    bad_commands: int = Field(20, ge=1, description="how many end a connection")
    login_failures: int = Field(5, ge=1, description="how many end a connection")
    read_ahead_bytes: int = Field(
        512 * 1024, ge=1024, description="of messages fetched before they are asked for, twice"
    )
    # With more, the lease runs out or a session lasts over a minute that may not go on.
    lease_renewal_seconds: float = Field(10.0, gt=0, le=20)
    surrogates: bool = Field(
        False, description="rewrite UTF-8 in headers for clients without UTF8 (RFC 6857)"
    )

    @field_validator("listeners", "kpop_listeners")
    @classmethod
    def _check_listeners(cls, value: str) -> str:
        parse_listeners(value)
        return value

    @field_validator("proxy_networks")
    @classmethod
    def _check_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if any(one.tls for one in self.kpop_addresses):
            raise ValueError("KPOP knows no TLS")
        if {one.name for one in self.addresses} & {one.name for one in self.kpop_addresses}:
            raise ValueError("two listeners have one name")
        if any(one.tls for one in self.addresses) and not (self.tls_certificate and self.tls_key):
            raise ValueError("a listener with TLS needs tls_certificate and tls_key")
        if any(one.proxy for one in (*self.addresses, *self.kpop_addresses)) and not self.proxies:
            raise ValueError("a listener behind a proxy needs proxy_networks")
        return self

    @property
    def addresses(self) -> tuple[ListenAddress, ...]:
        return parse_listeners(self.listeners)

    @property
    def kpop_addresses(self) -> tuple[ListenAddress, ...]:
        return parse_listeners(self.kpop_listeners)

    @property
    def proxies(self) -> tuple[Network, ...]:
        return parse_networks(self.proxy_networks)
