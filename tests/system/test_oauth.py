"""Clients that bear a token of an issuer of the test's: curl, mpop, msmtp and Python's own."""

from __future__ import annotations

import base64
import imaplib
import json
import poplib
import smtplib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.provision import DOMAIN, Account
from tests.harness import msmtp
from tests.harness.clients import run_client
from tests.harness.mail import contents, deliver, message, submitted, without_trace
from tests.harness.oidc import AUDIENCE, Oidc, running_oidc
from tests.harness.system import MailSystem, client_tls, running

MECHANISMS = ("OAUTHBEARER", "XOAUTH2")


@pytest.fixture(scope="module")
def oidc() -> Iterator[Oidc]:
    with running_oidc() as started:
        yield started


@pytest.fixture(scope="module")
def oauth_system(tmp_path_factory: pytest.TempPathFactory, oidc: Oidc) -> Iterator[MailSystem]:
    issuer = {
        "kind": "oidc",
        "domains": [DOMAIN],
        "issuer": oidc.issuer,
        "audience": [AUDIENCE],
        "scopes": ["mail"],
        "clock_skew_seconds": 0,
    }
    settings = {"POSTROOM_AUTH_DIRECTORIES": json.dumps({"login": issuer})}
    with running(tmp_path_factory.mktemp("oauth"), settings=settings) as started:
        yield started


@pytest.fixture
def ann(oauth_system: MailSystem) -> Account:
    return oauth_system.new_account()


def curl(
    system: MailSystem, account: Account, token: str, *arguments: str | Path, **how: bytes | int
) -> bytes:
    bearer = ("--user", f"{account.address}:", "--oauth2-bearer", token)
    trust = ("-sS", "--max-time", "60", "--cacert", system.authority)
    return run_client("curl", *trust, *bearer, *arguments, **how)  # type: ignore[arg-type]


@pytest.mark.clients("curl")
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize("initial", [(), ("--sasl-ir",)], ids=["asked", "at once"])
@pytest.mark.parametrize(
    ("scheme", "port", "path"),
    [("imap", "imap", "/INBOX;UID=1"), ("imaps", "imaps", "/INBOX;UID=1"), ("pop3", "pop3", "/1")],
)
def test_curl_reads(
    oauth_system: MailSystem,
    ann: Account,
    oidc: Oidc,
    scheme: str,
    port: str,
    path: str,
    mechanism: str,
    initial: tuple[str, ...],
) -> None:
    sent = message("for a bearer")
    deliver(oauth_system, ann, sent)

    options = ("--ssl-reqd", "--login-options", f"AUTH={mechanism}", *initial)
    url = f"{scheme}://{oauth_system.host}:{oauth_system.port(port)}{path}"
    token = oidc.token(ann.address)
    read = curl(oauth_system, ann, token, *options, url)

    assert without_trace(read) == sent


@pytest.mark.clients("curl")
@pytest.mark.parametrize("mechanism", MECHANISMS)
def test_curl_sends(oauth_system: MailSystem, ann: Account, oidc: Oidc, mechanism: str) -> None:
    sent = submitted("from a bearer", to=ann.address, author=ann.address)
    envelope = ("--mail-from", ann.address, "--mail-rcpt", ann.address, "--upload-file", "-")
    options = ("--ssl-reqd", "--login-options", f"AUTH={mechanism}")
    url = f"smtp://{oauth_system.host}:{oauth_system.port('submission')}"
    curl(oauth_system, ann, oidc.token(ann.address), *options, *envelope, url, stdin=sent)

    (received,) = contents(oauth_system, ann)
    assert without_trace(received) == sent


@pytest.mark.clients("curl")
@pytest.mark.parametrize("mechanism", MECHANISMS)
@pytest.mark.parametrize(("scheme", "port"), [("imap", "imap"), ("pop3", "pop3")])
def test_curl_is_refused_with_an_old_token_and_with_another_ones(
    oauth_system: MailSystem, ann: Account, oidc: Oidc, scheme: str, port: str, mechanism: str
) -> None:
    bob = oauth_system.new_account()
    url = f"{scheme}://{oauth_system.host}:{oauth_system.port(port)}/"
    options = ("--ssl-reqd", "--login-options", f"AUTH={mechanism}")
    for token in (
        oidc.token(ann.address, exp=int(time.time()) - 10),
        oidc.token(bob.address),
        "nonsense",
    ):
        curl(oauth_system, ann, token, *options, url, status=67)


@pytest.mark.clients("mpop")
@pytest.mark.parametrize("method", ["oauthbearer", "xoauth2"])
def test_mpop(
    oauth_system: MailSystem, ann: Account, oidc: Oidc, tmp_path: Path, method: str
) -> None:
    deliver(oauth_system, ann, message("for mpop"))
    bearing = Account(ann.address, oidc.token(ann.address))

    fetched = msmtp.fetch(tmp_path, *msmtp.options(oauth_system, "pop3s", bearing, method))

    assert b"\nSubject: for mpop\n" in fetched


@pytest.mark.clients("msmtp")
@pytest.mark.parametrize("method", ["oauthbearer", "xoauth2"])
def test_msmtp(oauth_system: MailSystem, ann: Account, oidc: Oidc, method: str) -> None:
    bearing = Account(ann.address, oidc.token(ann.address))

    msmtp.send(ann, *msmtp.options(oauth_system, "submission", bearing, method))

    (received,) = contents(oauth_system, ann)
    assert b"Subject: by msmtp" in received


