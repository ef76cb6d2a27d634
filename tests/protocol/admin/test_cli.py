"""The `postroom` command, as it is typed and as it answers."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import typer
from postroom_admin.cli.app import app
from postroom_admin.cli.session import Session
from postroom_admin.model import (
    Attempt,
    NewMessage,
    Outcome,
    QueueState,
    Reception,
    StoredMessage,
    Traced,
    TracedCopy,
)
from postroom_admin.tokens import TokenFile
from postroom_chassis.errors import Kind, PostroomError
from postroom_chassis.quota import UNLIMITED
from typer.testing import CliRunner, Result

from tests.harness.corpus import corpus
from tests.unit.admin.fakes import MADE, FakeServices

SETTINGS = {
    "POSTROOM_ADMIN_AUTH_ADDRESS": "127.0.0.1:1",
    "POSTROOM_ADMIN_STORE_ADDRESS": "127.0.0.1:2",
    "POSTROOM_ADMIN_RPC_CERTIFICATE": "admin.pem",
    "POSTROOM_ADMIN_RPC_KEY": "admin.key",
    "POSTROOM_ADMIN_RPC_AUTHORITY": "ca.pem",
}
Postroom = Callable[..., Result]


@pytest.fixture
def services() -> FakeServices:
    return FakeServices()


@pytest.fixture
def postroom(services: FakeServices, tmp_path: Path) -> Postroom:
    environment = SETTINGS | {"POSTROOM_ADMIN_API_TOKENS": str(tmp_path / "api_tokens")}
    session = Session(services.connect, environment)

    def run(*arguments: str, stdin: str = "", status: int = 0) -> Result:
        result = CliRunner().invoke(app, list(arguments), input=stdin, obj=session)
        assert result.exit_code == status, result.output
        return result

    return run


@pytest.fixture
def ann(services: FakeServices) -> FakeServices:
    asyncio.run(services.with_account())
    return services


def test_a_domain_its_accounts_and_aliases(postroom: Postroom, services: FakeServices) -> None:
    postroom("domain", "add", "example.org")
    postroom("account", "add", "ann@example.org", "--name", "Ann", "--quota", "2G", "--generate")
    postroom("account", "add", "ben@example.org", "--stdin", stdin="secret word\n")
    postroom("alias", "add", "info@example.org", "ann@example.org", "ben@example.net")
    postroom("domain", "catch-all", "example.org", "ann@example.org")
    listed = postroom("account", "list").stdout
    assert re.search(r"ann@example\.org +Ann +2\.0 GiB +no", listed)
    assert re.search(r"ben@example\.org +unlimited +no", listed)
    assert "info@example.org   ann@example.org, ben@example.net" in postroom("alias", "list").stdout
    assert re.search(
        r"example\.org +default +0 +ann@example\.org", postroom("domain", "list").stdout
    )
    assert services.directory.passwords["ben@example.org"] == "secret word"


def test_a_generated_password_is_printed_and_set(postroom: Postroom, ann: FakeServices) -> None:
    told = postroom("password", "set", "ann@example.org", "--generate").stdout
    password = told.split()[-1]
    assert ann.directory.passwords["ann@example.org"] == password
    assert re.fullmatch(r"([a-z2-9]{5}-){4}[a-z2-9]{5}", password)


def test_a_password_comes_from_standard_input(postroom: Postroom, ann: FakeServices) -> None:
    result = postroom("password", "set", "ann@example.org", "--stdin", stdin="new one\r\nrest\n")
    assert ann.directory.passwords["ann@example.org"] == "new one"
    assert "new one" not in result.output


def test_without_a_terminal_it_says_where_else_a_password_may_come_from(
    postroom: Postroom, ann: FakeServices
) -> None:
    result = postroom("password", "set", "ann@example.org", status=2)
    assert "use --stdin or --generate" in result.stderr
    assert ann.directory.passwords["ann@example.org"] == "secret"


@pytest.mark.parametrize("options", [("--stdin", "--generate"), ("--stdin",)])
def test_two_sources_of_a_password_or_an_empty_one_are_refused(
    postroom: Postroom, ann: FakeServices, options: tuple[str, ...]
) -> None:
    postroom("password", "set", "ann@example.org", *options, stdin="\n", status=2)
    assert ann.directory.passwords["ann@example.org"] == "secret"


def test_an_account_can_be_disabled_and_enabled(postroom: Postroom, ann: FakeServices) -> None:
    postroom("account", "disable", "ann@example.org")
    assert re.search(r"Disabled +yes", postroom("account", "show", "ann@example.org").stdout)
    postroom("account", "enable", "ann@example.org")
    assert not ann.directory.accounts["ann@example.org"].disabled


def test_a_quota_is_set_and_shown(postroom: Postroom, ann: FakeServices) -> None:
    postroom("quota", "set", "ann@example.org", "10K")
    asyncio.run(fill(ann, [b"x" * 5120]))
    shown = postroom("quota", "show", "ann@example.org").stdout
    assert re.search(r"Quota +10\.0 KiB", shown)
    assert re.search(r"Used +5\.0 KiB \(50%\)", shown)
    asked = postroom("quota", "show", "ann@example.org", "--json").stdout
    assert json.loads(asked) == {
        "address": "ann@example.org",
        "quota_bytes": 10240,
        "bytes": 5120,
        "quota_messages": 0,
        "messages": 1,
        "quota_mailboxes": 0,
        "mailboxes": 1,
    }


def test_somebody_is_appointed_and_dismissed(postroom: Postroom, ann: FakeServices) -> None:
    postroom("account", "appoint", "ann@example.org")
    assert ann.directory.accounts["ann@example.org"].administrator
    assert re.search(r"Administrator +yes", postroom("account", "show", "ann@example.org").stdout)
    postroom("account", "dismiss", "ann@example.org")
    assert not ann.directory.accounts["ann@example.org"].administrator


def test_messages_and_mailboxes_are_limited(postroom: Postroom, ann: FakeServices) -> None:
    postroom("quota", "set", "ann@example.org", "10K")
    said = postroom("quota", "set", "ann@example.org", "--messages", "1,000", "--mailboxes", "4")
    assert said.stdout == "The quota of ann@example.org is 10.0 KiB, 1,000 messages, 4 mailboxes.\n"
    asyncio.run(fill(ann, [b"x"]))
    shown = postroom("quota", "show", "ann@example.org").stdout
    assert re.search(r"Messages +1 of 1,000 \(0%\)", shown)
    assert re.search(r"Mailboxes +1 of 4 \(25%\)", shown)
    said = postroom("quota", "set", "ann@example.org", "--messages", "unlimited")
    assert said.stdout == "The quota of ann@example.org is 10.0 KiB, 4 mailboxes.\n"
    postroom("quota", "set", "ann@example.org", status=1)
    postroom("quota", "set", "ann@example.org", "--messages", "few", status=2)


def test_removing_an_account_removes_its_mail(postroom: Postroom, ann: FakeServices) -> None:
    postroom("account", "remove", "ann@example.org", stdin="n\n", status=1)
    assert "ann@example.org" in ann.directory.accounts
    postroom("account", "remove", "ann@example.org", stdin="y\n")
    assert (ann.directory.accounts, ann.store.purged) == ({}, [1])


def test_mail_that_was_kept_can_be_purged_later(postroom: Postroom, ann: FakeServices) -> None:
    told = postroom("account", "remove", "ann@example.org", "--keep-mail", "--yes").stdout
    assert "Its mail stays, under id 1." in told
    assert ann.store.purged == []
    postroom("account", "purge", "1", "--yes")
    assert ann.store.purged == [1]


def test_mail_that_could_not_be_removed_is_told_with_the_way_to_do_it(
    postroom: Postroom, ann: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(_account_id: int) -> None:
        raise PostroomError(Kind.UNAVAILABLE, "the service can't be reached")

    monkeypatch.setattr(ann.store, "purge_account", away)
    told = postroom("account", "remove", "ann@example.org", "--yes", status=1).stderr
    assert "is removed, but not its mail" in told
    assert "`postroom account purge 1` does that" in told


def test_errors_are_one_line_that_says_what_to_do(postroom: Postroom) -> None:
    assert postroom("account", "show", "eve@example.org", status=1).stderr == (
        "postroom: there is no account eve@example.org (the `list` commands show what there is)\n"
    )
    postroom("tenant", "add", "school")
    assert postroom("tenant", "add", "school", status=1).stderr == (
        "postroom: there is a tenant school already\n"
    )


def test_what_an_owner_does_not_know_is_told_without_advice(
    postroom: Postroom, services: FakeServices, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unknown() -> None:
        raise PostroomError(Kind.UNSUPPORTED, "the service has no such method")

    monkeypatch.setattr(services.directory, "list_tenants", unknown)
    told = postroom("tenant", "list", status=1).stderr
    assert told == "postroom: the service has no such method\n"


def test_wrong_usage_has_status_2(postroom: Postroom) -> None:
    postroom("domain", "catch-all", "example.org", status=2)
    postroom("quota", "set", "ann@example.org", "much", status=2)
    postroom("queue", "hold", status=2)
    postroom("queue", "hold", "1", "--all", status=2)
    assert "Did you mean 'domain'?" in postroom("domian", status=2).stderr


def test_lists_come_as_json(postroom: Postroom, ann: FakeServices) -> None:
    (account,) = json.loads(postroom("account", "list", "--json").stdout)
    assert account == {
        "account_id": 1,
        "address": "ann@example.org",
        "tenant": "default",
        "display_name": "Ann",
        "quota_bytes": 0,
        "disabled": False,
        "created_at": "2030-01-02T03:04:05+00:00",
        "quota_messages": 0,
        "quota_mailboxes": 0,
        "administrator": False,
        "app_passwords_only": False,
        "pop3_delete": False,
        "pop3_days": 0,
        "pop3_login_delay": 0,
    }
    assert json.loads(postroom("tenant", "list", "--json").stdout) == [{"name": "default"}]
    assert json.loads(postroom("alias", "list", "--json").stdout) == []
    (domain,) = json.loads(postroom("domain", "list", "--json").stdout)
    assert domain["name"] == "example.org"


def test_lists_of_more_than_a_page_are_whole(postroom: Postroom, services: FakeServices) -> None:
    async def make() -> None:
        for number in range(2500):
            await services.with_account(f"user{number:04}@example.org")

    asyncio.run(make())
    found = json.loads(postroom("account", "list", "--json").stdout)
    assert [one["address"] for one in found] == [f"user{n:04}@example.org" for n in range(2500)]
    assert len(json.loads(postroom("usage", "--json").stdout)) == 2500


def test_the_queue(postroom: Postroom, services: FakeServices) -> None:
    for number in range(3):
        services.queue.put(
            f"{number}@example.com", last_reply="451 \x1b[2Jlater", last_host="mx.example.com"
        )
    services.queue.put("x@example.net", state=QueueState.SENDING)
    listed = postroom("queue", "list", "--domain", "example.com").stdout
    assert re.search(r"1 +waiting +.*0@example\.com +0 +mx\.example\.com +451 .\[2Jlater", listed)
    assert "example.net" not in listed
    assert "\x1b" not in listed
    assert len(json.loads(postroom("queue", "list", "--limit", "2", "--json").stdout)) == 2
    assert "1@example.com" in postroom("queue", "show", "2").stdout
    assert postroom("queue", "hold", "--domain", "example.com").stdout == "3 held.\n"
    listed = postroom("queue", "list", "--state", "held", "--limit", "2", "--json").stdout
    assert [one["queue_id"] for one in json.loads(listed)] == [1, 2]
    summary = postroom("queue", "summary")
    assert re.match(r"example\.com +0 +3 +0 +2030-01-0", summary.stdout.splitlines()[1])
    assert summary.stderr == "4 entries in all.\n"
    assert postroom("queue", "release", "1", "2").stdout == "2 released.\n"
    assert services.queue.entries[3].state is QueueState.HELD
    assert postroom("queue", "retry", "1").stdout == "1 to be tried now.\n"
    postroom("queue", "cancel", "3", stdin="n\n", status=1)
    assert "is being sent" in postroom("queue", "cancel", "4", "--yes", status=1).stderr
    cancelled = postroom("queue", "cancel", "--all", "--yes")
    assert cancelled.stdout == "3 cancelled.\n"
    assert cancelled.stderr.startswith("1 passed over: they are being sent now")
    assert "no entry 9" in postroom("queue", "show", "9", status=1).stderr
    services.queue.entries.clear()
    assert postroom("queue", "list").stderr == "Nothing waits.\n"


def test_an_entry_is_shown_with_its_attempts(postroom: Postroom, services: FakeServices) -> None:
    first = Attempt(MADE, Outcome.DEFERRED, "connection timed out", "", "")
    host = "mx.example.com [192.0.2.1]"
    second = Attempt(MADE, Outcome.DEFERRED, "451 4.7.1 Greylisted", host, "TLSv1.3 dane")
    services.queue.put("x@example.com", attempts=[first, second], last_host=host)
    shown = postroom("queue", "show", "1").stdout
    assert re.search(r"Tries +2\nNext try +(now|2030)", shown)
    assert re.search(r"deferred +- +clear +connection timed out\n", shown)
    assert re.search(
        r"deferred +mx\.example\.com \[192\.0\.2\.1\] +TLSv1\.3 dane +451 4\.7\.1 Greylisted", shown
    )
    asked = json.loads(postroom("queue", "show", "1", "--json").stdout)
    assert asked["entry"]["recipient"] == "x@example.com"
    assert [one["outcome"] for one in asked["attempts"]] == ["deferred", "deferred"]


def test_a_domain_that_is_left_alone_is_told(postroom: Postroom, services: FakeServices) -> None:
    services.queue.put("x@example.com")
    services.queue.left_alone["example.com"] = MADE
    shown = postroom("queue", "summary").stdout.splitlines()[1]
    assert re.match(r"example\.com +1 +0 +0 +2030-01-0. \d\d:\d\d +2030-01-0", shown)
    assert shown.endswith("connection refused")


def test_thousands_of_entries_are_held_in_calls_of_a_thousand(
    postroom: Postroom, services: FakeServices
) -> None:
    for number in range(2345):
        services.queue.put(f"{number}@example.com")
    assert postroom("queue", "hold", "--all").stdout == "2,345 held.\n"
    assert sorted(map(len, services.queue.calls)) == [345, 1000, 1000]


def test_suppressions(postroom: Postroom, services: FakeServices) -> None:
    assert postroom("suppression", "list").stderr == "Mail is sent to everybody.\n"
    postroom("suppression", "add", "gone@example.com", "--reason", "left")
    postroom("suppression", "add", "angry@example.com")
    listed = postroom("suppression", "list").stdout.splitlines()
    assert re.match(r"angry@example\.com +2030-.* by an administrator$", listed[1])
    assert re.match(r"gone@example\.com +2030-.* left$", listed[2])
    postroom("suppression", "remove", "angry@example.com")
    (left,) = json.loads(postroom("suppression", "list", "--json").stdout)
    assert (left["address"], left["reason"]) == ("gone@example.com", "left")
    missing = postroom("suppression", "remove", "angry@example.com", status=1)
    assert "no suppression of angry@example.com" in missing.stderr


def test_the_life_of_a_message(postroom: Postroom, ann: FakeServices) -> None:
    came = Reception("abc123", "192.0.2.7", "mail.example.net", "spf=pass \x1b[2J")
    copy = TracedCopy(1, "INBOX", 5, MADE, True, None, "eve@example.net", came)
    ann.traces.lives["1@example.net"] = Traced((copy,), ())
    lines = postroom("trace", "<1@example.net>").stdout.splitlines()
    assert re.search(r"accepted +- +from mail\.example\.net \[192\.0\.2\.7\]", lines[1])
    assert lines[2].endswith("checked    -                 spf=pass \ufffd[2J")
    assert re.search(r"stored +ann@example\.org +in INBOX, UID 5", lines[3])
    assert re.match(r"now +seen +ann@example\.org +in INBOX, UID 5", lines[4])
    life = json.loads(postroom("trace", "1@example.net", "--json").stdout)
    assert [one["kind"] for one in life["events"]] == ["accepted", "checked", "stored", "seen"]
    assert life["traced"]["copies"][0]["reception"]["client"] == "192.0.2.7"
    missing = postroom("trace", "x@y", status=1).stderr
    assert missing.startswith("postroom: nothing is known of x@y: is the id whole")
    postroom("trace", " ", status=1)


def test_usage_joins_accounts_with_what_they_keep(postroom: Postroom, ann: FakeServices) -> None:
    asyncio.run(fill(ann, [b"x" * 100] * 3))
    asyncio.run(ann.with_account("ben@example.org"))
    lines = postroom("usage").stdout.splitlines()
    assert re.match(r"ann@example\.org +3 +300 B +unlimited +1", lines[1])
    assert re.match(r"ben@example\.org +0 +0 B +unlimited +0", lines[2])


def test_undelete_check_gc_reindex(postroom: Postroom, ann: FakeServices) -> None:
    told = postroom(
        "undelete", "--account", "ann@example.org", "--since", "1970-01-01T00:01:40+00:00"
    )
    assert told.stdout == "2 messages are back in INBOX.\n"
    assert ann.store.expunged == [(1, "INBOX", 100)]
    assert postroom("check").stdout == "No faults.\n"
    assert "2 expunged messages, 1 contents: 4.0 KiB." in postroom("gc").stdout
    assert postroom("reindex", "--account", "ann@example.org").stdout == "The index is made anew.\n"
    ann.store.faults = ("account 1: mailbox 1 counts 5 messages and has 4",)
    found = postroom("check", "--contents", status=1)
    assert found.stdout == "account 1: mailbox 1 counts 5 messages and has 4\n"


def test_tokens_are_made_listed_and_ended(postroom: Postroom, tmp_path: Path) -> None:
    token = postroom("token", "add", "ann").stdout.strip()
    assert TokenFile(tmp_path / "api_tokens").bearer(token) == "ann"
    assert "ann has a token" in postroom("token", "add", "ann", status=1).stderr
    assert postroom("token", "add", "no spaces", status=1).stderr.startswith("postroom: a token's")
    assert json.loads(postroom("token", "list", "--json").stdout) == [{"name": "ann"}]
    postroom("token", "remove", "ann")
    assert TokenFile(tmp_path / "api_tokens").bearer(token) is None
    assert "nobody named ann" in postroom("token", "remove", "ann", status=1).stderr


async def fill(services: FakeServices, contents: list[bytes], mailbox: str = "INBOX") -> None:
    for number, content in enumerate(contents):
        message = NewMessage(content, ("\\Seen",), 1_000_000 + number)
        await services.store.import_messages(b"%d" % number, 1, mailbox, [message], UNLIMITED)


def maildir(folder: Path, mails: dict[str, bytes]) -> None:
    (folder / "cur").mkdir(parents=True)
    for number, content in enumerate(mails.values()):
        (folder / "cur" / f"{1_000_000_000 + number}.{number}.host:2,S").write_bytes(content)


def imported(postroom: Postroom, tmp_path: Path, *arguments: str, status: int = 0) -> Result:
    options = ("--account", "ann@example.org", "--state", str(tmp_path / "state"))
    return postroom("import", *arguments, *options, status=status)


def test_a_maildir_is_taken_over_once(
    postroom: Postroom, ann: FakeServices, tmp_path: Path
) -> None:
    mails = corpus()
    maildir(tmp_path / "Maildir", mails)
    source = str(tmp_path / "Maildir")
    told = imported(postroom, tmp_path, "maildir", source).stdout
    assert told.startswith(f"{len(mails)} of {len(mails)} messages are imported (")
    assert sorted(ann.store.contents()) == sorted(mails.values())
    told = imported(postroom, tmp_path, "maildir", source).stdout
    assert f"{len(mails)} were imported before" in told
    assert len(ann.store.contents()) == len(mails)
    imported(postroom, tmp_path, "maildir", source, "--mailbox", "Archive")
    assert len(ann.store.contents("Archive")) == len(mails)


def test_export_and_import_give_back_every_byte_flag_and_date(
    postroom: Postroom, ann: FakeServices, tmp_path: Path
) -> None:
    asyncio.run(fill(ann, list(corpus().values()), "Sent/2024"))
    ann.store.mailboxes[1, "INBOX"] = [StoredMessage(1, b"Subject: one\r\n\r\n", (), 86400)]
    folder = tmp_path / "backup"
    told = postroom("export", "--account", "ann@example.org", "--output", str(folder)).stdout
    assert told == f"{len(corpus()) + 1} messages are in 2 files in {folder}.\n"
    before = dict(ann.store.mailboxes)
    ann.store.mailboxes.clear()
    imported(postroom, tmp_path, "mbox", str(folder), "--in-flight", "1")
    assert ann.store.mailboxes == before


def test_one_mailbox_to_one_file_that_is_not_written_over(
    postroom: Postroom, ann: FakeServices, tmp_path: Path
) -> None:
    asyncio.run(fill(ann, [b"Subject: one\r\n\r\nFrom me\r\n"]))
    file = tmp_path / "inbox.mbox"
    options = ("--account", "ann@example.org", "--mailbox", "INBOX", "--output", str(file))
    postroom("export", *options)
    assert b"\n>From me\n" in file.read_bytes()
    assert file.stat().st_mode & 0o777 == 0o600
    assert "--force writes over it" in postroom("export", *options, status=1).stderr
    postroom("export", *options, "--force")
    assert [path.name for path in tmp_path.iterdir()] == ["inbox.mbox"]


def test_an_export_that_fails_leaves_the_file_that_was_there(
    postroom: Postroom, ann: FakeServices, tmp_path: Path
) -> None:
    file = tmp_path / "no.mbox"
    file.write_text("before")
    options = ("--account", "ann@example.org", "--mailbox", "No", "--output", str(file))
    assert "there is no mailbox No" in postroom("export", *options, "--force", status=1).stderr
    assert file.read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["no.mbox"]


def test_what_was_left_out_is_told_and_the_status_is_1(
    postroom: Postroom, ann: FakeServices, tmp_path: Path
) -> None:
    maildir(tmp_path / "Maildir", {"small": b"a\n", "large": b"b" * 5000})
    source = ("maildir", str(tmp_path / "Maildir"), "--max-size", "1000")
    result = imported(postroom, tmp_path, *source, status=1)
    assert result.stdout.startswith("1 of 2 messages are imported")
    assert "1000000001.1.host: it has 5,000 bytes, and 1,000 is the most" in result.stderr
    report = json.loads(imported(postroom, tmp_path, *source, "--json", status=1).stdout)
    assert (report["before"], report["imported"], len(report["skipped"])) == (1, 0, 1)


def test_an_import_that_had_to_stop_says_how_to_go_on(
    postroom: Postroom, ann: FakeServices, tmp_path: Path
) -> None:
    maildir(tmp_path / "Maildir", {str(n): b"%d\n" % n for n in range(1200)})
    postroom("quota", "set", "ann@example.org", "3000")
    source = ("maildir", str(tmp_path / "Maildir"), "--in-flight", "1")
    stopped = imported(postroom, tmp_path, *source, status=1)
    assert "500 of 1,200 messages are imported" in stopped.stdout
    assert "over its quota" in stopped.stderr
    assert "The same command goes on from here." in stopped.stderr
    postroom("quota", "set", "ann@example.org", "unlimited")
    assert imported(postroom, tmp_path, *source).stdout.startswith("700 of 1,200")
    assert len(ann.store.contents()) == 1200


def test_sources_that_are_none(postroom: Postroom, ann: FakeServices, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("Subject: x\n")
    for kind, path, why in [
        ("mbox", "file", "is not an mbox"),
        ("mbox", "missing", "No such file"),
        ("maildir", "missing", "is not a Maildir"),
    ]:
        assert why in imported(postroom, tmp_path, kind, str(tmp_path / path), status=1).stderr


def test_without_settings_it_says_what_is_needed_and_where_it_is(tmp_path: Path) -> None:
    session = Session(FakeServices().connect, {})
    result = CliRunner().invoke(app, ["domain", "list"], obj=session)
    assert result.exit_code == 1
    for name in SETTINGS:
        assert name in result.stderr
    assert "postroom --env .run/admin.env" in result.stderr


def test_settings_come_from_a_file_and_the_environment_overrides_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "admin.env"
    tokens = tmp_path / "tokens"
    file.write_text(f"POSTROOM_ADMIN_API_TOKENS={tokens}\n")
    monkeypatch.setenv("POSTROOM_ADMIN_ENV", str(file))
    assert CliRunner().invoke(app, ["token", "add", "ann"]).exit_code == 0
    assert tokens.exists()
    monkeypatch.setenv("POSTROOM_ADMIN_API_TOKENS", str(tmp_path / "others"))
    assert CliRunner().invoke(app, ["--env", str(file), "token", "add", "ann"]).exit_code == 0
    assert (tmp_path / "others").exists()


def test_a_setting_that_is_wrong_is_told(tmp_path: Path) -> None:
    session = Session(FakeServices().connect, SETTINGS | {"POSTROOM_ADMIN_STOER": "x"})
    result = CliRunner().invoke(app, ["domain", "list"], obj=session)
    assert result.exit_code == 1


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    missing = CliRunner().invoke(app, ["--env", str(tmp_path / "none"), "domain", "list"])
    assert missing.exit_code == 1
    assert "none can't be read (No such file or directory)" in missing.stderr


def commands(group: typer.Typer, *path: str) -> list[tuple[str, ...]]:
    found = [
        (*path, str(one.name or one.callback.__name__))
        for one in group.registered_commands
        if one.callback
    ]
    for child in group.registered_groups:
        assert child.typer_instance
        name = str(child.name)
        found += [(*path, name), *commands(child.typer_instance, *path, name)]
    return found


@pytest.mark.parametrize("command", [(), *commands(app)], ids=" ".join)
def test_every_help_has_examples(command: tuple[str, ...]) -> None:
    result = CliRunner().invoke(app, [*command, "--help"])
    assert result.exit_code == 0
    assert "Examples:\n    $ " in result.stdout or "Examples:\n  $ " in result.stdout


def test_stored_flags_survive_an_export(
    postroom: Postroom, ann: FakeServices, tmp_path: Path
) -> None:
    flags = ("\\Seen", "\\Answered", "$Label1")
    ann.store.mailboxes[1, "INBOX"] = [StoredMessage(1, b"a\r\n", flags, 86400)]
    folder = str(tmp_path / "out")
    postroom("export", "--account", "ann@example.org", "--output", folder)
    ann.store.mailboxes.clear()
    imported(postroom, tmp_path, "mbox", folder)
    (message,) = ann.store.mailboxes[1, "INBOX"]
    assert set(message.flags) == set(flags)


def test_a_secret_is_printed_once_and_revoked(postroom: Postroom, ann: FakeServices) -> None:
    made = postroom("secret", "add", "ann@example.org", "rpop", "--network", "192.0.2.0/24")
    ((_, secret_id),) = ann.credentials.secrets
    assert made.stdout == f"text of {secret_id}\n"
    listed = postroom("secret", "list", "ann@example.org").stdout
    assert re.search(rf"{secret_id} +rpop +192\.0\.2\.0/24", listed)
    assert "text of" not in listed
    postroom("secret", "revoke", "ann@example.org", str(secret_id))
    assert not ann.credentials.secrets
    postroom("secret", "revoke", "ann@example.org", str(secret_id), status=1)


def test_how_mail_is_kept_for_pop3(postroom: Postroom, ann: FakeServices) -> None:
    def told(*arguments: str) -> str:
        return postroom("account", "pop3", "ann@example.org", *arguments).stdout

    assert "what was retrieved goes at the end" in told("--delete", "--login-delay", "60")
    account = ann.directory.accounts["ann@example.org"]
    assert (account.pop3_delete, account.pop3_days, account.pop3_login_delay) == (True, 0, 60)
    assert told("--days", "30") == (
        "POP3 for ann@example.org: read mail goes after 30 days, 60 seconds between sign-ins.\n"
    )
    assert told("--login-delay", "0") == "POP3 for ann@example.org: read mail goes after 30 days.\n"
    assert told("--keep") == "POP3 for ann@example.org: mail is kept.\n"
    shown = postroom("account", "show", "ann@example.org").stdout
    assert re.search(r"POP3 +mail is kept", shown)
    postroom("account", "pop3", "ann@example.org", status=1)
    postroom("account", "pop3", "ann@example.org", "--keep", "--delete", status=1)


def test_records_name_the_hosts_of_the_settings(services: FakeServices) -> None:
    hosts = {"POSTROOM_ADMIN_MAIL_HOSTS": "mx1.example.net, mx2.example.net"}
    session = Session(services.connect, SETTINGS | hosts)
    printed = CliRunner().invoke(app, ["dns", "example.org"], obj=session).stdout
    assert "example.org. 3600 IN MX 20 mx2.example.net.\n" in printed
    other = ["dns", "example.org", "--host", "mx.example.com", "--json"]
    found = json.loads(CliRunner().invoke(app, other, obj=session).stdout)
    assert [one["value"] for one in found if one["kind"] == "MX"] == ["10 mx.example.com"]


def test_a_dns_server_that_is_none_is_told_at_once(services: FakeServices) -> None:
    session = Session(services.connect, SETTINGS | {"POSTROOM_ADMIN_DNS_SERVER": "ns.example.org"})
    result = CliRunner().invoke(app, ["domain", "list"], obj=session)
    assert result.exit_code == 1
    assert "POSTROOM_ADMIN_DNS_SERVER" in result.stderr
