"""Taking text out of messages by a process that may die or hang."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from multiprocessing import Pipe
from pathlib import Path

import pytest
from postroom_mime import search_text
from postroom_store.search.extraction import COMMAND, Extraction, ExtractionError

DEADLY = (sys.executable, str(Path(__file__).with_name("deadly_extraction.py")))
HELLO = b"Subject: hello\r\n\r\nHow are you?\r\n"
DEATH = b"Subject: death\r\n\r\nan apple_pie\r\n"
HANG = b"Subject: hang\r\n\r\na tale without end\r\n"


@pytest.fixture
def extraction(request: pytest.FixtureRequest) -> Iterator[Extraction]:
    command, seconds = getattr(request, "param", (COMMAND, 30.0))
    made = Extraction(command, seconds)
    yield made
    made.close()


def test_texts_come_in_order(extraction: Extraction) -> None:
    assert extraction.run([HELLO, DEATH]) == [search_text(HELLO), search_text(DEATH)]
    assert extraction.run([HELLO]) == [search_text(HELLO)]


def test_more_than_a_pipe_holds(extraction: Extraction) -> None:
    large = HELLO + b"0123456789\r\n" * 80_000
    assert extraction.run([large]) == [search_text(large)]


@pytest.mark.parametrize("extraction", [(DEADLY, 30.0)], indirect=True)
def test_after_a_death_another_process_goes_on(extraction: Extraction) -> None:
    with pytest.raises(ExtractionError):
        extraction.run([HELLO, DEATH])
    assert extraction.run([HELLO]) == [search_text(HELLO)]


@pytest.mark.parametrize("extraction", [(DEADLY, 3.0)], indirect=True)
def test_what_hangs_is_ended(extraction: Extraction) -> None:
    with pytest.raises(ExtractionError):
        extraction.run([HANG])
    assert extraction.run([HELLO]) == [search_text(HELLO)]


@pytest.mark.parametrize("extraction", [(("false",), 30.0)], indirect=True)
def test_what_does_not_start_is_no_messages_fault(extraction: Extraction) -> None:
    with pytest.raises(OSError, match="start"):
        extraction.run([HELLO])


def test_it_ends_with_its_parent() -> None:
    ours, theirs = Pipe()
    with theirs:
        process = subprocess.Popen([*COMMAND, str(theirs.fileno())], pass_fds=[theirs.fileno()])
    ours.send([])
    assert ours.recv() == []
    ours.close()
    assert process.wait(timeout=30) == 0
