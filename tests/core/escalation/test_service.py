"""Escalation over time: the clock is moved by hand, and the tasks that are due run then."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import orjson
import pytest

from alertagent.core.alerts.actions import Action, Verb
from alertagent.core.alerts.model import Alert
from alertagent.core.audit.model import Actor
from alertagent.core.escalation.model import EscalationRule
from alertagent.kernel.errors import Invalid, Stale
from alertagent.kernel.labels import fingerprint
from alertagent.queue.ledger import entry
from tests.core.alerts.house import House
from tests.core.notify.routed import route, silence
from tests.core.notify.test_groups import add_channel, pass_time
from tests.support.sink import Sink

ANNA = Actor(name="anna")


def rule(after: int, *channels: str, fits: str = 'severity="critical"') -> EscalationRule:
    return EscalationRule(matchers=(fits,), after=timedelta(minutes=after), channels=channels)


async def set_up(house: House, sink: Sink, *rules: EscalationRule) -> None:
    """Channels `first`, which hears of everything, and `second` and `third`, which hear by escalation only."""
    await add_channel(house, sink, "first")
    for name in ("second", "third"):
        await add_channel(house, sink, name, is_default=False)
    await house.parts.escalations.replace(ANNA, rules or (rule(15, "second"), rule(30, "third")), None)


@dataclass(frozen=True)
class Heard:
    receiver: str
    alerts: tuple[str, ...]


def heard(sink: Sink, channel: str) -> list[Heard]:
    found = []
    for request in sink.requests:
        if request.target == f"/{channel}":
            body = orjson.loads(request.body)
            names = tuple(sorted(alert["labels"]["alertname"] for alert in body["alerts"]))
            found.append(Heard(body["receiver"], names))
    return found


async def minutes(house: House, count: int) -> None:
    await pass_time(house, timedelta(minutes=count), timedelta(seconds=30))


async def fire(house: House, name: str = "a", severity: str = "critical") -> Alert:
    alert = await house.fire(name, severity=severity)
    await house.work()
    return alert


async def act(house: House, verb: Verb, alert: Alert) -> None:
    await house.parts.handling.handle(ANNA, alert.fingerprint, Action(verb=verb))


def names(found: Sequence[Heard]) -> list[tuple[str, ...]]:
    return [each.alerts for each in found]


async def test_an_alert_that_nobody_acknowledges_reaches_one_channel_after_the_other_once(
    house: House, sink: Sink
) -> None:
    await set_up(house, sink)
    alert = await fire(house)
    await minutes(house, 14)
    before = heard(sink, "second")
    await minutes(house, 2)
    after_15 = (names(heard(sink, "second")), names(heard(sink, "third")))
    await minutes(house, 60)

    assert (before, after_15) == ([], ([("a",)], []))
    assert (names(heard(sink, "second")), names(heard(sink, "third"))) == ([("a",)], [("a",)])
    assert heard(sink, "second")[0].receiver == "escalation"
    events = await house.parts.alerts.timeline(alert.fingerprint, before=None, limit=100)
    assert [event.detail["channel"] for event in reversed(events) if event.kind == "escalated"] == ["second", "third"]


@pytest.mark.parametrize("verb", [Verb.ACK, Verb.RESOLVE])
async def test_whoever_moves_in_time_spares_the_others(house: House, sink: Sink, verb: Verb) -> None:
    await set_up(house, sink)
    alert = await fire(house)
    await minutes(house, 14)

    await act(house, verb, alert)
    await minutes(house, 60)

    assert heard(sink, "second") == heard(sink, "third") == []


async def test_an_acknowledgement_that_is_taken_back_escalates_after_all_but_tells_nobody_twice(
    house: House, sink: Sink
) -> None:
    await set_up(house, sink)
    alert = await fire(house)
    await minutes(house, 16)
    await act(house, Verb.ACK, alert)
    await minutes(house, 60)
    quiet = (len(heard(sink, "second")), len(heard(sink, "third")))

    await act(house, Verb.UNACK, alert)
    await minutes(house, 1)

    assert quiet == (1, 0)
    assert (len(heard(sink, "second")), len(heard(sink, "third"))) == (1, 1)


async def test_an_escalation_to_a_user_reaches_each_of_their_enabled_channels_once(house: House, sink: Sink) -> None:
    await set_up(house, sink, rule(15, "second"))
    for name, values in (("chat", {}), ("mail", {}), ("old", {"enabled": False})):
        await add_channel(house, sink, name, is_default=False, user_id="alice", **values)
    with pytest.raises(Invalid, match='no channel has this "user_id"'):
        await house.parts.escalations.replace(ANNA, [rule(15, "user:bob")], None)
    await house.parts.escalations.replace(ANNA, [rule(15, "chat", "user:alice"), rule(30, "user:alice")], None)
    await fire(house)

    await minutes(house, 60)

    assert names(heard(sink, "chat")) == names(heard(sink, "mail")) == [("a",)]
    assert heard(sink, "old") == heard(sink, "second") == []


async def test_a_silenced_alert_is_escalated_when_the_silence_is_over(house: House, sink: Sink) -> None:
    await set_up(house, sink)
    await fire(house)
    await silence(house, 'alertname="a"', minutes=20)
    await minutes(house, 19)
    quiet = heard(sink, "second")

    await minutes(house, 3)

    assert quiet == heard(sink, "third") == []
    assert names(heard(sink, "second")) == [("a",)]


async def test_an_inhibited_alert_is_not_escalated(house: House, sink: Sink) -> None:
    await set_up(house, sink)
    inhibition = {"source_matchers": ['alertname="Down"'], "target_matchers": ['alertname="a"']}
    await route(house, {"receiver": "first"}, inhibit_rules=[inhibition])
    await house.fire("Down")
    await fire(house)

    await minutes(house, 40)

    assert heard(sink, "second") == heard(sink, "third") == []


async def test_a_new_episode_counts_from_its_own_beginning(house: House, sink: Sink) -> None:
    await set_up(house, sink, rule(15, "second"))
    await fire(house)
    await minutes(house, 10)
    await house.resolve("a", severity="critical")
    await minutes(house, 2)
    await fire(house)
    await minutes(house, 13)
    early = heard(sink, "second")
    await minutes(house, 3)

    assert (early, names(heard(sink, "second"))) == ([], [("a",)])


async def test_what_no_rule_fits_is_not_escalated(house: House, sink: Sink) -> None:
    await set_up(house, sink)
    await fire(house, severity="warning")

    await minutes(house, 60)

    assert heard(sink, "second") == []
    assert await house.database.fetchval("SELECT count(*) FROM task_queue WHERE task_type = 'escalate'") == 0


async def test_alerts_that_began_together_are_told_together(house: House, sink: Sink) -> None:
    await set_up(house, sink)
    await house.post(*({"labels": {"alertname": name, "severity": "critical"}} for name in "abc"))
    await house.work()
    end = {"endsAt": (house.clock.now() + timedelta(days=1)).isoformat()}
    await house.post(*({"labels": {"alertname": name, "severity": "critical"}, **end} for name in "abc"))
    acknowledged = await house.parts.alerts.get(fingerprint({"alertname": "b", "severity": "critical"}))
    await act(house, Verb.ACK, acknowledged)

    await minutes(house, 16)

    assert names(heard(sink, "second")) == [("a", "c")]


async def test_a_task_that_runs_twice_tells_nobody_twice(house: House, sink: Sink) -> None:
    await set_up(house, sink, rule(15, "second"))
    await fire(house)
    await minutes(house, 16)

    row = await house.database.fetchrow("SELECT * FROM task_queue WHERE task_type = 'escalate'")
    assert row is not None
    for _ in range(2):
        await house.run(entry(row).as_task())
        await house.work()

    assert names(heard(sink, "second")) == [("a",)]


async def test_a_policy_that_changed_meanwhile_holds(house: House, sink: Sink) -> None:
    await set_up(house, sink, rule(15, "second"))
    await fire(house)
    await minutes(house, 10)
    await house.parts.escalations.replace(ANNA, [rule(30, "third")], frozenset({1}))
    await minutes(house, 10)
    between = (heard(sink, "second"), heard(sink, "third"))
    await minutes(house, 11)

    assert between == ([], [])
    assert (heard(sink, "second"), names(heard(sink, "third"))) == ([], [("a",)])


async def test_a_channel_that_is_off_or_gone_stops_no_other(house: House, sink: Sink) -> None:
    await set_up(house, sink, rule(15, "second", "third"))
    channel = (await house.parts.channels.named(["second"]))["second"]
    await house.parts.channels.revise(ANNA, channel.id, {"enabled": False}, None)
    await fire(house)

    await minutes(house, 16)

    assert (heard(sink, "second"), names(heard(sink, "third"))) == ([], [("a",)])


async def test_a_policy_is_checked_guarded_and_audited(house: House, sink: Sink) -> None:
    await set_up(house, sink, rule(15, "second"))
    escalations = house.parts.escalations

    with pytest.raises(Invalid, match="nobody"):
        await escalations.replace(ANNA, [rule(15, "nobody")], None)
    with pytest.raises(Stale):
        await escalations.replace(ANNA, [], frozenset({7}))
    same = await escalations.replace(ANNA, [rule(15, "second")], None)
    none = await escalations.replace(ANNA, [], frozenset({1}))

    assert (same.revision, none.revision, none.rules, none.updated_by) == (1, 2, (), "anna")
    row = await house.database.fetchrow("SELECT * FROM audit_log WHERE action = 'escalation.updated' ORDER BY id DESC")
    assert row is not None
    assert (row["before"]["rules"][0]["after"], row["after"]) == ("15m", {"rules": []})


async def test_what_is_remembered_of_escalations_is_forgotten_in_time(house: House, sink: Sink) -> None:
    await set_up(house, sink, rule(15, "second"))
    await fire(house)
    await minutes(house, 16)
    counted = "SELECT count(*) FROM escalations"
    before = await house.database.fetchval(counted)

    house.clock.move(days=91)
    await house.parts.escalations.forget_old()

    assert (before, await house.database.fetchval(counted)) == (1, 0)
