"""A scanner finds nothing to complain about in the TLS that clients meet, wherever it ends."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.harness.clients import require
from tests.harness.system import MailSystem, running

SSLYZE = Path(__file__).resolve().parents[2] / ".venv/scan/bin/sslyze"
STARTTLS = {"imap": "imap", "pop3": "pop3", "smtp": "smtp", "submission": "smtp"}
PORTS = [*STARTTLS, "imaps", "pop3s", "submissions", "https"]

SCAN_SECONDS = 120.0


@pytest.fixture(scope="module", params=[True, False], ids=["sidecar", "native"])
def system(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[MailSystem]:
    """HAProxy ends implicit TLS, or the services do."""
    require("" if SSLYZE.exists() else "sslyze (make .venv/scan.stamp)")
    with running(tmp_path_factory.mktemp("scanned"), haproxy=request.param) as started:
        yield started


@pytest.mark.parametrize("port", PORTS)
def test_mozilla_s_intermediate_profile(system: MailSystem, port: str) -> None:
    _, told = scan(system, port, "--mozilla_config", "intermediate")
    assert f"localhost:{system.port(port)}: OK - Compliant." in told, told


@pytest.mark.parametrize("port", PORTS)
def test_no_weakness_is_known(system: MailSystem, port: str) -> None:
    found, _ = scan(
        *(system, port, "--mozilla_config", "disable", "--certinfo", "--heartbleed", "--robot"),
        *("--openssl_ccs", "--reneg", "--compression", "--fallback", "--early_data", "--ems"),
    )
    assert not found["heartbleed"]["is_vulnerable_to_heartbleed"]
    assert not found["openssl_ccs_injection"]["is_vulnerable_to_ccs_injection"]
    assert found["robot"]["robot_result"].startswith("NOT_VULNERABLE")
    assert not found["session_renegotiation"]["is_vulnerable_to_client_renegotiation_dos"]
    assert found["session_renegotiation"]["supports_secure_renegotiation"]
    assert not found["tls_compression"]["supports_compression"]
    assert found["tls_fallback_scsv"]["supports_fallback_scsv"]
    assert not found["tls_1_3_early_data"]["supports_early_data"]
    assert found["tls_extended_master_secret"]["supports_ems_extension"]
    (shown,) = found["certificate_info"]["certificate_deployments"]
    assert shown["verified_certificate_chain"]
    assert shown["received_chain_has_valid_order"]
    assert not shown["received_chain_contains_anchor_certificate"]
    assert not shown["verified_chain_has_sha1_signature"]


@pytest.mark.parametrize("port", ["imaps", "pop3s", "submissions", "https"])
def test_sessions_are_resumed(system: MailSystem, port: str) -> None:
    found, _ = scan(system, port, "--mozilla_config", "disable", "--resum")
    resumed = found["session_resumption"]
    ways = [resumed[f"{way}_resumption_result"] for way in ("session_id", "tls_ticket")]
    assert "FULLY_SUPPORTED" in ways


def scan(system: MailSystem, port: str, *options: str) -> tuple[dict[str, Any], str]:
    """What each scan found, and what is told to people."""
    how = ("--starttls", STARTTLS[port]) if port in STARTTLS else ()
    report = system.state / f"scan-{port}.json"
    ran = subprocess.run(
        [
            *(SSLYZE, "--json_out", report, "--certinfo_ca_file", system.authority),
            *(*options, *how, f"localhost:{system.port(port)}"),
        ],
        env={**os.environ, "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=SCAN_SECONDS,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    (server,) = json.loads(report.read_text())["server_scan_results"]
    attempts = server["scan_result"]
    assert not [name for name, attempt in attempts.items() if attempt["status"] == "ERROR"]
    return {name: attempt["result"] for name, attempt in attempts.items()}, ran.stdout
