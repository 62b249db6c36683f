"""Many posts, few commits, and an answer for each of them."""

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from alertagent.core.alerts import group_commit
from alertagent.core.alerts.group_commit import MAX_ROWS, GroupCommit
from alertagent.core.alerts.model import AlertStatus, IncomingAlert
from alertagent.kernel.errors import Unavailable


def make_alert(number: int) -> IncomingAlert:
    moment = datetime(2026, 11, 22, tzinfo=UTC)
    return IncomingAlert(
        fingerprint=f"{number:016x}",
        status=AlertStatus.FIRING,
        labels={"number": str(number)},
        annotations={},
        generator_url="",
        source="api",
        starts_at=moment,
        ends_at=moment,
    )


def make_alerts(count: int) -> list[IncomingAlert]:
    return [make_alert(number) for number in range(count)]


class Disk:
    """Where the batches go: remembers them, waits while it is closed, fails on what it is told to."""

    def __init__(self) -> None:
        self.batches: list[list[IncomingAlert]] = []
        self.open = asyncio.Event()
        self.open.set()
        self.busy = asyncio.Event()
        self.fails: Callable[[Sequence[IncomingAlert]], Exception | None] = lambda _alerts: None

    async def write(self, alerts: Sequence[IncomingAlert]) -> None:
        self.busy.set()
        await self.open.wait()
        if (error := self.fails(alerts)) is not None:
            raise error
        self.batches.append(list(alerts))


@asynccontextmanager
async def committing(disk: Disk) -> AsyncIterator[GroupCommit]:
    commits = GroupCommit(disk.write)
    running = asyncio.create_task(commits.run())
    try:
        yield commits
    finally:
        running.cancel()
        await asyncio.wait([running])


async def test_posts_that_arrive_during_a_commit_share_the_next() -> None:
    disk = Disk()
    async with committing(disk) as commits, asyncio.TaskGroup() as posts:
        disk.open.clear()
        posts.create_task(commits.add(make_alerts(1)))
        await disk.busy.wait()
        for _ in range(50):
            posts.create_task(commits.add(make_alerts(2)))
        await asyncio.sleep(0)
        disk.open.set()

    assert [len(batch) for batch in disk.batches] == [1, 100]


async def test_a_batch_is_full_at_a_thousand_rows_and_a_larger_post_goes_alone() -> None:
    disk = Disk()
    async with committing(disk) as commits, asyncio.TaskGroup() as posts:
        for size in (MAX_ROWS - 1, 1, 1, 5 * MAX_ROWS, 1):
            posts.create_task(commits.add(make_alerts(size)))

    assert [len(batch) for batch in disk.batches] == [MAX_ROWS, 1, 5 * MAX_ROWS, 1]


async def test_a_post_that_cannot_be_written_does_not_refuse_its_neighbours() -> None:
    disk = Disk()
    disk.fails = lambda alerts: ValueError("poison") if make_alert(7) in alerts else None
    async with committing(disk) as commits:
        answers = await asyncio.gather(
            *(commits.add([make_alert(number)]) for number in range(10)), return_exceptions=True
        )

    assert [str(answer) for answer in answers if answer is not None] == ["poison"]
    assert isinstance(answers[7], ValueError)
    assert [len(batch) for batch in disk.batches] == [1] * 9


async def test_an_outage_is_told_to_all_without_trying_each() -> None:
    disk, tries = Disk(), 0

    def away(_alerts: Sequence[IncomingAlert]) -> Exception:
        nonlocal tries
        tries += 1
        return Unavailable("the database is away")

    disk.fails = away
    async with committing(disk) as commits:
        answers = await asyncio.gather(*(commits.add(make_alerts(1)) for _ in range(10)), return_exceptions=True)

    assert tries == 1
    assert all(isinstance(answer, Unavailable) for answer in answers)


async def test_alerts_that_could_not_be_stored_are_not_kept() -> None:
    class Alerts(list[IncomingAlert]):
        """One that can be looked for."""

    async def refused() -> weakref.ref[Alerts]:
        alerts = Alerts(make_alerts(1))
        with pytest.raises(Unavailable):
            await commits.add(alerts)
        return weakref.ref(alerts)

    disk = Disk()
    disk.fails = lambda _alerts: Unavailable("the database is away")
    async with committing(disk) as commits:
        gc.disable()
        try:
            found = await refused()
            await asyncio.sleep(0)  # the batch ends
            assert found() is None
        finally:
            gc.enable()


async def test_too_much_waiting_is_refused_with_a_time_to_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAITING", 10)
    disk = Disk()
    async with committing(disk) as commits, asyncio.TaskGroup() as posts:
        disk.open.clear()
        posts.create_task(commits.add(make_alerts(1)))
        await disk.busy.wait()
        posts.create_task(commits.add(make_alerts(10)))
        await asyncio.sleep(0)

        with pytest.raises(Unavailable) as refused:
            await commits.add(make_alerts(1))

        assert refused.value.code == "alerts.overloaded"
        assert refused.value.retry_after is not None
        disk.open.set()


async def test_who_waited_too_long_is_told_how_long_in_round_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "PATIENCE", timedelta(seconds=0.1))
    monkeypatch.setattr(group_commit, "MORE_FOR_EACH", timedelta(microseconds=100))
    disk = Disk()
    async with committing(disk) as commits:
        disk.open.clear()

        with pytest.raises(Unavailable, match=r"did not answer within 0\.1 s; send again"):
            await commits.add(make_alerts(1))

        disk.open.set()


async def test_a_post_larger_than_the_limit_gets_through_when_nothing_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_commit, "MAX_WAITING", 10)
    disk = Disk()
    async with committing(disk) as commits:
        await commits.add(make_alerts(11))

    assert [len(batch) for batch in disk.batches] == [11]


async def test_a_stop_answers_those_that_wait_and_those_that_are_being_written() -> None:
    disk = Disk()
    disk.open.clear()
    async with committing(disk) as commits:
        written = asyncio.create_task(commits.add(make_alerts(1)))
        await disk.busy.wait()
        waiting = asyncio.create_task(commits.add(make_alerts(1)))
        await asyncio.sleep(0)

    for post in (written, waiting):
        with pytest.raises(Unavailable, match="stopping"):
            await post
    with pytest.raises(Unavailable, match="stopping"):
        await commits.add(make_alerts(1))


async def test_whoever_goes_away_while_waiting_disturbs_nobody() -> None:
    disk = Disk()
    async with committing(disk) as commits:
        disk.open.clear()
        first = asyncio.create_task(commits.add(make_alerts(1)))
        await disk.busy.wait()
        gone, stays = asyncio.create_task(commits.add(make_alerts(2))), asyncio.create_task(commits.add(make_alerts(3)))
        await asyncio.sleep(0)
        gone.cancel()
        disk.open.set()
        await asyncio.gather(first, stays)

    assert [len(batch) for batch in disk.batches] == [1, 5]
