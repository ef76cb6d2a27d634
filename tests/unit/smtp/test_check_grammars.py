"""The grammars of checks against whatever somebody may send or publish: they say no, and nothing
else.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postroom_smtp.checks.dmarc import organizational
from postroom_smtp.checks.rspamd import RspamdFault, parse_advice
from postroom_smtp.protocol import milter
from postroom_smtp.protocol.arc import BadChain, parse_chain
from postroom_smtp.protocol.authentication import claims, method_results
from postroom_smtp.protocol.authors import TooManyAuthors, author_domains
from postroom_smtp.protocol.dkim import BadSignature, parse_key, parse_signature
from postroom_smtp.protocol.dmarc import parse_policy
from postroom_smtp.protocol.fields import split_fields
from postroom_smtp.protocol.milter import MilterFault, Response
from postroom_smtp.protocol.spf import BadRecord, parse_macros, parse_record

PIECES = [
    b"a", b"1", b".", b"@", b"<", b">", b" ", b"\t", b"\r\n ", b"\xff", "é".encode(), b"(", b")",
    b'"', b"\\", b",", b":", b";", b"=", b"%{", b"}", b"%", b"/", b"//", b"*", b"-", b"+", b"~",
    b"\0", b"i=1;", b"h=from;", b"p=", b"v=DKIM1;", b"all", b"ip4:", b"ip6:", b"exists:", b"mx",
    b"redirect=", b"exp=", b"\0\0\0\1", b"550 5.7.1 ", b"co.uk", b"com", b"xn--", b"[", b"{", b"]",
]  # fmt: skip
ANYTHING = st.lists(st.sampled_from(PIECES), max_size=20).map(b"".join) | st.binary(max_size=80)

SIGNATURE = b"DKIM-Signature: v=1; a=rsa-sha256; d=a.org; s=s; h=from; bh=AAAA; b=AAAA;"


def signature(data: bytes) -> object:
    fields = split_fields(SIGNATURE + data + b"\r\n")
    return parse_signature(fields[0])


def authors(data: bytes) -> object:
    return [organizational(one) for one in author_domains(split_fields(b"From: " + data))]


@pytest.mark.parametrize(
    ("read", "no"),
    [
        (lambda data: parse_record(b"v=spf1 " + data), BadRecord),
        (lambda data: parse_macros(data.decode("latin-1"), explanation=True), BadRecord),
        (lambda data: parse_policy(b"v=DMARC1;" + data), ()),
        (lambda data: parse_key(b"v=DKIM1;" + data), BadSignature),
        (signature, BadSignature),
        (lambda data: parse_chain(split_fields(b"ARC-Seal: i=1;" + data)), BadChain),
        (lambda data: claims(data, "mx.example.net"), ()),
        (lambda data: method_results(data, "dmarc"), ()),
        (authors, TooManyAuthors),
        (lambda data: organizational(data.decode("latin-1")), ()),
        (milter.parse_terms, MilterFault),
        (milter.parse_reply, ()),
        (milter.parse_mailbox, MilterFault),
        (
            lambda data: milter.parse_change(
                Response.CHANGE_HEADER, b"\0\0\0\1" + data, leading_space=False
            ),
            MilterFault,
        ),
        (parse_advice, RspamdFault),
    ],
)
@given(data=ANYTHING)
@settings(max_examples=150)
def test_it_says_no(
    read: Callable[[bytes], object], no: type[Exception] | tuple[()], data: bytes
) -> None:
    try:
        read(data)
    except no:
        pass
