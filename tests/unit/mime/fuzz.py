"""A fuzzer: mutates the odd messages and checks what must hold for any bytes.

    python -m tests.unit.mime.fuzz [count [seed]]

Deterministic: the same count and seed make the same messages. A failure prints the message.
"""

import sys
from collections.abc import Callable, Iterator
from random import Random

from postroom_mime import (
    decode_structure,
    decoded,
    derive,
    header_fields,
    scan,
    search_text,
    section,
)

from tests.harness.corpus import bare_line_breaks, corpus, with_nul

# Large ones are slow to mutate and show nothing that small ones do not.
_MOST_BYTES = 4_000

_TOKENS = [
    *(bytes([byte]) for byte in b"\0\t\n\r \"'()*,-.:;<=>?@[\\]_\x7f\x80\xff"),
    b"\r\n",
    b"\r\n\r\n",
    b"\r\n--b\r\n",
    b"\r\n--b--",
    b"Content-Type: multipart/mixed; boundary=b\r\n",
    b"Content-Type: message/rfc822\r\n\r\n",
    b"Content-Transfer-Encoding: base64\r\n",
    b"Content-Transfer-Encoding: quoted-printable\r\n",
    b"=?utf-8?Q?",
    b"?=",
    b"charset=utf-7",
    b"charset=utf-16",
    b"filename*0*=",
    b"<!--",
    b"<style>",
    b"&#xD800;",
    b"[fwd:",
    b"re:",
]


def _flip(message: bytearray, random: Random, _: bytes) -> None:
    if message:
        message[random.randrange(len(message))] = random.randrange(256)


def _insert(message: bytearray, random: Random, _: bytes) -> None:
    position = random.randint(0, len(message))
    message[position:position] = random.choice(_TOKENS) * random.choice((1, 1, 1, 20))


def _cut(message: bytearray, random: Random, _: bytes) -> None:
    start = random.randint(0, len(message))
    del message[start : start + random.choice((1, 2, 10, 200))]


def _repeat(message: bytearray, random: Random, _: bytes) -> None:
    start = random.randint(0, len(message))
    piece = message[start : start + random.choice((1, 5, 40))]
    message[start:start] = piece * random.randint(1, 30)


def _splice(message: bytearray, random: Random, other: bytes) -> None:
    start, position = random.randint(0, len(other)), random.randint(0, len(message))
    message[position:position] = other[start : start + random.choice((10, 100, 1_000))]


_MUTATIONS: list[Callable[[bytearray, Random, bytes], None]] = [
    _flip,
    _insert,
    _insert,
    _cut,
    _repeat,
    _splice,
]


def mutants(count: int, seed: int) -> Iterator[bytes]:
    """Yield so many mutated messages."""
    random = Random(seed)
    everything = (corpus() | bare_line_breaks() | with_nul()).values()
    seeds = [message for message in everything if len(message) <= _MOST_BYTES]
    for _ in range(count):
        message = bytearray(random.choice(seeds))
        for _ in range(random.randint(1, 8)):
            random.choice(_MUTATIONS)(message, random, random.choice(seeds))
        yield bytes(message)


def check(raw: bytes) -> None:
    """Assert what holds for any bytes."""
    message = scan(raw)
    derived = derive(raw)
    text = search_text(raw, message)
    assert decode_structure(derived.structure) == message
    for rendered in (derived.envelope, derived.body, derived.bodystructure):
        assert b"\0" not in rendered
        assert rendered.startswith(b"(")
        assert rendered.endswith(b")")
    for field in (derived.base_subject, derived.preview, derived.from_, text.headers, text.body):
        assert "\0" not in field
        field.encode()
    for part in message.walk():
        assert 0 <= part.header_start <= part.body_start <= part.body_end <= len(raw)
        decoded(raw, part)
    for spec in ("HEADER", "TEXT", "1", "1.MIME", "1.1", "2.HEADER", "1.1.1"):
        start, end = section(message, spec) or (0, 0)
        assert 0 <= start <= end <= len(raw)
    assert header_fields(derived.header, ["subject", "to"]).endswith(b"\r\n")


def fuzz(count: int, seed: int) -> None:
    """Check so many mutants; raise AssertionError with the first message that fails."""
    for raw in mutants(count, seed):
        try:
            check(raw)
        except Exception as error:
            raise AssertionError(f"{error!r} for {raw!r}") from error


if __name__ == "__main__":
    fuzz(*map(int, (sys.argv[1:] + ["10000", "1"][len(sys.argv) - 1 :])[:2]))
