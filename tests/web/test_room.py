"""What is in hand has a bound; who finds no room waits, and nobody waits for ever."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from prometheus_client import CollectorRegistry

from alertagent.kernel.errors import TimedOut, Unavailable
from alertagent.web import room as rooms
from alertagent.web.access import editor
from alertagent.web.call import Call
from alertagent.web.replies import Raw
from alertagent.web.room import Bound, Entry, Room
from alertagent.web.routes import post
from alertagent.web.server import application, collect
from tests.support.serving import serving
from tests.web.raw import exchange, request
from tests.web.small import Door, Memory

BOUND = Bound(limit=100, patience=timedelta(seconds=30))
IMPATIENT = Bound(limit=100, patience=timedelta(seconds=0.02))


async def whole(room: Room, size: int) -> Entry:
    """A body that has arrived."""
    entry = room.entry()
    await entry.take_whole(bytes(size))
    return entry


def leave(entry: Entry) -> None:
    entry.__exit__(None, None, None)


@asynccontextmanager
async def waiting(*works: Awaitable[object]) -> AsyncIterator[list[asyncio.Task[object]]]:
    """These, once each has come as far as it can."""
    tasks = [asyncio.ensure_future(asyncio.wait_for(work, 10)) for work in works]
    await settled()
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def settled() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_bodies_that_fit_side_by_side_do_not_wait() -> None:
    room = Room(IMPATIENT)
    for size in (60, 40, 0):
        await whole(room, size)

    with pytest.raises(Unavailable, match="100 bytes of what others sent are still worked on"):
        await whole(room, 1)


async def test_who_finds_no_room_waits_in_the_order_of_coming() -> None:
    room = Room(BOUND)
    first = await whole(room, 90)

    async with waiting(whole(room, 95), whole(room, 5)) as (large, small):
        assert not large.done()
        assert not small.done(), "5 would fit, but the larger body came before it and would wait for ever"

        leave(first)
        await settled()
        assert large.done()
        assert small.done()


async def test_one_that_gives_up_keeps_nobody_waiting() -> None:
    room = Room(BOUND)
    await whole(room, 90)

    async with waiting(whole(room, 95), whole(room, 5)) as (large, small):
        large.cancel()
        await settled()
        assert small.done()


async def test_one_that_is_given_room_as_it_gives_up_returns_it() -> None:
    room = Room(BOUND)
    first = await whole(room, 90)

    async def come() -> None:
        with room.entry() as entry:
            await entry.take(95)

    async with waiting(come()) as (coming,):
        leave(first)
        coming.cancel()
        await settled()
        await asyncio.wait_for(whole(room, 100), 1)


async def test_a_body_larger_than_the_room_gets_in_alone() -> None:
    room = Room(BOUND)
    first = await whole(room, 1)

    async with waiting(whole(room, 1000)) as (huge,):
        assert not huge.done()
        leave(first)
        await settled()
        assert huge.done()

        async with waiting(whole(room, 1)) as (next_one,):
            assert not next_one.done()
            leave(huge.result())  # type: ignore[arg-type]  # what `whole` returns
            await settled()
            assert next_one.done()


async def test_bodies_that_are_half_here_do_not_wait_for_each_other_alone() -> None:
    room = Room(BOUND)
    entries = [room.entry() for _ in range(10)]
    done: list[int] = []

    async def arrive(number: int, entry: Entry) -> None:
        for _ in range(10):
            await entry.take(10)
            await asyncio.sleep(0)
        await entry.take_whole(bytes(100))
        done.append(number)
        leave(entry)

    async with waiting(*(arrive(number, entry) for number, entry in enumerate(entries))) as tasks:
        await asyncio.gather(*tasks)

    assert sorted(done) == list(range(10))


async def test_only_one_goes_beyond_the_bound() -> None:
    room = Room(BOUND)
    one, other = room.entry(), room.entry()
    await one.take(60)
    await other.take(40)
    await one.take(100)

    async with waiting(other.take(1)) as (held_up,):
        await one.take(100)
        assert not held_up.done()
        leave(one)
        await settled()
        assert held_up.done()


async def test_a_body_counts_as_what_it_becomes() -> None:
    room = Room(Bound(limit=100, patience=timedelta(seconds=0.02), weigh=lambda body: 10 * len(body)))
    await whole(room, 9)

    with pytest.raises(Unavailable):
        await whole(room, 2)
    await whole(room, 1)


async def test_no_more_wait_than_connections_may_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "MOST_WAITING", 3)
    room = Room(BOUND)
    await whole(room, 100)

    async with waiting(*(whole(room, 1) for _ in range(3))) as tasks:
        with pytest.raises(Unavailable, match="3 wait; send again"):
            await whole(room, 1)
        tasks[1].cancel()
        await settled()
        async with waiting(whole(room, 1)) as (fourth,):
            assert not fourth.done()


async def arrive(entry: Entry, size: int, then: Callable[[], Awaitable[object]]) -> None:
    async with entry.arriving():
        await entry.take(size)
        await then()


async def for_ever() -> None:
    await asyncio.Event().wait()


async def test_who_sends_slowly_is_cut_off_once_others_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "HURRIED_ARRIVAL", timedelta(seconds=0.05))
    room = Room(BOUND)
    await whole(room, 40)

    async with waiting(arrive(room.entry(), 60, for_ever)) as (slow,):
        assert not slow.done()
        async with waiting(whole(room, 60)):
            with pytest.raises(Unavailable, match="too slowly while others wait"):
                await slow


async def test_who_comes_while_others_wait_must_be_quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "HURRIED_ARRIVAL", timedelta(seconds=0.05))
    room = Room(BOUND)
    await whole(room, 100)

    async with waiting(whole(room, 60)):
        with pytest.raises(Unavailable, match="too slowly while others wait"):
            await asyncio.wait_for(arrive(room.entry(), 0, for_ever), 10)


async def test_who_sends_slowly_while_nobody_waits_has_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "ARRIVAL", timedelta(seconds=0.02))
    monkeypatch.setattr(rooms, "HURRIED_ARRIVAL", timedelta())

    with pytest.raises(TimedOut):
        await asyncio.wait_for(arrive(Room(BOUND).entry(), 1, for_ever), 10)


async def test_the_wait_for_room_is_not_the_senders(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "ARRIVAL", timedelta(seconds=0.5))
    monkeypatch.setattr(rooms, "HURRIED_ARRIVAL", timedelta(seconds=0.5))
    room = Room(BOUND)
    first = await whole(room, 100)
    asyncio.get_running_loop().call_later(0.7, leave, first)

    await asyncio.wait_for(arrive(room.entry(), 50, settled), 10)


async def test_and_after_it_the_sender_has_no_longer_than_before(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rooms, "ARRIVAL", timedelta(seconds=0.1))
    monkeypatch.setattr(rooms, "HURRIED_ARRIVAL", timedelta(seconds=0.1))
    room = Room(BOUND)
    first = await whole(room, 100)
    asyncio.get_running_loop().call_later(0.01, leave, first)

    with pytest.raises((TimedOut, Unavailable)):
        await asyncio.wait_for(arrive(room.entry(), 50, for_ever), 10)


async def test_the_patience_is_for_all_that_a_body_waits_for() -> None:
    room = Room(Bound(limit=100, patience=timedelta(seconds=1)))
    first, second = await whole(room, 50), room.entry()
    await whole(room, 50)
    loop = asyncio.get_running_loop()
    began = loop.time()
    loop.call_later(0.8, leave, first)

    await second.take(50)
    with pytest.raises(Unavailable):
        await second.take(50)

    assert loop.time() - began < 1.7


class TightApi:
    """Takes texts of a hundred bytes in all, and keeps them until its gate opens."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.came = asyncio.Event()

    @post("/texts", access=editor("texts:write"), bound=Bound(limit=100, patience=timedelta(seconds=0.3)))
    async def add(self, call: Call, body: bytes) -> Raw:
        """Keep a text."""
        self.came.set()
        await self.gate.wait()
        return Raw(body=b"kept", content_type="text/plain")


