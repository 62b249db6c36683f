"""Runs end to end on real engines, with fakes of the providers and a clock that is moved by hand."""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator
from contextvars import Context
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs

import pytest

from alertagent.core.alerts.model import Alert
from alertagent.core.analysis.model import RunStatus
from alertagent.core.audit.model import Actor
from alertagent.core.rules.model import RuleContent
from alertagent.kernel.breaker import State
from alertagent.kernel.errors import Conflict, NotFound, Unauthorized
from alertagent.storage import breakers
from alertagent.storage.pages import PageRequest
from tests.core.alerts.house import House, until
from tests.core.analysis.provided import alert_of, analyzer, events, policy, runs
from tests.support.dify import KEY, DifyApp
from tests.support.n8n import N8nWebhook
from tests.support.openai import KEY as MODEL_KEY
from tests.support.openai import ChatModel
from tests.support.sink import Answer, Sink

ANNA = Actor(name="anna")


@pytest.fixture
async def app() -> AsyncIterator[DifyApp]:
    async with DifyApp() as app:
        yield app


@pytest.fixture
async def webhook() -> AsyncIterator[N8nWebhook]:
    async with N8nWebhook("accepted") as webhook:
        yield webhook


@pytest.fixture
async def model() -> AsyncIterator[ChatModel]:
    async with ChatModel() as model:
        yield model


async def use_dify(house: House, app: DifyApp) -> None:
    await analyzer(house, "dify", base_url=app.url, api_key=KEY)


async def use_callback(house: House, webhook: N8nWebhook) -> None:
    await analyzer(house, "n8n", webhook_url=webhook.url, mode="callback", deadline="2m")


async def use_model(house: House, model: ChatModel) -> None:
    await analyzer(house, "openai", base_url=model.url, api_key=MODEL_KEY, model="m")


def counted(house: House, plugin: str, outcome: str) -> float | None:
    labels = {"plugin": plugin, "outcome": outcome}
    return house.parts.metrics.registry.get_sample_value("alertagent_analyses_total", labels)


async def test_the_heuristic_explains_where_nobody_else_is_set_up(house: House) -> None:
    alert = await house.fire("A", severity="critical")
    await house.work()

    after = await alert_of(house, alert)

    assert after.analysis_result is not None
    assert (after.analysis_result["provider"], after.analysis_result["analyzer"]) == ("heuristic", "heuristic")
    assert after.analysis_result["duration"] >= 0
    assert await events(house, alert) == ["firing", "analyzed"]
    assert counted(house, "heuristic", "analyzed") == 1


