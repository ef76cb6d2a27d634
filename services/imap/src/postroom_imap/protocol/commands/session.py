"""Commands about the connection and the person: any state, and not authenticated."""

from dataclasses import dataclass

from postroom_chassis.language import valid_range

from postroom_imap.protocol.cursor import Cursor
from postroom_imap.protocol.invalid import SyntaxFault
from postroom_imap.protocol.sasl import decode_base64
from postroom_imap.protocol.secret import Secret


@dataclass(frozen=True, slots=True)
class Capability:
    """CAPABILITY (RFC 3501 section 6.1.1)."""


@dataclass(frozen=True, slots=True)
class Noop:
    """NOOP (RFC 3501 section 6.1.2)."""


@dataclass(frozen=True, slots=True)
class Logout:
    """LOGOUT (RFC 3501 section 6.1.3)."""


@dataclass(frozen=True, slots=True)
class StartTls:
    """STARTTLS (RFC 3501 section 6.2.1); what was buffered in clear text must be dropped."""


@dataclass(frozen=True, slots=True)
class Authenticate:
    """AUTHENTICATE (RFC 3501 section 6.2.2) with the initial response of SASL-IR (RFC 4959).

    ``mechanism`` is in upper case. ``initial_response`` is decoded; None: the client waits for a
    challenge.
    """

    mechanism: str
    initial_response: Secret | None = None


@dataclass(frozen=True, slots=True)
class Login:
    """LOGIN (RFC 3501 section 6.2.3)."""

    userid: str
    password: Secret


@dataclass(frozen=True, slots=True)
class Id:
    """ID (RFC 2971): what the client says about itself, in its order; empty for NIL."""

    params: tuple[tuple[str, str | None], ...] = ()


@dataclass(frozen=True, slots=True)
class Enable:
    """ENABLE (RFC 5161): capability names in upper case, in the client's order."""

    capabilities: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Compress:
    """COMPRESS (RFC 4978): the algorithm in upper case."""

    algorithm: str


@dataclass(frozen=True, slots=True)
class Comparator:
    """COMPARATOR (RFC 5255): collations in the client's order; none asks which one compares."""

    orders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Language:
    """LANGUAGE (RFC 5255): ranges in the client's order; none asks what there is."""

    ranges: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Namespace:
    """NAMESPACE (RFC 2342)."""


@dataclass(frozen=True, slots=True)
class Idle:
    """IDLE (RFC 2177); ``read_done`` reads its end."""


@dataclass(frozen=True, slots=True)
class Unauthenticate:
    """UNAUTHENTICATE (RFC 8437)."""


def parse_authenticate(cursor: Cursor) -> Authenticate:
    """``AUTHENTICATE mechanism [initial-response]``; ``=`` stands for an empty response."""
    cursor.space()
    mechanism = cursor.atom().upper()
    if not cursor.take(b" "):
        return Authenticate(mechanism)
    encoded = cursor.rest()
    if not encoded:
        raise SyntaxFault("Expected an initial response")
    try:
        return Authenticate(mechanism, Secret(b"" if encoded == b"=" else decode_base64(encoded)))
    except ValueError:
        raise SyntaxFault("The initial response is not base64") from None


def parse_login(cursor: Cursor) -> Login:
    """``LOGIN userid password``."""
    cursor.space()
    userid = cursor.text()
    cursor.space()
    return Login(userid, Secret(cursor.astring()))


def parse_id(cursor: Cursor) -> Id:
    """``ID NIL`` or ``ID ("field" "value" …)``."""
    cursor.space()
    if not cursor.at(b"("):
        if cursor.nstring() is not None:
            raise SyntaxFault("Expected NIL or a list")
        return Id()

    def pair() -> tuple[str, str | None]:
        name = cursor.string()
        cursor.space()
        value = cursor.nstring()
        return _readable(name), None if value is None else _readable(value)

    return Id(cursor.list_of(pair, empty=True))


def parse_enable(cursor: Cursor) -> Enable:
    """``ENABLE capability …``."""
    capabilities: list[str] = []
    while not cursor.at_end():
        cursor.space()
        capabilities.append(cursor.atom().upper())
    if not capabilities:
        raise SyntaxFault("Expected a capability")
    return Enable(tuple(dict.fromkeys(capabilities)))


def parse_compress(cursor: Cursor) -> Compress:
    """``COMPRESS algorithm``."""
    cursor.space()
    return Compress(cursor.atom().upper())


def parse_language(cursor: Cursor) -> Language:
    """``LANGUAGE [range …]``."""
    ranges: list[str] = []
    while not cursor.at_end():
        cursor.space()
        text = cursor.text()
        if not valid_range(text):
            raise SyntaxFault("Not a language range")
        ranges.append(text)
    return Language(tuple(ranges))


def parse_comparator(cursor: Cursor) -> Comparator:
    """``COMPARATOR [collation …]``; what is no collation matches none."""
    orders: list[str] = []
    while not cursor.at_end():
        cursor.space()
        orders.append(cursor.astring().decode("utf-8", "replace"))
        if len(orders) > cursor.limits.elements:
            raise SyntaxFault("Too many comparators", b"LIMIT")
    return Comparator(tuple(orders))


def _readable(octets: bytes) -> str:
    """Whatever a client says about itself is for a log: no octet of it is an error."""
    return octets.decode("utf-8", "replace")
