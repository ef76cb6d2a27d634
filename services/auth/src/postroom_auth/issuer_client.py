"""HTTP to an issuer of tokens: JSON documents, small, from known addresses, in bounded time."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import Mapping
from typing import Any

import httpx
from postroom_chassis import logs
from postroom_chassis.errors import Kind, PostroomError

from postroom_auth.directory_settings import OidcSettings
from postroom_auth.ldap_directory import QUESTION_SECONDS

log = logs.logger(__name__)

DOCUMENT_BYTES = 1024 * 1024


class IssuerClient:
    """Asks one issuer.

    Args:
        name: as the settings call it.

    Raises:
        OSError: the authority's file can't be read.
    """

    def __init__(self, name: str, settings: OidcSettings) -> None:
        self._name = name
        self._settings = settings
        authority = settings.authority
        trusted = ssl.create_default_context(cafile=str(authority) if authority else None)
        self._http = httpx.AsyncClient(
            verify=trusted,
            limits=httpx.Limits(
                max_connections=settings.connections, max_keepalive_connections=settings.connections
            ),
            timeout=settings.seconds,
            proxy=settings.proxy,
            trust_env=False,
            # Else a token or a secret might be sent to whomever the server names.
            follow_redirects=False,
            headers={"Accept": "application/json", "Accept-Encoding": "identity"},
        )

    async def get(self, url: str) -> Mapping[str, Any]:
        """The JSON object at an address. Raises PostroomError UNAVAILABLE."""
        return await self._ask("GET", url)

    async def post(self, url: str, form: Mapping[str, str]) -> Mapping[str, Any]:
        """What is answered to a form, sent with the client's credentials (RFC 6749 section
        2.3.1). Raises PostroomError UNAVAILABLE."""
        settings = self._settings
        # The id and the secret are encoded like a form's fields, colons and all.
        user, password = (
            str(httpx.QueryParams({"": text}))[1:]
            for text in (settings.client_id, settings.client_secret.get_secret_value())
        )
        return await self._ask("POST", url, data=form, auth=httpx.BasicAuth(user, password))

    async def close(self) -> None:
        await self._http.aclose()

    async def _ask(self, method: str, url: str, **content: Any) -> Mapping[str, Any]:
        if not self._settings.permits(url):
            raise self._away(url, "no TLS")
        try:
            with QUESTION_SECONDS.labels(self._name).time():
                async with asyncio.timeout(self._settings.seconds):
                    text = await self._read(method, url, **content)
            document = json.loads(text)
        except (httpx.HTTPError, httpx.InvalidURL, OSError, TimeoutError) as error:
            raise self._away(url, type(error).__name__) from None
        except (ValueError, RecursionError):
            raise self._away(url, "no JSON") from None
        if not isinstance(document, dict):
            raise self._away(url, "no JSON object")
        return document

    async def _read(self, method: str, url: str, **content: Any) -> bytes:
        async with self._http.stream(method, url, **content) as response:
            if response.status_code != httpx.codes.OK:
                raise httpx.HTTPStatusError("not 200", request=response.request, response=response)
            text = bytearray()
            async for piece in response.aiter_raw():
                text += piece
                if len(text) > DOCUMENT_BYTES:
                    raise ValueError("the document is too long")
            return bytes(text)

    def _away(self, url: str, why: str) -> PostroomError:
        log.warning("directory.failed", directory=self._name, url=url, error=why)
        return PostroomError(Kind.UNAVAILABLE, "the directory can't be asked now")
