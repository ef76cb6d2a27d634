"""Postfix as it receives: a real one with TLS, into maildirs, and its smtp-sink."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

SECONDS = 30.0
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
NAMES = ("postfix", "smtp-sink")

_MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/postfix.log
maillog_file_prefixes = {root}
myhostname = {name}
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 192.0.2.0/24
smtpd_relay_restrictions = reject_unauth_destination
smtpd_recipient_restrictions = check_recipient_access texthash:{root}/etc/access
smtpd_peername_lookup = no
smtpd_tls_security_level = may
smtpd_tls_chain_files = {root}/etc/tls.pem
smtputf8_enable = yes
message_size_limit = 1000000
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = texthash:{root}/etc/recipients
virtual_mailbox_base = {root}/mail
virtual_minimum_uid = 1
virtual_uid_maps = static:{uid}
virtual_gid_maps = static:{gid}
local_header_rewrite_clients =
alias_maps =
local_recipient_maps =
"""

_MASTER = """\
{host}:{port} inet n - n - - smtpd
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
proxymap  unix  -       -       n       -       -       proxymap
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
virtual   unix  -       n       n       -       -       virtual
anvil     unix  -       -       n       -       1       anvil
postlog   unix-dgram n  -       n       -       1       postlogd
"""


@dataclass(frozen=True)
class Postfix:
    """A running one."""

    root: Path

    def mail(self, address: str, count: int = 1) -> list[bytes]:
        """Wait for so many messages for somebody; as they are stored."""
        folder = self.root / "mail" / address / "new"
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            found = list(folder.iterdir()) if folder.exists() else []
            if len(found) >= count:
                return [each.read_bytes() for each in found]
            time.sleep(0.05)
        raise AssertionError(f"no mail for {address}:\n{self.log[-2000:]}")

    @property
    def log(self) -> str:
        return (self.root / "postfix.log").read_text()


@contextmanager
def postfix(
    host: str,
    port: int,
    name: str,
    recipients: Sequence[str],
    pem: bytes,
    access: str = "",
) -> Iterator[Postfix]:
    """Listen until the context ends; root alone may.

    Args:
        recipients: whom there is.
        pem: key and chain.
        access: lines of access(5).
    """
    with tempfile.TemporaryDirectory(prefix="postfix") as folder:
        root = Path(folder)
        # Parts of it run as somebody else, who couldn't get through a folder of pytest's.
        root.chmod(0o755)
        _prepare(root, host, port, name, recipients, pem, access)
        _control(root / "etc", "start")
        try:
            wait_for(host, port)
            yield Postfix(root)
        finally:
            _stop(root / "etc")


def _prepare(
    root: Path,
    host: str,
    port: int,
    name: str,
    recipients: Sequence[str],
    pem: bytes,
    access: str,
) -> None:
    owner = pwd.getpwnam("postfix")
    for folder in ("etc", "queue", "data", "mail"):
        (root / folder).mkdir(parents=True)
    for folder in ("data", "mail"):
        os.chown(root / folder, owner.pw_uid, owner.pw_gid)
    settings = root / "etc"
    told = {
        "root": root,
        "host": host,
        "port": port,
        "name": name,
        "domains": ", ".join(sorted({each.rpartition("@")[2] for each in recipients})),
        "uid": owner.pw_uid,
        "gid": owner.pw_gid,
    }
    (settings / "main.cf").write_text(_MAIN.format(**told))
    (settings / "master.cf").write_text(_MASTER.format(**told))
    (settings / "recipients").write_text("".join(f"{each} {each}/\n" for each in recipients))
    (settings / "access").write_text(access)
    (settings / "tls.pem").write_bytes(pem)


@contextmanager
def sink(host: str, port: int, *options: str) -> Iterator[None]:
    """smtp-sink, which throws everything away, until the context ends."""
    program = shutil.which("smtp-sink", path=PATH)
    assert program is not None
    process = subprocess.Popen(
        [program, "-u", "nobody", *options, f"{host}:{port}", "1000"], stderr=subprocess.DEVNULL
    )
    try:
        wait_for(host, port)
        yield
    finally:
        process.kill()
        process.wait()


def wait_for(host: str, port: int) -> None:
    """Wait until somebody listens."""
    deadline = time.monotonic() + SECONDS
    while True:
        try:
            socket.create_connection((host, port), 1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


def _stop(settings: Path) -> None:
    """Stop it, and wait for its end."""
    _control(settings, "stop")
    deadline = time.monotonic() + SECONDS
    while _control(settings, "status") == 0 and time.monotonic() < deadline:
        time.sleep(0.05)


def _control(settings: Path, verb: str) -> int:
    program = shutil.which("postfix", path=PATH)
    assert program is not None
    ran = subprocess.run(
        [program, "-c", settings, verb],
        capture_output=True,
        text=True,
        timeout=SECONDS,
        # "postfix stop" may signal the whole process group it was started in.
        start_new_session=True,
    )
    assert ran.returncode == 0 or verb != "start", f"{ran.stdout}{ran.stderr}"
    return ran.returncode
