"""What the owner of a channel sets, over HTTP."""

from typing import Any

import pytest

from tests.core.notify.test_api import add
from tests.support.service import Api

NIGHT = {"start": "22:00", "end": "07:00"}


def quiet(*windows: Any, **fields: Any) -> dict[str, Any]:
    return {"time_zone": "Europe/Berlin", "windows": list(windows or (NIGHT,)), **fields}


async def test_settings_are_kept_changed_and_taken_away(api: Api) -> None:
    hours = quiet({**NIGHT, "days": ["friday", "saturday"]}, {"start": "00:00", "end": "24:00"})
    plain = await add(api, "plain")
    made = await add(api, min_severity="warning", quiet_hours={**hours, "except_severity": "critical"})
    path = f"/channels/{made['id']}"

    unchanged = await api.put(path, {"name": "ops", "quiet_hours": made["quiet_hours"]})
    changed = await api.put(path, {"min_severity": "critical"})
    cleared = await api.put(path, {"min_severity": None, "quiet_hours": None})

    assert (plain["min_severity"], plain["quiet_hours"]) == (None, None)
    assert made["min_severity"] == "warning"
    assert made["quiet_hours"] == {
        "time_zone": "Europe/Berlin",
        "windows": [{**NIGHT, "days": ["friday", "saturday"]}, {"start": "00:00", "end": "24:00", "days": []}],
        "except_severity": "critical",
    }
    assert unchanged.headers["ETag"] == '"1"'
    assert (changed.data["min_severity"], changed.data["quiet_hours"]) == ("critical", made["quiet_hours"])
    assert (cleared.data["min_severity"], cleared.data["quiet_hours"]) == (None, None)


async def test_a_user_may_have_several_channels_of_a_plugin(api: Api) -> None:
    for name, user in (("a", "alice"), ("b", "alice"), ("c", "bob"), ("d", None)):
        await add(api, name, user_id=user)

    found = await api.get("/channels", params={"filter": 'user_id="alice"'})
    rest = await api.get("/channels", params={"filter": 'user_id!="alice"'})

    assert [channel["name"] for channel in found.data] == ["a", "b"]
    assert [channel["name"] for channel in rest.data] == ["c", "d"]


BAD: list[tuple[str, Any, list[Any]]] = [
    ("min_severity", "error", ["min_severity"]),
    ("min_severity", "Warning", ["min_severity"]),
    ("min_severity", 1, ["min_severity"]),
    ("quiet_hours", "22:00", ["quiet_hours"]),
    ("quiet_hours", {}, ["quiet_hours", "time_zone"]),
    ("quiet_hours", quiet(time_zone="Europe/Atlantis"), ["quiet_hours", "time_zone"]),
    ("quiet_hours", quiet(time_zone="../../etc/passwd"), ["quiet_hours", "time_zone"]),
    ("quiet_hours", quiet(time_zone="Local"), ["quiet_hours", "time_zone"]),
    ("quiet_hours", quiet(time_zone=""), ["quiet_hours", "time_zone"]),
    ("quiet_hours", quiet(time_zone="x" * 101), ["quiet_hours", "time_zone"]),
    ("quiet_hours", {"time_zone": "UTC", "windows": []}, ["quiet_hours", "windows"]),
    ("quiet_hours", quiet(*[NIGHT] * 9), ["quiet_hours", "windows"]),
    ("quiet_hours", quiet({"start": "22:00", "end": "22:00"}), ["quiet_hours", "windows", 0]),
    ("quiet_hours", quiet({"start": "25:00", "end": "07:00"}), ["quiet_hours", "windows", 0, "start"]),
    ("quiet_hours", quiet({"start": "24:00", "end": "07:00"}), ["quiet_hours", "windows", 0, "start"]),
    ("quiet_hours", quiet({"start": "7:00", "end": "08:00"}), ["quiet_hours", "windows", 0, "start"]),
    ("quiet_hours", quiet({"start": "22:00", "end": "07:60"}), ["quiet_hours", "windows", 0, "end"]),
    ("quiet_hours", quiet({"start": "22:00", "end": "٠٧:٠٠"}), ["quiet_hours", "windows", 0, "end"]),
    ("quiet_hours", quiet({"start": "22:00", "end": 7}), ["quiet_hours", "windows", 0, "end"]),
    ("quiet_hours", quiet({"start": "22:00\n", "end": "07:00"}), ["quiet_hours", "windows", 0, "start"]),
    ("quiet_hours", quiet({"start": "22:00"}), ["quiet_hours", "windows", 0, "end"]),
    ("quiet_hours", quiet({**NIGHT, "days": ["fryday"]}), ["quiet_hours", "windows", 0, "days", 0]),
    ("quiet_hours", quiet({**NIGHT, "days": "friday"}), ["quiet_hours", "windows", 0, "days"]),
    ("quiet_hours", quiet({**NIGHT, "days": ["friday"] * 8}), ["quiet_hours", "windows", 0, "days"]),
    ("quiet_hours", quiet({**NIGHT, "day": ["friday"]}), ["quiet_hours", "windows", 0, "day"]),
    ("quiet_hours", quiet(except_severity="info"), ["quiet_hours", "except_severity"]),
    ("quiet_hours", quiet(zone="UTC"), ["quiet_hours", "zone"]),
]


@pytest.mark.parametrize("method", ["POST", "PUT"])
async def test_a_bad_setting_is_refused_with_its_place(api: Api, method: str) -> None:
    made = await add(api)
    for name, value, loc in BAD:
        if method == "POST":
            answer = await api.post("/channels", {"name": "other", "plugin_name": "console", name: value})
        else:
            answer = await api.put(f"/channels/{made['id']}", {name: value})

        assert answer.status == 400, (name, value, answer.body)
        assert answer.error["details"][0]["loc"] == loc, (name, value, answer.error)
    assert [channel["name"] for channel in (await api.get("/channels")).data] == ["ops"]
