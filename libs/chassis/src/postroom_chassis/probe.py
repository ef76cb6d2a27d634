"""Asks the service in this container whether it is ready: `python -m postroom_chassis.probe`.

Run every few seconds, so it imports next to nothing. Exits with 0 where /readyz answers 200, else
with 1 and what it answered.
"""

from __future__ import annotations

import os
import socket
import sys

SET_FOR_ALL = "POSTROOM_HTTP_PORT"
DEFAULT_PORT = "8080"
SECONDS = 4.0
LARGEST = 65_536


def main() -> int:
    port = http_port()
    try:
        answer = ask(port, "/readyz")
    except OSError as error:
        sys.stderr.write(f"port {port}: {error}\n")
        return 1
    head, _, body = answer.partition(b"\r\n\r\n")
    sys.stdout.write(body.decode("utf-8", "replace"))
    return 0 if head.split(b" ", 2)[1:2] == [b"200"] else 1


def http_port() -> int:
    """Where the service answers: its own setting goes before the one for all services."""
    own = [
        name
        for name in os.environ
        if name.startswith("POSTROOM_") and name.endswith("_HTTP_PORT") and name != SET_FOR_ALL
    ]
    return int(os.environ[own[0]] if own else os.environ.get(SET_FOR_ALL, DEFAULT_PORT))


def ask(port: int, path: str) -> bytes:
    """The whole answer to a GET. Raises OSError."""
    request = f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    with socket.create_connection(("localhost", port), SECONDS) as connection:
        connection.settimeout(SECONDS)
        connection.sendall(request.encode())
        answer = bytearray()
        while len(answer) < LARGEST and (piece := connection.recv(LARGEST)):
            answer += piece
    return bytes(answer)


if __name__ == "__main__":
    sys.exit(main())
