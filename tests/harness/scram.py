"""A SCRAM client, by RFC 5802 alone: it shares no code with the server."""

from __future__ import annotations

import base64
import hashlib
import hmac
from dataclasses import dataclass, field
from secrets import token_hex

HASHES = {"SCRAM-SHA-1": "sha1", "SCRAM-SHA-256": "sha256"}


@dataclass
class ScramClient:
    """One exchange of a client.

    Attributes:
        mechanism: with -PLUS where it binds to the channel.
        end_point: the hash of the server's certificate, for -PLUS.
        flag: what it says of channel binding; by itself what fits the mechanism.
    """

    mechanism: str
    name: str
    password: str
    end_point: bytes = b""
    authzid: str = ""
    nonce: str = field(default_factory=token_hex)
    flag: str = ""

    def __post_init__(self) -> None:
        bound = "p=tls-server-end-point" if self.mechanism.endswith("-PLUS") else "n"
        who = f"a={escaped(self.authzid)}" if self.authzid else ""
        self.header = f"{self.flag or bound},{who},"
        self.bare = f"n={escaped(self.name)},r={self.nonce}"
        self._hash = HASHES[self.mechanism.removesuffix("-PLUS")]
        self._signature = b""

    @property
    def first(self) -> bytes:
        return (self.header + self.bare).encode()

    def final(self, second: bytes, *, end_point: bytes | None = None) -> bytes:
        """The answer to the server's first message."""
        said = dict(part.split("=", 1) for part in second.decode().split(","))
        assert said["r"].startswith(self.nonce)
        assert len(said["r"]) > len(self.nonce)
        salt, iterations = base64.b64decode(said["s"]), int(said["i"])
        salted = hashlib.pbkdf2_hmac(self._hash, self.password.encode(), salt, iterations)
        client_key = hmac.digest(salted, b"Client Key", self._hash)
        stored_key = hashlib.new(self._hash, client_key).digest()
        binding = self.header.encode()
        if self.mechanism.endswith("-PLUS"):
            binding += self.end_point if end_point is None else end_point
        without = f"c={base64.b64encode(binding).decode()},r={said['r']}"
        auth_message = ",".join((self.bare, second.decode(), without)).encode()
        signed = hmac.digest(stored_key, auth_message, self._hash)
        proof = bytes(one ^ other for one, other in zip(client_key, signed, strict=True))
        server_key = hmac.digest(salted, b"Server Key", self._hash)
        self._signature = hmac.digest(server_key, auth_message, self._hash)
        return f"{without},p={base64.b64encode(proof).decode()}".encode()

    def trusts(self, last: bytes) -> bool:
        """Whether the server has shown that it knows the password, too."""
        return last == b"v=" + base64.b64encode(self._signature)


def escaped(name: str) -> str:
    """RFC 5802 section 5.1: a name in a SCRAM message."""
    return name.replace("=", "=3D").replace(",", "=2C")
