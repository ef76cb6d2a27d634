"""What clients do in a container of their own: run by its Python, with nothing beside it.

client.py send HOST PORT RECIPIENT COUNT SECONDS     one message after the other, again and again
                                                     until each was taken; prints the numbers of
                                                     those that were
client.py read HOST PORT ADDRESS PASSWORD            prints the numbers that are in INBOX
client.py wait KIND HOST PORT ADDRESS PASSWORD       prints "ready", then what it is told
client.py load HOST PORT RECIPIENT COUNT OCTETS      messages over ten connections, as fast as they
                                                     are taken; prints the seconds that it took
client.py sit HOST PORT ADDRESS PASSWORD COUNT       prints the seconds that it took to have so many
                                                     sessions in IDLE, and stays
"""

from __future__ import annotations

import imaplib
import io
import re
import signal
import smtplib
import socket
import ssl
import sys
import time
from concurrent.futures import ThreadPoolExecutor

SECONDS = 30.0
PAUSE = 0.1
CONNECTIONS = 10
SUBJECT = re.compile(rb"Subject: number (\d+)\r\n")


def send(host: str, port: int, recipient: str, count: int, seconds: float) -> None:
    """Send numbered messages as a server does: what isn't taken is sent again."""
    deadline, number = time.monotonic() + seconds, 0
    connection: smtplib.SMTP | None = None
    while number < count and time.monotonic() < deadline:
        try:
            if connection is None:
                connection = smtplib.SMTP(host, port, "load.elsewhere.example", SECONDS)
            text = f"From: <load@elsewhere.example>\r\nSubject: number {number}\r\n\r\nx\r\n"
            connection.sendmail("load@elsewhere.example", [recipient], text)
        except (OSError, smtplib.SMTPException) as error:
            print(f"again {number}: {error!r}"[:200], file=sys.stderr)
            connection = None
            time.sleep(PAUSE)
        else:
            print(number, flush=True)
            number += 1


def read(host: str, port: int, address: str, password: str) -> None:
    """Tell what is in INBOX, by implicit TLS."""
    with imaplib.IMAP4_SSL(host, port, ssl_context=_anybody(), timeout=SECONDS) as imap:
        imap.login(address, password)
        _, (exists,) = imap.select("INBOX", readonly=True)
        if not exists or not int(exists):
            return
        _, found = imap.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        for item in found:
            if isinstance(item, tuple) and (number := SUBJECT.search(item[1])):
                print(int(number[1]))


def wait(kind: str, host: str, port: int, address: str, password: str) -> None:
    """Have a session open, in IMAP one in IDLE, and tell what the server says in the end. As
    clients do, it comes again where a replica goes just then.
    """
    deadline = time.monotonic() + SECONDS
    while (opened := _opened(kind, host, port, address, password)) is None:
        if time.monotonic() > deadline:
            sys.exit("nobody serves")
        time.sleep(PAUSE)
    connection, file = opened
    print("ready", flush=True)
    connection.settimeout(120)
    while line := file.readline():
        print(line.decode().strip(), flush=True)


def load(host: str, port: int, recipient: str, count: int, octets: int) -> None:
    """Send messages of a size over some connections at once."""
    line = "x" * 70 + "\r\n"
    text = "From: <load@elsewhere.example>\r\nSubject: load\r\n\r\n" + line * (octets // len(line))

    def send_some() -> None:
        with smtplib.SMTP(host, port, "load.elsewhere.example", SECONDS) as connection:
            for _ in range(count // CONNECTIONS):
                connection.sendmail("load@elsewhere.example", [recipient], text)

    began = time.monotonic()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        for sending in [pool.submit(send_some) for _ in range(CONNECTIONS)]:
            sending.result()
    print(time.monotonic() - began)


def sit(host: str, port: int, address: str, password: str, count: int) -> None:
    """Have sessions in IDLE until somebody ends this program."""
    began = time.monotonic()
    kept = [_opened("imap", host, port, address, password) for _ in range(count)]
    if None in kept:
        sys.exit("nobody serves")
    print(time.monotonic() - began, flush=True)
    signal.pause()


def _opened(
    kind: str, host: str, port: int, address: str, password: str
) -> tuple[socket.socket, io.RawIOBase] | None:
    """A connection after the commands that begin a session; None: it was closed."""
    try:
        connection = socket.create_connection((host, port), SECONDS)
        if kind != "smtp":
            connection = _anybody().wrap_socket(connection)
        file = connection.makefile("rwb", 0)
        if not file.readline():
            return None
        for line in _beginning(kind, address, password):
            file.write(line + b"\r\n")
            while not _is_last(kind, answer := file.readline()):
                if not answer:
                    return None
    except OSError:
        return None
    return connection, file


def _beginning(kind: str, address: str, password: str) -> list[bytes]:
    return {
        "smtp": [b"EHLO client.example"],
        "pop3": [f"USER {address}".encode(), f"PASS {password}".encode()],
        "imap": [f'a LOGIN {address} "{password}"'.encode(), b"b SELECT INBOX", b"c IDLE"],
    }[kind]


def _is_last(kind: str, line: bytes) -> bool:
    """Whether a reply ends with a line."""
    match kind:
        case "smtp":
            return line[3:4] == b" "
        case "pop3":
            return line.startswith((b"+OK", b"-ERR"))
        case _:
            return line.startswith((b"a ", b"b ", b"c ", b"+ "))


def _anybody() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["send", host, port, recipient, count, seconds]:
            send(host, int(port), recipient, int(count), float(seconds))
        case ["read", host, port, address, password]:
            read(host, int(port), address, password)
        case ["wait", kind, host, port, address, password]:
            wait(kind, host, int(port), address, password)
        case ["load", host, port, recipient, count, octets]:
            load(host, int(port), recipient, int(count), int(octets))
        case ["sit", host, port, address, password, count]:
            sit(host, int(port), address, password, int(count))
        case _:
            sys.exit(__doc__)
