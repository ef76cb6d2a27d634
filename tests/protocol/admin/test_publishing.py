"""Keys that mail is signed with and what a domain is to publish, by the command and by the API,
against a real auth and a DNS server of the test's own.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import dns.zone
import httpx
import pytest
from postroom.auth.v1 import dkim_pb2, dkim_pb2_grpc
from postroom_admin.api.app import build_api
from postroom_admin.publishing.dns_servers import DnsServers
from postroom_admin.tokens import TokenFile, new_token, write_tokens
from postroom_chassis.rpc.client import Channel

from tests.harness.dns import DnsServer, dns_server
from tests.harness.services import Certificates
from tests.protocol.admin.conftest import Owners

DOMAIN = "example.org"


@pytest.fixture
def server() -> Iterator[DnsServer]:
    with dns_server() as running:
        yield running


@pytest.fixture
async def domain(auth_alone: Owners) -> Owners:
    await auth_alone.services.directory.create_domain(DOMAIN)
    return auth_alone


@pytest.fixture
async def smtp(auth_alone: Owners, certificates: Certificates) -> AsyncIterator[Channel]:
    """What the SMTP front has of auth."""
    channel = Channel(auth_alone.settings.auth_address, "auth", certificates.tls("smtp"))
    yield channel
    await channel.close()


async def signing(smtp: Channel) -> list[str]:
    """The selectors that mail of the domain is signed with now."""
    stub = smtp.stub(dkim_pb2_grpc.SigningServiceStub)
    answer = await stub.Keys(dkim_pb2.SigningKeysRequest(domains=[DOMAIN]))
    return [key.selector for key in answer.domains[0].keys]


def publish(server: DnsServer, lines: str) -> None:
    """Put a zone file's lines into the server, as an administrator would."""
    records: dict[tuple[str, str], list[str]] = {}
    for line in lines.splitlines():
        if line and not line.startswith(";"):
            name, _ttl, _class, kind, value = line.split(" ", 4)
            records.setdefault((name, kind), []).append(value)
    for (name, kind), values in records.items():
        server.add(name, kind, *values)


async def test_a_domain_from_nothing_to_what_signs(
    auth_alone: Owners, smtp: Channel, server: DnsServer
) -> None:
    at = ("--server", server.address)
    begun = await auth_alone.postroom("setup", DOMAIN, "--account", "ann")
    told = begun.stderr
    assert "Domain example.org is added." in told
    assert (found := re.search(r"Account ann@example\.org is made\. Its password is (\S+)", told))
    assert len(found[1]) > 20
    assert "abuse@example.org leads to ann@example.org." in told
    assert "postmaster@example.org leads to ann@example.org." in told
    assert "`postroom dkim rotate example.org`, which lets the keys sign" in told
    dns.zone.from_text(begun.stdout, origin=DOMAIN, relativize=False, check_origin=False)
    assert await signing(smtp) == []
    publish(server, begun.stdout)
    await auth_alone.postroom("dkim", "rotate", DOMAIN, *at)
    assert len(await signing(smtp)) == 2


async def test_a_domain_that_is_there_stays_as_it_is(domain: Owners) -> None:
    await domain.postroom("setup", DOMAIN)
    again = await domain.postroom("setup", DOMAIN, "--json")
    told = json.loads(again.stdout)
    assert (told["added"], told["account"], told["password"]) == (False, f"postmaster@{DOMAIN}", "")
    assert (told["aliases"], told["keys"]) == ([], [])
    assert [one["kind"] for one in told["records"] if one["purpose"] == "DKIM"] == ["TXT", "TXT"]
    aliases = await domain.services.directory.list_aliases(DOMAIN)
    assert [alias.address for alias in aliases] == [f"abuse@{DOMAIN}"]
    refused = await domain.postroom("setup", "no domain", status=1)
    assert "no domain" in refused.stderr


async def test_a_key_from_making_to_removing(
    domain: Owners, smtp: Channel, server: DnsServer
) -> None:
    at = ("--server", server.address)
    made = await domain.postroom("dkim", "make", DOMAIN, "--selector", "one")
    assert re.match(r'one\._domainkey\.example\.org\. 3600 IN TXT "v=DKIM1; k=rsa; p=', made.stdout)
    assert "`postroom dkim activate example.org one` lets the key sign" in made.stderr
    refused = await domain.postroom("dkim", "activate", DOMAIN, "one", *at, status=1)
    assert "isn't published, or not seen yet" in refused.stderr
    assert "`postroom dkim record example.org one` shows it" in refused.stderr
    assert await signing(smtp) == []

    server.fail("one._domainkey.example.org")
    failed = await domain.postroom("dkim", "activate", DOMAIN, "one", *at, status=1)
    assert "the DNS can't say what TXT is at one._domainkey.example.org" in failed.stderr
    assert "--server, names another server to ask)" in failed.stderr
    server.recover()

    publish(server, (await domain.postroom("dkim", "record", DOMAIN, "one")).stdout)
    told = await domain.postroom("dkim", "activate", DOMAIN, "one", *at)
    assert told.stdout == "Mail of example.org is signed with one (rsa-sha256).\n"
    assert await signing(smtp) == ["one"]
    listed = (await domain.postroom("dkim", "list")).stdout
    assert re.search(r"example\.org +one +rsa-sha256 +active +\d{4}-\S+ \S+ +-", listed)

    busy = await domain.postroom("dkim", "remove", DOMAIN, "one", "--yes", status=1)
    assert "retire it first" in busy.stderr
    retired = await domain.postroom("dkim", "retire", DOMAIN, "one")
    assert "Keep its record for a week" in retired.stdout
    assert "Nothing signs mail of example.org now" in retired.stderr
    assert await signing(smtp) == []
    await domain.postroom("dkim", "remove", DOMAIN, "one", stdin="n\n", status=1)
    await domain.postroom("dkim", "remove", DOMAIN, "one", "--yes")
    nothing = await domain.postroom("dkim", "list", DOMAIN)
    assert "`postroom dkim make example.org` makes one" in nothing.stderr


