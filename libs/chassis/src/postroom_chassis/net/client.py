"""Who is at the other end of a connection, as far as signing in depends on it."""

from __future__ import annotations

from dataclasses import dataclass

from postroom_chassis.net.connection import Connection


@dataclass(frozen=True, slots=True)
class Client:
    """The connection on which a person signs in.

    Attributes:
        address: IP address.
        secure: TLS or loopback.
        tls_version: empty in clear text.
        tls_server_end_point: the hash of the certificate that it saw (RFC 5929 section 4); empty:
            unknown.
        certificate_names: the names in a certificate that it showed and that was verified.
    """

    address: str
    secure: bool
    tls_version: str = ""
    tls_server_end_point: bytes = b""
    certificate_names: tuple[str, ...] = ()

    @classmethod
    def of(cls, connection: Connection) -> Client:
        """The client of a connection, as it is now: TLS may begin later."""
        tls, peer = connection.tls, connection.peer
        if tls is None:
            return cls(peer.address, peer.loopback)
        return cls(peer.address, True, tls.version, tls.end_point, tls.client_names)

    @property
    def standing(self) -> tuple[bool, bool, bool]:
        """What the mechanisms on offer depend on."""
        return self.secure, bool(self.tls_server_end_point), bool(self.certificate_names)
