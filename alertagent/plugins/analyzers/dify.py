"""Dify: one run of an app, always as a stream.

What surprises: the API key selects the app, and an app answers only on its own path. Blocking calls are cut after 100 s
by the cloud's proxy, and agents do not take them at all. Dify knows no idempotency: a second POST runs, and bills,
again. So what is asked is noted before it is asked, and the id of the run before anything more is read; after a dropped
connection the run is looked up, and where its id is not known it is given up.

Source: docs.dify.ai, "API Access" and "Errors"; langgenius/dify, `api/controllers/service_api/app`.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import orjson
from pydantic import Field, SecretStr

from alertagent import __version__
from alertagent.kernel.errors import External, Permanent
from alertagent.plugins.analysis import Analysis, AnalysisContext, Analyzer, Run
from alertagent.plugins.analyzers import question
from alertagent.plugins.analyzers.answers import object_of
from alertagent.plugins.analyzers.dify_answers import PROVIDER, Heard, analysis_of, hear, message_of, refusal, run_of
from alertagent.plugins.analyzers.events import EventReader, TooLong
from alertagent.plugins.config import PluginConfig, Url, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.text import cut
from alertagent.plugins.transport import HttpRequest, Transport, Unanswered, Unreachable

USER = "alertagent"

LONGEST = timedelta(minutes=5)
# Dify sends a ping every ten seconds.
SILENCE = timedelta(seconds=35)
LARGEST = 4 * 1024 * 1024

_PATIENCE = timedelta(seconds=30)


class AppType(StrEnum):
    WORKFLOW = "workflow"
    CHAT = "chat"
    AGENT = "agent"
    COMPLETION = "completion"


_PATHS = {
    AppType.WORKFLOW: "workflows/run",
    AppType.CHAT: "chat-messages",
    AppType.AGENT: "chat-messages",
    AppType.COMPLETION: "completion-messages",
}


class DifyConfig(PluginConfig):
    base_url: Annotated[
        Url,
        described(
            Bilingual(zh="API 地址", en="API URL"),
            Bilingual(
                zh="服务 API 地址，例如 https://api.dify.ai/v1", en="The service API, such as https://api.dify.ai/v1"
            ),
        ),
    ]
    api_key: Annotated[
        SecretStr,
        described(
            Bilingual(zh="API 密钥", en="API key"),
            Bilingual(zh="应用的 API 密钥，以 app- 开头", en="The app's API key; begins with app-"),
            secret=True,
            min_length=1,
            max_length=500,
        ),
    ]
    app_type: Annotated[
        AppType,
        described(
            Bilingual(zh="应用类型", en="Kind of app"),
            Bilingual(
                zh="密钥所属应用的类型：工作流、聊天（含 Chatflow）、Agent 或文本生成",
                en="What the key belongs to: a workflow, a chat (also a chatflow), an agent or a text generator",
            ),
        ),
    ] = AppType.WORKFLOW
    inputs: Annotated[
        Annotated[
            dict[Annotated[str, Field(min_length=1, max_length=100)], Annotated[str, Field(max_length=10_000)]],
            Field(max_length=50),
        ],
        described(
            Bilingual(zh="附加输入", en="Additional inputs"),
            Bilingual(
                zh="随每次运行传入的变量；同名时覆盖内置变量",
                en="Variables that go with each run; one of the same name replaces a built-in one",
            ),
        ),
    ] = Field(default_factory=dict)


class Dify(Analyzer[DifyConfig]):
    """Asks a Dify app.

    `poll_every` is how often a run is looked up whose stream was lost; it counts as lost after so much `silence`.
    """

    name = PROVIDER
    version = __version__
    display_name = Bilingual(zh="Dify", en="Dify")
    description = Bilingual(zh="由 Dify 应用分析告警", en="Has a Dify app explain alerts")
    Config = DifyConfig
    url_field = "base_url"

    def __init__(self, poll_every: timedelta = timedelta(seconds=5), silence: timedelta = SILENCE) -> None:
        self._poll_every = poll_every
        self._silence = silence

    async def analyze(self, config: DifyConfig, context: AnalysisContext, transport: Transport, run: Run) -> Analysis:
        if any(run.notes.get(name) for name in ("workflow_run_id", "conversation_id")):
            return await self._recovered(config, transport, run)
        if run.notes.get("asked"):
            raise Permanent(_UNKNOWN, code="dify.run_unknown")
        await run.note(asked="yes")
        heard = Heard()
        try:
            await self._listen(config, transport, run, _request(config, context), heard)
        except Unreachable:
            await run.note(asked="")
            raise
        except Unanswered as problem:
            if not any(run.notes.get(name) for name in ("workflow_run_id", "conversation_id")):
                raise Permanent(f"{problem.message}. {_UNKNOWN}", code="dify.run_unknown") from problem
        if heard.ended:
            return analysis_of(heard)
        return await self._recovered(config, transport, run)

    async def _listen(
        self, config: DifyConfig, transport: Transport, run: Run, request: HttpRequest, heard: Heard
    ) -> None:
        """Read the stream to its end, or until it breaks. Raises what a refusal means."""
        async with transport.stream(request, silence=self._silence) as answer:
            if answer.status != 200:
                await run.note(asked="")
                raise refusal(answer.status, answer.headers, await answer.read(), _secrets(config))
            async for event in _events(answer.chunks):
                await _note_ids(run, event)
                hear(heard, event, _secrets(config))
                if heard.ended:
                    return

    async def _recovered(self, config: DifyConfig, transport: Transport, run: Run) -> Analysis:
        """The result of a run that was begun, once it has one."""
        for _ in range(max(1, LONGEST // self._poll_every)):
            found = await _looked_up(config, transport, run)
            if found is not None:
                return found
            await asyncio.sleep(self._poll_every.total_seconds())
        raise Permanent(f"the run did not end within {LONGEST.total_seconds():g} s", code="dify.run_endless")


_UNKNOWN = "whether Dify began a run is not known, and asking again might be billed twice"


def _request(config: DifyConfig, context: AnalysisContext) -> HttpRequest:
    body: dict[str, Any] = {"response_mode": "streaming", "user": USER}
    if config.app_type is AppType.WORKFLOW:
        # Values of text inputs are texts: an object is refused.
        body["inputs"] = {
            "alert_name": cut(context.alert.labels.get("alertname", context.alert.fingerprint), 200),
            "alert_json": question.as_json(question.alert_of(context.alert)),
            "analysis_type": question.ANALYSIS_TYPE,
            "context_json": question.as_json(question.surroundings(context)),
            **config.inputs,
        }
    else:
        text = f"{question.INSTRUCTIONS}\n\n{question.document(context)}"
        if config.app_type is AppType.COMPLETION:
            body["inputs"] = {"query": text, **config.inputs}
        else:
            body |= {"inputs": config.inputs, "query": text, "conversation_id": "", "auto_generate_name": False}
    return HttpRequest(
        url=_url(config, _PATHS[config.app_type]),
        headers={**_headers(config), "Content-Type": "application/json", "Accept": "text/event-stream"},
        body=orjson.dumps(body),
        timeout=LONGEST,
        answer_limit=LARGEST,
    )


async def _events(chunks: AsyncIterator[bytes]) -> AsyncIterator[Mapping[str, Any]]:
    """The events that carry an object; pings and what nobody understands are left out."""
    reader = EventReader()
    async for chunk in chunks:
        try:
            for _, data in reader.feed(chunk):
                if (event := object_of(data.encode("utf-8", "replace"))) is not None:
                    yield event
        except TooLong as error:
            raise Unanswered(f"Dify's stream is broken: {error}") from error


async def _note_ids(run: Run, event: Mapping[str, Any]) -> None:
    """Keep what finds the run again. A chatflow has both kinds of ids."""
    for name in ("workflow_run_id", "conversation_id", "message_id"):
        value = event.get(name)
        if isinstance(value, str) and value and not run.notes.get(name):
            await run.note(**{name: value[:200]})


async def _looked_up(config: DifyConfig, transport: Transport, run: Run) -> Analysis | None:
    """What became of a run; None while it goes on."""
    id, conversation = run.notes.get("workflow_run_id"), run.notes.get("conversation_id", "")
    if id:
        path = f"workflows/run/{quote(id, safe='')}"
    else:
        query = urlencode({"conversation_id": conversation, "user": USER, "limit": 20})
        path = f"messages?{query}"
    request = HttpRequest(
        method="GET", url=_url(config, path), headers=_headers(config), timeout=_PATIENCE, answer_limit=LARGEST
    )
    answer = await transport.send(request)
    if answer.status != 200:
        raise refusal(answer.status, answer.headers, answer.body, _secrets(config))
    found = object_of(answer.body)
    if found is None:
        raise External("Dify did not answer with JSON when asked for a run", code="dify.garbage")
    return run_of(found, _secrets(config)) if id else message_of(found, run.notes.get("message_id"))


def _url(config: DifyConfig, path: str) -> str:
    return f"{config.base_url.rstrip('/')}/{path}"


def _headers(config: DifyConfig) -> dict[str, str]:
    return {"Authorization": f"Bearer {config.api_key.get_secret_value()}"}


def _secrets(config: DifyConfig) -> tuple[str, ...]:
    return (config.api_key.get_secret_value(),)
