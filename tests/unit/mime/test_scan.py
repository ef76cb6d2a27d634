import email
import email.message
import email.policy
import mmap
import tempfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from postroom_mime import Message, Part, decoded, limits, scan

from tests.harness.corpus import bare_line_breaks, corpus, with_nul
from tests.unit.mime.examples import RFC_2046_MULTIPART, RFC_3501_TREE, crlf
from tests.unit.mime.strategies import MESSAGES, SCRAPS

ODD = corpus() | bare_line_breaks() | with_nul()


def body(raw: bytes, part: Part) -> bytes:
    return raw[part.body_start : part.body_end]


def header(raw: bytes, part: Part) -> bytes:
    return raw[part.header_start : part.body_start]


def check_ranges(raw: bytes, message: Message) -> None:
    """Every part lies in its outer part, behind its predecessor."""
    assert message.size == len(raw)
    assert (message.root.header_start, message.root.body_end) == (0, len(raw))
    for part in message.walk():
        assert part.header_start <= part.body_start <= part.body_end
        position = part.body_start
        for child in part.children:
            assert position <= child.header_start
            position = child.body_end
        assert position <= part.body_end


def test_rfc_2046_multipart() -> None:
    message = scan(RFC_2046_MULTIPART)
    first, second = message.root.children
    assert message.root.content_type == "multipart/mixed"
    assert body(RFC_2046_MULTIPART, first) == (
        b"This is implicitly typed plain US-ASCII text.\r\nIt does NOT end with a linebreak."
    )
    assert (first.lines, second.lines) == (1, 2)
    assert body(RFC_2046_MULTIPART, second).endswith(b"It DOES end with a linebreak.\r\n")
    assert second.params == ((b"charset", b"us-ascii"),)


def test_fields_of_a_part() -> None:
    raw = crlf(
        "Content-Type: TEXT/Plain; Charset=UTF-8; name*=utf-8''a%20b\n"
        "Content-Transfer-Encoding: Quoted-Printable\nContent-ID: <1@x>\n"
        "Content-Description: a\n b\nContent-MD5: abc=\n"
        'Content-Disposition: Attachment; filename="c.txt"\n'
        "Content-Language: en, de-AT\nContent-Location: http://x/\n\nline\nline"
    )
    assert scan(raw).root == Part(
        header_start=0,
        body_start=len(raw) - 10,
        body_end=len(raw),
        type="text",
        subtype="plain",
        params=((b"Charset", b"UTF-8"), (b"name*", b"utf-8''a%20b")),
        id=b"<1@x>",
        description=b"a b",
        encoding="quoted-printable",
        lines=1,
        md5=b"abc=",
        disposition=("attachment", ((b"filename", b"c.txt"),)),
        language=(b"en", b"de-AT"),
        location=b"http://x/",
    )


def test_nested_message_has_one_child_and_counts_lines() -> None:
    raw = crlf("Content-Type: message/rfc822\n\nSubject: in\n\none\ntwo\n")
    root = scan(raw).root
    (inner,) = root.children
    assert root.is_message
    assert root.lines == 4
    assert header(raw, inner) == b"Subject: in\r\n\r\n"
    assert (inner.content_type, inner.lines) == ("text/plain", 2)


def test_walk_is_in_the_order_of_the_message() -> None:
    types = [part.content_type for part in scan(RFC_3501_TREE).walk()]
    assert types[:5] == [
        "multipart/mixed",
        "text/plain",
        "application/octet-stream",
        "message/rfc822",
        "multipart/mixed",
    ]
    starts = [part.header_start for part in scan(RFC_3501_TREE).walk()]
    assert starts == sorted(starts)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("--b\n\nx\n--b--\n", [b"x"]),
        ("--b\n\nx\n--b", [b"x", b""]),
        ("--b\n\nx", [b"x"]),
        ("--b \t\n\nx\n--b-- \t\n--b\n\ny\n--b--\n", [b"x"]),
        ("--b\n\n--b\n--b\n\n\n--b--", [b"", b"", b""]),
        (
            "pre\n--b\n\nx--b\n --b\n--bb\n--b-\n--B\n--b--",
            [b"x--b\r\n --b\r\n--bb\r\n--b-\r\n--B"],
        ),
        ("--b\nX: y\n--b--", [b""]),
        ("--b\n\n\n\n--b--", [b"\r\n"]),
        ("--b--\n--b\n\nx\n--b--", []),
        ("no delimiter", []),
        ("", []),
    ],
)
def test_delimiters(text: str, parts: list[bytes]) -> None:
    raw = crlf("Content-Type: multipart/mixed; boundary=b\n\n" + text)
    message = scan(raw)
    check_ranges(raw, message)
    assert [body(raw, part) for part in message.root.children] == parts


