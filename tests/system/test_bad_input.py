"""Bad input gets a clear reply, takes bounded memory, and doesn't keep the next client waiting."""

from __future__ import annotations

import imaplib
import ssl
import zlib
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from deploy.local.provision import Account
from tests.harness.mail import contents, deliver, logged_in, message
from tests.harness.system import MailSystem, client_tls
from tests.harness.wire import Wire, plain

MEGABYTE = 1 << 20

# Of resident memory, whatever a client sends. A service holds pieces of messages, caches and the
# heap's slack; what would go wrong here grows by gigabytes.
MOST_GROWTH = 512 * MEGABYTE

FRONTS = {"smtp": b"220 ", "submission": b"220 ", "imap": b"* OK", "pop3": b"+OK"}
GARBAGE = {
    "an HTTP request": b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "a TLS handshake": bytes.fromhex("16030100c8010000c40303") + bytes(range(200)),
    "zeros": bytes(4096) + b"\r\n",
    "every byte": bytes(range(256)) * 16 + b"\r\n",
    "empty lines": b"\r\n" * 1000,
    "bare LF": b"NOOP\nNOOP\n" * 100,
}


@pytest.fixture(autouse=True)
def _still_serving(system: MailSystem) -> Iterator[None]:
    """After each test: memory is bounded, nothing has crashed, the next client is served."""
    services = ("smtp", "imap", "pop3", "store", "auth")
    before = {service: system.memory(service) for service in services}
    yield
    grown = {service: system.memory(service) - before[service] for service in services}
    assert {name: growth for name, growth in grown.items() if growth > MOST_GROWTH} == {}
    for front, greeting in FRONTS.items():
        with connect(system, front) as wire:
            assert wire.line().startswith(greeting)


def connect(system: MailSystem, port: str, tls: ssl.SSLContext | None = None) -> Wire:
    return Wire(system.host, system.port(port), tls)


def smtp(system: MailSystem, port: str = "smtp") -> Wire:
    """Greeted and introduced."""
    wire = connect(system, port)
    assert wire.reply().startswith(b"220 ")
    assert wire.say(b"EHLO client.example.org").startswith(b"250")
    return wire


def imap(system: MailSystem, account: Account) -> Wire:
    """Signed in, with INBOX open."""
    wire = connect(system, "imap")
    wire.log_in(account)
    assert wire.command(b"select", b"SELECT INBOX")[-1].startswith(b"select OK")
    return wire


# Garbage


@pytest.mark.parametrize("front", FRONTS)
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_before_anything(system: MailSystem, front: str, garbage: str) -> None:
    with connect(system, front) as wire:
        assert wire.line().startswith(FRONTS[front])
        wire.send_until_refused(GARBAGE[garbage] * 10, 10)
        wire.send_until_refused(b"\r\nQUIT\r\na LOGOUT\r\n", 1)

        refused = wire.rest()

    answers = {
        "imap": (b"BAD", b"BYE"),
        "pop3": (b"-ERR",),
        "smtp": (b"500", b"501", b"502", b"503", b"421", b"554"),
    }
    wanted = answers.get(front, answers["smtp"])
    assert any(word in refused for word in wanted) or garbage in ("bare LF", "empty lines")


@pytest.mark.parametrize("port", ["imaps", "pop3s", "submissions"])
def test_garbage_instead_of_a_handshake(system: MailSystem, port: str) -> None:
    with connect(system, port) as wire:
        wire.send_until_refused(b"a LOGIN ann secret\r\n" * 100, 10)
        assert b"OK" not in wire.rest()
    with connect(system, port, client_tls(system)) as wire:
        assert wire.line()


# STARTTLS: what comes in clear text behind the command is not taken for what comes in TLS
# (RFC 3207 §4.2, RFC 3501 §6.2.1, RFC 2595 §4).


def test_nothing_is_injected_before_tls_smtp(system: MailSystem) -> None:
    with smtp(system, "submission") as wire:
        wire.send(b"STARTTLS\r\nEHLO injected.example.org\r\nMAIL FROM:<injected@example.org>\r\n")
        assert wire.reply().startswith(b"220 ")
        try:
            wire.start_tls(client_tls(system))
        except ssl.SSLError:
            return  # it was closed, which is as good
        assert wire.say(b"NOOP").startswith((b"250 ", b"503 "))
        assert wire.say(b"RCPT TO:<x@example.test>").startswith((b"503 ", b"530 "))
        assert b"AUTH" in wire.say(b"EHLO client.example.org")


