"""Making, recognising and revoking tokens, on a real database and a clock that stands still."""

import asyncio
import zlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from structlog.testing import capture_logs

from alertagent.core.audit.model import SYSTEM
from alertagent.core.audit.service import Audit
from alertagent.core.auth.model import Kind, compose
from alertagent.core.auth.service import ADMINISTRATOR, REMEMBERED_FOR, USE_NOTED_EVERY, Tokens
from alertagent.kernel.errors import NotFound, Unavailable
from alertagent.storage.database import Database
from alertagent.storage.listening import Listening
from alertagent.storage.migrate import migrate
from alertagent.web.access import Role
from tests.support.engines import PrivatePostgres
from tests.support.prometheus import eventually

ADMIN = "a-fixed-admin-token-é"


class FrozenClock:
    def __init__(self) -> None:
        self.time = datetime.now(UTC)

    def now(self) -> datetime:
        return self.time


async def is_away(database: Database) -> bool:
    """The processes of a killed server outlive it by a moment."""
    try:
        await database.fetchval("SELECT 1")
    except Unavailable:
        return True
    return False


@pytest.fixture
def clock() -> FrozenClock:
    return FrozenClock()


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database.connect(database_url) as database:
        yield database


@pytest.fixture
def tokens(database: Database, clock: FrozenClock) -> Tokens:
    return Tokens(database, Audit(), clock, admin_token=ADMIN)


async def test_a_token_is_recognised_with_all_it_may_do(tokens: Tokens) -> None:
    token, text = await tokens.make(SYSTEM, name="ci", kind=Kind.API, scopes=("rules:write",), cluster_id="c1")

    principal = await tokens.authenticate(text)

    assert principal is not None
    assert (principal.id, principal.name) == (f"token:{token.id}", f"ci ({token.id})")
    assert (principal.role, principal.scopes, principal.cluster_id) == (None, frozenset({"rules:write"}), "c1")


async def test_a_stranger_is_not(tokens: Tokens) -> None:
    token, text = await tokens.make(SYSTEM, name="ci", kind=Kind.API, role=Role.VIEWER)
    _, unknown = compose(Kind.API, bytes(40))
    body = f"aa_api_{token.id}_{'a' * 32}"
    same_id = f"{body}{zlib.crc32(body.encode()):08x}"

    for bearer in ("", "x", text[:-1], text.upper(), unknown, same_id, ADMIN[:-1], "\udcff"):
        assert await tokens.authenticate(bearer) is None, bearer


async def test_an_expired_token_opens_nothing(tokens: Tokens, clock: FrozenClock) -> None:
    _, text = await tokens.make(SYSTEM, name="t", kind=Kind.API, role=Role.VIEWER, expires_in=timedelta(hours=1))
    assert await tokens.authenticate(text) is not None

    clock.time += timedelta(hours=1)

    assert await tokens.authenticate(text) is None


async def test_a_revoked_token_ends_at_once_here_and_soon_elsewhere(
    tokens: Tokens, database: Database, clock: FrozenClock
) -> None:
    elsewhere = Tokens(database, Audit(), clock, admin_token=None)
    token, text = await tokens.make(SYSTEM, name="t", kind=Kind.API, role=Role.VIEWER)
    for process in (tokens, elsewhere):
        assert await process.authenticate(text) is not None

    await tokens.revoke(SYSTEM, token.id)

    assert await tokens.authenticate(text) is None
    assert await elsewhere.authenticate(text) is not None
    clock.time += REMEMBERED_FOR
    assert await elsewhere.authenticate(text) is None


async def test_where_changes_are_heard_tokens_are_remembered_for_long_and_forgotten_at_once(
    tokens: Tokens, database: Database, clock: FrozenClock
) -> None:
    listening = Listening(database)
    elsewhere = Tokens(database, Audit(), clock, admin_token=ADMIN, listening=listening)
    kept, text = await tokens.make(SYSTEM, name="t", kind=Kind.API, role=Role.VIEWER)
    gone, other = await tokens.make(SYSTEM, name="u", kind=Kind.API, role=Role.VIEWER)
    assert elsewhere.recalled(ADMIN) is ADMINISTRATOR
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(listening.run())
        await eventually(lambda: listening.is_live)
        assert elsewhere.recalled(text) is None
        assert await elsewhere.authenticate(text) == await elsewhere.authenticate(text) == elsewhere.recalled(text)
        assert await elsewhere.authenticate(other) is not None

        clock.time += REMEMBERED_FOR * 2
        assert elsewhere.recalled(other) is not None
        await tokens.revoke(SYSTEM, gone.id)
        await eventually(lambda: elsewhere.recalled(other) is None)

        assert await elsewhere.authenticate(other) is None
        assert await elsewhere.authenticate(text) is not None
        task.cancel()
    assert kept.id != gone.id


