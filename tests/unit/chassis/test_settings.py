"""Settings from the environment."""

from __future__ import annotations

from pathlib import Path

import pytest
from postroom_chassis.net.listener import ListenAddress, parse_listeners, parse_networks
from postroom_chassis.settings import ServiceSettings, load
from pydantic import Field
from pydantic_settings import SettingsConfigDict

CERTIFICATES = {
    "POSTROOM_RPC_CERTIFICATE": "/c",
    "POSTROOM_RPC_KEY": "/k",
    "POSTROOM_RPC_AUTHORITY": "/a",
}


class TestingSettings(ServiceSettings):
    __test__ = False
    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="POSTROOM_TESTING_")

    count: int = Field(1, ge=1)
    password: str = ""


def test_a_service_takes_shared_and_own_variables() -> None:
    settings = load(
        TestingSettings,
        {**CERTIFICATES, "POSTROOM_LOG_LEVEL": "DEBUG", "POSTROOM_TESTING_COUNT": "3"},
    )
    assert (settings.log_level, settings.count) == ("DEBUG", 3)
    assert settings.rpc_tls.certificate == Path("/c")


def test_its_own_variable_wins_over_the_shared_one() -> None:
    environment = {
        **CERTIFICATES,
        "POSTROOM_LOG_LEVEL": "DEBUG",
        "POSTROOM_TESTING_LOG_LEVEL": "ERROR",
    }
    assert load(TestingSettings, environment).log_level == "ERROR"


def test_a_secret_comes_from_a_file(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("open sesame\n")
    environment = {**CERTIFICATES, "POSTROOM_TESTING_PASSWORD_FILE": str(secret)}
    assert load(TestingSettings, environment).password == "open sesame"


def test_every_error_is_told_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    environment = {
        "POSTROOM_TESTING_COUNT": "0",
        "POSTROOM_TESTING_CUONT": "1",
        "POSTROOM_TESTING_PASSWORD_FILE": "/nowhere/at/all",
    }
    with pytest.raises(SystemExit) as exit_:
        load(TestingSettings, environment)
    told = capsys.readouterr().err
    assert exit_.value.code == 1
    for word in ("COUNT", "CUONT: there is no such setting", "/nowhere/at/all", "RPC_KEY"):
        assert word in told


def test_listeners_are_parsed() -> None:
    text = "imap=127.0.0.1:143, imaps=[::1]:993;tls,p=0.0.0.0:0;proxy,s=::1:1;proxy;secure"
    assert parse_listeners(text) == (
        ListenAddress("imap", "127.0.0.1", 143),
        ListenAddress("imaps", "::1", 993, tls=True),
        ListenAddress("p", "0.0.0.0", 0, proxy=True),  # noqa: S104 (parsed, not listened on)
        ListenAddress("s", "::1", 1, proxy=True, secure=True),
    )


@pytest.mark.parametrize(
    "text",
    [
        "imap",
        "imap=143",
        "imap=h:x",
        "=h:1",
        "a=h:1;ssl",
        "a=h:1;tls;proxy",
        "a=h:1;secure",
        "a=h:1,a=h:2",
    ],
)
def test_a_bad_listener_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_listeners(text)


def test_networks_are_parsed() -> None:
    assert [str(network) for network in parse_networks("10.0.0.0/8, ::1 192.0.2.7")] == [
        "10.0.0.0/8",
        "::1/128",
        "192.0.2.7/32",
    ]
