"""The life of a message, as a line of events."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from postroom_admin.model import (
    Attempt,
    Outcome,
    QueueState,
    Reception,
    Traced,
    TracedCopy,
    TracedEntry,
)
from postroom_admin.tracing import events, life_of

from tests.unit.admin.fakes import MADE, FakeServices

CAME = Reception("abc", "192.0.2.7", "mail.example.net", "spf=pass dkim=pass")
NEVER_CAME = Reception("", "", "", "")


def copy(account_id: int = 1, *, seen: bool = False, expunged: bool = False) -> TracedCopy:
    return TracedCopy(
        account_id,
        "INBOX",
        5,
        MADE,
        seen,
        MADE + timedelta(days=1) if expunged else None,
        "eve@example.net",
        CAME,
    )


def entry(
    recipient: str, *attempts: Attempt, state: QueueState | None = None, account_id: int = 0
) -> TracedEntry:
    due = MADE + timedelta(hours=1)
    return TracedEntry(9, account_id, "a@b.c", recipient, MADE, state, due, attempts, CAME)


def attempt(minutes: int, outcome: Outcome, reply: str, tls: str = "") -> Attempt:
    host = "mx.example.com [192.0.2.1]" if outcome is not Outcome.UNKNOWN else ""
    return Attempt(MADE + timedelta(minutes=minutes), outcome, reply, host, tls)


def told(traced: Traced, names: dict[int, str] | None = None) -> list[str]:
    """Each event in one line: minutes after the beginning, what, to whom, details."""
    return [
        " ".join(
            (
                f"{(one.at - MADE).total_seconds() / 60:.0f}" if one.at else "now",
                one.kind,
                one.who or "-",
                one.what,
            )
        )
        for one in events(traced, names or {1: "ann@example.org"})
    ]


def test_a_message_that_came_for_somebody_here() -> None:
    assert told(Traced((copy(seen=True),), ())) == [
        "0 accepted - from mail.example.net [192.0.2.7], sender <eve@example.net>, as abc",
        "0 checked - spf=pass dkim=pass",
        "0 stored ann@example.org in INBOX, UID 5",
        "now seen ann@example.org in INBOX, UID 5",
    ]


def test_a_message_that_was_expunged() -> None:
    assert told(Traced((copy(expunged=True),), ()))[2:] == [
        "0 stored ann@example.org in INBOX, UID 5",
        "1440 expunged ann@example.org was in INBOX, UID 5",
    ]


def test_a_message_that_was_sent_at_the_second_try() -> None:
    sent = entry(
        "x@example.com",
        attempt(0, Outcome.DEFERRED, "451 4.7.1 Greylisted"),
        attempt(5, Outcome.DELIVERED, "250 2.0.0 Ok", "TLSv1.3 dane"),
        account_id=1,
    )
    mx = "mx.example.com [192.0.2.1]"
    assert told(Traced((), (sent,))) == [
        "0 accepted - from mail.example.net [192.0.2.7], sender <a@b.c>,"
        " submitted by ann@example.org, as abc",
        "0 checked - spf=pass dkim=pass",
        "0 queued x@example.com queue id 9",
        f"0 deferred x@example.com {mx}: 451 4.7.1 Greylisted",
        f"5 delivered x@example.com {mx} (TLSv1.3 dane): 250 2.0.0 Ok",
    ]


def test_one_message_for_several_is_accepted_once() -> None:
    lines = told(
        Traced(
            (copy(1), copy(2)),
            (
                entry("x@example.com", attempt(3, Outcome.FAILED, "550 5.1.1 No such user")),
                entry("y@example.com", attempt(1, Outcome.UNKNOWN, "")),
            ),
        )
    )
    assert [line.split()[:3] for line in lines] == [
        ["0", "accepted", "-"],
        ["0", "checked", "-"],
        ["0", "stored", "ann@example.org"],
        ["0", "stored", "account"],
        ["0", "queued", "x@example.com"],
        ["0", "queued", "y@example.com"],
        ["1", "tried", "y@example.com"],
        ["3", "failed", "x@example.com"],
        ["now", "unseen", "ann@example.org"],
        ["now", "unseen", "account"],
        ["now", "gone", "y@example.com"],
    ]
    assert lines[3] == "0 stored account id 2 in INBOX, UID 5"
    assert lines[6] == "1 tried y@example.com nobody reached: -"


def test_what_was_cancelled_says_when() -> None:
    tried = attempt(1, Outcome.DEFERRED, "connection timed out")
    cancelled = replace(entry("x@y", tried), cancelled_at=MADE + timedelta(minutes=2))
    assert told(Traced((), (cancelled,)))[-1] == "2 cancelled x@y by an administrator"


def test_what_waits_is_told_last() -> None:
    tried = attempt(1, Outcome.DEFERRED, "connection timed out")
    waiting = told(Traced((), (entry("x@y", tried, state=QueueState.WAITING),)))
    assert waiting[-1] == "now waits x@y 1 tries so far, next try 2030-01-02T04:04:05+00:00"
    held = told(Traced((), (entry("x@y", state=QueueState.HELD),)))
    assert held[-1] == "now held x@y 0 tries so far"
    sending = told(Traced((), (entry("x@y", state=QueueState.SENDING),)))
    assert sending[-1] == "now sending x@y 0 tries so far"


def test_what_a_mail_program_has_put_there_never_came() -> None:
    appended = TracedCopy(1, "Drafts", 2, MADE, True, None, "", NEVER_CAME)
    assert told(Traced((appended,), ()))[0] == "0 stored ann@example.org in Drafts, UID 2"


async def test_accounts_are_told_by_their_addresses() -> None:
    services = FakeServices()
    await services.with_account()
    services.traces.lives["1@example.net"] = Traced((copy(1), copy(7)), ())
    life = await life_of(services.ports, " <1@example.net> ")
    assert life.message_id == "<1@example.net>"
    assert [one.who for one in life.events] == [
        *("", "", "ann@example.org", "account id 7"),
        *("ann@example.org", "account id 7"),
    ]
