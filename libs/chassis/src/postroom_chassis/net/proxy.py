"""The PROXY protocol, versions 1 and 2, as the HAProxy specification of 2020 has it (sans I/O).

Only a listener that was told to expects a header reads one, and only from addresses that it trusts:
a header tells who the client is.
"""

from __future__ import annotations

import ipaddress
import struct
from dataclasses import dataclass

from postroom_chassis.net.end_point import bounded, names_in
from postroom_chassis.net.stream import ByteStream, EndOfStream, LineTooLong, Reader

SIGNATURE = b"\r\n\r\n\x00\r\nQUIT\n"
V1_LIMIT = 107  # section 2.1: the longest possible line
V2_LIMIT = 4096  # of addresses and TLVs: far more than any proxy sends

TLV_AUTHORITY = 0x02
TLV_SSL = 0x20
SSL_VERSION = 0x21
SSL_CN = 0x22
SSL_CIPHER = 0x23
SSL_CLIENT_CERT = 0x28
CLIENT_SSL = 0x01
CLIENT_CERT_CONN = 0x02
CLIENT_CERT_SESS = 0x04


class ProxyError(Exception):
    """What came is no PROXY header."""


@dataclass(frozen=True, slots=True)
class ProxyTls:
    """What the proxy knows of the TLS connection that it ended.

    Attributes:
        version: as OpenSSL names it ("TLSv1.3").
        verified: the client presented a certificate, on this connection or on the one whose
            session it resumes, and it was found good.
        common_name: of the client's certificate.
    """

    version: str = ""
    cipher: str = ""
    verified: bool = False
    common_name: str = ""
    server_name: str = ""
    certificate: bytes = b""

    @property
    def client_names(self) -> tuple[str, ...]:
        """Whom the client's certificate names, if it was found good."""
        if not self.verified:
            return ()
        return names_in(self.certificate) if self.certificate else bounded([self.common_name])


@dataclass(frozen=True, slots=True)
class ProxyHeader:
    """The client behind a proxy; address "" for the proxy's own connections (LOCAL, UNKNOWN)."""

    address: str = ""
    port: int = 0
    tls: ProxyTls | None = None


def read_header(stream: ByteStream) -> Reader[ProxyHeader]:
    """One PROXY header of either version. Raises ProxyError, EndOfStream."""
    start = yield from stream.read_exact(6)
    if start == b"PROXY ":
        try:
            line = yield from stream.read_line(V1_LIMIT - len(start))
        except LineTooLong as error:
            raise ProxyError("the header has no end") from error
        return _parse_v1(start + line)
    rest = yield from stream.read_exact(10)
    header = start + rest
    if not header.startswith(SIGNATURE):
        raise ProxyError("no PROXY header")
    version_command, family, length = struct.unpack("!BBH", header[12:16])
    if version_command >> 4 != 2 or length > V2_LIMIT:
        raise ProxyError("an unknown version, or too long")
    payload = yield from stream.read_exact(length)
    return _parse_v2(version_command & 0x0F, family, payload)


def _parse_v1(line: bytes) -> ProxyHeader:
    words = line.decode("ascii", "replace").removesuffix("\r\n").split(" ")
    if words[1:2] == ["UNKNOWN"]:
        return ProxyHeader()
    if len(words) != 6 or words[1] not in ("TCP4", "TCP6"):
        raise ProxyError("malformed")
    try:
        return ProxyHeader(str(ipaddress.ip_address(words[2])), int(words[4]))
    except ValueError as error:
        raise ProxyError("malformed address") from error


def _parse_v2(command: int, family: int, payload: bytes) -> ProxyHeader:
    if command == 0:  # LOCAL: the proxy speaks for itself (health checks)
        return ProxyHeader()
    if command != 1:
        raise ProxyError("an unknown command")
    size = {0x11: 4, 0x21: 16}.get(family)
    if size is None:
        return ProxyHeader()
    end = 2 * size + 4
    if len(payload) < end:
        raise ProxyError("truncated")
    address = str(ipaddress.ip_address(payload[:size]))
    (port,) = struct.unpack_from("!H", payload, 2 * size)
    tlvs = _tlvs(payload[end:])
    tls = _tls(tlvs[TLV_SSL], tlvs) if TLV_SSL in tlvs else None
    return ProxyHeader(address, port, tls)


def _tlvs(data: bytes) -> dict[int, bytes]:
    found: dict[int, bytes] = {}
    while len(data) >= 3:
        kind, length = struct.unpack_from("!BH", data)
        if len(data) < 3 + length:
            raise ProxyError("truncated")
        found[kind] = data[3 : 3 + length]
        data = data[3 + length :]
    return found


def _tls(value: bytes, tlvs: dict[int, bytes]) -> ProxyTls | None:
    """Section 2.2.6: flags, a verification result (0: good), and TLVs of its own."""
    if len(value) < 5 or not value[0] & CLIENT_SSL:
        return None
    inner = _tlvs(value[5:])

    def text(field: bytes) -> str:
        return field.decode("utf-8", "replace")

    return ProxyTls(
        version=text(inner.get(SSL_VERSION, b"")),
        cipher=text(inner.get(SSL_CIPHER, b"")),
        verified=bool(value[0] & (CLIENT_CERT_CONN | CLIENT_CERT_SESS))
        and value[1:5] == b"\0\0\0\0",
        common_name=text(inner.get(SSL_CN, b"")),
        server_name=text(tlvs.get(TLV_AUTHORITY, b"")),
        certificate=inner.get(SSL_CLIENT_CERT, b""),
    )


__all__ = ["EndOfStream", "ProxyError", "ProxyHeader", "ProxyTls", "read_header"]
