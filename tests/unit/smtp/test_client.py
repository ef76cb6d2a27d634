"""The client's side of SMTP, against bytes."""

from __future__ import annotations

from dataclasses import replace
from typing import TypeVar

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_chassis.net.stream import ByteStream, EndOfStream, Reader
from postroom_mime import Domain
from postroom_smtp.protocol.client import (
    Conversation,
    Mail,
    Offer,
    Transaction,
    conversion,
    mail_command,
    obstacle,
    recipient_command,
    sendable,
    xtext,
)
from postroom_smtp.protocol.data import Content
from postroom_smtp.protocol.envelope import Body, Notify, Recipient, Request, Return
from postroom_smtp.protocol.response import Nonsense
from postroom_smtp.protocol.sasl import Credentials

T = TypeVar("T")

ANN = Recipient("ann@there.example")
BOB = Recipient("bob@there.example")
PIPELINING = Offer("peer", {"PIPELINING": ""})
PLAIN = Offer("peer")


def play(reader: Reader[T], told: Conversation, *server: bytes) -> tuple[T, list[bytes]]:
    """Run a part of a conversation; the server says one piece each time it is waited for. What was
    sent before each of them comes back, and what is left over.
    """
    sent, pieces = [], iter(server)
    while True:
        try:
            next(reader)
        except StopIteration as done:
            sent.append(bytes(told.unsent))
            told.unsent.clear()
            return done.value, sent
        sent.append(bytes(told.unsent))
        told.unsent.clear()
        piece = next(pieces, None)
        if piece is None:
            told.stream.feed_eof()
        else:
            told.stream.feed(piece)


def conversation(offer: Offer = PIPELINING, *, lmtp: bool = False) -> Conversation:
    told = Conversation(ByteStream(), lmtp=lmtp)
    told.offer = offer
    return told


def mail(*recipients: Recipient, sender: str = "eve@here.example", **asked: object) -> Mail:
    return Mail(sender, recipients or (ANN,), 100, Request(**asked))  # type: ignore[arg-type]


def test_ehlo() -> None:
    told = conversation(PLAIN)
    response, sent = play(
        told.hello("me.example"),
        told,
        b"250-peer.example hello\r\n250-SIZE 1000\r\n250-AUTH LOGIN\r\n250-AUTH=PLAIN\r\n",
        b"250-!odd\r\n250-limits MAILMAX=5 RCPTMAX=x\r\n250 pipelining\r\n",
    )
    assert sent[0] == b"EHLO me.example\r\n"
    assert response.positive
    assert told.offer.name == "peer.example"
    assert (told.offer.size, told.offer.mechanisms) == (1000, {"LOGIN", "PLAIN"})
    assert "PIPELINING" in told.offer
    assert (told.offer.limit("MAILMAX"), told.offer.limit("RCPTMAX")) == (5, 0)


def test_helo_where_there_is_no_ehlo() -> None:
    told = conversation(PLAIN)
    response, sent = play(told.hello("me"), told, b"502 what?\r\n", b"250 peer.example\r\n")
    assert sent[:2] == [b"EHLO me\r\n", b"HELO me\r\n"]
    assert response.positive
    assert told.offer == Offer("peer.example")


def test_all_at_once() -> None:
    told = conversation()
    transaction = Transaction(told, mail(ANN, BOB))
    ready, sent = play(
        transaction.open(), told, b"250 ok\r\n250 ok\r\n", b"550 5.1.1 nobody\r\n354 go\r\n"
    )
    assert ready
    assert sent[0].split(b"\r\n") == [
        b"MAIL FROM:<eve@here.example>",
        b"RCPT TO:<ann@there.example>",
        b"RCPT TO:<bob@there.example>",
        b"DATA",
        b"",
    ]
    transaction.put(b".hello\r\n")
    _, sent = play(transaction.finish(), told, b"250 2.0.0 taken\r\n")
    assert sent[0] == b"..hello\r\n.\r\n"
    assert [str(transaction.fate(at)) for at in (0, 1)] == ["250 2.0.0 taken", "550 5.1.1 nobody"]
    assert not told.open_transaction


def test_one_after_the_other() -> None:
    told = conversation(PLAIN)
    transaction = Transaction(told, mail(ANN))
    ready, sent = play(transaction.open(), told, b"250 ok\r\n", b"250 ok\r\n", b"354 go\r\n")
    assert ready
    assert sent[:3] == [
        b"MAIL FROM:<eve@here.example>\r\n",
        b"RCPT TO:<ann@there.example>\r\n",
        b"DATA\r\n",
    ]


