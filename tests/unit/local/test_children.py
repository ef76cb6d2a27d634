"""How the processes of a local Postroom are set up."""

from __future__ import annotations

from pathlib import Path

import pytest
from postroom_chassis.net.listener import parse_listeners

from deploy.local import ports
from deploy.local.children import FRONTS, listeners_of, make_children, settings_of
from deploy.local.ports import Ports

PUBLIC = dict(zip(ports.OFFSETS, range(1, 20), strict=False))
INTERNAL = dict(zip(ports.INTERNAL, range(101, 130), strict=False))
PORTS = Ports(PUBLIC, INTERNAL)


@pytest.mark.parametrize("service", FRONTS)
def test_without_haproxy_the_fronts_end_tls(service: str) -> None:
    listeners = parse_listeners(listeners_of(service, PORTS, haproxy=False))

    (implicit,) = (one for one in listeners if one.tls)
    assert implicit.port == PUBLIC[implicit.name]
    assert not any(one.proxy for one in listeners)


@pytest.mark.parametrize("service", FRONTS)
def test_with_haproxy_they_listen_behind_it(service: str) -> None:
    listeners = parse_listeners(listeners_of(service, PORTS, haproxy=True))

    (behind,) = (one for one in listeners if one.proxy)
    assert behind.port == INTERNAL[f"{behind.name}-proxied"]
    assert not any(one.tls for one in listeners)


def test_only_loopback_is_listened_on(tmp_path: Path) -> None:
    for service in ports.SERVICES:
        settings = settings_of(service, tmp_path, PORTS, haproxy=False)
        listened = [value for name, value in settings.items() if "LISTEN" in name]
        assert all("=127.0.0.1:" in f"={value}" for value in listened), listened


def test_each_service_bears_its_own_certificate(tmp_path: Path) -> None:
    children = make_children(tmp_path, PORTS, {}, haproxy=True)

    assert set(children) == {*ports.SERVICES, "haproxy"}
    for service in ports.SERVICES:
        settings = settings_of(service, tmp_path, PORTS, haproxy=True)
        certificate = settings[f"POSTROOM_{service.upper()}_RPC_CERTIFICATE"]
        assert certificate == str(tmp_path / f"certs/{service}.pem")
