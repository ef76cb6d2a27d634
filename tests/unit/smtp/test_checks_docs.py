"""What docs/checks.md says of settings is so."""

from __future__ import annotations

import re
from pathlib import Path

from postroom_smtp.checks.settings import CheckSettings
from pydantic import SecretStr

REPOSITORY = Path(__file__).parents[3]
PAGE = (REPOSITORY / "docs/checks.md").read_text()
ROW = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|([^|]*)\|", re.MULTILINE)


def told() -> dict[str, str]:
    """Names and defaults; names that share a row share a default, or have a list of them."""
    found: dict[str, str] = {}
    for names, defaults in ROW.findall(PAGE):
        each = re.findall(r"`([A-Z_]+)`", names)
        values = [defaults.strip(" `")] * len(each)
        if ", " in defaults:
            values = [value.strip() for value in defaults.split(", ")]
        found.update(zip(each, values, strict=True))
    return found


def default_of(value: object) -> str:
    match value:
        case "":
            return "none"
        case SecretStr():
            return "none"
        case bool():
            return str(value).lower()
        case float():
            return f"{value:g}"
        case _:
            return str(value)


def test_every_setting_is_told_with_its_default() -> None:
    fields = CheckSettings.model_fields
    real = {name.upper(): default_of(field.default) for name, field in fields.items()}
    assert told() == real


def test_every_metric_is_told() -> None:
    folder = REPOSITORY / "services/smtp/src/postroom_smtp/checks"
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    metrics = set(re.findall(r'"(postroom_smtp_\w+)"', source))
    assert metrics
    assert {metric for metric in metrics if metric not in PAGE} == set()


def test_whatever_is_told_is_shown_by_tests() -> None:
    shown = re.findall(r"`((?:test_|tests/)[a-z0-9_/]+\.py)`", PAGE)
    assert len(shown) > 10
    for file in shown:
        path = file if "/" in file else f"tests/unit/smtp/{file}"
        assert (REPOSITORY / path).is_file(), file
