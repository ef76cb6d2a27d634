"""The chart: what the services are told, held against what they know."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from postroom_admin.settings import ApiSettings
from postroom_auth.settings import AuthSettings
from postroom_chassis import settings
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.net.listener import parse_listeners, parse_networks
from postroom_chassis.settings import ServiceSettings
from postroom_imap.settings import ImapSettings
from postroom_pop3.settings import Pop3Settings
from postroom_smtp.settings import SmtpSettings
from postroom_store.settings import StoreSettings
from pydantic import SecretStr

from tests.deploy.chart import CHART, VARIANTS, Object, Pod, of_kind, pods, render, variant
from tests.harness.clients import require

SIDECAR = CHART.parents[1] / "tls/haproxy.cfg"

SETTINGS: dict[str, type[ServiceSettings]] = {
    "auth": AuthSettings,
    "store": StoreSettings,
    "smtp": SmtpSettings,
    "imap": ImapSettings,
    "pop3": Pop3Settings,
    "admin": ApiSettings,
}
# What files would hold, by the setting.
CONTENTS = {
    "DATABASE_URL": "postgresql://postroom:secret@database/postroom",
    "SECRETS_KEYS": "one:" + base64.b64encode(bytes(32)).decode(),
}
SCHEMA: Object = json.loads((CHART / "values.schema.json").read_text())
# Values with which the chart decides all that it ever does.
DECIDING: list[Object] = [
    {
        "hostname": "mail.example.org",
        "tls": {"clientAuthority": {"secretName": "people"}, "sidecar": {"enabled": sidecar}},
        "tracing": {"endpoint": "http://collector:4317"},
    }
    for sidecar in (True, False)
]
# Settings that have no place in a pod.
UNWANTED = {
    "admin": {"ENV"},
    "auth": {"MIGRATE"},
    "pop3": {"KPOP_LISTENERS"},  # a port of the chart's
}


def told(service: str, env: dict[str, str], folder: Path) -> dict[str, str]:
    """A service's environment, where the files that hold values are there."""
    prefix, told = f"POSTROOM_{service.upper()}_", {}
    for name, value in env.items():
        if name.startswith(prefix) and name.endswith("_FILE"):
            held = folder / name
            field = name.removeprefix(prefix).removesuffix("_FILE")
            held.write_text(CONTENTS.get(field, "something"))
            value = str(held)
        told[name] = value
    return told


def environments(name: str) -> Iterator[tuple[Pod, str, dict[str, str]]]:
    """Who is told what: the services themselves, and the jobs that migrate."""
    for pod in pods(variant(name)):
        service = pod.component.removesuffix("-migrations")
        if service in SETTINGS:
            main = pod.container("migrations" if service != pod.component else service)
            yield pod, service, main.env


@pytest.mark.parametrize("name", VARIANTS)
def test_services_take_what_they_are_told(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for pod, service, env in environments(name):
        try:
            settings.load(SETTINGS[service], told(service, env, tmp_path))
        except SystemExit:
            pytest.fail(f"{pod}: {capsys.readouterr().err}")


@pytest.mark.parametrize("name", VARIANTS)
def test_no_variable_is_one_that_nobody_reads(name: str) -> None:
    shared = {f"POSTROOM_{field.upper()}" for field in ServiceSettings.model_fields}
    for pod, service, env in environments(name):
        prefix = f"POSTROOM_{service.upper()}_"
        for variable in env:
            if variable.startswith("POSTROOM_") and variable not in shared:
                assert variable.startswith(prefix), f"{pod}: {variable}"


@pytest.mark.parametrize("name", VARIANTS)
def test_fronts_listen_where_services_and_the_sidecar_lead(name: str) -> None:
    for pod in pods(variant(name)):
        if pod.component not in ("smtp", "imap", "pop3", "admin"):
            continue
        env = pod.container(pod.component).env
        listeners = [
            listener
            for name, value in env.items()
            if name.endswith("LISTENERS")
            for listener in parse_listeners(value)
        ]
        beside = {one.port for one in listeners if one.host == "127.0.0.1"}
        open_to_all = {one.port for one in listeners if one.host != "127.0.0.1"}
        declared = set(pod.container(pod.component).ports.values())
        assert open_to_all == declared - {8080}
        led_to = set()
        if any(one.name == "tls" for one in pod.containers):
            sidecar = pod.container("tls").env
            fronts = {v for k, v in sidecar.items() if k.endswith("_FRONT")}
            binds = {v for k, v in sidecar.items() if k.endswith("_BIND")}
            led_to = {int(front.removeprefix("127.0.0.1:")) for front in fronts}
            assert {int(bind.rpartition(":")[2]) for bind in binds} == set(
                pod.container("tls").ports.values()
            )
        assert beside == led_to


@pytest.mark.parametrize("name", VARIANTS)
def test_the_sidecar_takes_what_it_is_told(name: str, tmp_path: Path) -> None:
    require("" if shutil.which("haproxy") else "haproxy")
    make_development_certificates(tmp_path)
    (tmp_path / "tls.crt").write_bytes((tmp_path / "tls.pem").read_bytes())
    for pod in pods(variant(name)):
        for container in pod.containers:
            if container.name != "tls":
                continue
            env = {
                key: value.replace("/etc/postroom/tls/", f"{tmp_path}/").replace(
                    "/etc/postroom/client-authority/ca.crt", f"{tmp_path}/ca.pem"
                )
                for key, value in container.env.items()
            }
            ran = subprocess.run(
                ["haproxy", "-c", "-f", SIDECAR],
                env={**os.environ, **env},
                capture_output=True,
                text=True,
            )
            assert ran.returncode == 0, f"{container}: {ran.stderr}"


def test_proxy_headers_are_believed_from_loopback_and_balancers_alone() -> None:
    for pod in pods(variant("proxy")):
        if pod.component in ("smtp", "imap", "pop3"):
            env = pod.container(pod.component).env
            networks = parse_networks(env[f"POSTROOM_{pod.component.upper()}_PROXY_NETWORKS"])
            assert sorted(map(str, networks)) == ["127.0.0.1/32", "192.0.2.0/24", "198.51.100.7/32"]
            assert pod.container("tls").env["POSTROOM_TLS_PROXY_NETWORKS"] == (
                "192.0.2.0/24 198.51.100.7/32"
            )
    outside = of_kind(variant("proxy"), "Service")["mail-postroom-imap-clients"]
    targets = {port["name"]: port["targetPort"] for port in outside["spec"]["ports"]}
    assert targets == {"imap": 12143, "imaps": 4993}


@pytest.mark.parametrize("service", SETTINGS)
def test_the_schema_knows_the_settings(service: str) -> None:
    """Those that the chart doesn't decide itself, and secret ones from Secrets alone."""
    fields = SETTINGS[service].model_fields
    secret = {name.upper() for name, field in fields.items() if field.annotation is SecretStr}
    decided = {
        variable.removeprefix(f"POSTROOM_{service.upper()}_").removeprefix("POSTROOM_")
        for values in DECIDING
        for pod in pods(render(values))
        if pod.component == service
        for variable in pod.container(service).env
    }
    decided |= {name.removesuffix("_FILE") for name in decided} | UNWANTED.get(service, set())
    free = {name.upper() for name in fields} - (decided - {"LOG_LEVEL", "LOG_FORMAT"})
    definitions = SCHEMA["$defs"]
    assert set(definitions[f"{service}-setting"]["enum"]) == free - secret
    assert set(definitions.get(f"{service}-secret", {}).get("enum", ())) == free & secret
