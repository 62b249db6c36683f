"""A local server that speaks `/config/sync`, `/config/sync/status` and `/config/adopt`, strictly, and can lie."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

from aiohttp import web

from alertagent.core.configs import marker
from tests.support.prometheus import free_port

TOKEN = "sidecar-token"
REPORT_FIELDS = {
    "cluster_id",
    "config_type",
    "status",
    "sync_time",
    "error_message",
    "config_hash",
    "instance",
    "applied_hash",
    "rejected_hash",
    "phase",
    "error_class",
    "checker",
    "target_version",
    "duration_ms",
}

Lie = Callable[[web.Request, bytes], Awaitable[web.StreamResponse]]
Report = dict[str, Any]


class Adopted(NamedTuple):
    """What a sidecar gave to the server, and how often it had polled before."""

    content_type: str
    body: bytes
    polls: int


def sha256(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def rule_file(*alerts: str, expr: str = "vector(1)", interval: str = "1m") -> bytes:
    """A file as AlertAgent renders it: one group of alerts with these names, and the marker."""
    rules = "".join(f"  - alert: {name}\n    expr: {expr}\n" for name in alerts)
    above = f"groups:\n- name: node\n  rules:\n{rules}" if alerts else "groups:\n"
    mark = (
        f"  interval: {interval}\n  rules:\n  - alert: {marker.ALERT}\n    expr: vector(0) > 1\n"
        f"    annotations: {{cluster_id: c1, revision: {marker.revision(above.encode())}}}\n"
    )
    return above.encode() + marker.START + mark.encode()


def answer(body: bytes) -> web.Response:
    """The answer of the contract; a tar is a bundle."""
    kind = "application/x-tar" if body.startswith(b"alertmanager.yml\0") else "application/yaml"
    headers = {"X-Config-Hash": sha256(body), "ETag": f'"{sha256(body)}"', "X-Config-Revision": "1"}
    return web.Response(body=body, content_type=kind, headers=headers)


class ConfigServer:
    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.body = rule_file("First")
        self.lie: Lie | None = None
        self.polls: list[str | None] = []
        self.reports: list[Report] = []
        self.refuses_reports = False
        self.refused_reports = 0
        self.adopted: list[Adopted] = []
        self.is_empty = True
        self.unfit: str | None = None
        self.serves_adopted: Callable[[bytes], bytes] | None = None
        self._changed = asyncio.Condition()
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/v1/config/sync", self._sync)
        app.router.add_post("/api/v1/config/sync/status", self._status)
        app.router.add_post("/api/v1/config/adopt", self._adopt)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()

    async def stop(self) -> None:
        if self._runner:
            await self._runner.cleanup()

    async def offer(self, body: bytes) -> None:
        """Change the configuration, which wakes the polls that wait."""
        async with self._changed:
            self.body = body
            self._changed.notify_all()

    async def reported(self, holds: Callable[[Report], bool], *, within: float = 20) -> Report:
        """The first report, past or to come, for which this holds."""
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: any(map(holds, self.reports)))
        return next(filter(holds, self.reports))

    async def polled(self, count: int, *, within: float = 20) -> None:
        async with asyncio.timeout(within), self._changed:
            await self._changed.wait_for(lambda: len(self.polls) >= count)

    async def _sync(self, request: web.Request) -> web.StreamResponse:
        _authorize(request)
        wants_bundle = request.query.get("type") == "alertmanager"
        _require_query(request, {"cluster_id", "type", "wait"} | ({"format"} if wants_bundle else set()))
        assert not wants_bundle or request.query["format"] == "bundle"
        known = request.headers.get("If-None-Match")
        await self._note(self.polls, known)
        if self.lie:
            return await self.lie(request, self.body)
        await self._hold(known, float(request.query["wait"]))
        return web.Response(status=304) if known == f'"{sha256(self.body)}"' else answer(self.body)

    async def _hold(self, known: str | None, wait: float) -> None:
        try:
            async with asyncio.timeout(wait), self._changed:
                await self._changed.wait_for(lambda: known != f'"{sha256(self.body)}"')
        except TimeoutError:
            return

    async def _status(self, request: web.Request) -> web.Response:
        _authorize(request)
        report = await request.json()
        assert set(report) == REPORT_FIELDS
        if self.refuses_reports:
            self.refused_reports += 1
            raise web.HTTPServiceUnavailable
        await self._note(self.reports, report)
        return web.json_response({"data": {}})

    async def _adopt(self, request: web.Request) -> web.Response:
        _authorize(request)
        _require_query(request, {"cluster_id", "type"})
        body = await request.read()
        await self._note(self.adopted, Adopted(request.content_type, body, len(self.polls)))
        if not self.is_empty:
            return _error(409, "adopt.not_empty", "this cluster has rules already")
        if self.unfit:
            return _error(
                400,
                "adopt.invalid",
                "the file cannot be imported",
                [{"loc": ["groups", 0], "line": 3, "message": self.unfit}],
            )
        self.is_empty = False
        if self.serves_adopted:
            self.body = self.serves_adopted(body)
        return web.json_response({"data": {"stored": True}}, status=201)

    async def _note(self, book: list[Any], entry: Any) -> None:
        async with self._changed:
            book.append(entry)
            self._changed.notify_all()


def _error(status: int, code: str, message: str, details: list[Any] | None = None) -> web.Response:
    return web.json_response({"error": {"code": code, "message": message, "details": details or []}}, status=status)


def _require_query(request: web.Request, names: set[str]) -> None:
    if set(request.query) != names:
        raise web.HTTPBadRequest(text=f"unknown or missing parameter: {request.query_string}")


def _authorize(request: web.Request) -> None:
    if request.headers.get("Authorization") != f"Bearer {TOKEN}":
        raise web.HTTPUnauthorized


@asynccontextmanager
async def config_server() -> AsyncIterator[ConfigServer]:
    server = ConfigServer()
    await server.start()
    try:
        yield server
    finally:
        await server.stop()
