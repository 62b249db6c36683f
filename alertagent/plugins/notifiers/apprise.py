"""Everything else, by the library apprise: best effort, where it is installed.

What surprises: apprise sends nothing. It runs in a process of its own that has no network (`apprise_process.py`), for
one message; each request that it makes there is sent by our transport, which hands the answer back. So the guard of
addresses holds here as everywhere, and what was answered is known better than apprise says, which is yes or no.
"""

import asyncio
import base64
import json
import re
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from importlib.util import find_spec
from typing import Annotated, Any

from pydantic import AfterValidator, Field, SecretStr

from alertagent import __version__
from alertagent.kernel.errors import Detail, Invalid, Permanent, Problem
from alertagent.kernel.message import Line, Message
from alertagent.kernel.urgency import Urgency, urgency_of
from alertagent.plugins.addresses import AddressGuard, origin
from alertagent.plugins.base import Health, Limits, NotificationPlugin, Worded
from alertagent.plugins.config import PluginConfig, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers import apprise_process
from alertagent.plugins.notifiers.apprise_services import PLUGINS, SERVICES
from alertagent.plugins.notifiers.outline import fit, outline, plain, title
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter, excerpt, failure
from alertagent.plugins.text import cut
from alertagent.plugins.transport import HttpRequest, HttpResponse, Transport, Unanswered, Unreachable

MAX_ALERTS = 40
MAX_PROCESSES = 4
MAX_REQUESTS = 4

_MISSING = "the package apprise is not installed: `pip install 'alertagent[apprise]'` on the server, then restart it"
_SENT_NOTHING = f"apprise sent nothing: it ended, or found no place among the {MAX_PROCESSES} that run at once"
_NO_URL = "this is no URL of apprise; one begins with the name of a service, such as pover://"
_TITLE = 250
_MAX_FRAME = 1024 * 1024

_SCHEMA = re.compile(r"([a-z][a-z0-9]{1,19})://", re.IGNORECASE)
# The transport says these by itself; the compression that apprise would take is one that it would not.
_OURS = frozenset({"accept-encoding", "connection", "content-length", "host", "transfer-encoding", "user-agent"})
# What some chat takes for a mention or a link: an @ that does not follow a word, a < before one, and the middle of a
# link in Markdown.
_MARKUP = re.compile(r"(?<![0-9A-Za-z_])@|<(?=[\w!@#/])|\](?=\()")
_WIDE = str.maketrans({"@": "\uff20", "<": "\uff1c", "]": "\uff3d"})
_TYPES = {Urgency.INFO: "info", Urgency.WARNING: "warning", Urgency.ERROR: "failure", Urgency.CRITICAL: "failure"}


def _schema(url: str) -> str:
    """Raises ValueError, repeating nothing that may be secret."""
    found = _SCHEMA.match(url)
    if found is None:
        raise ValueError(_NO_URL)
    return found[1].lower()


def _usable(url: SecretStr) -> SecretStr:
    schema = _schema(url.get_secret_value())
    if schema in PLUGINS:
        raise ValueError(f"{schema}:// has a plugin of its own here, {PLUGINS[schema]}")
    if schema not in SERVICES:
        raise ValueError(f"{schema}:// is not available here; these are: {', '.join(sorted(SERVICES))}")
    return url


class AppriseConfig(PluginConfig):
    url: Annotated[
        Annotated[SecretStr, Field(max_length=2048), AfterValidator(_usable)],
        described(
            Bilingual(zh="Apprise 地址", en="Apprise URL"),
            Bilingual(
                zh="一个服务、一个接收者的 Apprise 地址，例如 pover://用户密钥@应用令牌",
                en="Apprise's URL of one recipient, such as pover://USER_KEY@TOKEN",
            ),
            secret=True,
        ),
    ]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """How many characters a service takes; without room for a title, it stands in the body."""

    title: int
    body: int


