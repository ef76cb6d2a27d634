"""SCRAM's verifiers made, and the proofs of clients checked against them."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Collection

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from joserfc.jwk import OKPKey
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.domain.password import Password
from postroom_auth.domain.people import Credential
from postroom_auth.domain.scram import (
    SALT_OCTETS,
    Verifier,
    made_up,
    read_verifiers,
    write_verifiers,
)
from postroom_auth.hashing import Argon2Hasher
from postroom_auth.passwords import OWN_PASSWORD, REFUSED, Tried, unfit
from postroom_auth.ports import Directory, Subject, Throttle

log = logs.logger(__name__)

KEY_OCTETS = 32
KEY_PURPOSE = b"postroom: salts of accounts without SCRAM verifiers"


def derive_key(signing_key: OKPKey) -> bytes:
    """The key that salts are made up with, out of one that all replicas share."""
    secret = str(signing_key.as_dict(private=True)["d"]).encode()  # RFC 8037 section 2
    return HKDF(SHA256(), KEY_OCTETS, salt=None, info=KEY_PURPOSE).derive(secret)


class ScramVerifiers:
    """VerifierMaker (see ports), in the threads in which passwords are hashed.

    Args:
        families: those of which verifiers are wanted.
        iterations: of each.
    """

    def __init__(self, hasher: Argon2Hasher, families: Collection[str], iterations: int) -> None:
        self._hasher = hasher
        self._families = sorted(families)
        self._iterations = iterations

    async def make(self, password: Password) -> str:
        if not self._families:
            return ""
        return await self._hasher.run(lambda: self._make(password))

    def are_outdated(self, scram: str) -> bool:
        try:
            known = read_verifiers(scram)
        except ValueError:
            return True
        return any(
            family not in known or known[family].iterations < self._iterations
            for family in self._families
        )

    def _make(self, password: Password) -> str:
        return write_verifiers(
            Verifier.make(family, password, secrets.token_bytes(SALT_OCTETS), self._iterations)
            for family in self._families
        )


class ProofChecks:
    """Answers whether a client's proof shows that it knows an account's password.

    Whoever is unknown, or has no verifier, goes the same way to the same end as whoever is wrong.

    Args:
        key: makes up what they are told.
        iterations: of what is made up.
    """

    def __init__(
        self, directory: Directory, throttle: Throttle, key: bytes, iterations: int
    ) -> None:
        self._directory = directory
        self._throttle = throttle
        self._key = key
        self._iterations = iterations

    async def verifier(self, key: str, name: str, family: str, network: str) -> Verifier:
        """The verifier of the account with this key, or one that is made up for the name.

        Raises:
            PostroomError: RATE_LIMITED, UNAVAILABLE.
        """
        await self._throttle.check(Subject(key, network))
        credential = await self._credential(key)
        # Made up for everybody: it takes as long for those who need none.
        fallback = made_up(self._key, family, key or name, self._iterations)
        return _verifier_of(credential, family) or fallback

    async def check(
        self,
        subject: Subject,
        verifier: Verifier,
        auth_message: bytes,
        proof: bytes,
        tried: Tried,
    ) -> Credential:
        """The credential of the subject's account, if the proof is right and the verifier still
        is its.

        Args:
            tried: told what was checked.

        Raises:
            PostroomError: UNAUTHENTICATED, with one text whatever is wrong; RATE_LIMITED;
                UNAVAILABLE.
        """
        key = subject.account
        tried.credential = OWN_PASSWORD
        begun = await self._throttle.begin(subject)
        try:
            credential, _ = await asyncio.gather(
                self._credential(key), self._throttle.learn(subject)
            )
        except BaseException:
            await self._throttle.withdrawn(begun)
            raise
        proved = verifier.is_proved(auth_message, proof)
        known = _verifier_of(credential, verifier.family) == verifier
        tried.why = unfit(credential)
        if credential is None or tried.why or not (proved and known):
            await self._throttle.failed(subject, begun)
            raise PostroomError(Kind.UNAUTHENTICATED, REFUSED)
        await self._throttle.succeeded(subject, begun)
        return credential

    async def _credential(self, key: str | None) -> Credential | None:
        return await self._directory.credential(key) if key else None


def _verifier_of(credential: Credential | None, family: str) -> Verifier | None:
    """The verifier of an account whose password is kept here."""
    if credential is None or credential.external:
        return None
    try:
        return read_verifiers(credential.scram).get(family)
    except ValueError:
        log.error("scram.verifiers_unreadable", account=credential.address)
        return None
