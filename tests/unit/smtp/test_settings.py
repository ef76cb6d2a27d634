"""Settings that can't be used are told, all at once."""

from __future__ import annotations

import pytest
from postroom_chassis.settings import load
from postroom_smtp.settings import Role, SmtpSettings, role_of

NEEDED = {
    "POSTROOM_RPC_CERTIFICATE": "smtp.pem",
    "POSTROOM_RPC_KEY": "smtp.key",
    "POSTROOM_RPC_AUTHORITY": "ca.pem",
    "POSTROOM_SMTP_AUTH_ADDRESS": "auth:1",
    "POSTROOM_SMTP_STORE_ADDRESS": "store:1",
}


def test_what_is_needed_is_enough() -> None:
    settings = load(SmtpSettings, NEEDED)
    roles = {address.name: role_of(address) for address in settings.addresses}
    assert roles == {"mx": Role.MX, "submission": Role.SUBMISSION}
    assert settings.trusted == ()
    assert not settings.clear_text_login


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LISTENERS", "smtp=127.0.0.1:25"),
        ("LISTENERS", "mx=nowhere"),
        ("LISTENERS", "submissions=127.0.0.1:465;tls"),
        ("LISTENERS", "mx=127.0.0.1:25;proxy"),
        ("TRUSTED_NETWORKS", "everybody"),
        ("HOSTNAME", "two words"),
        ("BARE_NEWLINES", "whatever"),
        ("RECIPIENTS", "10"),
        ("RECIPIENT", "100"),
    ],
)
def test_mistakes_stop_the_start(name: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(SmtpSettings, NEEDED | {f"POSTROOM_SMTP_{name}": value})
    assert "POSTROOM_SMTP_" in capsys.readouterr().err
