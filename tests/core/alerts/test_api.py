"""The two doors for alerts and the pages about them, over HTTP."""

import asyncio
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import Counter

from alertagent.app import Role, Service
from alertagent.core.alerts.api import IN_HAND, AlertsApi
from alertagent.core.alerts.intake import LARGE_POST, Timeouts, weight
from alertagent.core.notify.kinds import FLUSH, Flush
from alertagent.kernel.errors import Invalid
from alertagent.kernel.labels import fingerprint
from alertagent.web.access import Principal
from alertagent.web.call import Call
from alertagent.web.room import FILES
from alertagent.web.routes import BODY_LIMIT
from tests.core.alerts.house import House, until
from tests.support.service import Answer, Api, make_settings, serving

WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
ZERO = "0001-01-01T00:00:00Z"


def webhook(*alerts: Any, **fields: Any) -> dict[str, Any]:
    return {"version": "4", "status": "firing", "alerts": list(alerts), **fields}


def firing(name: str = "HostDown", **labels: str) -> dict[str, Any]:
    return {"status": "firing", "labels": {"alertname": name, **labels}, "startsAt": ZERO, "endsAt": ZERO}


def ids(answer: Answer) -> set[str]:
    return {alert["labels"]["alertname"] for alert in answer.data}


async def test_both_doors_lead_to_the_same_alert(api: Api) -> None:
    by_webhook = await api.post("/alerts/webhook", webhook(firing()))
    by_api = await api.post("//api/v2/alerts", [{"labels": {"alertname": "HostDown"}}])

    (alert,) = (await api.get("/alerts")).data
    assert (by_webhook.status, by_webhook.data, by_api.status, by_api.data) == (200, {"received": 1}) * 2
    assert (alert["id"], alert["status"], alert["ends_at"]) == (
        fingerprint({"alertname": "HostDown"}),
        "firing",
        None,
    )
    assert (alert["source"], alert["episode"], alert["analysis_status"]) == ("api", 1, "pending")


async def test_an_empty_post_is_answered_with_200(api: Api) -> None:
    assert (await api.post("/alerts/webhook", webhook())).data == {"received": 0}
    assert (await api.post("//api/v2/alerts", data="[]", headers={"Content-Type": "application/json"})).status == 200


async def test_the_good_alerts_of_a_partly_bad_post_are_stored(api: Api) -> None:
    answer = await api.post("/alerts/webhook", webhook(firing("a"), {"status": "firing", "labels": {}}, firing("b")))

    assert (answer.status, answer.error["code"]) == (400, "alerts.partly_invalid")
    assert answer.error["details"][0]["loc"] == ["alerts", 1]
    assert "the other 2 alerts are stored" in answer.error["message"]
    assert ids(await api.get("/alerts")) == {"a", "b"}


async def test_one_good_alert_beside_a_bad_one_is_told_as_one(api: Api) -> None:
    answer = await api.post("/alerts/webhook", webhook(firing("a"), {"status": "firing", "labels": {}}))

    assert answer.error["message"].endswith("; the other one is stored")


async def test_what_is_no_post_of_alerts_is_a_400(api: Api) -> None:
    for path in ("/alerts/webhook", "//api/v2/alerts"):
        for body in (b"", b"{", b"7", b'"x"', b"null", b"\xff", b"[" * 100_000):
            answer = await api.post(path, data=body, headers={"Content-Type": "application/json"})

            assert answer.status == 400, (path, body[:9])
            assert isinstance(answer.json, str if path.startswith("//api/v2") else dict), (path, body[:9])


async def test_a_refusal_of_api_v2_is_a_bare_text_as_alertmanagers_and_the_good_alerts_are_stored(api: Api) -> None:
    posted = [{"labels": {"alertname": "a"}}, {"labels": {}}, {"labels": {"alertname": "b"}}]

    answer = await api.post("//api/v2/alerts", posted)

    assert (answer.status, answer.headers["Content-Type"]) == (400, "application/json")
    assert answer.json == ("1: an alert needs at least one label with a value; the other 2 alerts are stored")
    assert ids(await api.get("/alerts")) == {"a", "b"}


