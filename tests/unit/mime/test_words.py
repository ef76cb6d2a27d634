from email.header import Header, decode_header, make_header

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom_mime import decode_words
from postroom_mime.words import decode_base64, decode_charset, find_codec


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (b"", ""),
        (b"plain", "plain"),
        # RFC 2047 section 8
        (b"=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>", "Keith Moore <moore@cs.utk.edu>"),
        (b"=?ISO-8859-1?Q?Andr=E9?= Pirard", "André Pirard"),
        (
            b"=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?= "
            b"=?ISO-8859-2?B?dSB1bmRlcnN0YW5kIHRoZSBleGFtcGxlLg==?=",
            "If you can read this you understand the example.",
        ),
        (b"=?ISO-8859-1?Q?a?=", "a"),
        (b"=?ISO-8859-1?Q?a?= b", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a?=  =?ISO-8859-1?Q?b?=", "ab"),
        (b"=?ISO-8859-1?Q?a_b?=", "a b"),
        (b"=?ISO-8859-1?Q?a?= =?ISO-8859-2?Q?_b?=", "a b"),
        # RFC 2231 section 5
        (b"=?US-ASCII*EN?Q?Keith_Moore?=", "Keith Moore"),
        # a character split between words
        (b"=?utf-8?Q?=C3?= =?utf-8?Q?=A4?=", "ä"),
        (b"=?utf-8?B?w?= =?UTF-8?b?w6Q?=", "ä"),
        # faults
        (b"=?utf-8?Q?open", "=?utf-8?Q?open"),
        (b"=?utf-8?X?x?=", "=?utf-8?X?x?="),
        (b"=?utf-8?Q?a b?=", "a b"),
        (b"=?utf-8?Q?a?=b=?utf-8?Q?c?=", "abc"),
        (b"=?nonsense?Q?=E4?=", "ä"),
        (b"=?utf-8?Q?=ZZ?=", "=ZZ"),
        (b"=??Q?a?=", "=??Q?a?="),
        ("ä".encode(), "ä"),
        (b"\xe4", "ä"),
        ("ää".encode() + b"\xff", "ää\ufffd"),
        (b"a\0b", "ab"),
        (b"=?utf-8?Q?a=00b?=", "ab"),
    ],
)
def test_decode_words(value: bytes, text: str) -> None:
    assert decode_words(value) == text


@pytest.mark.parametrize(
    ("charset", "codec"),
    [
        ("UTF-8", "utf_8"),
        ("utf8", "utf_8"),
        ("us-ascii", "utf_8"),
        ("ISO_8859-1:1987", "cp1252"),
        ("latin1", "cp1252"),
        ("iso-8859-15", "iso8859_15"),
        ("Windows-1251", "cp1251"),
        ("cp-1251", "cp1251"),
        ("KOI8-R", "koi8_r"),
        ("koi8-u", "koi8_u"),
        ("gb2312", "gb18030"),
        ("GBK", "gb18030"),
        ("big5", "big5"),
        ("ks_c_5601-1987", "cp949"),
        ("shift_jis", "cp932"),
        ("x-sjis", "cp932"),
        ("iso-2022-jp", "iso2022_jp"),
        ("tis-620", "cp874"),
        ("iso-8859-8-i", "iso8859_8"),
        ("x-mac-cyrillic", "mac_cyrillic"),
        ("", None),
        ("unknown-8bit", None),
        ("x" * 1000, None),
        # codecs of Python that are no charsets
        ("base64", None),
        ("rot13", None),
        ("zlib", None),
        ("idna", None),
        ("punycode", None),
        ("unicode_escape", None),
        ("undefined", None),
        ("__init__", None),
    ],
)
def test_find_codec(charset: str, codec: str | None) -> None:
    assert find_codec(charset) == codec


def test_halves_of_surrogate_pairs_are_replaced() -> None:
    decode_charset(b"+2AA-", "utf-7").encode()


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (b"", b""),
        (b"SGVsbG8=", b"Hello"),
        (b"SGVs\r\nbG8", b"Hello"),
        (b"S!G-V\xffs bG8=\r\ntrailer", b"Hello"),
        (b"SGVsbG8h==", b"Hello!"),
        (b"SGVsb", b"Hel"),
        (b"=", b""),
    ],
)
def test_base64_gone_wrong(text: bytes, data: bytes) -> None:
    assert decode_base64(text) == data


TEXTS = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), max_size=60)


@given(TEXTS.map(lambda text: " ".join(text.split())), st.sampled_from(["utf-8", "utf-16"]))
def test_agrees_with_the_stdlib(text: str, charset: str) -> None:
    encoded = Header(text, charset).encode(linesep="")
    assert decode_words(encoded.encode()) == str(make_header(decode_header(encoded)))


@given(st.binary(max_size=60), st.sampled_from(["utf-7", "utf-16", "hz", "big5", "iso-2022-kr"]))
def test_any_bytes_are_text_that_can_be_stored(data: bytes, charset: str) -> None:
    for text in (decode_charset(data, charset), decode_charset(data, None), decode_words(data)):
        assert "\0" not in text
        text.encode()
