"""A draft that lies in a mailbox is sent from there: IMAP's URLAUTH and submission's BURL together
(RFC 4467, RFC 4468, RFC 4550).
"""

from __future__ import annotations

import smtplib
from urllib.parse import quote

import pytest

from deploy.local.provision import Account
from tests.harness.mail import contents, logged_in, submitted, without_trace
from tests.harness.system import MailSystem


def authorized(system: MailSystem, account: Account, access: str) -> str:
    """A URL of the first message in somebody's INBOX."""
    rump = f"imap://{quote(account.address)}@{system.host}/INBOX/;UID=1;URLAUTH={access}"
    with logged_in(system, account) as imap:
        assert imap.xatom("GENURLAUTH", f'"{rump}"', "INTERNAL")[0] == "OK"
        (told,) = imap.response("GENURLAUTH")[1]
    return bytes(told).decode().strip('"')


@pytest.mark.parametrize("holder", ["ann", "bob"])
def test_a_draft_is_sent_from_where_it_lies(system: MailSystem, holder: str) -> None:
    ann, bob = system.new_account(), system.new_account()
    draft = submitted("a draft", to=bob.address, author=ann.address)
    with logged_in(system, ann) as imap:
        assert imap.append("INBOX", "", "", draft)[0] == "OK"
    url = authorized(system, ann, f"submit+{quote(ann.address)}")
    sender = ann if holder == "ann" else bob
    with smtplib.SMTP(system.host, system.port("submission"), timeout=60) as smtp:
        smtp.login(sender.address, sender.password)
        assert smtp.has_extn("burl")
        smtp.mail(sender.address)
        smtp.rcpt(bob.address)
        code, text = smtp.docmd("BURL", f"{url} LAST")
    if holder == "ann":
        assert (code, text[:6]) == (250, b"2.0.0 ")
        assert [without_trace(one) for one in contents(system, bob)] == [draft]
    else:  # whoever has a URL that is meant for somebody else has nothing
        assert (code, text[:6]) == (554, b"5.6.6 ")
