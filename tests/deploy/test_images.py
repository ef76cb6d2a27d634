"""The images: what is in each, what isn't, and that it runs with nothing it could do harm by."""

from __future__ import annotations

import json
import os
import re
import time
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from postroom_chassis.certificates import FOLDERS, make_development_certificates

from tests.deploy.containers import CONFINED, IMAGES, REPOSITORY, SERVICES, TAG, Docker

USER = 10001
LARGEST = 200_000_000
HEALTH_SECONDS = 60.0
LOOKS_OFTEN = ("--health-interval=1s", "--health-retries=1", "--health-start-period=1ms")

# Of our own, beside the service; the stubs and the chassis are everybody's.
OUR_LIBRARIES = {"postroom-chassis", "postroom-protos"}
READS_MESSAGES = {"store", "smtp", "pop3", "imap"}

# Libraries outlive being stripped only where they can still be loaded.
COMPILED = {
    "auth": ("argon2", "cryptography.x509", "gssapi", "ldap", "psycopg", "uvloop"),
    "store": ("cryptography.x509", "psycopg", "sqlalchemy", "uvloop", "zstandard"),
    "smtp": ("cryptography.x509", "grpc", "pydantic_core", "uvloop"),
    "imap": ("cryptography.x509", "grpc", "pydantic_core", "uvloop"),
}
LISTING = """
import importlib.metadata, json
print(json.dumps({found.name: found.version for found in importlib.metadata.distributions()}))
"""
LEFT = """
import json, os, shutil
programs = [name for name in ("gcc", "strip", "git", "pip") if shutil.which(name)]
files = [name for name in ("/etc/pip.conf", "/build", "/root/.cache") if os.path.exists(name)]
print(json.dumps(programs + files))
"""
MACHINE = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix"}
# No shell is there: nothing can be run by one.
SHELLS = tuple(
    word
    for shell in ("sh", "bash", "dash")
    for word in ("--volume", f"/dev/null:/usr/bin/{shell}:ro")
)


def name_of(image: str) -> str:
    return f"postroom/{image}:{TAG}"


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_is_small_says_what_it_is_and_runs_as_nobody(images: Docker, image: str) -> None:
    told = images.inspect(name_of(image))
    config = told["Config"]
    labels = {
        name.removeprefix("org.opencontainers.image."): value
        for name, value in config["Labels"].items()
    }

    assert told["Size"] < LARGEST
    assert config["User"] == f"{USER}:{USER}"
    assert labels["title"] == f"Postroom {image}"
    assert labels["version"] == TAG
    assert re.fullmatch("[0-9a-f]{40}|unknown", labels["revision"])
    assert labels["base.name"].startswith("python:3.")
    assert labels["description"]


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_starts_with_no_rights_and_no_shell_and_says_what_it_lacks(
    images: Docker, service: str
) -> None:
    ran = images.run("run", "--rm", "--network=none", *CONFINED, *SHELLS, name_of(service))

    assert ran.returncode == 1
    first, *missing = ran.stderr.splitlines()
    assert first == "The settings can't be used:"
    assert f"  POSTROOM_{service.upper()}_RPC_CERTIFICATE: Field required" in missing


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_has_what_its_lock_says_and_nothing_else(images: Docker, service: str) -> None:
    ours = OUR_LIBRARIES | {f"postroom-{service}"}
    if service in READS_MESSAGES:
        ours.add("postroom-mime")
    said = in_image(images, service, LISTING)
    found = {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in said.items()}

    assert {name for name in found if name.startswith("postroom-")} == ours
    assert {name: version for name, version in found.items() if name not in ours} == locked(service)


@pytest.mark.parametrize("service", COMPILED)
def test_compiled_libraries_can_be_loaded(images: Docker, service: str) -> None:
    program = f"import json, {', '.join(COMPILED[service])}; print(json.dumps(True))"

    assert in_image(images, service, program) is True


@pytest.mark.parametrize("image", IMAGES)
def test_nothing_of_the_building_is_left(images: Docker, image: str) -> None:
    python = "python3" if image == "tls" else "/opt/postroom/bin/python"

    assert json.loads(images("run", "--rm", *CONFINED, name_of(image), python, "-c", LEFT)) == []


def test_the_command_is_in_the_image_of_admin(images: Docker) -> None:
    said = images(
        "run", "--rm", "--network=none", *CONFINED, name_of("admin"), "postroom", "--help"
    )

    assert "Administer a Postroom mail system." in said


def test_what_answers_is_healthy(images: Docker, certificates: Path) -> None:
    words = auth_words(certificates)

    with images.container(*words, name_of("auth")) as container:
        await_health(images, container, "healthy")


def test_who_lacks_what_it_stands_on_is_unhealthy(images: Docker, certificates: Path) -> None:
    """An IMAP front without owners lives, and isn't ready."""
    words = imap_words(certificates)

    with images.container(*words, name_of("imap")) as container:
        await_health(images, container, "unhealthy")
        log = images.inspect(container)["State"]["Health"]["Log"]
    assert any('"auth"' in one["Output"] and '"store"' in one["Output"] for one in log)


