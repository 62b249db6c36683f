"""Silences over HTTP."""

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.service import Api

REPAIR = {"matchers": ['alertname="DiskFull"'], "duration": "2h", "comment": "repair"}

SUNDAYS = {"rrule": "FREQ=WEEKLY;BYDAY=SU;BYHOUR=2", "timezone": "Asia/Shanghai", "duration": "2h"}
RECURRING = {"matchers": ['alertname="DiskFull"'], "comment": "backup", "recurrence": SUNDAYS}


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


async def test_a_silence_is_made_read_changed_and_ended(api: Api) -> None:
    made = await api.post("/silences", REPAIR)
    path = f"/silences/{made.data['id']}"
    read = await api.get(path, headers={"If-None-Match": made.headers["ETag"]})
    longer = await api.put(path, {"duration": "3h"}, headers={"If-Match": made.headers["ETag"]})
    stale = await api.delete(path, headers={"If-Match": made.headers["ETag"]})
    ended = await api.delete(path)
    again = await api.delete(path)
    late = await api.put(path, {"duration": "3h"})
    expired = await api.get("/silences", params={"filter": 'state="expired"', "q": "diskfull"})

    assert (made.status, made.data["state"], made.data["matchers"]) == (201, "active", ['alertname="DiskFull"'])
    assert made.data["created_by"] == "admin"
    assert moment(made.data["ends_at"]) - moment(made.data["starts_at"]) == timedelta(hours=2)
    assert (read.status, longer.status, longer.data["id"]) == (304, 200, made.data["id"])
    assert moment(longer.data["ends_at"]) - moment(longer.data["updated_at"]) == timedelta(hours=3)
    assert (stale.status, ended.status, again.status) == (412, 204, 204)
    assert (late.status, late.error["code"]) == (409, "silence.expired")
    assert [each["state"] for each in expired.data] == ["expired"]


async def test_other_matchers_make_a_new_silence(api: Api) -> None:
    old = (await api.post("/silences", REPAIR)).data
    new = (await api.put(f"/silences/{old['id']}", {"matchers": ['alertname="Other"']})).data

    assert new["id"] != old["id"]
    assert (new["state"], new["ends_at"], new["comment"]) == ("active", old["ends_at"], "repair")
    assert (await api.get(f"/silences/{old['id']}")).data["state"] == "expired"


async def test_matchers_come_in_both_forms(api: Api) -> None:
    forms = ['a="b"', {"name": "c", "value": "d|e", "isRegex": True}, {"name": "f", "value": "", "isEqual": False}]

    made = await api.post("/silences", {**REPAIR, "matchers": forms, "created_by": " ben "})

    assert made.data["matchers"] == ['a="b"', 'c=~"d|e"', 'f!=""']
    assert made.data["created_by"] == "ben"


async def test_times_are_those_that_were_asked_for(api: Api) -> None:
    start = datetime.now(UTC) + timedelta(days=1)
    times = {"starts_at": start.isoformat(), "ends_at": (start + timedelta(hours=1)).isoformat()}
    body = {name: value for name, value in REPAIR.items() if name != "duration"}

    made = (await api.post("/silences", {**body, **times})).data

    assert (moment(made["starts_at"]), made["state"]) == (start, "pending")


async def test_a_mistake_has_its_place(api: Api) -> None:
    mistakes: list[tuple[dict[str, Any], list[Any]]] = [
        ({"matchers": ["alertname"]}, ["matchers", 0]),
        ({"matchers": ['a=~"("']}, ["matchers", 0]),
        ({"matchers": [{"name": "a", "value": "(", "isRegex": True}]}, ["matchers", 0]),
        ({"matchers": ['a=""']}, ["matchers"]),
        ({"matchers": ['alertname=~".+"']}, ["matchers"]),
        ({"duration": None}, ["ends_at"]),
        ({"duration": "0"}, ["duration"]),
        ({"duration": None, "ends_at": "2020-01-01T00:00:00Z"}, ["ends_at"]),
        ({"duration": None, "ends_at": "2100-01-01T00:00:00Z"}, ["ends_at"]),
        ({"duration": "100y"}, ["ends_at"]),
        ({"comment": "  "}, ["comment"]),
        ({"recurrence": {**SUNDAYS, "rrule": "FREQ=DAILY;COUNT=2"}}, ["recurrence", "rrule"]),
        ({"recurrence": {**SUNDAYS, "rrule": "FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30"}}, ["recurrence", "rrule"]),
        ({"recurrence": {**SUNDAYS, "timezone": "Mars/Olympus"}}, ["recurrence", "timezone"]),
    ]

    for change, place in mistakes:
        answer = await api.post("/silences", {**REPAIR, **change})
        assert (answer.status, answer.error["details"][0]["loc"][: len(place)]) == (400, place), change