async def test_both_servers_of_a_pair_tell_of_one_alert(database_url: str, redis_url: str) -> None:
    dropping = make_settings(database_url, redis_url, alerts={"drop_labels": ["replica"]})
    async with serving(dropping) as (_, api):
        for replica in "ab":
            await api.post("//api/v2/alerts", [{"labels": {"alertname": "x", "replica": replica}}])
            await api.post("/alerts/webhook", webhook(firing("x", replica=replica)))

        (alert,) = (await api.get("/alerts")).data

    assert (alert["labels"], alert["episode"]) == ({"alertname": "x"}, 1)


async def test_ten_thousand_alerts_in_one_post_are_durable_at_once(api: Api) -> None:
    body = io.BytesIO(json.dumps(webhook(*(firing(f"a{number}") for number in range(10_000)))).encode())

    answer = await api.post("/alerts/webhook", data=body, headers={"Content-Type": "application/json"})

    assert (answer.status, answer.data) == (200, {"received": 10_000})
    assert (await api.get("/alerts", params={"limit": "1"})).json["page"]["total"] == 10_000


async def test_one_alert_that_is_too_large_costs_its_neighbours_nothing(api: Api) -> None:
    huge = firing("huge", **{f"l{number}": "x" for number in range(1_000)})

    answer = await api.post("/alerts/webhook", webhook(firing("a"), huge, firing("b")))

    assert (answer.status, answer.error["code"]) == (400, "alerts.partly_invalid")
    assert answer.error["details"][0]["loc"] == ["alerts", 1, "labels"]
    assert answer.error["message"] == (
        "alerts.1.labels: an alert may have 500 labels at most, and this one has 1,001; the other 2 alerts are stored"
    )
    assert ids(await api.get("/alerts")) == {"a", "b"}


async def test_whatever_may_be_large_takes_room_from_its_like_only(service: Service) -> None:
    large = [route for route in service.parts.routes(Role.ALL) if route.body_limit > BODY_LIMIT]

    assert {route.path: route.bound for route in large} == {
        "/api/v1/alerts/webhook": IN_HAND,
        "/api/v2/alerts": IN_HAND,
        "/api/v1/rules/import": FILES,
        "/api/v1/config/adopt": FILES,
    }


async def test_posts_for_which_there_is_no_room_wait_for_some(api: Api) -> None:
    bodies = [json.dumps(webhook(*(firing(f"{post}-{number}") for number in range(2_000)))) for post in range(6)]
    assert sum(weight(body.encode()) for body in bodies) > 2 * IN_HAND.limit

    async with asyncio.TaskGroup() as posts:
        tasks = [
            posts.create_task(api.post("/alerts/webhook", data=body, headers={"Content-Type": "application/json"}))
            for body in bodies
        ]

    assert {(task.result().status, task.result().data["received"]) for task in tasks} == {(200, 2_000)}
    assert (await api.get("/alerts/counts")).data["firing"] == 12_000


