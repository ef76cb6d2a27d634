"""What a server lacks what a message needs for is converted (RFC 6152 section 3, RFC 3030)."""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator
from email import message_from_bytes
from pathlib import Path

import dkim
import pytest
from postroom_chassis.errors import Kind, PostroomError
from postroom_smtp.checks.content import Workers
from postroom_smtp.checks.signing import Signer
from postroom_smtp.protocol.envelope import Body, Recipient, Request
from postroom_smtp.sending.content import HEAD_BYTES
from postroom_smtp.sending.converting import CONVERSIONS
from postroom_smtp.sending.ports import Outcome
from postroom_smtp.spool import MEMORY_BYTES

from tests.harness.peer import KEYWORDS, Peer, Taken
from tests.harness.post import Post, posting, status_of
from tests.unit.smtp.checking import FakeSigningKeys, record, signing_key, spooled

BOB = "bob@there.example"
SEVEN_BIT = tuple(word for word in KEYWORDS if word != "8BITMIME")

HEADER = b"From: ann@here.example\r\nSubject: hello\r\nMIME-Version: 1.0\r\n"
TEXT = b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
GREETING = "Viele herzliche Grüße aus dem Süden\r\n".encode()
LETTER = HEADER + TEXT + GREETING
PICTURE = b"\x89PNG\r\n\x1a\n\0\r.\r\n\xff"
BINARY = (
    HEADER
    + b"Content-Type: multipart/mixed; boundary=b\r\n"
    + b"Content-Transfer-Encoding: binary\r\n\r\n--b\r\n"
    + TEXT
    + GREETING
    + b"--b\r\nContent-Type: image/png\r\nContent-Transfer-Encoding: binary\r\n\r\n"
    + PICTURE
    + b"\r\n--b--\r\n"
)
SIGNED = (
    HEADER
    + b"Content-Type: multipart/signed; boundary=b; micalg=pgp-sha256\r\n\r\n--b\r\n"
    + TEXT
    + GREETING
    + b"--b\r\nContent-Type: application/pgp-signature\r\n\r\nsignature\r\n--b--\r\n"
)


@pytest.fixture
async def post(tmp_path: Path) -> AsyncIterator[Post]:
    async with posting(tmp_path) as running:
        yield running


def arrived(peer: Peer) -> Taken:
    """What a server got, with the size that was told."""
    (taken,) = peer.taken
    told = re.search(r" SIZE=([0-9]+)", taken.mail)
    assert told is None or int(told[1]) == len(taken.content)
    assert not re.search(rb"\r(?!\n)|(?<!\r)\n|\0", taken.content)
    return taken


def leaves(content: bytes) -> list[bytes]:
    parts = message_from_bytes(content).walk()
    payloads = [part.get_payload(decode=True) for part in parts if not part.is_multipart()]
    return [payload for payload in payloads if isinstance(payload, bytes)]


@pytest.mark.parametrize("keywords", [SEVEN_BIT, ()])
async def test_a_server_that_lacks_8bitmime(post: Post, keywords: tuple[str, ...]) -> None:
    peer = await post.peer("there.example", keywords=keywords)
    (attempt,) = await post.send(BOB, content=LETTER, request=Request(body=Body.EIGHT_BIT))
    assert attempt.outcome is Outcome.RELAYED
    taken = arrived(peer)
    assert "BODY" not in taken.mail
    assert taken.content == HEADER + (
        b"Content-Type: text/plain; charset=utf-8\r\n"
        b"Content-Transfer-Encoding: quoted-printable\r\n\r\n"
        b"Viele herzliche Gr=C3=BC=C3=9Fe aus dem S=C3=BCden\r\n"
    )


async def test_a_server_that_speaks_no_esmtp(post: Post) -> None:
    peer = await post.peer("there.example")
    peer.answers["EHLO"] = "502 5.5.1 what?"
    await post.send(BOB, content=LETTER)
    assert arrived(peer).content.isascii()


async def test_a_server_that_knows_8bitmime_gets_it_as_it_is(post: Post) -> None:
    peer = await post.peer("there.example")
    before = conversions()
    await post.send(BOB, content=LETTER)
    assert arrived(peer).content == LETTER
    assert "BODY=8BITMIME" in peer.taken[0].mail
    assert conversions() == before


