"""Whoever is named, a proof is checked the same way, and counted."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest
from postroom_auth.domain.networks import admits
from postroom_auth.domain.people import Credential
from postroom_auth.domain.shared_secret import SecretKind, SharedSecret, about, read_networks
from postroom_auth.passwords import Tried
from postroom_auth.ports import KeptSecret, Subject
from postroom_auth.sealing import Sealed, Sealer
from postroom_auth.shared_secrets import SecretChecks
from postroom_chassis.errors import Kind, PostroomError

ANN, BEN, EVE = "ann@example.org", "ben@example.org", "eve@example.org"
CREDENTIALS = {
    ANN: Credential(1, ANN, 0, False, "", 1),
    BEN: Credential(2, BEN, 0, False, "", 1),  # has no secret
    EVE: Credential(3, EVE, 0, True, "", 1),  # is disabled
}
SEALER = Sealer({"k": b"k" * 32})


class Directory:
    async def credential(self, key: str) -> Credential | None:
        return CREDENTIALS.get(key)


@dataclass
class Kept:
    """Ann's and Eve's secrets; who was asked for."""

    asked: list[int] = field(default_factory=list)
    fault: PostroomError | None = None

    async def of(self, account_id: int, kind: SecretKind) -> list[KeptSecret]:
        self.asked.append(account_id)
        if self.fault:
            raise self.fault
        if account_id not in (1, 3):
            return []
        sealed = SEALER.seal(b"secret", about(account_id, kind))
        networks = read_networks(kind, ["192.0.2.0/24"])
        return [KeptSecret(SharedSecret(7, kind, networks, 0), account_id, sealed)]


@dataclass
class Throttle:
    """Notes what it is told."""

    told: list[str] = field(default_factory=list)

    async def check(self, subject: Subject) -> None:
        self.told.append("check")

    async def learn(self, subject: Subject) -> None:
        self.told.append("learn")

    async def failed(self, subject: Subject, begun: str | None = None) -> None:
        assert begun is None
        self.told.append("failed")

    async def succeeded(self, subject: Subject, begun: str | None = None) -> None:
        assert begun is None
        self.told.append("succeeded")


@dataclass
class Proof:
    """Fits one secret; counts how often it was tried."""

    secret: bytes
    tried: int = 0

    def __call__(self, secret: bytes) -> bool:
        self.tried += 1
        return secret == self.secret


async def check(
    name: str,
    proof: Proof,
    throttle: Throttle,
    kept: Kept | None = None,
    address: str = "192.0.2.7",
) -> Credential:
    checks = SecretChecks(Directory(), kept or Kept(), SEALER, throttle)  # type: ignore[arg-type]
    subject = Subject(name, "192.0.2.7")
    return await checks.check(SecretKind.APOP, subject, address, proof, Tried())


async def test_a_secret_that_fits() -> None:
    throttle = Throttle()
    assert await check(ANN, Proof(b"secret"), throttle) == CREDENTIALS[ANN]
    assert throttle.told == ["check", "learn", "succeeded"]


@pytest.mark.parametrize(
    ("name", "secret", "address"),
    [
        (ANN, b"wrong", "192.0.2.7"),
        (ANN, b"secret", "198.51.100.7"),
        (BEN, b"secret", "192.0.2.7"),
        (EVE, b"secret", "192.0.2.7"),
        ("nobody@example.org", b"secret", "192.0.2.7"),
        ("", b"secret", "192.0.2.7"),
    ],
)
async def test_whatever_is_wrong_the_same_is_done_and_told(
    name: str, secret: bytes, address: str
) -> None:
    throttle, kept, proof = Throttle(), Kept(), Proof(secret)
    with pytest.raises(PostroomError) as error:
        await check(name, proof, throttle, kept, address)
    assert (error.value.kind, error.value.message) == (
        Kind.UNAUTHENTICATED,
        "the name or the password is wrong",
    )
    assert throttle.told == ["check", "learn", "failed"]
    assert (len(kept.asked), proof.tried) == (1, 1)


async def test_no_proof_fits_what_nobody_has() -> None:
    class Always(Proof):
        def __call__(self, secret: bytes) -> bool:
            return True

    with pytest.raises(PostroomError):
        await check(BEN, Always(b""), Throttle())


async def test_a_database_that_is_away_is_no_failure() -> None:
    throttle = Throttle()
    away = Kept(fault=PostroomError(Kind.UNAVAILABLE, "away"))
    with pytest.raises(PostroomError) as error:
        await check(ANN, Proof(b"secret"), throttle, away)
    assert error.value.kind is Kind.UNAVAILABLE
    assert throttle.told == ["check", "learn"]


async def test_a_secret_that_can_t_be_read_fits_nothing() -> None:
    class Broken(Kept):
        async def of(self, account_id: int, kind: SecretKind) -> list[KeptSecret]:
            sealed = Sealed("gone", b"x" * 40)
            return [KeptSecret(SharedSecret(7, kind, (), 0), account_id, sealed)]

    with pytest.raises(PostroomError) as error:
        await check(ANN, Proof(b"secret"), Throttle(), Broken())
    assert error.value.kind is Kind.UNAUTHENTICATED


def test_networks() -> None:
    bound = read_networks(SecretKind.RPOP, ["192.0.2.0/24", "2001:db8::/32"])
    for address in ("192.0.2.1", "::ffff:192.0.2.1", "2001:db8::1"):
        assert admits(bound, address)
    for address in ("192.0.3.1", "::ffff:192.0.3.1", "2001:db9::1"):
        assert not admits(bound, address)
    assert admits((), "192.0.3.1")
