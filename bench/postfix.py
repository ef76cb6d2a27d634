"""A Postfix of our own: its settings, queue and port are apart from whatever the machine runs.

Defaults throughout, but for the address it listens on, the two recipients it knows, the handing
over by LMTP, and no chroot (the jail would need files copied into the queue folder).
"""

import os
import pwd
import shutil
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from .target import Endpoint, UnavailableError, free_port

START_SECONDS = 30.0
_BINARY_FOLDERS = "/usr/sbin:/usr/local/sbin"

_MAIN = """\
compatibility_level = 3.6
queue_directory = {root}/queue
data_directory = {root}/data
maillog_file = {root}/postfix.log
maillog_file_prefixes = {root}
myhostname = mx.bench.example
mydestination =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_relay_restrictions = reject_unauth_destination
virtual_mailbox_domains = bench.example
virtual_mailbox_maps = texthash:{root}/etc/recipients
virtual_transport = lmtp:inet:{lmtp.host}:{lmtp.port}
alias_maps =
local_recipient_maps =
"""

_MASTER = """\
127.0.0.1:{port} inet n - n - - smtpd
pickup    unix  n       -       n       60      1       pickup
cleanup   unix  n       -       n       -       0       cleanup
qmgr      unix  n       -       n       300     1       qmgr
tlsmgr    unix  -       -       n       1000?   1       tlsmgr
rewrite   unix  -       -       n       -       -       trivial-rewrite
bounce    unix  -       -       n       -       0       bounce
defer     unix  -       -       n       -       0       bounce
trace     unix  -       -       n       -       0       bounce
verify    unix  -       -       n       -       1       verify
flush     unix  n       -       n       1000?   0       flush
proxymap  unix  -       -       n       -       -       proxymap
proxywrite unix -       -       n       -       1       proxymap
smtp      unix  -       -       n       -       -       smtp
relay     unix  -       -       n       -       -       smtp
showq     unix  n       -       n       -       -       showq
error     unix  -       -       n       -       -       error
retry     unix  -       -       n       -       -       error
discard   unix  -       -       n       -       -       discard
lmtp      unix  -       -       n       -       -       lmtp
anvil     unix  -       -       n       -       1       anvil
scache    unix  -       -       n       -       1       scache
postlog   unix-dgram n  -       n       -       1       postlogd
"""


class Postfix:
    """One instance.

    Args:
        root: an empty folder for its settings, queue and log.
        lmtp: where it hands over.
        recipients: the addresses it accepts, all in bench.example.
    """

    def __init__(self, root: Path, lmtp: Endpoint, recipients: Sequence[str]) -> None:
        self._root = root
        self._settings = root / "etc"
        self.endpoint = Endpoint("127.0.0.1", free_port())
        self._prepare(lmtp, recipients)

    @staticmethod
    def can_run() -> bool:
        """Says whether Postfix is installed and may be started: it insists on root."""
        return _binary("postfix") is not None and os.geteuid() == 0

    @property
    def version(self) -> str:
        answer = subprocess.run(
            [_binary("postconf") or "postconf", "-d", "-h", "mail_version"],
            capture_output=True,
            text=True,
        )
        return f"Postfix {answer.stdout.strip()}"

    def start(self) -> None:
        """Starts it, and returns when it listens. Raises UnavailableError with its own words."""
        answer = self._control("start")
        if answer.returncode:
            raise UnavailableError(f"Postfix did not start: {answer.stderr.strip()[-500:]}")

    def stop(self) -> None:
        """Stops it, if it runs."""
        if not (self._root / "queue/pid/master.pid").exists():
            return
        self._control("stop")
        deadline = time.monotonic() + START_SECONDS
        while self._control("status").returncode == 0 and time.monotonic() < deadline:
            time.sleep(0.05)

    def _control(self, verb: str) -> subprocess.CompletedProcess[str]:
        # In a session of its own: "postfix stop" may signal the whole process group it was
        # started in.
        return subprocess.run(
            [_binary("postfix") or "postfix", "-c", self._settings, verb],
            capture_output=True,
            text=True,
            timeout=START_SECONDS,
            start_new_session=True,
        )

    def _prepare(self, lmtp: Endpoint, recipients: Sequence[str]) -> None:
        for folder in ("etc", "queue", "data"):
            (self._root / folder).mkdir(parents=True)
        owner = pwd.getpwnam("postfix")
        os.chown(self._root / "data", owner.pw_uid, owner.pw_gid)
        (self._settings / "recipients").write_text(
            "".join(f"{address} here\n" for address in recipients)
        )
        (self._settings / "main.cf").write_text(_MAIN.format(root=self._root, lmtp=lmtp))
        (self._settings / "master.cf").write_text(_MASTER.format(port=self.endpoint.port))


def _binary(name: str) -> str | None:
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:{_BINARY_FOLDERS}")
