"""fetchmail empties a mailbox into a program, by POP3 and by IMAP."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy.local.provision import Account
from tests.harness.clients import run_client
from tests.harness.mail import contents, deliver, message
from tests.harness.system import MailSystem

pytestmark = pytest.mark.clients("fetchmail")

CONFIGURATION = """\
poll localhost protocol {protocol} port {port}
  user "{account.address}" password "{account.password}" is "nobody" here
  {tls}
  sslcertck sslcertfile "{authority}"
  fetchall nokeep
  mda "cat >>{folder}/all"
"""


@pytest.mark.parametrize(
    ("protocol", "port", "tls"),
    [
        ("pop3", "pop3", 'sslproto "TLS1.2+"'),
        ("pop3", "pop3s", "ssl"),
        ("imap", "imap", 'sslproto "TLS1.2+"'),
        ("imap", "imaps", "ssl"),
    ],
)
def test_takes_all(
    system: MailSystem, account: Account, tmp_path: Path, protocol: str, port: str, tls: str
) -> None:
    sent = [message(f"number {number}", f"text {number}\n.dot\n") for number in range(20)]
    deliver(system, account, *sent)
    taken = tmp_path / "taken"
    taken.mkdir()
    configuration = tmp_path / "fetchmailrc"
    configuration.write_text(
        CONFIGURATION.format(
            protocol=protocol,
            port=system.port(port),
            account=account,
            tls=tls,
            authority=system.authority,
            folder=taken,
        )
    )
    configuration.chmod(0o600)

    run_client(
        *("fetchmail", "--fetchmailrc", configuration, "--pidfile", tmp_path / "pid", "--nosyslog"),
        environment={"FETCHMAILHOME": str(tmp_path), "HOME": str(tmp_path)},
    )

    got = (taken / "all").read_bytes()
    assert [got.count(b"Subject: number %d\n" % number) for number in range(20)] == [1] * 20
    assert got.count(b"\n.dot\n") == 20
    assert contents(system, account) == []
