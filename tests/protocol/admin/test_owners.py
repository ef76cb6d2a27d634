"""The ports against a real auth and a real store, and the command as a process of its own."""

from __future__ import annotations

import asyncio
import json
import signal
import ssl
from collections import Counter
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from postroom_admin.__main__ import start
from postroom_admin.accounts import usage_of
from postroom_admin.model import NewMessage, every
from postroom_admin.settings import ApiSettings
from postroom_admin.tokens import new_token, write_tokens
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import UNLIMITED, Quota

from tests.harness.corpus import bare_line_breaks, corpus
from tests.harness.services import Certificates, running
from tests.protocol.admin.conftest import Owners

ANN = "ann@example.org"


async def with_ann(owners: Owners, quota_bytes: int = 0) -> int:
    await owners.services.directory.create_domain("example.org")
    made = await owners.services.directory.create_account(ANN, "secret", "Ann", quota_bytes)
    return made.account_id


async def contents(owners: Owners, account_id: int, mailbox: str = "INBOX") -> list[bytes]:
    return [
        message.content
        async for message in owners.services.store.export_messages(account_id, mailbox)
    ]


async def test_the_directory(owners: Owners) -> None:
    directory = owners.services.directory
    await directory.create_tenant("school")
    made = await directory.create_domain("example.org", "school")
    assert (made.name, made.tenant, made.catch_all) == ("example.org", "school", "")
    account = await directory.create_account(ANN, "secret", "Ann", 1000)
    assert await directory.get_account(ANN) == account
    assert (account.address, account.display_name, account.quota_bytes) == (ANN, "Ann", 1000)
    changed = await directory.update_account(ANN, disabled=True)
    assert (changed.disabled, changed.display_name, changed.quota_bytes) == (True, "Ann", 1000)
    changed = await directory.update_account(ANN, display_name="", quota_bytes=0)
    assert (changed.disabled, changed.display_name, changed.quota_bytes) == (True, "", 0)
    await directory.set_password(ANN, "another")
    assert (await directory.set_catch_all("example.org", ANN)).catch_all == ANN
    alias = await directory.create_alias("info@example.org", [ANN, "x@example.net"])
    assert list(await directory.list_aliases("example.org")) == [alias]
    await directory.delete_alias("info@example.org")
    with pytest.raises(PostroomError) as refused:
        await directory.delete_domain("example.org")
    assert refused.value.kind is Kind.CONFLICT
    await directory.set_catch_all("example.org", "")
    assert await directory.delete_account(ANN) == account.account_id
    await directory.delete_domain("example.org")
    await directory.delete_tenant("school")
    with pytest.raises(PostroomError) as missing:
        await directory.get_account(ANN)
    assert missing.value.kind is Kind.NOT_FOUND


async def test_accounts_in_pages(owners: Owners) -> None:
    directory = owners.services.directory
    await directory.create_domain("example.org")
    for number in range(5):
        await directory.create_account(f"user{number}@example.org")
    first = await directory.list_accounts("example.org", "", 2)
    assert [one.address for one in first.items] == ["user0@example.org", "user1@example.org"]
    found = [one.address async for one in every(lambda t: directory.list_accounts("", t, 2))]
    assert found == [f"user{number}@example.org" for number in range(5)]


async def test_mail_goes_in_once_and_comes_out_as_it_was(owners: Owners) -> None:
    store, account_id = owners.services.store, await with_ann(owners)
    mails = {**corpus(), **bare_line_breaks()}
    flags = ("\\Seen", "\\Draft", "$Forwarded", "work")
    for number, content in enumerate(mails.values()):
        message = NewMessage(content, flags, 1_000_000 + number)
        for _ in range(2):
            key = b"key of %10d" % number
            assert await store.import_messages(key, account_id, "A/B", [message], UNLIMITED) == 1
    found = [message async for message in store.export_messages(account_id, "A/B")]
    assert [message.content for message in found] == list(mails.values())
    assert [message.internaldate for message in found] == [
        1_000_000 + number for number in range(len(mails))
    ]
    assert all(set(message.flags) == set(flags) for message in found)
    named = [box async for box in every(lambda t: store.list_mailboxes(account_id, t))]
    assert {box.name: box.messages for box in named}["A/B"] == len(mails)
    assert {box.name: box.messages for box in named}["INBOX"] == 0
    usage = (await usage_of(owners.services, ANN)).usage
    assert usage.messages == len(mails)


async def test_large_messages_travel_in_pieces(owners: Owners) -> None:
    store, account_id = owners.services.store, await with_ann(owners)
    large = b"Subject: large\r\n\r\n" + b"0123456789abcde\n" * 400_000
    for number in range(2):
        upload_id = await store.upload(large)
        message = NewMessage(b"", (), 5, upload_id)
        await store.import_messages(b"key %12d" % number, account_id, "INBOX", [message], UNLIMITED)
    assert await contents(owners, account_id) == [large, large]


async def test_a_quota_holds(owners: Owners) -> None:
    account_id = await with_ann(owners)
    with pytest.raises(PostroomError) as refused:
        await owners.services.store.import_messages(
            b"0123456789abcdef", account_id, "INBOX", [NewMessage(b"x" * 2000, (), 5)], Quota(1000)
        )
    assert refused.value.kind is Kind.OVER_QUOTA
    assert (await usage_of(owners.services, ANN)).usage.bytes == 0


