"""The chart: rendered by Helm for each file in ci/, and held against rules, schemas and settings."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import helm_python as helm
import kubernetes_validate
import pytest
from kubernetes_validate import utils as kubernetes_schemas
from postroom_chassis.net.listener import parse_listeners, parse_networks

from tests.deploy.chart import CHART, VARIANTS, Object, of_kind, pods, render, values_of, variant
from tests.deploy.policies import RULES, faults

# The oldest that the chart is for, and the newest whose schemas there are.
KUBERNETES = ("1.29", kubernetes_validate.latest_version())
# Of others' operators: Kubernetes has no schemas of these.
FOREIGN = {"cert-manager.io/v1", "monitoring.coreos.com/v1"}


@pytest.fixture(autouse=True, scope="module")
def read_once() -> Iterator[None]:
    """The library would read the same megabytes again for each object."""
    read = kubernetes_schemas.schema_contents
    kubernetes_schemas.schema_contents = functools.cache(read)
    yield
    kubernetes_schemas.schema_contents = read


@pytest.mark.parametrize("name", VARIANTS)
def test_helm_lints_it(name: str) -> None:
    report = helm.lint(CHART, values_of(name), strict=True, kube_version="v1.29.0")
    assert report["errors"] == []
    assert [one["error"] for one in report["messages"]] == ["icon is recommended"]


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("name", VARIANTS)
def test_kubernetes_takes_it(name: str, version: str) -> None:
    for made in variant(name):
        if made["apiVersion"] not in FOREIGN:
            kubernetes_validate.validate(made, version, strict=True)


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("name", VARIANTS)
def test_every_rule_holds(name: str, rule: str) -> None:
    assert faults(rule, variant(name)) == []
