"""The chart as Helm renders it, and what tests ask of its objects."""

from __future__ import annotations

import functools
import importlib.util
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import yaml

if importlib.util.find_spec("helm_python") is None:
    pytest.skip("Helm's library isn't made for this machine", allow_module_level=True)

import helm_python as helm

__all__ = [
    "CHART",
    "NAMESPACE",
    "VARIANTS",
    "Container",
    "Object",
    "Pod",
    "helm",
    "of_kind",
    "pods",
    "render",
    "selects",
    "values_of",
    "variant",
]

CHART = Path(__file__).resolve().parents[2] / "deploy/helm/postroom"
VARIANTS = sorted(path.name.removesuffix("-values.yaml") for path in (CHART / "ci").iterdir())
RELEASE = "mail"
NAMESPACE = "post"

Object = dict[str, Any]


def values_of(variant: str) -> Object:
    """The values of a file in ci/."""
    read: Object = yaml.safe_load((CHART / "ci" / f"{variant}-values.yaml").read_text())
    return read


def render(
    values: Object, *, name: str = RELEASE, cluster: helm.Config | None = None
) -> list[Object]:
    """The objects that the chart makes of values, hooks and tests included.

    Args:
        cluster: where `lookup` looks; none: it finds nothing.
    """
    with helm.Chart.load(CHART) as chart:
        if cluster is None:
            files = chart.render(values, name=name, namespace=NAMESPACE)
        else:
            files = cluster.render(chart, values, name=name, namespace=NAMESPACE, is_upgrade=True)
    return [
        made
        for path, text in files.items()
        if path.endswith(".yaml")
        for made in yaml.safe_load_all(text)
        if made
    ]


@functools.cache
def variant(name: str) -> tuple[Object, ...]:
    """The objects of a variant in ci/."""
    return tuple(render(values_of(name)))


def of_kind(objects: Iterable[Object], *kinds: str) -> dict[str, Object]:
    """Those of some kinds, by name."""
    return {one["metadata"]["name"]: one for one in objects if one["kind"] in kinds}


@dataclass(frozen=True)
class Container:
    """A container of a pod.

    Attributes:
        lasts: whether it is to run for ever, and so needs probes.
    """

    pod: Pod
    spec: Object
    lasts: bool

    @property
    def name(self) -> str:
        return str(self.spec["name"])

    @property
    def env(self) -> dict[str, str]:
        return {one["name"]: one["value"] for one in self.spec.get("env", ()) if "value" in one}

    @property
    def ports(self) -> dict[str, int]:
        return {one["name"]: one["containerPort"] for one in self.spec.get("ports", ())}

    def __str__(self) -> str:
        return f"{self.pod}, container {self.name}"


@dataclass(frozen=True)
class Pod:
    """A pod, or the template of one.

    Attributes:
        owner: the object that makes it.
        component: the service that it is of.
    """

    owner: Object
    metadata: Object
    spec: Object
    containers: list[Container] = field(default_factory=list)

    @property
    def component(self) -> str:
        return str(self.metadata["labels"]["app.kubernetes.io/component"])

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.metadata["labels"])

    def container(self, name: str) -> Container:
        return next(one for one in self.containers if one.name == name)

    def __str__(self) -> str:
        return f"{self.owner['kind']} {self.owner['metadata']['name']}"


def pods(objects: Iterable[Object]) -> Iterator[Pod]:
    """The pods of all objects that make some."""
    for owner in objects:
        if owner["kind"] == "Pod":
            template = owner
        elif owner["kind"] in ("Deployment", "StatefulSet", "Job"):
            template = owner["spec"]["template"]
        else:
            continue
        pod = Pod(owner, template["metadata"], template["spec"])
        lasts = owner["kind"] in ("Deployment", "StatefulSet")
        for one in template["spec"].get("initContainers", ()):
            pod.containers.append(Container(pod, one, one.get("restartPolicy") == "Always"))
        for one in template["spec"]["containers"]:
            pod.containers.append(Container(pod, one, lasts))
        yield pod


def selects(selector: Object, labels: dict[str, str]) -> bool:
    """Whether a label selector (matchLabels alone) selects what bears labels."""
    wanted = selector.get("matchLabels", {}).items()
    assert not set(selector) - {"matchLabels"}, selector
    return all(labels.get(key) == value for key, value in wanted)
