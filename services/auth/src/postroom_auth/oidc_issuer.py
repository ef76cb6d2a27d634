"""An issuer of tokens: JWTs checked by its keys (RFC 7519, RFC 9068), others by asking it what they
are (RFC 7662).

The keys are found by the issuer's configuration (OpenID Connect Discovery 1.0) or by a setting. A
key that nobody here has seen makes them be fetched anew, so that an issuer may change its keys at
any time; `kept_document` says how often.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import math
import secrets
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ExpiredTokenError, JoseError, SecurityWarning
from joserfc.jwk import Key, import_key
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.directory_settings import OidcSettings
from postroom_auth.domain.address import Address, InvalidAddress
from postroom_auth.domain.sasl.exchange import TokenExpired, TokenRefused
from postroom_auth.issuer_client import IssuerClient
from postroom_auth.kept_document import KeptDocument
from postroom_auth.ports import Bearer
from postroom_auth.remembered import Remembered
from postroom_auth.under_way import UnderWay

log = logs.logger(__name__)

INVALID_TOKEN = "invalid_token"  # noqa: S105 (a word of RFC 6750)
INSUFFICIENT_SCOPE = "insufficient_scope"
KEYS = 64  # of an issuer; more are passed over
REMEMBERED_TOKENS = 10_000
DIGEST_OCTETS = 32
# Of a token whose issuer tells no end, which RFC 7662 section 2.2 allows.
ENDLESS_SECONDS = 3600
FOREVER = 2**40  # a time that no token's end is after


class _Registry(jws.JWSRegistry):
    """What a JWT's header may be: issuers put certificates into it, and words of their own."""

    max_header_length = 8192


