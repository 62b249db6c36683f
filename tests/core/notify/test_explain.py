"""Why was nobody paged? Each answer beside what really happens."""

from datetime import timedelta

import pytest

from alertagent.core.alerts.actions import Action, Verb
from alertagent.kernel.clock import rfc3339
from alertagent.kernel.errors import NotFound
from tests.core.alerts.house import House
from tests.core.notify.routed import route, silence
from tests.core.notify.test_groups import ANNA, add_channel, pass_time
from tests.core.notify.test_routed_groups import INHIBITION, tree
from tests.support.service import Api
from tests.support.sink import Answer, Sink


async def why(house: House, **labels: str) -> list[str]:
    explanation = await house.parts.explanations.of_labels(labels)
    return [answer.partition('leads to receiver "')[2].partition('"')[2].lstrip(", ") for answer in explanation.answers]


async def test_an_alert_that_does_not_exist_would_be_told(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "one", is_default=False)
    await route(house, tree({"matchers": ['team="db"'], "group_by": ["..."]}))

    explanation = await house.parts.explanations.of_labels({"alertname": "A", "team": "db"})

    (path,) = explanation.paths
    assert (explanation.alert, path.group) == (None, None)
    assert path.key == '{}/{team="db"}:{alertname="A", team="db"}'
    assert explanation.answers == ('route {}/{team="db"} leads to receiver "one", channel one: it would be told',)


async def test_what_a_channel_knows_of_an_alert(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "one", is_default=False)
    await route(house, tree(group_wait="30s"))
    alert = await house.fire("A")
    await house.work()
    due = rfc3339(house.clock.now() + timedelta(seconds=30))
    assert await why(house, alertname="A") == [f"channel one: it will be told when the group is looked at, at {due}"]

    await pass_time(house, timedelta(seconds=30))
    told, again = rfc3339(house.clock.now()), rfc3339(house.clock.now() + timedelta(hours=4))
    repeated = f"channel one: it was told at {told}, and is told again at {again} (repeat_interval 4h)"
    assert await why(house, alertname="A") == [repeated]

    await house.parts.handling.handle(ANNA, alert.fingerprint, Action(verb=Verb.ACK))
    acknowledged = f"channel one: it was told at {told}, and is not told again, because anna acknowledged the alert"
    assert await why(house, alertname="A") == [acknowledged]

    await house.resolve("A")
    await house.work()
    assert await why(house, alertname="A") == [
        f"channel one: it was told at {told}, and hears of the end when the group is looked at next"
    ]


async def test_what_is_wrong_with_a_channel(house: House, sink: Sink) -> None:
    for name in ("off", "away", "refusing"):
        await add_channel(house, sink, name, is_default=False)
    off = (await house.parts.channels.named(["off"]))["off"]
    await house.parts.channels.revise(ANNA, off.id, {"enabled": False}, None)
    names = ["off", "away", "refusing"]
    await route(house, tree(receiver="all"), receivers=[{"name": "all", "channels": names}])
    sink.answer_next(Answer(status=503), Answer(status=400))
    await house.fire("A")

    await house.work()

    states = dict(answer.removeprefix("channel ").split(": ", 1) for answer in await why(house, alertname="A"))
    assert states.pop("off") == "it is switched off, or its plugin is"
    assert sorted(states.values()) == [
        "a message is on its way or is being tried again",
        "the last message failed for good; its deliveries tell why, and a change of the channel tries again",
    ]


async def test_all_that_holds_an_alert_back_is_told_at_once(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "one", is_default=False)
    never = {"name": "never", "time_intervals": [{"years": ["1999"]}]}
    await route(
        house,
        tree({"active_time_intervals": ["never"]}),
        inhibit_rules=[INHIBITION],
        time_intervals=[never],
    )
    id = await silence(house, 'alertname="A"', minutes=5)
    until = rfc3339(house.clock.now() + timedelta(minutes=5))
    source = await house.fire("B", severity="critical")
    await house.fire("A", severity="warning")
    await house.work()

    held, channel = await why(house, alertname="A", severity="warning")

    assert held == (
        f"but the alert is held back: silenced by {id} (anna until {until}: quiet); inhibited by the "
        f'firing alert {source.fingerprint} (alertname="B", severity="critical"); '
        "the route is active only in the time interval never, which is not now"
    )
    assert channel == "channel one: it is not told while that lasts"
    unheard_of = await why(house, alertname="A", severity="none")
    assert unheard_of[-1] == "channel one: it would not be told while that lasts"


async def test_who_was_told_before_a_silence_hears_nothing_more(house: House, sink: Sink) -> None:
    await add_channel(house, sink, "one", is_default=False)
    await route(house, tree())
    await house.fire("A")
    await house.work()
    told = rfc3339(house.clock.now())

    await silence(house, 'alertname="A"', minutes=5)

    assert (await why(house, alertname="A"))[-1] == (
        f"channel one: it was told at {told}, and hears nothing more while that lasts"
    )


async def test_nobody_behind_a_receiver(house: House, sink: Sink) -> None:
    await route(house, tree(receiver="nobody"), receivers=[{"name": "nobody", "channels": []}])

    assert await why(house, alertname="A") == ["behind which there is no channel: nobody is told"]


async def test_an_unknown_alert_cannot_be_explained(house: House) -> None:
    with pytest.raises(NotFound):
        await house.parts.explanations.of_alert("0" * 16)


async def test_an_explanation_over_http(api: Api) -> None:
    answer = await api.post("/routing/explain", {"labels": {"alertname": "A", "empty": ""}})

    assert answer.status == 200
    assert answer.data["labels"] == {"alertname": "A"}
    assert (answer.data["alert"], answer.data["revision"]) == (None, 0)
    (path,) = answer.data["routes"]
    assert path["route"]["receiver"] == "default"
    assert path["route"]["group_wait"] == "10s"
    assert path["group"] == {
        "key": 'default:{alertname="A"}',
        "labels": {"alertname": "A"},
        "exists": False,
        "next_look": None,
    }
    assert answer.data["answers"] == [
        'route default leads to receiver "default", behind which there is no channel: nobody is told'
    ]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"labels": {}},
        {"labels": {"a": 1}},
        {"labels": {"a": "\x00"}},
        {"labels": {"a": "1"}, "alert": "x"},
        {"alert": ""},
        {"labels": {"a": "1"}, "more": 1},
        [],
    ],
)
async def test_a_question_that_makes_no_sense(api: Api, body: object) -> None:
    assert (await api.post("/routing/explain", body)).status == 400


async def test_an_alert_that_nobody_knows(api: Api) -> None:
    assert (await api.post("/routing/explain", {"alert": "0" * 16})).status == 404
