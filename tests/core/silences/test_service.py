"""Silences over time: the clock is moved by hand."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from alertagent.core.alerts.firing import FiringAlerts
from alertagent.core.audit.model import Actor
from alertagent.core.silences.model import Draft, Silence, State
from alertagent.core.silences.service import Silences
from alertagent.kernel.errors import Conflict, Invalid, NotFound, Stale
from alertagent.storage.pages import PageRequest
from tests.core.alerts.house import House
from tests.core.silences.samples import NOON, daily_at, draft, matchers

ANNA = Actor(name="anna")
DISK = {"alertname": "DiskFull", "cluster": "c1"}


async def create(house: House, *texts: str, **values: Any) -> Silence:
    return await house.parts.silences.create(ANNA, draft(*texts, **values))


async def muting(house: House, labels: dict[str, str] = DISK) -> list[str]:
    active = await house.parts.silences.active(house.clock.now())
    return [each.id for each in active.muting(labels)]


async def states(house: House, *filters: str) -> list[str]:
    page, _, _ = await house.parts.silences.page(PageRequest(filter=filters, sort="starts_at"))
    return [each.state(house.clock.now()).value for each in page]


async def actions(house: House) -> list[str]:
    rows = await house.database.fetch("SELECT action FROM audit_log WHERE subject_kind = 'silence' ORDER BY id")
    return [row["action"] for row in rows]


def as_draft(silence: Silence, **changes: Any) -> Draft:
    terms = replace(silence.terms, **changes)
    return Draft(**{name: getattr(terms, name) for name in terms.__dataclass_fields__})


async def test_a_silence_mutes_from_its_start_to_its_end(house: House) -> None:
    start = house.clock.now() + timedelta(minutes=10)
    silence = await create(house, starts_at=start)

    before = await muting(house)
    house.clock.move(minutes=10)
    during, others = await muting(house), await muting(house, {"alertname": "Other"})
    house.clock.move(minutes=59)
    at_the_last = await muting(house)
    house.clock.move(minutes=1)

    assert (before, during, others, at_the_last) == ([], [silence.id], [], [silence.id])
    assert await muting(house) == []


async def test_a_start_in_the_past_is_now(house: House) -> None:
    silence = await create(house, starts_at=house.clock.now() - timedelta(days=1))

    assert silence.starts_at == house.clock.now()


async def test_every_change_is_seen_by_whoever_looks_next(house: House) -> None:
    silences = house.parts.silences
    other = Silences(house.database, FiringAlerts(house.database), house.parts.audit, house.clock)
    silence = await create(house)
    one = await muting(house)

    await other.revise(ANNA, silence.id, {"ends_at": house.clock.now() + timedelta(hours=9)}, None)
    house.clock.move(hours=8)
    longer = await muting(house)
    await other.expire(ANNA, silence.id)

    assert (one, longer, await muting(house)) == ([silence.id], [silence.id], [])
    assert (await silences.get(silence.id)).state(house.clock.now()) is State.EXPIRED


async def test_a_look_inside_a_transaction_sees_what_was_committed_meanwhile(house: House) -> None:
    async with house.database.transaction() as transaction:
        await transaction.fetchval("SELECT count(*) FROM silences")
        silence = await create(house)
        active = await house.parts.silences.active(house.clock.now(), transaction)

    assert [each.id for each in active.muting(DISK)] == [silence.id]


async def test_an_edit_as_alertmanager_makes_it(house: House) -> None:
    silences = house.parts.silences
    now = house.clock.now()
    first = await create(house)

    longer = await silences.edit(ANNA, first.id, as_draft(first, ends_at=now + timedelta(hours=2)))
    same = await silences.edit(ANNA, first.id, as_draft(longer, starts_at=now.replace(microsecond=0)))
    house.clock.move(minutes=1)
    moved = await silences.edit(ANNA, first.id, as_draft(longer, matchers=matchers('alertname="Other"')))
    old = await silences.get(first.id)
    again = await silences.edit(ANNA, first.id, as_draft(longer))

    assert (longer.id, longer.revision, same) == (first.id, 2, longer)
    assert (old.ends_at, old.state(house.clock.now())) == (house.clock.now(), State.EXPIRED)
    assert (moved.id != first.id, moved.starts_at) == (True, house.clock.now())
    assert (again.id not in {first.id, moved.id}, again.matchers) == (True, first.matchers)
    assert await actions(house) == [
        "silence.created",
        "silence.updated",
        "silence.expired",
        "silence.created",
        "silence.created",
    ]


async def test_an_edit_of_what_does_not_exist_is_not_found(house: House) -> None:
    with pytest.raises(NotFound):
        await house.parts.silences.edit(ANNA, "00000000-0000-0000-0000-000000000000", draft())


async def test_a_pending_one_that_is_ended_never_begins(house: House) -> None:
    silence = await create(house, starts_at=house.clock.now() + timedelta(minutes=10))

    ended = await house.parts.silences.expire(ANNA, silence.id)
    again = await house.parts.silences.expire(ANNA, silence.id)

    assert (ended.starts_at, ended.ends_at, again) == (house.clock.now(), house.clock.now(), ended)
    house.clock.move(minutes=11)
    assert await muting(house) == []


async def test_a_revision_is_counted_guarded_and_only_for_what_has_not_expired(house: House) -> None:
    silences = house.parts.silences
    silence = await create(house)

    revised = await silences.revise(ANNA, silence.id, {"duration": timedelta(hours=3)}, frozenset({1}))
    same = await silences.revise(ANNA, silence.id, {"comment": "repair"}, None)

    assert (revised.ends_at, revised.revision, same) == (house.clock.now() + timedelta(hours=3), 2, revised)
    with pytest.raises(Stale):
        await silences.revise(ANNA, silence.id, {"comment": "x"}, frozenset({1}))
    with pytest.raises(Stale):
        await silences.expire(ANNA, silence.id, frozenset({1}))
    with pytest.raises(NotFound):
        await silences.revise(ANNA, "none", {"comment": "x"}, None)
    await silences.expire(ANNA, silence.id, frozenset({2}))
    with pytest.raises(Conflict, match="make a new one"):
        await silences.revise(ANNA, silence.id, {"comment": "x"}, None)


async def test_one_that_mutes_all_of_many_alerts_is_refused_unless_it_is_meant(house: House) -> None:
    silences = house.parts.silences
    for number in range(9):
        await house.fire("DiskFull", instance=str(number), cluster="c1")
    few = await silences.create(ANNA, draft('cluster="c1"'))
    await house.fire("Other", cluster="c1")

    for refused in ('cluster="c1"', 'cluster=~"c.+"'):
        with pytest.raises(Invalid, match="10 of the 10"):
            await silences.create(ANNA, draft(refused))
    with pytest.raises(Invalid, match="10 of the 10"):
        await silences.edit(ANNA, few.id, draft('cluster=~"c.*"'))
    with pytest.raises(Invalid, match="10 of the 10"):
        await silences.revise(ANNA, few.id, {"matchers": matchers('cluster=~"c.*"')}, None)
    meant = await silences.create(ANNA, draft('cluster="c1"'), mute_all=True)
    # Whoever has meant it once need not say so again.
    await silences.revise(ANNA, meant.id, {"duration": timedelta(hours=2)}, None)
    await house.fire("Other", cluster="c2")
    await silences.create(ANNA, draft('cluster="c1"'))
    assert len(await states(house)) == 3


async def test_one_that_mutes_whatever_fires_is_refused_even_while_nothing_fires(house: House) -> None:
    with pytest.raises(Invalid, match="0 of the 0") as refused:
        await create(house, 'alertname=~".+"')

    await house.parts.silences.create(ANNA, draft('alertname=~".+"'), mute_all=True)
    assert (refused.value.code, len(await muting(house))) == ("silence.mutes_everything", 1)


async def test_a_preview_tells_what_would_be_muted_and_by_whom_it_is_already(house: House) -> None:
    for number in range(60):
        await house.fire("DiskFull", ago=number, instance=str(number))
    await house.fire("Other", instance="1")
    some = await create(house, 'instance="1"')
    later = await create(house, 'instance=~"2|3"', starts_at=house.clock.now() + timedelta(hours=1))
    same = await create(house, 'alertname="DiskFull"', 'instance=~".+"')
    await create(house, 'alertname="Other"', 'instance="2"')
    gone = await create(house, 'instance="4"')
    await house.parts.silences.expire(ANNA, gone.id)

    found = await house.parts.silences.preview(matchers('alertname="DiskFull"', 'instance=~".+"'))
    none = await house.parts.silences.preview(matchers('alertname="DiskFull"', 'alertname="Other"'))

    assert (found.total, found.firing, len(found.alerts)) == (60, 61, 50)
    assert [alert.labels["instance"] for alert in found.alerts[:2]] == ["0", "1"]
    assert [each.id for each in found.overlaps] == [some.id, later.id, same.id]
    assert (none.total, list(none.alerts), list(none.overlaps)) == (0, [], [])


async def test_more_than_a_handful_of_alerts_is_looked_at_piece_by_piece(house: House) -> None:
    posted: Sequence[dict[str, Any]] = [
        {"labels": {"alertname": "DiskFull", "instance": str(number), "odd": str(number % 2)}} for number in range(2500)
    ]
    await house.post(*posted)

    found = await house.parts.silences.preview(matchers('alertname="DiskFull"', 'odd=~"1"'))

    assert (found.total, found.firing) == (1250, 2500)


async def test_they_are_listed_by_what_they_are_now(house: House) -> None:
    now = house.clock.now()
    await create(house, 'a="expired"', duration=timedelta(minutes=1))
    await create(house, 'a="active"', starts_at=now + timedelta(minutes=1))
    await create(house, 'a="pending"', starts_at=now + timedelta(hours=1))
    house.clock.move(minutes=2)

    assert await states(house) == ["expired", "active", "pending"]
    assert await states(house, 'state="active"') == ["active"]
    assert await states(house, 'state!="expired"') == ["active", "pending"]
    searched, _, total = await house.parts.silences.page(PageRequest(q='a="pend'))
    assert (len(searched), total) == (1, 1)
    assert len(await house.parts.silences.all()) == 3


async def test_one_that_recurs_mutes_in_its_windows_only(house: House) -> None:
    house.clock.time = NOON
    silence = await create(house, duration=None, recurrence=daily_at(14))
    other = await create(house, "a=b", duration=timedelta(days=9))

    noon, pending = await muting(house), await states(house, 'state="pending"')
    house.clock.move(hours=2)
    two, active = await muting(house), await states(house, 'state="active"')
    house.clock.move(days=1)

    assert (noon, pending) == ([], ["pending"])
    assert (two, active) == ([silence.id], ["active", "active"])
    assert (await muting(house), await muting(house, {"a": "b"})) == ([silence.id], [other.id])
    assert await house.parts.silences.get(silence.id) == silence


async def test_an_edit_by_a_page_of_alertmanager_leaves_the_recurrence_alone(house: House) -> None:
    house.clock.time = NOON
    silence = await create(house, duration=None, recurrence=daily_at(14))
    house.clock.move(minutes=5)

    said = await house.parts.silences.edit(ANNA, silence.id, as_draft(silence, comment="x", recurrence=None))
    other = await house.parts.silences.edit(
        ANNA, silence.id, as_draft(silence, matchers=matchers("a=b"), recurrence=None)
    )

    assert (said.id, said.comment, said.recurrence) == (silence.id, "x", daily_at(14))
    assert (other.id != silence.id, other.recurrence) == (True, daily_at(14))


async def test_expired_ones_are_kept_for_five_days(house: House) -> None:
    silence = await create(house)
    house.clock.move(hours=1 + 120)
    await house.parts.silences.forget_old()
    kept = await house.parts.silences.get(silence.id)

    house.clock.move(seconds=1)
    await house.parts.silences.forget_old()

    assert kept == silence
    with pytest.raises(NotFound):
        await house.parts.silences.get(silence.id)


async def test_two_who_edit_at_once_leave_one_silence_in_force(house: House) -> None:
    silence = await create(house)
    house.clock.move(minutes=1)

    changes = [{"matchers": matchers('alertname="DiskFull"', f'a="{number}"')} for number in range(4)]
    done = await asyncio.gather(
        *(house.parts.silences.revise(ANNA, silence.id, change, None) for change in changes), return_exceptions=True
    )

    assert sorted(isinstance(each, Conflict) for each in done) == [False, True, True, True]
    assert await states(house) == ["expired", "active"]


async def test_a_look_is_one_question_to_an_index(house: House) -> None:
    for number in range(3):
        await create(house, f'instance="{number}"')
    await muting(house)
    asked: list[str] = []

    class Asked:
        """The database, whose questions are noted."""

        def __getattr__(self, name: str) -> Any:
            async def ask(sql: str, *arguments: object) -> Any:
                asked.append(sql)
                return await getattr(house.database, name)(sql, *arguments)

            return ask

    await house.parts.silences.active(house.clock.now(), Asked())

    assert len(asked) == 1
    async with house.database.transaction() as transaction:
        await transaction.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_bitmapscan = off")
        plan = await transaction.fetch(f"EXPLAIN {asked[0]}", house.clock.now())
    assert "Index Only Scan using silences_by_end" in str(plan)
