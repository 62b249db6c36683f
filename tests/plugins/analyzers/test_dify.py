from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from alertagent.kernel.errors import External, Invalid, Permanent, RateLimited
from alertagent.plugins.analysis import AnalysisContext
from alertagent.plugins.analyzers.dify import AppType, Dify, DifyConfig
from alertagent.plugins.transport import Transport
from tests.support.dify import KEY, RUN, DifyApp
from tests.support.messages import NOON, make_alert
from tests.support.runs import Notebook

CONTEXT = AnalysisContext(alert=make_alert(severity="critical"), now=NOON)
dify = Dify(poll_every=timedelta(milliseconds=1))


@pytest.fixture
async def app() -> AsyncIterator[DifyApp]:
    async with DifyApp() as app:
        yield app


def settings(app: DifyApp, **values: Any) -> DifyConfig:
    return dify.validate_config({"base_url": app.url, "api_key": KEY, **values})


async def test_a_workflow_is_given_texts_and_its_outputs_are_the_answer(app: DifyApp, transport: Transport) -> None:
    config = settings(app, inputs={"team": "db"})

    analysis = await dify.analyze(config, CONTEXT, transport, Notebook())

    assert (analysis.root_cause, analysis.confidence, analysis.tokens) == ("logs grew", 0.8, 42)
    inputs = app.requests[0]["inputs"]
    assert inputs["alert_name"] == "HighCPU"
    assert inputs["team"] == "db"
    assert {type(value) for value in inputs.values()} == {str}


@pytest.mark.parametrize(
    ("kind", "app_type", "text"),
    [("chat", "chat", "query"), ("chat", "agent", "query"), ("chatflow", "chat", "query"), ("completion",) * 2 + ("",)],
)
async def test_each_kind_of_app_is_asked_on_its_own_path(
    kind: Any, app_type: str, text: str, transport: Transport
) -> None:
    async with DifyApp(kind) as app:
        analysis = await dify.analyze(settings(app, app_type=app_type), CONTEXT, transport, Notebook())

        assert (analysis.root_cause, analysis.tokens) == ("logs grew", 42)
        asked = app.requests[0][text] if text else app.requests[0]["inputs"]["query"]
        assert "HighCPU" in asked


async def test_the_ids_are_noted_before_anything_more_is_read(app: DifyApp, transport: Transport) -> None:
    run = Notebook()

    await dify.analyze(settings(app), CONTEXT, transport, run)

    assert run.log == [{"asked": "yes"}, {"workflow_run_id": RUN}]


@pytest.mark.parametrize(("kind", "app_type"), [("workflow", "workflow"), ("chat", "chat"), ("chatflow", "chat")])
@pytest.mark.parametrize("events", [1, 2, 3])
async def test_a_connection_dropped_after_the_run_began_costs_no_second_run(
    kind: Any, app_type: str, events: int, transport: Transport
) -> None:
    async with DifyApp(kind) as app:
        app.drop_after, app.ends_after = events + (kind == "chat"), 2
        run = Notebook()

        analysis = await dify.analyze(settings(app, app_type=app_type), CONTEXT, transport, run)

        assert analysis.root_cause == "logs grew"
        assert (app.runs, app.looked_up) == (1, 3)


async def test_a_run_that_another_process_began_is_looked_up(app: DifyApp, transport: Transport) -> None:
    run = Notebook(kept={"asked": "yes", "workflow_run_id": RUN})

    analysis = await dify.analyze(settings(app), CONTEXT, transport, run)

    assert (analysis.root_cause, app.runs) == ("logs grew", 0)


async def test_a_look_up_that_fails_is_tried_again_and_runs_nothing(app: DifyApp, transport: Transport) -> None:
    run = Notebook(kept={"asked": "yes", "workflow_run_id": RUN})
    app.gateway_next(502)

    with pytest.raises(External):
        await dify.analyze(settings(app), CONTEXT, transport, run)
    await dify.analyze(settings(app), CONTEXT, transport, run)

    assert app.runs == 0


async def test_what_may_have_run_under_an_unknown_id_is_not_run_again(app: DifyApp, transport: Transport) -> None:
    app.drop_after = 0
    run = Notebook()

    for _ in range(2):
        with pytest.raises(Permanent, match="billed twice"):
            await dify.analyze(settings(app), CONTEXT, transport, run)

    assert app.runs == 1


