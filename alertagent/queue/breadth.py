"""How many tasks may run at once: more while others wait, fewer once they are not needed. Pure."""

SHRINK = 0.75


def breathe(now: int, *, is_short: bool, peak: int, least: int, most: int) -> int:
    """The next number. It doubles in a backlog and falls slowly, so that a stuttering backlog does not toss it about.

    `is_short`: something waits though all that may run does; `peak`: the most that ran lately.
    """
    if is_short:
        return min(most, now * 2)
    if peak < now * SHRINK:
        return max(least, int(now * SHRINK))
    return now
