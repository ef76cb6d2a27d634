"""The standard library's clients: smtplib, poplib, imaplib."""

from __future__ import annotations

import email
import imaplib
import poplib
import smtplib
from typing import Any

import pytest

from deploy.local.provision import Account
from tests.harness.mail import contents, deliver, message, submitted, without_trace
from tests.harness.system import MailSystem, client_tls

SECONDS = 60.0


def submission(system: MailSystem, *, implicit: bool) -> smtplib.SMTP:
    context = client_tls(system)
    if implicit:
        port = system.port("submissions")
        return smtplib.SMTP_SSL(system.host, port, timeout=SECONDS, context=context)
    smtp = smtplib.SMTP(system.host, system.port("submission"), timeout=SECONDS)
    smtp.starttls(context=context)
    return smtp


@pytest.mark.parametrize("implicit", [False, True])
def test_smtplib_submits(
    system: MailSystem, sender: Account, account: Account, implicit: bool
) -> None:
    sent = submitted("by smtplib", to=account.address, author=sender.address)

    with submission(system, implicit=implicit) as smtp:
        smtp.login(sender.address, sender.password)
        assert smtp.sendmail(sender.address, [account.address, sender.address], sent) == {}

    for person in (account, sender):
        assert [without_trace(content) for content in contents(system, person)] == [sent]


def test_smtplib_learns_which_recipients_were_refused(system: MailSystem, account: Account) -> None:
    with smtplib.SMTP(system.host, system.port("smtp"), timeout=SECONDS) as smtp:
        refused = smtp.sendmail(
            "me@example.org", [account.address, "nobody@example.test"], message("to two")
        )

    code, text = refused["nobody@example.test"]
    assert (code, text[:6]) == (550, b"5.1.1 ")
    assert len(contents(system, account)) == 1


def test_smtplib_may_not_send_without_signing_in(system: MailSystem, account: Account) -> None:
    with (
        submission(system, implicit=True) as smtp,
        pytest.raises(smtplib.SMTPSenderRefused) as refused,
    ):
        smtp.sendmail("me@example.org", [account.address], message("unsigned"))
    assert refused.value.smtp_code == 530


@pytest.mark.parametrize("implicit", [False, True])
def test_poplib_reads_and_deletes(system: MailSystem, account: Account, implicit: bool) -> None:
    sent = [message("first", ".\n..\nend\n"), message("second")]
    deliver(system, account, *sent)

    pop3 = open_maildrop(system, account, implicit=implicit)
    assert pop3.stat()[0] == 2
    lines = pop3.retr(1)[1]
    assert without_trace(b"\r\n".join(lines) + b"\r\n") == sent[0]
    uid = pop3.uidl(2).split()[2]
    pop3.dele(1)
    pop3.quit()

    pop3 = open_maildrop(system, account, implicit=implicit)
    assert pop3.stat()[0] == 1
    assert pop3.uidl(1).split()[2] == uid
    assert b"Subject: second" in pop3.top(1, 0)[1]
    pop3.quit()


def open_maildrop(system: MailSystem, account: Account, *, implicit: bool) -> poplib.POP3:
    context = client_tls(system)
    pop3: poplib.POP3
    if implicit:
        port = system.port("pop3s")
        pop3 = poplib.POP3_SSL(system.host, port, timeout=SECONDS, context=context)
    else:
        pop3 = poplib.POP3(system.host, system.port("pop3"), timeout=SECONDS)
        pop3.stls(context)
    try:
        pop3.user(account.address)
        pop3.pass_(account.password)
    except poplib.error_proto:
        pop3.close()
        raise
    return pop3


def test_poplib_holds_the_maildrop_alone(system: MailSystem, account: Account) -> None:
    first = open_maildrop(system, account, implicit=False)

    with pytest.raises(poplib.error_proto, match=r"IN-USE"):
        open_maildrop(system, account, implicit=False)

    first.quit()
    open_maildrop(system, account, implicit=False).quit()


