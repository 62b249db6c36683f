"""What people do with alerts, over HTTP."""

from typing import Any

from alertagent.kernel.labels import fingerprint
from tests.core.alerts.test_api import firing, webhook
from tests.support.service import Api


async def fired(api: Api, name: str = "HostDown", **labels: str) -> str:
    await api.post("/alerts/webhook", webhook(firing(name, **labels)))
    return fingerprint({"alertname": name, **labels})


async def test_the_answer_to_an_action_is_the_alert_as_it_is_now(api: Api) -> None:
    id = await fired(api)

    acknowledged = await api.post(f"/alerts/{id}/ack")
    assigned = await api.post(f"/alerts/{id}/assign", {"to": "bob", "comment": "yours"})
    unassigned = await api.post(f"/alerts/{id}/assign", {"to": None})
    back = await api.post(f"/alerts/{id}/unack")
    ended = await api.post(f"/alerts/{id}/resolve", {"comment": "done"})

    answers = (acknowledged, assigned, unassigned, back, ended)
    assert [answer.status for answer in answers] == [200] * 5
    assert [answer.data["acknowledged_by"] for answer in answers] == ["admin"] * 3 + [None] * 2
    assert [answer.data["assigned_to"] for answer in answers] == [None, "bob", None, None, None]
    assert (ended.data["status"], ended.data["ends_at"] is not None) == ("resolved", True)


async def test_a_comment_stands_in_the_timeline(api: Api) -> None:
    id = await fired(api)

    answer = await api.post(f"/alerts/{id}/comment", {"comment": "@所有人 <b>look</b>"})

    event = (await api.get(f"/alerts/{id}/timeline")).data[0]
    assert answer.status == 200
    assert (event["kind"], event["actor"], event["detail"]) == (
        "commented",
        "admin",
        {"comment": "@所有人 <b>look</b>"},
    )


async def test_what_is_over_cannot_be_acknowledged(api: Api) -> None:
    id = await fired(api)
    await api.post(f"/alerts/{id}/resolve")

    answer = await api.post(f"/alerts/{id}/ack")

    assert (answer.status, answer.error["code"]) == (409, "alert.not_firing")
    assert (await api.post("/alerts/none/ack")).error["code"] == "alert.not_found"


async def test_many_alerts_are_handled_by_name_or_by_filter(api: Api) -> None:
    a, b = await fired(api, "a", team="db"), await fired(api, "b", team="db")
    await fired(api, "c", team="web")

    by_name = await api.post("/alerts/bulk", {"action": "ack", "ids": [a, "none"]})
    by_filter = await api.post("/alerts/bulk", {"action": "ack", "filter": ['team="db"'], "comment": "mine"})

    assert (by_name.data["done"], by_name.data["unchanged"]) == (1, 0)
    assert by_name.data["failed"] == [{"id": "none", "message": "there is no such alert"}]
    assert by_filter.data == {"done": 1, "unchanged": 1, "failed": []}
    listed = await api.get("/alerts", params={"filter": 'acknowledged_by="admin"'})
    assert {alert["id"] for alert in listed.data} == {a, b}


BAD_BULKS: list[tuple[dict[str, Any], str]] = [
    ({}, "action"),
    ({"action": "ack"}, "either"),
    ({"action": "ack", "ids": ["a"], "filter": ['a="b"']}, "either"),
    ({"action": "ack", "ids": []}, "ids"),
    ({"action": "ack", "ids": ["a"] * 10_001}, "ids"),
    ({"action": "ack", "filter": []}, "filter"),
    ({"action": "ack", "filter": ["a"]}, "matcher"),
    ({"action": "ack", "filter": ['a=~"("']}, "regular expression"),
    ({"action": "comment", "ids": ["a"]}, "comment"),
    ({"action": "assign", "ids": ["a"]}, "to"),
    ({"action": "delete", "ids": ["a"]}, "action"),
]


async def test_a_bulk_that_does_not_say_what_to_do_with_which_is_a_400(api: Api) -> None:
    for body, named in BAD_BULKS:
        answer = await api.post("/alerts/bulk", body)
        assert (answer.status, named in answer.body.decode()) == (400, True), (body, answer.body)
