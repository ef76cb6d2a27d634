"""What certificates say, of a server and of its clients."""

from __future__ import annotations

import datetime
import hashlib
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from hypothesis import given
from hypothesis import strategies as st
from postroom_chassis.net.end_point import end_point_of, names_in

from tests.harness.client_certificates import ClientAuthority

# Made by openssl: cryptography signs nothing with SHA-1 any more.
SHA_1 = """\
-----BEGIN CERTIFICATE-----
MIIBcjCCARigAwIBAgIUVl2dYbfspmqI2fx4XXR5oKfuRt0wCQYHKoZIzj0EATAO
MQwwCgYDVQQDDANvbGQwIBcNMjYxMTMwMDM0NTU5WhgPMjA4MTA5MDIwMzQ1NTla
MA4xDDAKBgNVBAMMA29sZDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABOBGG6gO
KgHFmB8OeZ+PuKdhcooT6Yn8nJMHa2/BVB8V39rDIgZtbZ2t2PRbDZ/2XEJEj11F
cNQwMxf2YxpwgnajUzBRMB0GA1UdDgQWBBTJA36joPo9vU2BIBe+eC4BDXffRjAf
BgNVHSMEGDAWgBTJA36joPo9vU2BIBe+eC4BDXffRjAPBgNVHRMBAf8EBTADAQH/
MAkGByqGSM49BAEDSQAwRgIhAJP1pNW9Esw6Elo7z9Phl2ki4eyQ2pbSY+GD7emA
sGOqAiEAscrBrE/eS0ANG8cIWuWhoXqPURX++XGoo4mJqoshMSY=
-----END CERTIFICATE-----
"""

NAME = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
NOW = datetime.datetime.now(datetime.UTC)


def builder(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(NAME)
        .issuer_name(NAME)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(NOW)
        .not_valid_after(NOW + datetime.timedelta(days=1))
    )


EC = ec.generate_private_key(ec.SECP256R1())
RSA = rsa.generate_private_key(65537, 2048)


@pytest.mark.parametrize(
    ("algorithm", "name"),
    [(hashes.SHA256(), "sha256"), (hashes.SHA384(), "sha384"), (hashes.SHA512(), "sha512")],
)
def test_the_hash_is_that_of_the_signature(algorithm: hashes.SHA256, name: str) -> None:
    certificate = builder(EC).sign(EC, algorithm)
    der, pem = certificate.public_bytes(Encoding.DER), certificate.public_bytes(Encoding.PEM)
    assert end_point_of(pem) == hashlib.new(name, der).digest()


def test_the_hash_of_rsa_pss_is_in_its_parameters() -> None:
    pss = padding.PSS(padding.MGF1(hashes.SHA384()), 48)
    certificate = builder(RSA).sign(RSA, hashes.SHA384(), rsa_padding=pss)
    expected = hashlib.sha384(certificate.public_bytes(Encoding.DER)).digest()
    assert end_point_of(certificate.public_bytes(Encoding.PEM)) == expected


def test_a_weak_hash_is_replaced() -> None:
    der = ssl.PEM_cert_to_DER_cert(SHA_1)
    assert end_point_of(SHA_1.encode()) == hashlib.sha256(der).digest()


def test_a_signature_without_a_hash_has_no_end_point() -> None:
    key = ed25519.Ed25519PrivateKey.generate()
    pem = builder(key).sign(key, None).public_bytes(Encoding.PEM)
    assert end_point_of(pem) == b""


def test_the_first_certificate_of_a_file_counts() -> None:
    one, other = (builder(EC).sign(EC, hashes.SHA256()) for _ in range(2))
    pem = one.public_bytes(Encoding.PEM)
    assert end_point_of(pem + other.public_bytes(Encoding.PEM)) == end_point_of(pem)
    with pytest.raises(ValueError, match=r"."):
        end_point_of(b"no certificate")


@pytest.mark.parametrize(
    ("addresses", "hosts", "names"),
    [
        ([], [], ("ann smith",)),
        (["ann@example.org"], [], ("ann@example.org",)),
        (["ann@example.org", "boss@example.org"], [], ("ann@example.org", "boss@example.org")),
        ([], ["pc.example.org"], ("ann smith",)),
        (["x" * 400 + "@example.org"], [], ()),
        ([f"{number}@x.org" for number in range(40)], [], tuple(f"{n}@x.org" for n in range(32))),
    ],
)
def test_whom_a_client_s_certificate_names(
    tmp_path: Path, addresses: list[str], hosts: list[str], names: tuple[str, ...]
) -> None:
    authority = ClientAuthority(tmp_path)
    assert names_in(authority.issue("ann smith", addresses, hosts).der) == names


def test_a_certificate_that_names_somebody_twice_names_nobody() -> None:
    # cryptography makes none: the second one gets its number afterwards.
    names = x509.SubjectAlternativeName([x509.RFC822Name("ann@example.org")])
    other = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.99"), names.public_bytes())
    made = builder(EC).add_extension(names, False).add_extension(other, False)
    der = made.sign(EC, hashes.SHA256()).public_bytes(Encoding.DER)
    assert names_in(der) == ("ann@example.org",)
    assert names_in(der.replace(b"\x55\x1d\x63", b"\x55\x1d\x11")) == ()


def test_a_name_of_a_sort_that_nobody_reads_names_nobody() -> None:
    # RFC 5280 section 4.2.1.6: an ediPartyName.
    oid = x509.SubjectAlternativeName.oid
    names = x509.UnrecognizedExtension(oid, b"\x30\x05\xa5\x03\xa1\x01\x0c")
    made = builder(EC).add_extension(names, False).sign(EC, hashes.SHA256())
    assert names_in(made.public_bytes(Encoding.DER)) == ()


@given(st.binary(max_size=300))
def test_what_is_no_certificate_names_nobody(der: bytes) -> None:
    assert names_in(der) == ()
