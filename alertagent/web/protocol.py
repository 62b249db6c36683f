"""What is no HTTP, or too much of it, in the words of every other error.

aiohttp's parser refuses such bytes before any middleware runs, with a plain text of its own, its version in the
`Server` header and a traceback in the log for each.
"""

import re

import structlog
from aiohttp import web
from aiohttp.web_protocol import RequestHandler

from alertagent.kernel.errors import Invalid, Problem
from alertagent.kernel.ids import new_id
from alertagent.web.errors import envelope
from alertagent.web.express import Ordinary
from alertagent.web.middleware import SECURITY_HEADERS
from alertagent.web.server import EXPRESS, SERVER

log = structlog.get_logger()

# Where aiohttp begins to repeat what it read: a header with a token, as likely as not.
_QUOTATION = re.compile(r""":?\s+(?:bytearray\()?b(?P<mark>['"]).*""", re.DOTALL)
_NAME = re.compile(r"""b['"](?P<name>[A-Za-z0-9-]{1,40}):""")


class Runner(web.AppRunner):
    """Runs an application so that every answer is ours, one to broken requests too."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        # Not the runner's own arguments: the application adds some of its own.
        handler = self.app[EXPRESS].before(_expecting(made.request_handler))
        return _Server(handler, request_factory=made.request_factory, **made._kwargs)


class _Server(web.Server):
    def __call__(self) -> RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class _Protocol(RequestHandler):
    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        if request.writer.output_size > 0:
            raise ConnectionError("half an answer is sent already")
        request_id = new_id()
        problem: Problem
        if status == 400:
            reason = _reason(message or "it cannot be read")
            problem = Invalid(f"this is not a request: {reason}", code="request.unreadable")
            log.debug("request.unreadable", request_id=request_id, remote=request.remote, reason=reason)
        else:
            problem = Problem("an unexpected error; the server's log has it under this request_id")
            log.error("request.crashed", request_id=request_id, exc_info=exc)
        return _refusal(problem, path="", request_id=request_id)


def _expecting(handler: Ordinary) -> Ordinary:
    """aiohttp looks at `Expect` before any middleware, too, and fails over one that is no text."""

    async def handle(request: web.BaseRequest) -> web.StreamResponse:
        expected = request.headers.get("Expect")
        if expected is None or expected.lower() == "100-continue":
            return await handler(request)
        problem = Invalid("of the header Expect only 100-continue is understood", code="request.expectation")
        return _refusal(problem, path=request.path, request_id=new_id())

    return handle


def _refusal(problem: Problem, *, path: str, request_id: str) -> web.Response:
    response = envelope(problem, path=path, request_id=request_id)
    response.headers.update({**SECURITY_HEADERS, "Server": SERVER, "X-Request-ID": request_id})
    response.force_close()
    return response


def _reason(message: str) -> str:
    """aiohttp's words without the bytes that it shows; of a header only the name stays."""
    quotation = _QUOTATION.search(message)
    if quotation is None:
        return message
    name = _NAME.search(quotation[0])
    words = " ".join(message[: quotation.start()].split())
    return f"{words}, in the header {name['name']}" if name else words