async def test_a_database_that_is_away_is_a_503_with_a_time_to_come_back(api: Api, service: Service) -> None:
    async with asyncio.timeout(30), service.parts.database.transaction() as blocker:
        await blocker.execute("LOCK TABLE alerts")
        waiting = asyncio.create_task(api.post("/alerts/webhook", webhook(firing())))
        await until(lambda: blocker.fetchval(WAITING))
        await blocker.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        answer = await waiting

    again = await api.post("/alerts/webhook", webhook(firing()))
    assert (answer.status, answer.error["type"]) == (503, "unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert again.status == 200


async def test_an_ingest_token_may_post_and_nothing_else(api: Api) -> None:
    await api.post("/clusters", {"id": "c1"})
    made = await api.post("/tokens", {"name": "in", "scopes": ["ingest"], "cluster_id": "c1"})
    source = api.as_(made.data["token"])

    posted = await source.post("/alerts/webhook", webhook(firing()))
    read = await source.get("/alerts")

    (alert,) = (await api.get("/alerts")).data
    assert (posted.status, read.status) == (200, 403)
    assert alert["labels"] == {"alertname": "HostDown", "cluster": "c1"}
    assert (await api.as_(None).post("/alerts/webhook", webhook(firing()))).status == 401


async def test_the_list_is_filtered_by_labels_and_fields(api: Api) -> None:
    ended = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    await api.post(
        "//api/v2/alerts",
        [
            {"labels": {"alertname": "a", "severity": "critical", "zone.a": "1"}},
            {"labels": {"alertname": "b", "severity": "warning"}},
            {"labels": {"alertname": "c", "severity": "warning"}, "endsAt": ended},
        ],
    )

    async def found(**query: Any) -> set[str]:
        answer = await api.get("/alerts", params=query)
        assert answer.status == 200, answer.body
        return ids(answer)

    assert await found(filter='severity="critical"') == {"a"}
    assert await found(filter='severity=~"warn.*|crit.*"') == {"a", "b", "c"}
    assert await found(filter=['severity="warning"', 'status!="resolved"']) == {"b"}
    assert await found(filter='missing=""') == {"a", "b", "c"}
    assert await found(filter='"zone.a"="1"') == {"a"}
    assert await found(q="WARNING") == {"b", "c"}
    assert await found(filter='status="resolved"') == {"c"}


async def test_the_list_is_paged_newest_first(api: Api) -> None:
    for name in "abcde":
        await api.post("/alerts/webhook", webhook(firing(name)))

    pages, cursor = [], None
    while True:
        answer = await api.get("/alerts", params={"limit": "2", **({"cursor": cursor} if cursor else {})})
        pages.append([alert["labels"]["alertname"] for alert in answer.data])
        cursor = answer.json["page"]["next_cursor"]
        if cursor is None:
            break

    assert pages == [["e", "d"], ["c", "b"], ["a"]]


async def test_the_timeline_has_every_transition_newest_first_and_is_paged(api: Api, service: Service) -> None:
    began = datetime.now(UTC) - timedelta(minutes=1)
    await api.post("//api/v2/alerts", [{"labels": {"alertname": "a"}, "startsAt": began.isoformat()}])
    ended = {"labels": {"alertname": "a"}, "startsAt": began.isoformat(), "endsAt": datetime.now(UTC).isoformat()}
    await api.post("//api/v2/alerts", [ended])
    path = f"/alerts/{fingerprint({'alertname': 'a'})}/timeline"

    whole = await api.get(path)
    first = await api.get(path, params={"limit": "1"})
    rest = await api.get(path, params={"limit": "500", "cursor": first.json["page"]["next_cursor"]})

    assert [event["kind"] for event in whole.data] == ["resolved", "firing"]
    assert ([*first.data, *rest.data], rest.json["page"]["next_cursor"]) == (whole.data, None)


NONSENSE = [{"cursor": "x"}, {"cursor": "0"}, {"cursor": str(2**63)}, {"limit": "0"}, {"sort": "at"}]


async def test_a_timeline_cannot_be_asked_for_nonsense(api: Api) -> None:
    await api.post("/alerts/webhook", webhook(firing("a")))

    for query in NONSENSE:
        answer = await api.get(f"/alerts/{fingerprint({'alertname': 'a'})}/timeline", params=query)
        assert answer.status == 400, query


async def test_an_alert_nobody_knows_is_a_404(api: Api) -> None:
    for path in ("/alerts/nope", "/alerts/nope/timeline"):
        assert (await api.get(path)).error["code"] == "alert.not_found"


async def test_a_resolved_alert_shows_when_it_ended(api: Api) -> None:
    ended = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
    await api.post("//api/v2/alerts", [{"labels": {"alertname": "a"}, "endsAt": ended.isoformat()}])

    alert = (await api.get(f"/alerts/{fingerprint({'alertname': 'a'})}")).data

    assert (alert["status"], datetime.fromisoformat(alert["ends_at"])) == ("resolved", ended)


async def test_the_facets_count_what_fires_and_fits(api: Api) -> None:
    ended = (datetime.now(UTC) - timedelta(minutes=1)).isoformat()
    await api.post(
        "//api/v2/alerts",
        [
            {"labels": {"alertname": "a", "severity": "critical", "team": "db"}},
            {"labels": {"alertname": "b", "severity": "warning", "team": "db"}},
            {"labels": {"alertname": "c", "severity": "warning"}},
            {"labels": {"alertname": "d", "severity": "critical"}, "endsAt": ended},
        ],
    )

    every = (await api.get("/alerts/facets", params={"by": "severity,team"})).data
    some = (await api.get("/alerts/facets", params={"by": "alertname", "filter": 'severity!="critical"'})).data
    none = (await api.get("/alerts/facets", params={"by": "team", "q": "nothing like it"})).data

    assert every == {
        "total": 3,
        "facets": {
            "severity": [{"value": "warning", "count": 2}, {"value": "critical", "count": 1}],
            "team": [{"value": "db", "count": 2}, {"value": "", "count": 1}],
        },
    }
    assert some == {"total": 2, "facets": {"alertname": [{"value": name, "count": 1} for name in "bc"]}}
    assert none == {"total": 0, "facets": {"team": []}}


async def test_a_facet_shows_its_fifty_most_frequent_values(api: Api) -> None:
    alerts = [{"labels": {"alertname": f"a{number % 60:02}", "n": str(number)}} for number in range(110)]
    await api.post("//api/v2/alerts", alerts)

    (values,) = (await api.get("/alerts/facets", params={"by": "alertname"})).data["facets"].values()

    assert [value["count"] for value in values] == [2] * 50
    assert [value["value"] for value in values] == [f"a{number:02}" for number in range(50)]


async def test_the_counts_tell_how_bad_it_is(api: Api) -> None:
    await api.post("//api/v2/alerts", [{"labels": {"alertname": name, "severity": "critical"}} for name in "ab"])
    await api.post("//api/v2/alerts", [{"labels": {"alertname": "c"}}])
    id = fingerprint({"alertname": "a", "severity": "critical"})
    await api.post(f"/alerts/{id}/ack")

    counts = await api.get("/alerts/counts")
    db = await api.get("/alerts/counts", params={"filter": 'severity="critical"'})

    assert counts.data == {"firing": 3, "acknowledged": 1, "severities": {"critical": 2, "": 1}}
    assert db.data == {"firing": 2, "acknowledged": 1, "severities": {"critical": 2}}


BAD_FACETS = [
    {},
    {"by": ""},
    {"by": "a,,b"},
    {"by": "a,a"},
    {"by": "a,b,c,d,e,f,g,h,i,j,k"},
    {"by": "a", "filter": "x"},
]


async def test_facets_cannot_be_asked_for_nonsense(api: Api) -> None:
    for query in BAD_FACETS:
        assert (await api.get("/alerts/facets", params=query)).status == 400, query


async def test_the_list_of_firing_alerts_is_filtered_sorted_and_paged_like_any_other(api: Api) -> None:
    now = datetime.now(UTC)
    for number, name in enumerate("abcde"):
        began = (now - timedelta(minutes=number)).isoformat()
        await api.post("//api/v2/alerts", [{"labels": {"alertname": name, "team": "db"}, "startsAt": began}])
    await api.post("//api/v2/alerts", [{"labels": {"alertname": "a", "team": "db"}, "endsAt": now.isoformat()}])
    await api.post(f"/alerts/{fingerprint({'alertname': 'c', 'team': 'db'})}/ack")

    async def names(**query: Any) -> list[str]:
        found, cursor = [], None
        while True:
            turn: dict[str, str] = {"cursor": cursor} if cursor else {}
            answer = await api.get("/alerts", params={"filter": 'status="firing"', "limit": "2", **query, **turn})
            assert answer.status == 200, answer.body
            found += [alert["labels"]["alertname"] for alert in answer.data]
            cursor = answer.json["page"]["next_cursor"]
            if cursor is None:
                return found

    firing = 'status = "firing"'
    assert await names() == ["e", "d", "c", "b"]
    assert await names(sort="starts_at") == ["e", "d", "c", "b"]
    assert await names(sort="-id") == sorted(await names(), key=lambda n: id_of(n), reverse=True)
    assert await names(filter=[firing, 'acknowledged="false"']) == ["e", "d", "b"]
    assert await names(filter=[firing, 'acknowledged_by="admin"', 'team="db"']) == ["c"]
    assert await names(filter=[firing, 'status="resolved"']) == []
    assert await names(filter=[firing, 'notification_status="pending"'], q="D") == ["e", "d", "c", "b"]


def id_of(name: str) -> str:
    return fingerprint({"alertname": name, "team": "db"})


async def test_an_alert_that_comes_and_goes_is_flapping(api: Api) -> None:
    now = datetime.now(UTC)

    async def turn(minutes: int) -> Any:
        began = (now - timedelta(minutes=minutes)).isoformat()
        ended = (now - timedelta(minutes=minutes, seconds=-10)).isoformat()
        posted = {"labels": {"alertname": "a"}, "startsAt": began}
        assert (await api.post("//api/v2/alerts", [posted])).status == 200
        (alert,) = (await api.get("/alerts")).data
        assert (await api.post("//api/v2/alerts", [{**posted, "endsAt": ended}])).status == 200
        return alert["flapping"], alert["episodes_last_hour"]

    assert [await turn(minutes) for minutes in (30, 20, 10)] == [(False, 1), (False, 2), (True, 3)]


async def test_both_doors_refuse_while_too_many_tasks_wait_and_open_again(database_url: str, redis_url: str) -> None:
    settings = make_settings(database_url, redis_url, queue={"max_depth": 100})
    doors = {"/alerts/webhook": webhook(firing()), "//api/v2/alerts": [{"labels": {"alertname": "HostDown"}}]}
    async with serving(settings) as (service, api):

        async def answers(status: int) -> list[Answer]:
            found = [await api.post(path, body) for path, body in doors.items()]
            return found if [answer.status for answer in found] == [status] * 2 else []

        async def refusals() -> list[Answer]:
            """The workers hear of a pause a moment later, and may have done everything by then."""
            async with service.parts.database.transaction() as transaction:
                left = await transaction.fetchval("SELECT count(*) FROM task_queue WHERE status = 'pending'")
                if left < 101:
                    tasks = [FLUSH.task(Flush(groups={})) for _ in range(101)]
                    await service.parts.producer.enqueue(transaction, *tasks)
            return await answers(503)

        await api.post("/queues/notification/pause")
        for refused in await until(refusals):
            assert refused.error["code"] == "queue.full"
            assert refused.error["message"].startswith("the queue notification is full: ")
            assert 1 <= int(refused.headers["Retry-After"]) <= 60
        assert 'alertagent_queue_full{queue="notification"} 1.0' in (await api.get("//metrics")).body.decode()

        await api.post("/queues/notification/resume")
        assert await until(lambda: answers(200))


@pytest.mark.parametrize("door", ["webhook", "api_v2"])
async def test_a_huge_post_of_wrong_alerts_leaves_the_loop_to_the_others(house: House, door: str) -> None:
    timeouts = Timeouts(resolve=timedelta(minutes=5), stale=timedelta(days=1))
    api = AlertsApi(
        house.parts.alerts, house.clock, timeouts, Counter("received", "", ["source", "status"], registry=None)
    )
    call = Call(request_id="r", trace="t", remote="192.0.2.1", principal=Principal(id="p", name="prometheus"))
    wrong: list[Any] = [{}] * 20_000
    body = json.dumps(webhook(*wrong) if door == "webhook" else wrong).encode() + b" " * LARGE_POST

    post = asyncio.create_task(getattr(api, door)(call, body))
    turns = 0
    while not post.done():
        await asyncio.sleep(0)
        turns += 1

    with pytest.raises(Invalid, match=r"Field required \(and \d+ more\)$"):
        await post
    assert turns > 100