@pytest.mark.parametrize("implicit", [False, True])
def test_imaplib_goes_through_a_mailbox(
    system: MailSystem, account: Account, implicit: bool
) -> None:
    imap = open_imap(system, account, implicit=implicit)
    added = message("by imaplib")
    assert imap.create("Drafts/2026")[0] == "OK"
    assert imap.append("Drafts/2026", r"(\Draft)", '"01-Feb-2026 10:00:00 +0100"', added)[0] == "OK"
    assert imap.select("Drafts/2026") == ("OK", [b"1"])

    (described, literal), _ = ok(imap.fetch("1", "(FLAGS INTERNALDATE RFC822.SIZE BODY.PEEK[])"))
    assert literal == added
    assert b'INTERNALDATE " 1-Feb-2026 ' in described
    assert b"RFC822.SIZE %d" % len(added) in described
    assert ok(imap.search(None, "SUBJECT", '"IMAPLIB"', "DRAFT")) == [b"1"]

    ok(imap.store("1", "+FLAGS", r"(\Seen $Forwarded)"))
    (flags,) = ok(imap.fetch("1", "(FLAGS)"))
    assert {b"\\Draft", b"\\Seen", b"$Forwarded"} <= set(imaplib.ParseFlags(flags))
    ok(imap.copy("1", "INBOX"))
    ok(imap.store("1", "+FLAGS", r"(\Deleted)"))
    assert ok(imap.expunge()) == [b"1"]
    ok(imap.close())
    assert ok(imap.status("INBOX", "(MESSAGES UNSEEN)")) == [b"INBOX (MESSAGES 1 UNSEEN 0)"]
    ok(imap.rename("Drafts/2026", "Drafts/old"))
    assert [line for line in ok(imap.list('""', "Drafts/*")) if b"old" in line]
    ok(imap.delete("Drafts/old"))
    assert imap.logout()[0] == "BYE"


def test_imaplib_shares_a_mailbox(system: MailSystem, sender: Account, account: Account) -> None:
    """No administrator is needed: whose the mailbox is says who may do what."""
    owner = open_imap(system, sender, implicit=False)
    ok(owner.create("Team"))
    ok(owner.append("Team", None, None, message("for all of us")))
    ok(owner.setacl("Team", account.address, "lrs"))
    assert ok(owner.getacl("Team"))[0].endswith(f" {account.address} lrs".encode())

    guest = open_imap(system, account, implicit=True)
    name = f'"Other Users/{sender.address}/Team"'
    assert [line for line in ok(guest.list()) if name.encode() in line]
    assert ok(guest.myrights(name)) == [f"{name} lrs".encode()]
    assert guest.select(name) == ("OK", [b"1"])
    (_, content), _ = ok(guest.fetch("1", "(BODY[])"))
    assert b"Subject: for all of us" in content
    assert guest.store("1", "+FLAGS", r"(\Deleted)")[0] == "NO"
    assert guest.append(name, None, None, message("not by me"))[0] == "NO"

    assert owner.select("Team") == ("OK", [b"1"])
    (flags,) = ok(owner.fetch("1", "(FLAGS)"))
    assert b"\\Seen" in imaplib.ParseFlags(flags)
    ok(owner.deleteacl("Team", account.address))
    ok(guest.unselect())
    assert guest.select(name)[0] == "NO"
    owner.logout()
    guest.logout()


def open_imap(system: MailSystem, account: Account, *, implicit: bool) -> imaplib.IMAP4:
    context = client_tls(system)
    imap: imaplib.IMAP4
    if implicit:
        port = system.port("imaps")
        imap = imaplib.IMAP4_SSL(system.host, port, ssl_context=context, timeout=SECONDS)
    else:
        imap = imaplib.IMAP4(system.host, system.port("imap"), timeout=SECONDS)
        imap.starttls(context)
    imap.login(account.address, account.password)
    return imap


def ok(answer: tuple[str, Any]) -> list[Any]:
    status, data = answer
    assert status == "OK", data
    return list(data)


def test_trace_fields_tell_how_a_message_came(
    system: MailSystem, sender: Account, account: Account
) -> None:
    with submission(system, implicit=True) as smtp:
        smtp.login(sender.address, sender.password)
        traced = message("traced", author=sender.address)
        smtp.sendmail(sender.address, [account.address], traced)

    (content,) = contents(system, account)
    received = str(email.message_from_bytes(content)["Received"])

    # RFC 3848: E(SMTP), S(TLS), A(uthenticated); the proxy that ended TLS isn't the client.
    assert "with ESMTPSA" in " ".join(received.split())
    assert "127.0.0.1" in received