def test_nobody_gets_it_and_the_server_waits_for_it() -> None:
    """RFC 2920 section 3.1."""
    told = conversation()
    transaction = Transaction(told, mail(ANN))
    ready, sent = play(
        transaction.open(), told, b"250 ok\r\n550 no\r\n354 go\r\n", b"554 nobody to send it to\r\n"
    )
    assert not ready
    assert sent[1] == b".\r\n"
    assert str(transaction.fate(0)) == "550 no"


def test_a_server_that_refuses_the_sender_and_goes_on_gets_nothing() -> None:
    told = conversation()
    transaction = Transaction(told, mail(ANN))
    ready, sent = play(transaction.open(), told, b"550 no\r\n250 ok\r\n354 go\r\n")
    assert not ready
    assert sent[1:] == [b""]
    assert told.over
    assert str(transaction.fate(0)) == "550 no"


def test_a_sender_who_is_refused() -> None:
    told = conversation(PLAIN)
    transaction = Transaction(told, mail(ANN, BOB))
    ready, sent = play(transaction.open(), told, b"451 4.7.1 later\r\n")
    assert not ready
    assert [transaction.fate(at).status for at in (0, 1)] == ["4.7.1"] * 2  # type: ignore[union-attr]
    # What was begun is taken back before the next one.
    _, sent = play(Transaction(told, mail(ANN)).open(), told, *(b"250 ok\r\n",) * 3, b"354 go\r\n")
    assert sent[0] == b"RSET\r\n"


@pytest.mark.parametrize(
    ("replies", "fates"),
    [
        (b"421 4.3.2 bye\r\n", ["421", "421"]),
        (b"250 ok\r\n421 bye\r\n", ["421", "421"]),
        (b"250 ok\r\n550 no\r\n421 bye\r\n", ["550", "421"]),
        (b"250 ok\r\n250 ok\r\n550 no\r\n421 bye\r\n", ["421", "550"]),
    ],
)
def test_421_anywhere(replies: bytes, fates: list[str]) -> None:
    told = conversation()
    transaction = Transaction(told, mail(ANN, BOB))
    ready, _ = play(transaction.open(), told, replies)
    assert not ready
    assert told.over
    assert [str(transaction.fate(at))[:3] for at in (0, 1)] == fates


def test_what_was_said_before_the_connection_was_lost() -> None:
    told = conversation()
    transaction = Transaction(told, mail(ANN, BOB))
    with pytest.raises(EndOfStream):
        play(transaction.open(), told, b"250 ok\r\n550 no\r\n")
    assert str(transaction.fate(0)) == "550 no"
    assert transaction.fate(1) is None


def test_taken_recipients_are_no_taken_message() -> None:
    told = conversation()
    transaction = Transaction(told, mail(ANN))
    play(transaction.open(), told, b"250 ok\r\n250 ok\r\n354 go\r\n")
    transaction.put(b"hello\r\n")
    with pytest.raises(EndOfStream):
        play(transaction.finish(), told)
    assert transaction.ended
    assert transaction.fate(0) is None


def test_a_reply_that_asks_for_more_is_temporary() -> None:
    told = conversation(PLAIN)
    transaction = Transaction(told, mail(ANN))
    ready, _ = play(transaction.open(), told, b"250 ok\r\n", b"354 go\r\n")
    assert not ready
    assert str(transaction.fate(0)).startswith("451 4.5.0")


@pytest.mark.parametrize("said", [b"hello\r\n", b"99 ok\r\n", b"2500 ok\r\n", b"\x16\x03\x01\r\n"])
def test_nonsense(said: bytes) -> None:
    told = conversation()
    with pytest.raises(Nonsense):
        play(told.greet(), told, said)
    assert told.over


