"""What a refusal means, as far as it can be told: a table of enhanced codes (RFC 3463), and of what
servers write where these say nothing.
"""

from __future__ import annotations

import re
from enum import StrEnum

from postroom_smtp.protocol.response import Response


class Bounce(StrEnum):
    """Kinds of refusals. Bound to stay few: they are a metric's label."""

    RECIPIENT = "recipient"  # there is no such mailbox
    INACTIVE = "inactive"  # there is, and it takes nothing
    DOMAIN = "domain"  # there is no such domain, or it takes no mail
    FULL = "full"
    GREYLISTED = "greylisted"
    RATE = "rate"  # too much from us
    REPUTATION = "reputation"  # our address or domain is on a list
    SPAM = "spam"  # the content is taken for spam
    MALWARE = "malware"
    AUTHENTICATION = "authentication"  # SPF, DKIM or DMARC, PTR
    POLICY = "policy"  # not allowed, for whatever reason
    SIZE = "size"
    CONTENT = "content"  # something about the message
    TLS = "tls"
    LOOP = "loop"
    NETWORK = "network"  # nobody was reached
    EXPIRED = "expired"
    SERVER = "server"  # something is wrong there
    OTHER = "other"


HARD = frozenset({Bounce.RECIPIENT, Bounce.INACTIVE, Bounce.DOMAIN})
SLOW_DOWN = frozenset({Bounce.RATE})
# What all of a domain's servers say.
EVERYWHERE = SLOW_DOWN | {Bounce.FULL, Bounce.GREYLISTED, Bounce.RECIPIENT, Bounce.INACTIVE}

# What says more than the code with which it comes; the first that is found holds.
_TEXTS: tuple[tuple[Bounce, str], ...] = (
    (Bounce.GREYLISTED, r"gr[ae]y-?list"),
    (Bounce.MALWARE, r"\bvirus|malware|infected|phish"),
    (
        Bounce.REPUTATION,
        r"spamhaus|spamcop|barracuda|sorbs|blocklist|block list|blacklist|dnsbl|\brbl\b|reputation|"
        r"listed (?:at|by|in|on)\b",
    ),
    (
        Bounce.RATE,
        r"rate.?limit|too (?:many|much|fast)\b.{0,40}(?:connection|message|mail|recipient|request|"
        r"sender)|throttl|try(?:ing)? (?:again )?(?:more )?slow|unusual rate|deferred due to|"
        r"temporarily rejected.{0,40}(?:rate|volume)|sending (?:rate|limit)",
    ),
    (Bounce.AUTHENTICATION, r"\bspf\b|\bdkim\b|\bdmarc\b|reverse dns|\bptr\b|unauthenticated"),
    (Bounce.SPAM, r"\bspam|unsolicited|\bbulk\b|junk"),
    (
        Bounce.FULL,
        r"(?:mailbox|inbox|quota|storage|account).{0,40}(?:full|exceed|over|limit)|over.?quota|"
        r"insufficient.{0,20}(?:storage|space)|out of storage",
    ),
    (
        Bounce.INACTIVE,
        r"(?:account|mailbox|user|address|recipient).{0,40}(?:disabled|inactive|suspended|"
        r"deactivated|no longer|expired|locked)",
    ),
    (
        Bounce.RECIPIENT,
        r"(?:user|mailbox|recipient|address|account|alias|person).{0,50}(?:unknown|not? (?:be )?"
        r"(?:found|exist|known|valid|here)|does ?n[o']t exist|invalid|unavailable|rejected)|"
        r"(?:unknown|invalid|no such|no) (?:user|mailbox|recipient|address|account|person)|"
        r"nobody (?:has|here)|doesn'?t have (?:an|a) .{0,20}account",
    ),
    (Bounce.SIZE, r"(?:message|mail|size).{0,30}(?:too (?:large|big|long)|exceed)"),
    (Bounce.TLS, r"starttls|\btls\b|encrypt"),
    (Bounce.POLICY, r"relay|polic(?:y|ies)|not (?:allowed|permitted)|prohibited|denied|blocked"),
)
_COMPILED = tuple((kind, re.compile(pattern, re.IGNORECASE)) for kind, pattern in _TEXTS)

# By subject and detail of the enhanced code. Those that say much stand before any text.
_CERTAIN: dict[str, Bounce] = {
    "1.1": Bounce.RECIPIENT,
    "1.2": Bounce.DOMAIN,
    "1.3": Bounce.RECIPIENT,
    "1.6": Bounce.RECIPIENT,
    "1.10": Bounce.DOMAIN,  # RFC 7505
    "2.1": Bounce.INACTIVE,
    "2.2": Bounce.FULL,
    "2.3": Bounce.SIZE,
    "3.4": Bounce.SIZE,
    "4.1": Bounce.NETWORK,
    "4.2": Bounce.NETWORK,
    "4.3": Bounce.NETWORK,
    "4.4": Bounce.DOMAIN,
    "4.6": Bounce.LOOP,
    "4.7": Bounce.EXPIRED,
    "6.3": Bounce.CONTENT,
    "6.7": Bounce.CONTENT,
    "6.9": Bounce.CONTENT,
    "7.10": Bounce.TLS,
    "7.20": Bounce.AUTHENTICATION,  # RFC 7372
    "7.21": Bounce.AUTHENTICATION,
    "7.22": Bounce.AUTHENTICATION,
    "7.23": Bounce.AUTHENTICATION,
    "7.24": Bounce.AUTHENTICATION,
    "7.25": Bounce.AUTHENTICATION,
    "7.26": Bounce.AUTHENTICATION,
    "7.27": Bounce.AUTHENTICATION,
    "7.28": Bounce.RATE,
    "7.29": Bounce.AUTHENTICATION,
    "7.30": Bounce.TLS,
}
# By subject, where no text says more.
_SUBJECTS: dict[str, Bounce] = {
    "1": Bounce.RECIPIENT,
    "2": Bounce.INACTIVE,
    "3": Bounce.SERVER,
    "4": Bounce.NETWORK,
    "5": Bounce.SERVER,
    "6": Bounce.CONTENT,
    "7": Bounce.POLICY,
}
# By reply code, where there is nothing else (RFC 5321 section 4.2.3).
_CODES: dict[int, Bounce] = {
    421: Bounce.SERVER,
    450: Bounce.GREYLISTED,
    451: Bounce.SERVER,
    452: Bounce.FULL,
    550: Bounce.RECIPIENT,
    551: Bounce.RECIPIENT,
    552: Bounce.FULL,
    553: Bounce.RECIPIENT,
    554: Bounce.POLICY,
    556: Bounce.DOMAIN,
}


def classify(response: Response) -> Bounce:
    """The kind of a refusal."""
    detail = response.enhanced[2:]
    if detail in _CERTAIN and not (response.temporary and _CERTAIN[detail] in HARD):
        return _CERTAIN[detail]
    text = response.text[:512]
    for kind, pattern in _COMPILED:
        if pattern.search(text):
            return kind
    subject = detail.partition(".")[0]
    return _SUBJECTS.get(subject) or _CODES.get(response.code, Bounce.OTHER)
