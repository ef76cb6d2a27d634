"""What the IMAP front can be told, from POSTROOM_IMAP_*."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Self

from postroom_chassis.net.listener import ListenAddress, Network, parse_listeners, parse_networks
from postroom_chassis.settings import ServiceSettings
from pydantic import Field, field_validator, model_validator
from pydantic_settings import SettingsConfigDict

from postroom_imap.bounds import Bounds
from postroom_imap.protocol.commands.search import SHARED_FILTERS, is_filter_name, parse_filter
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.limits import Limits
from postroom_imap.views import Warmth

URI = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:[!-~]+")  # as far as it matters here


class ImapSettings(ServiceSettings):
    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="POSTROOM_IMAP_")

    listeners: str = Field(
        "imap=127.0.0.1:1143", description="name=host:port[;tls][;proxy[;secure]], comma separated"
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
    autologout_seconds: float = Field(
        1800.0, gt=0, description="time for each command after it; RFC 3501 asks for 1800 at least"
    )
    bad_commands: int = Field(50, ge=1, description="how many end a connection")
    login_failures: int = Field(5, ge=1, description="how many end a connection")
    append_bytes: int = Field(64 * 1024 * 1024, ge=1024, description="the largest message")
    progress_seconds: float = Field(
        10.0, ge=0, description="how often a client is told how far a command has come (INPROGRESS)"
    )
    list_results: int = Field(50_000, ge=1, description="mailboxes in one answer")
    message_limit: int = Field(
        1_000_000, ge=1, description="messages that one command works on (MESSAGELIMIT)"
    )
    save_limit: int = Field(
        1_000_000, ge=1, description="messages that one COPY or APPEND saves (SAVELIMIT)"
    )
    server_comment: str = Field("", max_length=1000, description="told to whoever asks (METADATA)")
    server_admin: str = Field(
        "", max_length=1000, description="URI of the administrator, told to whoever asks (METADATA)"
    )
    shared_filters: str = Field(
        "", max_length=65_536, description="searches for everybody: a name and its keys a line"
    )
    item_cache_bytes: int = Field(
        96 * 1024 * 1024, ge=0, description="envelopes, structures and chosen headers that are kept"
    )
    body_cache_bytes: int = Field(32 * 1024 * 1024, ge=0, description="bodies that are kept")
    sort_cache_bytes: int = Field(
        64 * 1024 * 1024, ge=0, description="what messages are sorted by, of mailboxes sorted last"
    )
    warm_messages: int = Field(
        500_000, ge=0, description="in mailboxes that stay open after their last session, in all"
    )
    warm_seconds: float = Field(900.0, ge=0, description="how long they stay open")

    @field_validator("listeners")
    @classmethod
    def _check_listeners(cls, value: str) -> str:
        parse_listeners(value)
        return value

    @field_validator("proxy_networks")
    @classmethod
    def _check_networks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("server_admin")
    @classmethod
    def _check_uri(cls, value: str) -> str:
        if value and not URI.fullmatch(value):
            raise ValueError("a URI is needed, such as mailto:postmaster@example.org")
        return value

    @field_validator("shared_filters")
    @classmethod
    def _check_filters(cls, value: str) -> str:
        for number, (name, program) in enumerate(_filters(value), 1):
            if not is_filter_name(name):
                raise ValueError(f"filter {number} needs a name of an atom's characters")
            try:
                parse_filter(program.encode(), Limits())
            except SyntaxFault as fault:
                raise ValueError(f"filter {number} holds no search keys: {fault.text}") from None
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

    @property
    def bounds(self) -> Bounds:
        return Bounds(
            append_bytes=self.append_bytes,
            autologout_seconds=self.autologout_seconds,
            login_seconds=self.login_seconds,
            bad_commands=self.bad_commands,
            login_failures=self.login_failures,
            cleartext_login=self.clear_text_login,
            list_results=self.list_results,
            progress_seconds=self.progress_seconds,
            message_limit=self.message_limit,
            save_limit=self.save_limit,
        )

    @property
    def server_annotations(self) -> dict[str, bytes]:
        told = {"/shared/comment": self.server_comment, "/shared/admin": self.server_admin}
        told |= {SHARED_FILTERS + name: program for name, program in _filters(self.shared_filters)}
        return {entry: value.encode() for entry, value in told.items() if value}

    @property
    def warmth(self) -> Warmth:
        return Warmth(self.warm_messages, self.warm_seconds)


def _filters(text: str) -> list[tuple[str, str]]:
    """Names, in lower case, and search keys."""
    lines = [line.strip().partition(" ") for line in text.splitlines()]
    return [(name.lower(), program.strip()) for name, _, program in lines if name]
