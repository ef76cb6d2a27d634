"""Makes the mail that the workloads move: the same bytes for the same seed and number.

Sizes are log-normal round a median of 4 KB with a tail to 2 MB (mean about 11 KB). Plain text,
multipart/alternative, attachments and forwarded messages are mixed; three of five messages answer
an earlier one. A message depends on its number alone, so that any of them can be made without the
ones before it.

The words are drawn from syllables without ``q``, ``x`` and ``z``; the rare words are made of those,
so a rare word is found in the messages that hold it and nowhere else.
"""

import base64
import datetime as dt
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import format_datetime
from functools import lru_cache

MEDIAN_SIZE = 4096
SPREAD = 1.45
LARGEST = 2 << 20
RARE_WORDS = tuple(
    f"zyx{syllable}qaz" for syllable in ("ba", "do", "fe", "gi", "ku", "lo", "mi", "nu")
)
_RARE_EVERY = 499
_RARE_STEP = 61
_FIRST_DATE = dt.datetime(2024, 1, 1, 8, tzinfo=dt.UTC)
_REPLY_SHARE = 0.6
_LATEST_PARENT = 300
_LINE = 72


@dataclass(frozen=True, slots=True)
class Message:
    """One message as it is stored: its bytes (CRLF line ends) and when it arrived."""

    content: bytes
    arrived: dt.datetime


