from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from alertagent.kernel.breaker import (
    FIRST_OPEN,
    JITTER,
    LONGEST_OPEN,
    PROBE_LOST_AFTER,
    WINDOW,
    Breaker,
    Go,
    State,
    Wait,
    admit,
    failed,
    passed,
    paused,
)

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def after(outcomes: str) -> Breaker:
    """What a new breaker is after these: `.` passed, `x` failed."""
    breaker = Breaker()
    for outcome in outcomes:
        breaker = passed(breaker) if outcome == "." else failed(breaker, NOON, 0)
    return breaker


def seconds(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


@pytest.mark.parametrize(
    ("outcomes", "state"),
    [
        ("", State.CLOSED),
        ("xxxx", State.CLOSED),
        ("xxxxx", State.OPEN),
        ("....xxxxx", State.OPEN),
        (".....xxxxx", State.CLOSED),
        (".....xxxxxx", State.OPEN),
        ("." * 40 + "x" * 10, State.CLOSED),
        ("." * 40 + "x" * 11, State.OPEN),
        ("xxxx" + "." * 4 + "x", State.OPEN),
        ("xxxx" + "." * 20 + "x", State.CLOSED),
    ],
)
def test_it_opens_at_five_failures_that_are_more_than_half_of_the_last_twenty(outcomes: str, state: State) -> None:
    assert after(outcomes).state(NOON) is state


def test_an_open_breaker_lets_nobody_through_before_its_time() -> None:
    breaker = after("xxxxx")

    assert admit(breaker, seconds(29.9)) == Wait(seconds(30), State.OPEN)
    assert isinstance(admit(breaker, seconds(30)), Go)


def test_only_one_probe_goes_through() -> None:
    probing = admit(after("xxxxx"), seconds(31))

    assert isinstance(probing, Go)
    lost = seconds(31) + PROBE_LOST_AFTER
    assert admit(probing.breaker, seconds(32)) == Wait(lost, State.HALF_OPEN)
    assert isinstance(admit(probing.breaker, lost), Go)


def test_a_probe_is_lost_after_as_long_as_it_may_take() -> None:
    probing = admit(after("xxxxx"), seconds(30), lost_after=timedelta(seconds=35))
    assert isinstance(probing, Go)

    assert admit(probing.breaker, seconds(64.9)) == Wait(seconds(65), State.HALF_OPEN)
    assert isinstance(admit(probing.breaker, seconds(65)), Go)


def test_a_probe_that_passes_closes_it_and_all_is_forgotten() -> None:
    probing = admit(after("xxxxx"), seconds(31))
    assert isinstance(probing, Go)

    assert passed(probing.breaker) == Breaker()


def test_each_probe_that_fails_keeps_it_open_for_twice_as_long_up_to_five_minutes() -> None:
    breaker, now, spans = after("xxxxx"), NOON, []
    for _ in range(6):
        assert breaker.open_until is not None
        spans.append((breaker.open_until - now).total_seconds())
        now = breaker.open_until
        breaker = failed(breaker, now, 0)

    assert spans == [30, 60, 120, 240, 300, 300]


def test_what_fails_while_it_is_open_was_sent_before_and_counts_no_more() -> None:
    breaker = after("xxxxx")

    assert failed(breaker, seconds(10), 0) == breaker


def test_a_pause_counts_as_no_failure_and_ends_by_itself() -> None:
    breaker = paused(after("xxxx"), seconds(60))

    assert breaker.state(NOON) is State.PAUSED
    assert admit(breaker, seconds(59)) == Wait(seconds(60), State.PAUSED)
    assert admit(breaker, seconds(60)) == Go(breaker)
    assert paused(breaker, seconds(10)) == breaker
    assert failed(replace(breaker, paused_until=None), NOON, 0).state(NOON) is State.OPEN


def test_a_probe_that_is_told_to_wait_gives_its_place_to_the_next() -> None:
    probing = admit(after("xxxxx"), seconds(31))
    assert isinstance(probing, Go)

    breaker = paused(probing.breaker, seconds(40))

    assert isinstance(admit(breaker, seconds(40)), Go)
    assert isinstance(admit(breaker, seconds(39)), Wait)


Steps = st.lists(
    st.tuples(st.sampled_from(["ask", "pass", "fail", "pause"]), st.integers(0, 400), st.floats(0, 0.999)), max_size=80
)


@given(Steps)
def test_whatever_happens_it_is_bounded_and_never_shuts_for_ever(steps: list[tuple[str, int, float]]) -> None:
    breaker, now = Breaker(), NOON
    for step, wait, random in steps:
        now += timedelta(seconds=wait)
        if step == "ask":
            answer = admit(breaker, now)
            breaker = answer.breaker if isinstance(answer, Go) else breaker
        elif step == "pass":
            breaker = passed(breaker)
        elif step == "fail":
            breaker = failed(breaker, now, random)
        else:
            breaker = paused(breaker, now + timedelta(seconds=wait))

        assert len(breaker.recent) <= WINDOW
        if breaker.open_until is not None and breaker.open_until > now:
            assert breaker.open_until - now <= LONGEST_OPEN
        answer = admit(breaker, now)
        assert isinstance(answer, Go) or now < answer.until <= now + max(PROBE_LOST_AFTER, timedelta(seconds=400))


@given(st.floats(0, 0.999))
def test_chance_makes_an_opening_shorter_by_a_quarter_at_most(random: float) -> None:
    breaker = failed(after("xxxx"), NOON, random)

    assert breaker.open_until is not None
    assert FIRST_OPEN * (1 - JITTER) <= breaker.open_until - NOON <= FIRST_OPEN


@given(st.lists(st.integers(0, 9), min_size=2, max_size=20))
def test_while_half_open_at_most_one_of_many_goes(delays: list[int]) -> None:
    breaker, gone = after("xxxxx"), 0
    for delay in sorted(delays):
        answer = admit(breaker, seconds(40 + delay))
        if isinstance(answer, Go):
            breaker, gone = answer.breaker, gone + 1

    assert gone == 1