class OidcIssuer:
    """Issuer (see ports).

    Args:
        name: as the settings call it.
        clock: Unix seconds.
        monotonic: seconds.

    Raises:
        OSError: the authority's file can't be read.
    """

    def __init__(
        self,
        name: str,
        settings: OidcSettings,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.name = name
        self.settings = settings
        self._clock = clock
        self._monotonic = monotonic
        self._client = IssuerClient(name, settings)
        times = (settings.keys_seconds, settings.stale_seconds, settings.again_seconds, monotonic)
        self._configuration = KeptDocument(self._fetch_configuration, *times)
        self._keys = KeptDocument(self._fetch_keys, *times)
        self._registry = _Registry(algorithms=settings.algorithms, strict_check_header=False)
        self._secret = secrets.token_bytes(hashlib.blake2b.MAX_KEY_SIZE)
        self._introspected = Remembered[bytes, Mapping[str, Any]](
            settings.introspected_seconds, REMEMBERED_TOKENS, monotonic
        )
        self._asking = UnderWay[bytes, Mapping[str, Any]]()

    async def check_token(self, token: str) -> Bearer:
        try:
            # All documents together: what was begun goes on for those who come next.
            async with asyncio.timeout(self.settings.seconds):
                return self._read_bearer(await self._claims(token))
        except TimeoutError:
            log.warning("directory.slow", directory=self.name, seconds=self.settings.seconds)
            raise PostroomError(Kind.UNAVAILABLE, "the directory can't be asked now") from None

    def refusal(self, status: str) -> TokenRefused:
        return TokenRefused(status, " ".join(self.settings.scopes), self.settings.configuration_url)

    async def close(self) -> None:
        """Ask no more."""
        await self._asking.close()
        await self._keys.close()
        await self._configuration.close()
        await self._client.close()

    async def _claims(self, token: str) -> Mapping[str, Any]:
        check = self.settings.check
        claims: Mapping[str, Any] = {}
        if check == "keys" or (check == "both" and is_jwt(token)):
            claims = await self._verify(token)
        if check != "keys":
            claims = self._judge_answer(await self._introspect(token), claims)
        return claims

    # A JWT, by the issuer's keys.

    async def _verify(self, token: str) -> Mapping[str, Any]:
        """The claims of a JWT. Raises TokenRefused, PostroomError UNAVAILABLE."""
        try:
            header = jws.extract_compact(token.encode(), registry=self._registry).headers()
            algorithm, kid = header.get("alg"), header.get("kid")
            # Before any key is looked for: `none` and those with a shared secret have none.
            if algorithm not in self.settings.algorithms or not isinstance(kid, str | None):
                raise self._refuse("algorithm")
            asked = self._monotonic()
            keys = _suitable(await self._keys.current(), kid, algorithm)
            keys = keys or _suitable(await self._keys.since(asked), kid, algorithm)
            claims = self._decode(token, keys)
        except (JoseError, ValueError, TypeError, KeyError, RecursionError) as error:
            raise self._refuse(type(error).__name__) from None
        self._judge(claims)
        return claims

    def _decode(self, token: str, keys: Sequence[Key]) -> Mapping[str, Any]:
        """What is signed by one of the keys. Raises JoseError."""
        failure: JoseError | None = None
        for key in keys:
            try:
                return jwt.decode(
                    token, key, algorithms=self.settings.algorithms, registry=self._registry
                ).claims
            except JoseError as error:
                failure = error
        raise failure or self._refuse("key")

    def _judge(self, claims: Mapping[str, Any]) -> None:
        """Raises TokenRefused for a token of another issuer, for somebody else, or of another
        time."""
        settings = self.settings
        registry = jwt.JWTClaimsRegistry(
            now=int(self._clock()),
            leeway=settings.clock_skew_seconds,
            iss={"essential": True, "value": settings.issuer},
            aud={"essential": True, "values": list(settings.audience)},
            exp={"essential": True},
        )
        try:
            registry.validate(dict(claims))
        except ExpiredTokenError:
            self._log("expired")
            raise TokenExpired(*_told(self.refusal(INVALID_TOKEN))) from None
        except (JoseError, ValueError, TypeError, OverflowError) as error:
            raise self._refuse(str(error)) from None

    # Any token, by asking.

    async def _introspect(self, token: str) -> Mapping[str, Any]:
        """What the issuer says of a token, now or a moment ago. PostroomError UNAVAILABLE."""
        digest = hashlib.blake2b(
            token.encode(), key=self._secret, digest_size=DIGEST_OCTETS
        ).digest()
        return await self._asking.share(
            digest, lambda: self._introspected.or_read(digest, lambda: self._ask(token))
        )

    async def _ask(self, token: str) -> Mapping[str, Any]:
        url = self.settings.introspection_url
        if url is None:
            url = _url(await self._configuration.current(), "introspection_endpoint")
        form = {"token": token, "token_type_hint": "access_token"}
        return await self._client.post(url, form)

    def _judge_answer(
        self, answer: Mapping[str, Any], signed: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """The claims in an answer (RFC 7662 section 2.2), and in the token. Raises
        TokenRefused."""
        if answer.get("active") is not True:
            raise self._refuse("inactive")
        claims = {
            # Whoever asked for the token is whom it is for, where nobody else is named.
            "aud": answer.get("client_id"),
            "iss": self.settings.issuer,
            "exp": int(self._clock()) + ENDLESS_SECONDS,
            **signed,
            **{claim: value for claim, value in answer.items() if value is not None},
        }
        self._judge(claims)
        return claims

    # Whom it is for.

    def _read_bearer(self, claims: Mapping[str, Any]) -> Bearer:
        settings = self.settings
        if not set(settings.scopes) <= _scopes(claims):
            self._log(INSUFFICIENT_SCOPE)
            raise self.refusal(INSUFFICIENT_SCOPE)
        # OpenID Connect Core 1.0 section 5.1: anybody may have claimed the address.
        if settings.address_claim == "email" and claims.get("email_verified") in (False, "false"):
            raise self._refuse("email_verified")
        written = claims.get(settings.address_claim)
        try:
            address = Address.parse(written if isinstance(written, str) else "")
        except InvalidAddress:
            raise self._refuse(settings.address_claim) from None
        if address.domain.name not in settings.domains:
            raise self._refuse("domain")
        name = claims.get(settings.display_name_claim)
        until = min(math.ceil(claims["exp"]), FOREVER) + settings.clock_skew_seconds
        return Bearer(address, name if isinstance(name, str) else "", until)

    def _refuse(self, why: str) -> TokenRefused:
        self._log(why)
        return self.refusal(INVALID_TOKEN)

    def _log(self, why: str) -> None:
        log.info("token.refused", directory=self.name, why=why[:200])

    # Documents.

    async def _fetch_configuration(self) -> Mapping[str, Any]:
        document = await self._client.get(self.settings.configuration_url)
        # OpenID Connect Discovery 1.0 section 4.3.
        if document.get("issuer") != self.settings.issuer:
            log.error("issuer.misnamed", directory=self.name, issuer=str(document.get("issuer")))
            raise PostroomError(Kind.UNAVAILABLE, "the directory can't be asked now")
        return document

    async def _fetch_keys(self) -> Sequence[Key]:
        url = self.settings.jwks_url
        if url is None:
            url = _url(await self._configuration.current(), "jwks_uri")
        listed = (await self._client.get(url)).get("keys")
        keys = [
            key for entry in (listed if isinstance(listed, list) else ()) if (key := _key(entry))
        ]
        if not keys:
            log.error("issuer.without_keys", directory=self.name, url=url)
            raise PostroomError(Kind.UNAVAILABLE, "the directory can't be asked now")
        return keys[:KEYS]


def is_jwt(token: str) -> bool:
    """Whether a token has the three parts of a JWS (RFC 7515 section 7.1)."""
    return token.count(".") == 2 and token.startswith("ey")


def named_issuer(token: str) -> str:
    """The issuer that a token names, which nobody has checked; empty: none."""
    if not is_jwt(token):
        return ""
    try:
        registry = _Registry(strict_check_header=False)
        claims = json.loads(jws.extract_compact(token.encode(), registry=registry).payload or b"")
    except (JoseError, ValueError, TypeError, RecursionError):
        return ""
    named = claims.get("iss") if isinstance(claims, dict) else None
    return named if isinstance(named, str) else ""


def _key(entry: object) -> Key | None:
    """A public key for signatures; None where it is something else (RFC 7517 section 5)."""
    if not isinstance(entry, dict) or entry.get("use", "sig") != "sig":
        return None
    if entry.get("kty") not in ("RSA", "EC", "OKP"):
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", SecurityWarning)  # RFC 7518 section 3.3: 2048 bits
            return import_key(entry)
    except (JoseError, SecurityWarning, ValueError, TypeError, KeyError):
        return None


def _suitable(keys: Sequence[Key], kid: str | None, algorithm: str) -> list[Key]:
    return [
        key for key in keys if kid in (None, key.kid) and key.get("alg", algorithm) == algorithm
    ]


def _scopes(claims: Mapping[str, Any]) -> set[str]:
    """What a token allows: `scope` (RFC 8693 section 4.2), or `scp`, as some issuers write."""
    found: set[str] = set()
    for claim in ("scope", "scp"):
        match claims.get(claim):
            case str() as text:
                found.update(text.split())
            case list() as words:
                found.update(word for word in words if isinstance(word, str))
    return found


def _url(configuration: Mapping[str, Any], field: str) -> str:
    url = configuration.get(field)
    if not isinstance(url, str):
        log.error("issuer.incomplete", field=field)
        raise PostroomError(Kind.UNAVAILABLE, "the directory can't be asked now")
    return url


def _told(refusal: TokenRefused) -> tuple[str, str, str]:
    return refusal.status, refusal.scope, refusal.openid_configuration
