import asyncio
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.kernel import trace
from alertagent.kernel.ids import new_id

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00"
TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"

MALFORMED = [
    "",
    "00",
    PARENT.upper(),
    f" {PARENT}",
    f"{PARENT}-more",
    PARENT.replace("00-4", "01-4"),
    f"00-{'0' * 32}-00f067aa0ba902b7-01",
    f"00-{TRACE_ID}-{'0' * 16}-01",
    f"00-{TRACE_ID}-00f067aa0ba902b7-1",
]


def test_a_traceparent_is_taken_as_it_is() -> None:
    assert trace.accepted(PARENT) == PARENT


@pytest.mark.parametrize("header", [None, *MALFORMED])
def test_what_is_no_traceparent_begins_a_new_trace(header: str | None) -> None:
    begun = trace.accepted(header)

    assert trace.is_traceparent(begun)
    assert trace.id_of(begun) != TRACE_ID
    assert trace.accepted(header) != begun


def test_a_child_keeps_the_trace_and_its_flags_and_has_a_span_of_its_own() -> None:
    child = trace.child_of(PARENT)

    assert re.fullmatch(rf"00-{TRACE_ID}-[0-9a-f]{{16}}-00", child)
    assert len({PARENT, child, trace.child_of(PARENT)}) == 3


@pytest.mark.parametrize("found", [None, 5, b"", {}, *MALFORMED])
def test_anything_else_is_no_traceparent(found: object) -> None:
    assert not trace.is_traceparent(found)


@given(st.text(alphabet="0123456789abcdef-", max_size=60))
def test_whatever_comes_in_a_traceparent_goes_on(header: str) -> None:
    assert trace.is_traceparent(trace.accepted(header))
    assert trace.is_traceparent(trace.child_of(header))


def test_work_that_nobody_led_to_has_one_trace_in_all_its_attempts() -> None:
    id = new_id()
    first, second = trace.begun_by(id), trace.begun_by(id)

    assert trace.is_traceparent(first)
    assert trace.id_of(first) == trace.id_of(second) == id.replace("-", "")
    assert first != second


async def test_the_trace_in_force_belongs_to_the_coroutine_that_follows_it() -> None:
    async def follow(parent: str) -> str | None:
        with trace.following(parent) as own:
            await asyncio.sleep(0)
            assert trace.current() == own
            return own

    other = PARENT.replace("4bf9", "5bf9")
    first, second = await asyncio.gather(follow(PARENT), follow(other))

    assert first is not None
    assert second is not None
    assert [trace.id_of(first), trace.id_of(second)] == [TRACE_ID, trace.id_of(other)]
    assert first != PARENT
    assert trace.current() is None
