"""The ports of checks over real gRPC with mutual TLS, and the checks as the settings make them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from postroom.auth.v1 import dkim_pb2
from postroom.store.v1 import screening_pb2
from postroom_chassis.certificates import make_development_certificates
from postroom_chassis.errors import PostroomError
from postroom_chassis.net.listener import free_port
from postroom_chassis.rpc.client import Channel
from postroom_chassis.rpc.server import Call, Server
from postroom_chassis.settings import ServiceSettings, Tls, load
from postroom_smtp.checks.ports import Counted
from postroom_smtp.checks.remote import RemoteScreening, RemoteSigningKeys
from postroom_smtp.checks.settings import CheckSettings
from postroom_smtp.checks.wiring import make_checking
from postroom_smtp.dns import Resolver
from pydantic import ValidationError
from pydantic_settings import SettingsConfigDict

from tests.unit.smtp.checking import FakeScreening, FakeSigningKeys, pkcs8, signing_key, spooled


@dataclass
class Screened:
    """The first octet of a key is how long it waits."""

    greylists: list[screening_pb2.GreylistRequest] = field(default_factory=list)
    counts: list[screening_pb2.CountRequest] = field(default_factory=list)

    async def Greylist(
        self, request: screening_pb2.GreylistRequest, call: Call
    ) -> screening_pb2.GreylistResponse:
        self.greylists.append(request)
        return screening_pb2.GreylistResponse(wait_seconds=[key[0] for key in request.keys])

    async def Count(
        self, request: screening_pb2.CountRequest, call: Call
    ) -> screening_pb2.CountResponse:
        self.counts.append(request)
        return screening_pb2.CountResponse(wait_seconds=[one.key[0] for one in request.counted])


@dataclass
class Signing:
    """example.org has two keys, and one that can't be read."""

    requests: list[dkim_pb2.SigningKeysRequest] = field(default_factory=list)

    async def Keys(
        self, request: dkim_pb2.SigningKeysRequest, call: Call
    ) -> dkim_pb2.SigningKeysResponse:
        self.requests.append(request)
        return dkim_pb2.SigningKeysResponse(domains=map(self._keys, request.domains))

    def _keys(self, domain: str) -> dkim_pb2.SigningKeysResponse.Keys:
        if not domain.endswith("example.org"):
            return dkim_pb2.SigningKeysResponse.Keys()
        keys = [
            dkim_pb2.SigningKey(
                domain=key.domain,
                selector=key.selector,
                algorithm=key.algorithm,
                private_key=pkcs8(key),
            )
            for key in (signing_key(), signing_key(rsa=False))
        ]
        broken = dkim_pb2.SigningKey(domain="example.org", selector="x", private_key=b"x")
        return dkim_pb2.SigningKeysResponse.Keys(keys=[*keys, broken])


@dataclass
class Behind:
    screened: Screened
    signing: Signing
    auth: Channel
    store: Channel


@pytest.fixture
async def behind(tmp_path: Path) -> AsyncIterator[Behind]:
    make_development_certificates(tmp_path)
    screened, signing = Screened(), Signing()
    services = {
        "auth": (dkim_pb2.DESCRIPTOR.services_by_name["SigningService"], signing),
        "store": (screening_pb2.DESCRIPTOR.services_by_name["ScreeningService"], screened),
    }
    channels = {}
    async with AsyncExitStack() as stack:
        for name, (descriptor, implementation) in services.items():
            server = Server(_tls(tmp_path, name))
            server.add(descriptor, implementation)
            port = await server.start("127.0.0.1:0")
            stack.push_async_callback(server.stop, 0)
            channels[name] = Channel(f"127.0.0.1:{port}", name, _tls(tmp_path, "smtp"))
            stack.push_async_callback(channels[name].close)
        yield Behind(screened, signing, channels["auth"], channels["store"])


def _tls(folder: Path, service: str) -> Tls:
    return Tls(
        certificate=folder / f"{service}.pem",
        key=folder / f"{service}.key",
        authority=folder / "ca.pem",
    )


