import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from alertagent.kernel.errors import Invalid
from alertagent.plugins.notifiers.n8n import N8n, N8nConfig
from alertagent.plugins.outcome import Ambiguous, Delivered, Outcome, Refused, RetryAfter
from alertagent.plugins.transport import Transport
from tests.support.messages import NOON, make_alert, make_message
from tests.support.n8n import ANSWERS, HEADER, N8nWebhook

PLUGIN = N8n()
URL = "https://n8n.example/webhook/CANARY"
SIGNED = {"header_name": HEADER[0], "header_value": HEADER[1]}


@pytest.fixture
async def n8n() -> AsyncIterator[N8nWebhook]:
    async with N8nWebhook("started", header=HEADER[0]) as n8n:
        yield n8n


def configured(**settings: Any) -> N8nConfig:
    return PLUGIN.validate_config({"webhook_url": URL, **settings})


def test_the_body_is_alertmanagers_with_the_message_beside_it() -> None:
    message = make_message(make_alert(instance="a"), make_alert(instance="b"), severity="warning")

    request = PLUGIN.render(configured(**SIGNED), message, NOON)

    body = json.loads(request.body)
    assert request.url == URL
    assert request.headers == {"Content-Type": "application/json", "webhook-id": message.id, HEADER[0]: HEADER[1]}
    assert (body["version"], body["status"], body["groupKey"]) == ("4", "firing", message.group.key)
    assert [alert["labels"]["instance"] for alert in body["alerts"]] == ["a", "b"]
    assert (body["title"], body["content"], body["severity"]) == ("HighCPU", "CPU usage is over 90%", "warning")
    assert body["alert_id"] == message.alert_id


def test_without_a_header_none_is_added() -> None:
    assert set(PLUGIN.render(configured(), make_message(), NOON).headers) == {"Content-Type", "webhook-id"}


def error(**fields: Any) -> bytes:
    return json.dumps({"stacktrace": "Error: … at /usr/local/lib/node_modules/n8n", **fields}).encode()


NOT_JSON = "the answer is not JSON, as when a workflow fails midway: "
REPLIES: list[tuple[int, bytes, Outcome]] = [
    (200, b'{"message":"Workflow was started"}', Delivered(code="http.200", text='{"message":"Workflow was started"}')),
    (
        202,
        b'{"status":"accepted","execution_id":"12"}',
        Delivered(code="http.202", text='{"status":"accepted","execution_id":"12"}', message_id="12"),
    ),
    (200, b"[]", Delivered(code="http.200", text="[]")),
    (200, b"", Ambiguous(code="http.200", text=NOT_JSON)),
    (200, b"<html>log in</html>", Ambiguous(code="http.200", text=f"{NOT_JSON}<html>log in</html>")),
    (
        404,
        error(message="This webhook is not registered for POST requests. Did you mean to make a GET request?"),
        Refused(
            code="http.404",
            text="This webhook is not registered for POST requests. Did you mean to make a GET request?",
        ),
    ),
    (404, b"", Refused(code="http.404", text="HTTP status 404")),
    (403, b"Authorization data is wrong!", Refused(code="http.403", text="Authorization data is wrong!")),
    (500, error(message="Error in workflow"), RetryAfter(code="http.500", text="Error in workflow")),
    (
        500,
        error(code=0, message="No Respond to Webhook node found in the workflow"),
        Refused(code="http.500", text="No Respond to Webhook node found in the workflow"),
    ),
    (
        500,
        error(code=0, message="There was a problem executing the workflow"),
        RetryAfter(code="http.500", text="There was a problem executing the workflow"),
    ),
    (
        422,
        error(code=422, message="Failed to parse request body", hint="Check it"),
        Refused(code="http.422", text="Failed to parse request body Check it"),
    ),
    (503, b"", RetryAfter(code="http.503", text="HTTP status 503")),
    (302, b"", Refused(code="http.302", text="HTTP status 302")),
]


