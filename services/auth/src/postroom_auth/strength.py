"""How hard a password is to guess, by zxcvbn, and what to do about one that is too easy."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from postroom_auth.domain.password import InvalidPassword

SCORES = 4
# More than these say nothing new, and what zxcvbn takes for them grows with their square.
CHARACTERS = 72


class Strength:
    """Refuses passwords that are easy to guess.

    Args:
        least: the score that a password must have, of 0 (whatever it is) to 4.
    """

    def __init__(self, least: int) -> None:
        self._least = least

    async def check(self, password: str, known: Sequence[str]) -> None:
        """Raise InvalidPassword where a password is too easy to guess.

        Args:
            known: what others know of the person: the address, the name.
        """
        if self._least:
            # In a thread: some take 20 ms, and the first one reads the lists of words.
            await asyncio.to_thread(self._check, password, known)

    def _check(self, password: str, known: Sequence[str]) -> None:
        from zxcvbn import zxcvbn  # its lists take 12 MB: not where nothing is checked

        words = [word for text in known for word in (text, *text.replace("@", " ").split())]
        found = zxcvbn(password[:CHARACTERS], user_inputs=words)
        score = int(found["score"])
        if score >= self._least:
            return
        feedback = found["feedback"]
        advice = " ".join(
            text.rstrip(".") + "."
            for text in (feedback["warning"], *feedback["suggestions"])
            if text
        )
        raise InvalidPassword(
            f"the password is too easy to guess (strength {score} of {SCORES}, {self._least} is"
            f" needed): {advice or 'Make it longer.'} Four words at random make a good one."
        )
