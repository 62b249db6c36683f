"""A DingTalk robot as the real one behaves: everything is HTTP 200, and `errcode` says what happened.

It checks the token, the signature (milliseconds, within an hour), the keyword and the size, and silences itself
for ten minutes after more than 20 messages within one.
"""

import base64
import hashlib
import hmac
import json
import time
from collections import deque
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Self

from aiohttp import web

from tests.support.serving import serving
from tests.support.waiting import Inbox

TOKEN = "f00dfeedf00dfeedf00dfeedf00dfeed"
MAX_BYTES = 20_000

ERRORS: dict[int, dict[str, Any]] = {
    -1: {"errcode": -1, "errmsg": "系统繁忙"},
    310000: {"errcode": 310000, "errmsg": "sign not match"},
    130101: {
        "errcode": 130101,
        "errmsg": "send too fast, exceed 20 times per minute",
        "status": 1111,
        "wait": 5,
        "source": "x5",
        "punish": "deny",
    },
    300001: {"errcode": 300001, "errmsg": "token is not exist"},
    300005: {"errcode": 300005, "errmsg": "token is not exist"},
    40035: {"errcode": 40035, "errmsg": "缺少参数 access_token"},
    90030: {"errcode": 90030, "errmsg": "webhook over limit"},
    460101: {"errcode": 460101, "errmsg": "message too long, exceed 20000 bytes"},
}


class DingTalkRobot:
    """An async context manager. `url` is the robot's webhook URL; `attempts` counts all requests, refused ones too.

    `clock` tells the Unix time by which signatures and the rate are judged.
    """

    def __init__(
        self,
        *,
        secret: str | None = "SECcafe00000000000000000000000000000000000000000000000000000000cafe",
        keyword: str | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.secret = secret
        self.keyword = keyword
        self.attempts = 0
        self.bodies: list[dict[str, Any]] = []
        self.traces: list[str] = []
        self._clock = clock
        self._inbox: Inbox[str] = Inbox()
        self._next: deque[web.Response] = deque()
        self._recent: deque[float] = deque()
        self._silent_until = 0.0
        self._origin = ""
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"{self._origin}/robot/send?access_token={TOKEN}"

    @property
    def messages(self) -> list[str]:
        """The markdown of every message that the robot posted into its group."""
        return self._inbox.items

    async def wait_for(self, expected: int | Callable[[list[str]], bool], timeout: float = 10) -> list[str]:  # noqa: ASYNC109
        """The messages, once there are so many or the predicate holds of them."""
        return await self._inbox.wait_for(expected, timeout)

    def refuse_next(self, *errcodes: int) -> None:
        """Answer the next requests with these errors, one each."""
        self._next.extend(web.json_response(ERRORS[errcode]) for errcode in errcodes)

    def answer_next(self, *, status: int = 200, body: bytes = b"") -> None:
        """Answer the next request with this, whatever it is, as a gateway in between might."""
        self._next.append(web.Response(status=status, body=body))

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/robot/send", self._send)
        self._origin = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _send(self, request: web.Request) -> web.Response:
        self.attempts += 1
        body = await request.read()
        if self._next:
            return self._next.popleft()
        errcode = self._judge_query(request) or self._judge_rate() or self._judge_body(body)
        if errcode:
            return web.json_response(ERRORS[errcode])
        self.bodies.append(json.loads(body))
        self.traces.append(request.headers.get("traceparent", ""))
        self._inbox.add(self.bodies[-1]["markdown"]["text"])
        return web.json_response({"errcode": 0, "errmsg": "ok"})

    def _judge_query(self, request: web.Request) -> int | None:
        if "access_token" not in request.query:
            return 40035
        if request.query["access_token"] != TOKEN:
            return 300001
        if self.secret and not self._is_signed(request.query.get("timestamp", ""), request.query.get("sign", "")):
            return 310000
        return None

    def _is_signed(self, timestamp: str, signature: str) -> bool:
        if not timestamp.isdigit() or abs(int(timestamp) / 1000 - self._clock()) > 3600:
            return False
        secret = self.secret or ""
        expected = hmac.digest(secret.encode(), f"{timestamp}\n{secret}".encode(), hashlib.sha256)
        return signature == base64.b64encode(expected).decode()

    def _judge_rate(self) -> int | None:
        now = self._clock()
        if now < self._silent_until:
            return 130101
        while self._recent and self._recent[0] <= now - 60:
            self._recent.popleft()
        self._recent.append(now)
        if len(self._recent) <= 20:
            return None
        self._silent_until = now + 600
        return 130101

    def _judge_body(self, body: bytes) -> int | None:
        if len(body) > MAX_BYTES:
            return 460101
        message = json.loads(body)
        if message.get("msgtype") != "markdown" or not message["markdown"]["title"]:
            return 40035
        if self.keyword and self.keyword not in message["markdown"]["text"]:
            return 310000
        return None
