"""What a domain asks of those who send to it: MTA-STS (RFC 8461), without I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

MOST_OCTETS = (
    64 * 1024
)  # of a policy; what is longer is none (RFC 8461 section 3.3 leaves it to us)
MOST_HOSTS = 100
MOST_AGE = 31_557_600  # seconds: a year (RFC 8461 section 3.2)

_PAIR = re.compile(r"\s*([A-Za-z0-9][A-Za-z0-9_.-]{0,31})\s*=\s*([!-:<>-~]+)\s*")
_LINE = re.compile(r"([A-Za-z0-9][A-Za-z0-9_.-]{0,31}):(.*)")
_ID = re.compile(r"[A-Za-z0-9]{1,32}")
_HOST = re.compile(r"(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?")


class Mode(StrEnum):
    """RFC 8461 section 5."""

    ENFORCE = "enforce"
    TESTING = "testing"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Policy:
    """A domain's policy.

    Attributes:
        hosts: names that its servers may have, the first label perhaps "*".
        max_age: for how many seconds it holds.
    """

    mode: Mode
    hosts: tuple[str, ...]
    max_age: int

    def allows(self, host: str) -> bool:
        """Whether a server may be one of the domain's (RFC 8461 section 4.1)."""
        host = host.lower().removesuffix(".")
        _, _, rest = host.partition(".")
        return any(
            own == host or (own.startswith("*.") and rest != "" and own[2:] == rest)
            for own in self.hosts
        )


def read_record(texts: Sequence[bytes]) -> str | None:
    """The id in the TXT records of `_mta-sts`; None where there is no record, or not one alone
    (RFC 8461 section 3.1).
    """
    records = [text for text in texts if re.match(rb"v=STSv1\s*;", text)]
    if len(records) != 1:
        return None
    pairs = [_PAIR.fullmatch(each) for each in records[0].decode("ascii", "replace").split(";")]
    ids = [pair[2] for pair in pairs if pair is not None and pair[1] == "id"]
    return ids[0] if ids and _ID.fullmatch(ids[0]) else None


def read_policy(content: bytes) -> Policy | None:
    """A policy as it is fetched; None where it is none (RFC 8461 section 3.2)."""
    found: dict[str, str] = {}
    hosts: list[str] = []
    for line in content.decode("utf-8", "replace").splitlines():
        pair = _LINE.fullmatch(line)
        if pair is None:
            if line.strip():
                return None
        elif pair[1] == "mx":
            hosts.append(pair[2].strip(" \t").lower().removesuffix("."))
        else:
            found.setdefault(pair[1], pair[2].strip(" \t"))  # the first of a name holds
    mode, age = found.get("mode", ""), found.get("max_age", "")
    if (
        found.get("version") != "STSv1"
        or mode not in set(Mode)
        or not re.fullmatch(r"\d{1,10}", age)
    ):
        return None
    if len(hosts) > MOST_HOSTS or not all(_HOST.fullmatch(host) for host in hosts):
        return None
    if not hosts and mode != Mode.NONE:
        return None
    return Policy(Mode(mode), tuple(hosts), min(int(age), MOST_AGE))
