"""The parameters of MAIL and RCPT, in two tables: by which keyword each is offered, what its value
is like, and what it says.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from postroom_smtp.protocol import reply, xtext
from postroom_smtp.protocol.envelope import Body, Notify, Return
from postroom_smtp.protocol.keyword import Keyword, Offer
from postroom_smtp.protocol.reply import Refused

VERP = "+="  # list+ann=example.org@here.example
MOST_ENVID = 100  # RFC 3461 section 4.4
MOST_ORCPT = 500  # RFC 3461 section 4.2

# RFC 5321 section 4.1.2; a value with "=" is what Postfix's XVERP has alone.
_WORD = re.compile(r"([A-Za-z0-9][A-Za-z0-9\-]*)(?:=([!-~\u00a0-\ud7ff\ue000-\U0010ffff]+))?")
# RFC 6533 section 3: characters beyond ASCII as \x{...}.
_EMBEDDED = re.compile(r"\\x\{([0-9A-F]{1,6})\}")


@dataclass(slots=True)
class Asked:
    """What the parameters of one command say.

    Attributes:
        now: Unix seconds, from which times are counted.
        offered: what the client was told that there is.
        solicits: RFC 3865, in lower case.
        verp: the delimiters of reverse-paths that each recipient gets by itself; empty: none does.
    """

    now: int
    offered: Offer
    size: int = 0
    smtputf8: bool = False
    body: Body = Body.SEVEN_BIT
    ret: Return | None = None
    envid: str = ""
    require_tls: bool = False
    hold_until: int = 0
    deliver_by: int = 0
    by_returns: bool = False
    priority: int = 0
    solicits: frozenset[str] = frozenset()
    verp: str = ""
    notify: frozenset[Notify] = frozenset()
    original: str = ""
    seen: set[str] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter.

    Attributes:
        keyword: offers it.
        value: what its value is like; None: it has none. It may be left out where it may be empty.
        read: notes what it says. Raises ValueError.
        name: it and its likes stand for one thing, which is said once.
    """

    keyword: Keyword
    value: re.Pattern[str] | None
    read: Callable[[Asked, str], None]
    name: str = ""


def read_parameters(text: str, table: Mapping[str, Parameter], asked: Asked) -> Asked:
    """Read what follows a path. Raises Refused."""
    words = text.split(" ")
    if words[0]:
        raise Refused(reply.BAD_ARGUMENTS)
    for word in words:
        if word:
            _read_one(word, table, asked)
    return asked


def _read_one(word: str, table: Mapping[str, Parameter], asked: Asked) -> None:
    found = _WORD.fullmatch(word)
    if found is None:
        raise Refused(reply.BAD_ARGUMENTS)
    name, value = found[1].upper(), found[2]
    parameter = table.get(name)
    if parameter is None or parameter.keyword not in asked.offered:
        raise Refused(reply.UNKNOWN_PARAMETER)
    once = parameter.name or name
    if once in asked.seen or (value is not None and parameter.value is None):
        raise Refused(reply.BAD_ARGUMENTS)
    asked.seen.add(once)
    if parameter.value is not None and not parameter.value.fullmatch(value or ""):
        raise Refused(reply.BAD_ARGUMENTS)
    try:
        parameter.read(asked, value or "")
    except (ValueError, OverflowError) as error:
        raise Refused(reply.BAD_ARGUMENTS) from error


def _size(asked: Asked, value: str) -> None:
    asked.size = int(value)


def _body(asked: Asked, value: str) -> None:
    asked.body = Body(value.upper())
    if asked.body is Body.BINARY and Keyword.BINARY not in asked.offered:
        raise ValueError(value)


def _smtputf8(asked: Asked, _: str) -> None:
    asked.smtputf8 = True


def _auth(_: Asked, value: str) -> None:
    """Who submitted it elsewhere, as a client says: not trusted (RFC 4954 section 5)."""
    xtext.decode(value)


def _ret(asked: Asked, value: str) -> None:
    asked.ret = Return(value.upper())


def _envid(asked: Asked, value: str) -> None:
    asked.envid = xtext.decode(value)
    if not (asked.envid.isascii() and asked.envid.isprintable()):
        raise ValueError(value)


def _require_tls(asked: Asked, _: str) -> None:
    asked.require_tls = True


