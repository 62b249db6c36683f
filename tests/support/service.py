"""A whole AlertAgent inside the test's own process, and a client that speaks to it over real HTTP."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import orjson

from alertagent.app import Service, running
from alertagent.settings import Settings

ADMIN_TOKEN = "test-admin-token-0123456789"
KEY = "MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


@dataclass(frozen=True)
class Answer:
    """A response, read to its end."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return orjson.loads(self.body)

    @property
    def data(self) -> Any:
        return self.json["data"]

    @property
    def error(self) -> Any:
        return self.json["error"]


class Api:
    """Calls `/api/v1/…` (or, with a path from the root, anything) as one caller."""

    def __init__(self, session: aiohttp.ClientSession, address: str, token: str | None = ADMIN_TOKEN) -> None:
        self._session = session
        self.address = address
        self._token = token

    def as_(self, token: str | None) -> "Api":
        return Api(self._session, self.address, token)

    async def get(self, path: str, **options: Any) -> Answer:
        return await self.call("GET", path, **options)

    async def post(self, path: str, json: Any = None, **options: Any) -> Answer:
        return await self.call("POST", path, json=json, **options)

    async def put(self, path: str, json: Any = None, **options: Any) -> Answer:
        return await self.call("PUT", path, json=json, **options)

    async def delete(self, path: str, **options: Any) -> Answer:
        return await self.call("DELETE", path, **options)

    async def call(self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any) -> Answer:
        """`path` below /api/v1, or a whole one when it starts with `//`."""
        url = self.address + (path[1:] if path.startswith("//") else f"/api/v1{path}")
        bearer = {"Authorization": f"Bearer {self._token}"} if self._token is not None else {}
        if options.get("json") is None:
            options.pop("json", None)
        async with self._session.request(method, url, headers={**bearer, **(headers or {})}, **options) as response:
            return Answer(response.status, response.headers, await response.read())


def make_settings(database_url: str, redis_url: str, **sections: Any) -> Settings:
    """Settings for a service on these engines, on a free port, that may call this machine."""
    return Settings(
        **{
            "data_dir": Path("/nonexistent"),
            "server": {"port": 0},
            "database": {"url": database_url},
            "redis": {"url": redis_url},
            "auth": {"admin_token": ADMIN_TOKEN},
            "secrets": {"key": KEY},
            "outgoing": {"allow_networks": ["127.0.0.0/8", "::1/128"]},
            **sections,
        }
    )


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[tuple[Service, Api]]:
    async with running(settings) as service, aiohttp.ClientSession() as session:
        yield service, Api(session, service.address)