def test_the_sidecar_serves_with_no_rights(images: Docker, certificates: Path) -> None:
    words = (
        *confined_and_watched(certificates, "tls"),
        *("--env", "POSTROOM_TLS_CERTIFICATE=/etc/postroom/tls/tls.crt"),
        *("--env", "POSTROOM_IMAPS_BIND=:4993", "--env", "POSTROOM_IMAPS_FRONT=127.0.0.1:2993"),
    )

    with images.container(*words, name_of("tls")) as container:
        await_health(images, container, "healthy")


def test_a_service_ends_when_it_is_told_to(images: Docker, certificates: Path) -> None:
    """Whoever is the first process has to do so by itself."""
    with images.container(*auth_words(certificates), name_of("auth")) as container:
        await_health(images, container, "healthy")
        images("stop", "--time=30", container)
        state = images.inspect(container)["State"]
        log = images.run("logs", container)
    assert state["ExitCode"] == 0
    assert "service.stopped" in log.stdout + log.stderr


def test_the_same_sources_make_the_same_image(images: Docker) -> None:
    before = images.inspect(name_of("pop3"))["RootFS"]["Layers"]

    images.build("--no-cache", "pop3")

    assert images.inspect(name_of("pop3"))["RootFS"]["Layers"] == before


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As a deployment mounts them, readable for the user of the images."""
    folder = tmp_path_factory.mktemp("certificates")
    make_development_certificates(folder, layout=FOLDERS)
    if os.geteuid() == 0:
        for path in (folder, *folder.rglob("*")):
            os.chown(path, USER, USER)
    return folder


def in_image(docker: Docker, service: str, program: str) -> Any:
    """What a Python program writes as JSON in a service's image."""
    return json.loads(
        docker(
            "run", "--rm", "--network=none", *CONFINED, name_of(service), "python", "-c", program
        )
    )


def locked(service: str) -> dict[str, str]:
    """What a service's lock has for the machine and the Python of the images."""
    names = [service, "native"] if service == "auth" else [service]
    lines = [
        line.partition("\\")[0]
        for name in names
        for line in (REPOSITORY / f"requirements/{name}.txt").read_text().splitlines()
        if "==" in line and not line.startswith((" ", "#"))
    ]
    needs = [Requirement(line) for line in lines]
    return {
        need.name: next(iter(need.specifier)).version
        for need in needs
        if need.marker is None or need.marker.evaluate(MACHINE)
    }


def confined_and_watched(certificates: Path, *folders: str) -> tuple[str, ...]:
    """Options of a container that has some of the certificates and is asked for its health."""
    mounts = (
        word
        for folder in folders
        for word in ("--volume", f"{certificates / folder}:/etc/postroom/{mount_of(folder)}:ro")
    )
    return (*CONFINED, *LOOKS_OFTEN, *mounts)


def mount_of(folder: str) -> str:
    return folder if folder in {"tls", "ticket", "secrets"} else "rpc"


def auth_words(certificates: Path) -> tuple[str, ...]:
    return (
        *confined_and_watched(certificates, "auth", "ticket", "secrets"),
        *rpc_settings(),
        *("--env", "POSTROOM_AUTH_RPC_LISTEN=127.0.0.1:7400"),
        *("--env", "POSTROOM_AUTH_DATABASE_URL=sqlite:////tmp/auth.sqlite3"),
        *("--env", "POSTROOM_AUTH_TICKET_KEY=/etc/postroom/ticket/ticket.key"),
        *("--env", "POSTROOM_AUTH_SECRETS_KEYS_FILE=/etc/postroom/secrets/secrets.keys"),
    )


def imap_words(certificates: Path) -> tuple[str, ...]:
    return (
        *confined_and_watched(certificates, "imap"),
        *rpc_settings(),
        *("--env", "POSTROOM_IMAP_AUTH_ADDRESS=127.0.0.1:7400"),
        *("--env", "POSTROOM_IMAP_STORE_ADDRESS=127.0.0.1:7401"),
    )


def rpc_settings() -> tuple[str, ...]:
    return (
        *("--env", "POSTROOM_RPC_CERTIFICATE=/etc/postroom/rpc/tls.crt"),
        *("--env", "POSTROOM_RPC_KEY=/etc/postroom/rpc/tls.key"),
        *("--env", "POSTROOM_RPC_AUTHORITY=/etc/postroom/rpc/ca.crt"),
    )


def await_health(docker: Docker, container: str, awaited: str) -> None:
    """Wait until the engine thinks so of a container."""
    deadline = time.monotonic() + HEALTH_SECONDS
    while (state := docker.inspect(container)["State"])["Health"]["Status"] != awaited:
        assert state["Running"], docker.run("logs", container)
        assert time.monotonic() < deadline, state["Health"]
        time.sleep(0.2)
