"""SCRAM-SHA-256 and SCRAM-SHA-1, with and without -PLUS (RFC 5802, RFC 7677).

Channel binding is `tls-server-end-point` (RFC 5929 section 4). A wrong proof ends the exchange at
once, as RFC 5802 section 5 permits, so that protocols give their usual reply; what else is wrong is
told by `e=` first. That somebody is unknown is never told.
"""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass

from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Claims,
    Exchange,
    Failed,
    Malformed,
    NotAuthorized,
    Proven,
    read_saslname,
    read_text,
)

PLUS = "-PLUS"
BINDING = "tls-server-end-point"
NONCE_OCTETS = 18
NONCE_CHARACTERS = 512  # far more than any client sends

_PRINTABLE = re.compile(r"[!-+\--~]+")  # without the comma
_BASE64 = r"[A-Za-z0-9+/]*={0,2}"
_FIRST = re.compile(
    r"(?P<header>(?P<flag>[ny]|p=[A-Za-z0-9.-]+),(?:a=(?P<authzid>[^,]*))?,)"
    r"(?P<bare>(?P<mandatory>m=[^,]*,)?n=(?P<name>[^,]*),r=(?P<nonce>[^,]*)(?P<more>(?:,.*)?))",
    re.DOTALL,
)
_FINAL = re.compile(
    rf"(?P<bare>c=(?P<binding>{_BASE64}),r=(?P<nonce>[^,]*)(?:,.*)?),p=(?P<proof>{_BASE64})",
    re.DOTALL,
)


class _Refused(Exception):
    """The exchange can't go on: what the client is told, and what comes of it."""

    def __init__(self, told: str, why: Exception) -> None:
        super().__init__()
        self.failed = Failed(f"e={told}".encode(), why)


@dataclass(frozen=True, slots=True)
class _First:
    """A client-first-message (RFC 5802 section 7)."""

    header: str
    flag: str
    authzid: str
    name: str
    nonce: str
    bare: str


def new_nonce() -> str:
    return secrets.token_urlsafe(NONCE_OCTETS)


def scram(
    family: str, *, plus: bool = False, nonce: Callable[[], str] = new_nonce
) -> Callable[[bytes | None, Claims], Exchange]:
    """A mechanism.

    Args:
        family: its name without -PLUS.
        plus: bound to the channel.
        nonce: makes the server's part of the nonce.
    """

    async def begin(initial: bytes | None, claims: Claims) -> Exchange:
        try:
            message = initial if initial is not None else (yield Challenge(b""))
            first = _read_first(message)
            _check_flag(first.flag, claims, plus=plus)
            if first.authzid and not claims.same_person(first.authzid, first.name):
                raise NotAuthorized
            verifier = await claims.scram_verifier(first.name, family)
            both = first.nonce + nonce()
            salt = base64.b64encode(verifier.salt).decode()
            second = f"r={both},s={salt},i={verifier.iterations}"
            bare, proof = _read_final(
                (yield Challenge(second.encode())),
                both,
                first.header.encode() + (claims.end_point if plus else b""),
            )
        except _Refused as refused:
            yield refused.failed
            return
        auth_message = ",".join((first.bare, second, bare)).encode()
        credential = await claims.check_proof(first.name, verifier, auth_message, proof)
        signature = base64.b64encode(verifier.signature(auth_message))
        yield Proven(credential, b"v=" + signature)

    return begin


def _read_first(message: bytes) -> _First:
    text = _text(message)
    found = _FIRST.fullmatch(text)
    if found is None:
        raise _malformed("the first message has not the form of SCRAM's")
    if found["mandatory"]:
        # RFC 5802 section 5.1: "m" is for extensions, of which there are none.
        raise _malformed("the client asks for an extension", "extensions-not-supported")
    nonce = found["nonce"]
    if len(nonce) > NONCE_CHARACTERS or not _PRINTABLE.fullmatch(nonce):
        raise _malformed("the nonce can't be used")
    return _First(
        found["header"],
        found["flag"],
        # GNU SASL writes one that is empty where it means none.
        _saslname(found["authzid"]) if found["authzid"] else "",
        _saslname(found["name"]),
        nonce,
        found["bare"],
    )


def _check_flag(flag: str, claims: Claims, *, plus: bool) -> None:
    """RFC 5802 section 6: what the client says of channel binding must fit what it was offered."""
    wrong: tuple[str, str] | None = None
    if plus:
        if not flag.startswith("p="):
            wrong = ("other-error", "the client chose channel binding and doesn't use it")
        elif flag != f"p={BINDING}":
            wrong = ("unsupported-channel-binding-type", f"{BINDING} alone is supported")
    elif flag.startswith("p="):
        wrong = ("channel-binding-not-supported", "channel binding needs a mechanism with -PLUS")
    elif flag == "y" and any(name.endswith(PLUS) for name in claims.offered):
        # Somebody took the -PLUS mechanisms out of the list that the client saw.
        why = NotAuthorized("the client was kept from seeing that channel binding is on offer")
        raise _Refused("server-does-support-channel-binding", why)
    if wrong is not None:
        raise _malformed(wrong[1], wrong[0])


def _read_final(message: bytes, nonce: str, binding: bytes) -> tuple[str, bytes]:
    """The client-final-message without its proof, and the proof."""
    found = _FINAL.fullmatch(_text(message))
    if found is None:
        raise _malformed("the last message has not the form of SCRAM's")
    if found["nonce"] != nonce:
        raise _malformed("the nonce is another's")
    if _octets(found["binding"]) != binding:
        why = NotAuthorized("the client saw another certificate than ours")
        raise _Refused("channel-bindings-dont-match", why)
    return found["bare"], _octets(found["proof"])


def _text(message: bytes) -> str:
    try:
        return read_text(message)
    except Malformed as error:
        raise _malformed(str(error), "invalid-encoding") from None


def _saslname(written: str) -> str:
    try:
        return read_saslname(written)
    except Malformed as error:
        raise _malformed(str(error), "invalid-username-encoding") from None


def _octets(encoded: str) -> bytes:
    try:
        return binascii.a2b_base64(encoded, strict_mode=True)
    except ValueError:
        raise _malformed("that is not base64", "invalid-encoding") from None


def _malformed(why: str, told: str = "other-error") -> _Refused:
    return _Refused(told, Malformed(why))
