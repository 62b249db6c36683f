"""Gathering hints and keeping the last of them."""

from collections.abc import Sequence

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.core.events.model import NAMED, Gathered, Hint, Ring, Topic, read_hint, topic_of, wanted

ALERTS, RULES = Topic.ALERTS, Topic.RULES


def hint(topic: Topic = ALERTS, *ids: str) -> Hint:
    return Hint(topic=topic, count=len(ids), ids=ids)


def filled(count: int, size: int = 5) -> Ring:
    ring = Ring("r", size)
    for number in range(1, count + 1):
        ring.append(hint(ALERTS, str(number)))
    return ring


def test_what_is_said_in_one_moment_is_one_hint_a_topic() -> None:
    gathered = Gathered()
    gathered.add(ALERTS, ["a", "b"])
    gathered.add(RULES, ["r"])
    gathered.add(ALERTS, ["b", "c"])
    gathered.add(Topic.TASKS, (), 7)

    assert gathered.take() == [
        Hint(topic=ALERTS, count=4, ids=("a", "b", "c")),
        Hint(topic=RULES, count=1, ids=("r",)),
        Hint(topic=Topic.TASKS, count=7, ids=()),
    ]
    assert gathered.take() == []


@pytest.mark.parametrize(("count", "named"), [(NAMED, NAMED), (NAMED + 1, 0), (100_000, 0)])
def test_of_too_many_things_a_hint_tells_only_how_many(count: int, named: int) -> None:
    gathered = Gathered()
    for number in range(count):
        gathered.add(ALERTS, [str(number)])

    (made,) = gathered.take()

    assert (made.count, len(made.ids)) == (count, named)


def test_an_event_goes_over_the_wire_as_the_standard_wants_it() -> None:
    ring = Ring("r", 5)
    ring.append(Hint(topic=ALERTS, count=1, ids=("a\nb",)))
    ring.append(None)

    events = ring.after(0)

    assert events is not None
    text = wanted(events, {RULES, ALERTS})
    first, second, rest = text.split(b"\n\n")
    assert first.split(b"\n")[:2] == [b"id: r-1", b"event: alerts"]
    assert orjson.loads(first.split(b"\n", 2)[2].removeprefix(b"data: ")) == {
        "topic": "alerts",
        "count": 1,
        "ids": ["a\nb"],
    }
    assert (second, rest) == (b"id: r-2\nevent: reset\ndata: {}", b"")


def test_a_reader_gets_his_topics_and_every_reset() -> None:
    ring = Ring("r", 5)
    for each in (hint(ALERTS, "a"), hint(RULES, "r"), None):
        ring.append(each)
    events = ring.after(0) or ()

    def names(topics: set[Topic]) -> Sequence[bytes]:
        return [line for line in wanted(events, topics).split(b"\n") if line.startswith(b"event")]

    assert names({RULES}) == [b"event: rules", b"event: reset"]
    assert len(names(set())) == 3
    assert wanted(events[:1], {RULES}) == b""


@pytest.mark.parametrize(
    ("id", "position"),
    [
        ("r-10", 10),
        ("r-7", 7),
        ("r-5", 5),  # the sixth is the oldest that is kept
        ("r-4", None),
        ("r-11", None),
        ("q-10", None),
        ("10", None),
        ("", None),
        ("r-", None),
        ("r--1", None),
        ("r-x", None),
        ("r-١", None),
        ("r-" + "9" * 5000, None),
    ],
)
def test_an_id_is_a_place_in_this_ring_or_none(id: str, position: int | None) -> None:
    assert filled(10).position(id) == position


def test_an_empty_ring_has_a_beginning() -> None:
    ring = Ring("r", 5)

    assert (ring.position("r-0"), ring.after(0)) == (0, [])
    assert b"id: r-0\nevent: reset" in ring.reset_text()


@given(st.integers(0, 30), st.integers(1, 8), st.integers(0, 30))
def test_after_a_place_comes_everything_or_it_is_said_that_something_is_gone(count: int, size: int, place: int) -> None:
    ring = filled(count, size)
    if place > count:
        return

    after = ring.after(place)

    if count - place <= size:
        assert [event.number for event in after or ()] == list(range(place + 1, count + 1))
    else:
        assert after is None


def test_a_hint_travels_between_processes() -> None:
    made = hint(RULES, "a", "b")

    assert read_hint(orjson.loads(orjson.dumps(made.as_json()))) == made
    for broken in ({}, {"topic": "none", "count": 1, "ids": []}, {"topic": "rules", "count": "x", "ids": []}):
        with pytest.raises((ValueError, KeyError, TypeError)):
            read_hint(broken)


def test_what_the_audit_log_tells_of_has_a_topic_where_pages_follow_it() -> None:
    assert [topic_of(kind) for kind in ("rule", "silence", "token")] == [RULES, Topic.SILENCES, None]
