"""The REST API, as a client sees it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
from postroom_admin.api.app import BODY_BYTES, build_api
from postroom_admin.api.problems import STATUS
from postroom_admin.model import (
    Attempt,
    NewMessage,
    Outcome,
    QueueState,
    Reception,
    Traced,
    TracedEntry,
)
from postroom_admin.tokens import TokenFile, new_token, write_tokens
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import UNLIMITED
from prometheus_client import REGISTRY
from prometheus_client.samples import Sample

from tests.unit.admin.fakes import MADE, FakeServices

PROBLEM = "application/problem+json"


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    return tmp_path / "api_tokens"


@pytest.fixture
async def api(services: FakeServices, token_file: Path) -> AsyncIterator[httpx.AsyncClient]:
    token, kept = new_token("tests")
    write_tokens(token_file, [kept])
    app = build_api(services.ports, TokenFile(token_file))
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(
        transport=transport,
        base_url="https://admin.example.org",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        yield client


def kind_of(response: httpx.Response) -> str:
    assert response.headers["content-type"] == PROBLEM
    body = response.json()
    assert body["status"] == response.status_code
    assert body["title"]
    return str(body["type"]).removeprefix("urn:postroom:problem:")


async def test_a_domain_and_an_account_from_nothing_to_nothing(api: httpx.AsyncClient) -> None:
    made = await api.post("/v1/domains", json={"name": "example.org"})
    assert (made.status_code, made.headers["location"]) == (201, "/v1/domains/example.org")
    made = await api.post(
        "/v1/accounts", json={"address": "ann@example.org", "password": "x", "quota_bytes": 10}
    )
    assert (made.status_code, made.headers["location"]) == (201, "/v1/accounts/ann@example.org")
    shown = await api.get("/v1/accounts/ann@example.org")
    assert shown.json() == {
        "account_id": 1,
        "address": "ann@example.org",
        "tenant": "default",
        "display_name": "",
        "quota_bytes": 10,
        "disabled": False,
        "created_at": "2030-01-02T03:04:05Z",
        "quota_messages": 0,
        "quota_mailboxes": 0,
        "administrator": False,
        "app_passwords_only": False,
        "pop3_delete": False,
        "pop3_days": 0,
        "pop3_login_delay": 0,
    }
    body = {"address": "ann@example.org"}
    domain = (await api.put("/v1/domains/example.org/catch-all", json=body)).json()
    assert domain["catch_all"] == "ann@example.org"
    assert (await api.delete("/v1/domains/example.org/catch-all")).status_code == 204
    assert (await api.get("/v1/domains/example.org")).json()["catch_all"] == ""
    assert (await api.delete("/v1/domains/example.org")).status_code == 409
    assert (await api.delete("/v1/accounts/ann@example.org")).status_code == 204
    assert (await api.delete("/v1/domains/example.org")).status_code == 204
    assert (await api.get("/v1/domains")).json() == {"items": [], "next_page_token": ""}
    assert (await api.get("/v1/domains/example.org")).status_code == 404


async def test_an_account_is_changed_in_the_fields_that_are_sent(
    api: httpx.AsyncClient, services: FakeServices
) -> None:
    await services.with_account()
    changed = await api.patch("/v1/accounts/ann@example.org", json={"disabled": True})
    assert (changed.json()["disabled"], changed.json()["display_name"]) == (True, "Ann")
    changed = await api.patch("/v1/accounts/ann@example.org", json={"display_name": ""})
    assert (changed.json()["disabled"], changed.json()["display_name"]) == (True, "")


async def test_a_password_is_set(api: httpx.AsyncClient, services: FakeServices) -> None:
    await services.with_account()
    answer = await api.put("/v1/accounts/ann@example.org/password", json={"password": "new"})
    assert (answer.status_code, answer.content) == (204, b"")
    assert services.directory.passwords["ann@example.org"] == "new"


async def test_quota_and_usage(api: httpx.AsyncClient, services: FakeServices) -> None:
    await services.with_account()
    await services.store.import_messages(
        b"k", 1, "INBOX", [NewMessage(b"x" * 100, (), 0)], UNLIMITED
    )
    quota = await api.put("/v1/accounts/ann@example.org/quota", json={"quota_bytes": 1000})
    shown = {
        "quota_bytes": 1000,
        "quota_messages": 0,
        "quota_mailboxes": 0,
        "bytes": 100,
        "messages": 1,
        "mailboxes": 1,
    }
    assert quota.json() == shown
    assert (await api.get("/v1/accounts/ann@example.org/quota")).json() == shown
    more = {"quota_messages": 10, "quota_mailboxes": 5}
    quota = await api.put("/v1/accounts/ann@example.org/quota", json=more)
    assert quota.json() == shown | more
    usage = {"account_id": 1, "messages": 1, "bytes": 100, "mailboxes": 1}
    assert (await api.get("/v1/accounts/ann@example.org/usage")).json() == usage
    assert (await api.get("/v1/usage")).json() == {"items": [usage], "next_page_token": ""}


async def test_mail_goes_with_its_account_unless_asked_otherwise(
    api: httpx.AsyncClient, services: FakeServices
) -> None:
    await services.with_account()
    await services.with_account("ben@example.org")
    await api.delete("/v1/accounts/ann@example.org?keep_mail=true")
    assert services.store.purged == []
    await api.delete("/v1/accounts/ben@example.org")
    assert services.store.purged == [2]


async def test_aliases_and_tenants(api: httpx.AsyncClient) -> None:
    assert (await api.post("/v1/tenants", json={"name": "school"})).status_code == 201
    await api.post("/v1/domains", json={"name": "example.org", "tenant": "school"})
    assert (await api.get("/v1/domains?tenant=other")).json()["items"] == []
    alias = {"address": "info@example.org", "targets": ["ann@example.org", "ben@example.net"]}
    assert (await api.post("/v1/aliases", json=alias)).json() == alias
    assert (await api.get("/v1/aliases?domain=example.org")).json()["items"] == [alias]
    assert (await api.delete("/v1/aliases/info@example.org")).status_code == 204
    assert (await api.delete("/v1/tenants/school")).status_code == 409
    await api.delete("/v1/domains/example.org")
    assert (await api.delete("/v1/tenants/school")).status_code == 204
    assert (await api.get("/v1/tenants")).json()["items"] == []


async def test_the_queue(api: httpx.AsyncClient, services: FakeServices) -> None:
    host = "mx.example.com [192.0.2.1]"
    tried = Attempt(MADE, Outcome.DEFERRED, "451 later", host, "TLSv1.3")
    services.queue.put("x@example.com", attempts=[tried], last_reply="451 later", last_host=host)
    services.queue.put("y@example.net")
    (entry,) = (await api.get("/v1/queue?domain=example.com")).json()["items"]
    assert (entry["queue_id"], entry["state"], entry["recipient"]) == (
        1,
        "waiting",
        "x@example.com",
    )
    assert (entry["last_host"], entry["next_attempt_at"]) == (host, "2030-01-02T03:04:05Z")
    shown = (await api.get("/v1/queue/1")).json()
    assert shown["attempts"] == 1
    assert shown["tries"] == [
        {
            "at": "2030-01-02T03:04:05Z",
            "outcome": "deferred",
            "reply": "451 later",
            "host": host,
            "tls": "TLSv1.3",
        }
    ]
    assert (await api.post("/v1/queue/1/hold")).json()["state"] == "held"
    summary = (await api.get("/v1/queue/domains")).json()
    assert (summary["total"], summary["domains"][0]["held"]) == (2, 1)
    assert (await api.post("/v1/queue/1/release")).json()["state"] == "waiting"
    assert (await api.post("/v1/queue/1/retry")).json()["state"] == "waiting"
    assert (await api.delete("/v1/queue/1")).status_code == 204
    assert kind_of(await api.get("/v1/queue/1")) == "not-found"
    assert kind_of(await api.get("/v1/queue/0")) == "invalid"


async def test_many_entries_at_once(api: httpx.AsyncClient, services: FakeServices) -> None:
    for number in range(3):
        services.queue.put(f"{number}@example.com")
    services.queue.put("x@example.net", state=QueueState.SENDING)
    held = await api.post("/v1/queue/hold", json={"domain": "example.com"})
    assert held.json() == {"changed": 3, "passed_over": 0}
    released = await api.post("/v1/queue/release", json={"queue_ids": [1, 2]})
    assert released.json() == {"changed": 2, "passed_over": 0}
    busy = await api.post("/v1/queue/retry", json={"queue_ids": [1, 4]})
    assert kind_of(busy) == "conflict"
    cancelled = await api.post("/v1/queue/cancel", json={"all": True})
    assert cancelled.json() == {"changed": 3, "passed_over": 1}
    for body in ({}, {"all": False}, {"all": True, "domain": "x"}, {"queue_ids": []}):
        assert kind_of(await api.post("/v1/queue/cancel", json=body)) == "invalid"


async def test_suppressions(api: httpx.AsyncClient, services: FakeServices) -> None:
    gone = "/v1/suppressions/gone@example.com"
    assert (await api.put(gone, json={"reason": "left"})).status_code == 204
    (one,) = (await api.get("/v1/suppressions")).json()["items"]
    assert one == {
        "address": "gone@example.com",
        "reason": "left",
        "created_at": "2030-01-02T03:04:05Z",
    }
    assert (await api.delete(gone)).status_code == 204
    assert kind_of(await api.delete(gone)) == "not-found"


async def test_the_life_of_a_message(api: httpx.AsyncClient, services: FakeServices) -> None:
    came = Reception("abc123", "192.0.2.7", "", "")
    entry = TracedEntry(9, 0, "a@b.example", "x@y.example", MADE, None, MADE, (), came)
    services.traces.lives["1/2@example.net"] = Traced((), (entry,))
    life = (await api.get("/v1/trace", params={"message_id": "<1/2@example.net>"})).json()
    assert [(one["kind"], one["who"]) for one in life["events"]] == [
        ("accepted", ""),
        ("queued", "x@y.example"),
        ("gone", "x@y.example"),
    ]
    assert kind_of(await api.get("/v1/trace", params={"message_id": "x"})) == "not-found"
    assert kind_of(await api.get("/v1/trace")) == "invalid"


async def test_lists_come_in_pages(api: httpx.AsyncClient, services: FakeServices) -> None:
    for number in range(5):
        await services.with_account(f"user{number}@example.org")
    found: list[str] = []
    token = ""
    sizes: list[int] = []
    while True:
        page = (await api.get(f"/v1/accounts?page_size=2&page_token={token}")).json()
        found += [one["address"] for one in page["items"]]
        sizes.append(len(page["items"]))
        if not (token := page["next_page_token"]):
            break
    assert sizes == [2, 2, 1]
    assert found == [f"user{number}@example.org" for number in range(5)]
    assert kind_of(await api.get("/v1/accounts?page_size=1001")) == "invalid"


@pytest.mark.parametrize(
    "header", [None, "", "Bearer", "Bearer wrong", "Basic YW5uOng=", "Bearer \xff", "x" * 5000]
)
async def test_without_a_good_token_nothing_is_told(
    api: httpx.AsyncClient, header: str | None
) -> None:
    del api.headers["Authorization"]
    headers = [] if header is None else [(b"Authorization", header.encode("latin-1"))]
    for method, path in [("GET", "/v1/accounts/nobody@example.org"), ("POST", "/v1/tenants")]:
        refused = await api.request(method, path, headers=headers)
        assert refused.status_code == 401
        assert kind_of(refused) == "unauthenticated"
        assert refused.headers["www-authenticate"] == 'Bearer realm="postroom"'


async def test_a_token_that_is_removed_ends_at_once(
    api: httpx.AsyncClient, token_file: Path
) -> None:
    assert (await api.get("/v1/tenants")).status_code == 200
    write_tokens(token_file, [])
    assert (await api.get("/v1/tenants")).status_code == 401
    await asyncio.to_thread(token_file.unlink)
    assert kind_of(await api.get("/v1/tenants")) == "unavailable"


async def test_every_resource_needs_a_token(api: httpx.AsyncClient) -> None:
    del api.headers["Authorization"]
    paths = (await api.get("/openapi.json")).json()["paths"]
    assert len(paths) > 15
    for path, operations in paths.items():
        for method in operations:
            asked = await api.request(method, path.replace("{queue_id}", "1"), json={})
            assert asked.status_code == 401, (method, path)


def test_every_kind_has_a_status() -> None:
    assert set(STATUS) == set(Kind)


@pytest.mark.parametrize("kind", Kind)
async def test_errors_of_the_owners_are_problems(
    api: httpx.AsyncClient,
    services: FakeServices,
    monkeypatch: pytest.MonkeyPatch,
    kind: Kind,
) -> None:
    async def fail(_name: str) -> None:
        raise PostroomError(kind, "what people may know")

    monkeypatch.setattr(services.directory, "delete_tenant", fail)
    response = await api.delete("/v1/tenants/x")
    assert response.status_code == STATUS[kind]
    assert kind_of(response) == kind.lower().replace("_", "-")
    assert response.json()["detail"] == "what people may know"
    assert ("retry-after" in response.headers) == (response.status_code in (429, 503))


async def test_what_nobody_expected_tells_nothing(
    api: httpx.AsyncClient, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail() -> None:
        raise RuntimeError("the secret of this house")

    monkeypatch.setattr(services.directory, "list_tenants", fail)
    response = await api.get("/v1/tenants")
    assert (response.status_code, kind_of(response)) == (500, "internal")
    assert "secret" not in response.text


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, "body.address: Field required"),
        ({"address": "a@b", "pasword": "x"}, "body.pasword: Extra inputs are not permitted"),
        ({"address": "a@b", "quota_bytes": -1}, "body.quota_bytes"),
        ({"address": "a@b", "quota_bytes": 2**63}, "body.quota_bytes"),
        ({"address": "x" * 400}, "body.address"),
        ({"address": "a@b", "password": "hunter2" * 200}, "body.password"),
        ([], "body"),
    ],
)
async def test_a_request_that_is_not_as_described(
    api: httpx.AsyncClient, body: object, error: str
) -> None:
    response = await api.post("/v1/accounts", json=body)
    assert (response.status_code, kind_of(response)) == (422, "invalid")
    assert any(one.startswith(error) for one in response.json()["errors"])
    assert "hunter2" not in response.text


async def test_broken_json_paths_and_methods_are_problems(api: httpx.AsyncClient) -> None:
    assert kind_of(await api.post("/v1/accounts", content=b"{")) == "invalid"
    assert kind_of(await api.get("/v2/accounts")) == "not-found"
    refused = await api.put("/v1/accounts")
    assert (refused.status_code, kind_of(refused)) == (405, "unsupported")
    assert "GET" in refused.headers["allow"]


async def test_a_body_has_a_limit(api: httpx.AsyncClient) -> None:
    async def endless() -> AsyncIterator[bytes]:
        while True:
            yield b" " * 65536
            await asyncio.sleep(0)

    for content in (b" " * (BODY_BYTES + 1), endless()):
        refused = await api.post("/v1/accounts", content=content)
        assert (refused.status_code, kind_of(refused)) == (413, "too-large")


async def test_what_strangers_make_up_makes_no_new_metrics(api: httpx.AsyncClient) -> None:
    del api.headers["Authorization"]
    await api.get("/v1/unknown-first")
    await api.request("BREW", "/v1/tenants")
    before = {sample.name + str(sample.labels) for sample in samples()}
    for number in range(5):
        await api.get(f"/v1/unknown-{number}/{'x' * 1000}")
        await api.request(f"BREW{number}", "/v1/tenants")
        await api.get(f"/v1/accounts/{number}@example.org")
    after = {sample.name + str(sample.labels) for sample in samples()}
    assert {one for one in after - before if "{address}" not in one} == set()


def samples() -> list[Sample]:
    found = [family for family in REGISTRY.collect() if family.name.startswith("postroom_api")]
    return [sample for family in found for sample in family.samples]


async def test_caches_keep_nothing(api: httpx.AsyncClient) -> None:
    assert (await api.get("/v1/tenants")).headers["cache-control"] == "no-store"


async def test_a_page_lists_every_operation_and_loads_nothing(api: httpx.AsyncClient) -> None:
    del api.headers["Authorization"]
    page = await api.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for path in (await api.get("/openapi.json")).json()["paths"]:
        assert f"<code>{path}</code>" in page.text
    assert "address, [password], [display_name], [quota_bytes]" in page.text
    assert "<script" not in page.text
    assert "default-src 'none'" in page.headers["content-security-policy"]


async def test_openapi_describes_it(api: httpx.AsyncClient) -> None:
    described = (await api.get("/openapi.json")).json()
    assert described["openapi"].startswith("3.1")
    assert "RFC 9457" in described["info"]["description"]
    assert "Problem" in described["components"]["schemas"]
    assert described["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"
    account = described["components"]["schemas"]["NewAccount"]
    assert account["properties"]["address"]["examples"] == ["ann@example.org"]
    for path, operations in described["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"][0].isupper(), (method, path)
            assert PROBLEM in operation["responses"]["4XX"]["content"], (method, path)
            assert operation["security"] == [{"HTTPBearer": []}]


async def test_a_secret_is_told_once_and_revoked(
    api: httpx.AsyncClient, services: FakeServices
) -> None:
    await services.with_account()
    path = "/v1/accounts/ann@example.org/secrets"
    made = await api.post(path, json={"kind": "rpop", "networks": ["192.0.2.0/24"]})
    assert made.status_code == 201
    secret = made.json()
    text = secret.pop("text")
    listed = await api.get(path)
    assert listed.json()["items"] == [secret]
    assert text not in listed.text
    assert (await api.delete(f"{path}/{secret['secret_id']}")).status_code == 204
    assert (await api.get(path)).json()["items"] == []
    gone = await api.delete(f"{path}/{secret['secret_id']}")
    assert kind_of(gone) == "not-found"
    assert kind_of(await api.post(path, json={"kind": "magic"})) == "invalid"


async def test_how_mail_is_kept_for_pop3(api: httpx.AsyncClient, services: FakeServices) -> None:
    await services.with_account()
    path = "/v1/accounts/ann@example.org"
    changed = await api.patch(path, json={"pop3_days": 30, "pop3_login_delay": 60})
    assert (changed.json()["pop3_days"], changed.json()["pop3_login_delay"]) == (30, 60)
    assert kind_of(await api.patch(path, json={"pop3_days": -1})) == "invalid"
