"""AUTHENTICATE (RFC 3501 section 6.2.2), with SASL-IR (RFC 4959).

The exchange is framed here and held by the authentication service.
"""

from __future__ import annotations

from postroom_chassis.errors import PostroomError

from postroom_imap.protocol.commands import Authenticate
from postroom_imap.protocol.invalid import InvalidCommand
from postroom_imap.protocol.reading import SaslCancel, read_sasl_response
from postroom_imap.protocol.responses import codes, status
from postroom_imap.session import Session


class _GaveUp(Exception):
    """The client cancelled, or sent what is no response."""

    def __init__(self, invalid: InvalidCommand) -> None:
        super().__init__()
        self.invalid = invalid


async def authenticate(session: Session, tag: bytes, command: Authenticate) -> None:
    if not session.may_login:
        session.refuse(tag, "Not in clear text: use TLS first", codes.PRIVACY_REQUIRED)
        return

    async def respond(challenge: bytes) -> bytes | None:
        return await _respond(session, tag, challenge)

    initial = command.initial_response
    try:
        signed_in = await session.front.authenticator.authenticate(
            command.mechanism, initial.value if initial else None, session.client, respond
        )
        if signed_in.data:
            # RFC 3501 has no success data: they go as a challenge, answered by nothing
            # (RFC 4422 section 3.6).
            await respond(signed_in.data)
    except _GaveUp as gave_up:
        session.complain(gave_up.invalid)
        return
    except PostroomError as error:
        await session.fail_login(tag, error)
        return
    session.sign_in(signed_in.ticket)
    session.finish(tag, "Signed in", codes.capability(await session.capabilities()))


async def _respond(session: Session, tag: bytes, challenge: bytes) -> bytes | None:
    session.write(status.sasl_challenge(challenge))
    connection = session.connection
    response = await connection.read(
        read_sasl_response(connection.stream, session.limits, tag),
        session.front.bounds.login_seconds,
    )
    match response:
        case SaslCancel():
            raise _GaveUp(InvalidCommand(tag, "AUTHENTICATE was cancelled"))
        case InvalidCommand():
            raise _GaveUp(response)
    return response.value
