"""App passwords, locks and the audit, by the command and by the API, against a real auth."""

from __future__ import annotations

import asyncio
import json
import re
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from postroom.auth.v1 import authentication_pb2, authentication_pb2_grpc
from postroom_admin.api.app import build_api
from postroom_admin.tokens import TokenFile, new_token, write_tokens
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.rpc.client import Channel

from tests.harness.services import Certificates
from tests.protocol.admin.conftest import Owners

ANN = "ann@example.org"


async def with_ann(owners: Owners) -> None:
    await owners.services.directory.create_domain("example.org")
    await owners.services.directory.create_account(ANN, "secret of ann")


@pytest.fixture
async def auth(owners: Owners, certificates: Certificates) -> AsyncIterator[Channel]:
    """What the IMAP front has of auth."""
    channel = Channel(owners.settings.auth_address, "auth", certificates.tls("imap"))
    yield channel
    await channel.close()


async def sign_in(auth: Channel, password: str, address: str = "192.0.2.1") -> str:
    """The address of whom a password opens, or the kind of the refusal."""
    stub = auth.stub(authentication_pb2_grpc.AuthenticationServiceStub)
    request = authentication_pb2.SignInRequest(
        mechanism="PLAIN",
        initial_response=f"\0{ANN}\0{password}".encode(),
        client=authentication_pb2.Client(
            protocol="imap", address=address, secure=True, tls_version="TLSv1.3"
        ),
    )
    try:
        return str((await stub.SignIn(request)).ticket.address)
    except PostroomError as error:
        return error.kind.value


async def told(owners: Owners, wanted: str, *arguments: str) -> str:
    """What a command tells, once it tells of something: the audit is a moment behind."""
    async with asyncio.timeout(30):
        while True:
            stdout = (await owners.postroom(*arguments)).stdout
            if re.search(wanted, stdout):
                return stdout
            await asyncio.sleep(0.1)


async def test_app_passwords_by_the_command(owners: Owners, auth: Channel) -> None:
    await with_ann(owners)
    network = ("--network", "192.0.2.0/24")
    added = await owners.postroom("app-password", "add", ANN, "phone", *network, "--expires", "30d")
    password = added.stdout.strip()
    assert re.fullmatch(r"([a-z2-9]{5}-){5}[a-z2-9]{5}", password)
    assert "imap, pop3, smtp" in added.stderr
    assert await sign_in(auth, password) == ANN
    assert await sign_in(auth, password, "198.51.100.1") == "UNAUTHENTICATED"
    listed = (await owners.postroom("app-password", "list", ANN)).stdout
    assert re.search(r"phone +imap pop3 smtp +192\.0\.2\.0/24 +\d{4}-", listed)
    assert password not in listed
    again = await owners.postroom("app-password", "add", ANN, "phone", status=1)
    assert "revoke it" in again.stderr
    await owners.postroom("app-password", "revoke", ANN, status=2)
    await owners.postroom("app-password", "revoke", ANN, "phone")
    assert await sign_in(auth, password) == "UNAUTHENTICATED"
    missing = await owners.postroom("app-password", "revoke", ANN, "phone", status=1)
    assert "no app password phone" in missing.stderr
    assert "no app passwords" in (await owners.postroom("app-password", "list", ANN)).stderr