def _hold_for(asked: Asked, value: str) -> None:
    asked.hold_until = asked.now + int(value)


def _hold_until(asked: Asked, value: str) -> None:
    asked.hold_until = int(datetime.fromisoformat(value).timestamp())


def _by(asked: Asked, value: str) -> None:
    seconds, _, mode = value.partition(";")
    asked.by_returns = mode[0] in "Rr"
    # RFC 2852 section 4: what is to come back when it is late can't be late already.
    if asked.by_returns and int(seconds) <= 0:
        raise ValueError(value)
    asked.deliver_by = asked.now + int(seconds)


def _priority(asked: Asked, value: str) -> None:
    asked.priority = int(value)


def _solicit(asked: Asked, value: str) -> None:
    asked.solicits = frozenset(value.lower().split(","))


def _verp(asked: Asked, value: str) -> None:
    asked.verp = value or VERP


def _notify(asked: Asked, value: str) -> None:
    asked.notify = frozenset(Notify(word) for word in value.upper().split(","))
    if Notify.NEVER in asked.notify and len(asked.notify) > 1:
        raise ValueError(value)


def _orcpt(asked: Asked, value: str) -> None:
    kind, _, address = value.partition(";")
    kind = kind.lower()
    if len(value.encode()) > MOST_ORCPT:
        raise ValueError(value)
    if kind == "utf-8":
        address = _unembedded(address)
    else:
        address = xtext.decode(address)
        if not address.isascii():
            raise ValueError(value)
    if not address or not address.isprintable():
        raise ValueError(value)
    asked.original = f"{kind};{address}"


def _unembedded(address: str) -> str:
    """An address of RFC 6533 section 3: plain, in xtext, or with characters as \\x{...}."""
    if "+" in address:
        address = xtext.decode(address)
    return _EMBEDDED.sub(lambda found: chr(int(found[1], 16)), address)


_NUMBER = re.compile(r"[0-9]{1,20}")
_SECONDS = re.compile(r"[0-9]{1,9}")
_XTEXT = re.compile(r"[!-<>-~]{1,500}")
_MOMENT = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(?:[Zz]|[+\-][0-9]{2}:[0-9]{2})"
)

MAIL: dict[str, Parameter] = {
    "SIZE": Parameter(Keyword.SIZE, _NUMBER, _size),
    "BODY": Parameter(Keyword.EIGHT_BIT, re.compile("[0-9A-Za-z]+"), _body),
    "SMTPUTF8": Parameter(Keyword.SMTPUTF8, None, _smtputf8),
    "AUTH": Parameter(Keyword.AUTH, _XTEXT, _auth),
    "RET": Parameter(Keyword.DSN, re.compile("[A-Za-z]+"), _ret),
    "ENVID": Parameter(Keyword.DSN, re.compile(rf"[!-<>-~]{{1,{MOST_ENVID}}}"), _envid),
    "REQUIRETLS": Parameter(Keyword.REQUIRETLS, None, _require_tls),
    "HOLDFOR": Parameter(Keyword.FUTURERELEASE, _SECONDS, _hold_for, "HOLD"),
    "HOLDUNTIL": Parameter(Keyword.FUTURERELEASE, _MOMENT, _hold_until, "HOLD"),
    "BY": Parameter(Keyword.DELIVERBY, re.compile(r"[+\-]?[0-9]{1,9};[NRnr][Tt]?"), _by),
    "MT-PRIORITY": Parameter(Keyword.PRIORITY, re.compile(r"-?[1-9]|0"), _priority),
    "SOLICIT": Parameter(
        Keyword.NO_SOLICITING,
        re.compile(r"(?=.{1,1000}\Z)[A-Za-z0-9][\w.:\-]*(?:,[A-Za-z0-9][\w.:\-]*)*", re.ASCII),
        _solicit,
    ),
    "XVERP": Parameter(Keyword.XVERP, re.compile(r"(?:[+=\-]{2})?"), _verp),
}
RCPT: dict[str, Parameter] = {
    "NOTIFY": Parameter(Keyword.DSN, re.compile(r"[A-Za-z,]+"), _notify),
    "ORCPT": Parameter(Keyword.DSN, re.compile(r"[!-:<>-~]+;[^ =]+"), _orcpt),
}
