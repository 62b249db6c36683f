"""A workflow in n8n, started by its Webhook node: Alertmanager's body, and beside it what a chat message needs.

What surprises: a workflow that fails before its Respond node answers 200 with an empty body; a production URL is
unknown (404) while its workflow is switched off or n8n has just started; a test URL is known only for one call after
somebody has pressed a button, so it is no address for alerts; and errors carry a stack trace with paths of the server.

Source: measured at n8n 1.123.50; n8n-io/n8n, `packages/cli/src/errors/response-errors/webhook-not-found.error.ts`.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Self

import orjson
from pydantic import AfterValidator, model_validator

from alertagent import __version__
from alertagent.kernel.message import Message
from alertagent.plugins.base import HttpNotifier, Limits, Worded
from alertagent.plugins.config import PluginConfig, SecretHeader, SecretUrl, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.notifiers.alertmanager import payload
from alertagent.plugins.notifiers.headers import settable_header
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter, excerpt, failure, object_of
from alertagent.plugins.text import cut, one_line
from alertagent.plugins.transport import HttpRequest

MAX_BYTES = 16 * 1024 * 1024

# Of a production URL: the workflow is off, or n8n has not registered it yet. Either may pass.
_INACTIVE = "The workflow must be active"
# Of a test URL: nobody has pressed the button.
_TEST_MODE = "In test mode"
_NO_RESPOND_NODE = "No Respond to Webhook node found"


class N8nConfig(PluginConfig):
    webhook_url: Annotated[
        SecretUrl,
        described(
            Bilingual(zh="Webhook 地址", en="Webhook URL"),
            Bilingual(
                zh="Webhook 节点的 Production URL，工作流需已激活",
                en="The production URL of the Webhook node; its workflow must be active",
            ),
            secret=True,
        ),
    ]
    header_name: Annotated[
        Annotated[str, AfterValidator(settable_header)] | None,
        described(
            Bilingual(zh="认证请求头名称", en="Header name"),
            Bilingual(zh="节点使用 Header Auth 时的名称", en="The name in the credential of the node's header auth"),
        ),
    ] = None
    header_value: Annotated[
        SecretHeader | None,
        described(
            Bilingual(zh="认证请求头的值", en="Header value"),
            Bilingual(zh="节点使用 Header Auth 时的值", en="The value in the credential of the node's header auth"),
            secret=True,
        ),
    ] = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if (self.header_name is None) != (self.header_value is None):
            raise ValueError("header_name and header_value belong together: give both or none")
        return self


class N8n(HttpNotifier[N8nConfig]):
    """Starts the workflow once for each notification."""

    name = "n8n"
    version = __version__
    display_name = Bilingual(zh="n8n", en="n8n")
    description = Bilingual(zh="触发 n8n 工作流的 Webhook 节点", en="Starts a workflow in n8n by its Webhook node")
    Config = N8nConfig
    worded = Worded.TITLE
    limits = Limits(max_bytes=MAX_BYTES, max_alerts=1000)

    def render(self, config: N8nConfig, message: Message, now: datetime) -> HttpRequest:
        headers = {"Content-Type": "application/json", "webhook-id": message.id}
        if config.header_name is not None and config.header_value is not None:
            headers[config.header_name] = config.header_value.get_secret_value()
        return HttpRequest(
            url=config.webhook_url.get_secret_value(), headers=headers, body=orjson.dumps(_body(message))
        )

    def accept(self, status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
        code, text = f"http.{status}", _reason(body) or excerpt(body) or f"HTTP status {status}"
        if status == 404 and _INACTIVE in text:
            return RetryAfter(code=code, text=text)
        if status == 404 and _TEST_MODE in text:
            return Refused(code=code, text=f"this is a test URL; use the production URL of the node: {text}")
        if status == 500 and _NO_RESPOND_NODE in text:
            return Refused(code=code, text=text)
        failed = failure(status, headers, text.encode())
        if failed:
            return failed
        if not _is_json(body):
            return Ambiguous(
                code=code, text=f"the answer is not JSON, as when a workflow fails midway: {excerpt(body)}"
            )
        return Delivered(code=code, text=excerpt(body), message_id=_execution(body))


def _body(message: Message) -> dict[str, Any]:
    return {
        **payload(message),
        "title": message.wording.title or message.title,
        "content": message.content,
        "severity": message.severity,
        "alert_id": message.alert_id,
    }


def _reason(body: bytes) -> str:
    """What an error says, without its stack trace."""
    answer = object_of(body)
    parts = [answer.get("message"), answer.get("hint")]
    return cut(one_line(" ".join(part for part in parts if isinstance(part, str) and part)), 500)


def _execution(body: bytes) -> str | None:
    execution = object_of(body).get("execution_id")
    return cut(one_line(str(execution)), 100) if isinstance(execution, str | int) else None


def _is_json(body: bytes) -> bool:
    try:
        orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    return True