def test_lmtp_says_what_becomes_of_each() -> None:
    told = conversation(lmtp=True)
    transaction = Transaction(told, mail(ANN, BOB))
    play(transaction.open(), told, b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    transaction.put(b"hello\r\n")
    play(transaction.finish(), told, b"250 there\r\n", b"452 4.2.2 full\r\n")
    assert [str(transaction.fate(at)) for at in (0, 1)] == ["250 there", "452 4.2.2 full"]


def test_lmtp_that_leaves_between_two() -> None:
    told = conversation(lmtp=True)
    transaction = Transaction(told, mail(ANN, BOB))
    play(transaction.open(), told, b"250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n")
    play(transaction.finish(), told, b"250 there\r\n", b"421 bye\r\n")
    assert [str(transaction.fate(at)) for at in (0, 1)] == ["250 there", "421 bye"]


def test_binary_goes_in_chunks() -> None:
    told = conversation(Offer("peer", {"PIPELINING": "", "CHUNKING": "", "BINARYMIME": ""}))
    transaction = Transaction(told, mail(ANN, body=Body.BINARY))
    ready, sent = play(transaction.open(), told, b"250 ok\r\n250 ok\r\n")
    assert ready
    assert b"BODY=BINARYMIME" in sent[0]
    assert b"DATA" not in sent[0]
    transaction.put(b"\n.\r\n")
    going_on, sent = play(transaction.heard(), told, b"250 ok\r\n")
    assert (going_on, sent[0]) == (True, b"BDAT 4\r\n\n.\r\n")
    _, sent = play(transaction.finish(), told, b"250 taken\r\n")
    assert sent[0] == b"BDAT 0 LAST\r\n"
    assert str(transaction.fate(0)) == "250 taken"


def test_a_chunk_that_is_refused() -> None:
    told = conversation(Offer("peer", {"CHUNKING": "", "BINARYMIME": ""}))
    transaction = Transaction(told, mail(ANN, body=Body.BINARY))
    play(transaction.open(), told, b"250 ok\r\n", b"250 ok\r\n")
    transaction.put(b"x")
    going_on, _ = play(transaction.heard(), told, b"552 5.3.4 too much\r\n")
    assert not going_on
    assert str(transaction.fate(0)) == "552 5.3.4 too much"


@pytest.mark.parametrize("content", [b"a\nb\r\n", b"a\rb", b"a\r\n.\nb", b"\r", b"\n"])
def test_bare_newlines_never_follow_data(content: bytes) -> None:
    for cut in range(len(content) + 1):
        told = conversation()
        transaction = Transaction(told, mail(ANN))
        play(transaction.open(), told, b"250 ok\r\n250 ok\r\n354 go\r\n")
        with pytest.raises(ValueError, match="by itself"):
            _send(transaction, told, content[:cut], content[cut:])


@given(st.lists(st.sampled_from([b"a", b".", b"\r\n", b"..", b"\r\n.\r\n", b"\xff"])), st.data())
def test_content_arrives_as_it_was(words: list[bytes], data: st.DataObject) -> None:
    content = b"".join(words)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=4)))
    pieces = [content[a:b] for a, b in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    told = conversation()
    transaction = Transaction(told, mail(ANN))
    play(transaction.open(), told, b"250 ok\r\n250 ok\r\n354 go\r\n")
    sent = _send(transaction, told, *pieces)
    stream = ByteStream()
    stream.feed(sent + b"QUIT\r\n")
    received, arrived = Content(stream), b""
    while (chunk := _ran(received.read_chunk())) is not None:
        arrived += chunk
    whole = content if content.endswith(b"\r\n") or not content else content + b"\r\n"
    assert arrived == whole
    assert stream.take() == b"QUIT\r\n"


def _send(transaction: Transaction, told: Conversation, *pieces: bytes) -> bytes:
    for piece in pieces:
        if piece:
            transaction.put(piece)
    before = bytes(told.unsent)
    told.unsent.clear()
    _, sent = play(transaction.finish(), told, b"250 ok\r\n")
    return before + sent[0]


def _ran(reader: Reader[T]) -> T:
    try:
        next(reader)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]
    raise AssertionError("it waits for more")


@given(st.binary(max_size=300), st.booleans(), st.booleans())
def test_whatever_a_server_says_something_comes_of_it(
    said: bytes, pipelining: bool, lmtp: bool
) -> None:
    told = conversation(PIPELINING if pipelining else PLAIN, lmtp=lmtp)
    transaction = Transaction(told, mail(ANN, BOB))
    try:
        ready, _ = play(transaction.open(), told, said)
        if ready:
            play(transaction.finish(), told)
    except (EndOfStream, Nonsense):
        pass
    for at in (0, 1):
        fate = transaction.fate(at)
        assert fate is None or fate.positive is (transaction.ended and fate.code < 300)


