"""Authentication-Results: what is written, and whose fields are taken for ours."""

from __future__ import annotations

import time

import pytest
from postroom_smtp.protocol.authentication import (
    Finding,
    Result,
    authentication_results,
    claims,
    method_results,
)


def test_what_is_written() -> None:
    findings = (
        Finding("spf", Result.PASS, (("smtp.mailfrom", "ann@example.org"),)),
        Finding("dkim", Result.FAIL, (("header.d", "example.org"),), "the body was changed"),
    )
    assert authentication_results("mx.example.net", findings) == (
        b"Authentication-Results: mx.example.net;\r\n"
        b"\tspf=pass smtp.mailfrom=ann@example.org;\r\n"
        b"\tdkim=fail (the body was changed) header.d=example.org\r\n"
    )
    assert authentication_results("mx.example.net", ()) == (
        b"Authentication-Results: mx.example.net;\r\n\tnone\r\n"
    )


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ('a"b;c', '"a\\"b;c"'),
        ("a\r\nSubject: x", '"a??Subject: x"'),
        ("back\\slash", '"back\\\\slash"'),
        ("bücher@example.org", '"bücher@example.org"'),
        ("x" * 1_000, "x" * 255),
    ],
)
def test_values_of_others_stay_in_their_place(value: str, written: str) -> None:
    finding = Finding("spf", Result.PASS, (("smtp.helo", value),), "(nested \\ \r\n")
    assert str(finding) == f"spf=pass (_nested _ ??) smtp.helo={written}"


@pytest.mark.parametrize(
    "value",
    [
        b" mx.example.net; spf=pass",
        b" MX.Example.NET ; none",
        b"\r\n\tmx.example.net 1; none",
        b' "mx.example.net"; none',
        b' "mx\\.example.net"; none',
        b" (a (nested \\) comment) here) mx.example.net; none",
        b"mx.example.net.; none",
        b"mx.example.net(x); none",
        b' "never closed mx.example.net',
        b"; mx.example.net",
        b"(" * 10_000 + b"mx.example.net",
    ],
)
def test_fields_that_claim_to_be_ours(value: bytes) -> None:
    assert claims(value, "mx.example.net")


@pytest.mark.parametrize(
    "value", [b" mx.example.com; spf=pass", b" other (mx.example.net); none", b"", b"mx.example"]
)
def test_fields_of_others(value: bytes) -> None:
    assert not claims(value, "mx.example.net")


def test_results_of_a_method() -> None:
    value = b" lists.example; dmarc=pass (p=none; dkim=fail) header.from=a; dkim=none; xdmarc=fail"
    assert method_results(value, "dmarc") == {"pass"}
    assert method_results(value, "dkim") == {"none"}


def test_giants_are_read_in_no_time() -> None:
    began = time.process_time()
    for value in (b"(" * 250_000, b"()" * 125_000, b"(\\(" * 80_000, b" " * 250_000):
        assert not claims(value, "mx.example.net")
        assert claims(value + b"mx.example.net", "mx.example.net")
    assert time.process_time() - began < 1
