"""Alerts and dashboards: they ask for what there is, fire when they should, and reach the chart."""

from __future__ import annotations

import importlib
import json
import pkgutil
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import postroom_admin
import postroom_auth
import postroom_chassis
import postroom_imap
import postroom_pop3
import postroom_smtp
import postroom_store
import pytest
import yaml
from prometheus_client import REGISTRY

from tests.deploy.chart import Object, of_kind, variant
from tests.harness.clients import require

OBSERVABILITY = Path(__file__).resolve().parents[2] / "deploy/observability"
DASHBOARDS = sorted((OBSERVABILITY / "dashboards").glob("*.json"))
ALERTS = OBSERVABILITY / "alerts.yaml"
OPERATORS = Path(__file__).resolve().parents[2] / "docs/operators.md"
PACKAGES = (
    postroom_admin,
    postroom_auth,
    postroom_chassis,
    postroom_imap,
    postroom_pop3,
    postroom_smtp,
    postroom_store,
)
# What Prometheus, Kubernetes or HAProxy bring.
FOREIGN = re.compile(r"up|process_[a-z_]+|kubelet_[a-z_]+|haproxy_[a-z_]+")
BROUGHT_LABELS = {"job", "instance", "namespace", "le", "persistentvolumeclaim"}
NAME = re.compile(r"\b(?:postroom|process|kubelet|haproxy)_[a-z0-9_]+\b|\bup\b")
LABEL_LISTS = re.compile(r"(?:by|on) \(([a-z_, ]*)\)")
SELECTORS = re.compile(r"\b(postroom_[a-z0-9_]+)\{([^}]*)\}")
LABEL = re.compile(r"([a-z_]+)=")


def promtool(*arguments: str | Path) -> str:
    require("" if shutil.which("promtool") else "promtool")
    ran = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def queries(board: Path) -> Iterator[str]:
    for panel in json.loads(board.read_text())["panels"]:
        for target in panel.get("targets", ()):
            yield target["expr"]


def rules() -> list[Object]:
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    found: list[Object] = group["rules"]
    return found


EVERY_QUERY = [
    *((board.stem, query) for board in DASHBOARDS for query in queries(board)),
    *((rule["alert"], rule["expr"]) for rule in rules()),
]


@pytest.fixture(scope="module")
def metrics() -> dict[str, set[str]]:
    """The labels of every metric that a service has, by the names that Prometheus sees."""
    for package in PACKAGES:
        for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if "__main__" not in found.name and "migrations" not in found.name:
                importlib.import_module(found.name)
    known = REGISTRY._names_to_collectors
    return {
        name: set(getattr(collector, "_labelnames", ()))
        for name, collector in known.items()
        if name.startswith("postroom_")
    }


@pytest.mark.parametrize(("where", "query"), EVERY_QUERY)
def test_a_query_asks_for_what_there_is(
    where: str, query: str, metrics: dict[str, set[str]]
) -> None:
    names = set(NAME.findall(query))
    assert names
    ours = {name for name in names if not FOREIGN.fullmatch(name)}
    assert ours <= set(metrics)
    labels = set().union(*(metrics[name] for name in ours)) | BROUGHT_LABELS
    for listed in LABEL_LISTS.findall(query):
        assert set(filter(None, listed.split(", "))) <= labels
    for name, selector in SELECTORS.findall(query):
        assert set(LABEL.findall(selector)) <= metrics[name] | BROUGHT_LABELS


def test_every_metric_is_on_a_dashboard() -> None:
    told = set(re.findall(r"`(postroom_[a-z0-9_]+)[`{]", OPERATORS.read_text()))
    shown = " ".join(query for board in DASHBOARDS for query in queries(board))
    assert {name for name in told if name not in shown} == set()


def test_prometheus_reads_every_query(tmp_path: Path) -> None:
    """As rules, which is how promtool reads them: Grafana puts its variables in their place."""
    asked = [
        {"record": "asked", "expr": query.replace("$__rate_interval", "5m")}
        for _, query in EVERY_QUERY
    ]
    for number, one in enumerate(asked):
        one["labels"] = {"number": str(number)}
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "asked", "rules": asked}]}))
    assert f"{len(asked)} rules found" in promtool("check", "rules", file)
    promtool("check", "rules", ALERTS)


