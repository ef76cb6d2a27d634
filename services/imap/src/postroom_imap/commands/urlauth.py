"""GENURLAUTH, RESETKEY, URLFETCH (RFC 4467, RFC 5524).

The store makes and checks the tokens. A front can't: it has no key, and reads of another account
only what a URL opens.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import cast

from postroom_chassis.errors import Kind, PostroomError

from postroom_imap import replies
from postroom_imap.fetching import BrokenResponse
from postroom_imap.ports.urls import UrlDatum
from postroom_imap.protocol.commands import GenUrlAuth, ResetKey, UrlFetch
from postroom_imap.protocol.commands.urlauth import UrlItem, WantedUrl
from postroom_imap.protocol.responses import codes, urlauth
from postroom_imap.protocol.responses.strings import literal8, literal_announcement, string
from postroom_imap.session import Session

MECHANISM = "INTERNAL"


async def gen_url_auth(session: Session, tag: bytes, command: GenUrlAuth) -> None:
    if any(mechanism != MECHANISM for _, mechanism in command.urls):
        session.reject(tag, "There is no such mechanism")
        return
    rumps = [_text(url) for url, _ in command.urls]
    try:
        made = await session.front.urls.authorize(session.ticket, rumps)
    except PostroomError as error:
        if error.kind is not Kind.INVALID:
            raise
        session.reject(tag, replies.text_of(error))  # RFC 4467 section 7: BAD
        return
    session.finish(tag, "GENURLAUTH completed", before=urlauth.gen_url_auth(made))


async def reset_key(session: Session, tag: bytes, command: ResetKey) -> None:
    if any(mechanism != MECHANISM for mechanism in command.mechanisms):
        session.reject(tag, "There is no such mechanism")
        return
    await session.front.urls.reset(session.ticket, command.mailbox)
    session.finish(tag, "RESETKEY completed", codes.url_mechanisms((MECHANISM,)))


async def url_fetch(session: Session, tag: bytes, command: UrlFetch) -> None:
    wanted = [(_text(one.url), one.items or (UrlItem.BODY,)) for one in command.urls]
    stream = session.front.urls.fetch(session.ticket, wanted)
    async with aclosing(cast("AsyncGenerator[UrlDatum, None]", stream)) as data:
        datum = await anext(data, None)
        for place, one in enumerate(command.urls):
            session.write(urlauth.url_fetch(one.url))
            while datum is not None and datum.place == place:
                try:
                    await _write(session, one, datum, data)
                    datum = await anext(data, None)
                except (PostroomError, StopAsyncIteration) as error:
                    raise BrokenResponse from error
            session.write(b"\r\n")
            await session.breathe()
    session.finish(tag, "URLFETCH completed")


async def _write(
    session: Session, wanted: WantedUrl, datum: UrlDatum, data: AsyncIterator[UrlDatum]
) -> None:
    """Write one item, with those data that it goes on in."""
    extended = bool(wanted.items) and datum.item is not None
    name = datum.item.value.encode() if datum.item is not None else b""
    session.write(b" (%b " % name if extended else b" ")
    if not datum.more:
        session.write(_rendered(datum))
    else:
        tilde = b"~" if datum.item is UrlItem.BINARY else b""  # a NUL may come yet
        session.write(tilde + literal_announcement(datum.size))
        part: UrlDatum | None = datum
        while part is not None:
            session.write(part.data or b"")
            await session.breathe()
            part = await anext(data) if part.more else None
    if extended:
        session.write(b")")


def _rendered(datum: UrlDatum) -> bytes:
    if datum.data is None:
        return b"NIL"
    match datum.item:
        case UrlItem.BODYPARTSTRUCTURE:
            return datum.data
        case UrlItem.BINARY:
            return literal8(datum.data)
    return string(datum.data)


def _text(url: bytes) -> str:
    """A URL as text; what is none, with eight-bit octets, stays none."""
    return url.decode("ascii", "replace")
