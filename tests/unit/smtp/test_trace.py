"""Trace fields (RFC 5321 section 4.4, RFC 3848, RFC 6531 section 4.3)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from email import message_from_bytes, policy

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol.trace import Arrival, hops, received, return_path

ARRIVAL = Arrival(
    client_name="client.example",
    client_address="192.0.2.1",
    server_name="mx.example.org",
    message_id="abc",
    received_at=datetime(2024, 2, 29, 12, 0, tzinfo=UTC),
    tls="TLSv1.3 TLS_AES_256_GCM_SHA384",
    recipient="ann@example.org",
)


def test_the_field() -> None:
    assert received(ARRIVAL).decode().split("\r\n") == [
        "Received: from client.example ([192.0.2.1])",
        "\tby mx.example.org (Postroom) with ESMTPS",
        "\t(TLSv1.3 TLS_AES_256_GCM_SHA384)",
        "\tid abc",
        "\tfor <ann@example.org>;",
        "\tThu, 29 Feb 2024 12:00:00 +0000",
        "",
    ]


@pytest.mark.parametrize(
    ("changes", "protocol"),
    [
        ({"extended": False}, "SMTP"),
        ({}, "ESMTP"),
        ({"tls": "TLSv1.3"}, "ESMTPS"),
        ({"authenticated": True}, "ESMTPA"),
        ({"tls": "TLSv1.3", "authenticated": True}, "ESMTPSA"),
        ({"smtputf8": True}, "UTF8SMTP"),
        ({"smtputf8": True, "tls": "TLSv1.3", "authenticated": True}, "UTF8SMTPSA"),
    ],
)
def test_the_protocol_has_a_keyword(changes: dict[str, bool | str], protocol: str) -> None:
    assert replace(ARRIVAL, **{"tls": ""} | changes).protocol == protocol  # type: ignore[arg-type]


@given(st.text(max_size=300))
def test_no_name_breaks_out_of_the_field(name: str) -> None:
    field = received(replace(ARRIVAL, client_name=name))
    message = message_from_bytes(field + b"Subject: x\r\n\r\n", policy=policy.compat32)
    assert message.keys() == ["Received", "Subject"]
    assert field.count(b"(") == 3


def test_hops_are_counted_in_the_header_alone() -> None:
    assert hops(b"") == 0
    assert hops(b"Received: a\r\n\tb\r\nreceived:c\r\nX-Received: d\r\n\r\nReceived: e\r\n") == 2
    assert hops(b"Received: a") == 1


def test_the_return_path() -> None:
    assert return_path("") == b"Return-Path: <>\r\n"
    assert return_path("ä@example.org") == "Return-Path: <ä@example.org>\r\n".encode()
