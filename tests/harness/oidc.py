"""An issuer of tokens for tests: OpenID Connect's configuration and keys, and introspection, by
HTTP on loopback, with keys of its own.

It can change its keys, be killed and started anew, and say nothing.
"""

from __future__ import annotations

import base64
import json
import secrets
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote_plus

from joserfc import jwt
from joserfc.jwk import ECKey, Key, RSAKey

AUDIENCE = "postroom"
CLIENT_ID = "mail: postroom"
CLIENT_SECRET = "se:cret +&ä"
CONFIGURATION = "/.well-known/openid-configuration"


class Oidc:
    """An issuer.

    Attributes:
        issuer: its name.
        asked: how often it was asked, by path.
        opaque: what it says of tokens that are no JWTs (RFC 7662 section 2.2).
        changes: what its configuration says otherwise.
        silent: cleared, it takes requests and says nothing until it is set again.
    """

    def __init__(self) -> None:
        self.asked: Counter[str] = Counter()
        self.opaque: dict[str, dict[str, Any]] = {}
        self.changes: dict[str, Any] = {}
        self.extra_keys: list[dict[str, Any]] = []
        self.talks = threading.Event()
        self.talks.set()
        self.key = self._new_key()
        self.keys = [self.key]
        self._server: ThreadingHTTPServer | None = None
        self._thread: threading.Thread | None = None
        self._port = 0

    @property
    def issuer(self) -> str:
        return f"http://127.0.0.1:{self._port}/realm"

    def start(self) -> None:
        """Start, or start anew after `kill`, at the same address."""
        self._server = _Server(("127.0.0.1", self._port), _Handler, self)
        self._port = self._server.server_port
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def kill(self) -> None:
        """Take no more connections."""
        assert self._server is not None
        assert self._thread is not None
        self.talks.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def rotate(self, *, keep: bool = False) -> None:
        """Sign by a new key from now on; the old one is published no more, unless it is kept."""
        self.key = self._new_key()
        self.keys = [*(self.keys if keep else ()), self.key]

    def token(
        self,
        address: str,
        *,
        key: Key | None = None,
        header: dict[str, Any] | None = None,
        **claims: Any,
    ) -> str:
        """A token for somebody; claims that are None are left out."""
        key = key or self.key
        now = int(time.time())
        told = {
            "iss": self.issuer,
            "aud": AUDIENCE,
            "sub": secrets.token_hex(4),
            "email": address,
            "email_verified": True,
            "scope": "openid mail",
            "iat": now,
            "exp": now + 300,
            **claims,
        }
        told = {name: value for name, value in told.items() if value is not None}
        algorithm = "RS256" if isinstance(key, RSAKey) else "ES256"
        head = {"alg": algorithm, "kid": key.kid, "typ": "at+jwt", **(header or {})}
        head = {name: value for name, value in head.items() if value is not None}
        return jwt.encode(head, told, key, algorithms=[head["alg"]])

    def opaque_token(self, address: str, **claims: Any) -> str:
        """A token that nobody can read, for somebody."""
        token = secrets.token_urlsafe(24)
        self.opaque[token] = {
            "active": True,
            "iss": self.issuer,
            "aud": AUDIENCE,
            "email": address,
            "scope": "openid mail",
            "exp": int(time.time()) + 300,
            **claims,
        }
        return token

    def answer(self, path: str, form: dict[str, list[str]], authorization: str) -> Any:
        """The document at a path; None: there is none."""
        match path:
            case "/realm/.well-known/openid-configuration":
                return {
                    "issuer": self.issuer,
                    "jwks_uri": f"{self.issuer}/keys",
                    "introspection_endpoint": f"{self.issuer}/introspection",
                    **self.changes,
                }
            case "/realm/keys":
                published = [key.as_dict(private=False) for key in self.keys]
                return {"keys": [*self.extra_keys, *published]}
            case "/realm/introspection" if _credentials(authorization) == (
                CLIENT_ID,
                CLIENT_SECRET,
            ):
                return self.opaque.get(form.get("token", [""])[0], {"active": False})
        return None

    def _new_key(self) -> Key:
        return ECKey.generate_key("P-256", {"kid": secrets.token_hex(4), "use": "sig"})


def rsa_key() -> RSAKey:
    """Somebody else's key, or another one of an issuer's."""
    return RSAKey.generate_key(2048, {"kid": secrets.token_hex(4)})


def _credentials(authorization: str) -> tuple[str, str]:
    """RFC 6749 section 2.3.1."""
    scheme, _, encoded = authorization.partition(" ")
    user, _, password = (
        base64.b64decode(encoded if scheme == "Basic" else "").decode().partition(":")
    )
    return unquote_plus(user), unquote_plus(password)


class _Server(ThreadingHTTPServer):
    allow_reuse_address = True
    daemon_threads = True

    def __init__(self, address: tuple[str, int], handler: Any, oidc: Oidc) -> None:
        self.oidc = oidc
        super().__init__(address, handler)


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self._reply({})

    def do_POST(self) -> None:
        length = int(self.headers["Content-Length"])
        self._reply(parse_qs(self.rfile.read(length).decode()))

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def _reply(self, form: dict[str, list[str]]) -> None:
        assert isinstance(self.server, _Server)
        oidc = self.server.oidc
        oidc.asked[self.path.removeprefix("/realm")] += 1
        oidc.talks.wait()
        found = oidc.answer(self.path, form, self.headers.get("Authorization", ""))
        body = found if isinstance(found, bytes) else json.dumps(found).encode()
        self.send_response(200 if found is not None else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_oidc() -> Iterator[Oidc]:
    """An issuer, ended with the context."""
    oidc = Oidc()
    oidc.start()
    try:
        yield oidc
    finally:
        oidc.kill()
