"""The webhooks of n8n 1.123 as they answer, the empty 200 and the stack traces included."""

from contextlib import AsyncExitStack
from typing import Any, Self

from aiohttp import web

from tests.support.serving import serving

HEADER = ("X-N8N-Secret", "s3cr3t")

_STACK = "NotFoundError: …\n    at LiveWebhooks.findWebhook (/usr/local/lib/node_modules/n8n/dist/live-webhooks.js:128)"
_PRODUCTION = (
    "The workflow must be active for a production URL to run successfully. You can activate the workflow using the "
    "toggle in the top-right of the editor. Note that unlike test URL calls, production URL calls aren't shown on the "
    "canvas (only in the executions list)"
)
_TEST = (
    "Click the 'Execute workflow' button on the canvas, then try again. (In test mode, the webhook only works for one "
    "call after you click this button)"
)


def unknown(path: str, *, test: bool = False) -> dict[str, Any]:
    return {
        "code": 404,
        "message": f'The requested webhook "{path}" is not registered.',
        "hint": _TEST if test else _PRODUCTION,
        "stacktrace": _STACK,
    }


class N8nWebhooks:
    """An async context manager. One active workflow answers under `url`; the test URL of the same node, never."""

    def __init__(self) -> None:
        self.origin = ""
        self.is_active = True
        self.answer: bytes = b'{"message":"Workflow was started"}'
        self.runs: list[dict[str, Any]] = []
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"{self.origin}/webhook/alerts"

    @property
    def test_url(self) -> str:
        return f"{self.origin}/webhook-test/alerts"

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=16 * 1024 * 1024)
        app.router.add_post("/webhook/{path}", self._production)
        app.router.add_post("/webhook-test/{path}", self._test)
        self.origin = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _production(self, request: web.Request) -> web.Response:
        if not self.is_active or request.match_info["path"] != "alerts":
            return web.json_response(unknown(request.match_info["path"]), status=404)
        if request.headers.get(HEADER[0]) != HEADER[1]:
            challenge = {"WWW-Authenticate": 'Basic realm="Webhook"'}
            return web.Response(status=403, text="Authorization data is wrong!", headers=challenge)
        self.runs.append(await request.json())
        return web.Response(body=self.answer, content_type="application/json")

    async def _test(self, request: web.Request) -> web.Response:
        return web.json_response(unknown(request.match_info["path"], test=True), status=404)
