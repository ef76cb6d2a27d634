"""Text out of header bytes: charsets and RFC 2047 encoded words.

Nothing here raises: a charset that is unknown, misspelt or wrong gives readable text where the
bytes allow it, and U+FFFD where they do not. No text holds NUL or half a surrogate pair, which
databases refuse.
"""

import binascii
import re
from encodings import aliases
from functools import lru_cache
from typing import Final

# Codecs that are no charset of mail, slow on purpose-made input, or meant for source code.
_NOT_CHARSETS: Final = frozenset(
    "base64_codec bz2_codec hex_codec quopri_codec rot_13 uu_codec zlib_codec "
    "idna punycode mbcs oem undefined unicode_escape raw_unicode_escape".split()
)

# What senders mean, where it is not what they say: a superset that reads both (the WHATWG
# Encoding Standard maps alike), and names that Python does not know.
_MEANT: Final = {
    "ascii": "utf_8",  # 8-bit bytes in "us-ascii" are UTF-8 or Windows text by now
    "latin_1": "cp1252",
    "iso8859_1": "cp1252",
    "iso8859_9": "cp1254",
    "iso8859_11": "cp874",
    "tis_620": "cp874",
    "gb2312": "gb18030",
    "gbk": "gb18030",
    "x_gbk": "gb18030",
    "shift_jis": "cp932",
    "x_sjis": "cp932",
    "euc_kr": "cp949",
    "windows_949": "cp949",
    "iso_8859_8_i": "iso8859_8",
    "iso_8859_8_e": "iso8859_8",
    "iso_8859_6_i": "iso8859_6",
    "windows_874": "cp874",
    "utf8mb4": "utf_8",
    "unicode_1_1_utf_7": "utf_7",
    "unicode_1_1_utf_8": "utf_8",
    "x_mac_roman": "mac_roman",
}
_KNOWN: Final = (
    frozenset(aliases.aliases) | frozenset(aliases.aliases.values()) | {"koi8_u", "koi8_t", "cp874"}
) - _NOT_CHARSETS


@lru_cache(maxsize=256)
def find_codec(charset: str) -> str | None:
    """Return the name of the codec to read a charset with, or None for one that is unknown.

    The interpreter is asked only for codecs that it has: it keeps every name it was ever asked
    for, and would grow with each one that a stranger makes up.
    """
    name = re.sub(r"[^a-z0-9]+", "_", charset[:64].lower()).strip("_")
    for spelling in (name, name.removeprefix("x_"), name.replace("_", "")):
        module = aliases.aliases.get(spelling, spelling)
        codec = _MEANT.get(spelling) or _MEANT.get(module) or module
        if codec in _KNOWN:
            return codec
    return None


def decode_charset(data: bytes, charset: str | None) -> str:
    """Return bytes as text in a charset that is claimed, doubtful or absent (None)."""
    codec = find_codec(charset) if charset else None
    text = _guess(data) if codec in (None, "utf_8") else data.decode(codec, "replace")
    if codec == "utf_7":  # its decoder lets halves of surrogate pairs through
        text = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text.replace("\0", "")


def _guess(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        # Whole UTF-8 characters before the fault: UTF-8 that was damaged or cut.
        damaged = not data[: error.start].isascii()
    return data.decode("utf-8" if damaged else "cp1252", "replace")


# RFC 2047 section 2; RFC 2231 section 5 adds "*language". Blanks in the text are a common fault.
_WORD: Final = re.compile(rb"=\?([^?\s*]+)(?:\*[^?\s]*)?\?([bBqQ])\?([^?\r\n]*)\?=")


def decode_words(value: bytes) -> str:
    """Return the unfolded value of a field as text, encoded words decoded (RFC 2047 section 6)."""
    if b"=?" not in value:
        return decode_charset(value, None)
    text: list[str] = []
    run: list[bytes] = []  # of adjacent words in one charset: a character may be split over two
    charset = ""
    end = 0
    for word in _WORD.finditer(value):
        between, end = value[end : word.start()], word.end()
        name = word[1].decode("ascii", "replace").lower()
        adjacent = bool(run) and not between.strip(b" \t\r\n")
        if not adjacent or name != charset:
            text.append(decode_charset(b"".join(run), charset))
            run.clear()
        if not adjacent:
            text.append(decode_charset(between, None))
        charset = name
        run.append(_word_bytes(word[2], word[3]))
    text.append(decode_charset(b"".join(run), charset))
    text.append(decode_charset(value[end:], None))
    return "".join(text)


def _word_bytes(encoding: bytes, text: bytes) -> bytes:
    if encoding in b"qQ":
        return binascii.a2b_qp(text, header=True)
    return decode_base64(text)


NOT_BASE64: Final = bytes(
    set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=")
)


def decode_base64(text: bytes) -> bytes:
    """Return what base64 text stands for, up to the first padding.

    Foreign bytes are skipped (RFC 2045 section 6.8) and missing padding is forgiven.
    """
    letters = text.translate(None, NOT_BASE64).partition(b"=")[0]
    if len(letters) % 4 == 1:  # six bits over: no byte can be made of them
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))