REPLIES = st.sampled_from(
    [
        b"250 ok",
        b"354 go",
        b"450 4.2.0 later",
        b"550 5.1.1 no",
        b"421 bye",
        b"221 bye",
        b"251-x\r\n",
    ]
)


@given(st.lists(REPLIES, max_size=12), st.booleans(), st.booleans())
def test_taken_only_by_a_good_reply_to_the_end(
    replies: list[bytes], pipelining: bool, lmtp: bool
) -> None:
    told = conversation(PIPELINING if pipelining else PLAIN, lmtp=lmtp)
    transaction = Transaction(told, mail(ANN, BOB))
    script = [reply + b"\r\n" for reply in replies]
    try:
        ready, _ = play(transaction.open(), told, *script)
        if ready:
            transaction.put(b"hello\r\n")
            before = told.stream.take()
            play(transaction.finish(), told, before or b"250 ok\r\n", b"250 ok\r\n")
    except (EndOfStream, Nonsense):
        pass
    for at in (0, 1):
        fate = transaction.fate(at)
        assert transaction.ended or fate is None or not fate.positive


FULL = Offer(
    "peer",
    {
        "SIZE": "1000",
        "8BITMIME": "",
        "DSN": "",
        "SMTPUTF8": "",
        "REQUIRETLS": "",
        "MT-PRIORITY": "",
        "DELIVERBY": "60",
    },
)


def test_what_is_asked_for_goes_on() -> None:
    asked = Request(
        Return.HEADERS, "a+b c", require_tls=True, priority=-3, deliver_by=1, by_returns=True
    )
    message = Mail("eve@here.example", (ANN,), 100, asked, eight_bit=True, by_seconds=90)
    assert mail_command(message, FULL) == (
        "MAIL FROM:<eve@here.example> SIZE=100 BODY=8BITMIME RET=HDRS ENVID=a+2Bb+20c REQUIRETLS"
        " MT-PRIORITY=-3 BY=90;R"
    )
    assert mail_command(message, PLAIN) == "MAIL FROM:<eve@here.example>"
    ann = Recipient(
        "ann@there.example",
        "rfc822;a=b@x.example",
        frozenset({Notify.SUCCESS, Notify.FAILURE}),
    )
    assert recipient_command(ann, message, FULL) == (
        "RCPT TO:<ann@there.example> NOTIFY=FAILURE,SUCCESS ORCPT=rfc822;a+3Db@x.example"
    )
    assert recipient_command(ann, message, PLAIN) == "RCPT TO:<ann@there.example>"


def test_addresses_in_utf8() -> None:
    gruen = Recipient("ann@grün.example", "utf-8;änn@grün.example")
    message = mail(gruen)
    assert mail_command(message, FULL).endswith(" SMTPUTF8")
    assert recipient_command(gruen, message, FULL).endswith("ORCPT=utf-8;änn@grün.example")
    # RFC 6531 section 3.2: a domain has a form in ASCII, a local part has none.
    assert recipient_command(gruen, message, PLAIN) == "RCPT TO:<ann@xn--grn-ioa.example>"
    assert obstacle(message, PLAIN) is None
    blocked = obstacle(mail(Recipient("änn@there.example")), PLAIN)
    assert blocked is not None
    assert blocked.status == "5.6.7"


@pytest.mark.parametrize(
    ("message", "lacking", "status"),
    [
        (Mail("", (ANN,), 2000, Request()), "", "5.3.4"),
        (Mail("", (ANN,), 1, Request(require_tls=True)), "REQUIRETLS", "5.7.30"),
        (Mail("", (ANN,), 1, Request(body=Body.BINARY)), "", "5.6.3"),
        (Mail("", (ANN,), 1, Request(), bare=True), "", "5.6.3"),
        (Mail("", (ANN,), 1, Request(), eight_bit=True), "8BITMIME", "5.6.3"),
        (Mail("", (ANN,), 1, Request(smtputf8=True), utf8_header=True), "SMTPUTF8", "5.6.9"),
        (Mail("", (ANN,), 1, Request(by_returns=True), by_seconds=90), "DELIVERBY", "5.3.3"),
        (Mail("", (ANN,), 1, Request(by_returns=True), by_seconds=50), "", "5.4.7"),
    ],
)
def test_what_a_server_can_not_be_given(message: Mail, lacking: str, status: str) -> None:
    keywords = {word: rest for word, rest in FULL.keywords.items() if word != lacking}
    blocked = obstacle(message, Offer("peer", keywords))
    assert blocked is not None
    assert blocked.permanent
    assert blocked.status == status


