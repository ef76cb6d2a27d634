"""`docker compose up`, with the real images: what runs how, what comes in comes out, what is killed
loses nothing, and what is lost comes back.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.deploy.compose import ENTRANCES, Stack, compose_plugin, running, until
from tests.deploy.containers import IMAGES, REPOSITORY, TAG, Docker

PASSWORD = "correct horse battery"
ANN, BOB = "ann@example.org", "bob@example.org"
SERVICES = ("auth", "store", "smtp", "imap", "pop3", "admin")
EDGES = ("smtp-tls", "imap-tls", "pop3-tls", "admin-tls")


@pytest.fixture(scope="module")
def stack(images: Docker) -> Iterator[Stack]:
    """The whole, with a domain and two people."""
    with running(images, "postroom-test") as found:
        found.up()
        found.postroom("setup", "example.org")
        for address in (ANN, BOB):
            found.postroom("account", "add", address, "--stdin", "--accept-weak", stdin=PASSWORD)
        yield found


def deliver(stack: Stack, recipient: str, count: int) -> None:
    told = stack.script("send", *ENTRANCES["smtp"], recipient, str(count), "60")
    assert [int(word) for word in told.split()] == list(range(count))


def test_every_container_is_nobody_and_can_write_nothing(stack: Stack) -> None:
    for service in (*SERVICES, *EDGES):
        (container,) = stack.containers(service)
        told = stack.docker.inspect(container)
        host = told["HostConfig"]
        assert told["State"]["Health"]["Status"] == "healthy"
        assert told["Config"]["User"] == "10001:10001"
        assert host["ReadonlyRootfs"]
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        written = [
            one["Destination"]
            for one in told["Mounts"]
            if one["RW"] and one["Destination"] not in ("/var/lib/postroom", "/var/spool/postroom")
        ]
        assert written == []


def test_owners_are_reached_by_services_alone(stack: Stack) -> None:
    """Clients share no network with them, and there is no way out of it."""
    for owner in ("auth", "store"):
        (container,) = stack.containers(owner)
        networks = stack.docker.inspect(container)["NetworkSettings"]["Networks"]
        assert list(networks) == ["postroom-test_owners"]
        assert "Could not resolve host" in stack.client(
            "curl", "-sS", f"http://{owner}:8080/", check=False
        )
        address = networks["postroom-test_owners"]["IPAddress"]
        asked = ("curl", "-sS", "--connect-timeout", "3", f"http://{address}:8080/livez")
        assert "curl: (28) " in stack.client(*asked, check=False)  # not even refused
    assert json.loads(stack.docker("network", "inspect", "postroom-test_owners"))[0]["Internal"]


def test_each_service_has_its_own_certificate_and_nobody_elses(stack: Stack) -> None:
    for service in SERVICES:
        (container,) = stack.containers(service)
        mounts = stack.docker.inspect(container)["Mounts"]
        named = {one["Name"].removeprefix("postroom-test_") for one in mounts if one.get("Name")}
        certificates = {name for name in named if name.startswith("certificates-")}
        assert certificates == {f"certificates-{service}"}
        assert ("ticket" in named) == (service == "auth")


def test_mail_comes_by_every_way_in_and_goes_by_every_way_out(stack: Stack) -> None:
    swaks = ("swaks", "--to", BOB, "--hide-all", "--header")
    signed_in = ("--from", ANN, "--auth-user", ANN, "--auth-password", PASSWORD, "--auth", "PLAIN")
    smtp, submission, submissions = (
        ":".join(ENTRANCES[name]) for name in ("smtp", "submission", "submissions")
    )
    ways = {
        "mx": ("--server", smtp, "--from", "eve@elsewhere.example"),
        "starttls": ("--server", submission, "--tls", *signed_in),
        "implicit": ("--server", submissions, "--tls-on-connect", *signed_in),
    }
    for name, options in ways.items():
        stack.client(*swaks, f"Subject: by {name}", *options)
    host, port = ENTRANCES["imaps"]
    curl = ("curl", "-sS", "--insecure", "--user", f"{BOB}:{PASSWORD}")
    read = [
        stack.client(*curl, f"imaps://{host}:{port}/INBOX;MAILINDEX={number}")
        for number in (1, 2, 3)
    ]
    assert [re.findall(r"^Subject: by (\w+)", text, re.MULTILINE) for text in read] == [
        [name] for name in ways
    ]
    # The address is the client's, and not that of what ends TLS before the front.
    (network,) = json.loads(stack.docker("network", "inspect", "postroom-test_clients"))
    prefix = network["IPAM"]["Config"][0]["Subnet"].rpartition(".")[0]
    assert all(f"([{prefix}." in text for text in read)
    assert ["with ESMTP\r" in one or "with ESMTP\n" in one for one in read] == [True, False, False]
    assert all("TLSv1.3" in text for text in read[1:])
    for name, scheme in (("imap", "imap"), ("pop3", "pop3"), ("pop3s", "pop3s")):
        where = f"{scheme}://{':'.join(ENTRANCES[name])}"
        path = "/INBOX;MAILINDEX=1" if scheme == "imap" else "/1"
        assert "Subject: by mx" in stack.client(*curl, "--ssl-reqd", where + path)
    assert "401" in stack.client(
        "curl", "-sS", "--insecure", "-i", f"https://{':'.join(ENTRANCES['https'])}/v1/domains"
    )


def test_nobody_else_tells_who_the_client_is(stack: Stack) -> None:
    """A PROXY header from a client is a command that there isn't; from others it is nothing."""
    program = (
        "import socket; s = socket.create_connection(('smtp-tls', 4025), 20); s.recv(100);"
        "s.sendall(b'PROXY TCP4 192.0.2.1 192.0.2.2 1 25\\r\\n'); print(s.recv(100).decode())"
    )
    assert stack.client("python3", "-c", program).startswith(("5", "421"))
    program = (
        "import socket; s = socket.create_connection(('imap', 2993), 20);"
        "s.sendall(b'PROXY TCP4 192.0.2.1 192.0.2.2 1 993\\r\\n'); print(s.recv(100))"
    )
    told = stack.client("python3", "-c", program, check=False, network="fronts")
    assert told.startswith("b''") or "ConnectionResetError" in told


