"""The routing document as it is kept: versions, the table of every process, and channels that it holds."""

import asyncio
from contextvars import Context
from typing import Any

import pytest

from alertagent.core.audit.model import Actor
from alertagent.core.routing.document import read_yaml
from alertagent.core.routing.model import DEFAULT_TABLE, RoutingTable
from alertagent.core.routing.service import Version
from alertagent.kernel.errors import Conflict, Invalid, NotFound, Stale
from alertagent.storage.database import Transaction
from tests.core.alerts.house import House, open_house, until
from tests.core.routing.samples import routed

ANNA = Actor(name="anna")


async def add_channels(house: House, *names: str, default: bool = False) -> list[str]:
    """Their ids."""
    values: dict[str, Any] = {"plugin_name": "console", "config": {}, "enabled": True, "is_default": default}
    values |= {"fallback": (), "user_id": None}
    return [(await house.parts.channels.add(ANNA, {**values, "name": name})).id for name in names]


async def put(house: House, text: str, expected: frozenset[int] | None = None, comment: str = "") -> Version:
    return await house.parts.routing.put(ANNA, read_yaml(text.encode()), expected, comment)


def to(receiver: str) -> str:
    return f"route: {{receiver: {receiver}}}"


async def test_without_a_document_the_default_channels_are_told(house: House) -> None:
    assert await house.parts.routing.table() is DEFAULT_TABLE


async def test_a_document_is_in_force_as_soon_as_it_is_stored(house: House) -> None:
    await add_channels(house, "ops")

    stored = await put(house, to("ops"))
    table = await house.parts.routing.table()

    assert (stored.name, stored.change, stored.author) == ("v1.0.0", "created", "anna")
    assert (table.revision, table.root.receiver) == (1, "ops")


async def test_the_same_document_is_the_same_version(house: House) -> None:
    await add_channels(house, "ops")
    first = await put(house, "{route: {receiver: ops, group_wait: 60s}}")

    again = await put(house, "# As before.\nroute:\n  group_wait: 1m\n  receiver: ops\n")

    assert (again.name, again.at) == (first.name, first.at)
    assert len(await house.parts.routing.versions()) == 1


async def test_the_table_is_made_once_a_version(house: House) -> None:
    await add_channels(house, "ops", "night")
    await put(house, to("ops"))
    first = await asyncio.gather(*(house.parts.routing.table() for _ in range(5)))

    await put(house, to("night"))
    second = await house.parts.routing.table()

    assert all(table is first[0] for table in first)
    assert second is not first[0]


async def test_a_change_that_another_process_makes_is_seen(house: House, database_url: str, redis_url: str) -> None:
    await add_channels(house, "ops", "night")
    async with open_house(database_url, redis_url) as other:
        await put(house, to("ops"))
        seen = [(await other.parts.routing.table()).root.receiver]
        await put(house, to("night"))
        seen.append((await other.parts.routing.table()).root.receiver)
        await house.parts.routing.remove(ANNA, None)
        last = await other.parts.routing.table()

    assert seen == ["ops", "night"]
    assert (last.revision, last.receivers) == (3, None)


async def test_a_change_that_is_taken_back_leaves_no_table_behind(house: House) -> None:
    """The next change has the same number."""
    await add_channels(house, "ops", "night")
    routing = house.parts.routing
    tables: list[RoutingTable] = []

    async def look(transaction: Transaction, _table: RoutingTable) -> None:
        tables.append(await routing.table(transaction))
        if len(tables) == 1:
            raise Conflict("no")

    routing.on_change(look)
    with pytest.raises(Conflict):
        await put(house, to("ops"))
    await put(house, to("night"))

    assert [table.root.receiver for table in tables] == ["ops", "night"]
    assert (await routing.table()).root.receiver == "night"


async def test_whoever_wants_to_know_of_a_change_hears_in_its_transaction(house: House) -> None:
    await add_channels(house, "ops")
    heard: list[tuple[int, int]] = []

    async def count(transaction: Transaction, table: RoutingTable) -> None:
        heard.append((table.revision, await transaction.fetchval("SELECT count(*) FROM routing_documents")))

    house.parts.routing.on_change(count)
    await put(house, to("ops"))
    await put(house, to("ops"))
    await house.parts.routing.remove(ANNA, None)

    assert heard == [(1, 1), (2, 2)]


async def test_a_change_is_audited(house: House) -> None:
    await add_channels(house, "ops")

    await put(house, to("ops"), comment="why not")

    row = await house.database.fetchrow("SELECT * FROM audit_log WHERE subject_kind = 'routing'")
    assert row is not None
    assert (row["actor"], row["action"], row["before"]) == ("anna", "routing.created", None)
    assert row["after"] == {"version": "v1.0.0", "comment": "why not"}


async def test_of_two_changes_made_of_the_same_version_one_is_refused(house: House) -> None:
    await add_channels(house, "a", "b", "c")
    await put(house, to("a"))
    known = frozenset({1})

    answers = await asyncio.gather(*(put(house, to(name), known) for name in "bc"), return_exceptions=True)

    assert sorted(type(answer).__name__ for answer in answers) == ["Stale", "Version"]


async def test_first_changes_at_once_come_one_after_the_other(house: House) -> None:
    names = [f"c{number}" for number in range(5)]
    await add_channels(house, *names)

    stored = await asyncio.gather(*(put(house, to(name)) for name in names))

    assert sorted(version.revision for version in stored) == [1, 2, 3, 4, 5]