@pytest.mark.parametrize(
    "keywords", [KEYWORDS, (*KEYWORDS, "CHUNKING"), (*KEYWORDS, "BINARYMIME")], ids=" ".join
)
async def test_a_server_that_lacks_binarymime(post: Post, keywords: tuple[str, ...]) -> None:
    peer = await post.peer("there.example", keywords=keywords)
    (attempt,) = await post.send(BOB, content=BINARY, request=Request(body=Body.BINARY))
    assert attempt.outcome is Outcome.RELAYED
    taken = arrived(peer)
    assert taken.mail.endswith(" BODY=8BITMIME")
    assert "DATA" in peer.heard
    # What isn't binary stays as it is.
    assert b"--b\r\n" + TEXT + GREETING in taken.content
    assert leaves(taken.content) == leaves(BINARY)
    assert taken.content.count(b"8bit") == 2
    assert b"binary" not in taken.content


async def test_a_server_that_lacks_both(post: Post) -> None:
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    await post.send(BOB, content=BINARY, request=Request(body=Body.BINARY))
    taken = arrived(peer)
    assert taken.content.isascii()
    assert leaves(taken.content) == leaves(BINARY)
    assert "BODY" not in taken.mail


async def test_of_what_is_binary_nothing_over_127_may_be_left(post: Post) -> None:
    peer = await post.peer("there.example")
    content = HEADER + b"Content-Transfer-Encoding: binary\r\n\r\n" + PICTURE
    await post.send(BOB, content=content, request=Request(body=Body.BINARY))
    assert "BODY" not in peer.taken[0].mail
    assert leaves(peer.taken[0].content) == [PICTURE]


async def test_bare_newlines(post: Post) -> None:
    """As `BARE_NEWLINES=keep` takes them."""
    peer = await post.peer("there.example")
    await post.send(BOB, content=HEADER + b"\r\na\nb\r\n")
    assert leaves(arrived(peer).content) == [b"a\nb\r\n"]


async def test_what_says_nothing_of_mime(post: Post) -> None:
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    await post.send(BOB, content=b"Subject: x\r\n\r\n" + GREETING)
    assert arrived(peer).content.startswith(b"Subject: x\r\nMIME-Version: 1.0\r\n")
    assert leaves(arrived(peer).content) == [GREETING]


async def test_eight_bits_that_stay_here(post: Post) -> None:
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    plain = HEADER + b"\r\nhello\r\n"
    await post.send(BOB, content="Return-Path: <änn@here.example>\r\n".encode() + plain)
    assert arrived(peer).content == plain


@pytest.mark.parametrize("size", [HEAD_BYTES, 2 * HEAD_BYTES, 3 * MEMORY_BYTES])
async def test_large_messages(post: Post, size: int) -> None:
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    text = GREETING * (size // len(GREETING))
    await post.send(BOB, content=b"Return-Path: <ann@here.example>\r\n" + HEADER + TEXT + text)
    assert leaves(arrived(peer).content) == [text]
    assert arrived(peer).content.count(b"=C3=BC=C3=9Fe") == size // len(GREETING)


async def test_binary_that_is_large(post: Post) -> None:
    peer = await post.peer("there.example")
    picture = os.urandom(2 * MEMORY_BYTES)
    content = HEADER + b"Content-Transfer-Encoding: binary\r\n\r\n" + picture
    await post.send(BOB, content=content, request=Request(body=Body.BINARY))
    assert leaves(peer.taken[0].content) == [picture]


async def test_recipients_of_several_transactions(post: Post) -> None:
    peer = await post.peer("there.example", keywords=(*SEVEN_BIT, "LIMITS RCPTMAX=2"))
    await post.send(*(f"r{number}@there.example" for number in range(5)), content=LETTER)
    assert sorted(len(taken.rcpt) for taken in peer.taken) == [1, 2, 2]
    assert len({taken.content for taken in peer.taken}) == 1


# What can't be converted.


@pytest.mark.parametrize(
    ("content", "request_", "why"),
    [
        (SIGNED, Request(), "it is signed"),
        (SIGNED.replace(GREETING, PICTURE), Request(body=Body.BINARY), "it is signed"),
        ("Subject: ü\r\n\r\nhello\r\n".encode(), Request(smtputf8=True), "its header fields"),
        (HEADER + b"Content-Type: message/partial\r\n\r\n\xff\r\n", Request(), "message/partial"),
    ],
)
async def test_what_can_not_be_converted(
    post: Post, content: bytes, request_: Request, why: str
) -> None:
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    (attempt,) = await post.send(BOB, content=content, request=request_)
    assert attempt.outcome is Outcome.FAILED
    assert attempt.reply.startswith("554 5.6.3 the message ")
    assert f"it can't be converted: {why}" in attempt.reply
    assert not peer.taken
    assert status_of(post.notice())["Status"] == "5.6.3"


async def test_what_is_signed_and_large_fails_too(post: Post) -> None:
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    (attempt,) = await post.send(BOB, content=SIGNED.replace(GREETING, GREETING * 40_000))
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.FAILED, "554 5.6.3")
    assert not peer.taken
    # The connection is as good as before.
    await post.send(BOB)
    assert (len(peer.taken), peer.connections) == (1, 1)