def test_an_empty_part_keeps_the_empty_line_of_its_header() -> None:
    raw = crlf("Content-Type: multipart/mixed; boundary=b\n\n--b\nX: y\n\n--b--\n")
    (part,) = scan(raw).root.children
    assert header(raw, part) == b"X: y\r\n\r\n"
    assert part.size == 0


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ('boundary="a b"', "a b"),
        ('boundary="ab "', "ab"),
        ('charset=x; BOUNDARY="a\\b"', "ab"),
        ("boundary*0*=us-ascii''%61; boundary*1=b", "ab"),
    ],
)
def test_boundary_forms(params: str, name: str) -> None:
    raw = crlf(f"Content-Type: multipart/mixed; {params}\n\n--{name}\n\nx\n--{name}--\n")
    assert [body(raw, part) for part in scan(raw).root.children] == [b"x"]


@pytest.mark.parametrize(
    "content",
    [
        "multipart/mixed",
        "multipart/mixed; boundary=",
        'multipart/mixed; boundary=""',
        "multipart/mixed; boundary=" + "x" * (limits.BOUNDARY_BYTES + 1),
        "message/rfc822\nContent-Transfer-Encoding: base64",
    ],
)
def test_opaque_leaves(content: str) -> None:
    message = scan(crlf(f"Content-Type: {content}\n\n--\n\nSubject: x\n\n--{'x' * 1001}\n"))
    assert message.root.children == ()
    assert not message.root.is_multipart
    assert not message.root.is_message


@pytest.mark.parametrize(
    ("content", "found"),
    [
        ("text", "text/plain"),
        ("/plain", "text/plain"),
        ("(a comment) text/html", "text/html"),
        ("text / html ; charset=x", "text/html"),
        ("text/html charset=x", "text/html"),
        ("téxt/html", "text/plain"),
    ],
)
def test_content_types_gone_wrong(content: str, found: str) -> None:
    assert scan(crlf(f"Content-Type: {content}\n\nx")).root.content_type == found


@pytest.mark.parametrize("kind", [bytes, memoryview, bytearray])
def test_buffers_are_messages(kind: type) -> None:
    assert scan(kind(RFC_2046_MULTIPART)) == scan(RFC_2046_MULTIPART)


def test_a_mapped_file_is_a_message() -> None:
    with tempfile.TemporaryFile() as file:
        file.write(RFC_2046_MULTIPART)
        file.flush()
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
            assert scan(mapped) == scan(RFC_2046_MULTIPART)


def nested(depth: int) -> bytes:
    text = "\ninnermost"
    for level in range(depth):
        mark = f"level-{level}-"
        text = f"Content-Type: multipart/mixed; boundary={mark}\n\n--{mark}\n{text}\n--{mark}--\n"
    return crlf(text)


def depth_of(part: Part) -> int:
    return 1 + max(map(depth_of, part.children), default=0)


def test_depth_is_bounded() -> None:
    assert depth_of(scan(nested(limits.DEPTH - 1)).root) == limits.DEPTH
    assert not scan(nested(limits.DEPTH - 1)).truncated
    deeper = scan(nested(limits.DEPTH + 50))
    assert depth_of(deeper.root) == limits.DEPTH + 1
    assert deeper.truncated
    messages = scan(b"Content-Type: message/rfc822\r\n\r\n" * 10_000)
    assert depth_of(messages.root) == limits.DEPTH + 1
    assert messages.truncated


