"""What a workload needs to know of a server: where it listens, who logs in, its processes."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


class NotOfferedError(Exception):
    """The server doesn't offer what the workload asks for; the cell says so and the run goes on."""


class UnavailableError(Exception):
    """The target can't be started on this machine; the message says what is missing."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A TCP address of a server."""

    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Account:
    """Someone who has mail on the target: the address is the login name as well."""

    address: str
    password: str

    def __repr__(self) -> str:
        return f"Account({self.address})"


class Target(Protocol):
    """A mail server under measurement. Endpoints may change when it is restarted."""

    @property
    def name(self) -> str:
        """What it is called on the command line."""

    @property
    def title(self) -> str:
        """The column's heading."""

    @property
    def version(self) -> str:
        """What is measured, with its version."""

    @property
    def smtp(self) -> Endpoint | None:
        """Where mail is handed in, if it is."""

    @property
    def imap(self) -> Endpoint: ...

    @property
    def pop3(self) -> Endpoint | None: ...

    @property
    def accounts(self) -> Sequence[Account]:
        """At least two: the first has the large mailbox, the second is written to."""

    def start(self) -> None:
        """Starts the server and returns when it answers. Raises UnavailableError."""

    def stop(self) -> None:
        """Stops what `start` started. Harmless when nothing runs."""

    def restart(self, *, forget: bool) -> None:
        """Stops and starts over the same mail.

        Args:
            forget: while stopped, removes what the server derived from the mail and will derive
                again on demand.

        Raises:
            NotOfferedError: if it can't be restarted.
        """

    def processes(self) -> Sequence[int]:
        """The ids of the processes whose memory counts. Raises NotOfferedError if unknown."""


def free_port() -> int:
    """Finds a TCP port of 127.0.0.1 that is free now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
