"""What is kept of a password for SCRAM (RFC 5802): verifiers, which can't be used to sign in.

They are stored in the form of RFC 5803 section 2, parted by blanks, one for each hash.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import stringprep
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from postroom_auth.domain.password import Password

LEAST_ITERATIONS = 4096  # RFC 7677 section 4
SALT_OCTETS = 16

# The hash of each family of mechanisms, as hashlib names it.
HASHES = {"SCRAM-SHA-256": "sha256", "SCRAM-SHA-1": "sha1"}

# RFC 4013 section 2.3.
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


@dataclass(frozen=True, slots=True, repr=False)
class Verifier:
    """What proves one password by one hash (RFC 5802 section 3). Its `repr` shows no key.

    Attributes:
        family: name of the mechanism without -PLUS.
    """

    family: str
    iterations: int
    salt: bytes
    stored_key: bytes
    server_key: bytes

    @classmethod
    def make(cls, family: str, password: Password, salt: bytes, iterations: int) -> Self:
        """The verifier of a password; slow on purpose."""
        name = HASHES[family]
        salted = hashlib.pbkdf2_hmac(name, saslprep(password), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", name)
        server_key = hmac.digest(salted, b"Server Key", name)
        stored_key = hashlib.new(name, client_key).digest()
        return cls(family, iterations, salt, stored_key, server_key)

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the form in which it is stored. Raises ValueError."""
        family, info, keys = text.split("$")
        iterations, salt = info.split(":")
        stored_key, server_key = map(base64.b64decode, keys.split(":"))
        if family not in HASHES:
            raise ValueError(f"no hash for {family}")
        return cls(family, int(iterations), base64.b64decode(salt), stored_key, server_key)

    def __str__(self) -> str:
        salt, stored_key, server_key = (
            base64.b64encode(octets).decode()
            for octets in (self.salt, self.stored_key, self.server_key)
        )
        return f"{self.family}${self.iterations}:{salt}${stored_key}:{server_key}"

    def __repr__(self) -> str:
        return f"Verifier({self.family}, {self.iterations})"

    def is_proved(self, auth_message: bytes, proof: bytes) -> bool:
        """Whether the client that sends this proof knows the password."""
        name = HASHES[self.family]
        signature = hmac.digest(self.stored_key, auth_message, name)
        if len(proof) != len(signature):
            return False
        client_key = bytes(one ^ other for one, other in zip(proof, signature, strict=True))
        return hmac.compare_digest(hashlib.new(name, client_key).digest(), self.stored_key)

    def signature(self, auth_message: bytes) -> bytes:
        """What proves to the client that the server has a verifier."""
        return hmac.digest(self.server_key, auth_message, HASHES[self.family])


def read_verifiers(stored: str) -> dict[str, Verifier]:
    """All of an account's verifiers, by family. Raises ValueError."""
    verifiers = map(Verifier.parse, stored.split())
    return {verifier.family: verifier for verifier in verifiers}


def write_verifiers(verifiers: Iterator[Verifier]) -> str:
    """Verifiers as they are stored."""
    return " ".join(map(str, verifiers))


def made_up(key: bytes, family: str, name: str, iterations: int) -> Verifier:
    """What an account without a verifier, or nobody, is told: the same for a name every time.

    Args:
        key: secret, and the same for all replicas.
    """
    about = f"{family} {name}".encode()
    salt, stored_key, server_key = (
        hmac.digest(key, purpose + about, "sha256")
        for purpose in (b"salt ", b"stored ", b"server ")
    )
    size = hashlib.new(HASHES[family]).digest_size
    return Verifier(family, iterations, salt[:SALT_OCTETS], stored_key[:size], server_key[:size])


def saslprep(password: Password) -> bytes:
    """A password as SCRAM clients prepare it (RFC 5802 section 2.2, RFC 4013).

    SASLprep composes for compatibility (NFKC), which OpaqueString doesn't. What SASLprep refuses
    stays as it is: clients that prepare nothing can use it.
    """
    text = password.prepared.decode()
    if text.isascii():
        return password.prepared
    mapped = "".join(
        " " if stringprep.in_table_c12(character) else character
        for character in text
        if not stringprep.in_table_b1(character)
    )
    prepared = unicodedata.normalize("NFKC", mapped)
    if not prepared or any(test(character) for test in _PROHIBITED for character in prepared):
        return password.prepared
    return prepared.encode() if _goes_one_way(prepared) else password.prepared


def _goes_one_way(text: str) -> bool:
    """RFC 3454 section 6: text from right to left begins and ends so, and holds no other."""
    if not any(map(stringprep.in_table_d1, text)):
        return True
    whole = stringprep.in_table_d1(text[0]) and stringprep.in_table_d1(text[-1])
    return whole and not any(map(stringprep.in_table_d2, text))
