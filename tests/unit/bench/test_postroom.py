"""The contract with the starter of `make run`: a line of JSON when ready, gone after SIGTERM."""

import sys
from pathlib import Path

import pytest

from bench.postroom import Postroom
from bench.processes import wait_gone
from bench.target import Account, Endpoint, UnavailableError

STARTER = """
import json, os, signal, sys
state = sys.argv[sys.argv.index("--state") + 1]
with open(os.path.join(state, "starts"), "a") as starts:
    starts.write("x")
    port = 1000 + starts.tell()
print(json.dumps({
    "ports": {"smtp": port, "imap": 2, "pop3": 3},
    "accounts": [{"address": "a@x.example", "password": "pw"}],
    "pids": {"store": os.getpid()},
}), flush=True)
signal.pause()
"""


def postroom(folder: Path, program: str) -> Postroom:
    return Postroom(folder, (sys.executable, "-c", program))


def test_the_line_tells_where_and_who(tmp_path: Path) -> None:
    target = postroom(tmp_path, STARTER)
    target.start()
    try:
        assert target.imap == Endpoint("127.0.0.1", 2)
        assert target.accounts == [Account("a@x.example", "pw")]
        assert list(target.processes()) == [target.services["store"]]
    finally:
        target.stop()
    assert wait_gone(target.services.values(), 10)
    assert target.processes() == []


def test_a_restart_keeps_the_state_and_may_change_the_ports(tmp_path: Path) -> None:
    target = postroom(tmp_path, STARTER)
    target.start()
    try:
        assert target.smtp.port == 1001
        target.restart(forget=True)
        assert target.smtp.port == 1002
    finally:
        target.stop()


def test_a_failed_start_says_what_the_starter_said(tmp_path: Path) -> None:
    target = postroom(tmp_path, "raise SystemExit('port 25 is taken')")
    with pytest.raises(UnavailableError, match="port 25 is taken"):
        target.start()