async def test_upkeep(owners: Owners) -> None:
    store, account_id = owners.services.store, await with_ann(owners)
    await store.import_messages(
        b"k" * 16, account_id, "INBOX", [NewMessage(b"x\r\n", (), 5)], UNLIMITED
    )
    checked = [progress async for progress in store.check_integrity(0, True)]
    assert checked[-1].done == checked[-1].total == 1
    assert not any(progress.faults for progress in checked)
    assert [progress.done async for progress in store.reindex(account_id)][-1] == 1
    assert [done async for done in store.collect_garbage()]
    assert await store.undelete(account_id, "INBOX", 0) == 0
    await store.purge_account(account_id)
    assert (await usage_of(owners.services, ANN)).usage.messages == 0


async def test_an_empty_queue(owners: Owners) -> None:
    assert (await owners.services.queue.list()).items == []
    with pytest.raises(PostroomError) as missing:
        await owners.services.queue.hold([17])
    assert missing.value.kind is Kind.NOT_FOUND


async def test_the_command_from_a_domain_to_a_mailbox_and_back(
    owners: Owners, tmp_path: Path
) -> None:
    await owners.postroom("domain", "add", "example.org")
    await owners.postroom("account", "add", ANN, "--stdin", stdin="secret\n")
    (tmp_path / "Maildir" / "new").mkdir(parents=True)
    for number, content in enumerate(corpus().values()):
        (tmp_path / "Maildir" / "new" / f"{1_000_000_000 + number}.x").write_bytes(content)
    await owners.postroom("import", "maildir", str(tmp_path / "Maildir"), "--account", ANN)
    shown = json.loads((await owners.postroom("account", "show", ANN, "--json")).stdout)
    assert shown["usage"]["messages"] == len(corpus())
    output = str(tmp_path / "out")
    await owners.postroom("export", "--account", ANN, "--output", output)
    options = ("--account", ANN, "--mailbox", "Copy")
    await owners.postroom("import", "mbox", output, *options)
    account_id = shown["account"]["account_id"]
    assert Counter(await contents(owners, account_id, "Copy/INBOX")) == Counter(corpus().values())
    assert (await owners.postroom("check", "--contents")).stdout == "No faults.\n"
    again = await owners.postroom("domain", "add", "example.org", status=1)
    assert again.stderr.startswith("postroom: ")
    assert again.stderr.count("\n") == 1


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
async def test_an_import_that_is_ended_goes_on_and_is_whole(
    owners: Owners, tmp_path: Path, end: signal.Signals
) -> None:
    account_id = await with_ann(owners)
    (tmp_path / "Maildir" / "cur").mkdir(parents=True)
    mails = [b"Subject: %d\n\n%s\n" % (number, b"x" * 4000) for number in range(4000)]
    for number, content in enumerate(mails):
        (tmp_path / "Maildir" / "cur" / f"{1_000_000_000 + number}.x:2,S").write_bytes(content)
    command = ("import", "maildir", str(tmp_path / "Maildir"), "--account", ANN)
    process = await owners.begin(*command)
    async with asyncio.timeout(60):
        while not (await owners.services.store.usage(account_id)).items:
            pass
    process.send_signal(end)
    _, stderr = await process.communicate()
    if end is signal.SIGINT:
        assert process.returncode == 130
        assert b"Interrupted. The same command goes on from here." in stderr
    before = len(await contents(owners, account_id))
    assert 0 < before < len(mails)
    await owners.postroom(*command)
    kept = Counter(await contents(owners, account_id))
    assert kept == Counter(content.replace(b"\n", b"\r\n") for content in mails)


async def test_an_owner_that_is_away_is_told_in_one_line(owners: Owners) -> None:
    away = replace(
        owners, settings=owners.settings.model_copy(update={"auth_address": "127.0.0.1:9"})
    )
    told = (await away.postroom("domain", "list", status=1)).stderr
    assert told.startswith("postroom: the service can't be reached (is it running at ")
    assert told.count("\n") == 1


async def test_the_api_over_https(owners: Owners, certificates: Certificates) -> None:
    token, kept = new_token("tests")
    file = owners.folder / "api_tokens"
    write_tokens(file, [kept])
    settings = ApiSettings(
        auth_address=owners.settings.auth_address,
        store_address=owners.settings.store_address,
        listeners="api=127.0.0.1:0,apis=127.0.0.1:0;tls",
        tls_certificate=certificates.folder / "tls.pem",
        tls_key=certificates.folder / "tls.key",
        api_tokens=file,
        **certificates.settings("admin"),
    )
    trust = ssl.create_default_context(cafile=str(certificates.folder / "ca.pem"))
    headers = {"Authorization": f"Bearer {token}"}
    async with running(settings, start) as service:
        for check in service.checks.values():
            await check()
        async with httpx.AsyncClient(verify=trust, headers=headers) as client:
            secure = f"https://localhost:{service.ports['apis']}/v1"
            made = await client.post(f"{secure}/domains", json={"name": "example.org"})
            assert made.status_code == 201
            again = await client.post(f"{secure}/domains", json={"name": "example.org"})
            assert again.status_code == 409
            clear = f"http://127.0.0.1:{service.ports['api']}/v1"
            listed = await client.get(f"{clear}/domains")
            assert [one["name"] for one in listed.json()["items"]] == ["example.org"]
            assert "server" not in listed.headers
            assert (await client.get(f"{clear}/queue")).json()["items"] == []
