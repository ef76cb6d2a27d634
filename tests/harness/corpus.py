"""Odd messages, by name, for tests that a message comes back byte for byte.

Made, not collected: every message shows one thing that mail software gets wrong. Lines end in CRLF
unless the name says otherwise. `corpus()` holds what SMTP and APPEND may carry as it is;
`bare_line_breaks()` what only APPEND and import can bring, and an SMTP server has to refuse.
"""

import base64
from random import Random


def corpus() -> dict[str, bytes]:
    """Return the messages; all end their lines in CRLF and hold no NUL."""
    return {name: _crlf(text) for name, text in _texts().items()} | _raw()


def bare_line_breaks() -> dict[str, bytes]:
    """Return messages with a bare CR or a bare LF somewhere."""
    simple = _HEADER + "Subject: lines\n\nfirst\nsecond\n"
    multipart = _texts()["multipart mixed"]
    return {
        "bare LF everywhere": simple.encode(),
        "bare LF in a multipart": multipart.encode(),
        "bare LF in the body alone": _crlf(_HEADER + "\n") + b"first\nsecond\r\nthird\n",
        "bare LF in the header alone": _HEADER.encode() + b"\nfirst\r\nsecond\r\n",
        "bare CR everywhere": simple.replace("\n", "\r").encode(),
        "bare CR in the body": _crlf(_HEADER + "\n") + b"first\rsecond\r\nthird\r\r\n",
        "bare CR in the header": _crlf(_HEADER) + b"Subject: a\rb\r\n\r\ntext\r\n",
        "LF CR": _crlf(_HEADER + "\n") + b"first\n\rsecond\n\r.\n\r",
        "a dot between bare LF": _crlf(_HEADER + "\n") + b"first\n.\nMAIL FROM:<x@example.com>\r\n",
        "a dot behind bare CR": _crlf(_HEADER + "\n")
        + b"first\r.\r\rMAIL FROM:<x@example.com>\r\n",
    }


def with_nul() -> dict[str, bytes]:
    """Return messages with NUL, which IMAP can carry in BINARY alone."""
    return {
        "NUL in the header": _crlf(_HEADER) + b"Subject: a\0b\r\n\r\ntext\r\n",
        "NUL in the body": _crlf(_HEADER + "\n") + b"a\0b\r\n\0\r\n",
    }


_HEADER = """\
Return-Path: <terry@example.org>
Date: Mon, 7 Feb 1994 21:52:25 -0800 (PST)
From: Terry Gray <terry@example.org>
To: imap@example.com
Message-ID: <B27397-0100000@example.org>
MIME-Version: 1.0
"""


def _crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


