"""Waiting longer and longer, and never all at once."""

from datetime import timedelta

import pytest

from alertagent.kernel.backoff import full_jitter

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("attempt", "random", "seconds"),
    [(0, 0.0, 0), (0, 0.5, 0.5), (1, 0.5, 1), (3, 0.5, 4), (6, 0.5, 30), (60, 0.5, 30), (10_000, 0.999, 59.94)],
)
def test_the_wait_doubles_up_to_its_cap_and_is_spread_over_all_of_it(
    attempt: int, random: float, seconds: float
) -> None:
    assert full_jitter(attempt, base=SECOND, cap=60 * SECOND, random=random) == timedelta(seconds=seconds)