async def test_a_lost_connection_forgets_what_it_can_no_longer_vouch_for(
    database: Database, clock: FrozenClock
) -> None:
    listening = Listening(database)
    tokens = Tokens(database, Audit(), clock, admin_token=None, listening=listening)
    _, text = await tokens.make(SYSTEM, name="t", kind=Kind.API, role=Role.VIEWER)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        task = group.create_task(listening.run())
        await eventually(lambda: listening.is_live)
        await tokens.authenticate(text)
        assert tokens.recalled(text) is not None

        with capture_logs():
            await database.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid() AND query LIKE 'LISTEN%'"
            )
            await eventually(lambda: tokens.recalled(text) is None)
        task.cancel()


async def test_what_is_not_there_cannot_be_revoked(tokens: Tokens) -> None:
    token, _ = await tokens.make(SYSTEM, name="t", kind=Kind.SIDECAR, scopes=("sync:c1",), cluster_id="c1")

    with pytest.raises(NotFound):
        await tokens.revoke(SYSTEM, "none")
    with pytest.raises(NotFound):
        await tokens.revoke(SYSTEM, token.id, cluster_id="c2")
    await tokens.revoke(SYSTEM, token.id, cluster_id="c1")
    with pytest.raises(NotFound):
        await tokens.revoke(SYSTEM, token.id)


async def test_the_last_use_is_noted_but_not_each_time(tokens: Tokens, database: Database, clock: FrozenClock) -> None:
    token, text = await tokens.make(SYSTEM, name="t", kind=Kind.API, role=Role.VIEWER)

    async def used() -> datetime | None:
        moment: datetime | None = await database.fetchval("SELECT last_used_at FROM tokens WHERE id = $1", token.id)
        return moment

    assert await used() is None
    await tokens.authenticate(text)
    first = await used()
    clock.time += REMEMBERED_FOR
    await tokens.authenticate(text)
    assert await used() == first is not None
    clock.time += USE_NOTED_EVERY + timedelta(seconds=1)
    await tokens.authenticate(text)
    assert await used() != first


async def test_of_a_token_only_its_digest_is_stored(tokens: Tokens, database: Database) -> None:
    token, text = await tokens.make(SYSTEM, name="t", kind=Kind.API, role=Role.ADMIN)
    secret = text.rpartition("_")[2][:32]

    for table in ("tokens", "audit_log"):
        rows = await database.fetch(f"SELECT t::text AS row FROM {table} AS t")
        assert rows, table
        assert not any(secret in row["row"] for row in rows), table
    assert token.id in text


async def test_a_fresh_installation_gets_one_administrator(database: Database, clock: FrozenClock) -> None:
    tokens = Tokens(database, Audit(), clock, admin_token=None)

    text = await tokens.first_admin()

    assert text is not None
    principal = await tokens.authenticate(text)
    assert principal is not None
    assert principal.is_admin
    assert await tokens.first_admin() is None


async def test_with_a_fixed_token_no_other_administrator_is_made(tokens: Tokens, database: Database) -> None:
    assert await tokens.first_admin() is None
    assert await database.fetchval("SELECT count(*) FROM tokens") == 0


async def test_a_renewed_token_replaces_all_of_its_name(tokens: Tokens) -> None:
    first = await tokens.renew("demo", Role.VIEWER)
    assert await tokens.authenticate(first) is not None

    second = await tokens.renew("demo", Role.VIEWER)

    assert await tokens.authenticate(first) is None
    assert await tokens.authenticate(second) is not None


async def test_without_the_database_the_fixed_token_works_and_others_are_unavailable(
    private_postgres: PrivatePostgres, clock: FrozenClock
) -> None:
    with capture_logs():
        await migrate(private_postgres.url)
    async with Database.connect(private_postgres.url) as database:
        tokens = Tokens(database, Audit(), clock, admin_token=ADMIN)
        _, known = await tokens.make(SYSTEM, name="t", kind=Kind.INGEST, scopes=("ingest",))
        _, other = await tokens.make(SYSTEM, name="t", kind=Kind.INGEST, scopes=("ingest",))
        assert await tokens.authenticate(known) is not None
        await private_postgres.kill()

        with capture_logs():
            await eventually(lambda: is_away(database))
            assert await tokens.authenticate(ADMIN) is ADMINISTRATOR
            assert await tokens.authenticate("nonsense") is None
            assert await tokens.authenticate(known) is not None
            with pytest.raises(Unavailable):
                await tokens.authenticate(other)
            clock.time += REMEMBERED_FOR
            with pytest.raises(Unavailable):
                await tokens.authenticate(known)
