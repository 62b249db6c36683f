"""What becomes of a task that failed: another try later, or the dead letters. Pure."""

import asyncio
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from alertagent.kernel.backoff import full_jitter
from alertagent.kernel.errors import Delayed, Permanent, Postponed
from alertagent.queue.task import Task

LONGEST = timedelta(hours=24)
MAX_ERROR = 500


class Why(StrEnum):
    """Why a task lies among the dead letters."""

    UNREADABLE = "unreadable"  # the bytes are no envelope
    UNKNOWN_TYPE = "unknown_type"  # nobody here handles this type
    EXHAUSTED = "exhausted"  # failed more often than it may be retried
    PERMANENT = "permanent"  # its handler said that trying again cannot help
    CRASHED = "crashed"  # handed out too often without ever ending: it probably kills its worker
    CANCELLED = "cancelled"  # somebody did not want it any more


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """How a type of task is tried: full jitter between 0 and min(cap, base * 2**retry), each run at most `timeout`."""

    base: timedelta = timedelta(seconds=1)
    cap: timedelta = timedelta(minutes=5)
    timeout: timedelta = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class RetryIn:
    """`spends`: an attempt was made, of which a task has so many."""

    delay: timedelta
    error: str
    spends: bool = True


@dataclass(frozen=True, slots=True)
class Bury:
    why: Why
    error: str


Verdict = RetryIn | Bury

DEFAULT = Rule()


def judge(error: BaseException, task: Task, random: float, rule: Rule = DEFAULT) -> Verdict:
    """Decide. `random` is uniform in [0, 1); a known `retry_after` is the least wait, never longer than a day.

    Whoever raises Postponed decides himself when to stop.
    """
    text = describe(error)
    if isinstance(error, Permanent):
        return Bury(Why.PERMANENT, text)
    if isinstance(error, Postponed):
        # Not all at the same moment, and not much later: how often it was put off says nothing.
        delay = (error.retry_after or rule.base) + rule.base * random
        return RetryIn(min(delay, LONGEST), text, spends=False)
    if task.retry >= task.max_retry:
        return Bury(Why.EXHAUSTED, text)
    delay = full_jitter(task.retry, base=rule.base, cap=rule.cap, random=random)
    if isinstance(error, Delayed) and error.retry_after is not None:
        delay = max(delay, error.retry_after)
    return RetryIn(min(delay, LONGEST), text)


def describe(error: BaseException) -> str:
    """One short text about an error, fit for PostgreSQL, which refuses NUL characters and lone surrogates."""
    name = "cancelled by itself" if isinstance(error, asyncio.CancelledError) else type(error).__name__
    text = f"{name}: {error}" if str(error) else name
    return text[:MAX_ERROR].replace("\0", "?").encode("utf-8", "replace").decode("utf-8")