def bearer(account: Account, token: str) -> bytes:
    return f"n,a={account.address},\x01auth=Bearer {token}\x01\x01".encode()


def test_python_is_told_why_and_signs_in_with_a_fresh_token(
    oauth_system: MailSystem, ann: Account, oidc: Oidc
) -> None:
    heard: list[bytes] = []

    def answers(first: bytes) -> Iterator[bytes]:
        yield first
        yield b"\x01"

    imap = imaplib.IMAP4_SSL(
        "localhost", oauth_system.port("imaps"), ssl_context=client_tls(oauth_system)
    )
    old = answers(bearer(ann, oidc.token(ann.address, exp=int(time.time()) - 10)))

    def answer(challenge: bytes) -> bytes:
        heard.append(challenge)
        return next(old)

    with pytest.raises(imaplib.IMAP4.error, match="AUTHENTICATIONFAILED"):
        imap.authenticate("OAUTHBEARER", answer)
    told = json.loads(heard[-1])
    assert told["status"] == "invalid_token"
    assert told["openid-configuration"].startswith(oidc.issuer)
    first = bearer(ann, oidc.token(ann.address))
    imap.authenticate("OAUTHBEARER", lambda _: first)
    assert imap.select()[0] == "OK"
    imap.logout()


def test_python_sends(oauth_system: MailSystem, ann: Account, oidc: Oidc) -> None:
    with smtplib.SMTP("localhost", oauth_system.port("submission")) as smtp:
        smtp.starttls(context=client_tls(oauth_system))
        smtp.ehlo()
        assert set(MECHANISMS) <= set(smtp.esmtp_features["auth"].split())
        word = base64.b64encode(bearer(ann, oidc.token(ann.address))).decode()
        assert smtp.docmd("AUTH", f"OAUTHBEARER {word}")[0] == 235
        sent = message("by smtplib", to=ann.address, author=ann.address)
        smtp.sendmail(ann.address, [ann.address], sent)
    assert len(contents(oauth_system, ann)) == 1


def test_a_session_ends_with_its_token(oauth_system: MailSystem, ann: Account, oidc: Oidc) -> None:
    imap = imaplib.IMAP4_SSL(
        "localhost", oauth_system.port("imaps"), ssl_context=client_tls(oauth_system)
    )
    expires = int(time.time()) + 3
    first = bearer(ann, oidc.token(ann.address, exp=expires))
    imap.authenticate("OAUTHBEARER", lambda _: first)
    imap.select()
    # The server says by itself that it is over, soon after.
    while not (line := imap.readline()).startswith(b"* BYE"):
        assert line
    assert expires - 1 <= time.time() < expires + 30
    imap.shutdown()


def smtp_session(system: MailSystem) -> smtplib.SMTP:
    smtp = smtplib.SMTP("localhost", system.port("submission"))
    smtp.starttls(context=client_tls(system))
    smtp.ehlo()
    return smtp


def auth(account: Account, token: str) -> str:
    return f"AUTH OAUTHBEARER {base64.b64encode(bearer(account, token)).decode()}"


def test_smtp_tells_why_a_token_is_refused(
    oauth_system: MailSystem, ann: Account, oidc: Oidc
) -> None:
    with smtp_session(oauth_system) as smtp:
        code, word = smtp.docmd(auth(ann, oidc.token(ann.address, aud="others")))
        assert code == 334
        assert json.loads(base64.b64decode(word))["scope"] == "mail"
        assert smtp.docmd("AQ==")[0] == 535
        assert smtp.docmd(auth(ann, oidc.token(ann.address)))[0] == 235


def test_no_token_is_in_a_log(oauth_system: MailSystem, ann: Account, oidc: Oidc) -> None:
    token = oidc.token(ann.address)
    with smtp_session(oauth_system) as smtp:
        assert smtp.docmd(auth(ann, token))[0] == 235
    logs = [oauth_system.log(service) for service in ("auth", "smtp")]
    assert ann.address in logs[0]
    parts = [*token.split("."), auth(ann, token)]
    assert not [part for part in parts for log in logs if part in log]


def test_an_issuer_that_is_away_is_a_temporary_failure(
    oauth_system: MailSystem, ann: Account, oidc: Oidc
) -> None:
    oidc.rotate()  # what is needed is known to nobody here, and can't be fetched
    token = oidc.token(ann.address)
    oidc.kill()
    try:
        imap = imaplib.IMAP4_SSL(
            "localhost", oauth_system.port("imaps"), ssl_context=client_tls(oauth_system)
        )
        with pytest.raises(imaplib.IMAP4.error, match="UNAVAILABLE"):
            imap.authenticate("OAUTHBEARER", lambda _: bearer(ann, token))
        imap.login(ann.address, ann.password)  # a password is checked here
        imap.logout()
        with smtp_session(oauth_system) as smtp:
            assert smtp.docmd(auth(ann, token))[0] == 454
        pop3 = poplib.POP3_SSL(
            "localhost", oauth_system.port("pop3s"), context=client_tls(oauth_system)
        )
        word = base64.b64encode(bearer(ann, token)).decode()
        with pytest.raises(poplib.error_proto, match="SYS/TEMP"):
            pop3._shortcmd(f"AUTH OAUTHBEARER {word}")  # type: ignore[attr-defined]
        pop3.quit()
    finally:
        oidc.start()
