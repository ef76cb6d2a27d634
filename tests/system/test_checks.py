"""Mail is signed by keys of auth's, checked by what the DNS says, and greylisted by the store: from
end to end, with a DNS server of the test's own.
"""

from __future__ import annotations

import json
import smtplib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

import dkim
import pytest

from deploy.local.provision import DOMAIN, Account
from tests.harness.dns import DnsServer, dns_server
from tests.harness.mail import WAIT_SECONDS, contents, message
from tests.harness.system import MailSystem, running

ELSEWHERE = "ann@sender.example"


@dataclass
class Checked:
    """A Postroom that asks everybody who they are, and what the DNS says."""

    system: MailSystem
    dns: DnsServer
    records: dict[str, str] = field(default_factory=dict)

    def send(self, author: str, to: Account, content: bytes) -> tuple[int, str]:
        """As another server; the reply that came last."""
        system = self.system
        with smtplib.SMTP(system.host, system.port("smtp"), timeout=WAIT_SECONDS) as smtp:
            try:
                smtp.sendmail(author, [to.address], content)
            except smtplib.SMTPRecipientsRefused as refused:
                ((code, said),) = refused.recipients.values()
                return code, said.decode()
            except smtplib.SMTPDataError as refused:
                error = refused.smtp_error
                return refused.smtp_code, error if isinstance(error, str) else error.decode()
        return 250, ""

    def submit(self, author: Account, to: Account, content: bytes) -> None:
        system = self.system
        with smtplib.SMTP(system.host, system.port("submission"), timeout=WAIT_SECONDS) as smtp:
            smtp.login(author.address, author.password)
            smtp.sendmail(author.address, [to.address], content)

    def publish(self) -> None:
        """Have keys of both kinds, and let them sign."""
        for kind in ("rsa", "ed25519"):
            made = json.loads(
                self.system.postroom("dkim", "make", DOMAIN, "--algorithm", kind, "--json")
            )
            name = f"{made['selector']}._domainkey.{DOMAIN}"
            self.records[name] = made["record"]
            self.dns.text(name, made["record"])
            self.system.postroom("dkim", "activate", DOMAIN, made["selector"], "--unchecked")
        self.dns.text(f"_dmarc.{DOMAIN}", "v=DMARC1; p=reject")

    def text_of(self, name: bytes, timeout: int = 5) -> bytes:
        """What dkimpy asks."""
        return self.records[name.decode().removesuffix(".")].encode()


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Checked]:
    with dns_server() as dns:
        settings = {
            "POSTROOM_SMTP_DNS_SERVERS": dns.address,
            "POSTROOM_SMTP_CHECK_EXEMPT_NETWORKS": "",
            "POSTROOM_SMTP_GREYLISTING": "true",
            "POSTROOM_SMTP_GREYLIST_SECONDS": "1",
            "POSTROOM_SMTP_RATE_SENDER_MESSAGES": "30/3600",
        }
        with running(tmp_path_factory.mktemp("checked"), settings=settings) as system:
            dns.text("sender.example", "v=spf1 ip4:127.0.0.1 -all")
            checked = Checked(system, dns)
            system.new_account()  # the domain is made with its first
            checked.publish()
            yield checked


def test_what_is_submitted_is_signed_and_comes_back(checked: Checked) -> None:
    ann, bob = checked.system.new_account(), checked.system.new_account()
    checked.submit(ann, bob, message("signed", to=bob.address, author=ann.address))
    (received,) = contents(checked.system, bob)
    assert received.count(b"DKIM-Signature: ") == 2
    sent = received[received.index(b"DKIM-Signature: ") :]
    for number in range(2):
        assert dkim.DKIM(sent).verify(number, dnsfunc=checked.text_of)
    # By a server that the domain doesn't name it is still from there; changed, it isn't.
    code, said = checked.send(ELSEWHERE, bob, sent.replace(b"signed", b"forged"))
    assert (code, said.split()[0]) == (550, "5.7.1")
    assert checked.send(ELSEWHERE, bob, sent)[0] == 250
    *_, returned = contents(checked.system, bob)
    assert returned.count(b"dkim=pass") == 2
    assert b"dmarc=pass (p=reject) header.from=" in returned


def test_who_is_new_comes_back_later(checked: Checked) -> None:
    bob = checked.system.new_account()
    new = "me@new.example"
    code, said = checked.send(new, bob, message("new", author=new))
    assert (code, said.split()[0]) == (451, "4.7.1")
    for _ in range(20):
        time.sleep(0.2)
        code, said = checked.send(new, bob, message("new", author=new))
        if code == 250:
            break
    assert code == 250, said
    # It is known from now on, and somebody else isn't.
    assert checked.send(new, bob, message("again", author=new))[0] == 250
    assert checked.send("other@new.example", bob, message("other", author=new))[0] == 451


def test_a_sender_has_a_rate(checked: Checked) -> None:
    system = checked.system
    with smtplib.SMTP(system.host, system.port("smtp"), timeout=WAIT_SECONDS) as smtp:
        smtp.ehlo()
        codes = []
        for _ in range(31):
            codes.append(smtp.mail("often@sender.example")[0])
            smtp.rset()
        assert codes == [250] * 30 + [451]
        assert smtp.mail("seldom@sender.example")[0] == 250
