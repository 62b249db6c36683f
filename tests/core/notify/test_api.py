"""Channels, plugins and deliveries over HTTP, and the whole way from a post to a message."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from alertagent.app import Service
from alertagent.kernel import trace
from alertagent.kernel.labels import fingerprint
from alertagent.plugins.registry import Registry
from tests.core.alerts.house import until
from tests.support.dingtalk import DingTalkRobot
from tests.support.service import Answer, Api
from tests.support.sink import Answer as SinkAnswer
from tests.support.sink import Sink

LONG_AGO = "2026-01-01T00:00:00Z"
POSTED = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
async def robot() -> AsyncIterator[DingTalkRobot]:
    async with DingTalkRobot() as robot:
        yield robot


async def add(api: Api, name: str = "ops", plugin: str = "console", **values: Any) -> Any:
    answer = await api.post("/channels", {"name": name, "plugin_name": plugin, **values})
    assert answer.status == 201, answer.body
    return answer.data


def dingtalk(robot: DingTalkRobot, **config: Any) -> dict[str, Any]:
    return {"plugin": "dingtalk", "config": {"webhook_url": robot.url, "secret": robot.secret, **config}}


async def fire(api: Api, name: str, **labels: str) -> str:
    named = {"alertname": name, **labels}
    answer = await api.post("//api/v2/alerts", [{"labels": named, "startsAt": LONG_AGO}])
    assert answer.status == 200
    return fingerprint(named)


async def resolve(api: Api, name: str, **labels: str) -> None:
    ended = {"labels": {"alertname": name, **labels}, "startsAt": LONG_AGO, "endsAt": datetime.now(UTC).isoformat()}
    assert (await api.post("//api/v2/alerts", [ended])).status == 200


async def test_a_channel_is_made_read_changed_and_deleted(api: Api) -> None:
    made = await add(api, default=True, fallback=["other"])
    path = f"/channels/{made['id']}"

    changed = await api.put(path, {"name": "night", "enabled": False, "default": None, "fallback": []})
    listed = await api.get("/channels", params={"filter": 'enabled="false"'})
    removed = await api.delete(path)

    assert (made["plugin_name"], made["enabled"], made["default"], made["fallback"]) == (
        "console",
        True,
        True,
        ["other"],
    )
    assert (changed.data["name"], changed.data["enabled"], changed.data["default"]) == ("night", False, True)
    assert changed.data["fallback"] == []
    assert [channel["id"] for channel in listed.data] == [made["id"]]
    assert (removed.status, (await api.get(path)).status) == (204, 404)


async def test_a_channel_speaks_the_language_of_its_plugin_or_its_own(api: Api, robot: DingTalkRobot) -> None:
    made = await add(api, **dingtalk(robot))
    path = f"/channels/{made['id']}"

    await api.post(f"{path}/test")
    changed = await api.put(path, {"language": "en"})
    await api.post(f"{path}/test")
    kept = await api.put(path, {"enabled": True})
    cleared = await api.put(path, {"language": None})
    refused = await api.put(path, {"language": "fr"})
    plugin = await api.get("/plugins/dingtalk")

    assert [made["language"], changed.data["language"], kept.data["language"], cleared.data["language"]] == [
        None,
        "en",
        "en",
        None,
    ]
    assert "测试消息" in robot.messages[0]
    assert "Nothing is wrong" in robot.messages[1]
    assert (refused.status, refused.error["details"][0]["loc"]) == (400, ["language"])
    assert plugin.data["language"] == "zh-CN"


async def test_a_secret_is_kept_replaced_and_never_shown(api: Api, service: Service, robot: DingTalkRobot) -> None:
    made = await add(api, **dingtalk(robot))
    path = f"/channels/{made['id']}"

    async def stored() -> Any:
        return (await service.parts.channels.get(made["id"])).config

    kept = await api.put(path, {"config": {**made["config"], "at_all": True}})
    after_keeping = await stored()
    await api.put(path, {"config": {**made["config"], "secret": "SECnew"}})
    after_replacing = await stored()
    dropped = await api.put(path, {"config": {"webhook_url": "***"}})
    lost = await api.put(path, {"config": {"webhook_url": "***", "secret": "***"}})

    assert (made["config"]["webhook_url"], made["config"]["secret"]) == ("***", "***")
    assert (kept.data["config"]["at_all"], after_keeping["secret"]) == (True, robot.secret)
    assert (after_replacing["secret"], after_replacing["webhook_url"]) == ("SECnew", robot.url)
    assert (dropped.status, "secret" in dropped.data["config"]) == (200, False)
    assert (lost.status, lost.error["details"][0]["loc"]) == (400, ["config", "secret"])
    audits = await service.parts.database.fetch("SELECT before, after FROM audit_log WHERE subject_kind = 'channel'")
    told = " ".join(str(dict(row)) for row in audits)
    assert str(robot.secret) not in told
    assert "SECnew" not in told
    assert "access_token" not in told


async def test_a_secret_of_another_plugin_is_not_taken_over(api: Api, robot: DingTalkRobot) -> None:
    made = await add(api, **dingtalk(robot))

    answer = await api.put(
        f"/channels/{made['id']}", {"plugin_name": "webhook", "config": {"url": robot.url, "secret": "***"}}
    )

    assert answer.status == 400


BAD_CHANNELS: list[tuple[dict[str, Any], str | None, list[str]]] = [
    ({"plugin_name": "pigeon"}, "channel.plugin_unknown", ["plugin_name"]),
    ({"plugin_name": "webhook", "config": {}}, "config.invalid", ["config", "url"]),
    ({"plugin_name": "webhook", "config": {"url": "nonsense"}}, "config.invalid", ["config", "url"]),
    ({"plugin_name": "webhook", "config": {"url": "ftp://example.com"}}, "config.invalid", ["config", "url"]),
    ({"plugin_name": "webhook", "config": {"url": "http://a.invalid/"}}, None, ["config", "url"]),
    ({"plugin_name": "webhook", "config": {"url": "http://10.0.0.1/"}}, None, ["config", "url"]),
    ({"plugin_name": "webhook", "config": {"url": "http://169.254.169.254/"}}, None, ["config", "url"]),
    ({"plugin_name": "console", "config": {"colour": "red"}}, "config.invalid", ["config", "colour"]),
    ({"plugin_name": "console", "config": []}, "request.invalid", ["config"]),
    ({"plugin_name": "console", "name": ""}, "request.invalid", ["name"]),
    ({"plugin_name": "console", "colour": "red"}, "request.invalid", ["colour"]),
    ({"plugin_name": "console", "fallback": "x"}, "request.invalid", ["fallback"]),
]


async def test_a_bad_channel_is_refused_with_its_place(api: Api) -> None:
    for values, code, loc in BAD_CHANNELS:
        answer = await api.post("/channels", {"name": "ops", **values})

        assert answer.status == 400, (values, answer.body)
        assert answer.error["details"][0]["loc"] == loc, values
        assert code is None or answer.error["code"] == code, values
    assert (await api.get("/channels")).data == []


async def test_a_name_is_taken_once(api: Api) -> None:
    await add(api, "one")
    other = await add(api, "two")

    again = await api.post("/channels", {"name": "one", "plugin_name": "console"})
    renamed = await api.put(f"/channels/{other['id']}", {"name": "one"})

    assert [(answer.status, answer.error["code"]) for answer in (again, renamed)] == [(409, "channel.exists")] * 2


async def test_of_many_who_want_one_name_one_gets_it(api: Api) -> None:
    ids = [(await add(api, f"c{number}"))["id"] for number in range(6)]

    answers = await asyncio.gather(
        *(api.put(f"/channels/{id}", {"name": "best"}) for id in ids),
        *(api.post("/channels", {"name": "best", "plugin_name": "console"}) for _ in range(3)),
    )

    assert min(answer.status for answer in answers) in {200, 201}
    assert [answer.status for answer in answers].count(409) == 8


async def test_of_many_changes_at_once_none_is_lost(api: Api) -> None:
    path = f"/channels/{(await add(api))['id']}"

    answers = await asyncio.gather(
        *(
            api.put(path, change)
            for change in ({"name": "night"}, {"enabled": False}, {"default": True}, {"fallback": ["x"]}) * 2
        )
    )

    channel = (await api.get(path)).data
    assert {answer.status for answer in answers} == {200}
    assert (channel["name"], channel["enabled"], channel["default"], channel["fallback"]) == (
        "night",
        False,
        True,
        ["x"],
    )


async def test_a_guard_against_a_stale_change_holds(api: Api) -> None:
    path = f"/channels/{(await add(api))['id']}"
    old = (await api.get(path)).headers["ETag"]

    fresh = await api.put(path, {"enabled": False}, headers={"If-Match": old})
    stale = await api.put(path, {"enabled": True}, headers={"If-Match": old})
    same = await api.put(path, {"enabled": False})

    assert (fresh.status, stale.status) == (200, 412)
    assert same.headers["ETag"] == fresh.headers["ETag"]


async def test_the_plugins_describe_themselves(api: Api) -> None:
    listed = (await api.get("/plugins")).data
    one = (await api.get("/plugins/dingtalk")).data

    assert [plugin["name"] for plugin in listed] == sorted(Registry.load([]).notifiers)
    assert one["config_schema"]["properties"]["secret"]["writeOnly"] is True
    assert (await api.get("/plugins/pigeon")).error["code"] == "plugin.not_found"


async def test_a_test_message_is_sent_and_the_providers_words_are_shown(api: Api, robot: DingTalkRobot) -> None:
    made = await add(api, **dingtalk(robot))

    sent = await api.post(f"/channels/{made['id']}/test")
    robot.refuse_next(310000)
    refused = await api.post("/plugins/dingtalk/test", {"config": {"webhook_url": robot.url, "secret": robot.secret}})
    unknown = [await api.post(path, {}) for path in ("/plugins/pigeon/test", "/channels/nope/test")]
    invalid = await api.post("/plugins/dingtalk/test", {"config": {"webhook_url": "***"}})

    assert (sent.status, sent.data["delivered"]) == (200, True)
    assert "测试" in robot.messages[0]
    assert (refused.status, refused.data["delivered"], refused.data["code"]) == (200, False, "310000")
    assert [answer.status for answer in unknown] == [404, 404]
    assert invalid.status == 400


async def test_a_channel_by_apprise_is_saved_tried_out_and_keeps_its_url_to_itself(
    api: Api, sink: Sink, capsys: pytest.CaptureFixture[str]
) -> None:
    url = f"gotify://127.0.0.1:{sink.port}/AsecretToken123"
    private = url.replace("127.0.0.1", "10.0.0.1")
    sink.answer_next(SinkAnswer(), SinkAnswer(status=401, body=b"who?"))

    made = await add(api, plugin="apprise", config={"url": url})
    sent = await api.post(f"/channels/{made['id']}/test")
    refused = await api.post(f"/channels/{made['id']}/test")
    invalid = await api.post("/channels", {"name": "far", "plugin_name": "apprise", "config": {"url": private}})

    assert made["config"] == {"url": "***"}
    assert (sent.data["outcome"], refused.data["outcome"]) == ("delivered", "refused")
    assert (invalid.status, invalid.error["code"]) == (400, "outgoing.forbidden")
    assert invalid.error["details"][0]["loc"] == ["config", "url"]
    told = [made, sent.body, refused.body, invalid.body, (await api.get("/channels")).body, *capsys.readouterr()]
    assert "AsecretToken123" not in str(told)


async def test_who_may_see_and_change_channels(api: Api) -> None:
    made = await add(api)
    viewer = api.as_((await api.post("/tokens", {"name": "v", "role": "viewer"})).data["token"])

    answers = [
        await viewer.get("/channels"),
        await viewer.post("/channels", {"name": "x", "plugin_name": "console"}),
        await viewer.put(f"/channels/{made['id']}", {"enabled": False}),
        await viewer.delete(f"/channels/{made['id']}"),
        await viewer.post(f"/channels/{made['id']}/test"),
        await api.as_(None).get("/channels"),
    ]

    assert [answer.status for answer in answers] == [200, 403, 403, 403, 403, 401]


async def test_from_a_post_to_a_robot_and_back_again(api: Api, robot: DingTalkRobot) -> None:
    channel = await add(api, default=True, **dingtalk(robot))

    id = await fire(api, "HostDown", severity="critical", instance="北京-1")
    (fired,) = await robot.wait_for(1)
    alert = await until(lambda: settled(api, id))
    await resolve(api, "HostDown", severity="critical", instance="北京-1")
    deliveries = (await api.get(f"/channels/{channel['id']}/deliveries")).data
    timeline = (await api.get(f"/alerts/{id}/timeline")).data

    assert "HostDown" in fired
    assert "北京-1" in fired
    assert (alert["notification_status"], alert["analysis_status"]) == ("sent", "analyzed")
    assert [(delivery["status"], delivery["alerts"]) for delivery in deliveries] == [("sent", [id])]
    assert {"firing", "notification.sent", "analyzed", "resolved"} <= {event["kind"] for event in timeline}


WEBHOOK_OF_ONE = {
    "version": "4",
    "status": "firing",
    "alerts": [{"status": "firing", "labels": {"alertname": "HostDown"}, "startsAt": LONG_AGO}],
}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/alerts/webhook", WEBHOOK_OF_ONE),
        ("//api/v2/alerts", [{"labels": {"alertname": "HostDown"}, "startsAt": LONG_AGO}]),
    ],
)
async def test_the_trace_of_a_post_reaches_the_robot(
    service: Service, api: Api, robot: DingTalkRobot, path: str, body: Any
) -> None:
    await add(api, default=True, **dingtalk(robot))
    robot.refuse_next(-1)

    await api.post(path, body, headers={"traceparent": POSTED})
    await robot.wait_for(1)

    rows = await service.parts.database.fetch("SELECT task_type, trace FROM task_queue WHERE task_type <> 'regroup'")
    assert {row["task_type"] for row in rows} >= {"dispatch", "flush", "deliver"}
    seen = [POSTED, *(row["trace"] for row in rows), robot.traces[0]]
    assert {trace.id_of(each) for each in seen} == {trace.id_of(POSTED)}
    spans = {each.split("-")[2] for each in (POSTED, robot.traces[0], *(row["trace"] for row in rows))}
    # A delivery and the next timer of its group come from one look at it, and so from one span.
    assert len(spans) == 2 + len({row["task_type"] for row in rows})


async def test_a_broken_traceparent_begins_a_new_trace(service: Service, api: Api, robot: DingTalkRobot) -> None:
    await add(api, default=True, **dingtalk(robot))

    answer = await api.post("/alerts/webhook", WEBHOOK_OF_ONE, headers={"traceparent": f"{POSTED}-and-more"})
    await robot.wait_for(1)

    begun = answer.headers["traceparent"]
    assert trace.id_of(begun) != trace.id_of(POSTED)
    assert trace.id_of(robot.traces[0]) == trace.id_of(begun)


async def settled(api: Api, id: str) -> Any:
    alert = (await api.get(f"/alerts/{id}")).data
    is_settled = alert["notification_status"] == "sent" and alert["analysis_status"] == "analyzed"
    return alert if is_settled else None


async def test_a_receiver_that_stumbles_is_told_once_it_stands(api: Api, sink: Sink) -> None:
    await add(api, plugin="webhook", config={"url": sink.url}, default=True)
    sink.answer_next(SinkAnswer(status=503), SinkAnswer(status=503))

    await fire(api, "HostDown")
    requests = await sink.wait_for(3)

    assert len({request.headers["webhook-id"] for request in requests}) == 1
    await until(lambda: delivery_is(api, "sent"))


async def delivery_is(api: Api, status: str) -> bool:
    (delivery,) = (await api.get("/deliveries")).data
    return bool(delivery["status"] == status)


async def test_many_alerts_reach_every_channel_exactly_once(api: Api, sink: Sink) -> None:
    for name in ("one", "two"):
        await add(api, name, plugin="webhook", config={"url": f"{sink.origin}/{name}"}, default=True)
    alerts = [{"labels": {"alertname": f"A{number}"}, "startsAt": LONG_AGO} for number in range(60)]

    await asyncio.gather(*(api.post("//api/v2/alerts", alerts[start : start + 20]) for start in range(0, 60, 20)))
    await sink.wait_for(120, timeout=30)
    await until(lambda: nothing_is_pending(api))

    for name in ("one", "two"):
        told = [
            alert["labels"]["alertname"]
            for request in sink.requests
            if request.target == f"/{name}"
            for alert in orjson.loads(request.body)["alerts"]
        ]
        assert sorted(told) == sorted(f"A{number}" for number in range(60))


async def nothing_is_pending(api: Api) -> bool:
    return not (await api.get("/deliveries", params={"filter": 'status="pending"', "limit": "1"})).data


async def test_the_deliveries_are_filtered_and_belong_to_their_channel(api: Api, sink: Sink) -> None:
    channel = await add(api, "one", plugin="webhook", config={"url": sink.url}, default=True)
    other = await add(api, "two")
    await fire(api, "HostDown")
    await until(lambda: any_delivery(api))

    found: list[Answer] = [
        await api.get("/deliveries", params={"filter": f'channel_id="{channel["id"]}"'}),
        await api.get(f"/channels/{other['id']}/deliveries"),
        await api.get("/channels/nope/deliveries"),
        await api.get("/deliveries", params={"filter": 'colour="red"'}),
    ]

    assert [answer.status for answer in found] == [200, 200, 404, 400]
    assert [len(answer.data) for answer in found[:2]] == [1, 0]
    assert re.fullmatch(r'default:{alertname="HostDown"}', found[0].data[0]["group_key"])


async def any_delivery(api: Api) -> Any:
    return (await api.get("/deliveries")).data