async def test_a_maintenance_window_shows_when_it_comes_next(api: Api) -> None:
    made = await api.post("/silences", RECURRING)
    path = f"/silences/{made.data['id']}"
    recurrence = made.data["recurrence"]
    kept = await api.put(path, {"recurrence": {name: recurrence[name] for name in (*SUNDAYS, "dtstart")}})
    cleared = await api.put(path, {"recurrence": None})
    ended = await api.put(path, {"recurrence": None, "duration": "1h"})

    assert (made.status, made.data["ends_at"]) == (201, "2100-01-01T00:00:00Z")
    begins = moment(recurrence["next"]["starts_at"])
    assert (begins.weekday(), begins.hour, begins.minute) == (5, 18, 0)
    assert moment(recurrence["next"]["ends_at"]) - begins == timedelta(hours=2)
    assert made.headers["ETag"] == f'"1-{made.data["state"]}_{int(begins.timestamp())}"'
    assert {name: recurrence[name] for name in SUNDAYS} == SUNDAYS
    assert (kept.data["id"], kept.headers["ETag"]) == (made.data["id"], made.headers["ETag"])
    assert (cleared.status, cleared.error["details"][0]["loc"]) == (400, ["ends_at"])
    assert (ended.data["recurrence"], ended.data["state"]) == (None, "active")


async def test_a_maintenance_window_counts_from_its_start(api: Api) -> None:
    start = (datetime.now(UTC) + timedelta(days=1)).replace(hour=9, minute=30, second=0, microsecond=0)
    weekly = {**SUNDAYS, "rrule": "FREQ=WEEKLY", "timezone": "UTC"}

    made = await api.post("/silences", {**RECURRING, "starts_at": start.isoformat(), "recurrence": weekly})

    assert made.data["state"] == "pending"
    assert moment(made.data["recurrence"]["dtstart"]) == start
    assert moment(made.data["recurrence"]["next"]["starts_at"]) == start
    assert made.data["recurrence"]["current"] is None


async def test_a_window_that_is_open_is_shown(api: Api) -> None:
    hourly = {"rrule": "FREQ=HOURLY", "timezone": "UTC", "duration": "1h"}

    made = await api.post("/silences", {**RECURRING, "recurrence": hourly})

    assert made.data["state"] == "active"
    assert made.data["recurrence"]["current"]["starts_at"] == made.data["starts_at"]


async def test_one_that_mutes_everything_must_be_meant(api: Api) -> None:
    refused = await api.post("/silences", {**REPAIR, "matchers": ['alertname=~".+"']})
    made = await api.post("/silences", {**REPAIR, "matchers": ['alertname=~".+"'], "mute_all": True})

    assert (refused.status, refused.error["code"]) == (400, "silence.mutes_everything")
    assert made.status == 201


async def test_a_preview_shows_the_alerts_and_the_silences_there_are(api: Api) -> None:
    await api.post("//api/v2/alerts", [{"labels": {"alertname": "DiskFull", "instance": str(n)}} for n in range(3)])
    silence = (await api.post("/silences", {**REPAIR, "matchers": ['instance="1"']})).data

    found = (await api.post("/silences/preview", {"matchers": ['alertname="DiskFull"', 'instance=~"1|2"']})).data

    assert (found["total"], found["firing"]) == (2, 3)
    assert {alert["labels"]["instance"] for alert in found["alerts"]} == {"1", "2"}
    assert [each["id"] for each in found["overlaps"]] == [silence["id"]]
    assert (await api.get(f"/alerts/{found['alerts'][0]['id']}")).status == 200
