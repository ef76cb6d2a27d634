"""What the checks of incoming mail can be told: a part of the SMTP front's settings.

Everything has a default: who sends is found out and DMARC is kept to, and nothing is asked of
anybody but the DNS.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import IPv4Address, ip_address
from urllib.parse import urlsplit

from postroom_chassis.net.listener import Network, parse_networks
from pydantic import BaseModel, Field, SecretStr, field_validator, model_validator

_DOMAIN = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_\-]*[A-Za-z0-9_])?(?:\.[A-Za-z0-9_\-]+)*")
_LIST = re.compile(r"([^=*\s]+)(?:=([0-9.\-;]+))?(?:\*(-?[0-9]{1,3}))?")
_RATE = re.compile(r"([0-9]{1,9})/([0-9]{1,5})")
_MILTER = re.compile(r"(?:([a-z0-9_\-]+)=)?(?:unix:(/[^;]+)|([^;/]+):([0-9]{1,5}))(?:;([a-z]+))?")


class Failing(StrEnum):
    """What becomes of mail while something that judges it is away."""

    ACCEPT = "accept"
    TEMPFAIL = "tempfail"


class Weight(StrEnum):
    """What a result counts for."""

    OFF = "off"  # it isn't asked for
    MARK = "mark"  # it is written down, and judged by together with others
    REFUSE = "refuse"  # a failure is enough


class Enforcement(StrEnum):
    """Whether DMARC is kept to."""

    OFF = "off"
    MARK = "mark"
    ENFORCE = "enforce"


class Stage(StrEnum):
    """When blocklists are asked."""

    GREETING = "greeting"
    RECIPIENT = "recipient"


class Spam(StrEnum):
    """What becomes of what is surely junk."""

    JUNK = "junk"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class Blocklist:
    """A list in the DNS (RFC 5782).

    Attributes:
        low, high: the answers that count, inclusive; the others are errors of the list's.
        weight: below 0: who is on it is thought well of.
    """

    zone: str
    low: IPv4Address
    high: IPv4Address
    weight: int = 1


# 127.255.255.0/24 is how lists say that they aren't to be asked like this.
USUAL = IPv4Address("127.0.0.1"), IPv4Address("127.255.254.255")


@dataclass(frozen=True, slots=True)
class Rate:
    """So many within so many seconds."""

    most: int
    seconds: int


@dataclass(frozen=True, slots=True)
class MilterAddress:
    """Where a milter listens: a path, or a host and port."""

    name: str
    path: str = ""
    host: str = ""
    port: int = 0
    failing: Failing = Failing.TEMPFAIL


class CheckSettings(BaseModel):
    """To be inherited by the service's settings, before ServiceSettings."""

    authserv_id: str = Field("", description="our name in Authentication-Results; empty: hostname")
    check_exempt_networks: str = Field(
        "127.0.0.0/8,::1/128", description="of whose mail nobody asks who sends it"
    )
    check_seconds: float = Field(
        30.0, gt=0, le=300, description="for finding out who sent a message"
    )
    check_threads: int = Field(2, ge=1, le=64, description="that hash and sign")
    check_large: int = Field(
        4, ge=1, le=1_000, description="messages over a MiB that are read at a time"
    )
    dns_failing: Failing = Field(
        Failing.TEMPFAIL, description="mail whose author can't be looked up now: accept or tempfail"
    )
    junk_mailbox: str = Field("Junk", min_length=1, description="where junk goes")

    spf: Weight = Field(Weight.MARK, description="off, mark or refuse (RFC 7208)")
    iprev: Weight = Field(Weight.MARK, description="off, mark or refuse (RFC 8601 section 3)")
    dkim: bool = Field(True, description="verify signatures (RFC 6376)")
    dkim_signatures: int = Field(10, ge=1, le=100, description="of a message that are verified")
    arc: bool = Field(True, description="verify chains, and seal what is handed on (RFC 8617)")
    arc_domain: str = Field(
        "", description="of ours, whose key seals; empty: the first recipient's"
    )
    arc_trusted: str = Field(
        "", description="domains whose seals overrule a failure of DMARC, comma separated"
    )
    dmarc: Enforcement = Field(Enforcement.ENFORCE, description="off, mark or enforce (RFC 7489)")
    dmarc_reject: Spam = Field(Spam.REFUSE, description="what becomes of p=reject: refuse or junk")

    dnsbls: str = Field(
        "", description="zone[=low-high][*weight] of lists of addresses, comma separated"
    )
    dnsbl_domains: str = Field("", description="the same, of lists of senders' domains")
    dnsbl_refuse: int = Field(1, ge=1, description="the sum of weights at which mail is refused")
    dnsbl_junk: int = Field(0, ge=0, description="at which it goes to the Junk mailbox; 0: never")
    dnsbl_stage: Stage = Field(
        Stage.RECIPIENT, description="when lists of addresses are asked: greeting or recipient"
    )
    dnsbl_seconds: float = Field(5.0, gt=0, le=60)
    dnsbl_failing: Failing = Field(Failing.ACCEPT, description="while a list is away")

    greylisting: bool = Field(False, description="put off first attempts (RFC 6647)")
    greylist_seconds: int = Field(300, ge=1, le=86_400, description="how long")
    greylist_retry_seconds: int = Field(
        2 * 86_400, ge=60, le=30 * 86_400, description="within which it must come back"
    )
    greylist_pass_seconds: int = Field(
        36 * 86_400, ge=60, le=365 * 86_400, description="how long who came back is known"
    )

    rate_connections: str = Field("", description="N/SECONDS of an address")
    rate_messages: str = Field("", description="N/SECONDS of an address")
    rate_recipients: str = Field("", description="N/SECONDS of an address")
    rate_sender_messages: str = Field("", description="N/SECONDS of a reverse-path")
    rate_recipient_messages: str = Field("", description="N/SECONDS to a recipient, from outside")
    rate_account_messages: str = Field("", description="N/SECONDS of who signed in")
    rate_account_recipients: str = Field("", description="N/SECONDS of who signed in")
    concurrency_address: int = Field(
        0, ge=0, description="messages of an address under way in a replica; 0: any number"
    )
    concurrency_sender: int = Field(0, ge=0, description="the same of a reverse-path")
    concurrency_recipient: int = Field(0, ge=0, description="the same to a recipient")
    screening_failing: Failing = Field(
        Failing.ACCEPT, description="while the store can't be asked for greylists and rates"
    )

    milters: str = Field(
        "",
        description="[name=]host:port or [name=]unix:/path, each [;accept|;tempfail], in order",
    )
    junk_fields: str = Field(
        "X-Spam-Flag: YES,X-Spam-Status: Yes,X-Spam: Yes",
        description="how a field begins that says junk, where a milter adds it; comma separated",
    )
    milter_connect_seconds: float = Field(10.0, gt=0, le=300)
    milter_command_seconds: float = Field(30.0, gt=0, le=3_600)
    milter_content_seconds: float = Field(300.0, gt=0, le=3_600, description="for its last word")
    milter_connections: int = Field(1_000, ge=1, description="to each, at a time")
    rspamd_url: str = Field("", description="http://host:port of rspamd; empty: none")
    rspamd_password: SecretStr = Field(SecretStr(""), description="of its worker, where it has one")
    rspamd_seconds: float = Field(30.0, gt=0, le=600)
    rspamd_failing: Failing = Field(Failing.TEMPFAIL, description="while it is away")
    rspamd_reject: Spam = Field(
        Spam.REFUSE, description='what becomes of what it would "reject": refuse or junk'
    )
    rspamd_malware: str = Field(
        "CLAM_VIRUS,CLAM_VIRUS_*,ESET_VIRUS,FPROT_VIRUS,SOPHOS_VIRUS,KASPERSKY_VIRUS,"
        "KASPERSKY_SE_VIRUS,AVAST_VIRUS,SAVAPI_VIRUS,VIRUSTOTAL_VIRUS",
        description="symbols that say malware, which is always refused",
    )
    filter_submission: bool = Field(
        True, description="milters and rspamd see mail of our people too"
    )
    filter_bytes: int = Field(
        64 * 1024 * 1024, ge=0, description="the largest message that milters and rspamd see"
    )

    @field_validator("authserv_id", "arc_domain")
    @classmethod
    def _check_domain(cls, value: str) -> str:
        if value and not _DOMAIN.fullmatch(value):
            raise ValueError("not a domain")
        return value.lower()

    @field_validator("check_exempt_networks")
    @classmethod
    def _check_networks_of_checks(cls, value: str) -> str:
        parse_networks(value)
        return value

    @field_validator("dnsbls", "dnsbl_domains")
    @classmethod
    def _check_blocklists(cls, value: str) -> str:
        parse_blocklists(value)
        return value

    @field_validator(
        "rate_connections",
        "rate_messages",
        "rate_recipients",
        "rate_sender_messages",
        "rate_recipient_messages",
        "rate_account_messages",
        "rate_account_recipients",
    )
    @classmethod
    def _check_rate(cls, value: str) -> str:
        parse_rate(value)
        return value

    @field_validator("milters")
    @classmethod
    def _check_milters(cls, value: str) -> str:
        parse_milters(value)
        return value

    @field_validator("rspamd_url")
    @classmethod
    def _check_rspamd(cls, value: str) -> str:
        parts = urlsplit(value)
        if value and (parts.scheme != "http" or not parts.hostname or parts.query):
            raise ValueError("not http://host:port")
        return value

    @model_validator(mode="after")
    def _check_dnsbl(self) -> CheckSettings:
        if self.dnsbl_junk and self.dnsbl_junk >= self.dnsbl_refuse:
            raise ValueError("dnsbl_junk is to be less than dnsbl_refuse")
        return self

    @property
    def exempt(self) -> tuple[Network, ...]:
        return parse_networks(self.check_exempt_networks)

    @property
    def trusted_sealers(self) -> tuple[str, ...]:
        return _listed(self.arc_trusted.lower())

    @property
    def junk_marks(self) -> tuple[str, ...]:
        return _listed(self.junk_fields.lower())

    @property
    def malware_symbols(self) -> tuple[str, ...]:
        return _listed(self.rspamd_malware)


