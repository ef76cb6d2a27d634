"""`make run`: what it tells, what it keeps, how it ends."""

from __future__ import annotations

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import psutil
import pytest

from tests.harness.clients import run_client
from tests.harness.ports import free_base
from tests.harness.wire import Wire

REPOSITORY = Path(__file__).resolve().parents[2]
HOST = "127.0.0.1"
SECONDS = 120.0
STARTER = (sys.executable, "-m", "deploy.local.run")

Starter = subprocess.Popen[str]


@contextmanager
def started(state: Path, *options: str) -> Iterator[Starter]:
    """The starter on free ports; ended by Ctrl-C, within the time that a drain may take."""
    starter = subprocess.Popen(
        [*STARTER, "--state", state, "--ports", "free", *options],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    overdue = threading.Timer(SECONDS, starter.kill)
    overdue.start()
    with starter:
        family: list[psutil.Process] = []
        try:
            yield starter
            family = psutil.Process(starter.pid).children(recursive=True)
        finally:
            overdue.cancel()
            starter.send_signal(signal.SIGINT)
            status = starter.wait(SECONDS)
        assert status == 0
        assert [process for process in family if lives(process)] == []


def lives(process: psutil.Process) -> bool:
    """Whether it runs; one that has ended and that nobody has waited for does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def line_of(stream: IO[str] | None, wanted: Callable[[str], bool]) -> str:
    """The first line that is wanted; a starter that is overdue is killed, which ends the wait."""
    assert stream is not None
    for line in stream:
        if wanted(line):
            return line
    raise AssertionError("the stream has ended")


def ready(starter: Starter) -> dict[str, Any]:
    return dict(json.loads(line_of(starter.stdout, lambda line: line.startswith("{"))))


def inbox_size(told: dict[str, Any], who: int) -> int:
    account = told["accounts"][who]
    with Wire(HOST, told["ports"]["pop3"]) as wire:
        assert wire.line().startswith(b"+OK")
        credentials = f"USER {account['address']}\r\nPASS {account['password']}\r\nSTAT\r\n"
        wire.send(credentials.encode())
        wire.line()
        assert wire.line().startswith(b"+OK")
        return int(wire.line().split()[1])


def send(told: dict[str, Any], to: str) -> None:
    with Wire(HOST, told["ports"]["smtp"]) as wire:
        wire.reply()
        assert wire.say(b"HELO client.example.org").startswith(b"250")
        assert wire.say(b"MAIL FROM:<me@example.org>").startswith(b"250")
        assert wire.say(f"RCPT TO:<{to}>".encode()).startswith(b"250")
        assert wire.say(b"DATA").startswith(b"354")
        assert wire.say(b"Subject: kept\r\n\r\nHello.\r\n.").startswith(b"250")


def test_the_mail_is_kept_and_the_dead_are_raised(tmp_path: Path) -> None:
    with started(tmp_path, "--json") as starter:
        first = ready(starter)
        assert [one["address"] for one in first["accounts"]] == [
            "ann@example.test",
            "bob@example.test",
        ]
        send(first, "ann@example.test")

        psutil.Process(first["pids"]["pop3"]).kill()
        told = line_of(starter.stderr, lambda line: line.startswith("pop3"))
        assert told.startswith("pop3 was ended by SIGKILL; starting it again in 0.5 s.")
        await_listener(first["ports"]["pop3"])
        assert inbox_size(first, 0) == 1

    with started(tmp_path, "--json") as starter:
        again = ready(starter)
        assert again["accounts"] == first["accounts"]
        assert inbox_size(again, 0) == 1
        assert inbox_size(again, 1) == 0


def await_listener(port: int) -> None:
    """Wait until something listens; a bounded number of looks, each after a moment."""
    for _ in range(int(SECONDS / 0.2)):
        with socket.socket() as probe:
            if probe.connect_ex((HOST, port)) == 0:
                return
        time.sleep(0.2)
    raise AssertionError(f"nothing listens on {port}")


@pytest.mark.clients("curl")
def test_the_lines_to_paste_work(tmp_path: Path) -> None:
    with started(tmp_path / "state") as starter:
        text = ""

        def collect(line: str) -> bool:
            nonlocal text
            text += line
            return line.startswith("Logs are in")

        line_of(starter.stdout, collect)
        send_line, imap_line, pop3_line = re.findall(r"^(?:printf|curl) .*$", text, re.MULTILINE)

        run_client("sh", "-c", send_line)
        by_imap = run_client("sh", "-c", imap_line)
        by_pop3 = run_client("sh", "-c", pop3_line)

    assert by_imap.endswith(b"Subject: Hello\r\n\r\nHello!\r\n")
    assert by_pop3 == by_imap


def test_a_taken_port_is_one_clear_line(tmp_path: Path) -> None:
    base = free_base()
    with socket.create_server((HOST, base + 993)):
        ran = refused("--state", str(tmp_path), "--port-base", str(base))

    assert ran == (
        f"Port {base + 993} (imaps) is taken: stop what listens there, or choose others, "
        "as in: make run ARGS='--port-base 22000'\n"
    )


def test_a_folder_that_can_not_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    ran = refused("--state", str(tmp_path / "file/state"), "--ports", "free")

    assert ran.splitlines()[-1].startswith(f"Can't use {tmp_path / 'file/state'}")


def refused(*options: str) -> str:
    """What is told on stderr by a start that fails."""
    ran = subprocess.run(
        [*STARTER, *options], cwd=REPOSITORY, capture_output=True, text=True, timeout=SECONDS
    )
    assert ran.returncode == 1
    assert ran.stdout == ""
    return ran.stderr
