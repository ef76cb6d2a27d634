"""MTA-STS records and policies (RFC 8461)."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_smtp.protocol.mta_sts import MOST_AGE, Mode, Policy, read_policy, read_record


@pytest.mark.parametrize(
    ("texts", "found"),
    [
        ([b"v=STSv1; id=20160831085700Z;"], "20160831085700Z"),  # RFC 8461 section 3.1
        ([b"v=STSv1;id=a"], "a"),
        ([b"v=STSv1 ; x=y; id=a ;"], "a"),
        ([b"something else", b"v=STSv1; id=a"], "a"),
        ([b"v=STSv1; id=a", b"v=STSv1; id=b"], None),
        ([b"v=STSv2; id=a"], None),
        ([b"v=STSv1; id=a-b"], None),
        ([b"v=STSv1"], None),
        ([b"v=STSv1;"], None),
        ([], None),
    ],
)
def test_records(texts: list[bytes], found: str | None) -> None:
    assert read_record(texts) == found


def test_the_policy_of_the_rfc() -> None:
    """RFC 8461 section 3.2."""
    text = (
        b"version: STSv1\nmode: enforce\nmx: mail.example.com\nmx: *.example.net\n"
        b"mx: backupmx.example.com\nmax_age: 604800\n"
    )
    policy = read_policy(text)
    assert policy == Policy(
        Mode.ENFORCE, ("mail.example.com", "*.example.net", "backupmx.example.com"), 604800
    )
    assert read_policy(text.replace(b"\n", b"\r\n")) == policy
    assert policy is not None
    assert policy.allows("Mail.Example.com.")
    assert policy.allows("a.example.net")
    assert not policy.allows("example.net")
    assert not policy.allows("a.b.example.net")
    assert not policy.allows("mail.example.org")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"mode: enforce\nmx: a.example\nmax_age: 1\n",
        b"version: STSv1\nmode: enforced\nmx: a.example\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a.example\n",
        b"version: STSv1\nmode: enforce\nmx: a.example\nmax_age: -1\n",
        b"version: STSv1\nmode: enforce\nmx: a.*.example\nmax_age: 1\n",
        b"version: STSv1\nmode: enforce\nmx: a b\nmax_age: 1\n",
        b"<html>",
        b"version: STSv1\nmode: enforce\n" + b"mx: a.example\n" * 101 + b"max_age: 1\n",
    ],
)
def test_no_policy(text: bytes) -> None:
    assert read_policy(text) is None


def test_what_is_not_known_is_read_over_and_ages_end() -> None:
    text = b"version: STSv1\nmode: none\nnew_thing: x\nmax_age: 9999999999\n"
    assert read_policy(text) == Policy(Mode.NONE, (), MOST_AGE)


def test_a_giant_line_is_read_in_no_time() -> None:
    began = time.process_time()
    text = b"version: STSv1\nmode: none\t\nx: a" + b"\t" * 60_000 + b"b\nmax_age: 1 \n"
    assert read_policy(text) == Policy(Mode.NONE, (), 1)
    assert time.process_time() - began < 0.5


@given(st.binary(max_size=300))
def test_anything(content: bytes) -> None:
    read_policy(content)
    read_record([content])