def test_nothing_is_injected_before_tls_imap(system: MailSystem) -> None:
    with connect(system, "imap") as wire:
        assert wire.line().startswith(b"* OK")
        wire.send(b"a STARTTLS\r\ninjected NOOP\r\n")
        assert wire.line().startswith(b"a OK")
        try:
            wire.start_tls(client_tls(system))
        except ssl.SSLError:
            return
        assert wire.command(b"b", b"NOOP")[-1].startswith(b"b OK")


def test_nothing_is_injected_before_tls_pop3(system: MailSystem, account: Account) -> None:
    with connect(system, "pop3") as wire:
        assert wire.line().startswith(b"+OK")
        wire.send(f"STLS\r\nUSER {account.address}\r\n".encode())
        assert wire.line().startswith(b"+OK")
        try:
            wire.start_tls(client_tls(system))
        except ssl.SSLError:
            return
        wire.send(f"PASS {account.password}\r\n".encode())
        assert wire.line().startswith(b"-ERR")


@pytest.mark.parametrize(
    ("port", "start", "answer"),
    [
        ("submission", b"EHLO x\r\nSTARTTLS\r\n", b"220 2"),
        ("imap", b"a STARTTLS\r\n", b"a OK"),
        ("pop3", b"STLS\r\n", b"+OK"),
    ],
)
def test_garbage_instead_of_tls(system: MailSystem, port: str, start: bytes, answer: bytes) -> None:
    with connect(system, port) as wire:
        assert wire.line()
        wire.send(start)
        while not wire.line().startswith(answer):
            pass
        wire.send_until_refused(b"\x00garbage" * 1000, 10)
        assert b"OK" not in wire.rest()


# Lines


@pytest.mark.parametrize("front", FRONTS)
def test_a_line_without_end(system: MailSystem, front: str) -> None:
    with connect(system, front) as wire:
        assert wire.line().startswith(FRONTS[front])
        taken = wire.send_until_refused(b"x" * MEGABYTE, 256)
        wire.send_until_refused(b"\r\n", 1)
        reply = wire.line()
    assert reply.startswith((b"500 ", b"421 ", b"-ERR", b"* BAD", b"* BYE")) or taken < 256


def test_a_long_line_in_data(system: MailSystem, account: Account) -> None:
    with smtp(system) as wire:
        start_data(wire, account)
        wire.send(b"Subject: long\r\n\r\n")
        wire.send_until_refused(b"x" * MEGABYTE, 32)
        wire.send_until_refused(b"\r\n.\r\n", 1)
        assert wire.reply().startswith((b"500 ", b"552 ", b"554 ", b"250 ", b"421 "))


def test_a_header_without_end(system: MailSystem, account: Account) -> None:
    with smtp(system) as wire:
        start_data(wire, account)
        wire.send_until_refused(b"X-Field: value\r\n" * 65_536, 40)
        wire.send_until_refused(b".\r\n", 1)
        assert wire.reply().startswith((b"552 ", b"554 ", b"250 ", b"421 "))


def test_a_message_without_end(system: MailSystem, account: Account) -> None:
    with smtp(system) as wire:
        start_data(wire, account)
        wire.send(b"Subject: endless\r\n\r\n")
        taken = wire.send_until_refused((b"x" * 70 + b"\r\n") * 14_563, 300)
        wire.send_until_refused(b".\r\n", 1)
        assert wire.reply().startswith((b"552 ", b"421 ")) or taken < 300
    assert contents(system, account) == []


def test_a_message_that_says_it_is_too_large(system: MailSystem) -> None:
    with smtp(system) as wire:
        reply = wire.say(b"MAIL FROM:<me@example.org> SIZE=99999999999")
        assert reply.startswith(b"552 5.3.4")


def start_data(wire: Wire, account: Account) -> None:
    assert wire.say(b"MAIL FROM:<me@example.org>").startswith(b"250 ")
    assert wire.say(f"RCPT TO:<{account.address}>".encode()).startswith(b"250 ")
    assert wire.say(b"DATA").startswith(b"354 ")


