"""GSSAPI and X-KPOP as transcripts (RFC 4752 section 3), with a context of two tokens."""

from __future__ import annotations

from typing import Any

import pytest
from postroom_auth.domain.people import Credential
from postroom_auth.domain.sasl import MECHANISMS
from postroom_auth.domain.sasl.exchange import (
    Challenge,
    Malformed,
    NotAuthorized,
    Principal,
    Proven,
    RequestAnswer,
)

ANN = Proven(Credential(1, "ann@example.org", 0, False, "", 1), until=7)
PRINCIPAL = Principal("ann@EXAMPLE.ORG", ANN)


class Context:
    """Established by the last of its tokens; answers each but that with the next."""

    def __init__(self, tokens: int, last: bytes) -> None:
        self._left = tokens
        self._last = last

    @property
    def established(self) -> bool:
        return self._left == 0

    async def accept(self, token: bytes) -> bytes:
        assert token.startswith(b"token")
        self._left -= 1
        return b"more" if self._left else self._last

    async def wrap(self, message: bytes) -> bytes:
        return b"wrapped " + message

    async def unwrap(self, message: bytes) -> bytes:
        return message.removeprefix(b"wrapped ")

    async def principal(self) -> Principal:
        return PRINCIPAL


class Kerberos:
    def __init__(self, tokens: int = 1, last: bytes = b"") -> None:
        self._context = Context(tokens, last)

    async def begin_context(self) -> Context:
        return self._context

    async def check_request(self, request: bytes) -> RequestAnswer:
        if request == b"bad":
            return RequestAnswer(b"\x7eerror", None)
        return RequestAnswer(b"\x6freply", PRINCIPAL)

    def same_person(self, one: str, other: str) -> bool:
        return one.lower() == other.lower()


async def play(
    mechanism: str, kerberos: Kerberos, initial: bytes | None, *responses: bytes
) -> tuple[list[bytes], Any]:
    """The challenges of an exchange, and its end."""
    claims: Any = kerberos
    exchange = MECHANISMS[mechanism].begin(initial, claims)
    challenges = []
    step = await anext(exchange)
    for response in responses:
        assert isinstance(step, Challenge)
        challenges.append(step.data)
        step = await exchange.asend(response)
    return challenges, step


LAYERS = b"wrapped \x01\0\0\0"


async def test_a_context_of_one_token() -> None:
    assert await play("GSSAPI", Kerberos(), b"token", b"wrapped \x01\0\0\0") == ([LAYERS], ANN)


@pytest.mark.parametrize("initial", [None, b""])
async def test_a_first_token_that_is_asked_for(initial: bytes | None) -> None:
    said = (b"token", b"wrapped \x01\0\0\0")
    assert await play("GSSAPI", Kerberos(), initial, *said) == ([b"", LAYERS], ANN)


async def test_a_last_token_is_answered_by_nothing() -> None:
    said = (b"token 2", b"", b"wrapped \x01\0\0\0ann")
    challenges, end = await play("GSSAPI", Kerberos(2, b"last"), b"token", *said)
    assert (challenges, end) == ([b"more", b"last", LAYERS], ANN)


@pytest.mark.parametrize("name", [b"ann", b"ann@EXAMPLE.ORG", b"ANN@example.org", b""])
async def test_names_of_the_principal(name: bytes) -> None:
    assert (await play("GSSAPI", Kerberos(), b"token", b"\x01\0\0\0" + name))[1] == ANN


@pytest.mark.parametrize("name", [b"bob", b"ann@ELSEWHERE.EXAMPLE", b"Ann"])
async def test_names_of_others(name: bytes) -> None:
    with pytest.raises(NotAuthorized):
        await play("GSSAPI", Kerberos(), b"token", b"\x01\0\0\0" + name)
    with pytest.raises(NotAuthorized):
        await play("X-KPOP", Kerberos(), b"request", name)


@pytest.mark.parametrize("choice", [b"", b"\x01\0\0", b"\0\0\0\0", b"\x02\0\x10\0", b"\x03\0\0\0"])
async def test_other_layers_are_refused(choice: bytes) -> None:
    with pytest.raises(Malformed):
        await play("GSSAPI", Kerberos(), b"token", choice)


async def test_it_doesnt_go_on_for_ever() -> None:
    with pytest.raises(Malformed):
        await play("GSSAPI", Kerberos(1000), b"token", *[b"token"] * 20)
    with pytest.raises(Malformed):
        await play("GSSAPI", Kerberos(1, b"last"), b"token", b"another")


async def test_kpop() -> None:
    assert await play("X-KPOP", Kerberos(), b"request", b"ann") == ([b"\x6freply"], ANN)
    assert (await play("X-KPOP", Kerberos(), None, b"request", b"ann"))[1] == ANN
    with pytest.raises(NotAuthorized):
        await play("X-KPOP", Kerberos(), b"bad", b"ann")
