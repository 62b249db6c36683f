"""Heartbeats over HTTP."""

from datetime import datetime

from tests.core.alerts.house import until
from tests.support.service import Api

WATCHDOG = {"name": "prod", "matchers": ['alertname="Watchdog"'], "interval": "10m"}


async def test_a_heartbeat_is_made_read_changed_and_deleted(api: Api) -> None:
    made = await api.post("/heartbeats", {**WATCHDOG, "labels": {"team": "db"}})
    path = f"/heartbeats/{made.data['id']}"
    revised = await api.put(path, {"interval": "1h"}, headers={"If-Match": made.headers["ETag"]})
    stale = await api.put(path, {"interval": "2h"}, headers={"If-Match": made.headers["ETag"]})
    listed = await api.get("/heartbeats", params={"q": "watchdog"})
    gone = await api.delete(path)

    assert (made.status, made.data["state"], made.data["interval"]) == (201, "waiting", "10m")
    assert datetime.fromisoformat(made.data["due_at"]) > datetime.fromisoformat(made.data["created_at"])
    assert (revised.data["interval"], revised.data["labels"], stale.status) == ("1h", {"team": "db"}, 412)
    assert [each["name"] for each in listed.data] == ["prod"]
    assert (gone.status, (await api.get(path)).status) == (204, 404)


async def test_a_mistake_has_its_place(api: Api) -> None:
    for change, place in (
        ({"matchers": ["alertname"]}, ["matchers", 0]),
        ({"matchers": ['alertname=~".*"']}, ["matchers"]),
        ({"labels": {"heartbeat": "x"}}, ["labels", "heartbeat"]),
        ({"interval": "1s"}, ["interval"]),
        ({"interval": 600}, ["interval"]),
    ):
        answer = await api.post("/heartbeats", {**WATCHDOG, **change})
        assert (answer.status, answer.error["details"][0]["loc"]) == (400, place), change
    await api.post("/heartbeats", WATCHDOG)
    assert (await api.post("/heartbeats", WATCHDOG)).error["code"] == "heartbeat.exists"


async def test_a_beat_is_noticed_while_the_service_runs(api: Api) -> None:
    id = (await api.post("/heartbeats", WATCHDOG)).data["id"]
    await api.post("//api/v2/alerts", [{"labels": {"alertname": "Watchdog"}}])

    async def beats() -> bool:
        return bool((await api.get(f"/heartbeats/{id}")).data["state"] == "beating")

    await until(beats, timeout=40)
