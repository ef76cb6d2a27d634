"""The text of a message's body without an end: for messages with more than `search_text` takes.

Piece by piece, so that a text costs some pieces and a few times the message, whatever it grows to.
Liberty taken: an HTML part is cut before a tag; where that lies in a comment or a style sheet, what
is left of it is read as text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from postroom_mime import (
    Part,
    SearchText,
    decoded,
    header_texts,
    limits,
    normal,
    normalise,
    scan,
    search_text,
)
from postroom_mime.collation import octet
from postroom_mime.markup import strip_markup
from postroom_mime.words import decode_charset

PIECE = 256 * 1024
LOOK_BACK = 8 * 1024  # for a good place to cut

# Charsets whose characters are all of several bytes: no byte says that one ends there.
WIDE = ("utf-16", "utf16", "utf-32", "utf32", "iso-10646", "ucs")


def text_of(content: bytes, mapping: Callable[[str], str] = normal) -> SearchText:
    """What `search_text` says; `truncated` wherever the body may have more.

    A text that is cut before its white space is folded isn't told as such by `search_text`.
    """
    if len(content) <= limits.SEARCH_TEXT:
        return search_text(content, mapping=mapping)
    message = scan(content)
    text = search_text(content, message, mapping)
    if any(part.size > limits.SEARCH_TEXT for part in message.walk() if _is_textual(part)):
        return replace(text, truncated=True)
    return text


def body_text(content: bytes, mapping: Callable[[str], str] = normal) -> Iterator[str]:
    """Pieces that are, one after the other, what `SearchText.body` is the beginning of."""
    if mapping is not normal:
        yield from map(mapping, _pieces(content))
        return
    after_blank = True
    for piece in _pieces(content):
        text = normalise(piece)
        if after_blank:
            text = text.removeprefix(" ")
        if text:
            after_blank = text.endswith(" ")
            yield text


def found_in(pieces: Iterator[str], wanted: set[str]) -> set[str]:
    """Which of some texts are in one that comes in pieces."""
    missing = set(wanted)
    overlap = max(map(len, wanted), default=1) - 1
    before = ""
    for piece in pieces:
        text = before + piece
        missing = {each for each in missing if each not in text}
        if not missing:
            break
        before = text[-overlap:] if overlap else ""
    return wanted - missing


def _pieces(content: bytes) -> Iterator[str]:
    """Text that is not normalised yet, a blank between what doesn't belong together."""
    message = scan(content)
    for part in message.walk():
        if part is not message.root and (name := part.filename):
            yield f"{name} "
        if part.is_message:
            root = part.children[0]
            for field, value in header_texts(content[root.header_start : root.body_start], octet):
                yield f"{field}: {value} "
        elif _is_textual(part):
            yield from _part_pieces(content, part)
            yield " "


def _is_textual(part: Part) -> bool:
    """As `search_text` has it: a leaf of text, or a multipart or message that stayed opaque."""
    return part.type in ("text", "message", "multipart") and not part.children


def _part_pieces(content: bytes, part: Part) -> Iterator[str]:
    data = decoded(content, part)
    charset = part.param("charset")
    is_html = part.subtype == "html"
    if (charset or "").lower().startswith(WIDE):
        text = decode_charset(data, charset)
        text = strip_markup(text) if is_html else text
        for start in range(0, len(text), PIECE):
            yield text[start : start + PIECE]
        return
    start = 0
    while start < len(data):
        end = _cut(data, start, is_html)
        text = decode_charset(data[start:end], charset)
        yield strip_markup(text) if is_html else text
        start = end


def _cut(data: bytes, start: int, is_html: bool) -> int:
    """Where a piece ends: before a tag, else after a line (where ISO 2022 is back in ASCII)."""
    end = start + PIECE
    if end >= len(data):
        return len(data)
    first = end - LOOK_BACK
    if is_html and (tag := data.rfind(b"<", first, end)) > 0:
        return tag
    for mark in (b"\n", b" "):
        if (found := data.rfind(mark, first, end)) > 0:
            return found + 1
    while end > first and data[end] & 0xC0 == 0x80:  # not within a character of UTF-8
        end -= 1
    return end
