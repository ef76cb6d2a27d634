"""Signing in at a server that takes our mail on (RFC 4954): the client's side of SASL.

An exchange is a generator: it gives the initial response in base64 (None where it has none), is
sent each challenge, and gives the response to it. It ends, or raises ValueError, where the server
says what it should not.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from collections.abc import Callable, Generator
from dataclasses import dataclass, field

Exchange = Generator[str | None, str, None]

MOST_ITERATIONS = 1_000_000  # of SCRAM: a server must not keep us busy


@dataclass(frozen=True, slots=True)
class Credentials:
    """Who we are to a server."""

    name: str
    password: str = field(repr=False)


def choose(offered: frozenset[str], credentials: Credentials) -> tuple[str, Exchange] | None:
    """The best mechanism that is offered, with its exchange; None where none is known."""
    for mechanism, exchange in MECHANISMS.items():
        if mechanism in offered:
            return mechanism, exchange(credentials)
    return None


def _scram(credentials: Credentials) -> Exchange:
    """SCRAM-SHA-256 (RFC 7677, RFC 5802), without channel binding."""
    nonce = secrets.token_urlsafe(18)
    name = credentials.name.replace("=", "=3D").replace(",", "=2C")
    first = f"n={name},r={nonce}"
    challenge = yield _encoded(f"n,,{first}".encode())
    server_first = _decoded(challenge).decode()
    said = dict(part.split("=", 1) for part in server_first.split(",") if "=" in part)
    iterations = int(said.get("i", "0"))
    if not said.get("r", "").startswith(nonce) or not 1 <= iterations <= MOST_ITERATIONS:
        raise ValueError("not what SCRAM says")
    salted = hashlib.pbkdf2_hmac(
        "sha256", credentials.password.encode(), base64.b64decode(said["s"]), iterations
    )
    final = f"c=biws,r={said['r']}"
    signed = f"{first},{server_first},{final}".encode()
    key = _hmac(salted, b"Client Key")
    signature = _hmac(hashlib.sha256(key).digest(), signed)
    proof = bytes(one ^ other for one, other in zip(key, signature, strict=True))
    challenge = yield _encoded(f"{final},p={base64.b64encode(proof).decode()}".encode())
    expected = base64.b64encode(_hmac(_hmac(salted, b"Server Key"), signed))
    if not hmac.compare_digest(_decoded(challenge), b"v=" + expected):
        raise ValueError("the server doesn't know the password")
    yield ""


def _plain(credentials: Credentials) -> Exchange:
    """RFC 4616."""
    yield _encoded(b"\0" + credentials.name.encode() + b"\0" + credentials.password.encode())


def _login(credentials: Credentials) -> Exchange:
    """What was there before PLAIN, and is all that some servers offer."""
    yield None
    yield _encoded(credentials.name.encode())
    yield _encoded(credentials.password.encode())


MECHANISMS: dict[str, Callable[[Credentials], Exchange]] = {
    "SCRAM-SHA-256": _scram,
    "PLAIN": _plain,
    "LOGIN": _login,
}


def _encoded(data: bytes) -> str:
    return base64.b64encode(data).decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.new(key, data, hashlib.sha256).digest()