async def test_keys_are_turned_by_the_command(
    domain: Owners, smtp: Channel, server: DnsServer
) -> None:
    await domain.services.dkim.make(DOMAIN, selector="old")
    await domain.services.dkim.activate(DOMAIN, "old")
    rotate = ("dkim", "rotate", DOMAIN, "--server", server.address)
    kept = await domain.postroom(*rotate, "--older-than", "180d")
    assert kept.stdout.startswith("old stays: it was made on")
    made = await domain.postroom(*rotate)
    assert "publish its record, and call this again" in made.stderr
    waiting = await domain.postroom(*rotate)
    assert "isn't seen yet" in waiting.stderr
    assert waiting.stdout == made.stdout
    assert await signing(smtp) == ["old"]
    publish(server, made.stdout)
    (step,) = json.loads((await domain.postroom(*rotate, "--json")).stdout)
    assert (step["done"], step["replaced"]) == ("activated", "old")
    assert await signing(smtp) == [step["key"]["selector"]]
    await domain.postroom(*rotate, "--older-than", "soon", status=2)


async def test_what_is_no_key_is_told(domain: Owners) -> None:
    missing = await domain.postroom("dkim", "make", "example.com", status=1)
    assert "there is no domain example.com here" in missing.stderr
    await domain.postroom("dkim", "make", DOMAIN, "--algorithm", "sha1", status=2)
    short = await domain.postroom("dkim", "make", DOMAIN, "--bits", "512", status=1)
    assert "an RSA key has 1024 to 4096 bits" in short.stderr
    ed = ("dkim", "make", DOMAIN, "--algorithm", "ed25519", "--selector", "ed")
    made = json.loads((await domain.postroom(*ed, "--json")).stdout)
    assert made["record"].startswith("v=DKIM1; k=ed25519; p=")
    twice = await domain.postroom(*ed, status=1)
    assert "name another selector" in twice.stderr
    text = await domain.postroom("dkim", "record", DOMAIN, "ed", "--text")
    assert text.stdout == f"{made['record']}\n"
    for command in ("record", "activate", "retire"):
        unknown = await domain.postroom("dkim", command, DOMAIN, "none", status=1)
        assert "has no key none" in unknown.stderr
    wrong = await domain.postroom("dkim", "activate", DOMAIN, "ed", "--server", "ns", status=2)
    assert "no DNS server" in wrong.stderr


async def test_what_is_printed_is_what_is_checked(domain: Owners, server: DnsServer) -> None:
    at = ("--check", "--server", server.address)
    hosts = ("--host", "mx1.example.net", "--host", "mx2.example.net")
    first = await domain.postroom("dns", DOMAIN, *hosts, *at, status=1)
    assert re.search(r"missing +MX +example\.org +-", first.stdout)
    assert re.search(r"missing \(optional\) +MTA-STS", first.stdout)
    todo = first.stdout.partition("What to do next:\n")[2]
    assert todo.startswith(" 1. MX at example.org: publish it")
    assert "      example.org MX 20 mx2.example.net" in todo
    assert todo.count("autoconfig") == 1
    assert "`postroom dkim make example.org` makes a key" in todo

    await domain.services.dkim.make(DOMAIN, selector="one")
    await domain.services.dkim.activate(DOMAIN, "one")
    strict = ("--dmarc", "reject", "--sts", "enforce")
    printed = await domain.postroom("dns", DOMAIN, *hosts, *strict)
    assert ";   mode: enforce" in printed.stdout
    assert ";   mx: mx2.example.net" in printed.stdout
    zone = dns.zone.from_text(
        f"$ORIGIN example.org.\n@ 1 IN SOA a b 1 1 1 1 1\n{printed.stdout}", check_origin=False
    )
    assert zone.get_rdataset("one._domainkey", "TXT") is not None
    publish(server, printed.stdout)
    for number in (1, 2):
        server.add(f"mx{number}.example.net", "A", f"192.0.2.{number}")
        server.add(f"{number}.2.0.192.in-addr.arpa", "PTR", f"mx{number}.example.net.")
    server.add("mta-sts.example.org", "A", "192.0.2.80")
    last = await domain.postroom("dns", DOMAIN, *hosts, *at)
    assert last.stdout.endswith("\nAll is as it should be.\n")

    server.text("example.org", "v=spf1 \x1b[2J +all")
    broken = await domain.postroom("dns", DOMAIN, *hosts, *at, status=1)
    assert "SPF at example.org: end it in -all: now it lets everybody send" in broken.stdout
    assert "\x1b" not in broken.stdout
    (spf,) = [
        one
        for one in json.loads(
            (await domain.postroom("dns", DOMAIN, *hosts, *at, "--json", status=1)).stdout
        )
        if one["purpose"] == "SPF"
    ]
    assert (spf["verdict"], spf["published"]) == ("wrong", ["v=spf1 \x1b[2J +all"])