def _texts() -> dict[str, str]:
    """Return messages written with LF, to be sent with CRLF."""
    mixed = _multipart("mixed", "outer", "Content-Type: text/plain\n\none", "\ntwo")
    attached = _HEADER + "Subject: inside\nContent-Type: text/html\n\n<p>inside</p>\n"
    return {
        "plain": _HEADER + "Subject: plain\n\nHello.\n",
        "empty body": _HEADER + "Subject: nothing follows\n\n",
        "only headers": _HEADER + "Subject: not even an empty line\n",
        "empty line first": "\nbody without a header\n",
        "only an empty line": "\n",
        "no header": "This is no field.\nNor is this.\n\nbody\n",
        "one word": "word\n",
        "leading fold": " folded at once\nSubject: x\n\nbody\n",
        "dots": _HEADER + "\n.\n..\n.dot\n...\n",
        "from line": "From terry@example.org Mon Feb  7 21:52:25 1994\n"
        + _HEADER
        + "\nFrom here\n",
        "trailing white space": _HEADER + "Subject: a \t \n\nb \t \n \n\t\n",
        "many empty lines": _HEADER + "\n" + "\n" * 300,
        "broken headers": (
            _HEADER + "No colon here\n: no name\nSpace before : colon\nSubject\n"
            "Subject:no blank\nEmpty:\n\nbody\n"
        ),
        "field twice": _HEADER + "Subject: one\nSubject: two\nTo: other@example.com\n\nbody\n",
        "folded fields": _HEADER
        + "Subject: a\n b\n\tc\n  \n d\nTo:\n a@example.com,\n b@example.com\n\n.\n",
        "addresses": _addresses(),
        "encoded words": (
            _HEADER.replace("Terry Gray", "=?iso-8859-1?Q?J=F6rg_M=FCller?=")
            + "Subject: =?utf-8?B?w7xiZXI=?=\n =?utf-8?B?IGFsbGVz?=\n"
            " =?unknown?Q?x=E9?= =?utf-8?Q?broken\n\n.\n"
        ),
        "raw UTF-8 header": _HEADER + "Subject: Grüße aus Köln 🚆\nX-名: 値\n\nbody\n",
        "RFC 2231": (
            _HEADER + "Content-Type: application/x-stuff;\n"
            " title*0*=us-ascii'en'This%20is%20even%20more%20;\n"
            ' title*1*=%2A%2A%2Afun%2A%2A%2A%20;\n title*2="isn\'t it!"\n'
            "Content-Disposition: attachment; filename*=utf-8''na%C3%AFve%20plan.txt\n\nx\n"
        ),
        "parameters gone wrong": (
            _HEADER + 'Content-Type: text/plain; charset="utf-8; name=a b c; ; =x; format\n'
            "Content-Disposition: ;;\nContent-Transfer-Encoding: 8 bit\n\nbody\n"
        ),
        "type without subtype": _HEADER + "Content-Type: text\n\nbody\n",
        "unknown encoding": _HEADER
        + "Content-Transfer-Encoding: x-uuencode\n\nbegin 644 a\n`\nend\n",
        "quoted-printable": (
            _HEADER + "Content-Type: text/plain; charset=utf-8\n"
            "Content-Transfer-Encoding: quoted-printable\n\n"
            "gr=C3=BC=C3=9Fe =\nsoft=\n  \nbroken =ZZ = =C3\n"
        ),
        "base64": (
            _HEADER
            + "Content-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n"
            + base64.encodebytes("Grüße. ".encode() * 40).decode()
        ),
        "broken base64": _HEADER + "Content-Transfer-Encoding: base64\n\nSGVs*bG8\nsIHd=b3JsZA\n",
        "format flowed": _HEADER
        + "Content-Type: text/plain; format=flowed\n\n> a \n> b\n-- \nme\n",
        "HTML alone": (
            _HEADER + "Content-Type: text/html; charset=utf-8\n\n"
            "<html><head><style>p { x: y }</style></head>\n"
            "<body><p>Hello <b>wo</b>rld &amp; all</p><!-- unseen --><br>end<p\n"
        ),
        "multipart mixed": _HEADER + mixed,
        "multipart without parts": _HEADER + _multipart("mixed", "b"),
        "multipart with empty parts": _HEADER
        + _multipart("mixed", "b", "", "", "\n", "X: y", "X: y\n"),
        "multipart without boundary": _HEADER
        + "Content-Type: multipart/mixed\n\n--b\n\nx\n--b--\n",
        "multipart without delimiter": _HEADER
        + "Content-Type: multipart/mixed; boundary=b\n\ntext\n",
        "multipart never closed": (
            _HEADER
            + _multipart("mixed", "b", "\none", "\ntwo").removesuffix("\n--b--\nepilogue\n")
            + "\n"
        ),
        "multipart ends in a delimiter": _HEADER
        + "Content-Type: multipart/mixed; boundary=b\n\n--b\n\nx\n--b\n",
        "delimiters with white space": (
            _HEADER + "Content-Type: multipart/mixed; boundary=b\n\n--b \t\n\nx\n--b--  \n"
        ),
        "false delimiters": (
            _HEADER
            + _multipart("mixed", "b", "\n--bb\n--b-\n --b\nx--b\n--B\n--b --\n--b---", "\ny")
        ),
        "boundary of the outer begins the inner's": (
            _HEADER + _multipart("mixed", "b", _multipart("mixed", "b2", "\nx", "\ny"), "\nz")
        ),
        "same boundary inside": _HEADER
        + _multipart("mixed", "b", _multipart("mixed", "b", "\nx"), "\ny"),
        "inner never closed": (
            _HEADER + "Content-Type: multipart/mixed; boundary=o\n\n--o\n"
            "Content-Type: multipart/mixed; boundary=i\n\n--i\n\nx\n--o\n\ny\n--o--\n"
        ),
        "boundary with odd characters": _HEADER + _multipart("mixed", "'()+_,-./:=? x", "\none"),
        "multipart digest": _HEADER
        + _multipart("digest", "d", "\n" + attached, "Content-Type: text/plain\n\nx"),
        "multipart alternative related": (
            _HEADER
            + _multipart(
                "alternative",
                "a",
                "Content-Type: text/plain\n\nplain",
                _multipart(
                    "related",
                    "r",
                    "Content-Type: text/html\n\n<img src='cid:i@example.org'>",
                    "Content-Type: image/png\nContent-ID: <i@example.org>\n"
                    "Content-Transfer-Encoding: base64\nContent-MD5: Q2hlY2sgSW50ZWdyaXR5IQ==\n"
                    "Content-Language: en, de\nContent-Location: http://example.org/i.png\n"
                    'Content-Disposition: inline; filename="i.png"\n\niVBORw0KGgo=',
                ),
            )
        ),
        "message/rfc822": (
            _HEADER
            + _multipart("mixed", "o", "\nsee below", "Content-Type: message/rfc822\n\n" + attached)
        ),
        "message/rfc822 at the top": _HEADER + "Content-Type: message/rfc822\n\n" + attached,
        "message/rfc822 of a multipart": (
            _HEADER
            + _multipart(
                "mixed",
                "o",
                "Content-Type: message/rfc822\n\n" + _HEADER + mixed.replace("outer", "in"),
            )
        ),
        "message/rfc822 in base64": (
            _HEADER
            + "Content-Type: message/rfc822\nContent-Transfer-Encoding: base64\n\n"
            + base64.encodebytes(attached.encode()).decode()
        ),
        "message/rfc822 that is empty": _HEADER
        + _multipart("mixed", "o", "Content-Type: message/rfc822\n\n"),
        "delivery status": (
            _HEADER
            + _multipart(
                "report; report-type=delivery-status",
                "o",
                "\nfailed",
                "Content-Type: message/delivery-status\n\n"
                "Reporting-MTA: dns; a.example\n\nAction: failed\n",
                "Content-Type: text/rfc822-headers\n\n" + _HEADER,
            )
        ),
        "many parts": _HEADER + _multipart("mixed", "b", *[f"\npart {i}" for i in range(500)]),
        "deep nesting": _HEADER + _nested(60),
        "deep messages": "Content-Type: message/rfc822\n\n" * 60 + _HEADER + "\ninnermost\n",
        "deeper than anyone": _HEADER + _nested(400),
        "huge header": _HEADER
        + "".join(f"X-Filler-{i}: {'x' * 60}\n" for i in range(5_000))
        + "\nbody\n",
        "huge field": _HEADER + "Subject: " + "\n ".join(["word" * 15] * 3_000) + "\n\nbody\n",
        "long header line": _HEADER + "X-Long: " + "y" * 200_000 + "\n\nbody\n",
        "long body line": _HEADER + "\n" + "z" * 200_000 + "\n",
        "many recipients": _HEADER
        + "Cc: "
        + ",\n ".join(f"user{i}@example.com" for i in range(3_000))
        + "\n\n.\n",
        "long references": (
            _HEADER
            + "References: "
            + "\n ".join(f"<{i}@example.org>" for i in range(1_000))
            + "\n\n.\n"
        ),
    }