async def test_an_unknown_channel_is_told_with_its_place_and_the_nearest_name(house: House) -> None:
    await add_channels(house, "database-team")

    with pytest.raises(Invalid) as refused:
        await put(house, "route:\n  receiver: database-team\n  routes:\n  - receiver: datbase-team\n")

    found = refused.value.details[0]
    assert (found.loc, found.line) == (("route", "routes", 0, "receiver"), 4)
    assert 'Did you mean "database-team"?' in found.message


async def test_an_earlier_version_comes_back_as_a_new_one(house: House) -> None:
    await add_channels(house, "ops", "night")
    await put(house, f"# By hand.\n{to('ops')}")
    await put(house, to("night"))

    back = await house.parts.routing.rollback(ANNA, "v1.0.0", None)

    assert (back.name, back.text, back.comment) == ("v1.0.2", f"# By hand.\n{to('ops')}", "back to v1.0.0")


async def test_a_version_whose_channel_is_gone_does_not_come_back(house: House) -> None:
    ops, _ = await add_channels(house, "ops", "night")
    await put(house, to("ops"))
    await put(house, to("night"))
    await house.parts.channels.remove(ANNA, ops, None)

    with pytest.raises(Invalid, match='there is no channel "ops"'):
        await house.parts.routing.rollback(ANNA, "v1.0.0", None)


async def test_what_was_deleted_is_no_version_to_go_back_to(house: House) -> None:
    await add_channels(house, "ops")
    await put(house, to("ops"))
    await house.parts.routing.remove(ANNA, frozenset({1}))

    with pytest.raises(Conflict):
        await house.parts.routing.rollback(ANNA, "v1.0.1", None)
    with pytest.raises(NotFound):
        await house.parts.routing.remove(ANNA, None)
    with pytest.raises(NotFound):
        await house.parts.routing.rollback(ANNA, "v1.0.7", None)


async def test_after_a_deletion_the_numbers_go_on(house: House) -> None:
    await add_channels(house, "ops")
    await put(house, to("ops"))
    await house.parts.routing.remove(ANNA, None)

    with pytest.raises(Stale):
        await put(house, to("ops"), frozenset({1}))
    again = await put(house, to("ops"), frozenset({2}))

    assert (again.name, again.change) == ("v1.0.2", "created")


async def test_a_channel_that_a_route_leads_to_can_be_neither_deleted_nor_renamed(house: House) -> None:
    ops, night = await add_channels(house, "ops", "night")
    tail = "receivers: [{name: team, channels: [night]}]\n"
    await put(house, routed("  routes: [{match: {a: b}, receiver: ops}, {receiver: team}]\n") + tail)

    for id, place in ((ops, 'the route {}/{a="b"}'), (night, "the receiver team")):
        with pytest.raises(Conflict) as deleted:
            await house.parts.channels.remove(ANNA, id, None)
        with pytest.raises(Conflict) as renamed:
            await house.parts.channels.revise(ANNA, id, {"name": "other"}, None)
        assert [place in str(refused.value) for refused in (deleted, renamed)] == [True, True]


async def test_a_channel_that_nothing_leads_to_any_more_may_go(house: House) -> None:
    ops, night = await add_channels(house, "ops", "night")
    await put(house, to("ops"))
    await house.parts.channels.revise(ANNA, ops, {"enabled": False}, None)

    await put(house, to("night"))
    await house.parts.channels.remove(ANNA, ops, None)
    await house.parts.routing.remove(ANNA, None)
    await house.parts.channels.remove(ANNA, night, None)

    assert await house.parts.channels.names() == {}


async def test_a_channel_cannot_go_while_a_document_that_names_it_is_being_stored(house: House) -> None:
    (ops,) = await add_channels(house, "ops")
    removal: list[asyncio.Task[None]] = []

    async def meanwhile(transaction: Transaction, _table: RoutingTable) -> None:
        # Somebody else, who holds none of our connections.
        removal.append(asyncio.create_task(house.parts.channels.remove(ANNA, ops, None), context=Context()))
        await until(lambda: transaction.fetchval("SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"))

    house.parts.routing.on_change(meanwhile)
    await put(house, to("ops"))

    with pytest.raises(Conflict):
        await removal[0]


async def test_a_proposal_names_the_alerts_that_would_go_elsewhere(house: House) -> None:
    await add_channels(house, "ops", "night")
    await add_channels(house, "all", default=True)
    await house.fire("A", team="db")
    await house.fire("B")
    await house.fire("C")
    await house.resolve("C")
    await put(house, to("ops"))
    text = routed("  routes: [{match: {team: db}, receiver: night}]\n")

    proposal = await house.parts.routing.propose(read_yaml(text.encode()))

    moves = proposal.moves
    assert (proposal.version, moves.count, moves.looked_at, moves.total) == ("v1.0.1", 1, 2, 2)
    assert [(move.alert.labels["alertname"], move.before, move.after) for move in moves.first] == [
        ("A", ("ops",), ("night",))
    ]
    assert "+  - receiver: night\n" in proposal.diff
    assert (await house.parts.routing.current()).name == "v1.0.0"


async def test_the_first_document_is_compared_with_the_default_channels(house: House) -> None:
    await add_channels(house, "all", "also", default=True)
    await house.fire("A")

    same, other = [
        (await house.parts.routing.propose(read_yaml(text.encode()))).moves
        for text in (routed("receivers: [{name: ops, channels: [also, all]}]"), to("all"))
    ]

    assert (same.count, other.count) == (0, 1)
    assert (other.first[0].before, other.first[0].after) == (("all", "also"), ("all",))