async def test_locks_by_the_command(owners: Owners, auth: Channel) -> None:
    await with_ann(owners)
    assert await sign_in(auth, "secret of ann") == ANN
    assert "for good" in (await owners.postroom("account", "lock", ANN)).stdout
    assert await sign_in(auth, "secret of ann") == "UNAUTHENTICATED"
    shown = (await owners.postroom("account", "status", ANN)).stdout
    assert re.search(r"Locked +until it is unlocked", shown)
    await owners.postroom("account", "lock", ANN, "--for", "2h")
    standing = json.loads((await owners.postroom("account", "status", ANN, "--json")).stdout)
    until = datetime.fromisoformat(standing["locked_until"])
    assert timedelta(hours=1.9) < until - datetime.now(UTC) < timedelta(hours=2.1)
    await owners.postroom("account", "unlock", ANN)
    assert await sign_in(auth, "secret of ann") == ANN
    await owners.postroom("account", "lock", ANN, "--for", "soon", status=2)
    for number in range(8):
        await sign_in(auth, "guess", f"198.51.100.{number}")
    shown = (await owners.postroom("account", "status", ANN)).stdout
    assert re.search(r"Failures of late +[1-9]", shown)
    await owners.postroom("account", "unlock", ANN)
    assert re.search(
        r"Failures of late +0", (await owners.postroom("account", "status", ANN)).stdout
    )


async def test_app_passwords_alone(owners: Owners, auth: Channel) -> None:
    await with_ann(owners)
    await owners.postroom("account", "app-passwords-only", ANN)
    assert await sign_in(auth, "secret of ann") == "UNAUTHENTICATED"
    shown = (await owners.postroom("account", "show", ANN)).stdout
    assert re.search(r"App passwords only +yes", shown)
    await owners.postroom("account", "app-passwords-only", ANN, "--off")
    assert await sign_in(auth, "secret of ann") == ANN


async def test_the_audit_by_the_command(owners: Owners, auth: Channel) -> None:
    await with_ann(owners)
    await sign_in(auth, "secret of ann")
    await sign_in(auth, "guess of eve", "198.51.100.7")
    shown = await told(owners, "198.51.100.7", "audit")
    assert re.search(rf"{ANN} +OK +imap +PLAIN +password +192\.0\.2\.1 +TLSv1\.3", shown)
    assert shown.index("192.0.2.1") < shown.index("198.51.100.7")
    assert "guess of eve" not in shown
    failed = json.loads((await owners.postroom("audit", "--failed", "--json")).stdout)
    assert [(one["account"], one["client"]) for one in failed] == [(ANN, "198.51.100.7")]
    for options in (
        ("--from", "198.51.100.0/24"),
        ("--account", ANN, "--since", "1h", "--last", "1"),
    ):
        found = json.loads((await owners.postroom("audit", *options, "--json")).stdout)
        assert [one["outcome"] for one in found] == ["UNAUTHENTICATED"]
    nobody = await owners.postroom("audit", "--from", "203.0.113.0/24")
    assert "Nobody has tried" in nobody.stderr
    await owners.postroom("audit", "--failed", "--succeeded", status=2)
    wrong = await owners.postroom("audit", "--from", "example.org", status=1)
    assert "neither an address nor a network" in wrong.stderr


async def test_the_audit_is_followed(owners: Owners, auth: Channel) -> None:
    await with_ann(owners)
    await sign_in(auth, "secret of ann")
    await told(owners, "192.0.2.1", "audit")
    process = await owners.begin("audit", "--follow", "--json")
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            first = json.loads(await process.stdout.readline())
            assert (first["outcome"], first["client"]) == ("OK", "192.0.2.1")
            await sign_in(auth, "guess of eve", "198.51.100.7")
            second = json.loads(await process.stdout.readline())
            assert (second["outcome"], second["client"]) == ("UNAUTHENTICATED", "198.51.100.7")
    finally:
        process.send_signal(signal.SIGINT)
        await process.communicate()