def test_ten_thousand_recipients(system: MailSystem, account: Account) -> None:
    with smtp(system) as wire:
        assert wire.say(b"MAIL FROM:<me@example.org>").startswith(b"250 ")
        replies = [
            wire.say(f"RCPT TO:<{account.address.replace('@', f'+{n}@')}>".encode())
            for n in range(10_000)
        ]
        assert replies[0].startswith(b"250 ")
        # RFC 5321 §4.5.3.1.10: what is too many now may come in another transaction.
        assert {reply[:10] for reply in replies} <= {b"250 2.1.5 ", b"452 4.5.3 "}
        assert replies[-1].startswith(b"452 4.5.3 ")
        assert wire.say(b"RSET").startswith(b"250 ")


# Literals


@pytest.mark.parametrize("size", [b"99999999999999999999", b"4294967295", b"-1", b"0x10", b""])
@pytest.mark.parametrize("plus", [b"", b"+"])
def test_impossible_literals(
    system: MailSystem, account: Account, size: bytes, plus: bytes
) -> None:
    with imap(system, account) as wire:
        wire.send(b"a APPEND INBOX {" + size + plus + b"}\r\n")
        assert wire.line().startswith((b"a BAD", b"a NO", b"* BAD", b"* BYE"))


def test_a_literal_before_sign_in(system: MailSystem) -> None:
    with connect(system, "imap") as wire:
        assert wire.line().startswith(b"* OK")
        wire.send(b"a LOGIN {1000000000+}\r\n")
        wire.send_until_refused(b"x" * MEGABYTE, 64)
        assert wire.line().startswith((b"a BAD", b"a NO", b"* BYE", b"* BAD")) or not wire.line()


def test_many_small_literals(system: MailSystem, account: Account) -> None:
    with imap(system, account) as wire:
        wire.send(b"a SEARCH")
        wire.send_until_refused(b" SUBJECT {100+}\r\n" + b"x" * 100, 100_000)
        wire.send_until_refused(b"\r\n", 1)
        assert wire.line().startswith((b"a BAD", b"a NO", b"* SEARCH", b"* BYE", b""))


# Nesting


@pytest.mark.parametrize("start", [b"SEARCH ", b"UID SEARCH ", b"FETCH 1 ", b"LIST "])
def test_deep_parentheses(system: MailSystem, account: Account, start: bytes) -> None:
    with imap(system, account) as wire:
        lines = wire.command(b"a", start + b"(" * 7_000 + b"ALL" + b")" * 7_000)
        assert lines[-1].startswith((b"a BAD", b"a NO", b"* BYE")) or lines[-1] == b""


def test_deep_search_by_not(system: MailSystem, account: Account) -> None:
    with imap(system, account) as wire:
        assert wire.command(b"a", b"SEARCH " + b"NOT " * 1_500 + b"ALL")[-1].startswith(
            (b"a OK", b"a BAD", b"a NO")
        )


def test_deeply_nested_message(system: MailSystem, account: Account) -> None:
    levels = 20_000
    content = b"Subject: deep\r\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (level, level)
        for level in range(levels)
    )

    deliver(system, account, content + b"\r\nthe innermost\r\n")

    with logged_in(system, account) as session:
        session.select("INBOX")
        for item in ("BODYSTRUCTURE", "ENVELOPE", f"BODY.PEEK[{'1.' * 20}1]"):
            assert session.fetch("1", f"({item})")[0] == "OK"
        with pytest.raises(imaplib.IMAP4.error, match="nested too deeply"):
            session.fetch("1", f"(BODY.PEEK[{'1.' * 5_000}1])")
        assert session.search(None, "TEXT", "innermost")[0] == "OK"


def test_long_sets_and_lists(system: MailSystem, account: Account) -> None:
    with imap(system, account) as wire:
        numbers = b",".join(b"%d" % number for number in range(1, 3_000))
        assert wire.command(b"a", b"FETCH " + numbers + b" FLAGS")[-1].startswith(
            (b"a OK", b"a BAD", b"a NO")
        )
        assert wire.command(b"b", b"UID FETCH 1:4294967295 FLAGS")[-1].startswith(b"b OK")
        assert wire.command(b"c", b'LIST "" ' + b"%*" * 3_000)[-1].startswith(
            (b"c OK", b"c BAD", b"c NO")
        )


# Bombs: a thousandth of what they become (RFC 4978)