async def test_records_of_nobodys_domain_are_not_told(domain: Owners) -> None:
    missing = await domain.postroom("dns", "example.com", status=1)
    assert "there is no domain example.com here" in missing.stderr
    wrong = await domain.postroom("dns", DOMAIN, "--host", "a b", status=1)
    assert "'a b' is no name of a host" in wrong.stderr
    plain = await domain.postroom("dns", DOMAIN)
    assert "; DKIM: no key yet; `postroom dkim make example.org` makes one" in plain.stdout
    assert "`postroom dns example.org --check`" in plain.stderr


@pytest.fixture
async def api(
    domain: Owners, server: DnsServer, tmp_path: Path
) -> AsyncIterator[httpx.AsyncClient]:
    token, kept = new_token("tests")
    write_tokens(tmp_path / "api_tokens", [kept])
    services = replace(domain.services, dns=DnsServers(server.address))
    app = build_api(services, TokenFile(tmp_path / "api_tokens"), ["mx.example.net"])
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app, raise_app_exceptions=False),
        base_url="https://admin.example.org",
        headers={"Authorization": f"Bearer {token}"},
    ) as client:
        yield client


async def test_keys_by_the_api(api: httpx.AsyncClient, smtp: Channel, server: DnsServer) -> None:
    keys = f"/v1/domains/{DOMAIN}/dkim-keys"
    body = {"algorithm": "ed25519-sha256", "selector": "one"}
    made = await api.post(keys, json=body)
    assert (made.status_code, made.headers["location"]) == (201, f"{keys}/one")
    assert (made.json()["state"], made.json()["retired_at"]) == ("new", None)
    assert (await api.post(keys, json=body)).status_code == 409
    assert (await api.post(keys, json={"algorithm": "x"})).status_code == 422
    assert (await api.post(f"{keys}/one/activate")).json()["state"] == "active"
    assert await signing(smtp) == ["one"]
    assert (await api.delete(f"{keys}/one")).status_code == 409

    rotation = f"/v1/domains/{DOMAIN}/dkim-rotation"
    (step,) = (await api.post(rotation, json={"older_than_days": 10})).json()
    assert (step["done"], step["key"]["selector"]) == ("kept", "one")
    (step,) = (await api.post(rotation, json={})).json()
    assert step["done"] == "made"
    assert step["key"]["algorithm"] == "ed25519-sha256"
    selector = step["key"]["selector"]
    server.text(f"{selector}._domainkey.{DOMAIN}", step["key"]["record"])
    (step,) = (await api.post(rotation, json={})).json()
    assert (step["done"], step["replaced"]) == ("activated", "one")
    assert await signing(smtp) == [selector]

    assert (await api.post(f"{keys}/{selector}/retire")).json()["state"] == "retired"
    assert (await api.delete(f"{keys}/one")).status_code == 204
    for path in (keys, "/v1/dkim-keys"):
        (left,) = (await api.get(path)).json()["items"]
        assert left["selector"] == selector
    assert (await api.get("/v1/domains/example.com/dkim-keys")).status_code == 404


async def test_records_by_the_api(api: httpx.AsyncClient, server: DnsServer) -> None:
    records = f"/v1/domains/{DOMAIN}/dns"
    wanted = (await api.get(records, params={"dmarc": "quarantine"})).json()
    lines = [one["line"] for one in wanted["records"]]
    assert lines[0] == "example.org. 3600 IN MX 10 mx.example.net."
    assert "mx: mx.example.net" in wanted["sts_policy"]
    found = (await api.get(f"{records}/check")).json()
    assert found["good"] is False
    assert found["findings"][0]["next"].startswith("publish it")
    publish(server, "\n".join(lines))
    server.add("mx.example.net", "A", "192.0.2.1")
    keys = f"/v1/domains/{DOMAIN}/dkim-keys"
    made = (await api.post(keys, json={"selector": "one"})).json()
    server.text("one._domainkey.example.org", made["record"])
    await api.post(f"{keys}/one/activate")
    found = (await api.get(f"{records}/check")).json()
    assert found["good"] is True
    others = (await api.get(records, params={"host": ["a.example", "b.example"]})).json()
    assert [one["value"] for one in others["records"]][:2] == ["10 a.example", "20 b.example"]
    assert (await api.get(records, params={"sends_from": "x"})).status_code == 422
    assert (await api.get("/v1/domains/example.com/dns")).status_code == 404
