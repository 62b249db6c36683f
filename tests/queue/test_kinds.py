from datetime import UTC, datetime

import pytest

from alertagent.kernel import trace
from alertagent.kernel.errors import Permanent
from alertagent.queue.kinds import Kind, Payload
from alertagent.queue.task import NewTask

NOW = datetime(2026, 11, 22, tzinfo=UTC)
PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Paint(Payload):
    wall: str
    coats: tuple[int, ...] = ()


PAINT = Kind(queue="house", type="paint", payload=Paint, priority=0, max_retry=7)


def test_a_task_of_a_kind_carries_its_payload_where_the_kind_says() -> None:
    task = PAINT.task(Paint(wall="north", coats=(1, 2)), due=NOW, id="0192f0c1-aaaa-7000-8000-000000000001")

    assert (task.queue, task.type, task.priority, task.max_retry, task.due) == ("house", "paint", 0, 7, NOW)
    assert task.payload == {"wall": "north", "coats": [1, 2]}
    assert task.id == "0192f0c1-aaaa-7000-8000-000000000001"
    assert PAINT.read(task.as_task(NOW)) == Paint(wall="north", coats=(1, 2))


def test_its_trace_is_that_of_the_work_at_hand_or_the_one_given() -> None:
    with trace.following(PARENT) as own:
        assert PAINT.task(Paint(wall="north")).trace == own
        assert PAINT.task(Paint(wall="north"), trace=PARENT).trace == PARENT


def test_what_a_newer_release_adds_is_no_reason_to_fail() -> None:
    task = NewTask(queue="house", type="paint", payload={"wall": "north", "colour": "red"}).as_task(NOW)

    assert PAINT.read(task) == Paint(wall="north")


@pytest.mark.parametrize(
    ("payload", "place"), [({}, "wall"), ({"wall": 5}, "wall"), ({"wall": "n", "coats": ["x"]}, "coats.0")]
)
def test_a_payload_of_another_shape_is_never_tried_again(payload: dict[str, object], place: str) -> None:
    with pytest.raises(Permanent, match=f"the payload of this paint task: {place}: "):
        PAINT.read(NewTask(queue="house", type="paint", payload=payload).as_task(NOW))
