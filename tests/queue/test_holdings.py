import asyncio

from alertagent.queue.holdings import LOW_FIRST, MAX_ENDED, Delivery, Holdings
from alertagent.queue.task import decode
from tests.queue.bench import QUEUE, task


def a_delivery(number: int, *, level: int = 1, of: Delivery | None = None) -> Delivery:
    envelope = of.envelope if of else task(priority=level).envelope
    read, _ = decode(QUEUE, envelope)
    return Delivery(level, b"%d-0" % number, envelope, 1, read)


def test_as_many_may_wait_as_may_run() -> None:
    holdings = Holdings(2)
    for number in range(4):
        delivery = a_delivery(number)
        holdings.take(delivery)
        holdings.make_ready(delivery)

    assert holdings.room == 0
    assert [holdings.next() is not None for _ in range(3)] == [True, True, False]


def test_what_has_ended_makes_room_up_to_a_bound() -> None:
    holdings = Holdings(MAX_ENDED)
    for number in range(MAX_ENDED):
        delivery = a_delivery(number)
        holdings.take(delivery)
        holdings.end(delivery)

    assert holdings.room == 0
    holdings.release(delivery)
    assert holdings.room == 1


def test_the_highest_priority_is_next_then_the_oldest() -> None:
    holdings = Holdings(10)
    deliveries = [a_delivery(number, level=level) for number, level in enumerate((0, 1, 2, 1))]
    for delivery in deliveries:
        holdings.take(delivery)
        holdings.make_ready(delivery)

    assert [holdings.next() for _ in range(4)] == [deliveries[place] for place in (2, 1, 3, 0)]


def test_a_low_priority_does_not_starve() -> None:
    holdings = Holdings(100)
    low = a_delivery(0, level=0)
    for delivery in [low, *(a_delivery(number, level=2) for number in range(1, 50))]:
        holdings.take(delivery)
        holdings.make_ready(delivery)

    assert low in [holdings.next() for _ in range(LOW_FIRST)]


def test_a_second_entry_of_a_task_is_not_taken_until_the_first_is_written_down() -> None:
    holdings = Holdings(10)
    first = a_delivery(1)
    holdings.take(first)

    assert not holdings.take(a_delivery(2, of=first))
    holdings.end(first)
    assert not holdings.take(a_delivery(2, of=first))

    holdings.written(first)
    second = a_delivery(2, of=first)
    assert holdings.take(second)
    holdings.release(first)
    assert holdings.ids == [second.task.id]
    assert second.place in holdings
    assert first.place not in holdings


def test_what_was_let_go_is_not_started() -> None:
    holdings = Holdings(10)
    delivery = a_delivery(1)
    holdings.take(delivery)
    holdings.make_ready(delivery)

    holdings.release(delivery)

    assert holdings.next() is None
    assert holdings.waiting() == []


async def test_room_can_be_awaited() -> None:
    holdings = Holdings(1)
    deliveries = [a_delivery(number) for number in range(2)]
    for delivery in deliveries:
        holdings.take(delivery)

    async with asyncio.TaskGroup() as group:
        room = group.create_task(holdings.wait_for_room())
        await asyncio.sleep(0)
        assert not room.done()
        holdings.release(deliveries[0])

    assert room.result() == 1