def bomb(head: bytes, piece: bytes, size: int) -> bytes:
    """A start, and a piece over and over."""
    peer = zlib.compressobj(9, wbits=-15)
    start = peer.compress(head) + peer.flush(zlib.Z_FULL_FLUSH)
    # What follows a full flush stands for itself, so that it may be repeated as it is.
    block = peer.compress(piece * (MEGABYTE // len(piece))) + peer.flush(zlib.Z_FULL_FLUSH)
    return start + block * (size // MEGABYTE)


BOMBS = {
    "a line": (b"", b"x"),
    "a literal": (b"a LIST {100000000+}\r\n", b"x"),
    "a literal of an unknown command": (b"a WHAT {100000000+}\r\n", b"x"),
    "a message": (b"a APPEND INBOX {2000000000+}\r\n", b"x"),
    "behind a message": (b"a APPEND INBOX {20000000+}\r\n", b"x"),
    "the end of IDLE": (b"a IDLE\r\n", b"x"),
    "empty lines": (b"", b"\r\n"),
    "commands": (b"", b"x NONSENSE\r\n"),
    "literals": (b"a SEARCH", b" TEXT {9+}\r\nxxxxxxxxx"),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_bombs(system: MailSystem, account: Account, kind: str) -> None:
    head, piece = BOMBS[kind]
    with imap(system, account) as wire:
        assert wire.command(b"c", b"COMPRESS DEFLATE")[-1].startswith(b"c OK")
        wire.send_until_refused(bomb(head, piece, 1024 * MEGABYTE), 1)
        told = zlib.decompressobj(-15).decompress(wire.rest())
    assert b"* BYE " in told


def test_a_bomb_of_commands_whose_answers_are_not_read(
    system: MailSystem, account: Account
) -> None:
    with ExitStack() as stack:
        for _ in range(3):
            wire = stack.enter_context(imap(system, account))
            assert wire.command(b"c", b"COMPRESS DEFLATE")[-1].startswith(b"c OK")
            wire.send(bomb(b"", b"n CAPABILITY\r\n", 20 * MEGABYTE))
        deliver(system, account, message("while others are busy"))
        assert len(contents(system, account)) == 1


# Slow and greedy clients


def test_slow_clients(system: MailSystem, account: Account) -> None:
    """A hundred that stop within a command keep nobody waiting."""
    with ExitStack() as stack:
        for _ in range(100):
            for front, start in (("imap", b"a LOGI"), ("pop3", b"USE"), ("smtp", b"EHL")):
                wire = stack.enter_context(connect(system, front))
                wire.send(start)
        deliver(system, account, message("while others dawdle"))
        assert len(contents(system, account)) == 1


def test_clients_that_stop_within_a_message(system: MailSystem, account: Account) -> None:
    with ExitStack() as stack:
        for _ in range(20):
            wire = stack.enter_context(smtp(system))
            start_data(wire, account)
            wire.send(b"Subject: unfinished\r\n\r\n" + b"x" * 70)
        deliver(system, account, message("finished"))
    assert len(contents(system, account)) == 1


def test_clients_that_ask_and_do_not_read(system: MailSystem, account: Account) -> None:
    line = b"x" * 70 + b"\r\n"
    deliver(system, account, b"Subject: large\r\n\r\n" + line * (16 * MEGABYTE // len(line)))
    with ExitStack() as stack:
        for _ in range(10):
            wire = stack.enter_context(imap(system, account))
            wire.send(b"a FETCH 1 BODY.PEEK[]\r\n" * 100)
        assert len(contents(system, account)) == 1


def test_many_commands_at_once(system: MailSystem, account: Account) -> None:
    with imap(system, account) as wire:
        count = 20_000
        wire.send(b"".join(b"t%d NOOP\r\n" % number for number in range(1_000)))
        for number in range(1_000):
            assert wire.until(b"t%d" % number)[-1].startswith(b"t%d OK" % number)
        wire.send_until_refused(b"x NONSENSE\r\n" * 10, count // 10)
        assert wire.line().startswith((b"x BAD", b"* BYE"))


# Passwords


def test_passwords_are_not_logged(system: MailSystem, account: Account) -> None:
    with smtp(system, "submission") as wire:
        wire.say(b"AUTH PLAIN " + plain(account))
    with connect(system, "imap") as wire:
        wire.log_in(account)
    with connect(system, "pop3") as wire:
        wire.send(f"USER {account.address}\r\nPASS {account.password}\r\nQUIT\r\n".encode())
        wire.rest()

    for service in ("smtp", "imap", "pop3", "auth", "store"):
        log = system.log(service)
        assert account.password not in log
        assert plain(account).decode() not in log
