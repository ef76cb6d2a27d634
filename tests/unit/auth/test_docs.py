"""What docs/authentication.md says of settings is so."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from postroom_auth.directory_settings import DirectorySettings, LdapSettings, OidcSettings
from postroom_auth.domain.sasl import MECHANISMS
from postroom_auth.domain.sasl.offer import Offer
from postroom_auth.settings import AuthSettings
from pydantic import SecretStr, TypeAdapter
from pydantic.fields import FieldInfo

PAGE = (Path(__file__).parents[3] / "docs/authentication.md").read_text()
ROW = re.compile(r"^\| ((?:`[\w-]+`(?:, )?)+) \|([^|]*)\|", re.MULTILINE)
EXAMPLE = re.compile(r"```json\n(.*?)```", re.DOTALL)
LIST = re.compile(r"^POSTROOM_AUTH_MECHANISMS\w*=(\S+)$", re.MULTILINE)


def rows(heading: str) -> dict[str, str]:
    """The names and the second column of the first table under a heading."""
    section = re.split(rf"^#+ {heading}$", PAGE, maxsplit=1, flags=re.MULTILINE)[1]
    table = re.split(r"^#", section, maxsplit=1, flags=re.MULTILINE)[0]
    return {
        name: second.strip(" `")
        for names, second in ROW.findall(table)
        for name in re.findall(r"`([\w-]+)`", names)
    }


def default_of(field: FieldInfo) -> str:
    if field.is_required():
        return ""
    match field.default:
        case None | "":
            return "none"
        case SecretStr():
            return "none"
        case bool(value):
            return str(value).lower()
        case tuple(values):
            return json.dumps(list(values))
        case float(value):
            return f"{value:g}"
        case value:
            return str(value)


def test_every_field_of_a_directory_is_told_with_its_default() -> None:
    common = {name: default_of(field) for name, field in DirectorySettings.model_fields.items()}
    told = rows("Every directory")
    assert told.pop("kind") == ""
    assert told == common
    for heading, settings in (("LDAP", LdapSettings), ("OAuth and OIDC", OidcSettings)):
        own = settings.model_fields.keys() - common.keys() - {"kind"}
        assert rows(heading) == {name: default_of(settings.model_fields[name]) for name in own}


@pytest.mark.parametrize("example", EXAMPLE.findall(PAGE))
def test_examples_of_directories_can_be_used(example: str) -> None:
    field = AuthSettings.model_fields["directories"].annotation
    TypeAdapter(field).validate_python(json.loads(example))


def test_every_mechanism_is_told_with_its_default() -> None:
    told = {name: default == "yes" for name, default in rows("Mechanisms").items()}
    assert told == {name: row.by_default for name, row in MECHANISMS.items() if not row.private}


def test_lists_of_mechanisms_can_be_used() -> None:
    assert len(LIST.findall(PAGE)) >= 3
    for listed in LIST.findall(PAGE):
        Offer.parse(listed, allow_cleartext=False)
