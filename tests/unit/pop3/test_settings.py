"""Settings that can't be used are told, all at once."""

from __future__ import annotations

import pytest
from postroom_chassis.settings import load
from postroom_pop3.settings import Pop3Settings

NEEDED = {
    "POSTROOM_RPC_CERTIFICATE": "pop3.pem",
    "POSTROOM_RPC_KEY": "pop3.key",
    "POSTROOM_RPC_AUTHORITY": "ca.pem",
    "POSTROOM_POP3_AUTH_ADDRESS": "auth:1",
    "POSTROOM_POP3_STORE_ADDRESS": "store:1",
}


def test_what_is_needed_is_enough() -> None:
    settings = load(Pop3Settings, NEEDED)
    assert [address.name for address in settings.addresses] == ["pop3"]
    assert not settings.clear_text_login


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LISTENERS", "pop3=nowhere"),
        ("LISTENERS", "pop3s=127.0.0.1:995;tls"),
        ("LISTENERS", "pop3=127.0.0.1:110;proxy"),
        ("KPOP_LISTENERS", "kpop=127.0.0.1:1109;tls"),
        ("KPOP_LISTENERS", "kpop=127.0.0.1:1109;proxy"),
        ("KPOP_LISTENERS", "pop3=127.0.0.1:1109"),
        ("KPOP_LISTENERS", "1109"),
        ("PROXY_NETWORKS", "everywhere"),
        ("IDLE_SECONDS", "0"),
        ("LEASE_RENEWAL_SECONDS", "21"),
        ("IDEL_SECONDS", "600"),
    ],
)
def test_mistakes_stop_the_start(name: str, value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(Pop3Settings, NEEDED | {f"POSTROOM_POP3_{name}": value})
    assert "POSTROOM_POP3_" in capsys.readouterr().err