@pytest.fixture
async def api(owners: Owners, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    token, kept = new_token("tests")
    write_tokens(tmp_path / "api_tokens", [kept])
    app = build_api(owners.services, TokenFile(tmp_path / "api_tokens"))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="https://admin.example.org",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        yield client


async def test_all_of_it_by_the_api(owners: Owners, auth: Channel, api: httpx.AsyncClient) -> None:
    await with_ann(owners)
    passwords = f"/v1/accounts/{ANN}/app-passwords"
    body = {"name": "phone", "protocols": ["imap"], "networks": ["192.0.2.0/24"]}
    made = await api.post(passwords, json=body)
    assert (made.status_code, made.headers["location"]) == (201, f"{passwords}/phone")
    password = made.json()["password"]
    assert await sign_in(auth, password) == ANN
    (kept,) = (await api.get(passwords)).json()["items"]
    assert (kept["protocols"], kept["expires_at"], "password" in kept) == (["imap"], None, False)
    assert (await api.post(passwords, json=body)).status_code == 409
    assert (await api.post(passwords, json={**body, "protocols": ["x"]})).status_code == 422
    assert (await api.delete(f"{passwords}/phone")).status_code == 204
    assert await sign_in(auth, password) == "UNAUTHENTICATED"
    assert (await api.delete(f"{passwords}/phone")).status_code == 404
    assert (await api.delete(passwords)).status_code == 422
    assert (await api.delete(passwords, params={"all": "true"})).status_code == 204

    locked = await api.put(f"/v1/accounts/{ANN}/lock", json={"until": "2100-01-01T00:00:00Z"})
    assert locked.json()["locked_until"] == "2100-01-01T00:00:00Z"
    assert await sign_in(auth, "secret of ann") == "UNAUTHENTICATED"
    assert (await api.get(f"/v1/accounts/{ANN}/standing")).json()["locked"] is True
    assert (await api.delete(f"/v1/accounts/{ANN}/lock")).json()["locked"] is False
    assert await sign_in(auth, "secret of ann") == ANN

    await told(owners, "OK", "audit", "--succeeded", "--last", "1")
    audit = await api.get("/v1/audit", params={"account": ANN, "succeeded": False})
    assert {one["outcome"] for one in audit.json()["items"]} == {"UNAUTHENTICATED"}
    paged = await api.get("/v1/audit", params={"network": "192.0.2.1", "page_size": 1})
    assert len(paged.json()["items"]) == 1
    assert paged.json()["next_page_token"]
    changed = await api.patch(f"/v1/accounts/{ANN}", json={"app_passwords_only": True})
    assert changed.json()["app_passwords_only"] is True


@pytest.mark.parametrize("name", ["Телефон/2", "a b?c#d", "/", "...", "50%"])
async def test_an_app_password_is_found_where_the_api_says_whatever_its_name(
    owners: Owners, auth: Channel, api: httpx.AsyncClient, name: str
) -> None:
    await with_ann(owners)
    passwords = f"/v1/accounts/{ANN}/app-passwords"
    made = await api.post(passwords, json={"name": name, "protocols": ["imap"]})
    assert made.status_code == 201
    location = made.headers["location"]
    assert location.startswith(f"{passwords}/")
    assert (await api.delete(location)).status_code == 204
    assert await sign_in(auth, made.json()["password"]) == "UNAUTHENTICATED"
    assert (await api.get(passwords)).json()["items"] == []


@pytest.mark.parametrize("name", ["", ".", ".."])
async def test_an_app_password_has_a_name_of_its_own_in_paths(
    owners: Owners, api: httpx.AsyncClient, name: str
) -> None:
    await with_ann(owners)
    passwords = f"/v1/accounts/{ANN}/app-passwords"
    refused = await api.post(passwords, json={"name": name, "protocols": ["imap"]})
    assert refused.status_code == 422
    await api.post(passwords, json={"name": "phone", "protocols": ["imap"]})
    assert (await api.delete(f"{passwords}/")).status_code == 422
    assert len((await api.get(passwords)).json()["items"]) == 1


async def test_a_weak_password_is_told_to_the_person_at_the_keyboard(owners: Owners) -> None:
    """The tests' auth takes weak passwords: the ways to say so must exist all the same."""
    await with_ann(owners)
    await owners.postroom("password", "set", ANN, "--password", "hunter2", "--accept-weak")
    with pytest.raises(PostroomError) as refused:
        await owners.services.directory.set_password("nobody@example.org", "x", accept_weak=True)
    assert refused.value.kind is Kind.NOT_FOUND
