"""Which directory knows a domain's people: the documents of the setting DIRECTORIES."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator

from postroom_auth.domain.address import DomainName

# Those that need no shared secret (RFC 7518 section 3.1, RFC 9864).
SIGNATURES = frozenset(
    [f"{family}{bits}" for family in ("RS", "PS", "ES") for bits in (256, 384, 512)]
    + ["Ed25519", "EdDSA"]
)
DISCOVERY = "/.well-known/openid-configuration"
LDAP_SCHEMES = ("ldap", "ldaps", "ldapi")


def _domain(text: str) -> str:
    name = DomainName.parse(text).name
    if name.startswith("["):
        raise ValueError("an IP address is no domain")
    return name


def _filter(text: str) -> str:
    """A filter of RFC 4515, as far as its brackets tell."""
    if text and not (text.startswith("(") and text.endswith(")") and _is_balanced(text)):
        raise ValueError(f"{text!r} is no LDAP filter: its brackets don't match")
    return text


def _is_balanced(text: str) -> bool:
    depth = 0
    for position, character in enumerate(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth < 0 or (depth == 0 and position < len(text) - 1):
            return False
    return depth == 0


def _ldap_urls(text: str) -> str:
    urls = text.split()
    for url in urls:
        parts = urlsplit(url)
        if parts.scheme not in LDAP_SCHEMES or not parts.netloc:
            raise ValueError(f"{url!r} is no address of an LDAP server, such as ldaps://ldap.here")
    if not urls:
        raise ValueError("there is no address of an LDAP server")
    return " ".join(urls)


def _signature(text: str) -> str:
    if text not in SIGNATURES:
        raise ValueError(f"no {text!r}: there are {', '.join(sorted(SIGNATURES))}")
    return text


def _http_url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.fragment:
        raise ValueError(f"{text!r} is no address such as https://login.here")
    return text


def is_loopback(url: str) -> bool:
    """Whether what is sent to an address stays on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "ldapi" or parts.hostname == "localhost":
        return True
    try:
        return ipaddress.ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


Domains = Annotated[
    tuple[Annotated[str, AfterValidator(_domain)], ...],
    Field(min_length=1, description="whose people it knows"),
]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Filter = Annotated[str, AfterValidator(_filter)]