# Alerts. Series are promtool's: start, step a minute, times.

DAY = 24 * 60


@dataclass(frozen=True)
class Case:
    """Series with which an alert fires, with labels, at a time; and such with which it doesn't.

    Attributes:
        also: others with which it fires: a counter that nothing has counted yet isn't there.
    """

    fires: dict[str, str]
    labels: tuple[dict[str, str], ...]
    silent: dict[str, str]
    minutes: int = 60
    also: dict[str, str] | None = None


UP = 'up{job="store",instance="%s"}'
MESSAGES = 'postroom_smtp_messages_total{outcome="%s"}'
RPC = 'postroom_rpc_calls_total{job="store",method="/m",caller="imap",outcome="%s"}'
WAITING = 'postroom_store_queue_entries{state="waiting"}'
SETTLED = 'postroom_store_queue_settled_total{outcome="delivered"}'
ATTEMPTS = 'postroom_smtp_attempts_total{outcome="%s"}'
REFUSED = 'postroom_connections_refused_total{job="imap",listener="imaps",why="%s"}'
LOGINS = 'postroom_auth_logins_total{protocol="imap",mechanism="PLAIN",outcome="%s"}'
SECONDS = 'postroom_rpc_seconds_bucket{job="store",method="/service/Append",le="%s"}'
ROOM = 'kubelet_volume_stats_%s_bytes{persistentvolumeclaim="mail-postroom-store"}'

CASES: dict[str, Case] = {
    "PostroomServiceAway": Case(
        {UP % "a": "0x90", UP % "b": "0x90"},
        ({"job": "store"},),
        {UP % "a": "0x90", UP % "b": "1x90"},
        minutes=90,
        also={UP % "a": "1x40 stale"},
    ),
    "PostroomReplicaAway": Case(
        {UP % "a": "0x60", UP % "b": "1x60"},
        ({"job": "store", "instance": "a"},),
        {UP % "a": "1x60", UP % "b": "1x60"},
    ),
    "PostroomMailPutOff": Case(
        {MESSAGES % "250 2.0.0": "0+60x60", MESSAGES % "451 4.3.0": "0+60x60"},
        ({},),
        {MESSAGES % "250 2.0.0": "0+60x60", MESSAGES % "451 4.3.0": "0+1x60"},
    ),
    "PostroomFaults": Case(
        {RPC % "INTERNAL": "0x55 1x5"},
        ({"job": "store", "method": "/m"},),
        {RPC % "INTERNAL": "1x60", RPC % "UNAVAILABLE": "0+9x60"},
    ),
    "PostroomQueueStuck": Case(
        {WAITING: "500x60", SETTLED: "9x60"},
        ({},),
        {WAITING: "500x60", SETTLED: "0+1x60"},
        also={WAITING: "500x60"},
    ),
    "PostroomQueueGrows": Case({WAITING: "20000x60"}, ({},), {WAITING: "2000x60"}),
    "PostroomDestinationsFail": Case(
        {"postroom_store_queue_failing_destinations": "300x60"},
        ({},),
        {"postroom_store_queue_failing_destinations": "3x60"},
    ),
    "PostroomSendingRefused": Case(
        {ATTEMPTS % "failed": "0+60x120", ATTEMPTS % "delivered": "0+60x120"},
        ({},),
        # Half of very little is nothing to be told.
        {ATTEMPTS % "failed": "0+1x120", ATTEMPTS % "delivered": "0+1x120"},
        minutes=110,
    ),
    "PostroomConnectionsRefused": Case(
        {REFUSED % "connections": "0x55 9x5"},
        ({"job": "imap", "listener": "imaps"},),
        {REFUSED % "per_address": "0+9x60"},
    ),
    "PostroomProxyUnknown": Case(
        {REFUSED % "untrusted_proxy": "0+9x60"},
        ({"job": "imap", "listener": "imaps"},),
        {REFUSED % "untrusted_proxy": "3x60"},
    ),
    "PostroomSignInsWait": Case(
        {"postroom_auth_hashes_waiting": "50x60"}, ({},), {"postroom_auth_hashes_waiting": "2x60"}
    ),
    "PostroomPasswordsGuessed": Case(
        {LOGINS % "UNAUTHENTICATED": "0+600x60", LOGINS % "OK": "0+6x60"},
        ({"protocol": "imap"},),
        {LOGINS % "UNAUTHENTICATED": "0+600x60", LOGINS % "OK": "0+600x60"},
        also={LOGINS % "UNAUTHENTICATED": "0+600x60"},
    ),
    "PostroomAuditLost": Case(
        {"postroom_auth_audit_dropped_total": "0x30 5x30"},
        ({},),
        {"postroom_auth_audit_dropped_total": "5x60"},
    ),
    "PostroomSlow": Case(
        {SECONDS % "1": "0+50x60", SECONDS % "5": "0+100x60", SECONDS % "+Inf": "0+100x60"},
        ({"job": "store"},),
        {SECONDS % "1": "0+99x60", SECONDS % "5": "0+100x60", SECONDS % "+Inf": "0+100x60"},
    ),
    "PostroomVolumeFills": Case(
        {ROOM % "available": "5x60", ROOM % "capacity": "100x60"},
        ({"persistentvolumeclaim": "mail-postroom-store"},),
        {ROOM % "available": "50x60", ROOM % "capacity": "100x60"},
    ),
}


