"""Trace fields: what is put before a message, and how often that has been done (RFC 5321 section
4.4, RFC 3848, RFC 6531 section 4.3).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from functools import lru_cache

_NOT_A_NAME = re.compile(r"[^A-Za-z0-9.:_\[\]\-]")
_RECEIVED = re.compile(rb"^received:", re.IGNORECASE | re.MULTILINE)
_EMPTY_LINE = b"\r\n\r\n"
MOST_NAME = 255  # RFC 5321 section 4.5.3.1.2


@dataclass(frozen=True, slots=True)
class Arrival:
    """How a message came.

    Attributes:
        client_name: what the client calls itself.
        client_address: IP address.
        server_name: what we are called.
        extended: EHLO, not HELO.
        tls: version and cipher, empty in clear text.
        authenticated: the client has signed in.
        smtputf8: the message was sent with SMTPUTF8.
        recipient: the only one, empty where there are several.
        priority: RFC 6710; 0 is not told.
        local: it came by LMTP (RFC 2033).
    """

    client_name: str
    client_address: str
    server_name: str
    message_id: str
    received_at: datetime
    extended: bool = True
    tls: str = ""
    authenticated: bool = False
    smtputf8: bool = False
    recipient: str = ""
    priority: int = 0
    local: bool = False

    @property
    def protocol(self) -> str:
        """The keyword after "with" (RFC 3848; RFC 6531 section 4.3)."""
        if not self.extended:
            return "SMTP"
        if self.local:
            name = "UTF8LMTP" if self.smtputf8 else "LMTP"
        else:
            name = "UTF8SMTP" if self.smtputf8 else "ESMTP"
        return name + "S" * bool(self.tls) + "A" * self.authenticated


def received(arrival: Arrival) -> bytes:
    """The Received field, folded, with its CRLF."""
    name = _NOT_A_NAME.sub("?", arrival.client_name[:MOST_NAME]) or "unknown"
    tls = f"\r\n\t({arrival.tls})" if arrival.tls else ""
    recipient = f"\r\n\tfor <{arrival.recipient}>" if arrival.recipient else ""
    # RFC 6710 section 9: a clause of its own.
    priority = f" priority {arrival.priority}" if arrival.priority else ""
    return (
        f"Received: from {name} ({address_literal(arrival.client_address)})\r\n"
        f"\tby {arrival.server_name} (Postroom) with {arrival.protocol}{tls}\r\n"
        f"\tid {arrival.message_id}{priority}{recipient};\r\n"
        f"\t{_date(arrival.received_at.replace(microsecond=0))}\r\n"
    ).encode()


@lru_cache(maxsize=8)  # many messages come within a second
def _date(moment: datetime) -> str:
    return format_datetime(moment)


def return_path(sender: str) -> bytes:
    """The Return-Path field: who hears of a failure (RFC 5321 section 4.4)."""
    return f"Return-Path: <{sender}>\r\n".encode()


def address_literal(address: str) -> str:
    """RFC 5321 section 4.1.3."""
    return f"[IPv6:{address}]" if ":" in address else f"[{address}]"


def hops(content: bytes) -> int:
    """How many servers a message has passed: its Received fields (RFC 5321 section 6.3)."""
    end = content.find(_EMPTY_LINE)
    return len(_RECEIVED.findall(content if end < 0 else content[:end]))