EIGHT_BIT = Mail("", (ANN,), 1, Request(), eight_bit=True)
BINARY = Mail("", (ANN,), 1, Request(body=Body.BINARY), eight_bit=True)
BARE = Mail("", (ANN,), 1, Request(), bare=True)


@pytest.mark.parametrize(
    ("message", "keywords", "domain"),
    [
        (Mail("", (ANN,), 1, Request(body=Body.EIGHT_BIT)), "", None),
        (EIGHT_BIT, "8BITMIME", None),
        (EIGHT_BIT, "", Domain.SEVEN_BIT),
        (EIGHT_BIT, "CHUNKING BINARYMIME", Domain.SEVEN_BIT),
        (BINARY, "CHUNKING BINARYMIME", None),
        (BINARY, "8BITMIME CHUNKING", Domain.EIGHT_BIT),
        (BINARY, "8BITMIME BINARYMIME", Domain.EIGHT_BIT),
        (BINARY, "8BITMIME", Domain.EIGHT_BIT),
        (BINARY, "CHUNKING", Domain.SEVEN_BIT),
        (BARE, "CHUNKING", None),
        (BARE, "8BITMIME", Domain.EIGHT_BIT),
        (BARE, "", Domain.SEVEN_BIT),
    ],
)
def test_what_a_message_is_converted_to(
    message: Mail, keywords: str, domain: Domain | None
) -> None:
    assert conversion(message, Offer("peer", dict.fromkeys(keywords.split(), ""))) is domain


def test_why_it_is_not_converted_is_told() -> None:
    blocked = obstacle(replace(EIGHT_BIT, fixed="it is signed"), PLAIN)
    assert blocked is not None
    assert blocked.text.endswith("lacks 8BITMIME; it can't be converted: it is signed")


@pytest.mark.parametrize("address", ["a@b\r\nDATA", "a@b>", "a\0@b", "<a@b"])
def test_no_command_in_an_address(address: str) -> None:
    assert not sendable(address)
    with pytest.raises(ValueError, match="no address"):
        recipient_command(Recipient(address), mail(), FULL)


@given(st.text())
def test_xtext(text: str) -> None:
    written = xtext(text)
    assert written.isascii()
    assert not set(written) & set(" =\r\n\0")


def test_plain_in_one_step() -> None:
    told = conversation(Offer("peer", {"AUTH": "LOGIN PLAIN"}))
    response, sent = play(told.sign_in(Credentials("ann", "pw")), told, b"235 2.7.0 ok\r\n")
    assert sent[0] == b"AUTH PLAIN AGFubgBwdw==\r\n"
    assert response.positive


def test_login() -> None:
    told = conversation(Offer("peer", {"AUTH": "LOGIN"}))
    response, sent = play(
        told.sign_in(Credentials("ann", "pw")),
        told,
        b"334 VXNlcm5hbWU6\r\n",
        b"334 UGFzc3dvcmQ6\r\n",
        b"535 5.7.8 no\r\n",
    )
    assert sent[:3] == [b"AUTH LOGIN\r\n", b"YW5u\r\n", b"cHc=\r\n"]
    assert str(response) == "535 5.7.8 no"


def test_a_server_that_asks_for_ever_is_left() -> None:
    told = conversation(Offer("peer", {"AUTH": "PLAIN"}))
    response, sent = play(told.sign_in(Credentials("ann", "pw")), told, *(b"334 \r\n",) * 50)
    assert not response.positive
    assert sent[1] == b"*\r\n"
    assert len(sent) < 12


def test_no_way_to_sign_in() -> None:
    told = conversation(Offer("peer", {"AUTH": "GSSAPI"}))
    response, sent = play(told.sign_in(Credentials("ann", "pw")), told)
    assert (response.temporary, sent) == (True, [b""])


def test_what_came_before_tls_is_forgotten() -> None:
    """RFC 3207 section 6: somebody may have put it there."""
    told = conversation(FULL)
    response, _ = play(told.ask_tls(), told, b"220 begin\r\n250-evil\r\n250 AUTH PLAIN\r\n")
    assert response.positive
    assert len(told.stream) == 0
    assert told.offer == Offer()
