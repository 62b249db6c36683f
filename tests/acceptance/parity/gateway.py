"""Alertmanager's API v2, which both servers have, and the sink that their webhooks reach."""

import re
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import aiohttp
import orjson
from aiohttp import web

from alertagent.kernel.clock import rfc3339
from tests.acceptance.parity.scenario import Labels
from tests.support.serving import serving
from tests.support.waiting import Inbox

_MATCHER = re.compile(r'(\w+)(=~|!~|!=|=)"(.*)"')

OWNER = "of"
"""The label of a sentinel that says whose it is; others have it in `scenario`, where inhibitions and silences look."""


class Mailbox:
    """Takes webhooks, and sorts them by the scenario of their alerts."""

    def __init__(self) -> None:
        self.messages: defaultdict[str, Inbox[Mapping[str, Any]]] = defaultdict(Inbox)
        self.url = ""

    async def take(self, request: web.Request) -> web.Response:
        body = orjson.loads(await request.read())
        labels = body["commonLabels"]
        self.messages[labels.get(OWNER) or labels["scenario"]].add(body)
        return web.Response()


@asynccontextmanager
async def mailbox() -> AsyncIterator[Mailbox]:
    box = Mailbox()
    app = web.Application()
    app.router.add_post("/", box.take)
    async with serving(app) as origin:
        box.url = f"{origin}/"
        yield box


class Gateway:
    """One of the two servers: alerts and silences go in by its API, messages come out into its mailbox."""

    def __init__(self, session: aiohttp.ClientSession, address: str, box: Mailbox, *, token: str | None = None) -> None:
        self._session = session
        self._address = address
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}
        self.messages = box.messages

    async def post_alerts(self, alerts: Sequence[Mapping[str, Any]]) -> None:
        await self._call("POST", "/alerts", alerts)

    async def silence(self, matchers: Sequence[str], scope: Labels, lasts: timedelta) -> str:
        """The id of a silence that begins now."""
        now = datetime.now(UTC)
        scoped = [*map(_matcher, matchers), *(_matcher(f'{name}="{value}"') for name, value in scope.items())]
        silence = {
            "matchers": scoped,
            "startsAt": rfc3339(now),
            "endsAt": rfc3339(now + lasts),
            "createdBy": "parity",
            "comment": "a scenario",
        }
        id: str = (await self._call("POST", "/silences", silence))["silenceID"]
        return id

    async def end_silence(self, id: str) -> None:
        await self._call("DELETE", f"/silence/{id}")

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        url = f"{self._address}/api/v2{path}"
        async with self._session.request(method, url, json=body, headers=self._headers) as response:
            text = await response.read()
            assert response.status == 200, f"{method} {url}: {response.status} {text!r}"
        return orjson.loads(text) if text else None


def _matcher(text: str) -> Mapping[str, Any]:
    found = _MATCHER.fullmatch(text)
    assert found, text
    name, operator, value = found.groups()
    return {"name": name, "value": value, "isRegex": "~" in operator, "isEqual": not operator.startswith("!")}
