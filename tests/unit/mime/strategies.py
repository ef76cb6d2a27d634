"""Hypothesis strategies: well-formed messages, and heaps of what messages are made of."""

import email.policy
from email.message import EmailMessage

from hypothesis import strategies as st

# Pieces that mean something to a MIME parser, in any order.
SCRAPS = st.lists(
    st.sampled_from(
        [
            *(bytes([byte]) for byte in b'\r\n \t:;"=\0<>(),@\\'),
            *b"\r\n --b --b-- --b\r\n \r\n--b\r\n --c\n --c--\n \xff\xfe \x1b$B".split(b" "),
            *b"idna utf-16 iso-2022-jp +2AA- <style> <!-- <b &#0;&amp =?utf-8?B?\xff?=".split(),
            b"Content-Type: multipart/mixed; boundary=b\r\n\r\n",
            b"Content-Type: multipart/digest; boundary=c\n\n",
            b"Content-Type: message/rfc822\r\n\r\n",
            b"Content-Type: text/html; charset=utf-7\r\n\r\n",
            b"Content-Type: text/plain; charset=",
            b"Content-Disposition: attachment; filename*0*=x''%ff; filename*1=y",
            b"Content-Transfer-Encoding: base64\r\n",
            b"Date: 1 Jan 2000 00:00:00 +0000\r\n",
            b"Subject: Re: [x] (fwd) =?x?Q?=ff?=",
            b"From: a <b@c>, g: d;",
            b"References: <a@b> <",
            b"To:",
        ]
    ),
    max_size=40,
).map(b"".join)

_WORDS = st.text("abcdefghij klmnop", min_size=1, max_size=20).map(str.strip).filter(bool)
_TEXTS = st.text(
    st.characters(min_codepoint=32, max_codepoint=0x3000, exclude_categories=("Cs", "Cc"))
    | st.just("\n"),
    max_size=200,
)
_NAMES = st.from_regex(r"[a-z][a-z0-9 ]{0,10}[a-z]\.(txt|pdf)", fullmatch=True)


@st.composite
def _leaves(draw: st.DrawFn) -> EmailMessage:
    message = EmailMessage()
    if draw(st.booleans()):
        encoding = draw(st.sampled_from(["quoted-printable", "base64", "8bit"]))
        message.set_content(
            draw(_TEXTS), subtype=draw(st.sampled_from(["plain", "html"])), cte=encoding
        )
    else:
        name = draw(_NAMES | st.just("naïve plan.txt"))
        message.set_content(
            draw(st.binary(max_size=200)), "application", "octet-stream", filename=name
        )
    return message


@st.composite
def _multiparts(draw: st.DrawFn, children: st.SearchStrategy[EmailMessage]) -> EmailMessage:
    message = EmailMessage()
    message["Content-Type"] = draw(st.sampled_from(["multipart/mixed", "multipart/alternative"]))
    # No boundary may turn up in a text or inside another.
    message.set_boundary(f"=_{draw(st.uuids()).hex}")
    for part in draw(st.lists(children, min_size=1, max_size=3)):
        message.attach(part)
    return message


@st.composite
def _nested(draw: st.DrawFn, children: st.SearchStrategy[EmailMessage]) -> EmailMessage:
    message = EmailMessage()
    message.set_content(draw(children))
    return message


_PARTS = st.recursive(
    _leaves(), lambda children: _multiparts(children) | _nested(children), max_leaves=6
)


@st.composite
def _messages(draw: st.DrawFn) -> bytes:
    message = draw(_PARTS)
    message["Subject"] = draw(_WORDS)
    message["From"] = "A <a@example.com>"
    return message.as_bytes(policy=email.policy.SMTP.clone(max_line_length=None))


MESSAGES = _messages()
