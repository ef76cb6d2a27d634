"""The small parts of sending: times, paces, routes, settings."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from postroom.store.v1 import sending_pb2
from postroom_chassis.rpc.client import Channel
from postroom_smtp.protocol.sasl import Credentials
from postroom_smtp.sending.pace import LEAST_TAKEN, MOST_KNOWN, SLOW_SECONDS, Pace
from postroom_smtp.sending.ports import Wish
from postroom_smtp.sending.remote import MOST_LIMITS, RemoteQueue
from postroom_smtp.sending.routes import (
    Level,
    Route,
    Source,
    by_domain,
    parse_numbers,
    parse_routes,
    parse_sources,
)
from postroom_smtp.sending.schedule import Schedule
from pydantic import ValidationError

from tests.harness.post import make_settings

HOUR = 3600
DAY = 24 * HOUR


@given(st.integers(0, 10_000), st.floats(0, 1), st.floats(0, 6 * DAY))
def test_times_grow_and_end(attempts: int, chance: float, age: float) -> None:
    schedule = Schedule(5 * DAY, 4 * HOUR, lambda: chance)
    now = 10 * DAY
    expires_at = schedule.expires_at(now - age)
    again = schedule.next_attempt(now, attempts, expires_at)
    assert 120 <= again - now <= 5 * HOUR
    # The last attempt is when it expires, so that nobody waits longer.
    assert age > 5 * DAY - 150 or again <= expires_at
    assert 40 <= schedule.next_look(now, attempts) - now <= 1.3 * HOUR


def test_steps() -> None:
    schedule = Schedule(5 * DAY, 4 * HOUR, lambda: 0.5)
    expires_at = 5 * DAY
    steps = [schedule.next_attempt(0, attempts, expires_at) for attempts in range(9)]
    assert steps == [300, 600, 1200, 2400, HOUR, 2 * HOUR, 4 * HOUR, 4 * HOUR, 4 * HOUR]
    assert [schedule.late(4 * HOUR - 1, 0), schedule.late(4 * HOUR, 0)] == [False, True]


def test_a_pace_shrinks_and_comes_back() -> None:
    now = [0.0]
    pace = Pace(8, {"few.example": 2}, {}, lambda: now[0])
    assert pace.limits() == {"few.example": 2}
    pace.too_much("there.example")
    assert pace.limits()["there.example"] == 0
    now[0] += SLOW_SECONDS
    assert pace.limits()["there.example"] == 4
    for _ in range(4 * LEAST_TAKEN):
        pace.took("there.example")
    assert pace.limits() == {"few.example": 2}
    for _ in range(5):
        pace.too_much("few.example")
    now[0] += SLOW_SECONDS
    assert pace.limits() == {"few.example": 1}


def test_rates() -> None:
    now = [0.0]
    pace = Pace(8, {}, {"slow.example": 2.0}, lambda: now[0])
    assert [pace.delay("slow.example") for _ in range(3)] == [0.0, 0.5, 1.0]
    assert [pace.delay("fast.example") for _ in range(3)] == [0.0] * 3
    now[0] = 100.0
    assert pace.delay("slow.example") == 0.0


def test_what_a_pace_knows_is_bounded() -> None:
    pace = Pace(8, {}, {}, lambda: 0.0)
    for number in range(MOST_KNOWN + 100):
        pace.too_much(f"d{number}.example")
    assert len(pace.limits()) == MOST_KNOWN


class Leasing:
    """A store that leases nothing."""

    def __init__(self) -> None:
        self.asked: list[sending_pb2.LeaseRequest] = []

    def stub(self, kind: object) -> Leasing:
        return self

    async def Lease(
        self, request: sending_pb2.LeaseRequest, **told: float
    ) -> sending_pb2.LeaseResponse:
        self.asked.append(request)
        return sending_pb2.LeaseResponse()


async def test_of_too_many_limits_those_that_stop_are_told() -> None:
    store = Leasing()
    limits = {f"d{number}.example": 5 for number in range(MOST_LIMITS)} | {"rests.example": 0}
    await RemoteQueue(cast(Channel, store), "worker").lease(Wish(1, 1, 10, 60, 0, limits))
    told = {one.domain: one.batches for one in store.asked[0].limits}
    assert (len(told), told["rests.example"]) == (MOST_LIMITS, 0)


LOGIN = Credentials("ann", "secret")


def test_routes() -> None:
    routes = parse_routes(
        "one.example=host.example:2525, .two.example=[::1];encrypt,*=smart.example;login,"
        "three.example=;verify,four.example=[2001:db8::1]:24;lmtp;none",
        25,
        LOGIN,
    )
    assert by_domain(routes, "One.example") == Route("host.example", 2525)
    assert by_domain(routes, "a.two.example") == Route("[::1]", 25, level=Level.ENCRYPT)
    smart = Route("smart.example", 25, level=Level.VERIFY, login=LOGIN)
    assert by_domain(routes, "two.example") == smart
    assert by_domain(routes, "three.example") == Route("", 25, level=Level.VERIFY)
    assert by_domain(routes, "four.example") == Route(
        "[2001:db8::1]", 24, lmtp=True, level=Level.NONE
    )
    assert by_domain({}, "a.example") is None


@pytest.mark.parametrize(
    "text",
    [
        "one.example",
        "one.example=a b",
        "one.example=host:0",
        "one.example=host:99999",
        "one.example=host;what",
        "one.example=;login",
        "one.example=host;login;none",
        "one.example=a,one.example=b",
        "o ne=a",
    ],
)
def test_no_routes(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        parse_routes(text, 25, LOGIN)


def test_a_login_needs_a_name() -> None:
    with pytest.raises(ValueError, match="smart_host_user"):
        parse_routes("*=host;login", 25)


def test_sources() -> None:
    sources = parse_sources("one.example=192.0.2.1|2001:db8::1/mx.one.example,*=/all.example")
    assert sources == {
        "one.example": Source(
            ip_address("192.0.2.1"),  # type: ignore[arg-type]
            ip_address("2001:db8::1"),  # type: ignore[arg-type]
            "mx.one.example",
        ),
        "*": Source(name="all.example"),
    }
    for wrong in ("one.example=1.2.3", "one.example=1.2.3.4/a b"):
        with pytest.raises(ValueError, match=r"."):
            parse_sources(wrong)
    assert parse_numbers("a.example=3,*=0.5", float) == {"a.example": 3.0, "*": 0.5}


def test_settings() -> None:
    settings = make_settings(
        dns_servers="192.0.2.53,127.0.0.1:5353,2001:db8::1,[::1]:54",
        send_addresses="192.0.2.1, 2001:DB8::2",
    )
    assert settings.resolvers == [
        ("192.0.2.53", 53),
        ("127.0.0.1", 5353),
        ("2001:db8::1", 53),
        ("::1", 54),
    ]
    assert settings.own_addresses == ["192.0.2.1", "2001:db8::2"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"send_routes": "x"},
        {"send_sources": "x=y"},
        {"send_limits": "a.example=x"},
        {"send_rates": "a.example"},
        {"send_addresses": "here"},
        {"dns_servers": "here"},
        {"srs_domain": "here.example"},
        {"srs_domain": "he re", "srs_secrets": "x"},
        {"send_families": "5"},
        {"send_routes": "*=host;login"},
    ],
)
def test_settings_that_can_not_be(wrong: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        make_settings(**wrong)


def test_secrets_are_not_shown() -> None:
    settings = make_settings(
        smart_host_user="ann",
        smart_host_password="pass word",
        srs_domain="here.example",
        srs_secrets="hush hush",
        rpc_key=Path("key"),
    )
    assert "pass word" not in repr(settings)
    assert "hush hush" not in repr(settings)
