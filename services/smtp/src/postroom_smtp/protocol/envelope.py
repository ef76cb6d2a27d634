"""What travels beside a message: who sends it, who gets it, and what they ask for (RFC 5321 section
2.3.1, and the extensions of MAIL and RCPT).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Return(Enum):
    """What of a message a notice of its failure has in it (RFC 3461 section 4.3)."""

    FULL = "FULL"
    HEADERS = "HDRS"


class Notify(Enum):
    """When the sender wants to hear of a recipient (RFC 3461 section 4.1). NEVER stands alone."""

    NEVER = "NEVER"
    SUCCESS = "SUCCESS"
    FAILURE = "FAILURE"
    DELAY = "DELAY"


class Body(Enum):
    """What a message is made of (RFC 6152, RFC 3030)."""

    SEVEN_BIT = "7BIT"
    EIGHT_BIT = "8BITMIME"
    BINARY = "BINARYMIME"


@dataclass(frozen=True, slots=True)
class Request:
    """What a sender asks for a message.

    Attributes:
        ret: None leaves it to whoever reports.
        envid: RFC 3461 section 4.4, without its xtext; empty for none.
        require_tls: RFC 8689.
        hold_until: RFC 4865, Unix seconds; 0: send at once.
        deliver_by: RFC 2852, Unix seconds; 0: no matter when.
        by_returns: what is late comes back; otherwise the sender is told, and it goes on.
        priority: RFC 6710, -9 to 9.
        tls_optional: RFC 8689 section 5; never beside `require_tls`.
    """

    ret: Return | None = None
    envid: str = ""
    require_tls: bool = False
    smtputf8: bool = False
    body: Body = Body.SEVEN_BIT
    hold_until: int = 0
    deliver_by: int = 0
    by_returns: bool = False
    priority: int = 0
    tls_optional: bool = False


NOTHING_ASKED = Request()


@dataclass(frozen=True, slots=True)
class Recipient:
    """Who gets a message.

    Attributes:
        original: RFC 3461's ORCPT, its type and its address without xtext
            ("rfc822;ann@example.org"); empty for none.
        notify: empty: of failures, and of delays where those are told.
        sender: this recipient's own reverse-path (SRS); None: the message's.
    """

    address: str
    original: str = ""
    notify: frozenset[Notify] = frozenset()
    sender: str | None = None

    def __post_init__(self) -> None:
        if Notify.NEVER in self.notify and len(self.notify) > 1:
            raise ValueError("NEVER stands alone (RFC 3461 section 4.1)")
