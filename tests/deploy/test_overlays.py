"""What can be added to compose.yaml, started for real, with images out of Debian's packages in the
place of other projects' own.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest

from tests.deploy.compose import ENTRANCES, Stack, compose_plugin, made_image, running, until
from tests.deploy.containers import REPOSITORY, Docker

PASSWORD = "correct horse battery"
ANN = "ann@example.org"
OVERLAYS = sorted((REPOSITORY / "deploy/compose").glob("*.yaml"))
NEEDED = {
    f"POSTROOM_{name}_PASSWORD": f"secret{name}"
    for name in ("POSTGRES", "AUTH", "STORE", "GRAFANA")
}
JOBS = {"auth", "store", "smtp", "imap", "pop3", "admin", "tls"}
MALWARE = "postroom-test-malware"  # tests/deploy/images/clamav knows it


def add_ann(stack: Stack) -> None:
    stack.postroom("domain", "add", "example.org")
    stack.postroom("account", "add", ANN, "--stdin", "--accept-weak", stdin=PASSWORD)


def deliver(stack: Stack, count: int) -> None:
    told = stack.script("send", *ENTRANCES["smtp"], ANN, str(count), "60")
    assert [int(word) for word in told.split()] == list(range(count))


@pytest.mark.parametrize("overlay", OVERLAYS, ids=[one.stem for one in OVERLAYS])
def test_what_is_added_can_do_no_more_than_what_was_there(images: Docker, overlay: Path) -> None:
    files = ("compose.yaml", f"deploy/compose/{overlay.name}")
    stack = Stack(images, compose_plugin(images), "more", files, tuple(NEEDED.items()))
    told = json.loads(stack("--profile=*", "config", "--format", "json"))
    assert len(told["services"]) > 10
    for name, service in told["services"].items():
        assert service["image"].rpartition(":")[2] not in ("", "latest"), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
        assert service["read_only"], name
        assert service["user"].split(":")[0] not in ("", "0", "root"), name


def test_owners_on_postgresql_are_several(images: Docker) -> None:
    environment = {
        **NEEDED,
        "POSTROOM_POSTGRES_IMAGE": f"{made_image(images, 'postgres')}:latest",
        "POSTROOM_STORE_REPLICAS": "2",
        "POSTROOM_AUTH_REPLICAS": "2",
    }
    with running(
        images, "postroom-pg", "deploy/compose/postgres.yaml", environment=environment
    ) as stack:
        stack.up()
        assert [len(stack.containers(owner)) for owner in ("auth", "store")] == [2, 2]
        add_ann(stack)
        with stack.in_background("send", *ENTRANCES["smtp"], ANN, "100", "120") as sender:
            assert sender.stdout is not None
            taken = [int(sender.stdout.readline()) for _ in range(20)]
            for service in ("store", "postgres"):
                (victim, *_) = stack.containers(service)
                stack.docker("kill", victim)
                stack.docker("start", victim)
                taken += [int(sender.stdout.readline()) for _ in range(10)]
            taken += [int(line) for line in sender.stdout.read().split()]
        assert taken == list(range(100))
        assert set(stack.numbers(ANN, PASSWORD)) == set(taken)
        # Fronts have no way to it.
        (front,) = stack.containers("imap")
        asked = "import socket; socket.getaddrinfo('postgres', 5432)"
        unknown = stack.docker.run("exec", front, "python3", "-c", asked)
        assert "Name or service not known" in unknown.stderr or "resolution" in unknown.stderr

        told = stack("run", "--rm", "-T", "backup")
        found = re.search(r"/backups/(postroom-\w+): ", told)
        assert found
        deliver(stack, 3)
        stack("down", "--timeout", "30")
        stack("run", "--rm", "-T", "restore", found[1])
        stack.up()
        assert set(stack.numbers(ANN, PASSWORD)) == set(taken)
        unknown = stack.run("run", "--rm", "-T", "restore", "nothing")
        assert unknown.returncode == 1
        assert found[1] in unknown.stdout + unknown.stderr


def test_every_replica_is_looked_at(images: Docker) -> None:
    image = f"{made_image(images, 'prometheus')}:latest"
    environment = {**NEEDED, "POSTROOM_PROMETHEUS_IMAGE": image, "POSTROOM_IMAP_REPLICAS": "2"}
    with running(
        images, "postroom-seen", "deploy/compose/observability.yaml", environment=environment
    ) as stack:
        stack.up("prometheus", *JOBS - {"tls"}, *(f"{name}-tls" for name in JOBS & set(FRONTS)))

        def ask(path: str) -> str:
            url = f"http://prometheus:9090/api/v1/{path}"
            return stack.client("curl", "-sS", url, check=False, network="observers")

        def counts() -> dict[str, int]:
            answer = ask(f"query?query={quote('sum by (job) (up)')}")
            if '"status":"success"' not in answer:
                return {}
            result = json.loads(answer)["data"]["result"]
            return {one["metric"]["job"]: int(one["value"][1]) for one in result}

        add_ann(stack)
        deliver(stack, 1)  # fronts still know what ends TLS before them
        wanted = dict.fromkeys(JOBS, 1) | {"imap": 2, "tls": 4}
        until(lambda: counts() == wanted, "every replica is up", 90)
        assert len(json.loads(ask("rules"))["data"]["groups"][0]["rules"]) > 10


FRONTS = ("smtp", "imap", "pop3", "admin")


def test_what_comes_in_is_filtered(images: Docker) -> None:
    environment = {
        "POSTROOM_RSPAMD_IMAGE": f"{made_image(images, 'rspamd')}:latest",
        "POSTROOM_CLAMAV_IMAGE": f"{made_image(images, 'clamav')}:latest",
    }
    with running(
        images, "postroom-filtered", "deploy/compose/filters.yaml", environment=environment
    ) as stack:
        stack.up()
        add_ann(stack)
        swaks = ("swaks", "--to", ANN, "--server", ":".join(ENTRANCES["smtp"]))

        def send(body: str) -> str:
            return stack.client(
                *swaks, "--from", "eve@elsewhere.example", "--body", body, check=False
            )

        assert "250 2.0.0" in send("nothing to fear")

        # It is asked once it listens; until then mail passes, as it does where it is away.
        until(lambda: "554 5.7.1" in send(MALWARE), "malware is refused", 90)
        assert "250 2.0.0" in send("nothing to fear either")
