"""Servers that answer by chance: whatever they say, everybody's mail comes to one end."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest
from postroom_smtp.sending.ports import Outcome

from tests.harness.peer import KEYWORDS, Act, Answer, Peer
from tests.harness.post import MESSAGE, posting

TEMPORARY: tuple[Answer, ...] = (
    "421 4.3.2 bye",
    "450 4.2.0 later",
    "354 go on",
    "221 bye",
    "hello",
    b"\xff\r\n",
    Act.DROP,
)
PERMANENT: tuple[Answer, ...] = ("550 5.1.1 no", "554-no\n554 5.7.1 no", "599")
STEPS = ("", "EHLO", "MAIL", "RCPT", "DATA", ".")
ROUNDS = 60


class Moody(Peer):
    """Says what it usually says, but for some of the time.

    Attributes:
        chance: seeded.
        mood: how much of the time.
    """

    chance: random.Random
    mood: float = 0.25

    def answer(self, command: str) -> Answer:
        verb = next((step for step in STEPS if step and command.upper().startswith(step)), "")
        if (command and not verb) or self.chance.random() > self.mood:
            return super().answer(command)
        if verb in ("", "EHLO"):
            return self.chance.choice(TEMPORARY + PERMANENT)
        if verb == "DATA":
            return self.chance.choice(
                [one for one in TEMPORARY if one != "354 go on"] + [*PERMANENT]
            )
        if verb == "RCPT" and self.chance.random() < 0.2:
            return "251 will forward"
        return self.chance.choice(TEMPORARY + PERMANENT)


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("keywords", [KEYWORDS, ()], ids=["pipelined", "stepwise"])
async def test_everybody_comes_to_one_end(
    tmp_path: Path, seed: int, keywords: tuple[str, ...]
) -> None:
    chance = random.Random(seed)
    async with posting(tmp_path, reply_seconds=2, end_seconds=2) as post:
        peer = Moody(host="127.0.0.2", port=post.port, keywords=keywords)
        peer.chance = chance
        await post.stack.enter_async_context(peer.running())
        post.dns.add("there.example", "MX", "10 mx1.there.example.")
        post.dns.add("mx1.there.example", "A", peer.host)
        numbers = []
        for message in range(10):
            people = [
                f"m{message}r{number}@there.example" for number in range(chance.randint(1, 4))
            ]
            numbers += post.queue.add(people, MESSAGE)
        post.work(send_connections=2)
        entries = post.queue.entries
        for _ in range(ROUNDS):
            post.queue.hasten()
            await post.queue.until_quiet()
            if all(entries[number].done for number in numbers):
                break
            peer.mood *= 0.9
        taken = Counter(peer.recipients)
        for number in numbers:
            entry = entries[number]
            times = taken[entry.entry.recipient.address]
            assert entry.done
            if entry.outcome is Outcome.RELAYED:
                assert times == 1
            else:
                assert (entry.outcome, times) == (Outcome.FAILED, 0)
        failed = sum(entries[number].outcome is Outcome.FAILED for number in numbers)
        assert len(post.notices) == failed
