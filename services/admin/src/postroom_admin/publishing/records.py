"""What a domain is to publish, so that mail finds it and what it sends is believed.

Records are worked out of few facts: the domain, the hosts that take its mail, the networks that
send it beside them, and its keys. Names are in A-labels, without the last dot.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_network

import idna
from postroom_chassis.errors import Kind, PostroomError

from postroom_admin.model import DkimKey, KeyState

TTL = 3600
STRING_OCTETS = 255  # of one string of a TXT record (RFC 1035 section 3.3.14)
STS_MAX_AGE = 604_800  # a week; RFC 8461 section 3.2 takes up to a year
STS_ID_CHARACTERS = 20
NAME_OCTETS = 253
HOSTS = 10
NETWORKS = 20
# RFC 6186 section 3, RFC 8314 section 5.1: TLS from the start is preferred.
SERVICES = (
    ("_submissions._tcp", 0, 465),
    ("_submission._tcp", 10, 587),
    ("_imaps._tcp", 0, 993),
    ("_imap._tcp", 10, 143),
    ("_pop3s._tcp", 20, 995),
    ("_pop3._tcp", 30, 110),
)


class Purpose(StrEnum):
    """What a record is for."""

    MX = "MX"
    ADDRESS = "address"
    SPF = "SPF"
    DKIM = "DKIM"
    DMARC = "DMARC"
    MTA_STS = "MTA-STS"
    TLS_RPT = "TLS-RPT"
    AUTOCONFIG = "autoconfig"


class StsMode(StrEnum):
    """RFC 8461 section 3.2."""

    TESTING = "testing"
    ENFORCE = "enforce"


class DmarcPolicy(StrEnum):
    """RFC 7489 section 6.3."""

    NONE = "none"
    QUARANTINE = "quarantine"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Record:
    """A record that is to be published.

    Attributes:
        kind: of the DNS.
        value: as in a zone file, of a TXT its text; empty: known to whoever runs the host alone.
        needed: without it mail is lost, refused or not believed.
        key: whose record it is.
    """

    purpose: Purpose
    name: str
    kind: str
    value: str
    why: str
    needed: bool = True
    key: DkimKey | None = None

    @property
    def line(self) -> str:
        """The record in a zone file (RFC 1035 section 5.1)."""
        written = {"TXT": quoted, "MX": _rooted, "SRV": _rooted, "CNAME": _rooted}
        value = written[self.kind](self.value)
        return f"{self.name}. {TTL} IN {self.kind} {value}"


@dataclass(frozen=True, slots=True)
class Setup:
    """What the records are worked out of.

    Attributes:
        hosts: that take the domain's mail and send it, the first one first.
        networks: that send mail of it, too, as mechanisms of SPF.
        reports: address that gets reports.

    Raises:
        PostroomError: INVALID where one of them can't be.
    """

    domain: str
    hosts: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    reports: str = ""
    dmarc: DmarcPolicy = DmarcPolicy.NONE
    sts: StsMode = StsMode.TESTING

    @classmethod
    def of(
        cls,
        domain: str,
        hosts: Sequence[str] = (),
        networks: Sequence[str] = (),
        reports: str = "",
        dmarc: DmarcPolicy = DmarcPolicy.NONE,
        sts: StsMode = StsMode.TESTING,
    ) -> Setup:
        """A setup out of what somebody typed; what is left out is as it mostly is."""
        name = host_name(domain)
        if len(hosts) > HOSTS or len(networks) > NETWORKS:
            raise PostroomError(
                Kind.INVALID, f"at most {HOSTS} hosts and {NETWORKS} networks go into records"
            )
        return cls(
            name,
            tuple(host_name(host) for host in hosts) or (f"mail.{name}",),
            tuple(_network(text) for text in networks),
            _mailbox(reports or f"postmaster@{name}"),
            dmarc,
            sts,
        )

    @property
    def sts_policy(self) -> str:
        """The text at https://mta-sts.DOMAIN/.well-known/mta-sts.txt (RFC 8461 section 3.2)."""
        lines = ["version: STSv1", f"mode: {self.sts}"]
        lines += [f"mx: {host}" for host in self.hosts]
        return "\r\n".join([*lines, f"max_age: {STS_MAX_AGE}", ""])

    @property
    def sts_id(self) -> str:
        """Another one for every policy (RFC 8461 section 3.1)."""
        digest = hashlib.sha256(self.sts_policy.encode()).hexdigest()
        return digest[:STS_ID_CHARACTERS]


def records(setup: Setup, keys: Sequence[DkimKey]) -> list[Record]:
    """All that a domain is to publish, what matters most first."""
    return [*_mx(setup), *_spf(setup), *_dkim(setup, keys), *_policies(setup), *_services(setup)]


