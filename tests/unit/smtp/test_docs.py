"""docs/smtp.md lists what is offered, each with the transcripts that show it at work."""

from __future__ import annotations

import re
from pathlib import Path

from postroom_smtp.protocol.keyword import Keyword

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/smtp.md").read_text()


def test_every_keyword_is_listed() -> None:
    rows = re.findall(r"^\| \[[^|]+ \| ([A-Z0-9, -]+) \|", PAGE, re.MULTILINE)
    listed = {name for row in rows for name in row.split(", ")} - {"LMTP"}
    assert listed == {keyword.value for keyword in Keyword}


def test_whatever_is_listed_is_shown_by_tests() -> None:
    shown = re.findall(r"`((?:test_|tests/)[a-z0-9_/]+\.py)`", PAGE)
    assert len(shown) > 30
    for file in shown:
        path = file if "/" in file else f"tests/protocol/smtp/{file}"
        assert (REPOSITORY / path).is_file(), file
