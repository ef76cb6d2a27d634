"""Dovecot with a Postfix before it, each with settings, mail and ports of its own.

What differs from Dovecot's defaults, so that a reader can judge the figures: clear text on
loopback, a passwd-file, login processes that serve many connections (its "high-performance mode"),
limits that let 500 sessions of one person in. `mail_fsync` stays at `optimized`: LMTP and APPEND
are on the disk before they are answered. Nothing that the machine runs already is touched.
"""

import contextlib
import grp
import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path

from . import processes
from .postfix import Postfix
from .target import Account, Endpoint, UnavailableError, free_port

MAIL_USER = "mail"
START_SECONDS = 30.0
_BINARY_FOLDERS = "/usr/sbin:/usr/local/sbin:/opt/homebrew/sbin"

_SETTINGS = """\
protocols = imap pop3 lmtp
base_dir = {root}/run
state_dir = {root}/state
log_path = {root}/dovecot.log
listen = 127.0.0.1
ssl = no
disable_plaintext_auth = no
auth_mechanisms = plain
default_internal_user = {internal_user}
default_login_user = {login_user}
default_internal_group = {internal_group}
first_valid_uid = 1
mail_location = {format}:~/mail
mail_max_userip_connections = 5000
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {root}/passwd
}}
userdb {{
  driver = static
  args = uid={uid} gid={gid} home={root}/home/%u
}}
namespace inbox {{
  inbox = yes
}}
service imap-login {{
  {chroot}
  service_count = 0
  client_limit = 5000
  process_min_avail = {cores}
  inet_listener imap {{
    port = {imap}
  }}
  inet_listener imaps {{
    port = 0
  }}
}}
service pop3-login {{
  {chroot}
  service_count = 0
  client_limit = 5000
  inet_listener pop3 {{
    port = {pop3}
  }}
  inet_listener pop3s {{
    port = 0
  }}
}}
service imap {{
  process_limit = 5000
}}
service anvil {{
  {chroot}
  client_limit = 12000
}}
service auth {{
  client_limit = 12000
}}
service stats {{
  {chroot}
  client_limit = 12000
}}
service lmtp {{
  inet_listener lmtp {{
    address = 127.0.0.1
    port = {lmtp}
  }}
}}
"""


class Storage(StrEnum):
    """A mail format of Dovecot: what most people run, and its fastest."""

    MAILDIR = "maildir"
    SDBOX = "sdbox"


