"""What people do with alerts, and what becomes of it in the episodes after."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from alertagent.core.alerts.actions import Action, Handled, Verb
from alertagent.core.alerts.model import Alert, AlertStatus
from alertagent.core.alerts.service import PATIENCE
from alertagent.core.audit.model import Actor
from alertagent.kernel.errors import Conflict, Invalid, NotFound
from tests.core.alerts.house import House
from tests.core.alerts.test_service import RESOLVED, incoming, take, told
from tests.core.notify.test_groups import add_channel, firing, messages, pass_time, resolved
from tests.support.sink import Sink

ANNA, BOB = Actor(name="anna"), Actor(name="bob")
ACK, UNACK, RESOLVE = Action(verb=Verb.ACK), Action(verb=Verb.UNACK), Action(verb=Verb.RESOLVE)


async def do(house: House, action: Action, *alerts: Alert, actor: Actor = ANNA) -> Handled:
    return await house.parts.handling.handle_all(actor, [alert.fingerprint for alert in alerts], action)


async def now_of(house: House, alert: Alert) -> Alert:
    return await house.parts.alerts.get(alert.fingerprint)


async def events(house: House, alert: Alert) -> list[tuple[str, str, dict[str, object]]]:
    found = await house.parts.alerts.timeline(alert.fingerprint, before=None, limit=100)
    return [(event.kind, event.actor, dict(event.detail)) for event in reversed(found)]


async def test_an_acknowledgement_names_its_author_and_stands_in_the_timeline_and_in_the_audit_log(
    house: House,
) -> None:
    alert = await house.fire("a")

    handled = await do(house, Action(verb=Verb.ACK, comment="on it"), alert)

    assert handled == Handled(done=[alert.fingerprint])
    assert (await now_of(house, alert)).acknowledged_by == "anna"
    assert (await events(house, alert))[-1] == ("acknowledged", "anna", {"comment": "on it"})
    row = await house.database.fetchrow("SELECT * FROM audit_log ORDER BY id DESC LIMIT 1")
    assert row is not None
    assert (row["actor"], row["action"], row["subject_id"]) == ("anna", "alert.acknowledged", alert.fingerprint)
    assert row["after"] == {"comment": "on it", "count": 1, "alerts": [alert.fingerprint]}


async def test_a_second_acknowledgement_keeps_the_first_name_and_its_words_become_a_comment(house: House) -> None:
    alert = await house.fire("a")
    await do(house, ACK, alert)

    again = await do(house, Action(verb=Verb.ACK, comment="me too"), alert, actor=BOB)
    silent = await do(house, ACK, alert, actor=BOB)

    assert again == silent == Handled(unchanged=[alert.fingerprint])
    assert (await now_of(house, alert)).acknowledged_by == "anna"
    assert [event[:2] for event in await events(house, alert)] == [
        ("firing", ""),
        ("acknowledged", "anna"),
        ("commented", "bob"),
    ]


async def test_an_acknowledgement_and_an_assignment_end_with_the_episode(house: House) -> None:
    alert = await house.fire("a")
    await do(house, ACK, alert)
    await do(house, Action(verb=Verb.ASSIGN, assignee="bob"), alert)
    handled = await now_of(house, alert)
    await house.resolve("a")

    house.clock.move(minutes=1)
    anew = await house.fire("a")

    assert (handled.acknowledged_by, handled.assigned_to) == ("anna", "bob")
    assert (anew.episode, anew.acknowledged_by, anew.assigned_to) == (2, None, None)


async def test_what_does_not_fire_cannot_be_acknowledged_but_commented_on(house: House) -> None:
    alert = await house.fire("a")
    await house.resolve("a")
    handling = house.parts.handling

    with pytest.raises(Conflict, match="does not fire any more"):
        await handling.handle(ANNA, alert.fingerprint, ACK)
    await handling.handle(ANNA, alert.fingerprint, Action(verb=Verb.COMMENT, comment="it was the disk"))

    assert (await events(house, alert))[-1] == ("commented", "anna", {"comment": "it was the disk"})
    with pytest.raises(NotFound):
        await handling.handle(ANNA, "nope", ACK)


async def test_an_alert_that_was_ended_by_hand_stays_so_while_its_source_repeats_itself(house: House) -> None:
    start = house.clock.now()
    going_on = incoming(starts_at=start, ends_at=start + timedelta(days=1))
    await take(house, going_on)
    house.clock.move(minutes=1)
    await do(house, Action(verb=Verb.RESOLVE, comment="false alarm"), await house.parts.alerts.get("a"))
    ended = await house.parts.alerts.get("a")

    house.clock.move(seconds=PATIENCE.total_seconds())
    await take(house, going_on)
    patient = await house.parts.alerts.get("a")
    house.clock.move(seconds=1)
    await take(house, going_on)
    insisted = await house.parts.alerts.get("a")

    assert (ended.status, ended.ends_at) == (RESOLVED, start + timedelta(minutes=1))
    assert (patient.status, patient.episode) == (RESOLVED, 1)
    assert (insisted.status, insisted.episode) == (AlertStatus.FIRING, 2)
    assert insisted.starts_at == ended.ends_at
    kinds = [(kind, detail) for kind, _, detail in await events(house, ended)]
    assert kinds == [("firing", {}), ("resolved", {"because": "hand", "comment": "false alarm"}), ("firing", {})]


async def test_a_source_that_begins_anew_after_an_end_by_hand_is_believed_at_once(house: House) -> None:
    alert = await house.fire("a", ago=60)
    await do(house, RESOLVE, alert)

    house.clock.move(seconds=1)

    assert (await house.fire("a")).episode == 2


async def test_an_acknowledged_alert_is_not_told_again_until_it_is_taken_back_and_its_end_is_told(
    house: House, sink: Sink
) -> None:
    await add_channel(house, sink)
    alert = await house.fire("a")
    await pass_time(house, timedelta(seconds=20))
    await do(house, ACK, alert)
    await pass_time(house, timedelta(hours=9), timedelta(minutes=5))
    quiet = messages(sink)

    await do(house, UNACK, alert)
    await pass_time(house, timedelta(minutes=2), timedelta(seconds=30))
    reminded = messages(sink)
    await do(house, ACK, alert)
    await do(house, RESOLVE, alert)
    await pass_time(house, timedelta(minutes=2), timedelta(seconds=30))

    assert quiet == [firing("a")]
    assert reminded == [firing("a")] * 2
    assert messages(sink) == [firing("a"), firing("a"), resolved("a")]


async def test_one_that_cannot_be_handled_hinders_no_other_and_is_named(house: House) -> None:
    good, over = await house.fire("a"), await house.fire("b")
    await house.resolve("b")
    names = [good.fingerprint, over.fingerprint, "nope", good.fingerprint]

    handled = await house.parts.handling.handle_all(ANNA, names, ACK)

    assert handled.done == [good.fingerprint]
    assert set(handled.failed) == {over.fingerprint, "nope"}
    assert "no such alert" in handled.failed["nope"]


async def test_a_filter_means_the_firing_alerts_that_it_fits(house: House) -> None:
    a, b = await house.fire("a", team="db"), await house.fire("b", team="db")
    await house.fire("c", team="web")
    await house.fire("d", team="db")
    await house.resolve("d", team="db")

    handled = await house.parts.handling.handle_matching(ANNA, ['team="db"', 'alertname=~".*"'], ACK)

    assert (sorted(handled.done), handled.failed) == (sorted([a.fingerprint, b.fingerprint]), {})


async def many(house: House, count: int) -> Sequence[str]:
    start = house.clock.now()
    alerts = [
        incoming(f"{number:016x}", starts_at=start, ends_at=start + timedelta(hours=1)) for number in range(count)
    ]
    await take(house, *alerts)
    return [alert.fingerprint for alert in alerts]


async def test_ten_thousand_alerts_are_ended_by_one_call_and_one_more_is_too_many(house: House) -> None:
    await many(house, 10_001)
    with pytest.raises(Invalid, match="more than 10000"):
        await house.parts.handling.handle_matching(ANNA, ['alertname=~"0.*"'], RESOLVE)
    await house.database.execute("TRUNCATE task_queue")

    handled = await house.parts.handling.handle_matching(ANNA, ['alertname!="0000000000000000"'], RESOLVE)

    assert len(handled.done) == 10_000
    assert await house.database.fetchval("SELECT count(*) FROM alerts WHERE status = 'resolved'") == 10_000
    assert sum(len(names) for names in await told(house)) == 10_000
    assert await house.database.fetchval("SELECT jsonb_array_length(after -> 'alerts') FROM audit_log") == 100


async def test_handling_and_taking_in_never_wait_for_each_other_in_a_circle(house: House) -> None:
    names = await many(house, 300)
    start = house.clock.now()
    alerts = [incoming(name, starts_at=start, ends_at=start + timedelta(hours=1)) for name in reversed(names)]

    await asyncio.gather(
        *(take(house, *alerts) for _ in range(10)),
        *(house.parts.handling.handle_all(ANNA, names[::-1], verb) for verb in (ACK, UNACK, ACK, UNACK, RESOLVE)),
    )

    assert await house.database.fetchval("SELECT count(*) FROM alerts WHERE status = 'resolved'") == 300


async def test_two_who_acknowledge_at_once_are_one_author_and_one_event(house: House) -> None:
    alert = await house.fire("a")

    handled = await asyncio.gather(*(do(house, ACK, alert, actor=Actor(name=f"p{n}")) for n in range(8)))

    assert sum(len(each.done) for each in handled) == 1
    assert [kind for kind, _, _ in await events(house, alert)] == ["firing", "acknowledged"]