async def test_greylists_and_rates_travel_together(behind: Behind) -> None:
    screening = RemoteScreening(behind.store, CheckSettings(greylist_seconds=60))
    keys = [bytes([wait]) * 16 for wait in range(100)]
    assert await screening.greylist(keys) == list(range(100))
    assert len(behind.screened.greylists) <= 2
    asked = behind.screened.greylists[0]
    assert (asked.delay_seconds, asked.retry_seconds, asked.pass_seconds) == (
        60,
        2 * 86_400,
        36 * 86_400,
    )
    counted = [Counted(key, 1, 5, 60) for key in keys]
    assert await screening.count(counted) == list(range(100))
    (one, *_) = behind.screened.counts[0].counted
    assert (one.key, one.amount, one.most, one.seconds) == (keys[0], 1, 5, 60)


async def test_keys_are_kept_for_a_minute(behind: Behind) -> None:
    keys = RemoteSigningKeys(behind.auth)
    found = await asyncio.gather(*(keys.keys("example.org") for _ in range(20)))
    assert [key.algorithm for key in found[0]] == ["rsa-sha256", "ed25519-sha256"]
    assert await keys.keys("example.com") == ()
    assert await keys.keys("example.org") == found[0]
    assert [list(one.domains) for one in behind.signing.requests] == [
        ["example.org"],
        ["example.com"],
    ]


async def test_who_is_away_is_asked_again(behind: Behind, tmp_path: Path) -> None:
    channel = Channel(f"127.0.0.1:{free_port()}", "auth", _tls(tmp_path, "smtp"))
    keys = RemoteSigningKeys(channel)
    for _ in range(2):
        with pytest.raises(PostroomError):
            await keys.keys("example.org")
    with pytest.raises(PostroomError):
        await RemoteScreening(channel, CheckSettings()).greylist([b"x" * 16])
    await channel.close()


class Settings(CheckSettings, ServiceSettings):
    """As the service has them."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix="POSTROOM_SMTP_")


def test_settings_are_a_part_of_the_service_s(tmp_path: Path) -> None:
    secret = tmp_path / "password"
    secret.write_text("it\n")
    settings = load(
        Settings,
        {
            "POSTROOM_RPC_CERTIFICATE": "a",
            "POSTROOM_RPC_KEY": "b",
            "POSTROOM_RPC_AUTHORITY": "c",
            "POSTROOM_SMTP_GREYLISTING": "true",
            "POSTROOM_SMTP_SPF": "refuse",
            "POSTROOM_SMTP_RSPAMD_PASSWORD_FILE": str(secret),
        },
    )
    assert settings.greylisting
    assert settings.spf == "refuse"
    assert settings.rspamd_password.get_secret_value() == "it"
    assert settings.drain_seconds == 20.0


@pytest.mark.parametrize(
    "wrong",
    [
        {"dnsbls": "a b"},
        {"dnsbls": "a.example*0"},
        {"dnsbls": "a.example=127.0.0.9-127.0.0.2"},
        {"rate_messages": "many"},
        {"rate_messages": "5/0"},
        {"rate_messages": "5/90000"},
        {"authserv_id": "a b"},
        {"check_exempt_networks": "192.0.2.1/64"},
        {"dnsbl_refuse": 2, "dnsbl_junk": 2},
        {"spf": "maybe"},
    ],
)
def test_settings_that_can_not_be(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CheckSettings.model_validate(wrong)


async def test_the_checks_are_made_as_the_settings_say() -> None:
    settings = CheckSettings(milters="127.0.0.1:1", rspamd_url="http://127.0.0.1:1")
    resolver = Resolver([("127.0.0.1", 1)], seconds=1, trusted=False)
    checking = make_checking(
        settings, "mx.example.net", resolver, FakeScreening(), FakeSigningKeys()
    )
    async with spooled(b"From: a@example.org\r\n\r\n") as spool:
        assert await checking.signer.sign(spool) == b""
    checking.close()
