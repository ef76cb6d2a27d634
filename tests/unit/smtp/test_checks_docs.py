"""What docs/checks.md says of settings is so."""

from __future__ import annotations

import re
from pathlib import Path

from postroom_smtp.checks.settings import CheckSettings
from pydantic import SecretStr

PAGE = (Path(__file__).parents[3] / "docs/checks.md").read_text()
ROW = re.compile(r"^\| ((?:`[A-Z_]+`(?:, )?)+) \|([^|]*)\|", re.MULTILINE)


def told() -> dict[str, str]:
    """Names and defaults; names that share a row share a default, or have a list of them."""
    found: dict[str, str] = {}
    for names, defaults in ROW.findall(PAGE):
        each = re.findall(r"`([A-Z_]+)`", names)
        values = [defaults.strip(" `")] * len(each)
        if "`" not in defaults and "," in defaults:
            values = [value.strip() for value in defaults.split(",")]
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
    page = told()
    assert page.pop("RSPAMD_MALWARE").startswith("CLAM_VIRUS")
    del real["RSPAMD_MALWARE"]
    assert page == real


def test_every_metric_is_told() -> None:
    folder = Path(__file__).parents[3] / "services/smtp/src/postroom_smtp/checks"
    source = "".join(path.read_text() for path in folder.glob("*.py"))
    metrics = set(re.findall(r'"(postroom_smtp_\w+)"', source))
    assert metrics
    assert {metric for metric in metrics if metric not in PAGE} == set()
