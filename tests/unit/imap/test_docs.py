"""docs/imap.md lists what is advertised, each with the transcripts that show it at work."""

from __future__ import annotations

import re
from pathlib import Path

from postroom_imap.bounds import Bounds
from postroom_imap.capabilities import after_login, before_login

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/imap.md").read_text()
ROWS = re.findall(
    r"^\| \[[^]]+\]\([^)]+\) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", PAGE, re.MULTILINE
)
# What is told with a number behind it, or by another name before somebody has signed in.
_STARTS = ("APPENDLIMIT=", "MESSAGELIMIT=", "SAVELIMIT=")


def advertised() -> set[str]:
    """Every capability there is, without the mechanisms of SASL."""
    before = before_login(tls_offered=True, may_login=False, mechanisms=())
    names = {*before, *after_login(Bounds())} - {"LOGINDISABLED"}
    return {name.partition("=")[0] if name.startswith(_STARTS) else name for name in names}


def listed() -> set[str]:
    return {
        name.strip()
        for names, _, _ in ROWS
        for name in names.split(",")
        if not name.strip().startswith("(")
    }


def test_the_page_lists_what_is_advertised() -> None:
    assert advertised() - listed() == {"STARTTLS"}  # which is part of the protocol itself
    assert listed() - advertised() == set()


def test_whatever_is_listed_is_shown_by_tests() -> None:
    assert len(ROWS) > 50
    for names, _, shown in ROWS:
        for file in re.findall(r"`([^`]+)`", shown):
            path = file if "/" in file else f"tests/protocol/imap/{file}"
            assert (REPOSITORY / path).is_file(), f"{names}: {file}"
