"""A DNS server of the test's own, on loopback: answers from a table, failures where told."""

from __future__ import annotations

import socket
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.rrset

MOST_ALIASES = 8


class DnsServer:
    """Answers by UDP, and by TCP what is too long for it.

    Attributes:
        port: at which it answers.
        asked: how often each (name, type) was asked for.
    """

    def __init__(self) -> None:
        self._records: dict[tuple[str, str], dns.rrset.RRset] = {}
        self._secure: set[str] = set()
        self._failing: set[str] = set()
        self._silent: set[str] = set()
        self.asked: Counter[tuple[str, str]] = Counter()
        self._udp, self._tcp = _sockets()
        self.port: int = self._udp.getsockname()[1]

    @property
    def address(self) -> str:
        """host:port."""
        return f"127.0.0.1:{self.port}"

    def add(
        self, name: str, kind: str, *records: str, ttl: int = 300, secure: bool = False
    ) -> None:
        """Put records at a name, in the form of a zone file, in place of those of the kind.

        Args:
            secure: the answer is told as validated (AD).
        """
        owner = dns.name.from_text(name)
        self._records[_key(owner), kind] = dns.rrset.from_text_list(owner, ttl, "IN", kind, records)
        if secure:
            self._secure.add(_key(owner))

    def text(self, name: str, value: str, *, ttl: int = 300) -> None:
        """A TXT record of a text of any length."""
        pieces = [value[at : at + 255] for at in range(0, len(value), 255)] or [""]
        quoted = " ".join(
            '"' + piece.replace("\\", "\\\\").replace('"', '\\"') + '"' for piece in pieces
        )
        self.add(name, "TXT", quoted, ttl=ttl)

    def remove(self, name: str, kind: str) -> None:
        """Take records away."""
        del self._records[_key(dns.name.from_text(name)), kind]

    def fail(self, name: str) -> None:
        """Answer SERVFAIL for a name, until `recover`."""
        self._failing.add(_key(dns.name.from_text(name)))

    def silence(self, name: str) -> None:
        """Answer nothing for a name, until `recover`."""
        self._silent.add(_key(dns.name.from_text(name)))

    def recover(self) -> None:
        """Answer again, everything."""
        self._failing.clear()
        self._silent.clear()

    @contextmanager
    def running(self) -> Iterator[DnsServer]:
        """Answer until the end."""
        threads = [
            threading.Thread(target=work, daemon=True)
            for work in (self._serve_udp, self._serve_tcp)
        ]
        for thread in threads:
            thread.start()
        try:
            yield self
        finally:
            for listening in (self._udp, self._tcp):
                listening.shutdown(socket.SHUT_RDWR) if listening is self._tcp else None
            with closing(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as stop:
                stop.sendto(b"", self._udp.getsockname())
            for thread in threads:
                thread.join(10)
            self._udp.close()
            self._tcp.close()

    def answer(self, query: dns.message.Message) -> dns.message.Message | None:
        """The response to a query; None: none is given."""
        question = query.question[0]
        name, kind = question.name, dns.rdatatype.to_text(question.rdtype)
        self.asked[_key(name), kind] += 1
        if _key(name) in self._silent:
            return None
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        if _key(name) in self._failing:
            response.set_rcode(dns.rcode.SERVFAIL)
            return response
        secure = True
        for _ in range(MOST_ALIASES):
            secure = secure and _key(name) in self._secure
            if records := self._records.get((_key(name), kind)):
                response.answer.append(records)
                break
            if not (alias := self._records.get((_key(name), "CNAME"))):
                if not any(owner == _key(name) for owner, _ in self._records):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                break
            response.answer.append(alias)
            name = alias[0].target
        if secure:
            response.flags |= dns.flags.AD
        return response

    def _serve_udp(self) -> None:
        while True:
            wire, client = self._udp.recvfrom(65535)
            if not wire:
                return
            try:
                query = dns.message.from_wire(wire)
                response = self.answer(query)
            except (dns.exception.DNSException, IndexError):
                continue
            if response is None:
                continue
            payload = max(query.payload, 512)
            try:
                answered = response.to_wire(max_size=payload)
            except dns.exception.TooBig:
                response.answer.clear()
                response.flags |= dns.flags.TC
                answered = response.to_wire(max_size=payload)
            self._udp.sendto(answered, client)

    def _serve_tcp(self) -> None:
        while True:
            try:
                connection, _ = self._tcp.accept()
            except OSError:
                return
            with closing(connection):
                connection.settimeout(5)
                try:
                    query, _ = dns.query.receive_tcp(connection)
                    if response := self.answer(query):
                        dns.query.send_tcp(connection, response.to_wire(max_size=65535))
                except (dns.exception.DNSException, OSError, EOFError, IndexError):
                    continue


@contextmanager
def dns_server() -> Iterator[DnsServer]:
    """A server without records."""
    with DnsServer().running() as server:
        yield server


def _key(name: dns.name.Name) -> str:
    return str(name.to_text(omit_final_dot=True)).lower()


def _sockets() -> tuple[socket.socket, socket.socket]:
    """One port, by UDP and by TCP."""
    while True:
        tcp = socket.create_server(("127.0.0.1", 0))
        udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        try:
            udp.bind(tcp.getsockname())
        except OSError:
            udp.close()
            tcp.close()
            continue
        return udp, tcp
