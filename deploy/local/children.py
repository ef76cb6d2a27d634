"""What processes a local Postroom has, and how each is set up."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from .child import Child
from .ports import HOST, SERVICES, Ports

TLS = Path(__file__).resolve().parent.parent / "tls"
HAPROXY_CONFIGURATION = TLS / "haproxy.cfg"
FRONTS = ("smtp", "pop3", "imap")
OWNERS = ("auth", "store")
GRACE = "25s"  # for the last connections of HAProxy; STOP_SECONDS is longer

# The listeners of each front: its own name for each, and the public port's.
CLEAR = {
    "smtp": {"mx": "smtp", "submission": "submission"},
    "pop3": {"pop3": "pop3"},
    "imap": {"imap": "imap"},
}
IMPLICIT_TLS = {"smtp": "submissions", "pop3": "pop3s", "imap": "imaps"}


def make_children(
    state: Path, ports: Ports, extra: Mapping[str, str], *, haproxy: bool
) -> dict[str, Child]:
    """Every process by name, none started.

    Args:
        state: folder with certs/ and logs/; databases go there.
        extra: settings that overrule ours.
        haproxy: whether HAProxy ends implicit TLS; else the fronts do.
    """
    children = {
        service: Child(
            service,
            [sys.executable, "-m", f"postroom_{service}"],
            {
                **settings_of(service, state, ports, haproxy=haproxy),
                "OPENSSL_CONF": str(TLS / "openssl.cnf"),
                **extra,
            },
            state / "logs" / f"{service}.log",
            ports.internal[f"{service}-http"],
        )
        for service in SERVICES
    }
    if haproxy:
        children["haproxy"] = Child(
            "haproxy",
            [sys.executable, TLS / "sidecar.py"],
            {**haproxy_settings(state, ports), **extra},
            state / "logs/haproxy.log",
            ports.internal["haproxy-http"],
        )
    return children


def settings_of(service: str, state: Path, ports: Ports, *, haproxy: bool) -> dict[str, str]:
    """The environment variables of a service."""
    certs = state / "certs"
    settings = {
        "http_port": str(ports.internal[f"{service}-http"]),
        "rpc_certificate": str(certs / f"{service}.pem"),
        "rpc_key": str(certs / f"{service}.key"),
        "rpc_authority": str(certs / "ca.pem"),
    }
    if service in OWNERS:
        settings["rpc_listen"] = ports.address(f"{service}-rpc")
        settings["database_url"] = f"sqlite:///{state / service}.sqlite3"
    else:
        settings["auth_address"] = ports.address("auth-rpc")
        settings["store_address"] = ports.address("store-rpc")
    if service in FRONTS:
        settings["tls_certificate"] = str(certs / "tls.pem")
        settings["tls_key"] = str(certs / "tls.key")
        settings["listeners"] = listeners_of(service, ports, haproxy=haproxy)
        settings["proxy_networks"] = f"{HOST}/32" if haproxy else ""
        if haproxy:
            settings["proxy_certificate"] = str(certs / "tls.pem")
    match service:
        case "auth":
            settings["ticket_key"] = str(certs / "ticket.key")
            settings["secrets_keys_file"] = str(certs / "secrets.keys")
        case "store":
            settings["ticket_public_keys"] = str(certs / "ticket.pub")
            settings["blob_folder"] = str(state / "blobs")
        case "smtp":
            settings["hostname"] = "localhost"
            settings["send"] = "false"  # nothing leaves this machine unless it is wanted
        case "admin":
            settings["tls_certificate"] = str(certs / "tls.pem")
            settings["tls_key"] = str(certs / "tls.key")
            https = "" if haproxy else f",https={ports.address('https')};tls"
            settings["listeners"] = f"api={ports.address('admin')}{https}"
            settings["proxy_networks"] = f"{HOST}/32" if haproxy else ""
            settings["api_tokens"] = str(state / "api-tokens")
    return {f"POSTROOM_{service}_{name}".upper(): value for name, value in settings.items()}


def listeners_of(service: str, ports: Ports, *, haproxy: bool) -> str:
    """The listeners of a front, as its setting of that name has them."""
    own = [f"{name}={ports.address(port)}" for name, port in CLEAR[service].items()]
    implicit = IMPLICIT_TLS[service]
    if haproxy:
        return ",".join([*own, f"{implicit}={ports.address(f'{implicit}-proxied')};proxy"])
    return ",".join([*own, f"{implicit}={ports.address(implicit)};tls"])


def haproxy_settings(state: Path, ports: Ports) -> dict[str, str]:
    """The environment variables that deploy/tls/haproxy.cfg reads."""
    settings = {
        "POSTROOM_TLS_CERTIFICATE": str(state / "certs/haproxy/tls.crt"),
        "POSTROOM_TLS_GRACE": GRACE,
        "POSTROOM_TLS_CONNECTIONS": "1000",
        "POSTROOM_TLS_HTTP_BIND": ports.address("haproxy-http"),
        "POSTROOM_HTTPS_BIND": ports.address("https"),
        "POSTROOM_HTTPS_FRONT": ports.address("admin"),
    }
    for name in IMPLICIT_TLS.values():
        settings[f"POSTROOM_{name}_BIND".upper()] = ports.address(name)
        settings[f"POSTROOM_{name}_FRONT".upper()] = ports.address(f"{name}-proxied")
    return settings


def haproxy_fits(state: Path, ports: Ports) -> bool:
    """Whether HAProxy is installed and takes our configuration (older ones may not)."""
    if shutil.which("haproxy") is None:
        return False
    checked = subprocess.run(
        ["haproxy", "-c", "-f", HAPROXY_CONFIGURATION],
        env={**os.environ, **haproxy_settings(state, ports)},
        capture_output=True,
    )
    return checked.returncode == 0
