"""Whoever is assigned an alert is told by whom, and of its end, each once."""

from datetime import timedelta

import orjson
import pytest

from alertagent.core.alerts.actions import Action, Verb
from alertagent.core.alerts.model import Alert
from alertagent.core.audit.model import Actor
from alertagent.kernel.clock import rfc3339
from alertagent.queue.ledger import entry
from tests.core.alerts.house import House
from tests.core.notify.routed import route, silence
from tests.core.notify.test_ends import GONE, SETTINGS, awaited, statuses
from tests.core.notify.test_groups import add_channel, firing, messages, pass_time, resolved
from tests.core.notify.test_keeping import quiet
from tests.core.notify.test_routed_groups import tree
from tests.core.notify.test_users import own
from tests.support.pagers import PagerDutyEvents
from tests.support.sink import Sink

MINUTE = timedelta(minutes=1)
ANNA = Actor(name="anna")


@pytest.fixture
async def elsewhere(house: House, sink: Sink) -> None:
    """All alerts go to a channel that is nobody's."""
    await add_channel(house, sink, "ops", is_default=False)
    await route(house, tree(receiver="ops"))


async def assign(house: House, to: str | None, *alerts: Alert, by: str = "anna") -> None:
    action, actor = Action(verb=Verb.ASSIGN, assignee=to), Actor(name=by)
    await house.parts.handling.handle_all(actor, [alert.fingerprint for alert in alerts], action)
    await house.work()


async def test_an_assignee_is_told_on_every_enabled_channel_and_hears_the_end(
    house: House, sink: Sink, elsewhere: None
) -> None:
    await own(house, sink, "chat")
    await own(house, sink, "mail", min_severity="critical", quiet_hours=quiet(house, minutes=60))
    await own(house, sink, "old", enabled=False)
    await own(house, sink, "bobs", "bob")
    alert = await house.fire("A", severity="warning")
    await assign(house, "alice", alert)
    told = (messages(sink, "chat"), messages(sink, "mail"))
    await house.resolve("A", severity="warning")
    await pass_time(house, 2 * MINUTE)

    assert told == ([firing("A")], [firing("A")])
    assert messages(sink, "chat") == messages(sink, "mail") == [firing("A"), resolved("A")]
    assert messages(sink, "old") == messages(sink, "bobs") == []
    assert await awaited(house) == 0
    timeline = await house.parts.alerts.timeline(alert.fingerprint, before=None, limit=100)
    kinds = [event.kind for event in reversed(timeline)]
    assert kinds.index("assigned") < kinds.index("notification.assigned") < kinds.index("notification.sent")
    assert [event.detail for event in timeline if event.kind == "notification.assigned"] == [
        {"to": "alice", "channels": ["chat", "mail"]}
    ]


@pytest.mark.parametrize(
    ("language", "title"),
    [("en", "Assigned by anna: A (2)"), ("zh-CN", "anna 指派：A (2)"), (None, "anna 指派：A (2)")],
)
async def test_a_message_says_who_assigned_in_the_language_of_the_channel(
    house: House, sink: Sink, elsewhere: None, language: str | None, title: str
) -> None:
    config = {"webhook_url": f"{sink.origin}/room?access_token=x"}
    await own(house, sink, "room", plugin_name="dingtalk", config=config, language=language)
    alerts = [await house.fire("A", instance=name) for name in "12"]

    await assign(house, "alice", *alerts, by="anna (abcd2345)")

    (request,) = [request for request in sink.requests if request.target.startswith("/room")]
    assert title in orjson.loads(request.body)["markdown"]["title"]


@pytest.mark.parametrize("by", ["alice", "alice (abcd2345)"])
async def test_who_takes_an_alert_over_is_not_told(house: House, sink: Sink, elsewhere: None, by: str) -> None:
    await own(house, sink, "chat")

    await assign(house, "alice", await house.fire("A"), by=by)

    assert messages(sink, "chat") == []


async def test_what_is_over_is_assigned_in_silence(house: House, sink: Sink, elsewhere: None) -> None:
    await own(house, sink, "chat")
    over = await house.fire("A")
    await house.resolve("A")

    await assign(house, "alice", over, await house.fire("B"))

    assert messages(sink, "chat") == [firing("B")]
    assert (await house.parts.alerts.get(over.fingerprint)).assigned_to == "alice"


