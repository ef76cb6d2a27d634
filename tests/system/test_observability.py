"""What the running system tells of itself by logs, metrics, traces and health, and what never."""

from __future__ import annotations

import base64
import imaplib
import json
import poplib
import re
import smtplib
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from postroom.auth.v1 import authentication_pb2, authentication_pb2_grpc
from postroom.store.v1 import message_pb2, message_pb2_grpc
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.provision import Account
from tests.harness.collector import Collector, Span, collecting
from tests.harness.mail import contents, logged_in, message
from tests.harness.system import MailSystem, running

SERVICES = ("smtp", "pop3", "imap", "auth", "store", "admin")
OPERATORS = Path(__file__).resolve().parents[2] / "docs/operators.md"
WAIT_SECONDS = 30.0
POLL_SECONDS = 0.05
# A ticket is a JWT (RFC 7519): its header is JSON, in base64url.
TICKET = re.compile(r"eyJ[\w-]{8,}\.[\w-]+\.[\w-]+")


@dataclass(frozen=True)
class Watched:
    """A system that logs all it can and exports its traces."""

    system: MailSystem
    collector: Collector


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    with collecting() as collector:
        settings = {
            "POSTROOM_LOG_LEVEL": "DEBUG",
            "POSTROOM_OTLP_ENDPOINT": collector.endpoint,
            "OTEL_BSP_SCHEDULE_DELAY": "100",  # milliseconds
        }
        state = tmp_path_factory.mktemp("watched")
        with running(state, haproxy=False, settings=settings) as system:
            yield Watched(system, collector)


def submit(
    system: MailSystem, sender: Account, recipient: str, content: bytes, secret: str = ""
) -> str:
    """Send as a person who signs in, and return the message's id."""
    with smtplib.SMTP(system.host, system.port("submission"), timeout=60) as smtp:
        smtp.login(sender.address, secret or sender.password)
        smtp.mail(sender.address)
        smtp.rcpt(recipient)
        code, text = smtp.data(content)
        assert code == 250
        return text.decode().rsplit(" ", 1)[1]


def events(system: MailSystem, service: str) -> list[dict[str, Any]]:
    """Every line that a service has logged. All of them are JSON."""
    return [json.loads(line) for line in system.log(service).splitlines()]


