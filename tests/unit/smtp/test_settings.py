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
        ("TRUSTED_NETWORKS", "0.0.0.0/0"),
        ("TRUSTED_NETWORKS", "192.0.2.0/24, ::/0"),
        ("TRUSTED_NETWORKS", "0.0.0.0/1 128.0.0.0/1"),
        ("TRUSTED_NETWORKS", "::/1 8000::/2 c000::/2"),
        ("XCLIENT_NETWORKS", "0.0.0.0/0"),
        ("RELAY_DOMAINS", "*"),
        ("RELAY_DOMAINS", "."),
        ("RELAY_DOMAINS", "example.org,com"),
        ("RELAY_DOMAINS", ".example.org"),
        ("NO_SOLICITING", "everything"),
        ("GREETING_SECONDS", "-1"),
        ("LMTP_NETWORKS", "here"),
        ("LMTP_NETWORKS", "::/0"),
        ("LMTP_NETWORKS", "0.0.0.0/1 128.0.0.0/1"),
        ("PROXY_NETWORKS", "0.0.0.0/0"),
        ("PROXY_NETWORKS", "192.0.2.0/24, ::/0"),
        ("LISTENERS", "lmtp=127.0.0.1:25"),
    ],
)
def test_mistakes_stop_the_start(name: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(SmtpSettings, NEEDED | {f"POSTROOM_SMTP_{name}": value})
    assert "POSTROOM_SMTP_" in capsys.readouterr().err


def test_lists() -> None:
    settings = load(
        SmtpSettings,
        NEEDED
        | {
            "POSTROOM_SMTP_LISTENERS": "lmtp=127.0.0.1:24",
            "POSTROOM_SMTP_RELAY_DOMAINS": "One.example, two.example",
            "POSTROOM_SMTP_NO_SOLICITING": "net.example:ADV",
        },
    )
    assert [role_of(address) for address in settings.addresses] == [Role.LMTP]
    assert settings.relays == {"one.example", "two.example"}
    assert settings.refused_solicitations == ("net.example:adv",)
    assert [str(network) for network in settings.lmtp_clients] == ["127.0.0.0/8", "::1/128"]