async def test_what_never_left_may_be_asked_again(transport: Transport) -> None:
    async with DifyApp() as app:
        config = settings(app)
    run = Notebook()

    with pytest.raises(External):
        await dify.analyze(config, CONTEXT, transport, run)

    assert not run.notes["asked"]


async def test_a_dify_that_says_nothing_more_is_looked_up(app: DifyApp, transport: Transport) -> None:
    app.hangs = True
    impatient = Dify(poll_every=timedelta(milliseconds=1), silence=timedelta(milliseconds=100))

    analysis = await impatient.analyze(settings(app), CONTEXT, transport, Notebook())

    assert (analysis.root_cause, app.runs) == ("logs grew", 1)


REFUSALS = [
    ("invalid_param", Permanent, "Start node"),
    ("app_unavailable", Permanent, "publish"),
    ("not_workflow_app", Permanent, "app_type"),
    ("provider_not_initialize", Permanent, "credentials"),
    ("provider_quota_exceeded", Permanent, "top it up"),
    ("model_currently_not_support", Permanent, "another model"),
    ("completion_request_error", Permanent, "try the app"),
    ("unauthorized", Permanent, "API key"),
    ("forbidden", Permanent, "not allowed"),
    ("not_found", Permanent, "not found"),
    ("file_too_large", Permanent, "exceeded"),
    ("unsupported_file_type", Permanent, "not allowed"),
    ("too_many_requests", RateLimited, "later"),
    ("rate_limit_error", Permanent, "until it is reset"),
    ("internal_server_error", External, "internal error"),
]


@pytest.mark.parametrize(("code", "kind", "words"), REFUSALS)
@pytest.mark.parametrize("in_stream", [False, True])
async def test_each_refusal_means_what_it_says(
    code: str, kind: type[Exception], words: str, in_stream: bool, app: DifyApp, transport: Transport
) -> None:
    if in_stream:
        app.stream_error = code
    else:
        app.refuse_next(code)

    with pytest.raises(kind, match=words) as caught:
        await dify.analyze(settings(app), CONTEXT, transport, Notebook())

    assert type(caught.value) is kind
    assert KEY not in str(caught.value)
    assert getattr(caught.value, "code") == f"dify.{code}"  # noqa: B009 - only problems have one


@pytest.mark.parametrize("status", [500, 502, 504, 524])
async def test_a_gateway_is_no_answer(status: int, app: DifyApp, transport: Transport) -> None:
    app.gateway_next(status)
    run = Notebook()

    with pytest.raises(External):
        await dify.analyze(settings(app), CONTEXT, transport, run)
    await dify.analyze(settings(app), CONTEXT, transport, run)

    assert app.runs == 1


@pytest.mark.parametrize("status", ["failed", "stopped", "paused", None, ["succeeded"], {}])
async def test_a_run_that_did_not_succeed_is_http_200_and_still_a_failure(
    status: Any, app: DifyApp, transport: Transport
) -> None:
    app.status, app.error = status, "node LLM: " + "x" * 1000

    with pytest.raises(Permanent) as caught:
        await dify.analyze(settings(app), CONTEXT, transport, Notebook())

    assert len(str(caught.value)) < 500


async def test_an_answer_of_the_wrong_app_says_which_setting_to_correct(app: DifyApp, transport: Transport) -> None:
    with pytest.raises(Permanent, match="app_type"):
        await dify.analyze(settings(app, app_type=AppType.CHAT), CONTEXT, transport, Notebook())


@pytest.mark.parametrize("outputs", [{}, None, {"text": " "}, {"n": 5}])
async def test_a_run_without_an_answer_is_said_to_be_one(outputs: Any, app: DifyApp, transport: Transport) -> None:
    app.outputs = outputs

    with pytest.raises(Permanent, match="without an answer"):
        await dify.analyze(settings(app), CONTEXT, transport, Notebook())


@pytest.mark.parametrize(
    "raw",
    [
        {"base_url": "ftp://x/v1", "api_key": KEY},
        {"base_url": "https://api.dify.ai/v1", "api_key": ""},
        {"base_url": "https://api.dify.ai/v1", "api_key": KEY, "app_type": "robot"},
        {"base_url": "https://api.dify.ai/v1", "api_key": KEY, "inputs": {"a": 5}},
    ],
)
def test_settings_that_cannot_work_are_refused(raw: dict[str, Any]) -> None:
    with pytest.raises(Invalid):
        dify.validate_config(raw)
