"""PROXY headers of both versions."""

from __future__ import annotations

import ipaddress
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_chassis.net.proxy import (
    SIGNATURE,
    SSL_CLIENT_CERT,
    SSL_CN,
    SSL_VERSION,
    TLV_SSL,
    ProxyError,
    ProxyHeader,
    ProxyTls,
    read_header,
)
from postroom_chassis.net.stream import ByteStream, EndOfStream

from tests.harness.client_certificates import ClientAuthority


def parse(data: bytes) -> ProxyHeader:
    stream = ByteStream()
    stream.feed(data)
    stream.feed_eof()
    reader = read_header(stream)
    try:
        while True:
            next(reader)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]


def v2(command: int, family: int, payload: bytes) -> bytes:
    return SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(payload)) + payload


def addresses(source: str, port: int) -> bytes:
    packed = ipaddress.ip_address(source).packed
    return packed + packed + struct.pack("!HH", port, 143)


def tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("!BH", kind, len(value)) + value


@pytest.mark.parametrize(
    ("line", "address"),
    [
        (b"PROXY TCP4 192.0.2.1 192.0.2.2 4711 143\r\n", ("192.0.2.1", 4711)),
        (b"PROXY TCP6 2001:db8::1 2001:db8::2 4711 143\r\n", ("2001:db8::1", 4711)),
        (b"PROXY UNKNOWN\r\n", ("", 0)),
        (b"PROXY UNKNOWN ff ff 1 2\r\n", ("", 0)),
    ],
)
def test_version_1(line: bytes, address: tuple[str, int]) -> None:
    header = parse(line + b"a1 NOOP\r\n")
    assert (header.address, header.port) == address


@pytest.mark.parametrize(
    "line",
    [
        b"PROXY TCP4 192.0.2.1\r\n",
        b"PROXY TCP4 not-an-address 192.0.2.2 1 2\r\n",
        b"PROXY TCP4 192.0.2.1 192.0.2.2 one 2\r\n",
        b"PROXY " + b"x" * 200,
        b"a1 LOGIN ann secret and more\r\n",
    ],
)
def test_what_is_no_header_is_refused(line: bytes) -> None:
    with pytest.raises(ProxyError):
        parse(line)


def test_version_2_tells_address_and_tls() -> None:
    inner = tlv(SSL_VERSION, b"TLSv1.3") + tlv(SSL_CN, b"ann")
    ssl = tlv(TLV_SSL, b"\x03\0\0\0\0" + inner)
    header = parse(v2(1, 0x11, addresses("192.0.2.1", 4711) + ssl))
    assert (header.address, header.port) == ("192.0.2.1", 4711)
    assert header.tls == ProxyTls(version="TLSv1.3", verified=True, common_name="ann")


def test_a_certificate_that_did_not_verify_is_not_verified() -> None:
    ssl = tlv(TLV_SSL, b"\x03\0\0\0\x01" + tlv(SSL_VERSION, b"TLSv1.2"))
    header = parse(v2(1, 0x21, addresses("2001:db8::1", 1) + ssl))
    assert header.tls is not None
    assert not header.tls.verified


SHOWN, RESUMED, FOREIGN, NONE = b"\x03\0\0\0\0", b"\x05\0\0\0\0", b"\x07\0\0\0\x13", b"\x01\0\0\0\0"


@pytest.mark.parametrize(
    ("flags", "common_name", "names"),
    [
        (SHOWN, b"ann@example.org", ("ann@example.org",)),
        (RESUMED, b"ann@example.org", ("ann@example.org",)),
        (FOREIGN, b"ann@example.org", ()),
        (NONE, b"ann@example.org", ()),
        (SHOWN, b"", ()),
        (SHOWN, b"x" * 400, ()),
    ],
)
def test_only_a_verified_certificate_names_somebody(
    flags: bytes, common_name: bytes, names: tuple[str, ...]
) -> None:
    ssl = tlv(TLV_SSL, flags + tlv(SSL_VERSION, b"TLSv1.3") + tlv(SSL_CN, common_name))
    header = parse(v2(1, 0x11, addresses("192.0.2.1", 4711) + ssl))
    assert header.tls is not None
    assert header.tls.client_names == names


def test_a_whole_certificate_tells_more_than_its_common_name(tmp_path: Path) -> None:
    certificate = ClientAuthority(tmp_path).issue("ann smith", ["ann@example.org"]).der
    inner = tlv(SSL_CN, b"ann smith") + tlv(SSL_CLIENT_CERT, certificate)
    for flags, names in ((SHOWN, ("ann@example.org",)), (FOREIGN, ())):
        header = parse(v2(1, 0x11, addresses("192.0.2.1", 1) + tlv(TLV_SSL, flags + inner)))
        assert header.tls is not None
        assert header.tls.client_names == names


def test_version_2_local_has_no_client() -> None:
    assert parse(v2(0, 0, b"")) == ProxyHeader()


@given(st.binary(max_size=300))
def test_any_bytes_are_a_header_or_refused(data: bytes) -> None:
    for start in (b"", SIGNATURE, SIGNATURE + b"\x21\x11\x00\x20", b"PROXY "):
        try:
            assert isinstance(parse(start + data), ProxyHeader)
        except (ProxyError, EndOfStream):
            continue