async def test_each_assignment_is_told_once_and_a_new_assignee_as_well(
    house: House, sink: Sink, elsewhere: None
) -> None:
    await own(house, sink, "chat")
    await own(house, sink, "bobs", "bob")
    alert = await house.fire("A")
    for name in ("alice", "alice", "nobody-with-a-channel", None, "bob"):
        await assign(house, name, alert)
    for row in await house.database.fetch("SELECT * FROM task_queue WHERE task_type IN ('deliver', 'dispatch')"):
        await house.run(entry(row).as_task())
    await house.resolve("A")
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "chat") == messages(sink, "bobs") == [firing("A"), resolved("A")]


async def test_a_new_episode_begins_with_nobody_who_was_told(house: House, sink: Sink, elsewhere: None) -> None:
    await own(house, sink, "chat")
    await assign(house, "alice", await house.fire("A"))
    await house.resolve("A")
    await pass_time(house, 2 * MINUTE)
    again = await house.fire("A")
    await pass_time(house, 2 * MINUTE)
    between = messages(sink, "chat")

    await assign(house, "alice", again)

    assert (between, messages(sink, "chat")[2:]) == ([firing("A"), resolved("A")], [firing("A")])


async def test_an_assignee_whom_a_group_tells_hears_the_end_from_it_alone(house: House, sink: Sink) -> None:
    await own(house, sink, "chat")
    await route(house, tree(receiver="user:alice"))
    alert = await house.fire("A")
    await pass_time(house, MINUTE)
    await assign(house, "alice", alert)
    await house.resolve("A")
    await pass_time(house, 2 * MINUTE)

    assert messages(sink, "chat") == [firing("A"), firing("A"), resolved("A")]
    assert await awaited(house) == 0


@pytest.mark.parametrize("reason", ["wants no ends", "told too late", "held back"])
async def test_an_assignee_behind_a_route_that_says_nothing_of_the_end_hears_it(
    house: House, sink: Sink, reason: str
) -> None:
    await own(house, sink, "chat")
    await own(house, sink, "mail", min_severity="critical")
    quietly = [{"name": "user:alice", "send_resolved": reason != "wants no ends"}]
    await route(house, tree(receiver="user:alice", group_wait="10m"), receivers=quietly)
    if reason == "held back":
        await silence(house, 'alertname="A"', minutes=60)
    alert = await house.fire("A", severity="warning")
    await pass_time(house, MINUTE if reason == "told too late" else 11 * MINUTE)
    before = messages(sink, "chat")
    await assign(house, "alice", alert)
    await house.resolve("A", severity="warning")
    await pass_time(house, 20 * MINUTE)

    assert before == ([firing("A")] if reason == "wants no ends" else [])
    assert messages(sink, "chat") == [*before, firing("A"), resolved("A")]
    assert messages(sink, "mail") == [firing("A"), resolved("A")]


async def test_an_incident_of_an_assignment_is_closed_though_a_group_has_its_own(house: House, sink: Sink) -> None:
    async with PagerDutyEvents() as pager:
        config = {**SETTINGS["pagerduty"], "base_url": pager.origin}
        await own(house, sink, "pager", plugin_name="pagerduty", config=config)
        await route(house, tree(receiver="user:alice"))
        alert = await house.fire("A")
        await pass_time(house, MINUTE)
        await assign(house, "alice", alert)
        open_ones = len(pager.incidents)
        await house.resolve("A")
        await pass_time(house, 2 * MINUTE)

    assert (open_ones, pager.incidents) == (2, {})


async def test_a_fallback_is_told_who_assigned(house: House, sink: Sink, elsewhere: None) -> None:
    await own(house, sink, "chat", fallback=("ops",))
    alert = await house.fire("A")
    await pass_time(house, MINUTE)
    sink.answer_next(GONE)
    await assign(house, "alice", alert)
    await house.resolve("A")
    await pass_time(house, 2 * MINUTE)

    assert await statuses(house, "chat") == ["failed"]
    rows = await house.database.fetch("SELECT receiver, assigned_by FROM notification_deliveries ORDER BY created_at")
    assert [row["assigned_by"] for row in rows if row["receiver"] == "assignment"][:2] == ["anna", "anna"]
    assert await awaited(house) == 0


async def test_many_alerts_that_are_assigned_together_are_one_message(
    house: House, sink: Sink, elsewhere: None
) -> None:
    await own(house, sink, "chat")
    ends_at = rfc3339(house.clock.now() + timedelta(days=1))
    await house.post(*({"labels": {"alertname": "A", "instance": name}, "endsAt": ends_at} for name in "123"))

    await house.parts.handling.handle_matching(ANNA, ['alertname="A"'], Action(verb=Verb.ASSIGN, assignee="alice"))
    await house.work()

    assert messages(sink, "chat") == [firing("1", "2", "3")]
