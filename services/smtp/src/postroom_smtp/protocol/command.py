"""The arguments of commands: RFC 5321 section 4.1.1 and its extensions. Parameters of MAIL and RCPT
are in `parameter`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from postroom_smtp.protocol import parameter, reply, xtext
from postroom_smtp.protocol.envelope import NOTHING_ASKED, Notify, Request
from postroom_smtp.protocol.keyword import Offer
from postroom_smtp.protocol.parameter import Asked, read_parameters
from postroom_smtp.protocol.path import NULL, Path, PathFault, parse_path, parse_postmaster
from postroom_smtp.protocol.reply import Refused

# RFC 5321 section 4.5.3.1.4 has 512 octets and lets extensions add to it (SIZE 26, SMTPUTF8 10,
# AUTH 500, DSN 107 and 500, SOLICIT 1,000); longer paths are no harm.
COMMAND_LIMIT = 4096
# RFC 4954 section 4: what a peer must be able to take in one line of an exchange.
SASL_LIMIT = 12_288

_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")  # RFC 4422 section 3.1
_CHUNK = re.compile(r"([0-9]{1,18})(?: +(LAST))?", re.IGNORECASE)
_URL = re.compile(r"(imap://[!-~]+)(?: +(LAST))?", re.IGNORECASE)
_NODE = re.compile(r"([@#]?)([A-Za-z0-9](?:[A-Za-z0-9._\-]{0,253}[A-Za-z0-9])?)")
_ATTRIBUTE = re.compile(r"([A-Za-z]+)=([!-~]+)")
_UNKNOWN = ("[UNAVAILABLE]", "[TEMPUNAVAIL]")

POSTMASTER = Path("postmaster")


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM.

    Attributes:
        size: as declared, in octets; 0 where it isn't.
        solicits: what kinds of solicitation it says it is (RFC 3865), in lower case.
        verp: the delimiters of each recipient's own reverse-path; empty: all have one.
    """

    sender: Path
    size: int = 0
    request: Request = NOTHING_ASKED
    solicits: frozenset[str] = frozenset()
    verp: str = ""

    @property
    def smtputf8(self) -> bool:
        """Whether the message may have UTF-8 in its header and addresses."""
        return self.request.smtputf8


@dataclass(frozen=True, slots=True)
class Rcpt:
    """RCPT TO. See envelope.Recipient."""

    path: Path
    original: str = ""
    notify: frozenset[Notify] = frozenset()


@dataclass(frozen=True, slots=True)
class Mailbox:
    """VRFY and EXPN.

    Attributes:
        smtputf8: the client understands addresses beyond ASCII (RFC 6531 section 3.7.4.2).
    """

    path: Path
    smtputf8: bool


@dataclass(frozen=True, slots=True)
class SaslStart:
    """AUTH with a mechanism; `initial` is in base64 still."""

    mechanism: str
    initial: str | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """BDAT (RFC 3030 section 2)."""

    size: int
    last: bool


@dataclass(frozen=True, slots=True)
class Url:
    """BURL (RFC 4468 section 3.1)."""

    url: str
    last: bool


@dataclass(frozen=True, slots=True)
class Node:
    """ETRN (RFC 1985 section 5.3)."""

    domain: str
    subdomains: bool


@dataclass(frozen=True, slots=True)
class Substitute:
    """XCLIENT: who the client of a proxy is. None: nothing is said of it; empty: unknown."""

    address: str | None = None
    port: int | None = None
    name: str | None = None
    extended: bool | None = None


def parse_mail(argument: str | None, offered: Offer, now: int) -> Mail:
    """What MAIL takes.

    Args:
        offered: what EHLO has told, so that there may be parameters.
        now: Unix seconds.

    Raises Refused.
    """
    text = _after(argument, "FROM:")
    try:
        sender, rest = parse_path(text)
    except PathFault as fault:
        raise Refused(reply.BAD_SENDER) from fault
    asked = Asked(now, offered)
    if rest:
        read_parameters(rest, parameter.MAIL, asked)
    if not sender.ascii and not asked.smtputf8:
        raise Refused(reply.NOT_ASCII)
    return Mail(sender, asked.size, _request(asked), asked.solicits, asked.verp)


def _request(asked: Asked) -> Request:
    if asked.seen <= {"SIZE", "AUTH", "SOLICIT", "XVERP"}:
        return NOTHING_ASKED
    # RFC 4865 section 5: what is held until it is late already makes no sense.
    if asked.hold_until and asked.deliver_by and asked.deliver_by <= asked.hold_until:
        raise Refused(reply.BAD_ARGUMENTS)
    return Request(
        ret=asked.ret,
        envid=asked.envid,
        require_tls=asked.require_tls,
        smtputf8=asked.smtputf8,
        body=asked.body,
        hold_until=asked.hold_until if asked.hold_until > asked.now else 0,
        deliver_by=asked.deliver_by,
        by_returns=asked.by_returns,
        priority=asked.priority,
    )


