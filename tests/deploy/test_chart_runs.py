"""The chart's pods, told what it tells them, with the keys and certificates that it makes, are a
mail system: what `helm test` does works on them.
"""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from tests.deploy.chart import NAMESPACE, Object, render
from tests.deploy.cluster_here import running
from tests.harness.databases import PostgresServer

# All connections come from this machine, and nothing goes to anybody.
QUIET: Object = {
    "hostname": "mail.example.org",
    "smtp": {"settings": {"SEND": False}},
    "auth": {"settings": {"THROTTLE_EXEMPT": "127.0.0.0/8"}},
}
EVERY_WAY = [
    *("MX: taken", "SUBMISSION: taken", "SUBMISSIONS: taken"),
    *("IMAP: all there", "IMAPS: all there", "POP3: all there", "POP3S: all there"),
]


@pytest.mark.parametrize("sidecar", [True, False], ids=["sidecar", "alone"])
def test_it_takes_mail_and_gives_it_back(sidecar: bool, tmp_path: Path) -> None:
    objects = render(QUIET | {"tls": {"sidecar": {"enabled": sidecar}}})
    with running(objects, tmp_path) as here:
        assert here.run("test") == EVERY_WAY


def test_on_postgresql_the_jobs_come_first(postgres_server: PostgresServer, tmp_path: Path) -> None:
    secrets: list[Object] = []
    values = dict(QUIET)
    for owner in ("auth", "store"):
        postgres_server.create_database(f"chart_{owner}")
        url = postgres_server.url(f"chart_{owner}").replace("postgresql+psycopg:", "postgresql:")
        secrets.append(
            {
                "kind": "Secret",
                "metadata": {"name": f"{owner}-db", "namespace": NAMESPACE},
                "data": {"uri": base64.b64encode(url.encode()).decode()},
            }
        )
        database = {"type": "postgresql", "urlSecret": {"name": f"{owner}-db"}}
        values[owner] = {**values.get(owner, {}), "database": database}
    objects = [*render(values), *secrets]
    jobs = ("auth-migrations", "store-migrations")
    with running(objects, tmp_path, first=jobs) as here:
        assert here.run("test") == EVERY_WAY