def event(
    system: MailSystem, service: str, wanted: Callable[[dict[str, Any]], bool]
) -> dict[str, Any]:
    """The one event that is wanted, as soon as it is logged."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not (found := [each for each in events(system, service) if wanted(each)]):
        assert time.monotonic() < deadline, f"{service} hasn't logged it"
        time.sleep(POLL_SECONDS)
    (one,) = found
    return one


@pytest.fixture(params=["recorded", "not recorded"])
def traced(request: pytest.FixtureRequest) -> MailSystem:
    """A system whose traces go to a collector, and one whose traces go nowhere."""
    if request.param == "recorded":
        watched: Watched = request.getfixturevalue("watched")
        return watched.system
    system: MailSystem = request.getfixturevalue("system")
    return system


def test_one_trace_id_in_the_logs_of_a_delivery(traced: MailSystem) -> None:
    sender, recipient = traced.new_account(), traced.new_account()

    name = submit(traced, sender, recipient.address, message("traced", author=sender.address))

    taken = event(traced, "smtp", lambda each: each.get("message") == name)
    assert taken["event"] == "smtp.message"
    assert taken["service"] == "smtp"
    assert taken["level"] == "info"
    assert re.fullmatch(r"submission-[0-9a-f]+", taken["connection"])
    assert re.fullmatch(r"[0-9a-f]{32}", taken["trace_id"])

    of_connection = [
        each["event"]
        for each in events(traced, "smtp")
        if each.get("trace_id") == taken["trace_id"]
        and each.get("connection") == taken["connection"]
        and each["level"] == "info"
    ]
    assert of_connection[:2] == ["smtp.login", "smtp.message"]
    signed_in = event(
        traced,
        "auth",
        lambda each: each["event"] == "login.succeeded" and each["account"] == sender.address,
    )
    assert signed_in["trace_id"] == taken["trace_id"]


def test_each_connection_has_ids_of_its_own(system: MailSystem) -> None:
    sender, recipient = system.new_account(), system.new_account()

    twice = message("twice", author=sender.address)
    names = [submit(system, sender, recipient.address, twice) for _ in range(2)]

    lines = [each for each in events(system, "smtp") if each.get("message") in names]
    assert len({line["connection"] for line in lines}) == 2
    assert len({line["trace_id"] for line in lines}) == 2


def test_the_spans_of_a_delivery_make_one_trace(watched: Watched) -> None:
    sender, recipient = watched.system.new_account(), watched.system.new_account()

    sent = message("spans", author=sender.address)
    name = submit(watched.system, sender, recipient.address, sent)

    taken = event(watched.system, "smtp", lambda each: each.get("message") == name)
    connection = ("postroom-smtp", "submission connection")
    deliver = ("postroom-store", "/postroom.store.v1.DeliveryService/Deliver")
    sign_in = ("postroom-auth", "/postroom.auth.v1.AuthenticationService/SignIn")
    spans = watched.collector.trace(taken["trace_id"], has(connection, deliver, sign_in))
    found = {(span.service, span.name): span for span in spans}
    assert {connection, deliver, sign_in} <= found.keys()
    assert found[connection].parent == ""
    assert found[deliver].parent == found[connection].span_id
    assert found[sign_in].parent == found[connection].span_id


def test_an_upload_stays_in_its_trace(watched: Watched) -> None:
    sender, recipient = watched.system.new_account(), watched.system.new_account()

    large = message("spans", ("x" * 70 + "\n") * 20_000, author=sender.address)
    name = submit(watched.system, sender, recipient.address, large)

    taken = event(watched.system, "smtp", lambda each: each.get("message") == name)
    upload = ("postroom-store", "/postroom.store.v1.DeliveryService/Upload")
    spans = watched.collector.trace(taken["trace_id"], has(upload))
    assert upload in {(span.service, span.name) for span in spans}


def has(*wanted: tuple[str, str]) -> Callable[[list[Span]], bool]:
    return lambda spans: set(wanted) <= {(span.service, span.name) for span in spans}


def test_no_secret_is_logged(watched: Watched) -> None:
    system = watched.system
    account = Account(system.new_account().address, "the Right horse 9471")
    system.postroom("password", "set", account.address, "--password", account.password)
    wrong = Account(account.address, "a Wrong battery 5820")
    body = "inside the message 31b2\n"

    refused_everywhere(system, wrong)
    submit(system, account, account.address, message("logged", body, author=account.address))
    with logged_in(system, account) as imap:
        assert imap.append("INBOX", "", "", message("logged", body))[0] == "OK"
        imap.select("INBOX")
        assert imap.search(None, "BODY", '"inside the message"')[1] == [b"1 2"]
        with pytest.raises(imaplib.IMAP4.error):
            imap.fetch("1", '(BODY["inside the message 31b2"')
    with_pop3(system, account)
    ticket = a_ticket(system, account)
    with pytest.raises(grpc.RpcError):
        list_with(system, ticket + "x")
    list_with(system, ticket)
    assert len(contents(system, account)) == 2

    secrets = [ticket, "inside the message", *forms(account), *forms(wrong)]
    for log in sorted((system.state / "logs").iterdir()):
        text = log.read_text()
        assert [secret for secret in secrets if secret in text] == [], log.name
        assert TICKET.findall(text) == [], log.name
    failures = [each for each in events(system, "auth") if each["event"] == "login.failed"]
    assert sum(each["account"] == account.address for each in failures) == 5


def forms(account: Account) -> list[str]:
    """A password as it travels: by itself, and by PLAIN (RFC 4616) and LOGIN in base64."""
    plain = f"\0{account.address}\0{account.password}".encode()
    return [
        account.password,
        base64.b64encode(account.password.encode()).decode(),
        base64.b64encode(plain).decode(),
    ]


def refused_everywhere(system: MailSystem, wrong: Account) -> None:
    """Fail to sign in by each protocol, and each mechanism of SMTP."""
    for mechanism in ("auth_plain", "auth_login"):
        with smtplib.SMTP(system.host, system.port("submission"), timeout=60) as smtp:
            smtp.ehlo()
            smtp.user, smtp.password = wrong.address, wrong.password
            with pytest.raises(smtplib.SMTPAuthenticationError):
                smtp.auth(mechanism.removeprefix("auth_"), getattr(smtp, mechanism))
    plain = f"\0{wrong.address}\0{wrong.password}".encode()
    imap = imaplib.IMAP4(system.host, system.port("imap"), timeout=60)
    with pytest.raises(imaplib.IMAP4.error):
        imap.login(wrong.address, wrong.password)
    with pytest.raises(imaplib.IMAP4.error):
        imap.authenticate("PLAIN", lambda _: plain)
    imap.shutdown()
    with pytest.raises(poplib.error_proto):
        with_pop3(system, wrong)


def with_pop3(system: MailSystem, account: Account) -> None:
    """Read the first message by POP3."""
    pop3 = poplib.POP3(system.host, system.port("pop3"), timeout=60)
    try:
        pop3.user(account.address)
        pop3.pass_(account.password)
        pop3.retr(1)
    finally:
        pop3.close()


def a_ticket(system: MailSystem, account: Account) -> str:
    """A ticket as the imap front gets it."""
    request = authentication_pb2.SignInRequest(
        mechanism="PLAIN",
        initial_response=f"\0{account.address}\0{account.password}".encode(),
        client=authentication_pb2.Client(protocol="imap", address="127.0.0.1", secure=True),
    )
    with system.channel("auth", "imap") as channel:
        stub = authentication_pb2_grpc.AuthenticationServiceStub(channel)
        return str(stub.SignIn(request, timeout=60).ticket.token)


def list_with(system: MailSystem, ticket: str) -> None:
    with system.channel("store", "imap") as channel:
        stub = message_pb2_grpc.MessageServiceStub(channel)
        request = message_pb2.OpenRequest(name="INBOX")
        list(stub.Open(request, metadata=(("postroom-ticket", ticket),), timeout=60))


def documented() -> set[str]:
    """The metrics that the operators' page names, without their labels."""
    return set(re.findall(r"^\|[^|]*\| `(postroom_\w+)", OPERATORS.read_text(), re.MULTILINE))