def parse_blocklists(text: str) -> tuple[Blocklist, ...]:
    """Raises ValueError."""
    return tuple(map(_blocklist, _listed(text)))


def _blocklist(text: str) -> Blocklist:
    found = _LIST.fullmatch(text)
    if found is None or not _DOMAIN.fullmatch(found[1]):
        raise ValueError(f"{text}: not zone[=low-high][*weight]")
    low, high = USUAL
    if found[2]:
        first, _, last = found[2].partition("-")
        low, high = IPv4Address(first), IPv4Address(last or first)
    weight = int(found[3] or 1)
    if not weight or low > high:
        raise ValueError(f"{text}: it can't count")
    return Blocklist(found[1].lower(), low, high, weight)


def parse_rate(text: str) -> Rate | None:
    """Raises ValueError; None: there is none."""
    if not text:
        return None
    found = _RATE.fullmatch(text)
    if found is None or not int(found[1]) or not 1 <= int(found[2]) <= 86_400:
        raise ValueError("not N/SECONDS, of a day at most")
    return Rate(int(found[1]), int(found[2]))


def parse_milters(text: str) -> tuple[MilterAddress, ...]:
    """Raises ValueError."""
    milters = tuple(map(_milter, _listed(text)))
    if len({each.name for each in milters}) < len(milters):
        raise ValueError("two milters have one name")
    return milters


def _milter(text: str) -> MilterAddress:
    found = _MILTER.fullmatch(text)
    if found is None or int(found[4] or 1) not in range(1, 65_536):
        raise ValueError(f"{text}: not host:port or unix:/path")
    host = (found[3] or "").strip("[]")
    if ":" in host:
        ip_address(host)
    return MilterAddress(
        found[1] or found[2] or f"{found[3]}:{found[4]}",
        found[2] or "",
        host,
        int(found[4] or 0),
        Failing(found[5] or "tempfail"),
    )


def _listed(text: str) -> tuple[str, ...]:
    return tuple(filter(None, (each.strip() for each in text.split(","))))
