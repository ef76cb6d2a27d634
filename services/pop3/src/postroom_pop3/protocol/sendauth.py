"""How a KPOP session begins: the `sendauth` exchange of MIT's Kerberos 5 (krb5_sendauth(3)).

Messages are framed by their length, in four octets, high ones first:

    C: <"KRB5_SENDAUTH_V1.0" NUL>  <"KPOPV1.0" NUL>
    S: one octet: 0; or 1 or 2 for a version of the first or the second that isn't spoken here
    C: <AP-REQ>
    S: <>, and <AP-REP> where the client asked for one; or <KRB-ERROR>

What is in the last two is Kerberos's (RFC 4120 section 5.5), and nobody's business here but for the
tag that tells them apart.
"""

from __future__ import annotations

from postroom_chassis.net.stream import ByteStream, Reader

EXCHANGE = b"KRB5_SENDAUTH_V1.0\0"
APPLICATION = b"KPOPV1.0\0"
LENGTH_OCTETS = 4
# Windows's tickets tell all of a person's groups, in up to 65,535 octets.
REQUEST_OCTETS = 65_536
KRB_ERROR = b"\x7e"  # RFC 4120 section 5.10: [APPLICATION 30]

ACCEPTED = b"\0"
WRONG_EXCHANGE = b"\1"
WRONG_APPLICATION = b"\2"


class MessageTooLong(Exception):
    """A message says that it is longer than it may be. What follows can't be read."""


def read_versions(stream: ByteStream) -> Reader[bytes]:
    """The client's first two messages; the octet that answers them.

    Raises EndOfStream.
    """
    for version, wrong in ((EXCHANGE, WRONG_EXCHANGE), (APPLICATION, WRONG_APPLICATION)):
        try:
            if (yield from read_message(stream, len(version))) != version:
                return wrong
        except MessageTooLong:
            return wrong
    return ACCEPTED


def read_message(stream: ByteStream, limit: int) -> Reader[bytes]:
    """A message. Raises MessageTooLong, EndOfStream."""
    length = int.from_bytes((yield from stream.read_exact(LENGTH_OCTETS)), "big")
    if length > limit:
        raise MessageTooLong
    return (yield from stream.read_exact(length))


def frame(message: bytes) -> bytes:
    """A message as it travels."""
    return len(message).to_bytes(LENGTH_OCTETS, "big") + message


def answer(message: bytes) -> bytes:
    """What is sent for an AP-REP, a KRB-ERROR, or nothing."""
    if is_error(message):
        return frame(message)
    return frame(b"") + (frame(message) if message else b"")


def is_error(message: bytes) -> bool:
    """Whether a message is a KRB-ERROR."""
    return message[:1] == KRB_ERROR