@pytest.mark.parametrize(("status", "body", "outcome"), REPLIES)
def test_the_answer_decides(status: int, body: bytes, outcome: Outcome) -> None:
    assert PLUGIN.accept(status, {}, body) == outcome


def test_a_workflow_that_is_off_is_waited_for_and_its_stack_trace_left_out() -> None:
    outcome = PLUGIN.accept(404, {}, json.dumps(ANSWERS["not_registered"][1]).encode())

    assert isinstance(outcome, RetryAfter)
    assert outcome.text.startswith('The requested webhook "POST alerts" is not registered. The workflow must be active')
    assert "node_modules" not in outcome.text


async def test_a_workflow_is_started_once_and_tells_of_it(n8n: N8nWebhook, transport: Transport) -> None:
    n8n.answer = "accepted"

    outcome = await PLUGIN.send(configured(webhook_url=n8n.url, **SIGNED), make_message(), transport, now=NOON)

    assert isinstance(outcome, Delivered)
    assert (outcome.code, outcome.message_id) == ("http.202", "12")
    assert [run["title"] for run in n8n.calls] == ["HighCPU"]


async def test_a_workflow_that_is_switched_on_again_gets_its_message(n8n: N8nWebhook, transport: Transport) -> None:
    config = configured(webhook_url=n8n.url, **SIGNED)
    n8n.answer_next("not_registered")
    assert isinstance(await PLUGIN.send(config, make_message(), transport, now=NOON), RetryAfter)
    assert isinstance(await PLUGIN.send(config, make_message(), transport, now=NOON), Delivered)


async def test_a_test_url_is_told_to_be_one(n8n: N8nWebhook, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(webhook_url=n8n.test_url), make_message(), transport, now=NOON)

    assert isinstance(outcome, Refused)
    assert outcome.text.startswith("this is a test URL; use the production URL of the node")


async def test_a_wrong_header_is_final(n8n: N8nWebhook, transport: Transport) -> None:
    outcome = await PLUGIN.send(configured(webhook_url=n8n.url), make_message(), transport, now=NOON)

    assert outcome == Refused(code="http.403", text="Authorization data is wrong!")
    assert n8n.calls == []


async def test_a_workflow_that_failed_before_it_answered_is_not_taken_for_delivered(
    n8n: N8nWebhook, transport: Transport
) -> None:
    n8n.answer = "empty"

    outcome = await PLUGIN.send(configured(webhook_url=n8n.url, **SIGNED), make_message(), transport, now=NOON)

    assert isinstance(outcome, Ambiguous)


async def test_a_health_check_starts_nothing(n8n: N8nWebhook, transport: Transport) -> None:
    assert (await PLUGIN.health_check(configured(webhook_url=n8n.url, **SIGNED), transport)).healthy
    assert n8n.calls == []


@pytest.mark.parametrize(
    ("settings", "loc"),
    [
        ({"webhook_url": "n8n.example/CANARY"}, ("webhook_url",)),
        ({"header_name": "X-A"}, ()),
        ({"header_value": "CANARY"}, ()),
        ({"header_name": "Host", "header_value": "CANARY"}, ("header_name",)),
        ({"header_name": "X-A", "header_value": "CANARY\r\nHost: evil"}, ("header_value",)),
        ({"header_name": "X A", "header_value": "CANARY"}, ("header_name",)),
        ({"method": "GET"}, ("method",)),
    ],
)
def test_a_wrong_setting_is_named(settings: dict[str, Any], loc: tuple[str, ...]) -> None:
    with pytest.raises(Invalid) as caught:
        configured(**settings)

    assert [detail.loc for detail in caught.value.details] == [loc]
    assert "CANARY" not in caught.value.message


def test_the_url_and_the_value_are_never_read_back() -> None:
    raw = {"webhook_url": URL, "header_name": "X-A", "header_value": "CANARY"}

    assert PLUGIN.mask_config(raw) == {"webhook_url": "***", "header_name": "X-A", "header_value": "***"}
    assert "CANARY" not in repr(PLUGIN.validate_config(raw))
