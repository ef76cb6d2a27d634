"""Send a message by every way in, and read each by every way out: what `helm test` runs.

It is told where these are by environment variables: MX, SUBMISSION, SUBMISSIONS, IMAP, IMAPS, POP3,
POP3S as host:port, whichever are open. It signs in with USERNAME_FILE and PASSWORD_FILE, or has the
REST API (API, TOKEN_FILE) make an account at DOMAIN, which it removes again. CERTIFICATE is the one
that all of them show, and no other is taken. Nothing but Python's own library is needed.
"""

from __future__ import annotations

import http.client
import imaplib
import json
import os
import poplib
import secrets
import smtplib
import ssl
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import NamedTuple

SECONDS = 20.0  # for each connection
ARRIVAL_SECONDS = (
    60.0  # a message that was taken is in its mailbox at once; retries of DNS may last
)


class Place(NamedTuple):
    host: str
    port: int


class Account(NamedTuple):
    address: str
    password: str


def place(name: str) -> Place | None:
    host, _, port = os.environ.get(name, "").rpartition(":")
    return Place(host, int(port)) if host else None


def places(
    ways: dict[str, Callable[..., object]],
) -> Iterator[tuple[str, Place, Callable[..., object]]]:
    for name, way in ways.items():
        if at := place(name):
            yield name, at, way


def trusting() -> ssl.SSLContext:
    """Takes the one certificate, under whatever name it is met here."""
    context = ssl.create_default_context(cafile=os.environ["CERTIFICATE"])
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    context.check_hostname = False
    return context


# The account.


def ask(method: str, path: str, body: object = None, *, good: tuple[int, ...]) -> None:
    at = place("API") or sys.exit("there is no account, and no API to make one")
    token = Path(os.environ["TOKEN_FILE"]).read_text().strip()
    connection = http.client.HTTPSConnection(*at, timeout=SECONDS, context=trusting())
    try:
        connection.request(
            method,
            f"/v1/{path}",
            json.dumps(body) if body else None,
            {"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
        )
        answer = connection.getresponse()
        told = answer.read(2000).decode(errors="replace")
    finally:
        connection.close()
    if answer.status not in good:
        raise SystemExit(f"API: {method} {path}: {answer.status} {told}")


@contextmanager
def account() -> Iterator[Account]:
    if given := os.environ.get("USERNAME_FILE"):
        password = Path(os.environ["PASSWORD_FILE"]).read_text().strip()
        yield Account(Path(given).read_text().strip(), password)
        return
    domain = os.environ["DOMAIN"]
    made = Account(f"test-{secrets.token_hex(6)}@{domain}", secrets.token_urlsafe(24))
    ask("POST", "domains", {"name": domain}, good=(201, 409))
    ask("POST", "accounts", made._asdict(), good=(201,))
    try:
        yield made
    finally:
        ask("DELETE", f"accounts/{made.address}", good=(204,))
        ask("DELETE", f"domains/{domain}", good=(204, 404, 409))  # another test may be at it


# Ways in.


def message(who: Account, token: str) -> EmailMessage:
    made = EmailMessage()
    made["From"] = made["To"] = who.address
    made["Subject"] = token
    made.set_content("Sent by helm test.\n")
    return made


def relay(at: Place, who: Account, token: str) -> None:
    with smtplib.SMTP(*at, timeout=SECONDS) as smtp:
        smtp.starttls(context=trusting())
        smtp.send_message(message(who, token), from_addr="")


def submit(at: Place, who: Account, token: str) -> None:
    with smtplib.SMTP(*at, timeout=SECONDS) as smtp:
        smtp.starttls(context=trusting())
        smtp.login(*who)
        smtp.send_message(message(who, token))


def submit_over_tls(at: Place, who: Account, token: str) -> None:
    with smtplib.SMTP_SSL(*at, timeout=SECONDS, context=trusting()) as smtp:
        smtp.login(*who)
        smtp.send_message(message(who, token))


# Ways out: each answers the subjects in the inbox.


def read_imap(session: imaplib.IMAP4, who: Account) -> str:
    with session:
        session.login(*who)
        session.select("INBOX", readonly=True)
        _, found = session.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return repr(found)


def imap(at: Place, who: Account) -> str:
    session = imaplib.IMAP4(*at, timeout=SECONDS)
    session.starttls(trusting())
    return read_imap(session, who)


def imap_over_tls(at: Place, who: Account) -> str:
    return read_imap(imaplib.IMAP4_SSL(*at, timeout=SECONDS, ssl_context=trusting()), who)


def read_pop3(session: poplib.POP3, who: Account) -> str:
    try:
        session.user(who.address)
        session.pass_(who.password)
        count, _ = session.stat()
        return repr([session.top(number, 0) for number in range(1, count + 1)])
    finally:
        session.quit()


def pop3(at: Place, who: Account) -> str:
    session = poplib.POP3(*at, timeout=SECONDS)
    session.stls(trusting())
    return read_pop3(session, who)


def pop3_over_tls(at: Place, who: Account) -> str:
    return read_pop3(poplib.POP3_SSL(*at, timeout=SECONDS, context=trusting()), who)


IN: dict[str, Callable[..., object]] = {
    "MX": relay,
    "SUBMISSION": submit,
    "SUBMISSIONS": submit_over_tls,
}
OUT: dict[str, Callable[..., object]] = {
    "IMAP": imap,
    "IMAPS": imap_over_tls,
    "POP3": pop3,
    "POP3S": pop3_over_tls,
}


def main() -> None:
    with account() as who:
        tokens = {}
        for name, at, send in places(IN):
            tokens[name] = f"helm-test-{secrets.token_hex(8)}"
            send(at, who, tokens[name])
            print(f"{name}: taken", flush=True)
        if not tokens:
            sys.exit("there is no way in")
        for name, at, read in places(OUT):
            deadline = time.monotonic() + ARRIVAL_SECONDS
            while missing := {
                way for way, token in tokens.items() if token not in str(read(at, who))
            }:
                if time.monotonic() > deadline:
                    sys.exit(f"{name}: what came by {', '.join(sorted(missing))} isn't there")
                time.sleep(1)
            print(f"{name}: all there", flush=True)


if __name__ == "__main__":
    main()
