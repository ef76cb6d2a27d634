"""The locks agree with each other and with what the packages name."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
PIN = re.compile(r"^([a-z0-9][a-z0-9.-]*)(?:\[[a-z,]*\])?==([^ ;\\]+)", re.MULTILINE)
SERVICES = sorted(path.parent.name for path in REPOSITORY.glob("services/*/pyproject.toml"))


def locked(name: str) -> dict[str, str]:
    text = (REPOSITORY / f"requirements/{name}.txt").read_text()
    return dict(PIN.findall(text))


@pytest.mark.parametrize("name", [*SERVICES, "build", "run"])
def test_what_runs_is_what_was_tested(name: str) -> None:
    tested = locked("dev")

    assert locked(name)
    assert {package: tested.get(package) for package in locked(name)} == locked(name)


@pytest.mark.parametrize("service", SERVICES)
def test_a_lock_holds_what_its_service_names(service: str) -> None:
    project = tomllib.loads((REPOSITORY / f"services/{service}/pyproject.toml").read_text())
    named = {re.split(r"[\[<>=~ ]", need)[0] for need in project["project"]["dependencies"]}
    foreign = {name for name in named if not name.startswith("postroom-")}

    assert foreign <= locked(service).keys()
    assert {"grpcio", "uvloop"} <= locked(service).keys()  # of the chassis


@pytest.mark.parametrize("name", ["build", "dev", "native", "run", "scan", *SERVICES])
def test_locks_name_no_index(name: str) -> None:
    text = (REPOSITORY / f"requirements/{name}.txt").read_text()

    assert "://" not in text
    assert "--index" not in text
