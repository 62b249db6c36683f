"""PagerDuty and Opsgenie as they behave: they refuse what is malformed and keep one incident for each key.

Each takes its requests at the path of the real one, under `origin`.
"""

from abc import ABC, abstractmethod
from collections import deque
from contextlib import AsyncExitStack
from typing import Any, Self

from aiohttp import web

from tests.support.serving import serving

ROUTING_KEY = "R0UT1NGKEY0000000000000000000000"
API_KEY = "eb243592-faa2-4ba2-a551-1afdf565c889"


class Pager(ABC):
    """An async context manager. `incidents` are those that are open; `next` holds answers to give instead."""

    def __init__(self) -> None:
        self.origin = ""
        self.attempts = 0
        self.incidents: dict[str, dict[str, Any]] = {}
        self.next: deque[tuple[int, Any]] = deque()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1024 * 1024)
        app.router.add_post("/{path:.*}", self._take)
        self.origin = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _take(self, request: web.Request) -> web.Response:
        self.attempts += 1
        body = await request.json()
        status, answer = self.next.popleft() if self.next else self.judge(request, body)
        return web.json_response(answer, status=status)

    @abstractmethod
    def judge(self, request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
        """What the provider says to this."""


class PagerDutyEvents(Pager):
    """Events API v2. Source: PagerDuty/developer-docs, `docs/events-API-v2`."""

    def judge(self, request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
        errors = list(self._errors(body))
        if request.path != "/v2/enqueue":
            return 404, {}
        if errors:
            return 400, {"status": "invalid event", "message": "Event object is invalid", "errors": errors}
        key = body["dedup_key"]
        if body["event_action"] == "trigger":
            self.incidents[key] = body
        else:
            self.incidents.pop(key, None)
        return 202, {"status": "success", "message": "Event processed", "dedup_key": key}

    def _errors(self, body: dict[str, Any]) -> Any:
        if body.get("routing_key") != ROUTING_KEY:
            yield "'routing_key' is invalid"
        if body.get("event_action") not in {"trigger", "acknowledge", "resolve"}:
            yield "'event_action' is invalid"
        if not 0 < len(body.get("dedup_key", "")) <= 255:
            yield "'dedup_key' is too long"
        if body.get("event_action") == "trigger":
            payload = body["payload"]
            if payload["severity"] not in {"critical", "error", "warning", "info"}:
                yield "'severity' is invalid"
            if not 0 < len(payload["summary"]) <= 1024 or not payload["source"]:
                yield "'summary' or 'source' is missing or too long"


class OpsgenieAlerts(Pager):
    """Alert API v2. Source: docs.opsgenie.com, "Alert API"."""

    def judge(self, request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
        answer = {"took": 0.1, "requestId": f"request-{self.attempts}"}
        if request.headers.get("Authorization") != f"GenieKey {API_KEY}":
            return 403, {"message": "You are not authorized. Please check your API key", **answer}
        parts = request.path.strip("/").split("/")
        if parts == ["v2", "alerts"]:
            if not self._is_valid(body):
                return 422, {"message": "Request body is not processable. Please check the errors.", **answer}
            self.incidents[body["alias"]] = body
        elif parts[:2] == ["v2", "alerts"] and parts[3:] == ["close"] and request.query["identifierType"] == "alias":
            self.incidents.pop(parts[2], None)
        else:
            return 404, {"message": "Not found", **answer}
        return 202, {"result": "Request will be processed", **answer}

    def _is_valid(self, body: dict[str, Any]) -> bool:
        return (
            0 < len(body["message"]) <= 130
            and len(body["alias"]) <= 512
            and len(body["description"]) <= 15_000
            and len(body["entity"]) <= 512
            and sum(len(name) + len(value) for name, value in body["details"].items()) <= 8_000
            and body["priority"] in {"P1", "P2", "P3", "P4", "P5"}
        )
