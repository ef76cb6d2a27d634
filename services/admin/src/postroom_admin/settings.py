"""What the command line and the REST API can be told, from POSTROOM_ADMIN_*."""

from __future__ import annotations

from pathlib import Path

from postroom_chassis.settings import ServiceSettings
from pydantic import Field, field_validator
from pydantic_settings import SettingsConfigDict

from postroom_admin.publishing.dns_servers import read_server


class AdminSettings(ServiceSettings):
    """What both need: where the owners are, and the certificate that opens their doors."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="POSTROOM_ADMIN_")

    auth_address: str = Field(description="host:port where auth serves RPC")
    store_address: str = Field(description="host:port where store serves RPC")
    env: Path | None = Field(
        None, description="a file with these settings, for the postroom command alone"
    )
    listeners: str = Field(
        "api=127.0.0.1:0", description="where the REST API listens; ';tls' makes it HTTPS"
    )
    api_tokens: Path | None = Field(
        None, description="file of bearer tokens' hashes, as `postroom token add` writes it"
    )
    tls_certificate: Path | None = Field(None, description="PEM chain, for a listener with ';tls'")
    tls_key: Path | None = Field(None, description="PEM private key of tls_certificate")
    proxy_networks: str = Field(
        "", description="whose X-Forwarded-For and X-Forwarded-Proto the API believes"
    )
    mail_hosts: str = Field(
        "", description="names of the hosts that take mail, comma separated, as others know them"
    )
    dns_server: str = Field(
        "", description="IP address[:port] of the DNS server to ask; empty: those of the system"
    )

    @property
    def mail_host_list(self) -> tuple[str, ...]:
        return tuple(host.strip() for host in self.mail_hosts.split(",") if host.strip())

    @field_validator("dns_server")
    @classmethod
    def _check_server(cls, text: str) -> str:
        if text:
            read_server(text)
        return text

    @field_validator("proxy_networks")
    @classmethod
    def _check_networks(cls, text: str) -> str:
        from postroom_chassis.net.listener import parse_networks

        parse_networks(text)
        return text

    @field_validator("listeners")
    @classmethod
    def _check_listeners(cls, text: str) -> str:
        # Imported here: the command, which has no listeners, would wait for it each time.
        from postroom_chassis.net.listener import parse_listeners

        if any(address.proxy for address in parse_listeners(text)):
            raise ValueError("the API takes no PROXY header, but X-Forwarded-For")
        return text


class ApiSettings(AdminSettings):
    """What the REST API can't do without."""

    api_tokens: Path = Field(
        description="file of bearer tokens' hashes, as `postroom token add` writes it"
    )