def test_every_alert_has_a_case() -> None:
    assert set(CASES) == {rule["alert"] for rule in rules()}


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_when_it_should(name: str, tmp_path: Path) -> None:
    (rule,) = (rule for rule in rules() if rule["alert"] == name)
    case = CASES[name]

    def one(series: dict[str, str], fired: Any) -> Object:
        return {
            "interval": "1m",
            "input_series": [{"series": s, "values": values} for s, values in series.items()],
            "alert_rule_test": [
                {"eval_time": f"{case.minutes}m", "alertname": name, "exp_alerts": fired}
            ],
        }

    bare = {key: value for key, value in rule.items() if key != "annotations"}
    alone = tmp_path / "alone.yaml"
    alone.write_text(yaml.safe_dump({"groups": [{"name": "alone", "rules": [bare]}]}))
    fired = [{"exp_labels": rule["labels"] | labels} for labels in case.labels]
    tests = tmp_path / "tests.yaml"
    tests.write_text(
        yaml.safe_dump(
            {
                "rule_files": [str(alone)],
                "evaluation_interval": "1m",
                "tests": [
                    *(one(series, fired) for series in (case.fires, case.also) if series),
                    one(case.silent, []),
                ],
            }
        )
    )
    promtool("test", "rules", tests)


# The chart.


def test_the_chart_brings_the_alerts_and_dashboards_that_are_here() -> None:
    made = of_kind(variant("postgresql"), "PrometheusRule")["mail-postroom-alerts"]
    assert made["spec"] == yaml.safe_load(ALERTS.read_text())
    assert made["metadata"]["labels"]["release"] == "prometheus"
    for board in DASHBOARDS:
        made = of_kind(variant("postgresql"), "ConfigMap")[f"mail-postroom-dashboard-{board.stem}"]
        assert made["data"] == {board.name: board.read_text()}
        assert made["metadata"]["labels"]["grafana_dashboard"] == "1"


def test_prometheus_is_led_to_every_service() -> None:
    objects = variant("postgresql")
    monitor = of_kind(objects, "ServiceMonitor")["mail-postroom-services"]["spec"]
    wanted = monitor["selector"]["matchLabels"]
    # A sidecar is a job of its own: else it would hide that its front is away.
    jobs = {
        endpoint["port"]: [one["replacement"] for one in endpoint.get("relabelings", ())]
        for endpoint in monitor["endpoints"]
    }
    assert jobs == {"http": [], "tls-http": ["tls"]}
    ports = set(jobs)
    led_to = {
        (service["metadata"]["labels"]["app.kubernetes.io/component"], port["name"])
        for service in of_kind(objects, "Service").values()
        if wanted.items() <= service["metadata"]["labels"].items()
        for port in service["spec"]["ports"]
        if port["name"] in ports
    }
    services = ("auth", "store", "smtp", "imap", "pop3", "admin")
    assert led_to == {(name, "http") for name in services} | {
        (name, "tls-http") for name in services[2:]
    }
    # A job bears its service's name, as alerts and dashboards have it.
    assert monitor["jobLabel"] == "app.kubernetes.io/component"
