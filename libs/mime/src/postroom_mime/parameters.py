"""MIME field values: a word, then `; name=value` parameters (RFC 2045 section 5.1, RFC 2231).

Broken values are read as far as they make sense: blanks in an unquoted value, a quote that is
never closed. Parameters stay bytes as in the message, for BODYSTRUCTURE shows them so;
`decode_param` is for those who want text.
"""

import re
from functools import lru_cache
from itertools import islice
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from postroom_mime import limits
from postroom_mime.words import decode_charset, decode_words

Params = tuple[tuple[bytes, bytes], ...]

_TOKEN: Final = rb"[^\x00-\x20\x7f-\xff()<>@,;:\\\"/\[\]?=]+"  # RFC 2045 section 5.1
_TYPE: Final = re.compile(rb"(" + _TOKEN + rb")[ \t]*/[ \t]*(" + _TOKEN + rb")")
_WORD: Final = re.compile(_TOKEN)
_PARAM: Final = re.compile(rb";[ \t]*([^\s=;\"]+)[ \t]*=[ \t]*(?:\"((?:[^\"\\]|\\.)*)\"?|([^;]*))")
_QUOTED_PAIR: Final = re.compile(rb"\\(.)", re.DOTALL)
_COMMENT: Final = re.compile(rb"[ \t]*\([^()]*\)[ \t]*")

_CACHED_BYTES: Final = 100


class ContentType(NamedTuple):
    """A Content-Type: type and subtype in lower case, parameters as in the message."""

    type: str
    subtype: str
    params: Params


def parse_content_type(value: bytes) -> ContentType | None:
    """Parse an unfolded Content-Type; None if it names no type.

    Without a legal one RFC 2045 section 5.2 has text/plain, unless the outer part says otherwise.
    """
    return _cached_type(value) if len(value) <= _CACHED_BYTES else _parse_type(value)


def parse_disposition(value: bytes) -> tuple[str, Params] | None:
    """Parse an unfolded Content-Disposition (RFC 2183); None if it has no disposition type."""
    word = _WORD.match(_without_leading_comment(value))
    return (word[0].decode().lower(), _parse_params(value)) if word else None


def parse_word(value: bytes) -> str | None:
    """Parse the one token of an unfolded Content-Transfer-Encoding, in lower case."""
    word = _WORD.match(_without_leading_comment(value))
    return word[0].decode().lower() if word else None


def parse_languages(value: bytes) -> tuple[bytes, ...]:
    """Parse an unfolded Content-Language: language tags between commas (RFC 3282)."""
    tags = (_COMMENT.sub(b"", tag).strip() for tag in value.split(b",", limits.PARAMS))
    return tuple(tag for tag in tags if _WORD.fullmatch(tag))


def decode_param(params: Params, name: str) -> str | None:
    """Return a parameter as text: RFC 2231 continuations and charsets, RFC 2047 words tolerated."""
    wanted = name.encode("ascii", "replace").lower()
    named = {key.lower(): value for key, value in reversed(params)}
    if wanted + b"*" in named:
        return _decode_extended(named[wanted + b"*"])
    if wanted + b"*0" in named or wanted + b"*0*" in named:
        return _decode_continued(named, wanted)
    return decode_words(named[wanted]) if wanted in named else None


def _decode_extended(value: bytes) -> str:
    """Decode `charset'language'percent-encoded` (RFC 2231 section 4)."""
    charset, quote, rest = value.partition(b"'")
    if not quote:
        return decode_charset(unquote_to_bytes(value), None)
    text = rest.partition(b"'")[2]
    return decode_charset(unquote_to_bytes(text), charset.decode("ascii", "replace"))


def _decode_continued(named: dict[bytes, bytes], name: bytes) -> str:
    """Join `name*0*`, `name*1`, ... (RFC 2231 section 3); a missing number ends the value."""
    charset = ""
    text: list[bytes] = []
    for number in range(limits.PARAMS):
        key = b"%b*%d" % (name, number)
        if key in named:
            text.append(named[key])
        elif key + b"*" in named:
            value = named[key + b"*"]
            if number == 0 and value.count(b"'") >= 2:
                declared, _, value = value.split(b"'", 2)
                charset = declared.decode("ascii", "replace")
            text.append(unquote_to_bytes(value))
        else:
            break
    return decode_charset(b"".join(text), charset)


def _parse_type(value: bytes) -> ContentType | None:
    word = _TYPE.match(_without_leading_comment(value))
    if not word:
        return None
    return ContentType(word[1].decode().lower(), word[2].decode().lower(), _parse_params(value))


# Most messages carry one of a few dozen values.
_cached_type = lru_cache(maxsize=1024)(_parse_type)


def _parse_params(value: bytes) -> Params:
    found = islice(_PARAM.finditer(value), limits.PARAMS)
    return tuple((param[1], _param_value(param[2], param[3])) for param in found)


def _param_value(quoted: bytes | None, plain: bytes | None) -> bytes:
    if quoted is not None:
        return _QUOTED_PAIR.sub(rb"\1", quoted) if b"\\" in quoted else quoted
    value = plain or b""
    return (_COMMENT.sub(b"", value) if b"(" in value else value).strip()


def _without_leading_comment(value: bytes) -> bytes:
    return _COMMENT.sub(b"", value, count=1).strip() if value.startswith(b"(") else value