def _raw() -> dict[str, bytes]:
    """Return messages that are bytes rather than text."""
    header = _crlf(_HEADER)
    random = Random(2045)
    foreign = bytes(byte for byte in range(1, 256) if byte not in b"\r\n")
    return {
        "empty message": b"",
        "no final newline": header + b"\r\nlast line",
        "no final newline in a header": header + b"Subject: last",
        "no final newline at a delimiter": _crlf(
            _HEADER + _multipart("mixed", "b", "\nx")
        ).removesuffix(b"\r\nepilogue\r\n"),
        "ISO 8859-1": header
        + b"Subject: caf\xe9\r\nContent-Type: text/plain; charset=iso-8859-1\r\n\r\n"
        + b"d\xe9j\xe0 vu\r\n",
        "every byte but NUL": header + b"Subject: " + foreign + b"\r\n\r\n" + foreign + b"\r\n",
        "binary without NUL": (
            header
            + b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: binary\r\n\r\n"
            + bytes(random.choices(foreign, k=20_000))
            + b"\r\n"
        ),
        "UTF-16 body": (
            header
            + b"Content-Type: text/plain; charset=utf-16\r\n"
            + b"Content-Transfer-Encoding: base64\r\n\r\n"
            + base64.encodebytes("Größe".encode("utf-16")).replace(b"\n", b"\r\n")
        ),
        "ISO-2022-JP": (
            header
            + b"Subject: =?ISO-2022-JP?B?GyRCRnxLXDhsGyhC?=\r\n"
            + b"Content-Type: text/plain; charset=iso-2022-jp\r\n\r\n"
            + "日本語\r\n".encode("iso-2022-jp")
        ),
        "broken UTF-8": header
        + b"Subject: \xc3\x28 \xe2\x82 \xff\r\n\r\n\xc3\x28 \xe2\x82 \xff\r\n",
    }


def _multipart(subtype: str, boundary: str, *parts: str) -> str:
    """Return header and body of a multipart; a part begins with its header or an empty line."""
    quoted = f'Content-Type: multipart/{subtype}; boundary="{boundary}"\n\npreamble\n'
    return (
        quoted
        + "".join(f"--{boundary}\n{part}\n" for part in parts)
        + f"--{boundary}--\nepilogue\n"
    )


def _nested(depth: int) -> str:
    text = "\ninnermost"
    for level in range(depth):
        text = _multipart("mixed", f"level-{level}-", text)
    return text


def _addresses() -> str:
    return (
        "Date: Fri, 21 Nov 1997 09:55:06 -0600\n"
        'From: "Joe Q. Public" <john.q.public@example.com>, "a \\"b\\" \\\\c" <"d e"@example.com>\n'
        "Sender: pete(his account)@silly.test(his host) (Pete (of Silly))\n"
        "Reply-To: <@a.example,@b.example:route@c.example>\n"
        "To: A Group(Some people):Chris Jones <c@(Chris's host.)public.example>,\n"
        " joe@example.org, John <jdoe@one.test> (my dear friend); (the end of the group)\n"
        "Cc: Undisclosed recipients:;, , lonely, <>, <unclosed@example.com, a@[192.0.2.1]\n"
        "Bcc:\nSubject: addresses\n\nbody\n"
    )
