import pytest

from alertagent.queue.breadth import breathe


@pytest.mark.parametrize(
    ("now", "is_short", "peak", "next"),
    [
        (2, True, 2, 4),
        (6, True, 6, 8),
        (8, True, 8, 8),
        (8, False, 6, 8),
        (8, False, 5, 6),
        (2, False, 0, 2),
    ],
    ids=["a backlog doubles it", "up to a bound", "which holds", "busy", "not needed", "down to a bound"],
)
def test_the_next_number(now: int, is_short: bool, peak: int, next: int) -> None:
    assert breathe(now, is_short=is_short, peak=peak, least=2, most=8) == next