class Apprise(NotificationPlugin[AppriseConfig]):
    """`patience` bounds an attempt as a whole; `package` is what must be installed."""

    name = "apprise"
    version = __version__
    display_name = Bilingual(zh="Apprise", en="Apprise")
    description = Bilingual(
        zh="通过 Apprise 库发送到更多服务，尽力而为；需安装 alertagent[apprise]",
        en="More services by the library Apprise, as best effort; needs alertagent[apprise]",
    )
    Config = AppriseConfig
    worded = Worded.WHOLE
    limits = Limits(max_alerts=MAX_ALERTS)

    def __init__(self, package: str = "apprise", *, patience: timedelta = timedelta(seconds=30)) -> None:
        self._package = package
        self._patience = patience.total_seconds()
        self.takes_up_to = patience
        self._room = asyncio.Semaphore(MAX_PROCESSES)

    def account(self, config: AppriseConfig) -> str | None:
        return config.url.get_secret_value()

    def place(self, config: AppriseConfig) -> str:
        return f"{_schema(config.url.get_secret_value())}://"

    async def check_config(self, config: AppriseConfig, guard: AddressGuard) -> None:
        if not self._is_installed():
            raise _invalid(_MISSING)
        await guard.check_url((await self._first_request(config)).url, loc=("url",))

    async def send(self, config: AppriseConfig, message: Message, transport: Transport, *, now: datetime) -> Outcome:
        if not self._is_installed():
            return RetryAfter(code="apprise.missing", text=_MISSING)
        verdict: bool | None = None
        answers: list[HttpResponse | Problem] = []
        try:
            async with asyncio.timeout(self._patience), self._opened(config) as (process, service):
                said = await _ask(process, worded(message, service))
                while "url" in said and len(answers) < MAX_REQUESTS:
                    answers.append(Unanswered("it was not answered in time"))
                    answers[-1] = await _answer(_request(said), transport)
                    said = await _ask(process, _told(answers[-1]))
                verdict = said.get("delivered")
        except Invalid as problem:
            return Refused(code=problem.code, text=problem.message)
        except (OSError, EOFError):  # a timeout is one
            pass
        return judged(verdict, answers)

    async def health_check(self, config: AppriseConfig, transport: Transport) -> Health:
        """Ask the host for its front page: name, address, connection and TLS are tried, and no credentials."""
        try:
            if not self._is_installed():
                raise _invalid(_MISSING)
            url = (await self._first_request(config)).url
            await transport.send(HttpRequest(method="HEAD", url=origin(url)))
        except (Invalid, Unreachable, Unanswered, Permanent) as problem:
            return Health(healthy=False, text=problem.message)
        return Health(healthy=True)

    def _is_installed(self) -> bool:
        return find_spec(self._package) is not None

    async def _first_request(self, config: AppriseConfig) -> HttpRequest:
        """What would be sent, and is not. Raises Invalid."""
        try:
            async with asyncio.timeout(self._patience), self._opened(config) as (process, _):
                said = await _ask(process, {"title": "AlertAgent", "body": "AlertAgent", "notify_type": "info"})
        except (OSError, EOFError):
            raise _invalid("apprise ended before it had said where it would send to") from None
        if "url" not in said:
            raise _invalid("apprise sends nothing by HTTP to this URL")
        return _request(said)

    @asynccontextmanager
    async def _opened(self, config: AppriseConfig) -> AsyncIterator[tuple[Process, Service]]:
        """A process that has read the URL, and what the service takes. Raises Invalid for a URL that it cannot read."""
        url = config.url.get_secret_value()
        schema = _schema(url)
        async with self._room, _started() as process:
            said = await _ask(process, {"service": SERVICES[schema], "url": url})
            if "forms" in said:
                forms = " or ".join(form.replace("{schema}", schema) for form in said["forms"][:6])
                raise _invalid(f"apprise does not understand this {schema}:// URL; it looks like {forms}")
            if said["targets"] != 1:
                raise _invalid("the URL names several recipients; make a channel for each of them")
            yield process, Service(title=said["title"], body=said["body"])


