"""Text of a message for people and for search: the preview, and what SEARCH looks in.

SEARCH is a substring match, by i;unicode-casemap as a rule (RFC 3501 section 6.4.4, RFC 5255
section 4.3), so both sides are normalised: NFKD and case folding (Unicode section 3.13, D146),
invisible characters dropped, white space folded to single blanks. A key matches where
`normalise(key) in field`: wherever the collation says so, and where only the case folding of
several characters, the invisible ones or the white space differ.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Final

from postroom_mime import limits
from postroom_mime.headers import raw_fields, unfold
from postroom_mime.markup import strip_markup
from postroom_mime.normal_form import normal_form
from postroom_mime.scan import scan
from postroom_mime.structure import Message, Part
from postroom_mime.transfer import decode_body
from postroom_mime.words import decode_charset, decode_words

# Soft hyphen, grapheme joiner, zero-width characters, byte order mark: senders pad with them.
_INVISIBLE: Final = "\u00ad\u034f\u061c\u180e\u200b\u200c\u200d\u200e\u200f\u2060\ufeff"
_WITHOUT_INVISIBLE: Final = dict.fromkeys(map(ord, _INVISIBLE))
_DOTLESS_I: Final = "\u0131"  # its capital is that of i: one letter to i;unicode-casemap

# Most previews are in the first 512 bytes; more is read only where they are not.
_LOOKS: Final = (512, 4 * 1024, limits.PREVIEW_BYTES)
_CUT_MARGIN: Final = 16
_NEWLINE: Final = "\n"


@dataclass(frozen=True, slots=True)
class SearchText:
    """Text of a message, by the field that a SEARCH key names.

    `headers` has a line "name: value\\n" for each field; `truncated` says that `body` was cut.
    """

    subject: str
    from_: str
    to: str
    cc: str
    bcc: str
    headers: str
    body: str
    truncated: bool


def normalise(query: str) -> str:
    """Return a search key as `SearchText` has it; blanks at its ends count, as one blank each."""
    text = _fold_case(query)
    words = text.split()
    if not words:
        return " " if text else ""
    return " " * text[0].isspace() + " ".join(words) + " " * text[-1].isspace()


def header_matches(text: SearchText, name: str, key: str) -> bool:
    """Tell whether a field of that name holds a key; "" asks for the field alone.

    The key is mapped as the text is.
    """
    prefix = f"{name.lower()}: "
    end = len(prefix)
    return any(
        key in line[end:] for line in text.headers.split("\n") if line[:end].lower() == prefix
    )


def normal(text: str) -> str:
    """Return text of a message as `normalise` has what is looked for in it."""
    return " ".join(_fold_case(text).split())


def search_text(
    raw: bytes, structure: Message | None = None, mapping: Callable[[str], str] = normal
) -> SearchText:
    """Return what SEARCH looks in; a structure saves the scan.

    Args:
        mapping: what the collation makes of each text.
    """
    message = structure or scan(raw)
    fields = list(header_texts(raw[: message.root.body_start], mapping))

    def named(name: str) -> str:
        return " ".join(value for key, value in fields if key.lower() == name)

    body, too_long = _join(_body_texts(raw, message, mapping), limits.SEARCH_TEXT)
    size = sum(part.size for part in message.walk() if _is_textual(part))
    return SearchText(
        subject=named("subject"),
        from_=named("from"),
        to=named("to"),
        cc=named("cc"),
        bcc=named("bcc"),
        # A newline can come out of an encoded word; here it ends a field.
        headers="".join([f"{name}: {value.replace(_NEWLINE, ' ')}\n" for name, value in fields]),
        body=body,
        truncated=too_long or size > limits.SEARCH_BYTES,
    )


def preview(raw: bytes, message: Message) -> str:
    """Return the beginning of the text on one line (RFC 8970): of plain text, else of HTML."""
    shown = list(islice(filter(_is_shown, message.walk()), limits.PREVIEW_PARTS))
    for subtype in ("plain", "html"):
        for part in shown:
            if part.subtype == subtype and (text := _preview_part(raw, part)):
                return text
    return ""


def _preview_part(raw: bytes, part: Part) -> str:
    line = ""
    for size in _LOOKS:
        line = " ".join(part_text(raw, part, size).split())
        if not (line.isascii() and line.isprintable()):
            line = " ".join(filter(_is_visible, "".join(filter(_is_printable, line)).split(" ")))
        # Behind the cut there may be half a character or half a tag.
        if len(line) > limits.PREVIEW + _CUT_MARGIN or size >= part.size:
            break
    return line[: limits.PREVIEW].rstrip()


def _is_shown(part: Part) -> bool:
    attached = part.disposition is not None and part.disposition[0] == "attachment"
    return part.type == "text" and not attached


def _is_visible(word: str) -> bool:
    return bool(word.strip(_INVISIBLE))


def _is_printable(character: str) -> bool:
    return character.isprintable() or character == " " or character in _INVISIBLE


def part_text(raw: bytes, part: Part, most: int) -> str:
    """Return the text of a leaf, of at most so many encoded bytes; HTML without its markup."""
    encoded = raw[part.body_start : min(part.body_end, part.body_start + most)]
    text = decode_charset(decode_body(encoded, part.encoding), part.param("charset"))
    return strip_markup(text) if part.subtype == "html" else text


def _body_texts(raw: bytes, message: Message, mapping: Callable[[str], str]) -> Iterator[str]:
    """Yield mapped text: of each textual leaf, each file name, each attached header."""
    left = limits.SEARCH_BYTES
    for part in message.walk():
        if part is not message.root and (name := part.filename):
            yield mapping(name)
        if part.is_message:
            root = part.children[0]
            header = raw[root.header_start : root.body_start]
            yield from (f"{name}: {value}" for name, value in header_texts(header, mapping))
        elif _is_textual(part):
            yield mapping(part_text(raw, part, left)[: limits.SEARCH_TEXT + 1])
            left = max(0, left - part.size)


def _is_textual(part: Part) -> bool:
    """Tell whether a part is a leaf with text; an opaque multipart or message is read as text."""
    return part.type in ("text", "message", "multipart") and not part.children


def header_texts(header: bytes, mapping: Callable[[str], str]) -> Iterator[tuple[str, str]]:
    """Yield the name and the value of each field, mapped."""
    for name, value in raw_fields(header):
        yield mapping(name.decode()), mapping(decode_words(unfold(value)))


def _join(texts: Iterator[str], most: int) -> tuple[str, bool]:
    """Join texts by blanks until they are too long; tell whether they were."""
    kept: list[str] = []
    length = 0
    for text in filter(None, texts):
        kept.append(text)
        length += len(text) + 1
        if length > most + 1:
            return " ".join(kept)[:most], True
    return " ".join(kept), False


def _fold_case(text: str) -> str:
    if text.isascii():
        return text.lower()
    visible = text.translate(_WITHOUT_INVISIBLE)
    folded = normal_form("NFKD", visible.casefold()).replace(_DOTLESS_I, "i")
    return normal_form("NFKD", folded.casefold())