def served(system: MailSystem, service: str) -> dict[str, dict[frozenset[str], float]]:
    """Our metrics of a service, as the page names them, with a value for each set of labels."""
    found: dict[str, dict[frozenset[str], float]] = {}
    for family in text_string_to_metric_families(system.metrics(service)):
        if not family.name.startswith("postroom_") or family.name.endswith("_created"):
            continue
        counter = family.type == "counter"
        name, sample = (f"{family.name}_total",) * 2 if counter else (family.name, family.name)
        if family.type == "histogram":
            sample = f"{family.name}_count"
        found[name] = {
            frozenset(each.labels.values()): each.value
            for each in family.samples
            if each.name == sample
        }
    return found


def test_the_metrics_are_those_that_operators_are_told_of(system: MailSystem) -> None:
    assert {name for service in SERVICES for name in served(system, service)} == documented()


def test_metrics_count(system: MailSystem) -> None:
    sender, recipient = system.new_account(), system.new_account()
    counted = {
        ("smtp", "postroom_connections_total", ("submission",)): 1,
        ("smtp", "postroom_smtp_logins_total", ("ok",)): 1,
        ("smtp", "postroom_smtp_recipients_total", ("250 2.1.5",)): 1,
        ("smtp", "postroom_smtp_messages_total", ("250 2.0.0",)): 1,
        ("pop3", "postroom_pop3_logins_total", ("ok",)): 1,
        ("pop3", "postroom_pop3_messages_total", ("RETR",)): 1,
        ("imap", "postroom_imap_commands_total", ("Examine", "ok")): 1,
        ("imap", "postroom_imap_command_seconds", ("Examine",)): 1,
        ("auth", "postroom_auth_logins_total", ("smtp", "PLAIN", "OK")): 1,
        (
            "store",
            "postroom_rpc_calls_total",
            ("/postroom.store.v1.DeliveryService/Deliver", "smtp", "OK"),
        ): 1,
        ("store", "postroom_rpc_seconds", ("/postroom.store.v1.DeliveryService/Deliver",)): 1,
    }
    before = {key: value_of(system, *key) for key in counted}
    batches = value_of(system, "store", "postroom_store_batches_total", ())

    submit(system, sender, recipient.address, message("counted", author=sender.address))
    with_pop3(system, recipient)
    contents(system, recipient)

    after = {key: value_of(system, *key) for key in counted}
    assert {key: after[key] - before[key] for key in counted} == counted
    assert value_of(system, "store", "postroom_store_batches_total", ()) > batches


def value_of(system: MailSystem, service: str, name: str, labels: tuple[str, ...]) -> float:
    return served(system, service)[name].get(frozenset(labels), 0.0)


@pytest.mark.processes  # no container has the certificate of whoever probes
@pytest.mark.parametrize("owner", ["auth", "store"])
def test_health_is_told(system: MailSystem, owner: str) -> None:
    with system.channel(owner, "probe") as channel:
        stub = health_pb2_grpc.HealthStub(channel)
        answer = stub.Check(health_pb2.HealthCheckRequest(), timeout=60)

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("owner", ["auth", "store"])
def test_nobody_without_a_certificate_is_told_anything(system: MailSystem, owner: str) -> None:
    with system.channel(owner) as channel, pytest.raises(grpc.RpcError) as refused:
        health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=60)

    assert refused.value.code() is grpc.StatusCode.UNAVAILABLE  # the handshake fails


@pytest.mark.parametrize(
    ("owner", "services"),
    [
        (
            "auth",
            {
                *("AccountService", "AuthenticationService", "DirectoryService", "QuotaService"),
                *("SecretService", "DkimService", "SigningService"),
            },
        ),
        (
            "store",
            {
                *("AdminService", "ChangeService", "DeliveryService", "MailboxService"),
                *(
                    "MaildropService",
                    "MessageService",
                    "QueueService",
                    "ScreeningService",
                    "SendingService",
                    "TraceService",
                    "QuotaService",
                    "UrlService",
                ),
            },
        ),
    ],
)
def test_reflection_shows_the_api(system: MailSystem, owner: str, services: set[str]) -> None:
    with system.channel(owner, "admin") as channel:
        database = ProtoReflectionDescriptorDatabase(channel)
        names = set(database.get_services())
        ours = {name for name in names if name.startswith(f"postroom.{owner}.v1.")}
        assert ours == {f"postroom.{owner}.v1.{service}" for service in services}
        assert {"grpc.health.v1.Health", "postroom.rpc.v1.CallService"} <= names
        for name in ours:
            file = database.FindFileContainingSymbol(name)
            (described,) = [each for each in file.service if f"{file.package}.{each.name}" == name]
            assert described.method