@pytest.fixture
async def tight() -> AsyncIterator[tuple[TightApi, str]]:
    api = TightApi()
    app = application(collect([api]), authenticator=Door(), replies=Memory(), registry=CollectorRegistry())
    async with serving(app) as origin:
        yield api, origin


def text(size: int, *, sent: int | None = None) -> bytes:
    head = request("POST", "/api/v1/texts", b"Content-Type: text/plain", b"Content-Length: %d" % size)
    return head + b"x" * (size if sent is None else sent)


async def test_a_request_that_finds_no_room_is_told_to_come_again(tight: tuple[TightApi, str]) -> None:
    api, address = tight
    async with waiting(exchange(address, text(100))) as (kept,):
        await api.came.wait()

        refused = await exchange(address, text(1))
        assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (503, "process.busy", "5")

        api.gate.set()
        assert (await kept).status == 200  # type: ignore[attr-defined]  # a raw answer
    assert (await exchange(address, text(1000))).status == 200


async def test_a_request_that_waits_gets_in_when_another_is_answered(tight: tuple[TightApi, str]) -> None:
    api, address = tight
    async with waiting(exchange(address, text(100))) as (kept,):
        await api.came.wait()
        async with waiting(exchange(address, text(100))) as (second,):
            api.gate.set()
            assert [(await each).status for each in (kept, second)] == [200, 200]  # type: ignore[attr-defined]


async def test_what_is_unpacked_counts_as_it_is_then(tight: tuple[TightApi, str]) -> None:
    api, address = tight
    packed = gzip.compress(b"x" * 100_000)
    head = request("POST", "/api/v1/texts", b"Content-Encoding: gzip", b"Content-Length: %d" % len(packed))
    async with waiting(exchange(address, text(10))) as (_,):
        await api.came.wait()

        assert (await exchange(address, head + packed)).status == 503
        api.gate.set()


async def test_who_announces_much_and_sends_little_holds_nobody_up(tight: tuple[TightApi, str]) -> None:
    api, address = tight
    api.gate.set()
    async with waiting(*(exchange(address, text(100, sent=20)) for _ in range(4))):
        assert (await exchange(address, text(20))).status == 200


async def test_what_has_come_of_a_body_counts_before_it_is_whole(tight: tuple[TightApi, str]) -> None:
    api, address = tight
    api.gate.set()
    async with (
        waiting(exchange(address, text(100, sent=95)), exchange(address, text(100, sent=50))),
        asyncio.timeout(10),
    ):
        while (await exchange(address, text(1))).status != 503:
            pass