def test_a_front_is_scaled_by_itself_and_killed_without_a_loss(stack: Stack) -> None:
    """Of everything that is needed to take mail in, one after the other is killed under load."""
    stack.up("--scale", "smtp=2", "--scale", "imap=3")
    assert [len(stack.containers(name)) for name in ("smtp", "imap", "pop3")] == [2, 3, 1]
    before = stack.numbers(ANN, PASSWORD)
    count = 400
    with stack.in_background("send", *ENTRANCES["smtp"], ANN, str(count), "120") as sender:
        assert sender.stdout is not None
        taken = [int(sender.stdout.readline()) for _ in range(30)]
        for service in ("smtp", "store", "auth", "smtp-tls"):
            victim = stack.containers(service)[0]
            stack.docker("kill", victim)
            if service == "smtp":  # the other one serves
                taken += [int(sender.stdout.readline()) for _ in range(20)]
            stack.docker("start", victim)
            taken += [int(sender.stdout.readline()) for _ in range(20)]
        taken += [int(line) for line in sender.stdout.read().split()]
        assert sender.wait(30) == 0
    assert taken == list(range(count))
    until(lambda: _serves(stack), "IMAP")
    found = stack.numbers(ANN, PASSWORD)[len(before) :]
    assert set(found) == set(taken)


def _serves(stack: Stack) -> bool:
    where, who = f"imaps://{':'.join(ENTRANCES['imaps'])}", f"{ANN}:{PASSWORD}"
    return "INBOX" in stack.client("curl", "-sS", "--insecure", "--user", who, where, check=False)


@pytest.mark.parametrize(
    ("kind", "entrance", "listener", "farewell"),
    [
        ("imap", "imaps", "imaps", "* BYE"),
        ("pop3", "pop3s", "pop3s", "-ERR"),
        ("smtp", "smtp", "mx", "421 "),
    ],
)
def test_a_front_that_is_told_to_go_says_good_bye_while_another_serves(
    stack: Stack, kind: str, entrance: str, listener: str, farewell: str
) -> None:
    stack.up("--scale", f"{kind}=2")
    with stack.in_background("wait", kind, *ENTRANCES[entrance], ANN, PASSWORD) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == "ready\n"
        (busy,) = [
            container
            for container in stack.containers(kind)
            if stack.open_connections(container, listener)
        ]
        stack.docker("stop", "--time", "40", busy)
        lines = session.stdout.read().splitlines()
    assert any(line.startswith(farewell) for line in lines), lines
    assert stack.docker.inspect(busy)["State"]["ExitCode"] == 0
    with stack.in_background("wait", kind, *ENTRANCES[entrance], ANN, PASSWORD) as session:
        assert session.stdout is not None
        assert session.stdout.readline() == "ready\n"
    stack.docker("start", busy)


