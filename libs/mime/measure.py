"""Measures what an ingest, a FETCH and a conversion cost here, beside the parser of the standard
library.

    python libs/mime/measure.py

Two messages: plain text of 4 KB, and a multipart of 12 KB (text, HTML, a PDF). They are converted
as if their text were in another language. The best of several rounds counts, since other work on
the machine only ever adds.
"""

import base64
import email
from collections.abc import Callable
from functools import partial
from random import Random
from time import process_time

from postroom_mime import (
    Conversion,
    Domain,
    Survey,
    decode_structure,
    derive,
    header_fields,
    scan,
    search_text,
    section,
)

_HEADER = """\
Return-Path: <terry@example.org>
Received: from a.example.org (a.example.org [192.0.2.1])
\tby mx.example.com with ESMTPS id abc123
\tfor <bob@example.com>; Wed, 17 Jul 1996 02:23:27 -0700
DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=sel;
\th=from:to:subject:date; bh=47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=;
\tb=dzdVyOfAKCdLXdJOc9G2q8LoXSlEniSbav+yuU4zGeeruD00lszZVoG4ZHRNiYzR
Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)
From: Terry Gray <terry@example.org>
Subject: Re: minutes of the meeting
To: imap@example.com
Cc: minutes@example.net, John Klensin <john@example.net>
Message-Id: <B27397-0100000@example.org>
In-Reply-To: <a@example.org>
References: <x@example.org> <a@example.org>
MIME-Version: 1.0
"""
_NAMES = ("From", "To", "Cc", "Subject", "Date", "Message-ID")


def _text(random: Random, size: int) -> str:
    words = "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor".split()
    lines = [" ".join(random.choices(words, k=10)) for _ in range(size // 60)]
    return "\n".join(lines) + "\n"


def _plain(random: Random) -> bytes:
    text = _HEADER + "Content-Type: text/plain; charset=us-ascii\n\n" + _text(random, 3_000)
    return text.replace("\n", "\r\n").encode()


def _multipart(random: Random) -> bytes:
    pdf = base64.encodebytes(random.randbytes(4_500)).decode()
    text = (
        _HEADER + "Content-Type: multipart/mixed; boundary=outer\n\n--outer\n"
        "Content-Type: multipart/alternative; boundary=inner\n\n--inner\n"
        "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: quoted-printable\n\n"
        + _text(random, 2_000)
        + "--inner\nContent-Type: text/html; charset=utf-8\n\n<html><p>"
        + _text(random, 3_000)
        + "</p></html>\n--inner--\n--outer\nContent-Type: application/pdf; name=a.pdf\n"
        'Content-Disposition: attachment; filename="a.pdf"\nContent-Transfer-Encoding: base64\n\n'
        + pdf
        + "--outer--\n"
    )
    return text.replace("\n", "\r\n").encode()


def _convert(raw: bytes) -> bytes:
    survey = Survey(Domain.SEVEN_BIT)
    survey.feed(raw)
    conversion = Conversion(survey.end())
    return conversion.feed(raw) + conversion.end()


def _seconds(call: Callable[[], object], rounds: int = 15, calls: int = 200) -> float:
    best = float("inf")
    for _ in range(rounds):
        start = process_time()
        for _ in range(calls):
            call()
        best = min(best, (process_time() - start) / calls)
    return best


def main() -> None:
    """Print a line per message and function."""
    random = Random(1)  # noqa: S311
    for name, raw in (("plain", _plain(random)), ("multipart", _multipart(random))):
        derived, foreign = derive(raw), raw.replace(b"dolor", "dölor".encode())
        message = decode_structure(derived.structure)
        calls: dict[str, Callable[[], object]] = {
            "derive": partial(derive, raw),
            "scan": partial(scan, raw),
            "search_text": partial(search_text, raw),
            "header_fields": partial(header_fields, derived.header, _NAMES),
            "decode_structure": partial(decode_structure, derived.structure),
            "section": partial(section, message, "1.MIME"),
            "convert": partial(_convert, foreign),
            "email (stdlib)": partial(email.message_from_bytes, raw),
        }
        print(f"{name}: {len(raw)} bytes, {len(derived.header)} of them header")
        for label, call in calls.items():
            seconds = _seconds(call)
            print(f"  {label:18}{seconds * 1e6:8.1f} µs {1 / seconds:10,.0f}/s")


if __name__ == "__main__":
    main()
