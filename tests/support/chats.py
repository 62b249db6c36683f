"""Chat services as they behave: Feishu's and WeCom's robots, Slack's webhook and bot, a workflow of Teams.

Each judges what it gets as the real one does, at the real one's path: the key, the signature, the size, the shape and
the rate. `ERRORS` of each class has what the real one answers, as far as that is known.
"""

import base64
import hashlib
import hmac
import json
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Any, ClassVar, Self

from aiohttp import web

from tests.support.serving import serving

Reply = tuple[int, Any]


class Chat(ABC):
    """An async context manager. `posts` are the bodies it took; `attempts` counts all requests, refused ones too."""

    path: ClassVar[str]

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self.attempts = 0
        self.posts: list[dict[str, Any]] = []
        self.origin = ""
        self.clock = clock
        self._next: deque[web.Response] = deque()
        self._recent: deque[float] = deque()
        self._stack = AsyncExitStack()

    @property
    def url(self) -> str:
        return f"{self.origin}{self.path}"

    def answer_next(self, body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
        """Answer the next request with this, whatever it is: an object as JSON, bytes as they are."""
        self._next.append(_response(status, body, headers))

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        self.origin = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _take(self, request: web.Request) -> web.Response:
        self.attempts += 1
        body = await request.read()
        if self._next:
            return self._next.popleft()
        status, answer = self.judge(request, body)
        return _response(status, answer)

    @abstractmethod
    def judge(self, request: web.Request, body: bytes) -> Reply:
        """What the provider says to this."""

    def is_too_fast(self, messages: int, window: timedelta) -> bool:
        """Counts this request, and tells whether there were more than so many of them lately."""
        now = self.clock()
        while self._recent and self._recent[0] <= now - window.total_seconds():
            self._recent.popleft()
        self._recent.append(now)
        return len(self._recent) > messages


class FeishuBot(Chat):
    """Source: open.feishu.cn, "Use bots in groups"; feiyu563/PrometheusAlert#422 for 11232."""

    path = "/open-apis/bot/v2/hook/f00dfeed-0000-4000-8000-000000000000"
    ERRORS: ClassVar[dict[int, dict[str, Any]]] = {
        19021: {
            "code": 19021,
            "msg": "sign match fail or timestamp is not within one hour from current time",
            "data": {},
        },
        19022: {"code": 19022, "msg": "Ip Not Allowed"},
        19024: {"code": 19024, "msg": "Key Words Not Found"},
        19001: {"code": 19001, "msg": "param invalid: incoming webhook access token invalid"},
        9499: {"code": 9499, "msg": "Bad Request", "data": {}},
        11232: {
            "code": 11232,
            "data": {},
            "msg": "frequency limited psm[lark.oapi.app_platform_runtime]appID[1500]",
        },
    }

    def __init__(self, *, secret: str | None = None, keyword: str = "", clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self.secret = secret
        self.keyword = keyword

    def judge(self, request: web.Request, body: bytes) -> Reply:
        code = self._code(request, body)
        if code:
            return 200, self.ERRORS[code]
        self.posts.append(json.loads(body))
        return 200, {"StatusCode": 0, "StatusMessage": "success", "code": 0, "data": {}, "msg": "success"}

    def _code(self, request: web.Request, body: bytes) -> int:
        if request.path != self.path:
            return 19001
        post = json.loads(body)
        if len(body) > 20 * 1024 or post.get("msg_type") != "interactive" or not post["card"]["elements"]:
            return 9499
        if self.secret and not self._is_signed(post.get("timestamp", ""), post.get("sign", "")):
            return 19021
        if self.keyword not in body.decode():
            return 19024
        return 11232 if self.is_too_fast(5, timedelta(seconds=1)) else 0

    def _is_signed(self, timestamp: str, signature: str) -> bool:
        if not timestamp.isdigit() or abs(int(timestamp) - self.clock()) > 3600:
            return False
        digest = hmac.digest(f"{timestamp}\n{self.secret}".encode(), b"", hashlib.sha256)
        return signature == base64.b64encode(digest).decode()


class WeComRobot(Chat):
    """Source: developer.work.weixin.qq.com, path 99110 and 90454."""

    path = "/cgi-bin/webhook/send"
    KEY = "693a91f6-7000-4bc4-97a0-0ec200000000"
    ERRORS: ClassVar[dict[int, dict[str, Any]]] = {
        93000: {
            "errcode": 93000,
            "errmsg": "invalid webhook url, hint: [1653710655], from ip: 1.2.3.4, "
            "more info at https://open.work.weixin.qq.com/devtool/query?e=93000",
        },
        45009: {"errcode": 45009, "errmsg": "api freq out of limit, hint: [1653710655], from ip: 1.2.3.4"},
        44004: {"errcode": 44004, "errmsg": "empty content, hint: [1653710655]"},
        40058: {"errcode": 40058, "errmsg": "markdown.content exceed max length 4096. invalid Request Parameter"},
        -1: {"errcode": -1, "errmsg": "system busy"},
    }

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self._blocked_until = 0.0

    @property
    def url(self) -> str:
        return f"{super().url}?key={self.KEY}"

    def judge(self, request: web.Request, body: bytes) -> Reply:
        code = self._code(request, body)
        if code:
            return 200, self.ERRORS[code]
        self.posts.append(json.loads(body))
        return 200, {"errcode": 0, "errmsg": "ok"}

    def _code(self, request: web.Request, body: bytes) -> int:
        if request.path != self.path or request.query.get("key") != self.KEY:
            return 93000
        if self.clock() < self._blocked_until or self.is_too_fast(20, timedelta(minutes=1)):
            self._blocked_until = max(self._blocked_until, self.clock() + 60)
            return 45009
        post = json.loads(body)
        content = post[post["msgtype"]]["content"]
        if not content:
            return 44004
        return 40058 if len(content.encode()) > {"markdown": 4096, "text": 2048}[post["msgtype"]] else 0


class SlackApi(Chat):
    """Both ways into Slack. `shown` are the messages of the bot by their `ts`, as they stand now.

    Source: api.slack.com, "Sending messages using incoming webhooks", "chat.postMessage", "chat.update".
    """

    path = "/services/T00000000/B00000000/XXXXXXXXXXXXXXXXXXXXXXXX"
    TOKEN = "xoxb-000000000000-0000000000000-f00dfeedf00dfeedf00dfeed"
    CHANNELS = frozenset({"C0123456789", "#alerts"})
    ERRORS: ClassVar[dict[str, int]] = {
        "invalid_payload": 400,
        "no_text": 400,
        "action_prohibited": 403,
        "invalid_token": 403,
        "no_service": 404,
        "channel_not_found": 404,
        "channel_is_archived": 410,
    }

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        super().__init__(clock=clock)
        self.shown: dict[str, dict[str, Any]] = {}

    def judge(self, request: web.Request, body: bytes) -> Reply:
        if request.path in {"/api/chat.postMessage", "/api/chat.update", "/api/auth.test"}:
            return 200, self._bot(request, body)
        if request.path != self.path:
            return 404, b"no_service"
        error = _slack_error(json.loads(body))
        if error:
            return 400, error.encode()
        self.posts.append(json.loads(body))
        return 200, b"ok"

    def _bot(self, request: web.Request, body: bytes) -> dict[str, Any]:
        if request.headers.get("Authorization") != f"Bearer {self.TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        if request.path == "/api/auth.test":
            return {"ok": True, "team": "ops", "user": "alertagent"}
        post = json.loads(body)
        error = "" if post.get("channel") in self.CHANNELS else "channel_not_found"
        error = error or self._place_error(request.path, post) or _slack_error(post)
        if error:
            return {"ok": False, "error": error}
        if request.path == "/api/chat.update":
            sent = post["ts"]
        else:
            self.posts.append(post)
            sent = f"1503435956.{246 + len(self.posts):06}"
        self.shown[sent] = post
        return {"ok": True, "channel": "C0123456789", "ts": sent, "message": {"text": post["text"]}}

    def _place_error(self, path: str, post: dict[str, Any]) -> str:
        if path == "/api/chat.update":
            if not post["channel"].startswith("C"):
                return "channel_not_found"
            return "" if post["ts"] in self.shown else "message_not_found"
        return "" if post.get("thread_ts") in {None, *self.shown} else "thread_not_found"


class TeamsWorkflow(Chat):
    """A workflow, which takes a card and tells no more. Source: learn.microsoft.com, "Create Incoming Webhooks"."""

    path = "/workflows/f00dfeed/triggers/manual/paths/invoke"

    def judge(self, request: web.Request, body: bytes) -> Reply:
        if request.path != self.path:
            return 404, {"error": {"code": "WorkflowNotFound", "message": "The workflow could not be found."}}
        if len(body) > 28 * 1024:
            return 413, b""
        post = json.loads(body)
        [attachment] = post["attachments"]
        if post["type"] != "message" or attachment["content"]["type"] != "AdaptiveCard":
            return 400, {"error": {"code": "TriggerInputSchemaMismatch", "message": "The input does not match."}}
        self.posts.append(post)
        return 202, b""


def _slack_error(post: dict[str, Any]) -> str:
    """What Slack finds wrong with a message; source: api.slack.com, "Reference: Layout blocks"."""
    blocks = [*post.get("blocks", []), *(block for part in post.get("attachments", []) for block in part["blocks"])]
    if not post.get("text"):
        return "no_text"
    longest = {"header": 150, "section": 3000}
    if any(not 0 < _units(block["text"]["text"]) <= longest[block["type"]] for block in blocks):
        return "invalid_blocks"
    return "msg_blocks_too_long" if sum(_units(block["text"]["text"]) for block in blocks) > 13_000 else ""


def _units(text: str) -> int:
    return len(text.encode("utf-16-le")) // 2


def _response(status: int, body: Any, headers: Mapping[str, str] | None = None) -> web.Response:
    if isinstance(body, bytes):
        return web.Response(status=status, body=body, headers=headers)
    return web.json_response(body, status=status, headers=headers)
