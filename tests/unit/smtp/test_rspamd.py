"""rspamd by HTTP: a server that answers as its documentation says, and ones that don't."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from postroom_chassis.net.listener import free_port
from postroom_smtp.checks.edits import Edits
from postroom_smtp.checks.filters import Opinion
from postroom_smtp.checks.milter import Milter
from postroom_smtp.checks.rspamd import Rspamd
from postroom_smtp.checks.settings import CheckSettings, MilterAddress
from postroom_smtp.ports import Client, Identity, Sending
from postroom_smtp.protocol.fields import split_fields, split_message
from postroom_smtp.protocol.header import without

from tests.harness.clients import require
from tests.unit.smtp.checking import LETTER, spooled

SENDING = Sending(
    Client("192.0.2.1", False),
    name="mail.example.org",
    sender="ann@example.org",
    recipients=("bob@example.net", "eve@example.net"),
    message_id="m1",
)

# As in rspamd's documentation of /checkv2.
CLEAN: dict[str, Any] = {
    "is_skipped": False,
    "score": 1.5,
    "required_score": 15.0,
    "action": "no action",
    "symbols": {"MIME_GOOD": {"name": "MIME_GOOD", "score": -0.1, "options": ["text/plain"]}},
    "messages": {},
    "message-id": "1@example.org",
    "time_real": 0.03,
    "milter": {"remove_headers": {"X-Spam": 0}},
}


@dataclass
class FakeRspamd:
    """Answers every request alike.

    Attributes:
        raw: in place of a response.
        stall: says nothing.
    """

    answer: Any = field(default_factory=lambda: dict(CLEAN))
    status: str = "200 OK"
    raw: bytes | None = None
    stall: bool = False
    chunked: bool = False
    request: str = ""
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""
    port: int = 0

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            self.request, *lines = head.strip().split("\r\n")
            self.headers = [(name, value) for name, _, value in (x.partition(": ") for x in lines)]
            self.body = await reader.readexactly(int(self.value("content-length")))
            if self.stall:
                await reader.read()
            writer.write(self._response())
            await writer.drain()
        except (EOFError, ConnectionError):
            pass
        finally:
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()

    def _response(self) -> bytes:
        if self.raw is not None:
            return self.raw
        body = json.dumps(self.answer).encode()
        if self.chunked:
            pieces = [body[at : at + 50] for at in range(0, len(body), 50)] + [b""]
            body = b"".join(b"%x\r\n%s\r\n" % (len(piece), piece) for piece in pieces)
            return b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + body
        return (
            f"HTTP/1.1 {self.status}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        ).encode() + body

    def value(self, name: str) -> str:
        (value,) = [value for each, value in self.headers if each.lower() == name]
        return value


@asynccontextmanager
async def running(rspamd: FakeRspamd) -> AsyncIterator[FakeRspamd]:
    server = await asyncio.start_server(rspamd.serve, "127.0.0.1", 0)
    rspamd.port = server.sockets[0].getsockname()[1]
    try:
        yield rspamd
    finally:
        server.close()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        await asyncio.wait(others, timeout=5) if others else None


async def shown(
    rspamd: FakeRspamd, sending: Sending = SENDING, message: bytes = LETTER, **settings: Any
) -> tuple[Opinion, bytes]:
    url = f"http://127.0.0.1:{rspamd.port}"
    client = Rspamd(CheckSettings(**{"rspamd_url": url, **settings}), "mx.example.net")
    header, _ = split_message(message)
    edits = Edits(split_fields(header))
    async with spooled(message) as spool:
        opinion = await client.message(sending, spool, edits)
    return opinion, edits.added + without(header, edits.removed) + message[len(header) :]


async def test_what_it_is_told() -> None:
    async with running(FakeRspamd()) as rspamd:
        opinion, kept = await shown(rspamd, rspamd_password="secret")
        assert (opinion.refused, opinion.junk, opinion.quiet, kept) == (None, False, False, LETTER)
        assert str(opinion.finding) == "x-rspamd=pass (no action, 1.50 of 15.00)"
        assert rspamd.request == "POST /checkv2 HTTP/1.1"
        assert rspamd.body == LETTER
        told = [(name.lower(), value) for name, value in rspamd.headers]
        assert told == [
            ("host", "127.0.0.1"),
            ("connection", "close"),
            ("ip", "192.0.2.1"),
            ("helo", "mail.example.org"),
            ("from", "ann@example.org"),
            ("rcpt", "bob@example.net"),
            ("rcpt", "eve@example.net"),
            ("queue-id", "m1"),
            ("mta-name", "mx.example.net"),
            ("password", "secret"),
            ("content-length", str(len(LETTER))),
        ]


async def test_who_signed_in_and_what_would_break_out() -> None:
    async with running(FakeRspamd()) as rspamd:
        identity = Identity(7, "bob@example.net", "ticket")
        odd = replace(SENDING, identity=identity, name="a\r\nPass: all", sender="")
        await shown(rspamd, odd)
        assert rspamd.value("user") == "bob@example.net"
        assert rspamd.value("helo") == "a??Pass: all"
        assert rspamd.value("from") == ""


async def test_a_large_message() -> None:
    message = LETTER + b"x" * 3_000_000
    async with running(FakeRspamd(chunked=True)) as rspamd:
        opinion, _ = await shown(rspamd, message=message)
        assert opinion.refused is None
        assert rspamd.body == message


@pytest.mark.parametrize(
    ("action", "settings", "refused", "junk"),
    [
        ("no action", {}, "None", False),
        ("greylist", {}, "451 4.7.1 not now, try again later", False),
        ("soft reject", {}, "451 4.7.1 not now, try again later", False),
        ("add header", {}, "None", True),
        ("rewrite subject", {}, "None", True),
        ("reject", {}, "554 5.7.1 the message looks like junk", False),
        ("reject", {"rspamd_reject": "junk"}, "None", True),
    ],
)
async def test_actions(action: str, settings: dict[str, Any], refused: str, junk: bool) -> None:
    answer = {**CLEAN, "action": action, "score": 16.25, "subject": "*** SPAM *** Dinner"}
    async with running(FakeRspamd(answer)) as rspamd:
        opinion, kept = await shown(rspamd, **settings)
        assert (str(opinion.refused), opinion.junk) == (refused, junk)
        assert f"{action}, 16.25 of 15.00" in str(opinion.finding)
        assert kept.startswith(b"X-Spam: Yes\r\n") == (junk and action != "rewrite subject")
        assert (b"Subject: *** SPAM *** Dinner\r\n" in kept) == (action == "rewrite subject")


async def test_its_own_words() -> None:
    messages = {"smtp_message": "Try again later\r\n250 OK"}
    async with running(FakeRspamd({**CLEAN, "action": "reject", "messages": messages})) as rspamd:
        opinion, _ = await shown(rspamd)
        assert str(opinion.refused) == "554 5.7.1 Try again later??250 OK"


@pytest.mark.parametrize("symbol", ["CLAM_VIRUS", "CLAM_VIRUS_ENCRYPTED", "SOPHOS_VIRUS"])
async def test_malware_is_always_refused(symbol: str) -> None:
    answer = {**CLEAN, "symbols": {symbol: {"score": 8.0, "options": ["Eicar-Signature"]}}}
    async with running(FakeRspamd(answer)) as rspamd:
        opinion, _ = await shown(rspamd, rspamd_reject="junk")
        assert str(opinion.refused) == "554 5.7.1 the message has malware in it"
        assert symbol in str(opinion.finding)
        opinion, _ = await shown(rspamd, rspamd_malware="")
        assert opinion.refused is None


async def test_fields_that_it_adds_and_removes() -> None:
    changes = {
        "add_headers": {
            "X-Spamd-Result": {"value": "default: False\n\t[1.5]", "order": 0},
            "X-Plain": "text",
            "X-Several": ["one", {"value": "two"}],
            "X-Odd": 7,
            "Bad Name": "x",
        },
        "remove_headers": {"Date": 1, "Received": -1, "To": -5, "Message-ID": 3},
    }
    message = b"X-Spam: No\r\nX-SPAM: No\r\n" + LETTER
    async with running(FakeRspamd({**CLEAN, "milter": changes})) as rspamd:
        _, kept = await shown(rspamd, message=message)
        fields = split_fields(split_message(kept)[0])
        assert [field.name for field in fields] == [
            "x-several", "x-several", "x-plain", "x-spamd-result",
            "from", "to", "subject", "message-id",
        ]  # fmt: skip
        assert b"X-Spamd-Result: default: False\r\n\t[1.5]\r\n" in kept


async def test_it_advises_to_discard() -> None:
    async with running(FakeRspamd({**CLEAN, "action": "discard"})) as rspamd:
        assert (await shown(rspamd))[0].quiet


@pytest.mark.parametrize(
    "rspamd",
    [
        FakeRspamd(status="500 Internal Server Error"),
        FakeRspamd(status="403 Forbidden"),
        FakeRspamd([]),
        FakeRspamd({"error": "it is broken"}),
        FakeRspamd({"action": "explode"}),
        FakeRspamd({"action": ["reject"]}),
        FakeRspamd(raw=b""),
        FakeRspamd(raw=b"SSH-2.0-OpenSSH_9.2\r\n"),
        FakeRspamd(raw=b"HTTP/1.1 200 OK\r\n\r\nnot json"),
        FakeRspamd(raw=b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{}"),
        FakeRspamd(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b"[" * 200_000),
        FakeRspamd(raw=b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 5_000_000),
        FakeRspamd(raw=b"HTTP/1.1 200 OK\r\nX: " + b"x" * 1_000_000),
        FakeRspamd(raw=b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000),
        FakeRspamd(stall=True),
    ],
)
async def test_one_that_can_not_be_understood(rspamd: FakeRspamd) -> None:
    async with running(rspamd), asyncio.timeout(10):
        opinion, kept = await shown(rspamd, rspamd_seconds=0.5)
        assert str(opinion.refused) == "451 4.3.0 not now, try again later"
        assert str(opinion.finding) == "x-rspamd=temperror (away)"
        opinion, kept = await shown(rspamd, rspamd_seconds=0.5, rspamd_failing="accept")
        assert (opinion.refused, kept) == (None, LETTER)


async def test_answers_with_odd_values() -> None:
    answer = {
        "action": "no action", "score": "high", "required_score": 10**400, "symbols": ["x"],
        "milter": [], "messages": "none", "subject": 5,
    }  # fmt: skip
    async with running(FakeRspamd(answer)) as rspamd:
        opinion, kept = await shown(rspamd)
        assert (opinion.refused, kept) == (None, LETTER)
    surrogates = {"add_headers": {"X-A": "\ud800"}, "remove_headers": {"\ud800": 1}}
    async with running(FakeRspamd({**CLEAN, "milter": surrogates})) as rspamd:
        opinion, kept = await shown(rspamd)
        assert kept.startswith(b"X-A: ?\r\n")


@pytest.mark.parametrize("url", ["rspamd:11333", "https://rspamd", "http://", "http://x/?a=b"])
def test_addresses_that_are_none(url: str) -> None:
    with pytest.raises(ValueError, match="not http"):
        CheckSettings(rspamd_url=url)


# What rspamd knows by itself, as every filter of junk does, and how it varies the first letter.
PATTERN = b"JS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X\r\n"
CONFIGURATION = """
options {{
    filters = "";
    enable_test_patterns = true;
    pidfile = "{folder}/pid"; tempdir = "{folder}"; dbdir = "{folder}"; rundir = "{folder}";
    hs_cache_dir = "{folder}"; cores_dir = "{folder}"; rrd = "";
    dns {{ nameserver = ["127.0.0.1:1"]; }}
}}
logging {{ type = "console"; level = "warning"; }}
worker "normal" {{ bind_socket = "127.0.0.1:{port}"; count = 1; }}
worker "rspamd_proxy" {{
    bind_socket = "127.0.0.1:{milter}"; count = 1; milter = yes; timeout = 60s;
    upstream "local" {{ default = yes; self_scan = yes; }}
}}
metric {{ name = "default"; actions {{ reject = 15; add_header = 6; }} }}
"""


async def test_rspamd_itself(tmp_path: Path) -> None:
    require("" if shutil.which("rspamd") else "rspamd")
    port, milter = free_port(), free_port()
    configuration = tmp_path / "rspamd.conf"
    configuration.write_text(CONFIGURATION.format(folder=tmp_path, port=port, milter=milter))
    # It runs as who starts it, whoever that is (-i).
    process = await asyncio.create_subprocess_exec(
        "rspamd", "-f", "-i", "-c", str(configuration), stdout=sys.stderr
    )
    try:
        await until_it_listens(process, port)
        await until_it_listens(process, milter)
        rspamd = FakeRspamd(port=port)
        for letter, junk in (b"X", False), (b"Y", True), (b"Z", True):
            opinion, kept = await shown(rspamd, message=LETTER + letter + PATTERN)
            assert opinion.junk is junk
            assert (opinion.refused is not None) is not junk
            assert (b"Subject: *** SPAM ***" in kept) is (letter == b"Z")
        opinion, kept = await shown(rspamd)
        assert (opinion.refused, opinion.junk, kept) == (None, False, LETTER)
        await judged_by_milter(
            Milter(
                MilterAddress("rspamd", host="127.0.0.1", port=milter),
                CheckSettings(),
                "mx.example.net",
            )
        )
    finally:
        process.terminate()
        await process.wait()


async def judged_by_milter(milter: Milter) -> None:
    """The same, with rspamd's proxy as a milter."""
    for letter, junk in (b"X", False), (b"Y", True), (b"Z", False):
        message = LETTER + letter + PATTERN
        edits = Edits(split_fields(split_message(message)[0]))
        async with spooled(message) as spool:
            opinion = await milter.message(SENDING, spool, edits)
        assert opinion.junk is junk
        assert (opinion.refused is not None) is (letter == b"X")
        assert (b"Subject: *** SPAM ***" in edits.added) is (letter == b"Z")


async def until_it_listens(process: asyncio.subprocess.Process, port: int) -> None:
    async with asyncio.timeout(90):
        while True:
            assert process.returncode is None
            with suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                await writer.wait_closed()
                return
            await asyncio.sleep(0.1)
