"""Mail to other domains, from its submission to a server that others wrote."""

from __future__ import annotations

import email
import email.policy
import json
import os
import re
import smtplib
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from email.message import EmailMessage
from typing import Any

import dkim
import pytest

from deploy.local import ports
from deploy.local.provision import DOMAIN, Account
from tests.harness.clients import require
from tests.harness.dns import DnsServer, dns_server
from tests.harness.mail import logged_in
from tests.harness.post import certified
from tests.harness.postfix import Postfix, postfix
from tests.harness.system import MailSystem, running

pytestmark = pytest.mark.clients("postfix")

THERE, MX, HOST = "there.example", "mx.there.example", "127.0.0.201"
BOB, LATER = f"bob@{THERE}", f"later@{THERE}"
MANY = [f"r{number}@{THERE}" for number in range(200)]
SECONDS = 60.0


@dataclass(frozen=True)
class Far:
    """A system that sends, and who it sends to."""

    system: MailSystem
    dns: DnsServer
    postfix: Postfix


@pytest.fixture(scope="module")
def far(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Far]:
    require("" if os.geteuid() == 0 else "root, whom Postfix insists on")
    (port,) = ports.choose(("there",)).values()
    shown = certified(MX)
    with ExitStack() as stack:
        dns = stack.enter_context(dns_server())
        dns.add(THERE, "MX", f"10 {MX}.", secure=True)
        dns.add(MX, "A", HOST, secure=True)
        dns.add(f"_{port}._tcp.{MX}", "TLSA", shown.record(3, 1, 1), secure=True)
        people = [BOB, LATER, f"carol@{THERE}", *MANY]
        access = f"{LATER} 450 4.7.1 not so fast\n"
        there = stack.enter_context(postfix(HOST, port, MX, people, shown.pem, access))
        settings = {
            "POSTROOM_SMTP_SEND": "true",
            "POSTROOM_SMTP_SEND_PORT": str(port),
            "POSTROOM_SMTP_SEND_LEASE_SECONDS": "30",
            "POSTROOM_SMTP_DNS_SERVERS": dns.address,
            "POSTROOM_SMTP_DNS_TRUSTED": "true",
            "POSTROOM_SMTP_SRS_DOMAIN": DOMAIN,
            "POSTROOM_SMTP_SRS_SECRETS": "a secret of this test's",
        }
        state = tmp_path_factory.mktemp("far")
        system = stack.enter_context(running(state, settings=settings))
        yield Far(system, dns, there)


@pytest.fixture
def ann(far: Far) -> Account:
    return far.system.new_account()


def submit(far: Far, sender: Account, *recipients: str, subject: str = "Hello") -> str:
    """Submit a message; answers its Message-ID."""
    message_id = f"<{time.time_ns()}@{DOMAIN}>"
    message = EmailMessage(email.policy.SMTP)
    message["From"], message["To"], message["Subject"] = sender.address, recipients[0], subject
    message["Message-ID"] = message_id
    message.set_content("Hello.\n")
    with smtplib.SMTP(far.system.host, far.system.port("submission"), timeout=SECONDS) as smtp:
        smtp.login(sender.address, sender.password)
        assert not smtp.sendmail(sender.address, recipients, message.as_bytes())
    return message_id


def until(wanted: Callable[[], Any]) -> Any:
    """Wait for something to be there."""
    deadline = time.monotonic() + SECONDS
    while not (found := wanted()):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    return found


def inbox(far: Far, account: Account) -> list[bytes]:
    with logged_in(far.system, account) as imap:
        imap.select("INBOX", readonly=True)
        _, found = imap.uid("FETCH", "1:*", "(BODY.PEEK[])")
        return [part[1] for part in found if isinstance(part, tuple)]


def queue(far: Far, recipient: str) -> list[dict[str, Any]]:
    waiting = json.loads(far.system.postroom("queue", "list", "--domain", THERE, "--json"))
    return [one for one in waiting if one["recipient"] == recipient]


def test_mail_arrives_signed_over_tls_that_dane_demands(far: Far, ann: Account) -> None:
    made = json.loads(far.system.postroom("dkim", "make", DOMAIN, "--json"))
    name = f"{made['selector']}._domainkey.{DOMAIN}"
    far.dns.text(name, made["record"])
    far.system.postroom("dkim", "activate", DOMAIN, made["selector"], "--unchecked")

    def arrived() -> bytes | None:
        """Keys are known to a front for a while: the first message may go unsigned."""
        message_id = submit(far, ann, BOB)
        found = until(lambda: [m for m in far.postfix.mail(BOB) if message_id.encode() in m])[0]
        return found if b"DKIM-Signature:" in found else None

    message = until(arrived).replace(b"\n", b"\r\n")

    def record(asked: bytes, timeout: int = 5) -> bytes:
        assert asked.decode().rstrip(".") == name
        return str(made["record"]).encode()

    signed = message[message.index(b"DKIM-Signature:") :]
    assert dkim.verify(signed, dnsfunc=record)
    assert message.startswith(b"Return-Path: <%b>" % ann.address.encode())
    assert "TLSv1.3 dane" in far.system.postroom("trace", _message_id(message))