def key_record(key: DkimKey) -> Record:
    """What tells of a key (RFC 6376 section 3.6.2)."""
    why = {
        KeyState.NEW: "a key that is to sign once this is published",
        KeyState.ACTIVE: "the key that signs mail",
        KeyState.RETIRED: "a key that no longer signs, for mail that is still under way",
    }
    name = f"{key.selector}._domainkey.{host_name(key.domain)}"
    needed = key.state is KeyState.ACTIVE
    return Record(Purpose.DKIM, name, "TXT", key.record, why[key.state], needed, key)


def quoted(text: str) -> str:
    """A text as the strings of a TXT record."""
    escaped = [one if one not in '"\\' else f"\\{one}" for one in text]
    pieces = (
        "".join(escaped[at : at + STRING_OCTETS]) for at in range(0, len(text), STRING_OCTETS)
    )
    return " ".join(f'"{piece}"' for piece in pieces) or '""'


def host_name(text: str) -> str:
    """A name in A-labels and lower case, without the last dot. Raises PostroomError INVALID."""
    try:
        name = idna.encode(text.strip().removesuffix("."), uts46=True).decode("ascii").lower()
    except (idna.IDNAError, UnicodeError):
        name = ""
    if not name or len(name) > NAME_OCTETS or not re.fullmatch(r"[a-z0-9.-]+", name):
        raise PostroomError(Kind.INVALID, f"{text!r} is no name of a host or domain")
    return name


def _mx(setup: Setup) -> Iterator[Record]:
    for position, host in enumerate(setup.hosts):
        value = f"{10 * (position + 1)} {host}"
        yield Record(Purpose.MX, setup.domain, "MX", value, "where its mail goes")


def _spf(setup: Setup) -> Iterator[Record]:
    value = " ".join(["v=spf1", "mx", *setup.networks, "-all"])
    yield Record(Purpose.SPF, setup.domain, "TXT", value, "who may send its mail")


def _dkim(setup: Setup, keys: Sequence[DkimKey]) -> Iterator[Record]:
    for key in keys:
        yield key_record(key)


def _policies(setup: Setup) -> Iterator[Record]:
    domain = setup.domain
    yield Record(
        Purpose.DMARC,
        f"_dmarc.{domain}",
        "TXT",
        f"v=DMARC1; p={setup.dmarc}; rua=mailto:{setup.reports}",
        "what to do with mail that only claims to be of it",
    )
    there = setup.reports.rpartition("@")[2]
    if there != domain and not there.endswith(f".{domain}") and not domain.endswith(f".{there}"):
        yield Record(  # RFC 7489 section 7.1
            Purpose.DMARC,
            f"{domain}._report._dmarc.{there}",
            "TXT",
            "v=DMARC1",
            "that reports on it may be sent there",
            needed=False,
        )
    yield Record(
        Purpose.MTA_STS,
        f"_mta-sts.{domain}",
        "TXT",
        f"v=STSv1; id={setup.sts_id}",
        "that others are to send by TLS alone",
        needed=False,
    )
    yield Record(
        Purpose.MTA_STS,
        f"mta-sts.{domain}",
        "CNAME",
        setup.hosts[0],
        "the web server that has the policy",
        needed=False,
    )
    yield Record(
        Purpose.TLS_RPT,
        f"_smtp._tls.{domain}",
        "TXT",
        f"v=TLSRPTv1; rua=mailto:{setup.reports}",
        "who hears of others' trouble with TLS",
        needed=False,
    )


def _services(setup: Setup) -> Iterator[Record]:
    for service, priority, port in SERVICES:
        yield Record(
            Purpose.AUTOCONFIG,
            f"{service}.{setup.domain}",
            "SRV",
            f"{priority} 1 {port} {setup.hosts[0]}",
            "where mail programs connect",
            needed=False,
        )


def _rooted(value: str) -> str:
    """A value whose last field is a name."""
    return value if value.endswith(".") else f"{value}."


def _network(text: str) -> str:
    """The mechanism of SPF for a network (RFC 7208 section 5.6)."""
    try:
        network = ip_network(text.strip())
        alone = network.prefixlen == network.max_prefixlen
        return f"ip{network.version}:{network.network_address if alone else network}"
    except ValueError:
        raise PostroomError(
            Kind.INVALID, f"{text[:64]!r} is neither an IP address nor a network"
        ) from None


def _mailbox(text: str) -> str:
    local, at, domain = text.strip().rpartition("@")
    # In a mailto: of a record "," "!" and ";" part one from another (RFC 7489 section 6.2).
    if not at or not re.fullmatch(r"[A-Za-z0-9._+=-]{1,64}", local):
        raise PostroomError(Kind.INVALID, f"{text[:64]!r} is no address that takes reports")
    return f"{local}@{host_name(domain)}"
