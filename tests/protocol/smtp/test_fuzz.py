"""Sessions made at random of the commands' grammar, proper and broken, over a real connection.

Whatever is said: each reply is one, nothing goes wrong inside, strangers' mail goes to people here
alone, and another client is served.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

import pytest
from postroom_smtp.smtpd import Smtpd

from tests.protocol.smtp.conftest import FrontAlone
from tests.protocol.smtp.system import greeted

SESSIONS = 150
COMMANDS = 25
REPLY = re.compile(rb"(?:[2345]\d\d-[^\r\n]*\r\n)*[2345]\d\d [^\r\n]*\r\n")
JUNK = [
    b"",
    b" ",
    b"\t",
    b"\0",
    b"\r",
    b"\n",
    b"\r\n",
    b"\xff",
    b"\xc3\xbc",
    b"<",
    b">",
    b"=",
    b":",
    b"+",
]

SIGN_IN = b"AUTH PLAIN AGFubkBleGFtcGxlLm9yZwB0d28gd29yZHM=\r\n"

Chance = random.Random


def one_of(*choices: str) -> Callable[[Chance], str]:
    return lambda chance: chance.choice(choices)


def number(chance: Chance) -> str:
    return str(chance.choice([0, 1, 5, 9, 10, 64, 999, 10**6, 10**12, 10**20, -1]))


PATHS = (
    *("<>", "<ann@example.org>", "<bob@example.org>", "<a@elsewhere.example>", "<postmaster>"),
    *(
        '<"a b"@example.org>',
        "<@x.example:ann@example.org>",
        "<\u00fc@example.org>",
        "<a@[1.2.3.4]>",
    ),
    *("<ann", "ann@example.org", "<a@b>c", "<SRS0=x=y=z=w@example.org>", "<" + "x" * 600 + "@x>"),
)
PARAMETERS: dict[str, Callable[[Chance], str]] = {
    "SIZE": number,
    "BODY": one_of("7BIT", "8BITMIME", "BINARYMIME", "9BIT"),
    "SMTPUTF8": one_of("", "x"),
    "AUTH": one_of("<>", "a+40b", "+"),
    "RET": one_of("FULL", "HDRS", "x"),
    "ENVID": one_of("a", "a+20b", "+0A", "x" * 101),
    "REQUIRETLS": one_of("", "x"),
    "HOLDFOR": number,
    "HOLDUNTIL": one_of(
        "2030-01-01T00:00:00Z", "2001-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "x"
    ),
    "BY": lambda chance: f"{number(chance)};{chance.choice(['R', 'N', 'RT', 'X', ''])}",
    "MT-PRIORITY": number,
    "SOLICIT": one_of("a:b", "net.example:ADV", ","),
    "NOTIFY": one_of("NEVER", "SUCCESS", "SUCCESS,FAILURE,DELAY", "NEVER,SUCCESS", ","),
    "ORCPT": one_of("rfc822;a@b", "utf-8;\\x{FC}@b", "utf-8;\\x{110000}@b", "x", ";"),
    "ODD": one_of("", "1"),
}


def parameters(chance: Chance) -> str:
    names = chance.sample(sorted(PARAMETERS), chance.choice([0, 0, 0, 1, 1, 2, 5]))
    words = [(name, PARAMETERS[name](chance)) for name in names]
    return "".join(f" {name}={value}" if value else f" {name}" for name, value in words)


def chunk(chance: Chance) -> bytes:
    content = content_of(chance)
    size = len(content) + chance.choice([0, 0, 0, 0, 0, 1, -1])
    return b"BDAT %d%b\r\n" % (max(size, 0), chance.choice([b"", b"", b" LAST"])) + content


def content_of(chance: Chance) -> bytes:
    lines = [b"Subject: x", b"", b"text", b".", b"..", b"From: ann@example.org", b"Bcc: x", b"\xff"]
    ends = [b"\r\n"] * 20 + [b"\n", b"\r"]
    return b"".join(
        chance.choice(lines) + chance.choice(ends) for _ in range(chance.choice([0, 1, 5, 40]))
    )


def command(chance: Chance) -> bytes:
    """One command, and what follows it."""
    path = chance.choice(PATHS)
    match chance.randrange(16):
        case 0 | 1 | 2:
            said = f"MAIL FROM:{path}{parameters(chance)}"
        case 3 | 4 | 5:
            said = f"RCPT TO:{path}{parameters(chance)}"
        case 6 | 7:
            return b"DATA\r\n" + content_of(chance) + b".\r\n"
        case 8 | 9:
            return chunk(chance)
        case 10:
            said = f"EHLO {chance.choice(['x', '', 'a b', '[1.2.3.4]', 'y' * 300])}"
        case 11:
            said = f"{chance.choice(['VRFY', 'EXPN', 'ETRN', 'BURL', 'HELP', 'HELO'])} {path}"
        case 12:
            said = f"XCLIENT ADDR={chance.choice(['192.0.2.1', '[UNAVAILABLE]', 'IPV6:::1', 'x'])}"
        case 13:
            return SIGN_IN
        case 14:
            said = chance.choice(["AUTH PLAIN =", "AUTH LOGIN", "*", "AUTH X", "TURN", "LHLO x"])
        case _:
            said = chance.choice(["RSET", "NOOP", "NOOP x", "QUIT x", "", "\u00fc", "DATA x"])
    return said.encode() + b"\r\n"


def beginning(chance: Chance, listener: str) -> list[bytes]:
    """What most of what follows makes no sense without; not always."""
    said = [b"LHLO x\r\n" if listener == "lmtp" else b"EHLO x\r\n"]
    if listener == "submission" and chance.random() < 0.8:
        said.append(SIGN_IN)
    if chance.random() < 0.7:
        said += [b"MAIL FROM:<>\r\n", b"RCPT TO:<ann@example.org>\r\n"]
    return said


def broken(chance: Chance, said: bytes) -> bytes:
    """The same with something wrong with it, now and then."""
    if chance.random() < 0.85:
        return said
    at = chance.randrange(len(said) + 1)
    return said[:at] + chance.choice(JUNK) + said[at + chance.choice([0, 0, 1]) :]


@pytest.mark.parametrize(
    "settings",
    [
        {
            "vrfy": True,
            "expn": True,
            "errors": 1000,
            "xclient_networks": "127.0.0.1",
            "relay_domains": "relay.example",
            "data_seconds": 30,
        }
    ],
)
@pytest.mark.parametrize("listener", ["mx", "submission", "lmtp"])
async def test_any_session(
    system: FrontAlone, listener: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wrong: list[Exception] = []
    handle = Smtpd.handle_exception

    async def noted(smtpd: Smtpd, error: Exception) -> str:
        wrong.append(error)
        return await handle(smtpd, error)

    monkeypatch.setattr(Smtpd, "handle_exception", noted)
    for name in ("ann", "bob"):
        person = await system.person()
        account = system.directory.addresses[person.name].accounts[0]
        system.directory.add(f"{name}@example.org", account)
        system.authenticator.accounts[f"{name}@example.org"] = (account.account_id, "two words")
        system.directory.senders[account.account_id].add(f"{name}@example.org")
    for seed in range(SESSIONS):
        chance = random.Random(f"{listener} {seed}")
        said = beginning(chance, listener)
        said += [broken(chance, command(chance)) for _ in range(chance.randrange(1, COMMANDS))]
        wire = await system.connect(listener)
        await wire.send(b"".join(said) + b"\r\n.\r\nRSET\r\nQUIT\r\n")
        wire.say_no_more()
        heard = await wire.hear_rest()
        assert REPLY.fullmatch(heard) or not REPLY.sub(b"", heard), (seed, said, heard)
        assert heard.startswith(b"220 "), (seed, heard)
        assert not wrong, (seed, said, wrong)
    for delivery in system.store.messages:
        assert delivery.submitter or not delivery.queue
        content = system.store.content(delivery)
        binary = delivery.request.body.value == "BINARYMIME"
        assert binary or not re.search(rb"(?<!\r)\n|\r(?!\n)", content)
    assert len(system.store.messages) > 10
    await (await greeted(system)).play("C: NOOP\nS: 250 2.0.0 OK")
