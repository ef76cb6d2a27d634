"""What auth can be told: environment variables POSTROOM_AUTH_<FIELD>."""

from __future__ import annotations

import ipaddress
import json
import os
from collections import Counter
from pathlib import Path
from typing import Annotated, Self

from postroom_chassis.settings import ServiceSettings
from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import NoDecode, SettingsConfigDict

from postroom_auth.directory_settings import AnyDirectorySettings
from postroom_auth.domain.address import Address, DomainName
from postroom_auth.domain.networks import Network
from postroom_auth.domain.principal import parse_realms
from postroom_auth.domain.sasl.offer import Offer
from postroom_auth.domain.sasl.scram import PLUS
from postroom_auth.domain.scram import HASHES, LEAST_ITERATIONS
from postroom_auth.sealing import Sealer, read_keys


class AuthSettings(ServiceSettings):
    """The settings of the auth service."""

    model_config = SettingsConfigDict(env_prefix="POSTROOM_AUTH_")

    rpc_listen: str = Field("127.0.0.1:0", description="host:port where RPCs are served")
    database_url: SecretStr = Field(
        SecretStr("sqlite:///auth.sqlite3"),
        description="sqlite:///path or postgresql://user:password@host/database",
    )
    database_threads: int = Field(4, ge=1, le=64, description="database calls at a time")
    database_wait_seconds: float = Field(
        30.0, ge=0, description="how long to wait at start for a database that is away; 0: for ever"
    )
    migrate: bool = Field(True, description="bring the database's schema up to date at start")
    ticket_key: Path = Field(description="PEM: the Ed25519 key that signs tickets")
    ticket_seconds: int = Field(300, ge=10, le=86_400, description="how long a ticket is good for")
    renewal_seconds: int = Field(
        50,
        ge=1,
        le=3600,
        description="within which open sessions ask whether they may go on",
    )
    directories: Annotated[dict[str, AnyDirectorySettings], NoDecode] = Field(
        {}, description="directories of other systems, by name: a JSON object"
    )
    keytab: Path | None = Field(
        None, description="keys of the services that Kerberos lets people into; none: no GSSAPI"
    )
    kerberos_realms: str = Field(
        "", description="REALM=domain, ...: whose principals are people here, and at which domain"
    )
    kerberos_hostname: str = Field(
        "", description="host that tickets must name; empty: any that the keytab has a key for"
    )
    kerberos_threads: int = Field(4, ge=1, le=64, description="tickets checked at a time")
    mechanisms: str = Field(
        "", description="SASL mechanisms on offer: NAME[:tls|:clear], ...; empty: the safe ones"
    )
    mechanisms_imap: str = Field("", description="the same for IMAP alone; empty: MECHANISMS")
    mechanisms_pop3: str = Field("", description="the same for POP3 alone; empty: MECHANISMS")
    mechanisms_smtp: str = Field("", description="the same for SMTP alone; empty: MECHANISMS")
    mechanisms_api: str = Field("", description="the same for the API alone; empty: MECHANISMS")
    secrets_keys: SecretStr = Field(
        SecretStr(""),
        description="what secrets and keys of DKIM are sealed with: id:base64, ...; the first one"
        " seals",
    )
    allow_cleartext: bool = Field(
        False, description="take passwords on connections without TLS, not from loopback alone"
    )
    default_domain: str = Field(
        "", description="whose accounts may sign in by local part alone; empty: nobody"
    )
    postmaster: str = Field(
        "",
        description="account that gets mail to postmaster at domains where nobody else does",
    )
    exchange_seconds: float = Field(
        120.0, gt=0, description="how long a client may take for each answer of a SASL exchange"
    )
    argon2_memory_kib: int = Field(
        19_456, ge=8, le=4_194_304, description="memory that one password hash takes"
    )
    argon2_passes: int = Field(2, ge=1, le=100, description="passes over that memory")
    argon2_lanes: int = Field(1, ge=1, le=16, description="threads that work on one hash")
    scram_iterations: int = Field(
        32_768,
        ge=LEAST_ITERATIONS,
        le=1_000_000,
        description="of SCRAM's verifiers; clients compute as many at each sign-in",
    )
    hash_threads: int = Field(
        os.cpu_count() or 1, ge=1, le=64, description="password hashes computed at a time"
    )
    hash_queue: int = Field(
        256, ge=1, description="sign-ins that wait for a hash; beyond, they are put off"
    )
    remembered_passwords: int = Field(
        10_000, ge=0, description="checked passwords remembered, as keyed hashes; 0: none"
    )
    remembered_seconds: float = Field(300.0, ge=0, description="how long each is remembered")
    directory_entries: int = Field(
        100_000, ge=1, description="addresses and domains remembered between database reads"
    )
    directory_seconds: float = Field(
        5.0, ge=0, description="after how long another replica's change is seen at the latest"
    )
    throttle_account_failures: int = Field(
        5, ge=0, description="wrong passwords for an account before guesses must wait"
    )
    throttle_network_failures: int = Field(
        20, ge=0, description="failures from an address (IPv6: a /64) before it must wait"
    )
    throttle_first_seconds: float = Field(
        1.0, gt=0, description="the first wait; each further failure doubles it"
    )
    throttle_most_seconds: float = Field(900.0, gt=0, description="the longest wait")
    throttle_memory_seconds: float = Field(
        3600.0, gt=0, description="after how long without a failure all are forgotten"
    )
    throttle_subjects: int = Field(
        100_000, ge=1, description="accounts and addresses whose failures are remembered, each"
    )
    lock_failures: int = Field(
        50, ge=0, description="wrong passwords for an account that lock it; 0: none do"
    )
    lock_seconds: float = Field(86_400.0, gt=0, description="how long that lock lasts")
    audit_days: float = Field(90.0, gt=0, description="how long the audit of sign-ins is kept")
    audit_entries: int = Field(
        1_000_000, ge=1, description="entries of the audit that are kept, at most"
    )
    password_score: int = Field(
        3, ge=0, le=4, description="zxcvbn's score that a password needs when it is set; 0: none"
    )
    throttle_exempt: str = Field(
        "", description="networks whose failures are not counted by address (a webmail's)"
    )

    @field_validator("directories", mode="before")
    @classmethod
    def _document(cls, text: object) -> object:
        if not isinstance(text, str):
            return text
        try:
            return json.loads(text or "{}")
        except ValueError as error:
            raise ValueError(f"not JSON: {error}") from None

    @field_validator("directories")
    @classmethod
    def _one_each(
        cls, directories: dict[str, AnyDirectorySettings]
    ) -> dict[str, AnyDirectorySettings]:
        named = Counter(
            (one.kind, domain) for one in directories.values() for domain in one.domains
        )
        for (kind, domain), times in named.items():
            if times > 1:
                raise ValueError(f"{times} directories of kind {kind} claim {domain}")
        return directories

    @field_validator(
        "mechanisms", "mechanisms_imap", "mechanisms_pop3", "mechanisms_smtp", "mechanisms_api"
    )
    @classmethod
    def _known_mechanisms(cls, text: str) -> str:
        Offer.parse(text, allow_cleartext=False)
        return text

    @field_validator("secrets_keys")
    @classmethod
    def _keys(cls, text: SecretStr) -> SecretStr:
        read_keys(text.get_secret_value())
        return text

    @field_validator("kerberos_realms")
    @classmethod
    def _realms(cls, text: str) -> str:
        parse_realms(text)
        return text

    @model_validator(mode="after")
    def _together(self) -> Self:
        if (self.keytab is None) != (not self.realms):
            raise ValueError("keytab and kerberos_realms go together")
        return self

    @field_validator("default_domain")
    @classmethod
    def _domain(cls, text: str) -> str:
        return DomainName.parse(text).name if text else ""

    @field_validator("postmaster")
    @classmethod
    def _address(cls, text: str) -> str:
        return Address.parse(text).key if text else ""

    @field_validator("throttle_exempt")
    @classmethod
    def _networks(cls, text: str) -> str:
        for network in _listed(text):
            ipaddress.ip_network(network)
        return text

    @property
    def realms(self) -> dict[str, DomainName]:
        return parse_realms(self.kerberos_realms)

    def offers(self) -> dict[str, Offer]:
        """The mechanisms on offer, by protocol."""
        wanted = {
            "imap": self.mechanisms_imap,
            "pop3": self.mechanisms_pop3,
            "smtp": self.mechanisms_smtp,
            "api": self.mechanisms_api,
        }
        return {
            protocol: Offer.parse(text or self.mechanisms, allow_cleartext=self.allow_cleartext)
            for protocol, text in wanted.items()
        }

    def scram_families(self) -> set[str]:
        """Of which families of SCRAM there is a mechanism on offer."""
        offered = {name for offer in self.offers().values() for name in offer.secure}
        return {family for family in HASHES if not offered.isdisjoint({family, family + PLUS})}

    def sealer(self) -> Sealer | None:
        """What secrets are sealed with; None where there is no key."""
        keys = read_keys(self.secrets_keys.get_secret_value())
        return Sealer(keys) if keys else None

    @property
    def exempt_networks(self) -> tuple[Network, ...]:
        return tuple(ipaddress.ip_network(network) for network in _listed(self.throttle_exempt))


def _listed(text: str) -> tuple[str, ...]:
    return tuple(item.strip() for item in text.split(",") if item.strip())
