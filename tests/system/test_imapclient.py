"""IMAPClient's own live test, as its wheel brings it, run against us."""

from __future__ import annotations

import re
import sys
from pathlib import Path

from deploy.local.provision import Account
from tests.harness.clients import run_client
from tests.harness.system import MailSystem

CONFIGURATION = """\
[DEFAULT]
host = {host}
port = {imaps}
username = {account.address}
password = {account.password}
ssl_ca_file = {authority}

[starttls]
ssl = false
starttls = true
port = {imap}
"""

# Its time-out tests connect to addresses of the internet; they test no server.
CLASSES = ("TestGeneral", "TestWithUIDs", "TestWithoutUIDs")

OUTCOME = re.compile(r"^(test_\w+) \(.*\.\.\. (ok|FAIL|ERROR|skipped .*)$", re.MULTILINE)

# What it leaves out, since it is Google's or comes with a later version of us.
LEFT_OUT = {
    *("test_xlist", "test_gmail_labels", "test_gmail_search"),
    *("test_fetch_modifiers", "test_search_with_modseq"),
    *("test_sort", "test_sort_with_unicode", "test_thread", "test_thread_with_unicode"),
    "test_uid_expunge",  # by sequence numbers there is no such thing
}

# Where it expects more than RFC 3501 asks.
DIFFERENT = {
    "test_status",  # \Recent of a mailbox that no session has open (section 2.3.2): we say 0
    "test_subscriptions",  # a name to subscribe to MAY be checked (section 6.3.6): ours is not
}


def test_live(system: MailSystem, account: Account, tmp_path: Path) -> None:
    configuration = tmp_path / "livetest.ini"
    configuration.write_text(
        CONFIGURATION.format(
            host=system.host,
            imaps=system.port("imaps"),
            imap=system.port("imap"),
            account=account,
            authority=system.authority,
        )
    )
    live = (sys.executable, "-W", "ignore", "-m", "tests.harness.imapclient_live", configuration)

    told = run_client(
        *("sh", "-c", '"$@" 2>&1', "sh", *live, "-v", *CLASSES),
        environment={"SSL_CERT_FILE": str(system.authority)},  # STARTTLS knows no ssl_ca_file
        status=1,
        seconds=300,
    ).decode()

    outcomes = OUTCOME.findall(told)
    assert len(outcomes) > 50
    failed = {name for name, outcome in outcomes if outcome in ("FAIL", "ERROR")}
    assert failed == DIFFERENT, told
    assert {name for name, outcome in outcomes if outcome.startswith("skipped")} <= LEFT_OUT
