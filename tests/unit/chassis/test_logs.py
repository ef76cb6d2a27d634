"""What a line of the log looks like, whoever writes it. Each in a process of its own, since logging
is set up for a whole process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

TRACE = "0af7651916cd43dd8448eb211c80319c"
START = f"""
import logging, structlog
from opentelemetry import trace
from opentelemetry.context import attach
from postroom_chassis import logs, tracing

attach(tracing.parse_traceparent("00-{TRACE}-b7ad6b7169203331-01"))
structlog.contextvars.bind_contextvars(connection="imap-7")
log = logs.logger("postroom_imap.session")
"""


def logged(script: str, level: str = "INFO") -> list[dict[str, Any]]:
    """The lines that a script has logged as the service `imap`."""
    whole = f'{START}logs.configure("imap", "{level}", "json")\n{script}'
    ran = subprocess.run([sys.executable, "-c", whole], capture_output=True, text=True, check=True)
    assert ran.stderr == ""
    return [json.loads(line) for line in ran.stdout.splitlines()]


def test_a_line_says_who_where_and_why() -> None:
    (line,) = logged('log.info("imap.login", address="ann@example.org")')

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "imap.login",
        "service": "imap",
        "level": "info",
        "address": "ann@example.org",
        "connection": "imap-7",
        "trace_id": TRACE,
    }


def test_lines_of_libraries_look_the_same() -> None:
    (line,) = logged('logging.getLogger("alembic").warning("%s is old", "this")')

    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "this is old",
        "service": "imap",
        "level": "warning",
        "connection": "imap-7",
        "trace_id": TRACE,
    }


def test_an_exception_is_one_line() -> None:
    (line,) = logged(
        'try:\n    {}["missing"]\n'
        'except KeyError as error:\n    log.error("rpc.failed", exc_info=error)'
    )

    assert line["level"] == "error"
    assert line["exception"].endswith("KeyError: 'missing'")


def test_fields_with_secrets_are_not_told() -> None:
    names = ("password", "ticket", "token", "secret", "initial_response", "content", "body")
    fields = ", ".join(f'{name}="the secret"' for name in names)

    (line,) = logged(f'log.info("event", size=3, {fields})')

    assert [line[name] for name in names] == ["(redacted)"] * len(names)
    assert line["size"] == 3


def test_what_is_below_the_level_is_left_out() -> None:
    lines = logged('log.info("quiet"); log.error("loud")', level="ERROR")

    assert [line["event"] for line in lines] == ["loud"]


def test_an_exception_in_hand_is_told_once() -> None:
    (line,) = logged(
        'try:\n    {}["missing"]\nexcept KeyError:\n    log.exception("imap.command_failed")'
    )

    assert line["event"] == "imap.command_failed"
    assert line["exception"].endswith("KeyError: 'missing'")
