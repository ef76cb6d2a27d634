"""A real OpenLDAP server for tests: slapd (Debian's package), a process of its own on loopback.

Its files lie in a temporary folder. It is filled once, by slapadd, and can be killed, stopped
(SIGSTOP: it takes connections and says nothing) and let go on.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trustme

START_SECONDS = 30.0
SUFFIX = "dc=example,dc=org"
PEOPLE = f"ou=people,{SUFFIX}"
GROUPS = f"ou=groups,{SUFFIX}"
SERVICE_DN = f"cn=postroom,{SUFFIX}"
SERVICE_PASSWORD = "service secret"
ADMIN_DN = f"cn=admin,{SUFFIX}"
ADMIN_PASSWORD = "admin secret"
# Where Debian puts them; not on everybody's PATH.
PATH = f"{os.environ.get('PATH', '')}:/usr/sbin"

CONFIGURATION = """
include /etc/ldap/schema/core.schema
include /etc/ldap/schema/cosine.schema
include /etc/ldap/schema/inetorgperson.schema
modulepath /usr/lib/ldap
moduleload back_mdb
pidfile {folder}/slapd.pid
argsfile {folder}/slapd.args
sizelimit {size_limit}
TLSCACertificateFile {folder}/ca.pem
TLSCertificateFile {folder}/slapd.pem
TLSCertificateKeyFile {folder}/slapd.pem
database mdb
suffix "{suffix}"
directory {folder}/data
rootdn "{admin_dn}"
rootpw "{admin_password}"
dbnosync
index objectClass,mail eq
access to attrs=userPassword by anonymous auth by * none
access to * by dn.exact="{service_dn}" read by * none
"""

TREE = f"""
dn: {SUFFIX}
objectClass: dcObject
objectClass: organization
o: Example
dc: example

dn: {SERVICE_DN}
objectClass: organizationalRole
objectClass: simpleSecurityObject
cn: postroom
userPassword: {SERVICE_PASSWORD}

dn: {PEOPLE}
objectClass: organizationalUnit
ou: people

dn: {GROUPS}
objectClass: organizationalUnit
ou: groups
"""


def person(uid: str, password: str = "", *mail: str, **attributes: str) -> str:
    """An entry of inetOrgPerson, as LDIF."""
    lines = [f"dn: uid={uid},{PEOPLE}", "objectClass: inetOrgPerson", f"uid: {uid}", f"sn: {uid}"]
    lines += [f"cn: {attributes.pop('cn', uid)}"]
    lines += [f"mail: {address}" for address in mail or (f"{uid}@example.org",)]
    lines += [f"userPassword: {password}"] if password else []
    lines += [f"{name}: {value}" for name, value in attributes.items()]
    return "\n".join(lines) + "\n"


def group(name: str, *members: str, mail: str = "") -> str:
    """An entry of groupOfNames whose members are people's uids or DNs, as LDIF."""
    lines = [f"dn: cn={name},{GROUPS}", "objectClass: groupOfNames"]
    lines += ["objectClass: extensibleObject", f"mail: {mail}"] if mail else []
    lines += [f"cn: {name}"]
    dns = (member if "=" in member else f"uid={member},{PEOPLE}" for member in members)
    lines += [f"member: {dn}" for dn in dns]
    return "\n".join(lines) + "\n"


class Slapd:
    """A server with its tree.

    Attributes:
        port, tls_port: for ldap:// and ldaps://.
        authority: PEM of who signed its certificate, which is for 127.0.0.1 alone.
        foreign_authority: PEM of somebody else.
    """

    def __init__(self, folder: Path, size_limit: int = 500) -> None:
        self._folder = folder
        self.port, self.tls_port = _free_port(), _free_port()
        self._process: subprocess.Popen[bytes] | None = None
        ca = trustme.CA()
        self.authority = folder / "ca.pem"
        ca.cert_pem.write_to_path(self.authority)
        self.foreign_authority = folder / "foreign.pem"
        trustme.CA().cert_pem.write_to_path(self.foreign_authority)
        ca.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
            folder / "slapd.pem"
        )
        (folder / "data").mkdir()
        (folder / "slapd.conf").write_text(
            CONFIGURATION.format(
                folder=folder,
                suffix=SUFFIX,
                service_dn=SERVICE_DN,
                admin_dn=ADMIN_DN,
                admin_password=ADMIN_PASSWORD,
                size_limit=size_limit,
            )
        )

    @property
    def url(self) -> str:
        return f"ldap://127.0.0.1:{self.port}"

    @property
    def tls_url(self) -> str:
        return f"ldaps://127.0.0.1:{self.tls_port}"

    def fill(self, *entries: str) -> None:
        """Add entries below the tree's top, before the first start."""
        ldif = "\n".join((TREE, *entries))
        configuration = self._folder / "slapd.conf"
        self._run(["slapadd", "-q", "-f", str(configuration)], ldif)

    def modify(self, ldif: str) -> None:
        """Change entries of the running server."""
        bind = ["-x", "-H", self.url, "-D", ADMIN_DN, "-w", ADMIN_PASSWORD]
        self._run(["ldapmodify", *bind], ldif)

    def start(self) -> None:
        """Start, or start anew after `kill`, and wait until it answers."""
        urls = f"{self.url} {self.tls_url}"
        command = ["slapd", "-d", "0", "-f", str(self._folder / "slapd.conf"), "-h", urls]
        self._process = subprocess.Popen(command, env={**os.environ, "PATH": PATH})
        deadline = time.monotonic() + START_SECONDS
        while True:
            try:
                for port in (self.port, self.tls_port):
                    socket.create_connection(("127.0.0.1", port), 1).close()
                return
            except OSError:
                assert self._process.poll() is None, "slapd didn't start"
                assert time.monotonic() < deadline, "slapd doesn't answer"
                time.sleep(0.02)

    def kill(self) -> None:
        """End it without a word to anybody."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    def stop(self) -> None:
        """Let it take connections and say nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        """Let it work again after `stop`."""
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)

    def end(self) -> None:
        if self._process is not None and self._process.poll() is None:
            self.kill()

    def _run(self, command: list[str], stdin: str) -> None:
        environment = {**os.environ, "PATH": PATH}
        subprocess.run(
            command, input=stdin.encode(), env=environment, check=True, stdout=sys.stderr
        )


def missing() -> str:
    """What is not installed of what these tests need; empty: nothing."""
    try:
        import ldap  # noqa: F401
    except ImportError:
        return "python-ldap"
    programs = ("slapd", "slapadd", "ldapmodify")
    return ", ".join(one for one in programs if shutil.which(one, path=PATH) is None)


@contextmanager
def running_slapd(folder: Path, *entries: str, size_limit: int = 500) -> Iterator[Slapd]:
    """A server that holds entries, ended with the context."""
    slapd = Slapd(folder, size_limit)
    slapd.fill(*entries)
    slapd.start()
    try:
        yield slapd
    finally:
        slapd.end()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
