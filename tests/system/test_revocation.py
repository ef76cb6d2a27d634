"""Who may act no longer is out within a minute, whatever the session is doing."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from deploy.local.provision import Account
from tests.harness.system import MailSystem, running
from tests.harness.wire import Wire, plain

# What is promised, with the settings as they come.
PROMISED_SECONDS = 60.0
MOST_SECONDS = 120.0
AWAY_SECONDS = 5.0  # so long that every session has asked in vain

Open = Callable[[MailSystem, Account], Wire]
Revoke = Callable[[MailSystem, Account], object]


def connect(system: MailSystem, port: str) -> Wire:
    return Wire(system.host, system.port(port), seconds=MOST_SECONDS)


def imap(system: MailSystem, account: Account) -> Wire:
    wire = connect(system, "imap")
    wire.log_in(account)
    assert wire.command(b"select", b"SELECT INBOX")[-1].startswith(b"select OK")
    return wire


def idling(system: MailSystem, account: Account) -> Wire:
    wire = imap(system, account)
    wire.send(b"idle IDLE\r\n")
    assert wire.line().startswith(b"+ ")
    return wire


def pop3(system: MailSystem, account: Account) -> Wire:
    wire = connect(system, "pop3")
    assert wire.line().startswith(b"+OK")
    for command in (f"USER {account.address}", f"PASS {account.password}"):
        assert wire.say(command.encode()).startswith(b"+OK")
    return wire


def submission(system: MailSystem, account: Account) -> Wire:
    wire = connect(system, "submission")
    assert wire.reply().startswith(b"220")
    assert wire.say(b"EHLO client.example").startswith(b"250")
    assert wire.say(b"AUTH PLAIN " + plain(account)).startswith(b"235")
    return wire


def in_a_transaction(system: MailSystem, account: Account) -> Wire:
    wire = submission(system, account)
    assert wire.say(f"MAIL FROM:<{account.address}>".encode()).startswith(b"250")
    return wire


@dataclass(frozen=True)
class Doing:
    """A session, how to bring it about, and how it must end."""

    open: Open
    farewell: bytes


SESSIONS = {
    "IMAP": Doing(imap, b"* BYE"),
    "IDLE": Doing(idling, b"* BYE"),
    "POP3": Doing(pop3, b"-ERR"),
    "submission": Doing(submission, b"421"),
    "a transaction": Doing(in_a_transaction, b"421"),
}

REVOCATIONS: dict[str, Revoke] = {
    "a new password": lambda system, account: system.postroom(
        "password", "set", account.address, "--generate"
    ),
    "a disabled account": lambda system, account: system.postroom(
        "account", "disable", account.address
    ),
    "a locked account": lambda system, account: system.postroom("account", "lock", account.address),
    "a revoked app password": lambda system, account: system.postroom(
        "app-password", "revoke", account.address, "program"
    ),
}


def test_every_session_ends_within_a_minute_and_no_other(system: MailSystem) -> None:
    """All of them wait at once: it takes a minute, not one for each."""
    with ExitStack() as stack:
        ending: dict[tuple[str, str], Wire] = {}
        accounts: dict[str, Account] = {}
        for why in REVOCATIONS:
            accounts[why] = account = own = system.new_account()
            if why == "a revoked app password":
                text = system.postroom("app-password", "add", own.address, "program")
                account = Account(own.address, text.strip())
                # An app password is one program's: its end is nobody else's.
                going_on = stack.enter_context(imap(system, own))
            for name, doing in SESSIONS.items():
                ending[why, name] = stack.enter_context(doing.open(system, account))
        revoked: dict[str, float] = {}
        for why, revoke in REVOCATIONS.items():
            revoke(system, accounts[why])
            revoked[why] = time.monotonic()
        for (why, name), wire in ending.items():
            told = wire.rest()
            assert told.startswith(SESSIONS[name].farewell), (why, name, told)
            assert time.monotonic() - revoked[why] < PROMISED_SECONDS, (why, name)
        assert going_on.command(b"noop", b"NOOP")[-1].startswith(b"noop OK")
    entries = json.loads(system.postroom("audit", "--account", own.address, "--json"))
    by_program = [entry["times"] for entry in entries if entry["credential"] == "app:program"]
    assert sum(by_program) == len(SESSIONS)


def ask(name: str, wire: Wire) -> None:
    """See that a session is served."""
    match name:
        case "IMAP":
            assert wire.command(b"noop", b"NOOP")[-1].startswith(b"noop OK")
        case "POP3":
            assert wire.say(b"NOOP").startswith(b"+OK")
        case "submission" | "a transaction":
            assert wire.say(b"NOOP").startswith(b"250")


def test_sessions_go_on_while_auth_is_away(tmp_path: Path) -> None:
    often = {
        "POSTROOM_AUTH_RENEWAL_SECONDS": "1",
        "POSTROOM_POP3_LEASE_RENEWAL_SECONDS": "1",
    }
    with running(tmp_path, settings=often) as system, ExitStack() as stack:
        account = system.new_account()
        wires = {
            name: stack.enter_context(doing.open(system, account))
            for name, doing in SESSIONS.items()
        }
        system.kill("auth")
        until = time.monotonic() + AWAY_SECONDS
        while time.monotonic() < until:
            for name, wire in wires.items():
                ask(name, wire)
            time.sleep(0.2)
        system.restart("auth")
        set_password = REVOCATIONS["a new password"]
        set_password(system, account)
        for name, wire in wires.items():
            told = wire.rest()
            assert told.startswith(SESSIONS[name].farewell), (name, told)