async def test_the_default_analyzer_is_asked_and_its_answer_stands_with_each_alert(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    alerts = [await house.fire("A", severity="critical", instance=str(number)) for number in range(3)]
    await house.work()

    for alert in alerts:
        after = await alert_of(house, alert)
        assert after.analysis_result is not None
        assert (after.analysis_result["root_cause"], after.analysis_result["tokens"]) == ("logs grew", 42)
    assert app.runs == 1


async def test_a_task_that_runs_again_asks_nobody(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    alert = await house.fire("A", severity="critical")
    await house.work()

    await house.parts.analyses.analyze((await alert_of(house, alert)).task_id or "", is_last_attempt=False)
    await house.parts.analyses.analyze("no run", is_last_attempt=False)

    assert app.runs == 1
    assert await events(house, alert) == ["firing", "analyzed"]


async def test_runs_that_end_at_the_same_moment_share_a_transaction_and_each_ends_once(house: House) -> None:
    alerts = [await house.fire(name, severity="critical") for name in "ABC"]
    await house.work("dispatch")
    found = [await house.parts.runs.find((await alert_of(house, alert)).task_id or "") for alert in alerts]
    runs = [run for run in found if run is not None]
    ends = [(run, RunStatus.ANALYZED) for run in runs] + [(runs[0], RunStatus.FAILED)]

    ended = await asyncio.gather(
        *(house.parts.runs.end(run, status, {"summary": f"of {run.id}"}) for run, status in ends)
    )

    assert ended == [True, True, True, False]
    assert await house.database.fetchval("SELECT count(DISTINCT xmin::text) FROM analysis_runs") == 1
    for alert, run in zip(alerts, runs, strict=True):
        after = await alert_of(house, alert)
        assert after.analysis_result == {"summary": f"of {run.id}"}
        assert await events(house, alert) == ["firing", "analyzed"]
    assert counted(house, "heuristic", "analyzed") == 3
    assert counted(house, "heuristic", "failed") is None


async def test_a_worker_that_died_after_the_run_began_costs_no_second_run(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    alert = await house.fire("A", severity="critical")
    await house.work("dispatch")
    id = (await alert_of(house, alert)).task_id or ""
    await house.parts.runs.note(id, {"asked": "yes", "workflow_run_id": "run-1"})

    await house.work()

    assert (await alert_of(house, alert)).analysis_status == "analyzed"
    assert (app.runs, app.looked_up) == (0, 1)


async def test_an_analysis_of_an_episode_that_is_past_is_dropped(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    await house.fire("A", severity="critical")
    await house.work("dispatch")
    await house.resolve("A", severity="critical")
    house.clock.move(minutes=1)
    again = await house.fire("A", severity="critical")

    await house.work("ai_analysis")

    assert (again.episode, (await alert_of(house, again)).analysis_status) == (2, "pending")
    assert app.runs == 0
    assert await runs(house) == ["dropped"]


async def test_a_refusal_that_no_repetition_helps_ends_the_run_with_its_reason(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    app.refuse_next("provider_quota_exceeded")
    alert = await house.fire("A", severity="critical")
    await house.work()

    after = await alert_of(house, alert)

    assert after.analysis_status == "failed"
    assert after.analysis_result is not None
    assert after.analysis_result["code"] == "dify.provider_quota_exceeded"
    assert KEY not in str(after.analysis_result)
    assert await events(house, alert) == ["firing", "failed"]


async def test_what_time_may_heal_is_tried_again_until_the_tries_are_used_up(house: House, model: ChatModel) -> None:
    await use_model(house, model)
    for code in ("overloaded", "rate_limit_exceeded"):
        model.refuse_next(code)
    healed = await house.fire("A", severity="critical")
    for _ in range(4):
        await house.work()
        house.clock.move(minutes=1)
    for _ in range(8):
        model.refuse_next("overloaded")
    lost = await house.fire("B", severity="critical")
    for _ in range(6):
        await house.work()
        house.clock.move(minutes=1)

    assert (await alert_of(house, healed)).analysis_status == "analyzed"
    assert (await alert_of(house, lost)).analysis_status == "failed"


async def test_an_open_breaker_asks_nobody_and_holds_nobody(house: House, model: ChatModel) -> None:
    await use_model(house, model)
    circuit = (await house.parts.analyzers.default()).circuit or ""
    for _ in range(5):
        await house.parts.breakers.failed(circuit)
    alert = await house.fire("A", severity="critical")
    await house.work()

    after = await alert_of(house, alert)

    assert (after.analysis_status, model.requests) == ("failed", [])
    assert after.analysis_result is not None
    assert after.analysis_result["code"] == "analyzer.open"


async def test_a_provider_that_is_tried_for_minutes_is_tried_by_one(
    house: House, model: ChatModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(breakers, "RENEWED_EVERY", timedelta(milliseconds=10))
    await use_model(house, model)
    circuit = (await house.parts.analyzers.default()).circuit or ""
    for _ in range(5):
        await house.parts.breakers.failed(circuit)
    house.clock.move(seconds=30)

    async def is_renewed() -> bool:
        held = (await house.parts.breakers.look([circuit]))[circuit].probe_until
        return held is not None and held > house.clock.now()

    async def is_asked() -> bool:
        return bool(model.requests)

    model.hold()
    first = await house.fire("A", severity="critical")
    await house.work("dispatch")
    trying = asyncio.create_task(house.work("ai_analysis"), context=Context())
    await until(is_asked)
    for _ in range(15):
        house.clock.move(seconds=10)
        await until(is_renewed)
    second = await house.fire("B", severity="critical")
    await house.work("dispatch")
    id = (await alert_of(house, second)).task_id or ""
    await house.parts.analyses.analyze(id, is_last_attempt=False)
    model.release()
    await trying

    assert [(await alert_of(house, alert)).analysis_status for alert in (first, second)] == ["analyzed", "failed"]
    assert len(model.requests) == 1
    assert (await house.parts.breakers.look([circuit]))[circuit].state(house.clock.now()) is State.CLOSED


async def test_too_many_requests_pause_the_provider_and_do_not_open_its_breaker(house: House, model: ChatModel) -> None:
    await use_model(house, model)
    model.refuse_next("rate_limit_exceeded", **{"Retry-After": "20"})
    first = await house.fire("A", severity="critical")
    await house.work()
    second = await house.fire("B", severity="critical")
    await house.work()
    asked = len(model.requests)
    house.clock.move(seconds=21)
    await house.work()

    assert asked == 1
    assert {(await alert_of(house, alert)).analysis_status for alert in (first, second)} == {"analyzed"}


async def test_an_analyzer_that_is_gone_or_off_fails_what_was_planned_for_it(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    alert = await house.fire("A", severity="critical")
    await house.work("dispatch")
    [setup], _, _ = await house.parts.analyzers.page(PageRequest())
    await house.parts.analyzers.remove(ANNA, setup.id, None)

    await house.work()

    assert (await alert_of(house, alert)).analysis_status == "failed"
    assert app.runs == 0


async def called(house: House, webhook: N8nWebhook) -> tuple[Alert, dict[str, Any]]:
    """An alert whose workflow was called, and what it was given."""
    await use_callback(house, webhook)
    alert = await house.fire("A", severity="critical")
    await house.work("dispatch", "ai_analysis")
    return alert, webhook.calls[-1]


ANSWER = {"status": "succeeded", "analysis": {"summary": "disk full", "root_cause": "logs grew", "confidence": 0.7}}


async def test_a_callback_works_once_and_is_answered_the_same_a_second_time(house: House, webhook: N8nWebhook) -> None:
    alert, call = await called(house, webhook)
    waiting = await alert_of(house, alert)

    said = [
        await house.parts.analyses.called_back(call["task_id"], call["callback_token"], answer)
        for answer in (ANSWER, {**ANSWER, "analysis": {"root_cause": "something else"}}, {"status": "failed"})
    ]

    after = await alert_of(house, alert)
    assert waiting.analysis_status == "analyzing"
    assert said == [RunStatus.ANALYZED] * 3
    assert after.analysis_result is not None
    assert (after.analysis_result["root_cause"], after.analysis_result["provider"]) == ("logs grew", "n8n")
    assert (await events(house, alert)).count("analyzed") == 1
    assert counted(house, "n8n", "analyzed") == 1


async def test_a_forged_callback_is_refused_and_changes_nothing(house: House, webhook: N8nWebhook) -> None:
    alert, call = await called(house, webhook)
    token = call["callback_token"]

    for id, forged in (
        (call["task_id"], ""),
        (call["task_id"], token[:-1]),
        (call["task_id"], "é\udcff"),
        ("x", token),
    ):
        with pytest.raises(Unauthorized):
            await house.parts.analyses.called_back(id, forged, ANSWER)

    assert (await alert_of(house, alert)).analysis_status == "analyzing"


async def test_a_late_callback_is_refused(house: House, webhook: N8nWebhook) -> None:
    alert, call = await called(house, webhook)
    house.clock.move(minutes=2)
    with pytest.raises(Conflict, match="deadline"):
        await house.parts.analyses.called_back(call["task_id"], call["callback_token"], ANSWER)
    await house.work()

    after = await alert_of(house, alert)
    assert (after.analysis_status, after.analysis_result and after.analysis_result["code"]) == (
        "failed",
        "analysis.overdue",
    )
    with pytest.raises(Conflict, match="deadline"):
        await house.parts.analyses.called_back(call["task_id"], call["callback_token"], ANSWER)


async def test_of_a_callback_and_a_deadline_at_the_same_moment_one_counts(house: House, webhook: N8nWebhook) -> None:
    alert, call = await called(house, webhook)

    await asyncio.gather(
        *(house.parts.analyses.give_up(call["task_id"]) for _ in range(3)),
        *(house.parts.analyses.called_back(call["task_id"], call["callback_token"], ANSWER) for _ in range(3)),
        return_exceptions=True,
    )

    ends = [kind for kind in await events(house, alert) if kind in {"analyzed", "failed"}]
    assert ends == [(await alert_of(house, alert)).analysis_status]


async def test_a_workflow_that_failed_says_so(house: House, webhook: N8nWebhook) -> None:
    alert, call = await called(house, webhook)

    await house.parts.analyses.called_back(call["task_id"], call["callback_token"], {"status": "failed", "error": "no"})

    after = await alert_of(house, alert)
    assert (after.analysis_status, after.analysis_result) == (
        "failed",
        {"error": "no", "code": "analysis.workflow_failed"},
    )


async def test_of_a_token_only_a_digest_is_kept(house: House, webhook: N8nWebhook) -> None:
    _, call = await called(house, webhook)

    row = await house.database.fetchrow("SELECT * FROM analysis_runs")

    assert row is not None
    assert row["callback_digest"] == hashlib.sha256(call["callback_token"].encode()).digest()
    assert call["callback_token"] not in str(dict(row))


async def test_a_person_may_have_anything_analysed_and_anew(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    await policy(house, max_per_hour=0)
    alert = await house.fire("A", severity="info")
    await house.work()
    for _ in range(2):
        await house.parts.analyses.request(alert.fingerprint)
        with pytest.raises(Conflict, match="being analysed"):
            await house.parts.analyses.request(alert.fingerprint)
        await house.work()

    assert app.runs == 2
    assert (await events(house, alert)).count("analyzed") == 2
    with pytest.raises(NotFound):
        await house.parts.analyses.request("nobody")


async def test_what_people_think_of_an_analysis_is_told_to_the_next(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    first = await house.fire("A", severity="critical", instance="1")
    with pytest.raises(Conflict, match="no analysis"):
        await house.parts.analyses.give_feedback(ANNA, first.fingerprint, "up", "")
    await house.work()
    for verdict in ("up", "down"):
        await house.parts.analyses.give_feedback(ANNA, first.fingerprint, verdict, "it was the network")
    house.clock.move(minutes=1)
    await house.fire("A", severity="critical", instance="2")
    await house.work()

    assert '"feedback":["-1 it was the network"]' in app.requests[-1]["inputs"]["context_json"]
    assert (await events(house, first)).count("feedback") == 2


async def test_recent_changes_of_the_rule_and_the_rule_itself_are_named(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    rule = await house.parts.rules.add(ANNA, RuleContent(name="A", expression="up == 0", labels={}, annotations={}))
    await house.parts.rules.revise(ANNA, rule.id, {"expression": "up < 2"}, None, "lower the bar")
    await house.database.execute("UPDATE alert_rule_versions SET at = at - interval '50 minutes' WHERE revision = 2")
    await house.database.execute("UPDATE alert_rule_versions SET at = at - interval '61 minutes' WHERE revision = 1")
    await house.fire("A", severity="critical")

    await house.work()

    context = app.requests[0]["inputs"]["context_json"]
    assert '"expression":"up < 2"' in context
    assert "v1.0.1" in context
    assert "lower the bar" in context
    assert "v1.0.0" not in context


async def test_values_around_the_start_come_from_the_clusters_prometheus(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    await house.parts.rules.add(ANNA, RuleContent(name="A", expression="cpu > 90", labels={}, annotations={}))
    result = [{"metric": {"instance": "a"}, "values": [[1764331200, "42.5"]]}]
    matrix = {"status": "success", "data": {"resultType": "matrix", "result": result}}
    async with Sink() as prometheus:
        prometheus.answer_next(Answer(body=json.dumps(matrix).encode()), Answer(status=500))
        values = {"labels": {}, "parameters": {}, "config_types": ["prometheus"], "query_url": prometheus.origin}
        await house.parts.clusters.add(ANNA, "c1", values)
        for instance in ("a", "b"):
            await house.fire("A", severity="critical", cluster="c1", instance=instance)
            await house.work()

    asked = [parse_qs(request.body.decode()) for request in prometheus.requests]
    with_values, without = [request["inputs"]["context_json"] for request in app.requests]
    assert asked[0]["query"] == ["cpu"]
    assert '["2025-11-28T12:00:00Z","42.5"]' in with_values
    assert '"values":[]' in without


async def test_a_provider_that_wants_nothing_for_too_long_is_not_waited_for(house: House, model: ChatModel) -> None:
    await use_model(house, model)
    model.refuse_next("rate_limit_exceeded", **{"Retry-After": "3600"})
    alert = await house.fire("A", severity="critical")

    await house.work()

    assert (await alert_of(house, alert)).analysis_status == "failed"


async def test_runs_that_nobody_ended_are_ended_some_day(house: House, app: DifyApp) -> None:
    await use_dify(house, app)
    alert = await house.fire("A", severity="critical")
    await house.work("dispatch")
    await house.database.execute("DELETE FROM task_queue WHERE task_type = 'ai_analysis'")
    house.clock.move(minutes=17)

    await house.parts.analyses.tidy()

    assert (await alert_of(house, alert)).analysis_status == "failed"
    house.clock.move(days=91)
    await house.parts.analyses.tidy()
    assert await runs(house) == []


async def test_an_alert_that_comes_back_often_is_said_to_flap(house: House) -> None:
    for _ in range(6):
        alert = await house.fire("A", severity="critical")
        house.clock.move(minutes=2)
        await house.resolve("A", severity="critical")
        house.clock.move(minutes=2)
    await house.fire("A", severity="critical")
    await house.work()

    assert "7" in str((await alert_of(house, alert)).analysis_result)


async def test_related_alerts_share_a_place(house: House) -> None:
    alert = await house.fire("A", instance="a:9100", cluster="c1")
    await house.fire("B", instance="a:9100")
    await house.fire("C", cluster="c1")
    await house.fire("D", instance="b:9100", cluster="c2")
    await house.fire("E", instance="a:9100")
    await house.resolve("E", instance="a:9100")

    related = await house.parts.alerts.related(alert)

    assert sorted(other.labels["alertname"] for other in related) == ["B", "C"]


async def test_of_what_shares_the_instance_nothing_is_too_old_to_be_related(house: House) -> None:
    await house.post(
        {"labels": {"alertname": "Old", "instance": "a:9100"}, "startsAt": "2020-01-01T00:00:00Z"},
        *({"labels": {"alertname": "Other", "node": str(number), "cluster": "c1"}} for number in range(1100)),
    )
    alert = await house.fire("A", instance="a:9100", cluster="c1")

    related = await house.parts.alerts.related(alert)

    assert [other.labels["alertname"] for other in related] == ["Old"] + ["Other"] * 20
