"""Rows that tell who changed what."""

from collections.abc import AsyncIterator

import pytest

from alertagent.core.audit.model import SYSTEM, Actor, Record, actor_of
from alertagent.core.audit.service import Audit
from alertagent.storage.database import Database
from alertagent.web.access import Principal
from alertagent.web.call import Call


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.connect(database_url) as database:
        yield database


async def test_a_row_says_who_did_what_to_which_thing_and_from_where(database: Database) -> None:
    actor = Actor(name="ann", request_id="r1", remote="192.0.2.1")
    async with database.transaction() as transaction:
        await Audit().record(transaction, actor, "rule.updated", ("rule", "x"), before={"a": 1}, after={"a": 2})
        await Audit().record(transaction, SYSTEM, "rule.deleted", ("rule", "x"))

    first, second = await database.fetch("SELECT * FROM audit_log ORDER BY id")

    expected = {"actor": "ann", "action": "rule.updated", "subject_kind": "rule", "subject_id": "x"}
    assert {**dict(first), **expected, "request_id": "r1", "remote": "192.0.2.1"} == dict(first)
    assert (first["before"], first["after"]) == ({"a": 1}, {"a": 2})
    assert (second["actor"], second["before"], second["after"], second["remote"]) == ("alertagent", None, None, None)


async def test_many_rows_are_written_in_their_order(database: Database) -> None:
    actor = Actor(name="ann", request_id="r1", remote="192.0.2.1")
    records = [Record(action="rule.updated", subject=("rule", str(n)), after={"n": n}) for n in range(3)]
    async with database.transaction() as transaction:
        await Audit().record_all(transaction, actor, records)

    rows = await database.fetch("SELECT * FROM audit_log ORDER BY id")

    assert [(row["subject_id"], row["before"], row["after"]) for row in rows] == [
        (str(n), None, {"n": n}) for n in range(3)
    ]
    assert {(row["actor"], row["request_id"], row["remote"]) for row in rows} == {("ann", "r1", "192.0.2.1")}


async def test_a_change_that_is_taken_back_leaves_no_row(database: Database) -> None:
    async def fail() -> None:
        async with database.transaction() as transaction:
            await Audit().record(transaction, SYSTEM, "rule.created", ("rule", "x"))
            raise LookupError

    with pytest.raises(LookupError):
        await fail()

    assert await database.fetchval("SELECT count(*) FROM audit_log") == 0


def test_the_actor_of_a_call_is_its_principal() -> None:
    principal = Principal(id="token:x", name="ci (x)")
    call = Call(request_id="r", trace="t", remote="192.0.2.1", principal=principal)

    assert actor_of(call) == Actor(name="ci (x)", request_id="r", remote="192.0.2.1")