def test_number_of_parts_is_bounded() -> None:
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n\nx\n" * (limits.PARTS + 10)
    message = scan(raw)
    assert len(message.root.children) <= limits.PARTS
    assert message.truncated


def test_headers_of_parts_are_bounded() -> None:
    part = b"--b\n\nContent-Type: message/rfc822\nSubject: " + b"x" * 100_000 + b"\n\n"
    count = limits.PART_HEADERS_BYTES // 100_000
    opening = b"Content-Type: multipart/digest; boundary=b\n\n"
    assert not scan(opening + part * (count - 1)).truncated
    message = scan(opening + part * (count + 10))
    assert message.truncated
    assert message.root.children[-1].children == ()
    check_ranges(opening + part * (count + 10), message)


def test_false_delimiters_are_bounded() -> None:
    false = b"--bb\n" * (limits.FALSE_DELIMITERS + 1)
    raw = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\n" + false + b"--b\n\nx\n--b--\n"
    message = scan(raw)
    check_ranges(raw, message)
    assert len(message.root.children) == 1
    assert message.truncated


class CountedBytes(bytes):
    """Bytes that add up how many of themselves were searched or counted."""

    touched = 0

    def find(self, needle: bytes, start: int, end: int) -> int:  # type: ignore[override]
        found = super().find(needle, start, end)
        self.touched += (end if found < 0 else found) - start
        return found

    def count(self, needle: bytes, start: int, end: int) -> int:  # type: ignore[override]
        self.touched += end - start
        return super().count(needle, start, end)


def hostile(kind: str, size: int) -> bytes:
    opening = b"Content-Type: multipart/mixed; boundary=b\n\n"
    match kind:
        case "unclosed at every level":
            levels = (
                b"Content-Type: multipart/mixed; boundary=%d\n\n--%d\n" % (n, n) for n in range(99)
            )
            return b"".join(levels) + b"\n" + b"filler " * (size // 7)
        case "messages in messages":
            return b"Content-Type: message/rfc822\n\n" * 99 + b"\n" + b"\n" * size
        case "near delimiters":
            return opening + b"\n--" * (size // 3)
        case "false delimiters":
            return opening + b"--b\n\n" + b"--bx\n" * (size // 5)
        case "headers only":
            return opening + b"--b\nX: y\n" * (size // 9)
    raise ValueError(kind)


KINDS = [
    "unclosed at every level",
    "messages in messages",
    "near delimiters",
    "false delimiters",
    "headers only",
]


@pytest.mark.parametrize("kind", KINDS)
def test_work_grows_with_the_message_and_no_faster(kind: str) -> None:
    size = limits.WORK_FLOOR
    once, four = CountedBytes(hostile(kind, size)), CountedBytes(hostile(kind, 4 * size))
    scan(once)
    scan(four)
    assert once.touched <= (limits.SEARCHES_OF_MESSAGE + 2) * len(once)
    assert four.touched <= 5 * max(once.touched, size)


@pytest.mark.parametrize("name", ODD)
def test_the_odd_messages(name: str) -> None:
    check_ranges(ODD[name], scan(ODD[name]))


@settings(max_examples=500)
@given(st.binary(max_size=300) | SCRAPS)
def test_any_bytes_are_a_message(raw: bytes) -> None:
    check_ranges(raw, scan(raw))


def compare(raw: bytes, part: Part, other: email.message.Message) -> None:
    assert part.content_type == other.get_content_type()
    assert part.param("charset") == other.get_param("charset")
    if part.is_multipart or part.is_message:
        children = other.get_payload()
        assert isinstance(children, list)
        assert len(part.children) == len(children)
        for child, other_child in zip(part.children, children, strict=True):
            assert isinstance(other_child, email.message.Message)
            compare(raw, child, other_child)
    else:
        assert part.filename == other.get_filename()
        payload = other.get_payload(decode=True)
        assert decoded(raw, part) == payload


@given(MESSAGES)
def test_agrees_with_the_stdlib(raw: bytes) -> None:
    message = scan(raw)
    check_ranges(raw, message)
    compare(raw, message.root, email.message_from_bytes(raw, policy=email.policy.compat32))
