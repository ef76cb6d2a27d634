"""LOGIN (RFC 3501 section 6.2.3): the PLAIN mechanism in other words."""

from __future__ import annotations

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap.protocol.commands import Login
from postroom_imap.protocol.responses import codes
from postroom_imap.session import Session


async def login(session: Session, tag: bytes, command: Login) -> None:
    if not session.may_login:
        session.refuse(tag, "Not in clear text: use TLS first", codes.PRIVACY_REQUIRED)
        return
    user, password = command.userid.encode(), command.password.value
    try:
        if b"\0" in user or b"\0" in password:
            raise PostroomError(Kind.UNAUTHENTICATED, "the name or the password is wrong")
        plain = b"\0%b\0%b" % (user, password)  # RFC 4616
        signed_in = await session.front.authenticator.authenticate(
            "PLAIN", plain, session.client, _never
        )
    except PostroomError as error:
        await session.fail_login(tag, error)
        return
    session.sign_in(signed_in.ticket)
    session.finish(tag, "Signed in", codes.capability(await session.capabilities()))


async def _never(challenge: bytes) -> bytes | None:
    """LOGIN has no exchange: a challenge is given up."""
    return None
