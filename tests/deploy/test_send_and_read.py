"""What `helm test` runs, against a running Postroom."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from postroom_chassis.certificates import make_development_certificates

from deploy.local import ports
from tests.deploy.chart import CHART, of_kind, variant
from tests.harness.system import SETTINGS, MailSystem, running

SCRIPT = CHART / "files/send_and_read.py"
OPEN = {
    "MX": "smtp",
    "SUBMISSION": "submission",
    "SUBMISSIONS": "submissions",
    "IMAP": "imap",
    "IMAPS": "imaps",
    "POP3": "pop3",
    "POP3S": "pop3s",
}
DOMAIN = "helm-test.invalid"
SECONDS = 120


@dataclass(frozen=True)
class House:
    """A running Postroom whose API is HTTPS, and knows the token that the chart makes."""

    system: MailSystem
    api: str

    def environment(self, folder: Path) -> dict[str, str]:
        """What the chart's test pod has, by the same names."""
        token = folder / "token"
        token.write_bytes(token_secret()["token"])
        return {
            **{name: f"{ports.HOST}:{self.system.port(port)}" for name, port in OPEN.items()},
            "CERTIFICATE": str(self.system.state / "certs/tls.pem"),
            "API": self.api,
            "TOKEN_FILE": str(token),
            "DOMAIN": DOMAIN,
        }


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    state = tmp_path_factory.mktemp("postroom")
    (state / "api-tokens").write_bytes(token_secret()["api-tokens"])
    api = f"{ports.HOST}:{ports.choose(('api',))['api']}"
    settings = {
        **SETTINGS,
        "POSTROOM_ADMIN_LISTENERS": f"api={api};tls",
        "POSTROOM_ADMIN_TLS_CERTIFICATE": str(state / "certs/tls.pem"),
        "POSTROOM_ADMIN_TLS_KEY": str(state / "certs/tls.key"),
    }
    with running(state, settings=settings) as system:
        yield House(system, api)


def token_secret() -> dict[str, bytes]:
    secret = of_kind(variant("minimal"), "Secret")["mail-postroom-api-tokens"]
    return {name: base64.b64decode(value) for name, value in secret["data"].items()}


def run(environment: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, SCRIPT], env=environment, capture_output=True, text=True, timeout=SECONDS
    )


def test_the_pod_is_told_where_everything_is(tmp_path: Path) -> None:
    pod = of_kind(variant("minimal"), "Pod")["mail-postroom-test"]
    told = {one["name"]: one["value"] for one in pod["spec"]["containers"][0]["env"]}
    assert set(told) == {*OPEN, "CERTIFICATE", "API", "TOKEN_FILE", "DOMAIN"}
    assert told["SUBMISSIONS"] == "mail-postroom-smtp:465"
    script = of_kind(variant("minimal"), "ConfigMap")["mail-postroom-test"]["data"]
    assert script == {"send_and_read.py": SCRIPT.read_text()}


def test_a_message_by_every_way_in_is_read_by_every_way_out(house: House, tmp_path: Path) -> None:
    ran = run(house.environment(tmp_path))

    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.splitlines() == [
        "MX: taken",
        "SUBMISSION: taken",
        "SUBMISSIONS: taken",
        "IMAP: all there",
        "IMAPS: all there",
        "POP3: all there",
        "POP3S: all there",
    ]
    # Nothing is left of it.
    assert DOMAIN not in house.system.postroom("domain", "list", "--json")
    assert json.loads(house.system.postroom("account", "list", "--json")) == []


def test_an_account_that_is_there_is_used_and_stays(house: House, tmp_path: Path) -> None:
    account = house.system.new_account()
    for name, value in (("username", account.address), ("password", account.password)):
        (tmp_path / name).write_text(f"{value}\n")
    told = house.environment(tmp_path)
    del told["API"], told["TOKEN_FILE"], told["DOMAIN"], told["MX"]
    ran = run(
        {
            **told,
            "USERNAME_FILE": str(tmp_path / "username"),
            "PASSWORD_FILE": str(tmp_path / "password"),
        }
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert account.address in house.system.postroom("account", "list", "--json")


def test_another_certificate_is_not_taken(house: House, tmp_path: Path) -> None:
    make_development_certificates(tmp_path / "other")
    ran = run(house.environment(tmp_path) | {"CERTIFICATE": str(tmp_path / "other/tls.pem")})
    assert ran.returncode == 1
    assert "CERTIFICATE_VERIFY_FAILED" in ran.stderr


def test_what_isnt_there_is_told(house: House, tmp_path: Path) -> None:
    """A front that is away fails the test, by name."""
    nowhere = ports.choose(("imaps",))["imaps"]
    ran = run(house.environment(tmp_path) | {"IMAPS": f"{ports.HOST}:{nowhere}"})
    assert ran.returncode == 1
    assert ran.stdout.splitlines()[-1] == "IMAP: all there"
    assert DOMAIN not in house.system.postroom("domain", "list", "--json")
