"""What the log says of an outage."""

import asyncpg
import pytest
from structlog.testing import capture_logs

from alertagent.kernel.errors import Unavailable
from alertagent.storage.database import Database
from alertagent.storage.outage import REMEMBERED, SAY_EVERY, Outage, reason_of
from tests.support.engines import PrivatePostgres


class Watch:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_reason_is_said_at_once_and_then_now_and_then_with_how_often_it_was() -> None:
    watch = Watch()
    outage = Outage(monotonic=watch)

    with capture_logs() as lines:
        for _ in range(50):
            outage.note("gone")
        outage.note("full")
        watch.now += SAY_EVERY.total_seconds()
        outage.note("gone")

    assert [(line["reason"], line["statements"]) for line in lines] == [("gone", 1), ("full", 1), ("gone", 50)]
    assert {line["event"] for line in lines} == {"database.unavailable"}


def test_reasons_without_end_are_not_kept() -> None:
    outage = Outage(monotonic=Watch())

    with capture_logs() as lines:
        for number in range(REMEMBERED + 1):
            outage.note(f"reason {number}")
        outage.note("reason 0")

    assert lines[-1]["reason"] == "reason 0"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (asyncpg.InternalClientError("cannot switch to state 12; another operation (2) is in progress"), "lost"),
        (asyncpg.InterfaceError("cannot call x(): connection has been released back to the pool"), "lost"),
        (TimeoutError(), "no free connection, or no answer, in time"),
        (ConnectionRefusedError("[Errno 111] Connection refused"), "Connection refused"),
        (asyncpg.CannotConnectNowError("the database system is starting up\nDETAIL:  wait"), "is starting up"),
        (asyncpg.InterfaceError("pool is closing"), "pool is closing"),
        (OSError(), "OSError"),
    ],
)
def test_a_reason_is_in_words_for_people(error: Exception, said: str) -> None:
    assert reason_of(error).endswith(said)


async def test_what_cannot_be_asked_again_and_again_is_few_lines(private_postgres: PrivatePostgres) -> None:
    async with Database.connect(private_postgres.url) as database:
        await private_postgres.kill()
        with capture_logs() as lines:
            for _ in range(50):
                with pytest.raises(Unavailable):
                    await database.fetchval("SELECT 1")

    assert 1 <= len(lines) <= 3
