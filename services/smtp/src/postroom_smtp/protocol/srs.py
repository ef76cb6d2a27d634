"""The Sender Rewriting Scheme: reverse-paths of what is forwarded (SRS, as libsrs2 and postsrsd
write it), and of what is sent to many by name (VERP, as qmail and Postfix write it).

Who forwards a message sends it as an address of its own, so that SPF holds. What comes back to that
address goes to the sender: the address says who that is, when it was made, and by a hash that it
was made here. Only what is younger than `MOST_DAYS` is believed, so that nobody can use the address
for ever.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass

MOST_DAYS = 21
HASH_CHARACTERS = 8  # of base32: 40 bits, which nobody tries by RCPT
MOST_LOCAL = 255  # octets; what is longer isn't rewritten (RFC 5321 section 4.5.3.1.1 has 64)

_BASE32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_DAY = 24 * 3600
_DAYS = 1024  # after which days are numbered anew: two characters
_MARKS = "=+-"


class Forged(Exception):
    """An address that looks like one of ours, and isn't, or isn't any more."""


@dataclass(frozen=True, slots=True)
class Rewriting:
    """Makes such addresses, and reads them.

    Args:
        domain: of ours, in which bounces come back.
        secrets: the first one makes hashes; all of them are believed, so that one can be changed.
    """

    domain: str
    secrets: Sequence[bytes]

    def forward(self, sender: str, now: float) -> str:
        """The reverse-path of a forwarded message. The null one, our own and what would be too
        long stay as they are.
        """
        local, _, domain = sender.rpartition("@")
        if not local or domain.lower() == self.domain.lower():
            return sender
        written = self._again(local, domain) or self._first(local, domain, now)
        return f"{written}@{self.domain}" if len(written.encode()) <= MOST_LOCAL else sender

    def reverse(self, address: str, now: float) -> str | None:
        """Who is meant by an address to which a bounce comes; None: it is no such address.

        Raises Forged.
        """
        local, _, domain = address.rpartition("@")
        if domain.lower() != self.domain.lower() or local[4:5] not in tuple(_MARKS):
            return None
        match local[:4].upper():
            case "SRS0":
                parts = local[5:].split("=", 3)
                self._check(parts, 4)
                _check_day(parts[1], now)
                return f"{parts[3]}@{parts[2]}"
            case "SRS1":
                parts = local[5:].split("=", 2)
                self._check(parts, 3)
                if parts[2][:1] not in tuple(_MARKS):
                    raise Forged
                return f"SRS0{parts[2]}@{parts[1]}"
        return None

    def _first(self, local: str, domain: str, now: float) -> str:
        day = int(now // _DAY) % _DAYS
        text = f"{_BASE32[day >> 5]}{_BASE32[day & 31]}={domain}={local}"
        return f"SRS0={self._hash(self.secrets[0], text)}={text}"

    def _again(self, local: str, domain: str) -> str | None:
        """For what was rewritten before: the first who did that is kept, and only he."""
        if local[4:5] not in tuple(_MARKS):
            return None
        if local[:4].upper() == "SRS0":
            text = f"{domain}={local[4:]}"
        elif local[:4].upper() == "SRS1" and local[5:].count("=") >= 2:
            text = local[5:].split("=", 1)[1]
        else:
            return None
        return f"SRS1={self._hash(self.secrets[0], text)}={text}"

    def _check(self, parts: Sequence[str], wanted: int) -> None:
        if len(parts) != wanted or not all(parts):
            raise Forged
        text = "=".join(parts[1:])
        # Servers on the way may have changed the case of a local part, though they may not.
        said = parts[0].upper().encode()
        if not any(
            hmac.compare_digest(self._hash(secret, text).encode(), said) for secret in self.secrets
        ):
            raise Forged

    def _hash(self, secret: bytes, text: str) -> str:
        made = hmac.new(secret, text.lower().encode(), hashlib.sha256).digest()
        return base64.b32encode(made)[:HASH_CHARACTERS].decode()


def verp(sender: str, recipient: str, delimiters: str = "+=") -> str:
    """A reverse-path that says to whom a message went: `list+ann=example.org@here.example`.

    Args:
        delimiters: before the recipient, and in place of its @ (Postfix's XVERP).
    """
    local, at, domain = sender.rpartition("@")
    user, _, place = recipient.rpartition("@")
    if not at or not user:
        return sender
    return f"{local}{delimiters[0]}{user}{delimiters[1]}{place}@{domain}"


def read_verp(address: str, delimiters: str = "+=") -> tuple[str, str] | None:
    """The sender and the recipient of such a reverse-path; None: it is none."""
    local, at, domain = address.rpartition("@")
    owner, first, rest = local.partition(delimiters[0])
    user, second, place = rest.rpartition(delimiters[1])
    if not (at and owner and first and user and second and place):
        return None
    return f"{owner}@{domain}", f"{user}@{place}"


def _check_day(written: str, now: float) -> None:
    digits = [_BASE32.find(character) for character in written.upper()]
    if len(digits) != 2 or min(digits) < 0:
        raise Forged
    age = (int(now // _DAY) - (digits[0] << 5 | digits[1])) % _DAYS
    # One day off for clocks that differ.
    if age > MOST_DAYS and age != _DAYS - 1:
        raise Forged