def parse_rcpt(argument: str | None, offered: Offer) -> Rcpt:
    """What RCPT takes; POSTMASTER where that is all it says. Raises Refused."""
    text = _after(argument, "TO:")
    recipient, rest = POSTMASTER, parse_postmaster(text)
    if rest is None:
        try:
            recipient, rest = parse_path(text)
        except PathFault as fault:
            raise Refused(reply.BAD_RECIPIENT) from fault
    if recipient == NULL:
        raise Refused(reply.BAD_RECIPIENT)
    if not rest:
        return Rcpt(recipient)
    asked = read_parameters(rest, parameter.RCPT, Asked(0, offered))
    return Rcpt(recipient, asked.original, asked.notify)


def parse_mailbox(argument: str) -> Mailbox:
    """Whom VRFY and EXPN ask for, with angle brackets or without. Raises Refused."""
    text, utf8, rest = argument.partition(" SMTPUTF8")
    try:
        path, behind = parse_path(text if text.startswith("<") else f"<{text}>")
    except PathFault as fault:
        raise Refused(reply.BAD_ARGUMENTS) from fault
    if rest or behind or path == NULL:
        raise Refused(reply.BAD_ARGUMENTS)
    return Mailbox(path, bool(utf8))


def parse_auth(argument: str | None) -> SaslStart:
    """What AUTH takes (RFC 4954 section 4). Raises Refused."""
    words = (argument or "").split()
    if not 1 <= len(words) <= 2:
        raise Refused(reply.BAD_ARGUMENTS)
    mechanism = words[0].upper()
    if not _MECHANISM.fullmatch(mechanism):
        raise Refused(reply.NO_MECHANISM)
    return SaslStart(mechanism, words[1] if len(words) == 2 else None)


def parse_chunk(argument: str | None) -> Chunk:
    """What BDAT takes. Raises Refused: nobody knows then where the next command begins."""
    found = _CHUNK.fullmatch(argument or "")
    if found is None:
        raise Refused(reply.BAD_ARGUMENTS)
    return Chunk(int(found[1]), found[2] is not None)


def parse_url(argument: str | None) -> Url:
    """What BURL takes. Raises Refused."""
    found = _URL.fullmatch(argument or "")
    if found is None:
        raise Refused(reply.BAD_ARGUMENTS)
    return Url(found[1], found[2] is not None)


def parse_node(argument: str | None) -> Node:
    """What ETRN takes. Raises Refused."""
    found = _NODE.fullmatch(argument or "")
    if found is None:
        raise Refused(reply.BAD_ARGUMENTS)
    if found[1] == "#":  # a queue by its name, and ours have none
        raise Refused(reply.NODE_NOT_ALLOWED)
    return Node(found[2].lower(), found[1] == "@")


def parse_substitute(argument: str | None) -> Substitute:
    """What XCLIENT takes. Raises Refused."""
    said: dict[str, str] = {}
    for word in (argument or "").split():
        found = _ATTRIBUTE.fullmatch(word)
        if found is None or found[1].upper() not in SUBSTITUTED:
            raise Refused(reply.BAD_ARGUMENTS)
        said[found[1].upper()] = "" if found[2].upper() in _UNKNOWN else _attribute(found[2])
    if not said:
        raise Refused(reply.BAD_ARGUMENTS)
    try:
        return Substitute(
            _address(said["ADDR"]) if "ADDR" in said else None,
            int(said["PORT"] or 0) if "PORT" in said else None,
            said.get("HELO"),
            _extended(said["PROTO"]) if "PROTO" in said else None,
        )
    except ValueError as error:
        raise Refused(reply.BAD_ARGUMENTS) from error


# LOGIN is not among them: a name proves nothing, and people sign in here.
SUBSTITUTED = ("NAME", "ADDR", "PORT", "PROTO", "HELO")


def _attribute(value: str) -> str:
    try:
        text = xtext.decode(value)
    except ValueError as error:
        raise Refused(reply.BAD_ARGUMENTS) from error
    if not text.isprintable() or " " in text:
        raise Refused(reply.BAD_ARGUMENTS)
    return text


def _address(value: str) -> str:
    if not value:
        return ""
    if value[:5].upper() == "IPV6:":
        return str(ipaddress.IPv6Address(value[5:]))
    return str(ipaddress.ip_address(value))


def _extended(value: str) -> bool:
    if value.upper() not in ("", "SMTP", "ESMTP"):
        raise ValueError(value)
    return value.upper() != "SMTP"


def _after(argument: str | None, keyword: str) -> str:
    """What follows FROM: or TO:, with the blank that many clients put there."""
    if argument is None or argument[: len(keyword)].upper() != keyword:
        raise Refused(reply.BAD_ARGUMENTS)
    return argument[len(keyword) :].lstrip(" ")
