"""The chart: rendered by Helm for each file in ci/, and held against rules and schemas."""

from __future__ import annotations

import copy
import functools
from collections.abc import Iterator
from typing import Any

import kubernetes_validate
import pytest
from kubernetes_validate import utils as kubernetes_schemas

from tests.deploy.chart import CHART, VARIANTS, Object, helm, of_kind, values_of, variant
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


# A rule that nothing breaks shows nothing: each is broken once.


def deployment(objects: list[Object], name: str) -> Any:
    return of_kind(objects, "Deployment")[f"mail-postroom-{name}"]["spec"]


def container(objects: list[Object], name: str) -> Any:
    return deployment(objects, name)["template"]["spec"]["containers"][0]


def policy(objects: list[Object], name: str) -> Any:
    return of_kind(objects, "NetworkPolicy")[f"mail-postroom-{name}"]["spec"]


def without(objects: list[Object], kind: str, name: str) -> None:
    objects.remove(of_kind(objects, kind)[f"mail-postroom-{name}"])


BREAKS: list[tuple[str, Any]] = [
    ("restricted", lambda o: container(o, "imap")["securityContext"].pop("capabilities")),
    ("restricted", lambda o: deployment(o, "auth")["template"]["spec"].pop("securityContext")),
    ("no token", lambda o: deployment(o, "smtp")["template"]["spec"].pop("enableServiceLinks")),
    ("no token", lambda o: without(o, "ServiceAccount", "pop3")),
    ("resources", lambda o: container(o, "auth")["resources"].pop("limits")),
    ("probes", lambda o: container(o, "admin").pop("readinessProbe")),
    ("versions", lambda o: container(o, "smtp").update(image="registry:5000/postroom/smtp")),
    ("versions", lambda o: container(o, "smtp").update(image="postroom/smtp:latest")),
    (
        "drain",
        lambda o: deployment(o, "imap")["template"]["spec"].update(
            terminationGracePeriodSeconds=30
        ),
    ),
    ("mounts", lambda o: container(o, "smtp")["volumeMounts"].pop()),
    (
        "names",
        lambda o: of_kind(o, "Service")["mail-postroom-auth"]["metadata"].update(name=64 * "a"),
    ),
    ("default deny", lambda o: without(o, "NetworkPolicy", "default-deny")),
    ("every port", lambda o: policy(o, "imap")["ingress"].pop(0)),
    (
        "every port",
        lambda o: container(o, "imap")["ports"].append({"name": "more", "containerPort": 9}),
    ),
    ("callers", lambda o: policy(o, "store")["ingress"][0]["from"].pop()),
    ("callers", lambda o: policy(o, "imap")["egress"].pop(1)),
    ("callers", lambda o: policy(o, "auth")["ingress"].append({"ports": [{"port": 7400}]})),
    ("way out", lambda o: policy(o, "pop3")["egress"].append({"ports": [{"port": 25}]})),
    (
        "services",
        lambda o: of_kind(o, "Service")["mail-postroom-smtp-clients"]["spec"]["ports"][0].update(
            targetPort=25
        ),
    ),
    ("numbers", lambda o: deployment(o, "imap").update(replicas=1)),
    ("numbers", lambda o: without(o, "PodDisruptionBudget", "smtp")),
    ("one writer", lambda o: deployment(o, "auth").update(strategy={"type": "RollingUpdate"})),
    (
        "spread",
        lambda o: deployment(o, "pop3")["template"]["spec"]["topologySpreadConstraints"].pop(),
    ),
    (
        "kept",
        lambda o: of_kind(o, "PersistentVolumeClaim")["mail-postroom-store"]["metadata"].pop(
            "annotations"
        ),
    ),
]


@pytest.mark.parametrize(("rule", "break_it"), BREAKS)
def test_a_rule_finds_what_it_is_for(rule: str, break_it: Any) -> None:
    objects = copy.deepcopy(list(variant("minimal")))
    break_it(objects)
    assert faults(rule, objects) != []


def test_every_rule_is_broken_once() -> None:
    assert {rule for rule, _ in BREAKS} == set(RULES)


def test_kubernetes_schemas_refuse_what_it_doesnt_know() -> None:
    made = copy.deepcopy(deployment_of("imap"))
    made["spec"]["template"]["spec"]["containers"][0]["readynessProbe"] = {}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(made, KUBERNETES[0], strict=True)


def deployment_of(name: str) -> Object:
    return of_kind(variant("minimal"), "Deployment")[f"mail-postroom-{name}"]
