from datetime import timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import External, Invalid, Permanent, RateLimited
from alertagent.plugins.analysis import Analysis, AnalysisContext, Parked
from alertagent.plugins.analyzers.n8n import N8n, N8nConfig
from alertagent.plugins.transport import Transport
from tests.support.messages import NOON, make_alert
from tests.support.n8n import SECRET, N8nWebhook
from tests.support.runs import Notebook

CONTEXT = AnalysisContext(alert=make_alert(severity="critical"), now=NOON)
n8n = N8n()


def settings(webhook: N8nWebhook, **values: Any) -> N8nConfig:
    return n8n.validate_config({"webhook_url": webhook.url, **values})


async def test_the_answer_of_the_workflow_is_the_analysis(transport: Transport) -> None:
    async with N8nWebhook(header="X-Token") as webhook:
        config = settings(webhook, header_name="X-Token", header_value=SECRET)
        run = Notebook()

        analysis = await n8n.analyze(config, CONTEXT, transport, run)

        assert isinstance(analysis, Analysis)
        assert (analysis.root_cause, analysis.actions, analysis.confidence) == ("logs grew", ("rotate",), 0.7)
        [call] = webhook.calls
        assert (call["version"], call["task_id"], call["idempotency_key"]) == ("1", run.id, run.id)
        assert call["alert"]["labels"]["alertname"] == "HighCPU"
        assert "callback_token" not in call


async def test_with_a_callback_the_run_waits_for_it(transport: Transport) -> None:
    async with N8nWebhook("accepted") as webhook:
        run = Notebook()

        answer = await n8n.analyze(settings(webhook, mode="callback", deadline="90s"), CONTEXT, transport, run)

        assert answer == Parked()
        [call] = webhook.calls
        assert (call["callback_token"], call["callback_url"][-len(run.id) :]) == ("token-1", run.id)


REFUSALS = [
    ("started", Permanent, "mode callback"),
    ("empty", Permanent, "the workflow failed"),
    ("not_registered", External, "Activate"),
    ("unauthorized", Permanent, "Authorization data is wrong"),
    ("workflow_error", Permanent, "executions"),
    ("no_respond_node", Permanent, "No Respond to Webhook"),
    ("not_json", Permanent, "Failed to parse"),
    ("too_large", Permanent, "problem executing"),
    ("gateway", External, "Bad Gateway"),
    ("gateway_timeout", Permanent, "run it twice"),
    ("busy", RateLimited, "Too many"),
    ("hang_up", Permanent, "run it twice"),
    ("hang", Permanent, "run it twice"),
]


@pytest.mark.parametrize(("answer", "kind", "words"), REFUSALS)
async def test_each_answer_means_what_it_says(
    answer: str, kind: type[Exception], words: str, transport: Transport
) -> None:
    async with N8nWebhook(answer) as webhook:
        with pytest.raises(kind, match=words) as caught:
            await n8n.analyze(settings(webhook, deadline="1s"), CONTEXT, transport, Notebook())

    assert type(caught.value) is kind
    assert "node_modules" not in str(caught.value)


@pytest.mark.parametrize("answer", ["hang_up", "gateway_timeout", "accepted", "started", "empty", "result"])
async def test_a_workflow_that_may_run_is_waited_for_and_called_only_once(answer: str, transport: Transport) -> None:
    async with N8nWebhook(answer) as webhook:
        config, run = settings(webhook, mode="callback"), Notebook()

        answers = [await n8n.analyze(config, CONTEXT, transport, run) for _ in range(2)]

        assert answers == [Parked(), Parked()]
        assert (len(webhook.calls), run.callbacks) == (1, 1)


async def test_one_that_was_cut_off_is_not_run_again(transport: Transport) -> None:
    async with N8nWebhook("hang_up") as webhook:
        config, run = settings(webhook), Notebook()
        for _ in range(2):
            with pytest.raises(Permanent, match="run it twice"):
                await n8n.analyze(config, CONTEXT, transport, run)

        assert len(webhook.calls) == 1


async def test_a_workflow_that_is_activated_late_is_called_again(transport: Transport) -> None:
    async with N8nWebhook() as webhook:
        webhook.answer_next("not_registered")
        config, run = settings(webhook), Notebook()

        with pytest.raises(External) as caught:
            await n8n.analyze(config, CONTEXT, transport, run)
        analysis = await n8n.analyze(config, CONTEXT, transport, run)

    assert caught.value.retry_after == timedelta(seconds=5)
    assert isinstance(analysis, Analysis)


@pytest.mark.parametrize(
    "extra",
    [
        {"deadline": "2h"},
        {"deadline": "0s"},
        {"deadline": "soon"},
        {"header_name": "Content-Type"},
        {"header_name": "a b"},
        {"header_name": "X-A", "header_value": "a\r\nb: c"},
        {"mode": "maybe"},
    ],
)
def test_settings_that_cannot_work_are_refused(extra: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        n8n.validate_config({"webhook_url": "https://n8n.example.com/webhook/x", **extra})
