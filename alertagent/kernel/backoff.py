"""How long to wait before trying again: exponential with full jitter."""

from datetime import timedelta


def full_jitter(attempt: int, *, base: timedelta, cap: timedelta, random: float) -> timedelta:
    """Somewhere in [0, min(cap, base * 2**attempt)); `random` is uniform in [0, 1), `attempt` counts from 0."""
    return min(cap, base * (1 << min(attempt, 30))) * random
