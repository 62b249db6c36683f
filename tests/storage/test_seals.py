"""Which key seals, over a real database: several processes, a lost key, a damaged row."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import pytest

from alertagent.core.keys.service import use
from alertagent.kernel.errors import Fatal
from alertagent.keys import SEALED
from alertagent.storage.database import Database
from alertagent.storage.key_files import GivenKeys, OwnFile
from alertagent.storage.sealing import Column, Unreadable, write_key
from alertagent.storage.seals import Seals, claimed, sql
from tests.support.prometheus import eventually

A, B = write_key(bytes(32)), write_key(bytes(range(32)))
CONFIG = Column(table="user_notification_configs", name="config", key=("id",))
CLEAR = """
    INSERT INTO user_notification_configs (id, name, plugin_name, config, enabled, is_default)
    VALUES ('c1', 'c1', 'console', '{"key": "CANARY"}', true, false)
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.connect(database_url, connections=10) as database:
        yield database


async def sealed(database: Database, seals: Seals, value: object = "CANARY") -> object:
    async with database.transaction() as transaction:
        return (await seals.sealer(transaction)).sealed(CONFIG.at("c1"), value)


async def current(database: Database) -> list[tuple[str, bool]]:
    rows = await database.fetch("SELECT id, seals FROM sealing_keys ORDER BY id")
    return [(row["id"], row["seals"]) for row in rows]


async def somebody_waits(database: Database) -> bool:
    asked = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'sealing_keys'::regclass"
    return bool(await database.fetchval(asked))


async def test_the_first_key_of_a_fresh_database_seals_from_the_start(database: Database) -> None:
    seals = await claimed(database, GivenKeys(A), SEALED)
    stored = await sealed(database, seals)

    assert await current(database) == [(seals.keyring.first.id, True)]
    assert str(stored).startswith(f"sealed.1.{seals.keyring.first.id}.")
    assert seals.opened(CONFIG.at("c1"), stored) == "CANARY"


async def test_another_key_is_refused_with_what_to_do(database: Database) -> None:
    first = await claimed(database, GivenKeys(A), SEALED)

    with pytest.raises(Fatal, match="alertagent keys reset") as refusal:
        await claimed(database, GivenKeys(B), SEALED)

    assert f"belong to key {first.keyring.first.id}" in refusal.value.message
    assert "the setting secrets.key" in refusal.value.message
    assert B not in refusal.value.message
    assert await current(database) == [(first.keyring.first.id, True)]


async def test_the_key_may_stand_behind_a_newer_one(database: Database) -> None:
    await claimed(database, GivenKeys(A), SEALED)

    later = await claimed(database, GivenKeys(f"{B}\n{A}"), SEALED)

    assert str(await sealed(database, later)).startswith(f"sealed.1.{GivenKeys(A).load().first.id}.")


async def test_of_many_that_start_at_once_with_different_keys_one_wins(database: Database) -> None:
    sources = [GivenKeys(A), GivenKeys(B)] * 5

    ended = await asyncio.gather(*(claimed(database, each, SEALED) for each in sources), return_exceptions=True)

    won = [each.keyring.first.id for each in ended if isinstance(each, Seals)]
    assert len(won) == 5
    assert await current(database) == [(won[0], True)]
    assert sum(isinstance(each, Fatal) for each in ended) == 5


async def test_of_many_that_start_at_once_in_one_directory_all_have_the_same_key(
    database: Database, tmp_path: Path
) -> None:
    own = [OwnFile(tmp_path / "secrets.key") for _ in range(5)]

    ended = await asyncio.gather(*(claimed(database, each, SEALED) for each in own))

    assert len({seals.keyring.first.id for seals in ended}) == 1


async def test_a_missing_file_is_not_made_anew_for_a_database_that_knows_a_key(
    database: Database, tmp_path: Path
) -> None:
    own = OwnFile(tmp_path / "secrets.key")
    await claimed(database, own, SEALED)
    (tmp_path / "secrets.key").unlink()

    with pytest.raises(Fatal, match=r"there is no key in .*secrets\.key\. .*restore the key file from the backup"):
        await claimed(database, own, SEALED)

    assert list(tmp_path.iterdir()) == []


async def test_a_key_with_the_right_id_and_the_wrong_proof_is_refused(database: Database) -> None:
    await claimed(database, GivenKeys(A), SEALED)
    await database.execute("UPDATE sealing_keys SET proof = proof || 'A'")

    with pytest.raises(Fatal, match="its proof does not open"):
        await claimed(database, GivenKeys(A), SEALED)