class Corpus:
    """An endless, numbered set of messages.

    Args:
        seed: the same seed gives the same messages.
    """

    def __init__(self, seed: int = 1) -> None:
        self._seed = seed
        chance = random.Random(f"corpus {seed}")
        self._words = _vocabulary(chance)
        self._text = _running_text(chance, self._words)
        self._noise = chance.randbytes(LARGEST)
        self._people = [self._person(chance) for _ in range(700)]
        self._references = lru_cache(maxsize=4096)(self._trace)

    def message(self, number: int) -> Message:
        """Makes message `number` (from 0)."""
        chance = random.Random(f"message {self._seed} {number}")
        size = min(LARGEST, int(chance.lognormvariate(0, SPREAD) * MEDIAN_SIZE))
        headers = self._headers(chance, number)
        room = max(200, size - len(headers) - 120)
        body = self._kind(chance, size)(chance, room, self._opening(number))
        return Message(headers + body, self._arrival(number))

    def messages(self, count: int, start: int = 0) -> Iterator[Message]:
        """Makes `count` messages, from number `start`."""
        return (self.message(number) for number in range(start, start + count))

    def sized(self, number: int, size: int = MEDIAN_SIZE) -> bytes:
        """Makes a plain message of exactly `size` bytes (at least 600), another for each number."""
        chance = random.Random(f"sized {self._seed} {number}")
        sender, recipient = chance.sample(self._people, 2)
        head = (
            f"From: {sender}\r\nTo: {recipient}\r\nSubject: {self._subject(chance)}\r\n"
            f"Date: {format_datetime(self._arrival(number % 100_000))}\r\n"
            f"Message-ID: <sized.{number}@load.example>\r\n\r\n"
        ).encode()
        body = self._prose(chance, max(2, size - len(head) - 2))
        return head + body + b"\r\n"

    def rare_hits(self, word: str, count: int) -> int:
        """Says in how many of the first `count` messages the rare `word` stands."""
        first = RARE_WORDS.index(word) * _RARE_STEP
        return len(range(first, count, _RARE_EVERY))

    def _opening(self, number: int) -> bytes:
        place, rest = divmod(number % _RARE_EVERY, _RARE_STEP)
        if rest == 0 and place < len(RARE_WORDS):
            return f"We said {RARE_WORDS[place]} then.\r\n".encode()
        return b""

    def _person(self, chance: random.Random) -> str:
        first, last, host = (chance.choice(self._words) for _ in range(3))
        return f'"{first.title()} {last.title()}" <{first}.{last}@{host}.example>'

    def _subject(self, chance: random.Random) -> str:
        words = " ".join(chance.choices(self._words, k=chance.randint(2, 8)))
        if chance.random() < 0.08:
            encoded = base64.b64encode(f"Grüße: {words[:24]}".encode()).decode()
            return f"=?utf-8?B?{encoded}?="
        return words.capitalize()

    def _arrival(self, number: int) -> dt.datetime:
        return _FIRST_DATE + dt.timedelta(minutes=7 * number, seconds=number * 37 % 60)

    def _parent(self, number: int) -> int | None:
        chance = random.Random(number * 2_654_435_761 + self._seed)
        if number == 0 or chance.random() > _REPLY_SHARE:
            return None
        return number - chance.randint(1, min(number, _LATEST_PARENT))

    def _trace(self, number: int) -> tuple[int, ...]:
        parent = self._parent(number)
        return () if parent is None else (*self._references(parent), parent)

    def _message_id(self, number: int) -> str:
        return f"<{number * 7919 + 104_729:x}.{self._seed}@mail{number % 41}.example>"

    def _headers(self, chance: random.Random, number: int) -> bytes:
        ancestors = self._references(number)
        root = random.Random(f"subject {self._seed} {ancestors[0] if ancestors else number}")
        subject = self._subject(root)
        sender, *recipients = chance.sample(self._people, chance.randint(2, 6))
        date = format_datetime(self._arrival(number))
        host = f"mail{number % 41}.example"
        lines = [
            f"Return-Path: <bounce-{number}@{host}>",
            *(
                f"Received: from mx{hop}.{chance.choice(self._words)}.example ([192.0.2.{hop + 1}])"
                f"\r\n\tby {host} with ESMTPS id {chance.getrandbits(48):012x};\r\n\t{date}"
                for hop in range(chance.randint(1, 4))
            ),
            "DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=mail.example; s=s1;\r\n\tb="
            + base64.b64encode(chance.randbytes(128)).decode(),
            f"From: {sender}",
            f"To: {recipients[0]}",
            f"Subject: {'Re: ' if ancestors else ''}{subject}",
            f"Date: {date}",
            f"Message-ID: {self._message_id(number)}",
        ]
        if recipients[1:]:
            lines.append("Cc: " + ",\r\n\t".join(recipients[1:]))
        if ancestors:
            known = [self._message_id(ancestor) for ancestor in ancestors]
            lines += [f"In-Reply-To: {known[-1]}", "References: " + "\r\n\t".join(known)]
        if number % 5 == 0:
            lines.append(f"List-Id: <{self._words[number % 90]}.lists.example>")
        return "\r\n".join([*lines, "MIME-Version: 1.0", ""]).encode()

    def _kind(
        self, chance: random.Random, size: int
    ) -> Callable[[random.Random, int, bytes], bytes]:
        if size > 48 << 10:
            return self._with_attachment
        drawn = chance.random()
        if drawn < 0.55:
            return self._plain
        if drawn < 0.85:
            return self._alternative
        return self._with_attachment if drawn < 0.98 else self._forwarded

    def _prose(self, chance: random.Random, size: int) -> bytes:
        start = chance.randrange(len(self._text) // 2) // (_LINE + 2) * (_LINE + 2)
        whole = self._text[start : start + size]
        while len(whole) < size:
            whole += self._text[: size - len(whole)]
        return whole[:-2].rstrip(b"\r\n").ljust(size - 2, b"n") + b"\r\n"

    def _plain(self, chance: random.Random, room: int, opening: bytes) -> bytes:
        return (
            b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
            + opening
            + self._prose(chance, room)
        )

    def _alternative(self, chance: random.Random, room: int, opening: bytes) -> bytes:
        boundary = f"b_{chance.getrandbits(64):016x}"
        text = self._prose(chance, max(80, room // 3))
        rich = self._prose(chance, max(80, room // 2)).replace(b".\r\n", b".</p>\r\n<p>")
        return (
            f'Content-Type: multipart/alternative; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
            "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
        ).encode() + b"".join(
            (
                opening,
                text,
                f"\r\n--{boundary}\r\nContent-Type: text/html; charset=utf-8\r\n"
                "Content-Transfer-Encoding: quoted-printable\r\n\r\n<html><body><p>".encode(),
                rich,
                f"</p></body></html>\r\n\r\n--{boundary}--\r\n".encode(),
            )
        )

    def _with_attachment(self, chance: random.Random, room: int, opening: bytes) -> bytes:
        boundary = f"m_{chance.getrandbits(64):016x}"
        text = self._prose(chance, max(80, min(room // 3, 3000)))
        start = chance.randrange(len(self._noise) // 4)
        data = self._noise[start : start + max(100, (room - len(text)) * 3 // 4)]
        name = f"{chance.choice(self._words)}.{chance.choice(('pdf', 'png', 'docx', 'zip'))}"
        return b"".join(
            (
                f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
                "Content-Type: text/plain; charset=utf-8\r\n\r\n".encode(),
                opening,
                text,
                f'\r\n--{boundary}\r\nContent-Type: application/octet-stream; name="{name}"\r\n'
                "Content-Transfer-Encoding: base64\r\n"
                f'Content-Disposition: attachment; filename="{name}"\r\n\r\n'.encode(),
                base64.encodebytes(data).replace(b"\n", b"\r\n"),
                f"--{boundary}--\r\n".encode(),
            )
        )

    def _forwarded(self, chance: random.Random, room: int, opening: bytes) -> bytes:
        boundary = f"f_{chance.getrandbits(64):016x}"
        return b"".join(
            (
                f'Content-Type: multipart/mixed; boundary="{boundary}"\r\n\r\n--{boundary}\r\n'
                "Content-Type: text/plain; charset=utf-8\r\n\r\n".encode(),
                opening,
                f"See below.\r\n--{boundary}\r\nContent-Type: message/rfc822\r\n\r\n".encode(),
                self.sized(chance.getrandbits(16), max(600, room - 200)),
                f"\r\n--{boundary}--\r\n".encode(),
            )
        )


def _vocabulary(chance: random.Random) -> list[str]:
    syllables = [consonant + vowel for consonant in "bdfghklmnprstvw" for vowel in "aeiou"]
    return ["".join(chance.choices(syllables, k=chance.randint(1, 4))) for _ in range(4000)]


def _running_text(chance: random.Random, words: list[str]) -> bytes:
    """Fills lines of exactly 72 characters, so that a slice at a line's start is proper text."""
    lines: list[str] = []
    for _ in range(14_000):
        line = " ".join(chance.choices(words, k=16))[: _LINE - 1].ljust(_LINE - 1, "n") + "."
        lines.append(line)
    return ("\r\n".join(lines) + "\r\n").encode()
