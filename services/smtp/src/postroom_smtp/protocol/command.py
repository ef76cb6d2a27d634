"""The arguments of MAIL, RCPT and AUTH.

RFC 5321 section 4.1.1, RFC 1870 (SIZE), RFC 6152 (BODY), RFC 6531 (SMTPUTF8), RFC 4954 (AUTH).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from postroom_smtp.protocol import reply
from postroom_smtp.protocol.path import NULL, Path, PathFault, parse_path, parse_postmaster
from postroom_smtp.protocol.reply import Refused

# RFC 5321 section 4.5.3.1.4 has 512 octets and lets extensions add to it (SIZE 26, SMTPUTF8 10,
# AUTH 500); longer paths are no harm.
COMMAND_LIMIT = 4096
# RFC 4954 section 4: what a peer must be able to take in one line of an exchange.
SASL_LIMIT = 12_288

_PARAMETER = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-<>-~]+))?")
_SIZE = re.compile(r"[0-9]{1,20}")
_MECHANISM = re.compile(r"[A-Z0-9_-]{1,20}")  # RFC 4422 section 3.1

POSTMASTER = Path("postmaster")


@dataclass(frozen=True, slots=True)
class Mail:
    """MAIL FROM.

    Attributes:
        size: as declared, in octets; 0 where it isn't.
        smtputf8: the message may have UTF-8 in its header and addresses.
    """

    sender: Path
    size: int = 0
    smtputf8: bool = False


@dataclass(frozen=True, slots=True)
class SaslStart:
    """AUTH with a mechanism; `initial` is in base64 still."""

    mechanism: str
    initial: str | None


def parse_mail(argument: str | None, *, extended: bool, signing_in: bool) -> Mail:
    """What MAIL takes.

    Args:
        extended: the client said EHLO, so there may be parameters.
        signing_in: AUTH is offered, so that its parameter is taken; what it says is not trusted
            (RFC 4954 section 5).

    Raises Refused.
    """
    text = _after(argument, "FROM:")
    try:
        sender, rest = parse_path(text)
    except PathFault as fault:
        raise Refused(reply.BAD_SENDER) from fault
    parameters = _parse_parameters(rest, extended)
    parameters.pop("AUTH", None) if signing_in else None
    mail = Mail(
        sender, _size(parameters.pop("SIZE", "0")), _flag(parameters.pop("SMTPUTF8", "absent"))
    )
    if str(parameters.pop("BODY", "7BIT")).upper() not in ("7BIT", "8BITMIME"):
        raise Refused(reply.BAD_ARGUMENTS)
    if parameters:
        raise Refused(reply.UNKNOWN_PARAMETER)
    if not sender.ascii and not mail.smtputf8:
        raise Refused(reply.NOT_ASCII)
    return mail


def parse_rcpt(argument: str | None, *, extended: bool) -> Path:
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
    if _parse_parameters(rest, extended):
        raise Refused(reply.UNKNOWN_PARAMETER)
    return recipient


def parse_auth(argument: str | None) -> SaslStart:
    """What AUTH takes (RFC 4954 section 4). Raises Refused."""
    words = (argument or "").split()
    if not 1 <= len(words) <= 2:
        raise Refused(reply.BAD_ARGUMENTS)
    mechanism = words[0].upper()
    if not _MECHANISM.fullmatch(mechanism):
        raise Refused(reply.NO_MECHANISM)
    return SaslStart(mechanism, words[1] if len(words) == 2 else None)


def _after(argument: str | None, keyword: str) -> str:
    """What follows FROM: or TO:, with the blank that many clients put there."""
    if argument is None or argument[: len(keyword)].upper() != keyword:
        raise Refused(reply.BAD_ARGUMENTS)
    return argument[len(keyword) :].lstrip(" ")


def _parse_parameters(text: str, extended: bool) -> dict[str, str | None]:
    found: dict[str, str | None] = {}
    words = text.split(" ")
    if words[0]:
        raise Refused(reply.BAD_ARGUMENTS)
    for word in filter(None, words):
        parameter = _PARAMETER.fullmatch(word)
        if parameter is None or parameter[1].upper() in found:
            raise Refused(reply.BAD_ARGUMENTS)
        found[parameter[1].upper()] = parameter[2]
    if found and not extended:
        raise Refused(reply.UNKNOWN_PARAMETER)
    return found


def _size(value: str | None) -> int:
    if value is None or not _SIZE.fullmatch(value):
        raise Refused(reply.BAD_ARGUMENTS)
    return int(value)


def _flag(value: str | None) -> bool:
    if value not in (None, "absent"):
        raise Refused(reply.BAD_ARGUMENTS)
    return value is None
