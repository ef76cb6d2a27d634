"""HTTP behind a proxy: who the client is."""

from __future__ import annotations

import httpx
import pytest
from fastapi import FastAPI, Request
from postroom_chassis.http import HttpServer
from postroom_chassis.net.listener import parse_networks

FORWARDED = {"X-Forwarded-For": "192.0.2.1", "X-Forwarded-Proto": "https"}


@pytest.mark.parametrize(
    ("proxies", "told"),
    [
        ("127.0.0.0/8", "https 192.0.2.1"),
        ("", "http 127.0.0.1"),
        ("10.0.0.0/8, 2001:db8::/32", "http 127.0.0.1"),
    ],
)
async def test_proxies_are_believed_where_they_are_known(proxies: str, told: str) -> None:
    app = FastAPI()

    @app.get("/")
    async def tell(request: Request) -> str:
        return f"{request.url.scheme} {request.client.host if request.client else ''}"

    server = await HttpServer.start(app, "127.0.0.1", 0, proxies=parse_networks(proxies))
    try:
        async with httpx.AsyncClient() as client:
            answer = await client.get(f"http://127.0.0.1:{server.port}/", headers=FORWARDED)
    finally:
        await server.stop()
    assert answer.json() == told
