"""Notices to senders (RFC 3464)."""

from __future__ import annotations

from dataclasses import replace
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol.dsn import (
    MOST_HEADER,
    MOST_RETURNED,
    Action,
    Notice,
    Report,
    compose,
    wanted,
)
from postroom_smtp.protocol.envelope import Notify, Recipient
from postroom_smtp.protocol.response import made_here

BOB = Recipient("bob@there.example")
HEADER = b"From: ann@here.example\r\nSubject: hello\r\n"
CONTENT = HEADER + b"\r\nhello\r\n"
NOTICE = Notice(
    "mx.here.example",
    "ann@here.example",
    (
        Report(
            BOB, Action.FAILED, "5.1.1", made_here(550, "5.1.1", "nobody"), "mx.there.example", 2.0
        ),
    ),
    "abc@mx.here.example",
    1_000.0,
    500.0,
    header=HEADER,
    content=CONTENT,
)


def read(notice: Notice) -> tuple[EmailMessage, list[EmailMessage]]:
    written = compose(notice)
    assert written.count(b"\n") == written.count(b"\r\n") == written.count(b"\r")
    message = message_from_bytes(written, policy=policy.SMTP)
    assert not message.defects
    parts = list(cast(EmailMessage, message).iter_parts())
    return cast(EmailMessage, message), cast("list[EmailMessage]", parts)


def test_what_a_reader_sees() -> None:
    message, parts = read(NOTICE)
    assert message["Subject"] == "Your message was not delivered"
    assert str(message["To"]) == "ann@here.example"
    assert message.get_content_type() == "multipart/report"
    assert message["Content-Type"].params["report-type"] == "delivery-status"
    assert [part.get_content_type() for part in parts] == [
        "text/plain",
        "message/delivery-status",
        "message/rfc822",
    ]
    text = parts[0].get_content()
    assert "There is nobody with this address there." in text
    assert "mx.there.example said:\r\n    550 5.1.1 nobody" in text


def test_a_long_message_comes_back_as_its_header() -> None:
    _, parts = read(replace(NOTICE, content=CONTENT + b"x\r\n" * MOST_RETURNED))
    assert parts[2].get_content_type() == "text/rfc822-headers"
    assert str(parts[2].get_payload()).splitlines() == HEADER.decode().splitlines()


def test_a_long_header_is_cut_between_lines() -> None:
    header = HEADER + b"".join(b"X-%d: y\r\n" % number for number in range(MOST_HEADER))
    _, parts = read(replace(NOTICE, content=None, header=header))
    lines = str(parts[2].get_payload()).splitlines()
    assert 1000 < len(lines) < MOST_HEADER
    assert lines[-1].endswith(": y")


def test_binary_is_not_returned() -> None:
    _, parts = read(replace(NOTICE, content=CONTENT + b"a\nb\0"))
    assert parts[2].get_content_type() == "text/rfc822-headers"


def test_eight_bits_stay() -> None:
    content = CONTENT + "grün\r\n".encode()
    written = compose(replace(NOTICE, content=content))
    assert content in written
    assert written.count(b"Content-Transfer-Encoding: 8bit\r\n") == 2
    assert b"message/rfc822\r\n" in written


def test_headers_in_utf8() -> None:
    """RFC 6533."""
    header = "Subject: grün\r\n".encode()
    recipient = Recipient("bøb@there.example", "utf-8;bøb@there.example")
    report = replace(NOTICE.reports[0], recipient=recipient)
    written = compose(replace(NOTICE, header=header, content=header, reports=(report,)))
    assert b"message/global\r\n" in written
    assert b"message/global-delivery-status\r\n" in written
    assert "Final-Recipient: utf-8; bøb@there.example\r\n".encode() in written


def test_a_boundary_that_stands_in_the_message() -> None:
    content = CONTENT + b"--abcmxhereexample.0\r\n--abcmxhereexample.1--\r\n"
    _, parts = read(replace(NOTICE, content=content))
    assert len(parts) == 3
    assert content in compose(replace(NOTICE, content=content))


@given(st.binary(max_size=400), st.binary(max_size=200), st.text(max_size=200))
def test_whatever_is_in_it(content: bytes, header: bytes, said: str) -> None:
    report = replace(NOTICE.reports[0], response=made_here(550, "", said))
    _, parts = read(replace(NOTICE, content=content, header=header, reports=(report,)))
    assert len(parts) == 3


@pytest.mark.parametrize(
    ("notify", "heard"),
    [
        (set(), {Action.FAILED, Action.DELAYED}),
        ({Notify.NEVER}, set()),
        ({Notify.SUCCESS}, {Action.DELIVERED, Action.RELAYED, Action.EXPANDED}),
        ({Notify.FAILURE}, {Action.FAILED}),
        ({Notify.DELAY, Notify.FAILURE}, {Action.DELAYED, Action.FAILED}),
    ],
)
def test_who_hears_what(notify: set[Notify], heard: set[Action]) -> None:
    recipient = Recipient("bob@there.example", notify=frozenset(notify))
    assert {action for action in Action if wanted(action, "ann@x", recipient)} == heard
    assert not any(wanted(action, "", recipient) for action in Action)
