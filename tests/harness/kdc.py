"""A real Kerberos KDC for tests: MIT's krb5kdc (Debian's package), its own process on loopback.

Its database, its configuration and its keytabs lie in a temporary folder; nothing of the machine's
own Kerberos is read or written.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

START_SECONDS = 30.0
REALM = "EXAMPLE.TEST"
# Where Debian puts them; not on everybody's PATH.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"
PROGRAMS = ("krb5kdc", "kdb5_util", "kadmin.local", "kinit", "kvno")

# Host names are taken as they are: what DNS says of this machine is none of the tests' business.
CLIENTS = """
[libdefaults]
default_realm = {realm}
dns_lookup_kdc = false
dns_lookup_realm = false
dns_canonicalize_hostname = false
rdns = false
clockskew = {clock_skew}
default_ccache_name = FILE:{folder}/nobody.ccache
[realms]
{realm} = {{
    kdc = 127.0.0.1:{port}
}}
"""

KDC = """
[kdcdefaults]
kdc_listen = 127.0.0.1:{port}
kdc_tcp_listen = 127.0.0.1:{port}
[realms]
{realm} = {{
    database_name = {folder}/principal
    key_stash_file = {folder}/stash
    acl_file = {folder}/kadm5.acl
    max_life = 10h
}}
[logging]
kdc = FILE:{folder}/kdc.log
"""


class Kdc:
    """A KDC with its realm.

    Attributes:
        realm: its name.
        environment: variables by which programs use it, and none but it.
    """

    def __init__(self, folder: Path, realm: str = REALM, clock_skew: int = 300) -> None:
        self._folder = folder
        self.realm = realm
        self._port = _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        values = {"folder": folder, "port": self._port, "realm": realm, "clock_skew": clock_skew}
        (folder / "krb5.conf").write_text(CLIENTS.format(**values))
        (folder / "kdc.conf").write_text(KDC.format(**values))
        self.environment = {
            "KRB5_CONFIG": str(folder / "krb5.conf"),
            "KRB5_KDC_PROFILE": str(folder / "kdc.conf"),
            "KRB5RCACHENAME": f"file2:{folder}/replays",
            "PATH": PATH,
        }
        self._run(["kdb5_util", "create", "-s", "-P", "the master's", "-r", realm])

    def add(self, *principals: str, password: str = "") -> None:
        """Add people with a password, or services with a random key."""
        for principal in principals:
            key = f'-pw "{password}"' if password else "-randkey"
            self._run(["kadmin.local", "-r", self.realm, "-q", f"addprinc {key} {principal}"])

    def keytab(self, name: str, *principals: str) -> Path:
        """A keytab with the keys of services."""
        path = self._folder / name
        for principal in principals:
            command = f"ktadd -norandkey -k {path} {principal}"
            self._run(["kadmin.local", "-r", self.realm, "-q", command])
        return path

    def sign_in(self, name: str, password: str, *options: str) -> Mapping[str, str]:
        """Variables by which a client has somebody's tickets (kinit)."""
        cache = self._folder / f"{name.replace('/', '_')}-{len(list(self._folder.iterdir()))}"
        environment = {**self.environment, "KRB5CCNAME": f"FILE:{cache}"}
        self._run(["kinit", *options, name], password + "\n", environment)
        return environment

    def start(self) -> None:
        """Start, and wait until it answers."""
        command = ["krb5kdc", "-n", "-r", self.realm, "-P", str(self._folder / "pid")]
        environment = {**os.environ, **self.environment}
        self._process = subprocess.Popen(command, env=environment, stdout=sys.stderr)
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                return socket.create_connection(("127.0.0.1", self._port), 1).close()
            except OSError:
                assert self._process.poll() is None, "krb5kdc didn't start"
                assert time.monotonic() < deadline, "krb5kdc doesn't answer"
                time.sleep(0.02)

    def kill(self) -> None:
        """End it without a word to anybody."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _run(
        self,
        command: Sequence[str],
        stdin: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        subprocess.run(
            command,
            input=stdin.encode(),
            env={**os.environ, **(environment or self.environment)},
            check=True,
            stdout=sys.stderr,
        )


def missing() -> str:
    """What is not installed of what these tests need; empty: nothing."""
    try:
        import gssapi  # noqa: F401
    except ImportError:
        return "gssapi"
    return ", ".join(one for one in PROGRAMS if shutil.which(one, path=PATH) is None)


@contextmanager
def running_kdc(folder: Path, realm: str = REALM, clock_skew: int = 300) -> Iterator[Kdc]:
    """A KDC, ended with the context."""
    kdc = Kdc(folder, realm, clock_skew)
    kdc.start()
    try:
        yield kdc
    finally:
        kdc.end()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
