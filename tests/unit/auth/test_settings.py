"""Settings that can't be used are all told at once."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from postroom_auth.directory_settings import OidcSettings
from postroom_auth.domain.sasl.offer import Offer
from postroom_auth.settings import AuthSettings
from postroom_chassis.settings import ServiceSettings, load

NEEDED = {
    "POSTROOM_RPC_CERTIFICATE": "a.pem",
    "POSTROOM_RPC_KEY": "a.key",
    "POSTROOM_RPC_AUTHORITY": "ca.pem",
    "POSTROOM_AUTH_TICKET_KEY": "ticket.key",
}


def test_the_least_that_is_needed() -> None:
    settings = load(AuthSettings, NEEDED)
    assert settings.offers()["imap"].secure >= {"PLAIN", "LOGIN"}
    assert settings.offers()["imap"].clear.isdisjoint({"PLAIN", "LOGIN"})
    assert settings.ticket_seconds == 300


def test_a_database_url_comes_from_a_file_and_is_not_shown(tmp_path: Path) -> None:
    secret = tmp_path / "url"
    secret.write_text("postgresql://auth:hunter2@db/auth\n")
    settings = load(AuthSettings, {**NEEDED, "POSTROOM_AUTH_DATABASE_URL_FILE": str(secret)})
    assert settings.database_url.get_secret_value() == "postgresql://auth:hunter2@db/auth"
    assert "hunter2" not in repr(settings)


def test_names_are_normalised() -> None:
    settings = load(
        AuthSettings,
        {
            **NEEDED,
            "POSTROOM_AUTH_DEFAULT_DOMAIN": "xn--bcher-kva.EXAMPLE",
            "POSTROOM_AUTH_POSTMASTER": "Ann@Example.ORG",
        },
    )
    assert settings.default_domain == "b\u00fccher.example"
    assert settings.postmaster == "ann@example.org"


def test_a_protocol_may_have_mechanisms_of_its_own() -> None:
    lists = {"POSTROOM_AUTH_MECHANISMS": "LOGIN", "POSTROOM_AUTH_MECHANISMS_POP3": "PLAIN:clear"}
    offers = load(AuthSettings, {**NEEDED, **lists}).offers()
    assert (
        offers["imap"]
        == offers["smtp"]
        == offers["api"]
        == Offer(frozenset({"LOGIN"}), frozenset())
    )
    assert offers["pop3"] == Offer(frozenset({"PLAIN"}), frozenset({"PLAIN"}))


def test_every_wrong_value_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {
        "TICKET_SECONDS": "soon",
        "MECHANISMS": "PLAIN,MAGIC",
        "MECHANISMS_POP3": "PLAIN:sometimes",
        "DEFAULT_DOMAIN": "-",
        "POSTMASTER": "nobody",
        "THROTTLE_EXEMPT": "10.0.0.0/99",
        "TICKET_SECOND": "300",
    }
    with pytest.raises(SystemExit):
        load(AuthSettings, {f"POSTROOM_AUTH_{name}": value for name, value in wrong.items()})
    told = capsys.readouterr().err
    for name in (*wrong, "TICKET_KEY", "RPC_KEY"):
        assert f"POSTROOM_AUTH_{name}: " in told


LDAP = {
    "kind": "ldap",
    "domains": ["Example.ORG"],
    "url": "ldaps://ldap.example.org",
    "people_base": "ou=people,dc=example,dc=org",
}


def directories(**named: object) -> dict[str, str]:
    return {**NEEDED, "POSTROOM_AUTH_DIRECTORIES": json.dumps(named)}


def test_directories_are_a_document(tmp_path: Path) -> None:
    secret = tmp_path / "directories.json"
    document = {"office": {**LDAP, "bind_dn": "cn=mail", "bind_password": "hunter2"}}
    secret.write_text(json.dumps(document))
    settings = load(AuthSettings, {**NEEDED, "POSTROOM_AUTH_DIRECTORIES_FILE": str(secret)})
    assert settings.directories["office"].domains == ("example.org",)
    assert "hunter2" not in repr(settings)


def test_everything_wrong_in_a_directory_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    wrong = {
        "domains": ["-"],
        "url": "http://ldap",
        "people_filter": "(mail=*))(",
        "seconds": 0,
        "sign_in_filtr": "()",
    }
    with pytest.raises(SystemExit):
        load(AuthSettings, directories(office={**LDAP, **wrong}))
    told = capsys.readouterr().err
    for name in wrong:
        assert re.search(rf"POSTROOM_AUTH_DIRECTORIES: office\.(ldap\.)?{name}", told), told


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"url": "ldap://ldap.example.org"}, "clear text"),
        ({"url": "ldap://ldap.example.org ldaps://ldap2.example.org"}, "clear text"),
        ({"start_tls": True}, "start_tls"),
        ({"bind_dn": "cn=mail"}, "go together"),
        ({"kind": "nis"}, "'kind'"),
    ],
)
def test_a_directory_that_is_not_safe_is_refused(
    capsys: pytest.CaptureFixture[str], changes: dict[str, object], told: str
) -> None:
    with pytest.raises(SystemExit):
        load(AuthSettings, directories(office={**LDAP, **changes}))
    assert told in capsys.readouterr().err


def test_a_domain_has_one_directory_of_a_kind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        load(AuthSettings, directories(one=LDAP, two={**LDAP, "domains": ["example.org"]}))
    assert "claim example.org" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        load(AuthSettings, {**NEEDED, "POSTROOM_AUTH_DIRECTORIES": "{"})
    assert "not JSON" in capsys.readouterr().err


def test_every_setting_is_in_the_readme_and_described() -> None:
    readme = (Path(__file__).parents[3] / "services/auth/README.md").read_text()
    own = AuthSettings.model_fields.keys() - ServiceSettings.model_fields.keys()
    for name in own:
        assert f"`{name.upper()}`" in readme
        assert AuthSettings.model_fields[name].description


OIDC = {
    "kind": "oidc",
    "domains": ["example.org"],
    "issuer": "https://login.example.org/realm/",
    "audience": ["postroom"],
}


def test_an_issuer_and_an_ldap_server_may_know_one_domain() -> None:
    settings = load(AuthSettings, directories(people=LDAP, login=OIDC))
    issuer = settings.directories["login"]
    assert isinstance(issuer, OidcSettings)
    expected = "https://login.example.org/realm/.well-known/openid-configuration"
    assert issuer.configuration_url == expected


@pytest.mark.parametrize(
    "wrong",
    [
        {"issuer": "http://login.example.org"},
        {"issuer": "login.example.org"},
        {"jwks_url": "http://login.example.org/keys"},
        {"audience": []},
        {"algorithms": ["none"]},
        {"algorithms": ["HS256"]},
        {"check": "introspection"},
        {"kind": "saml"},
    ],
    ids=str,
)
def test_an_issuer_that_is_not_safe_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(SystemExit):
        load(AuthSettings, directories(login={**OIDC, **wrong}))


@pytest.mark.parametrize(
    "wrong",
    [
        {"POSTROOM_AUTH_KEYTAB": "mail.keytab"},
        {"POSTROOM_AUTH_KERBEROS_REALMS": "EXAMPLE.ORG=example.org"},
        {"POSTROOM_AUTH_KEYTAB": "x", "POSTROOM_AUTH_KERBEROS_REALMS": "EXAMPLE.ORG"},
    ],
)
def test_a_keytab_goes_with_realms(wrong: dict[str, str]) -> None:
    with pytest.raises(SystemExit):
        load(AuthSettings, {**NEEDED, **wrong})
