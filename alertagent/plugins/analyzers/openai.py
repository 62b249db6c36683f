"""Chat completions as OpenAI has them and many others speak them: one request, one answer, no state.

What surprises: JSON is asked for, and what comes may still be a fence of Markdown, half an object or plain words; some
servers refuse `response_format` itself, and are asked again without it. Status 429 means two things: too fast, or a
used up quota.

Source: platform.openai.com, "Chat Completions" and "Error codes".
"""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any

import orjson
from pydantic import SecretStr

from alertagent import __version__
from alertagent.kernel.errors import External, Permanent, Problem
from alertagent.plugins.analysis import Analysis, AnalysisContext, Analyzer, Run
from alertagent.plugins.analyzers import question
from alertagent.plugins.analyzers.answers import count_of, object_of, read_text
from alertagent.plugins.analyzers.refusals import by_status, words
from alertagent.plugins.config import PluginConfig, Url, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.transport import HttpRequest, HttpResponse, Transport

LONGEST = timedelta(minutes=2)
LARGEST = 1024 * 1024

_QUOTA = frozenset({"insufficient_quota", "billing_hard_limit_reached"})


class OpenAIConfig(PluginConfig):
    base_url: Annotated[
        Url,
        described(
            Bilingual(zh="API 地址", en="API URL"),
            Bilingual(
                zh="兼容 OpenAI 的地址，例如 https://api.openai.com/v1",
                en="Whatever speaks OpenAI's API, such as https://api.openai.com/v1",
            ),
        ),
    ]
    api_key: Annotated[
        SecretStr,
        described(
            Bilingual(zh="API 密钥", en="API key"),
            Bilingual(zh="以 Bearer 方式发送的密钥", en="Sent as a bearer token"),
            secret=True,
            min_length=1,
            max_length=500,
        ),
    ]
    model: Annotated[
        str,
        described(
            Bilingual(zh="模型", en="Model"),
            Bilingual(zh="模型名称", en="The name of the model"),
            min_length=1,
            max_length=200,
        ),
    ]


class OpenAI(Analyzer[OpenAIConfig]):
    """Asks a model."""

    name = "openai"
    version = __version__
    display_name = Bilingual(zh="OpenAI 兼容接口", en="OpenAI and compatible")
    description = Bilingual(
        zh="由兼容 OpenAI 的大模型分析告警", en="Has a model behind an OpenAI-compatible API explain alerts"
    )
    Config = OpenAIConfig
    url_field = "base_url"

    async def analyze(self, config: OpenAIConfig, context: AnalysisContext, transport: Transport, run: Run) -> Analysis:
        answer = await transport.send(request_of(config, context, as_json=True))
        if answer.status == 400 and b"response_format" in answer.body:
            answer = await transport.send(request_of(config, context, as_json=False))
        if answer.status != 200:
            raise refusal(answer, (config.api_key.get_secret_value(),))
        return read_completion(answer.body)


def request_of(config: OpenAIConfig, context: AnalysisContext, *, as_json: bool) -> HttpRequest:
    body: dict[str, Any] = {
        "model": config.model,
        "messages": [
            {"role": "system", "content": question.INSTRUCTIONS},
            {"role": "user", "content": question.document(context)},
        ],
    }
    if as_json:
        body["response_format"] = {"type": "json_object"}
    return HttpRequest(
        url=f"{config.base_url.rstrip('/')}/chat/completions",
        headers={
            "Authorization": f"Bearer {config.api_key.get_secret_value()}",
            "Content-Type": "application/json",
        },
        body=orjson.dumps(body),
        timeout=LONGEST,
        answer_limit=LARGEST,
    )


def read_completion(body: bytes) -> Analysis:
    """The analysis inside a completion. Raises External for what is no completion, Permanent for an empty one."""
    answer = object_of(body)
    choices = answer.get("choices") if answer is not None else None
    if answer is None or not isinstance(choices, list) or not choices:
        raise External("the answer is no chat completion; is base_url right?", code="openai.garbage")
    message = _mapping(_mapping(choices[0]).get("message"))
    tokens = count_of(_mapping(answer.get("usage")).get("total_tokens"))
    analysis = read_text(_content(message.get("content")), provider=OpenAI.name, tokens=tokens)
    if analysis is None:
        raise Permanent("the model answered nothing" + _why(message), code="openai.empty")
    return analysis


def refusal(answer: HttpResponse, secrets: tuple[str, ...] = ()) -> Problem:
    """What an answer other than 200 means."""
    error = _mapping((object_of(answer.body) or {}).get("error"))
    names = [name[:100] for name in (error.get("code"), error.get("type")) if isinstance(name, str) and name]
    named = f"openai.{names[0]}" if names else ""
    message = words(answer.status, answer.body, secrets)
    if not _QUOTA.isdisjoint(names):
        return Permanent(f"{message} (the account's quota is used up)", code=named)
    return by_status(answer.status, answer.headers, message, code=named)


def _content(content: object) -> str:
    """A text, or parts of which some are texts."""
    if isinstance(content, list):
        return "".join(str(_mapping(part).get("text") or "") for part in content)
    return content if isinstance(content, str) else ""


def _why(message: Mapping[str, Any]) -> str:
    refused = message.get("refusal")
    return f": {refused[:200]}" if isinstance(refused, str) and refused else ""


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