async def test_beside_secrets_in_the_clear_nothing_is_sealed_yet(
    database: Database, capsys: pytest.CaptureFixture[str]
) -> None:
    await database.execute(CLEAR)

    seals = await claimed(database, GivenKeys(A), SEALED)

    assert await sealed(database, seals, {"key": 1}) == {"key": 1}
    assert "secrets.in_the_clear" in capsys.readouterr().out
    with pytest.raises(Fatal):
        await claimed(database, GivenKeys(B), SEALED)


async def test_once_the_last_secret_in_the_clear_is_gone_the_next_start_seals(database: Database) -> None:
    await database.execute(CLEAR)
    await claimed(database, GivenKeys(A), SEALED)
    await database.execute("DELETE FROM user_notification_configs")

    seals = await claimed(database, GivenKeys(A), SEALED)

    assert str(await sealed(database, seals)).startswith("sealed.")


async def test_a_key_that_was_added_to_the_file_is_found_without_a_restart(database: Database, tmp_path: Path) -> None:
    one = await claimed(database, OwnFile(tmp_path / "secrets.key"), SEALED)
    other = await claimed(database, OwnFile(tmp_path / "secrets.key"), SEALED)
    key = one.renew().first
    stored = CONFIG.stored(key.seal(CONFIG.plain("CANARY"), CONFIG.at("c1")))

    assert key.id not in other.keyring.keys
    assert other.opened(CONFIG.at("c1"), stored) == "CANARY"


async def test_a_file_that_is_damaged_while_serving_takes_no_key_away(database: Database, tmp_path: Path) -> None:
    seals = await claimed(database, OwnFile(tmp_path / "secrets.key"), SEALED)
    stored = await sealed(database, seals)
    (tmp_path / "secrets.key").write_text("CANARY")

    with pytest.raises(Unreadable):
        seals.opened(CONFIG.at("c1"), "sealed.1.nobody.AAAA")

    assert seals.opened(CONFIG.at("c1"), stored) == "CANARY"


async def test_what_an_unknown_key_sealed_says_where_the_key_is_wanted(database: Database) -> None:
    seals = await claimed(database, GivenKeys(A), SEALED)
    foreign = GivenKeys(B).load().first
    stored = foreign.seal(b'"CANARY"', CONFIG.at("c1"))

    value, why = seals.tried(CONFIG.at("c1"), stored)

    assert value is None
    assert why == (
        f"user_notification_configs.config (id c1) is sealed under key {foreign.id}, which is not in the setting "
        "secrets.key: add it there, or set these secrets again"
    )


async def test_who_waits_for_a_change_of_the_key_seals_under_the_new_one(database: Database) -> None:
    seals = await claimed(database, GivenKeys(f"{A}\n{B}"), SEALED)
    new = GivenKeys(B).load().first

    async with asyncio.TaskGroup() as group:
        async with database.transaction() as transaction:
            await transaction.execute(sql.lock_sealing_keys)
            await use(transaction, new)
            writer = group.create_task(sealed(database, seals))
            await eventually(partial(somebody_waits, database))
        stored = await writer

    assert str(stored).startswith(f"sealed.1.{new.id}.")


async def test_a_change_of_the_key_waits_for_who_seals_under_the_one_before(database: Database) -> None:
    seals = await claimed(database, GivenKeys(f"{A}\n{B}"), SEALED)

    async def change() -> None:
        async with database.transaction() as transaction:
            await transaction.execute(sql.lock_sealing_keys)
            await use(transaction, GivenKeys(B).load().first)

    async with asyncio.TaskGroup() as group:
        async with database.transaction() as transaction:
            sealer = await seals.sealer(transaction)
            changing = group.create_task(change())
            await eventually(partial(somebody_waits, database))
            assert sealer.key is not None
            assert (sealer.key.id, True) in await current(database)
        await changing

    assert (sealer.key.id, False) in await current(database)


async def test_without_the_key_that_seals_nothing_is_written(database: Database) -> None:
    seals = await claimed(database, GivenKeys(A), SEALED)
    await database.execute("DELETE FROM sealing_keys")
    await claimed(database, GivenKeys(B), SEALED)

    with pytest.raises(Unreadable, match="add it there"):
        await sealed(database, seals)