def test_mail_outlives_its_containers(stack: Stack) -> None:
    deliver(stack, ANN, 3)
    before = stack.numbers(ANN, PASSWORD)
    stack("down", "--timeout", "30")
    stack.up()
    assert stack.numbers(ANN, PASSWORD) == before


def test_what_is_lost_comes_back_from_a_backup(stack: Stack) -> None:
    deliver(stack, ANN, 5)
    before = stack.numbers(ANN, PASSWORD)
    told = stack("run", "--rm", "-T", "backup")
    found = re.search(r"/backups/(postroom-\w+): \d+ files", told)
    assert found
    stack("down", "--timeout", "30")
    stack.docker(
        "volume", "rm", *(f"postroom-test_{name}" for name in ("store", "auth", "secrets"))
    )
    stack("run", "--rm", "-T", "restore", found[1])
    stack.up()
    assert stack.numbers(ANN, PASSWORD) == before
    assert "No faults." in stack.postroom("check", "--contents")
    refused = stack.run("run", "--rm", "-T", "restore", found[1])
    assert refused.returncode == 1
    assert "isn't empty; move away what is there first" in refused.stderr


def test_an_upgrade_under_load_loses_nothing(stack: Stack) -> None:
    for image in IMAGES:
        stack.docker("tag", f"postroom/{image}:{TAG}", f"postroom/{image}:next")
    versions = (("POSTROOM_VERSION", "next"), ("POSTROOM_SMTP_REPLICAS", "2"))
    newer = replace(stack, environment=versions)
    before, count = stack.numbers(ANN, PASSWORD), 300
    with stack.in_background("send", *ENTRANCES["smtp"], ANN, str(count), "150") as sender:
        assert sender.stdout is not None
        taken = [int(sender.stdout.readline()) for _ in range(20)]
        newer.up()
        taken += [int(line) for line in sender.stdout.read().split()]
    assert taken == list(range(count))
    for service in (*SERVICES, *EDGES):
        for container in newer.containers(service):
            assert stack.docker.inspect(container)["Config"]["Image"].endswith(":next")
    assert set(stack.numbers(ANN, PASSWORD)[len(before) :]) == set(taken)
    assert "No faults." in newer.postroom("check", "--contents")


def test_a_protocol_can_be_left_out(images: Docker) -> None:
    profiles = (("COMPOSE_PROFILES", "smtp,imap"),)
    stack = Stack(images, compose_plugin(images), "postroom-test-less", environment=profiles)
    told = set(stack("config", "--services").split())
    assert told == {"certificates", "auth", "store", "smtp", "imap", "smtp-tls", "imap-tls"}


def test_the_page_tells_what_works() -> None:
    """docs/compose.md names files, services and settings that there are."""
    page = (REPOSITORY / "docs/compose.md").read_text(encoding="utf-8")
    files = [REPOSITORY / "compose.yaml", *(REPOSITORY / "deploy/compose").glob("*.yaml")]
    written = "".join(file.read_text(encoding="utf-8") for file in files)
    named = re.findall(r"(?:compose run --rm|--scale|compose stop) (\w+)", page)
    assert {"backup", "restore", "imap"} <= set(named)
    for service in named:
        assert f"\n  {service}:" in written, service
    # Services' own settings are looked after elsewhere.
    for setting in re.findall(r"`(POSTROOM_(?!AUTH_D|STORE_D|TLS_|OTLP)\w+)", page):
        assert f"${{{setting}" in written, setting
    for file in re.findall(r"deploy/compose/[\w.-]+", page):
        assert (REPOSITORY / file).exists(), file
    assert subprocess.run(["git", "check-ignore", "-q", ".env"], cwd=REPOSITORY).returncode == 1