class DirectorySettings(BaseModel):
    """What every directory of another system is told."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    domains: Domains
    quota_bytes: int = Field(
        0, ge=0, description="of an account that is made at first sight; 0: unlimited"
    )
    seconds: float = Field(
        5.0, gt=0, le=60, description="how long an answer may take; then it counts as away"
    )


class LdapSettings(DirectorySettings):
    """A directory that is asked by LDAP (RFC 4511)."""

    kind: Literal["ldap"]
    url: Annotated[str, AfterValidator(_ldap_urls)] = Field(
        description="ldaps://host, ldap://host or ldapi://%2Fpath; several, by spaces: the first "
        "that answers is asked"
    )
    start_tls: bool = Field(False, description="TLS on an ldap:// connection, before anything else")
    authority: Path | None = Field(
        None, description="PEM: who signs the server's certificate; none: those the system trusts"
    )
    allow_cleartext: bool = Field(
        False, description="send passwords without TLS, not over loopback alone"
    )
    bind_dn: str = Field("", description="who searches; empty: anonymous")
    bind_password: SecretStr = SecretStr("")
    people_base: str = Field(min_length=1, description="where people are searched, with all below")
    people_filter: Filter = Field("(objectClass=inetOrgPerson)", description="which are people")
    addresses: tuple[str, ...] = Field(
        ("mail",),
        min_length=1,
        description="attributes that hold addresses; the first names the account",
    )
    display_name: str = Field("cn", description="attribute with a name for people")
    sign_in_filter: Filter = Field("", description="which people may sign in; empty: all")
    sign_in_groups: tuple[str, ...] = Field(
        (), description="DNs of groups: who is in one of them may sign in; none: all"
    )
    groups_base: str = Field(
        "", description="where groups that deliver to their members are searched; empty: none do"
    )
    groups_filter: Filter = Field("(objectClass=groupOfNames)", description="which are groups")
    members: str = Field("member", description="attribute that holds DNs or addresses of members")
    most_members: int = Field(1000, ge=1, le=10_000, description="of a group that delivers")
    connections: int = Field(4, ge=1, le=64, description="questions at a time")
    page: int = Field(500, ge=1, le=10_000, description="entries asked for at a time (RFC 2696)")

    @model_validator(mode="after")
    def _is_safe(self) -> LdapSettings:
        urls = self.url.split()
        if self.start_tls and any(not url.startswith("ldap:") for url in urls):
            raise ValueError("start_tls is for ldap:// alone: ldaps:// begins with TLS")
        safe = all(url.startswith("ldaps:") or is_loopback(url) for url in urls)
        if not (safe or self.start_tls or self.allow_cleartext):
            raise ValueError(
                "passwords would travel in clear text: use ldaps://, start_tls, or allow_cleartext"
            )
        if bool(self.bind_dn) != bool(self.bind_password.get_secret_value()):
            raise ValueError("bind_dn and bind_password go together")
        return self


class OidcSettings(DirectorySettings):
    """An issuer of tokens: OpenID Connect, or OAuth 2 with JWTs (RFC 9068) or introspection."""

    kind: Literal["oidc"]
    issuer: HttpUrl = Field(description="as the tokens' iss and the configuration have it")
    audience: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        min_length=1, description="who a token must be for, one of these: its aud"
    )
    address_claim: str = Field(
        "email", min_length=1, description="claim with the account's address"
    )
    scopes: tuple[str, ...] = Field((), description="what a token must allow, all of these")
    check: Literal["keys", "introspection", "both"] = Field(
        "keys",
        description="keys: JWTs alone, by the issuer's keys; introspection: the issuer is asked of "
        "every token; both: JWTs by keys, and of every token the issuer is asked",
    )
    algorithms: tuple[Annotated[str, AfterValidator(_signature)], ...] = Field(
        ("RS256", "ES256"), min_length=1, description="of the signatures of JWTs"
    )
    jwks_url: HttpUrl | None = Field(None, description="the issuer's keys; none: discovered")
    introspection_url: HttpUrl | None = Field(
        None, description="where the issuer is asked (RFC 7662); none: discovered"
    )
    client_id: str = Field("", description="as whom the issuer is asked")
    client_secret: SecretStr = SecretStr("")
    clock_skew_seconds: int = Field(
        60, ge=0, le=600, description="how far the issuer's clock may be from ours"
    )
    keys_seconds: float = Field(3600.0, gt=0, description="after how long keys are fetched anew")
    stale_seconds: float = Field(
        86_400.0, gt=0, description="how long keys serve that can't be fetched anew"
    )
    again_seconds: float = Field(
        10.0, gt=0, description="the least time from one fetch of the keys to the next"
    )
    introspected_seconds: float = Field(
        30.0, ge=0, description="how long an answer about a token is remembered; 0: not at all"
    )
    create_accounts: bool = Field(
        False, description="make an account for whoever signs in for the first time"
    )
    display_name_claim: str = Field("name", description="claim with a name for people")
    authority: Path | None = Field(
        None, description="PEM: who signs the server's certificate; none: those the system trusts"
    )
    proxy: HttpUrl | None = Field(None, description="by which HTTP proxy the issuer is reached")
    connections: int = Field(8, ge=1, le=64, description="questions at a time")
    allow_cleartext: bool = Field(False, description="ask without TLS, not over loopback alone")

    @model_validator(mode="after")
    def _is_safe(self) -> OidcSettings:
        for url in (self.issuer, self.jwks_url, self.introspection_url):
            if url is not None and not self.permits(url):
                raise ValueError(f"{url} has no TLS: use https://, or allow_cleartext")
        if self.check != "keys" and not self.client_id:
            raise ValueError("introspection needs client_id and client_secret")
        return self

    @property
    def configuration_url(self) -> str:
        """Where the issuer's configuration is (OpenID Connect Discovery 1.0 section 4)."""
        return self.issuer.rstrip("/") + DISCOVERY

    def permits(self, url: str) -> bool:
        """Whether the issuer may be asked there."""
        return self.allow_cleartext or url.startswith("https://") or is_loopback(url)


AnyDirectorySettings = Annotated[LdapSettings | OidcSettings, Field(discriminator="kind")]
