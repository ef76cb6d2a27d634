"""Who is no proxy may say what they like of themselves: nobody believes it.

Off loopback nobody signs in in clear text: who passed for a client on loopback would be offered to.
"""

from __future__ import annotations

import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from deploy.local import ports
from deploy.local.children import FRONTS, listeners_of
from tests.harness.network_namespace import Neighbour, neighbour
from tests.harness.system import Processes
from tests.harness.wire import Wire

PROXIED = {"imap": "imaps", "pop3": "pop3s", "smtp": "submissions"}
V1 = b"PROXY TCP4 127.0.0.1 127.0.0.1 4711 993\r\n"
V2 = (
    b"\r\n\r\n\0\r\nQUIT\n\x21\x11" + struct.pack("!H", 12) + socket.inet_aton("127.0.0.1") * 2
    + struct.pack("!HH", 4711, 993)
)  # fmt: skip

# Says all that it is told, and shows all that it hears until the other end closes.
CLIENT = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 30) as connection:
    connection.sendall(sys.stdin.buffer.read())
    try:
        while piece := connection.recv(65536):
            sys.stdout.buffer.write(piece)
    except ConnectionResetError:
        pass
"""


@dataclass(frozen=True)
class Watched:
    """A system whose fronts listen on a network that another host is on, too.

    Attributes:
        outside: that host; its address is not among PROXY_NETWORKS.
    """

    system: Processes
    outside: Neighbour

    def port(self, listener: str) -> int:
        known = self.system.system.ports
        return known.internal.get(f"{listener}-proxied") or known.public[listener]

    def from_outside(self, listener: str, said: bytes) -> bytes:
        """What the other host hears on a listener that it says something to."""
        command = [*self.outside.inside, sys.executable, "-c", CLIENT]
        ran = subprocess.run(
            [*command, self.outside.here, str(self.port(listener))],
            input=said,
            capture_output=True,
            timeout=60,
        )
        assert ran.returncode == 0, ran.stderr
        return ran.stdout

    def count(self, front: str, metric: str) -> float:
        """A counter of a front."""
        lines = self.system.metrics(front).splitlines()
        found = [line.split()[-1] for line in lines if line.startswith(metric + " ")]
        return float(found[0]) if found else 0.0


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with neighbour(f"pr{os.getpid()}") as outside:
        known, settings = ports.free(), {}
        for front in FRONTS:
            listeners = listeners_of(front, known, haproxy=True)
            everywhere = listeners.replace(f"={ports.HOST}:", "=0.0.0.0:")
            settings[f"POSTROOM_{front.upper()}_LISTENERS"] = everywhere
            settings[f"POSTROOM_{front.upper()}_PROXY_NETWORKS"] = f"{ports.HOST}/32"
        folder = tmp_path_factory.mktemp("watched")
        system = Processes(folder, haproxy=False, settings=settings, chosen=known)
        with system.system:
            yield Watched(system, outside)


@pytest.mark.parametrize("header", [V1, V2], ids=["v1", "v2"])
@pytest.mark.parametrize("front", FRONTS)
def test_a_header_from_elsewhere_closes_a_proxy_s_port(
    watched: Watched, front: str, header: bytes
) -> None:
    refused = (
        f'postroom_connections_refused_total{{listener="{PROXIED[front]}",why="untrusted_proxy"}}'
    )
    before = watched.count(front, refused)

    heard = watched.from_outside(PROXIED[front], header + b"NOOP\r\n")

    assert heard == b""
    assert watched.count(front, refused) == before + 1
    assert watched.outside.address in watched.system.log(front)


@pytest.mark.parametrize("front", FRONTS)
def test_a_proxy_without_a_header_is_refused(watched: Watched, front: str) -> None:
    refused = (
        f'postroom_connections_refused_total{{listener="{PROXIED[front]}",why="bad_proxy_header"}}'
    )
    before = watched.count(front, refused)
    with Wire(ports.HOST, watched.port(PROXIED[front])) as wire:
        wire.send(b"a0001 NOOP to nobody\r\n")
        assert wire.rest() == b""
    assert watched.count(front, refused) == before + 1


def test_what_a_known_proxy_says_is_believed(watched: Watched) -> None:
    with Wire(ports.HOST, watched.port("imaps")) as wire:
        wire.send(V1.replace(b"127.0.0.1 127", b"192.0.2.1 127"))
        assert b"LOGINDISABLED" in wire.line()


@pytest.mark.parametrize("header", [V1, V2 + b"\r\n"], ids=["v1", "v2"])
def test_a_header_is_no_command_of_imap(watched: Watched, header: bytes) -> None:
    heard = watched.from_outside("imap", header + b"a CAPABILITY\r\nb LOGOUT\r\n")
    greeting, answer, *_ = heard.split(b"\r\n")
    assert b"LOGINDISABLED" in greeting
    assert b" BAD " in answer
    assert b"* CAPABILITY" in heard
    assert b"AUTH=" not in heard.replace(b"AUTH=EXTERNAL", b"")


def test_a_header_is_no_command_of_pop3(watched: Watched) -> None:
    heard = watched.from_outside("pop3", V1 + b"CAPA\r\nQUIT\r\n")
    _, answer, *capabilities = heard.split(b"\r\n")
    assert answer.startswith(b"-ERR")
    assert b"STLS" in capabilities
    assert b"USER" not in capabilities


def test_a_header_is_no_command_of_submission(watched: Watched) -> None:
    heard = watched.from_outside("submission", V1 + b"EHLO there\r\nQUIT\r\n")
    _, answer, *rest = heard.split(b"\r\n")
    assert answer.startswith(b"500 5.5.1 ")
    assert b"250-STARTTLS" in rest
    assert b"AUTH" not in heard


def test_other_servers_may_say_nothing_before_they_are_greeted(watched: Watched) -> None:
    assert watched.from_outside("smtp", V1 + b"EHLO there\r\n").startswith(b"554 5.5.1 ")