class Dovecot:
    """A target: Dovecot on one storage, and Postfix handing over by LMTP where Postfix can run.

    Args:
        storage: the mail format.
        root: an empty folder for everything it writes; keep the path short, sockets live there.
    """

    def __init__(self, storage: Storage, root: Path) -> None:
        self.name = str(storage)
        self._storage = storage
        self._root = root
        self._accounts = tuple(
            Account(f"{name}@bench.example", "correct-horse") for name in ("reader", "writer")
        )
        self._server: subprocess.Popen[bytes] | None = None
        self._postfix: Postfix | None = None
        self._imap = Endpoint("127.0.0.1", free_port())
        self._pop3 = Endpoint("127.0.0.1", free_port())
        self._lmtp = Endpoint("127.0.0.1", free_port())

    @property
    def title(self) -> str:
        return f"Dovecot {self._storage}"

    @property
    def version(self) -> str:
        answer = subprocess.run([_dovecot(), "--version"], capture_output=True, text=True)
        dovecot = f"Dovecot {answer.stdout.split()[0]} ({self._storage})"
        return f"{dovecot}, {self._postfix.version}" if self._postfix else dovecot

    @property
    def smtp(self) -> Endpoint | None:
        return self._postfix.endpoint if self._postfix else None

    @property
    def imap(self) -> Endpoint:
        return self._imap

    @property
    def pop3(self) -> Endpoint:
        return self._pop3

    @property
    def accounts(self) -> Sequence[Account]:
        return self._accounts

    def start(self) -> None:
        self._start_dovecot()
        if self._postfix is None and Postfix.can_run():
            self._postfix = Postfix(
                self._root / "postfix", self._lmtp, [account.address for account in self._accounts]
            )
        if self._postfix:
            self._postfix.start()

    def stop(self) -> None:
        if self._postfix:
            self._postfix.stop()
        self._stop_dovecot()

    def restart(self, *, forget: bool) -> None:
        # Postfix keeps nothing that a mailbox is read from, so it may stay.
        self._stop_dovecot()
        if forget:
            self._forget()
        self._start_dovecot()

    def _forget(self) -> None:
        # What a Maildir's indexes hold is all derived. In an sdbox the index is the truth; its
        # cache is not.
        pattern = "dovecot.index*" if self._storage is Storage.MAILDIR else "dovecot.index.cache*"
        for file in list((self._root / "home").rglob(pattern)):
            file.unlink()

    def processes(self) -> Sequence[int]:
        return processes.descendants([self._server.pid] if self._server else [])

    def _start_dovecot(self) -> None:
        binary = _dovecot()
        if not (self._root / "dovecot.conf").exists():
            self._prepare()
        self._server = subprocess.Popen(
            [binary, "-F", "-c", self._root / "dovecot.conf"], stderr=subprocess.DEVNULL
        )
        self._await_greeting()

    def _stop_dovecot(self) -> None:
        if self._server is None:
            return
        family = processes.descendants([self._server.pid])
        self._server.terminate()
        self._server.wait(START_SECONDS)
        self._server = None
        processes.wait_gone(family, START_SECONDS)

    def _prepare(self) -> None:
        self._root.mkdir(parents=True, exist_ok=True)
        self._root.chmod(0o755)
        home = self._root / "home"
        home.mkdir()
        owner = pwd.getpwnam(MAIL_USER) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        os.chown(home, owner.pw_uid, owner.pw_gid)
        people = "".join(f"{person.address}:{person.password}\n" for person in self._accounts)
        (self._root / "passwd").write_text(people)
        (self._root / "dovecot.conf").write_text(
            _SETTINGS.format(
                root=self._root,
                format=self._storage,
                uid=owner.pw_uid,
                gid=owner.pw_gid,
                cores=os.cpu_count(),
                imap=self._imap.port,
                pop3=self._pop3.port,
                lmtp=self._lmtp.port,
                **_identities(),
            )
        )

    def _await_greeting(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            with contextlib.suppress(OSError), _connect(self._imap) as probe:
                if probe.recv(4) == b"* OK":
                    return
            if self._server and self._server.poll() is not None:
                break
            time.sleep(0.05)
        log = self._root / "dovecot.log"
        last = log.read_text()[-500:] if log.exists() else "it wrote no log"
        raise UnavailableError(f"Dovecot did not start: {last}")


def _connect(endpoint: Endpoint) -> socket.socket:
    return socket.create_connection((endpoint.host, endpoint.port), 5)


def _dovecot() -> str:
    path = f"{os.environ.get('PATH', '')}:{_BINARY_FOLDERS}"
    found = shutil.which("dovecot", path=path)
    if found is None:
        raise UnavailableError(
            "Dovecot isn't installed (Debian: dovecot-imapd, dovecot-pop3d, dovecot-lmtpd)"
        )
    return found


def _identities() -> dict[str, str]:
    """Names who its processes run as: its own users as root, else this user, without chroot."""
    if os.geteuid() == 0:
        return {
            "internal_user": "dovecot",
            "login_user": "dovenull",
            "internal_group": "dovecot",
            "chroot": "",
        }
    me = pwd.getpwuid(os.geteuid())
    return {
        "internal_user": me.pw_name,
        "login_user": me.pw_name,
        "internal_group": grp.getgrgid(me.pw_gid).gr_name,
        "chroot": "chroot =",
    }
