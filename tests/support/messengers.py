"""Telegram's Bot API and a webhook of Discord as they behave: they refuse what is too long or malformed."""

from abc import ABC, abstractmethod
from collections import deque
from contextlib import AsyncExitStack
from html.parser import HTMLParser
from typing import Any, ClassVar, Self

from aiohttp import web

from tests.support.serving import serving

TOKEN = "123456:ABC-DEF1234ghIkl-zyx57W2v1u123ew11"
CHAT = -1001234567890


class _Entities(HTMLParser):
    """Reads HTML as the Bot API does: a few tags, properly closed; `text` is what is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.text = ""
        self.is_valid = True
        self._open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        self.is_valid = self.is_valid and tag in {"a", "b", "i", "code", "pre"}

    def handle_endtag(self, tag: str) -> None:
        self.is_valid = self.is_valid and bool(self._open) and self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def shown(markup: str) -> str | None:
    """What a reader sees of a message; None where the Bot API would not parse it."""
    parser = _Entities()
    parser.feed(markup)
    parser.close()
    return parser.text if parser.is_valid and not parser._open else None


class Chat(ABC):
    """An async context manager. `messages` are those that were posted; `next` holds answers to give instead."""

    probed: ClassVar[str]

    def __init__(self) -> None:
        self.origin = ""
        self.attempts = 0
        self.messages: list[dict[str, Any]] = []
        self.next: deque[tuple[int, Any]] = deque()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_post("/{path:.*}", self._take)
        app.router.add_get(self.probed, self._tell, allow_head=False)
        self.origin = await self._stack.enter_async_context(serving(app))
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _tell(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True})

    async def _take(self, request: web.Request) -> web.Response:
        self.attempts += 1
        body = await request.json()
        status, answer = self.next.popleft() if self.next else self.judge(request, body)
        if status == 200:
            self.messages.append(body)
        return web.json_response(answer, status=status)

    @abstractmethod
    def judge(self, request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
        """What the provider says to this."""


def _refusal(code: int, description: str, **parameters: int) -> tuple[int, dict[str, Any]]:
    answer: dict[str, Any] = {"ok": False, "error_code": code, "description": description}
    return code, {**answer, "parameters": parameters} if parameters else answer


class TelegramBot(Chat):
    """`sendMessage` and `getMe`. Source: core.telegram.org/bots/api."""

    probed = f"/bot{TOKEN}/getMe"

    def judge(self, request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
        if request.path != f"/bot{TOKEN}/sendMessage":
            return _refusal(401, "Unauthorized")
        if str(body["chat_id"]) != str(CHAT):
            return _refusal(400, "Bad Request: chat not found")
        error = self._error(body)
        if error:
            return _refusal(400, f"Bad Request: {error}")
        return 200, {"ok": True, "result": {"message_id": len(self.messages) + 1, "text": shown(body["text"])}}

    def _error(self, body: dict[str, Any]) -> str:
        reply = body.get("reply_parameters", {"message_id": 0, "allow_sending_without_reply": True})
        if not reply.get("allow_sending_without_reply") and not 0 < reply["message_id"] <= len(self.messages):
            return "message to be replied not found"
        text = shown(body["text"])
        if text is None:
            return "can't parse entities"
        if not text.strip():
            return "message text is empty"
        return "message is too long" if len(text.encode("utf-16-le")) // 2 > 4096 else ""


class DiscordChannel(Chat):
    """`Execute Webhook` and `Get Webhook with Token`. Source: discord.com/developers/docs."""

    probed = "/api/webhooks/1/token"

    @property
    def url(self) -> str:
        return f"{self.origin}/api/webhooks/1/token"

    def judge(self, request: web.Request, body: dict[str, Any]) -> tuple[int, Any]:
        if request.path != "/api/webhooks/1/token":
            return 404, {"message": "Unknown Webhook", "code": 10015}
        [embed] = body["embeds"]
        sizes = [len(embed[name].encode("utf-16-le")) // 2 for name in ("title", "description")]
        if not 0 < sizes[0] <= 256 or not 0 < sizes[1] <= 4096:
            return 400, {"message": "Invalid Form Body", "code": 50035, "errors": {"embeds": ["0"]}}
        if request.query.get("wait") != "true":
            return 204, None
        return 200, {"id": str(1000 + len(self.messages)), "channel_id": "1", "embeds": [embed]}
