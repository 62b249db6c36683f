from datetime import UTC, datetime
from typing import Any

import orjson
import pytest

from alertagent.kernel.errors import Invalid
from alertagent.queue.task import MAX_ENVELOPE, NewTask, Unreadable, decode, encode, identify
from tests.queue.bench import task

READABLE: dict[str, Any] = orjson.loads(task().envelope)


@pytest.mark.parametrize(("asked", "given"), [(-5, 0), (0, 0), (1, 1), (2, 2), (9, 2)])
def test_a_priority_is_clamped(asked: int, given: int) -> None:
    assert task(priority=asked).priority == given


def test_what_is_sealed_is_read_back() -> None:
    due = datetime(2026, 11, 22, 12, 0, 0, 123456, tzinfo=UTC)
    new = task(payload={"alert": "d9a1", "names": ["磁盘"]}, priority=2, max_retry=7, due=due, trace="00-ab-cd-01")

    read, again = decode("work", new.envelope)

    assert (read.id, read.payload, read.priority, read.max_retry) == (new.id, new.payload, 2, 7)
    assert (read.due, read.trace, read.retry, again) == (due, "00-ab-cd-01", 0, False)


def test_a_copy_that_may_not_be_the_only_one_is_marked() -> None:
    read, _ = decode("work", task().envelope)

    assert decode("work", encode(read, again=True)) == (read, True)


@pytest.mark.parametrize(
    "payload",
    [{"text": "x" * MAX_ENVELOPE}, {"text": "nul \0"}, {"text": "\ud800"}, {"set": {1}}, {1: "key"}],
)
def test_a_payload_that_could_not_travel_or_be_kept_is_refused(payload: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="note task"):
        NewTask(queue="work", type="note", payload=payload)


@pytest.mark.parametrize(
    "envelope",
    [
        b"",
        b"\xff\x00",
        b"[]",
        b"{}",
        orjson.dumps({**READABLE, "id": "seven"}),
        orjson.dumps({**READABLE, "id": 7}),
        orjson.dumps({**READABLE, "type": None}),
        orjson.dumps({**READABLE, "payload": [1]}),
        orjson.dumps({**READABLE, "priority": "high"}),
        orjson.dumps({**READABLE, "due": "2026-11-22T12:00:00"}),
        orjson.dumps({**READABLE, "create_at": "yesterday"}),
    ],
)
def test_anything_that_is_no_envelope_is_unreadable(envelope: bytes) -> None:
    with pytest.raises(Unreadable):
        decode("work", envelope)


def test_the_id_is_found_where_there_is_one() -> None:
    new = task()

    assert identify(new.envelope) == new.id
    assert identify(b"garbage") is None