def test_a_refusal_comes_back_to_who_sent_it(far: Far, ann: Account) -> None:
    submit(far, ann, f"nobody@{THERE}", BOB, subject="Two of them")
    (notice,) = until(lambda: inbox(far, ann))
    parsed = email.message_from_bytes(notice, policy=email.policy.default)
    assert parsed["Return-Path"] == "<>"
    assert parsed.get_content_type() == "multipart/report"
    (status,) = (p for p in parsed.walk() if p.get_content_type() == "message/delivery-status")
    fields = dict(status.get_payload()[1].items())  # type: ignore[union-attr, index]
    assert (
        fields["Final-Recipient"] == f"rfc822;nobody@{THERE}"
        or fields["Final-Recipient"] == f"rfc822; nobody@{THERE}"
    )
    assert fields["Action"] == "failed"
    assert fields["Status"].startswith("5.1.1")
    assert b"Subject: Two of them" in notice
    assert queue(far, f"nobody@{THERE}") == []


def test_what_is_put_off_waits_and_says_why(far: Far, ann: Account) -> None:
    message_id = submit(far, ann, LATER)
    (waiting,) = until(lambda: [one for one in queue(far, LATER) if one["attempts"]])
    number = str(waiting["queue_id"])
    assert "not so fast" in waiting["last_reply"]
    assert waiting["next_attempt_at"] > waiting["created_at"]

    far.system.postroom("queue", "hold", number)
    assert queue(far, LATER)[0]["state"] == "held"
    far.system.postroom("queue", "release", number)
    far.system.postroom("queue", "retry", number)
    until(lambda: [one for one in queue(far, LATER) if one["attempts"] > 1])

    shown = far.system.postroom("trace", message_id)
    assert shown.count("not so fast") >= 2
    until(lambda: _cancelled(far, number))
    assert queue(far, LATER) == []


def _cancelled(far: Far, number: str) -> bool:
    """An entry that is being sent just now can't be cancelled."""
    with suppress(AssertionError):
        far.system.postroom("queue", "cancel", "--yes", number)
        return True
    return False


def test_a_forward_has_a_sender_of_ours_and_its_bounce_goes_back(far: Far, ann: Account) -> None:
    """SRS: who is asked whether we may send for the first sender would say no."""
    carol, forward = f"carol@{THERE}", f"far-{ann.address}"
    far.system.postroom("alias", "add", forward, BOB)
    relay(far, carol, forward, b"Subject: Forwarded\r\n\r\nGo on.\r\n")
    (found,) = until(lambda: [m for m in far.postfix.mail(BOB) if b"Go on." in m])
    path = re.match(rb"Return-Path: <(SRS0=.*@%b)>" % DOMAIN.encode(), found)
    assert path
    relay(far, "", path[1].decode(), b"Subject: no\r\n\r\nIt failed.\r\n")
    (bounce,) = far.postfix.mail(carol)
    assert b"It failed." in bounce
    assert bounce.startswith(b"Return-Path: <>")


def relay(far: Far, sender: str, recipient: str, content: bytes) -> None:
    """Hand over a message as another server would."""
    with smtplib.SMTP(far.system.host, far.system.port("smtp"), timeout=SECONDS) as smtp:
        assert not smtp.sendmail(sender, [recipient], content)


def test_nothing_is_lost_where_a_worker_is_killed(far: Far, ann: Account) -> None:
    """At least once, each; whoever was being sent to when it was killed may get it twice."""
    message_ids = {one: submit(far, ann, one) for one in MANY[:100]}
    far.system.kill("smtp")
    far.system.restart("smtp")
    more = {one: submit(far, ann, one) for one in MANY[100:]}
    for recipient, message_id in (message_ids | more).items():
        assert message_id.encode() in far.postfix.mail(recipient)[0]
    twice = [one for one in MANY if len(far.postfix.mail(one)) > 1]
    assert len(twice) <= 20
    until(lambda: not json.loads(far.system.postroom("queue", "list", "--json")))


def _message_id(message: bytes) -> str:
    found = re.search(rb"(?im)^Message-ID: *(\S+)", message)
    assert found
    return found[1].decode()