async def test_a_size_that_is_exceeded_by_conversion(post: Post) -> None:
    peer = await post.peer("there.example", keywords=(f"SIZE {len(LETTER) + 1}",))
    (attempt,) = await post.send(BOB, content=LETTER)
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.FAILED, "552 5.3.4")
    assert not peer.taken


async def test_no_room_is_no_reason_to_fail(post: Post, tmp_path: Path) -> None:
    post.spool_folder = tmp_path / "gone"
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    (attempt,) = await post.send(BOB, content=HEADER + TEXT + GREETING * 100_000)
    assert (attempt.outcome, attempt.reply[:9]) == (Outcome.DEFERRED, "451 4.3.0")
    assert not peer.taken


# Signatures.


@pytest.fixture
async def keys(post: Post) -> AsyncIterator[FakeSigningKeys]:
    held = FakeSigningKeys({"here.example": (signing_key("here.example"),)})
    workers = Workers(1, 1)
    post.signer = Signer(held, workers, "mx.here.example")
    yield held
    workers.close()


def verifies(content: bytes, keys: FakeSigningKeys) -> bool:
    (key,) = keys.held["here.example"]
    return bool(dkim.verify(content, dnsfunc=lambda name, timeout=5: record(key).encode()))


async def signed(post: Post, content: bytes) -> bytes:
    """As it was taken from one of our people."""
    assert post.signer is not None
    async with spooled(content) as spool:
        return await post.signer.sign(spool) + content


@pytest.mark.parametrize("copies", [1, 80_000])
async def test_mail_of_our_people_is_signed_anew(
    post: Post, keys: FakeSigningKeys, copies: int
) -> None:
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    others = b"DKIM-Signature: v=1; d=elsewhere.example; s=x; b=; h=from\r\n"
    content = await signed(post, others + HEADER + TEXT + GREETING * copies)
    assert verifies(content, keys)
    await post.send(BOB, content=b"Received: by us\r\n" + content, account_id=7)
    taken = arrived(peer)
    assert verifies(taken.content, keys)
    assert leaves(taken.content) == [GREETING * copies]
    # The one before doesn't hold any more; another's is none of our business.
    assert taken.content.count(b"d=here.example") == 1
    assert others in taken.content


async def test_nobody_elses_mail_is_signed(post: Post, keys: FakeSigningKeys) -> None:
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    content = await signed(post, LETTER)
    await post.send(Recipient(BOB, sender="srs@here.example"), content=content)
    taken = arrived(peer)
    assert taken.content.startswith(content[: content.index(b"From:")])
    assert not verifies(taken.content, keys)


async def test_what_is_not_converted_is_not_signed_anew(post: Post, keys: FakeSigningKeys) -> None:
    peer = await post.peer("there.example")
    content = await signed(post, LETTER)
    keys.asked.clear()
    await post.send(BOB, content=content, account_id=7)
    assert arrived(peer).content == content
    assert not keys.asked


async def test_without_keys_nothing_goes_out_unsigned(post: Post, keys: FakeSigningKeys) -> None:
    keys.fault = PostroomError(Kind.UNAVAILABLE, "away")
    peer = await post.peer("there.example", keywords=SEVEN_BIT)
    (attempt,) = await post.send(BOB, content=LETTER, account_id=7)
    assert attempt.outcome is Outcome.DEFERRED
    assert not peer.taken


def conversions() -> float:
    return sum(
        sample.value
        for metric in CONVERSIONS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    )