def worded(message: Message, service: Service) -> dict[str, str]:
    """A message as apprise takes it, within the limits that apprise knows of. Pure."""
    heading = _quiet(cut(title(message), min(service.title or 100, _TITLE), size=len))
    room = service.body if service.title else service.body - len(heading) - 2
    lines = outline(message, names=room // 2, size=len)
    return {
        "title": heading,
        "body": fit(message, lines, room, draw=_drawn, size=len),
        "notify_type": "success" if message.group.status == "resolved" else _TYPES[urgency_of(message.severity)],
    }


def _drawn(line: Line) -> str:
    return plain(replace(line, text=_quiet(line.text), name=_quiet(line.name)))


def _quiet(text: str) -> str:
    """The text as it stands; nobody is mentioned, and no link is made: such characters become their wide forms."""
    return _MARKUP.sub(lambda found: found[0].translate(_WIDE), text)


def judged(verdict: bool | None, answers: Sequence[HttpResponse | Problem]) -> Outcome:
    """What came of an attempt: apprise's word, None where it ended without one, and what was answered. Pure."""
    if not answers:
        return RetryAfter(code="apprise.nothing_sent", text=_SENT_NOTHING)
    last = answers[-1]
    if verdict:
        return _taken(last) if isinstance(last, HttpResponse) else Delivered()
    unanswered = next((answer for answer in answers if isinstance(answer, Unanswered)), None)
    if unanswered is not None:
        return Ambiguous(code=unanswered.code, text=unanswered.message)
    if isinstance(last, HttpResponse):
        return failure(last.status, last.headers, last.body) or _unclear(verdict, _taken(last))
    kind = Refused if isinstance(last, Permanent) else RetryAfter
    return kind(code=last.code, text=last.message)


def _taken(answer: HttpResponse) -> Delivered:
    return Delivered(code=f"http.{answer.status}", text=excerpt(answer.body))


def _unclear(verdict: bool | None, said: Delivered) -> Outcome:
    """What an answer means that looks good, and that apprise does not take for good or has not read."""
    if verdict is None:
        return Ambiguous(code=said.code, text=f"apprise ended before it had read the answer: {said.text}")
    return RetryAfter(code=said.code, text=f"apprise takes this for a refusal: {said.text}")


async def _answer(request: HttpRequest, transport: Transport) -> HttpResponse | Problem:
    try:
        return await transport.send(request)
    except (Unreachable, Unanswered, Permanent) as problem:
        return problem


def _request(said: Mapping[str, Any]) -> HttpRequest:
    headers = {name: value for name, value in said["headers"].items() if name.lower() not in _OURS}
    if headers.get("Accept") == "*/*":
        del headers["Accept"]
    return HttpRequest(method=said["method"], url=said["url"], headers=headers, body=base64.b64decode(said["content"]))


def _told(answer: HttpResponse | Problem) -> dict[str, Any]:
    if isinstance(answer, Problem):
        return {}
    return {
        "status": answer.status,
        "headers": dict(answer.headers),
        "content": base64.b64encode(answer.body).decode(),
    }


@asynccontextmanager
async def _started() -> AsyncIterator[Process]:
    """The process, which sees neither our environment nor our signals, and is gone afterwards."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-I",
        apprise_process.__file__,
        stdin=PIPE,
        stdout=PIPE,
        stderr=DEVNULL,
        env={},
        cwd="/",
        start_new_session=True,
    )
    try:
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def _ask(process: Process, frame: Mapping[str, Any]) -> Mapping[str, Any]:
    """Raises OSError or EOFError where the process ends, or says more than any message has."""
    if process.stdin is None or process.stdout is None:
        raise ConnectionError
    content = json.dumps(frame).encode()  # which takes a header whose bytes are no UTF-8
    process.stdin.write(apprise_process.HEAD.pack(len(content)) + content)
    await process.stdin.drain()
    [size] = apprise_process.HEAD.unpack(await process.stdout.readexactly(apprise_process.HEAD.size))
    if size > _MAX_FRAME:
        raise ConnectionError
    answer: Mapping[str, Any] = json.loads(await process.stdout.readexactly(size))
    return answer


def _invalid(message: str) -> Invalid:
    return Invalid(message, code="config.invalid", details=[Detail(("url",), message)])
