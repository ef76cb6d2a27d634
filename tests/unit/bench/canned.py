"""A server that plays a transcript: it waits for the client's lines and answers each of them."""

import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from bench.target import Endpoint

Exchange = tuple[bytes, bytes]


@contextmanager
def playing(greeting: bytes, exchanges: Sequence[Exchange]) -> Iterator[Endpoint]:
    """Serves one connection; fails the test if the client sends anything else, or not all of it."""
    problems: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(10)
        thread = threading.Thread(target=_play, args=(listener, greeting, exchanges, problems))
        thread.start()
        try:
            yield Endpoint("127.0.0.1", listener.getsockname()[1])
        finally:
            thread.join(20)
    assert problems == []


def _play(
    listener: socket.socket, greeting: bytes, exchanges: Sequence[Exchange], problems: list[str]
) -> None:
    connection, _ = listener.accept()
    with connection:
        connection.settimeout(10)
        connection.sendall(greeting)
        for expected, answer in exchanges:
            received = b""
            while len(received) < len(expected) and (piece := connection.recv(len(expected))):
                received += piece
            if received != expected:
                problems.append(f"expected {expected!r}, received {received!r}")
                return
            connection.sendall(answer)
