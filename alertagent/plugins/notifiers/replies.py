"""What chat robots say inside a 200: a number that is 0 when they took the message. Pure."""

from collections.abc import Collection, Mapping
from datetime import timedelta

from alertagent.plugins.outcome import (
    Ambiguous,
    Delivered,
    Outcome,
    Refused,
    RetryAfter,
    excerpt,
    failure,
    object_of,
)

_NOT_BLOCKED: Mapping[int, timedelta] = {}


def judged(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *names: str,
    permanent: Collection[int],
    blocked: Mapping[int, timedelta] = _NOT_BLOCKED,
) -> Outcome:
    """What an answer means whose code is under one of `names`.

    `permanent` are the codes that no repetition can help; `blocked` those that close the robot, and for how long. Any
    other may pass. Without a code nobody knows what happened: some gateway may have answered instead of the robot.
    """
    failed = failure(status, headers, body)
    if failed:
        return failed
    found, text = code_of(body, *names), excerpt(body)
    if found is None:
        return Ambiguous(code=f"http.{status}", text=f"the answer has no {names[0]}: {text}")
    code = str(found)
    if found == 0:
        return Delivered(code=code, text=text)
    if found in permanent:
        return Refused(code=code, text=text)
    return RetryAfter(after=blocked.get(found), code=code, text=text, pause_channel=found in blocked)


def code_of(body: bytes, *names: str) -> int | None:
    """The number under any of these names in the JSON object that an answer is; None where there is none.

    An answer may say it twice, as Feishu's do: then the one that is not 0 counts.
    """
    answer = object_of(body)
    codes = [answer[name] for name in names if type(answer.get(name)) is int]
    return next(filter(None, codes), 0) if codes else None
