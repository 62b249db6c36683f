"""What became of one attempt to deliver, and what a bare HTTP status says about it. Pure.

HTTP 200 is not delivery: DingTalk, Feishu, WeCom and Slack report a refusal inside a 200. So a plugin asks
`failure()` first and then reads the body.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Literal

import orjson

from alertagent.kernel.record import record
from alertagent.plugins.text import cut, one_line

MAX_RETRY_AFTER = timedelta(days=1)


@record
class Delivered:
    """The provider took it. `message_id` is the provider's name for it, where it gives one.

    `thread` is the first message of the thread that it went into or began, where the channel has threads.
    """

    code: str = ""
    text: str = ""
    message_id: str | None = None
    thread: str | None = None


@record
class RetryAfter:
    """Not delivered, and trying again makes sense: after `after`, or when the caller's own backoff says.

    `pause_channel` says that the provider blocks the whole channel: anything sent before `after` prolongs it.
    """

    after: timedelta | None = None
    code: str
    text: str
    pause_channel: bool = False


@record
class Refused:
    """Not delivered, and no repetition can help. `gone`: the receiver asks never to be called again."""

    code: str
    text: str
    gone: bool = False


@record
class Ambiguous:
    """It may have been delivered or not: repeat at most once, since a duplicate is possible."""

    code: str
    text: str


Outcome = Delivered | RetryAfter | Refused | Ambiguous

Word = Literal["delivered", "retry_after", "refused", "ambiguous"]

_WORDS: Mapping[type[Outcome], Word] = {
    Delivered: "delivered",
    RetryAfter: "retry_after",
    Refused: "refused",
    Ambiguous: "ambiguous",
}


def word_of(outcome: Outcome) -> Word:
    """An outcome as people and metrics name it."""
    return _WORDS[type(outcome)]


def failure(status: int, headers: Mapping[str, str], body: bytes) -> RetryAfter | Refused | None:
    """What an HTTP status alone decides; None for 2xx.

    The rule of Alertmanager's notify/util.go: 5xx and 429 are repeated, any other 4xx is final. A redirect is
    final too, because it is never followed.
    """
    if 200 <= status < 300:
        return None
    code, text = f"http.{status}", excerpt(body) or f"HTTP status {status}"
    if status == 429 or status >= 500:
        return RetryAfter(after=retry_after(headers), code=code, text=text)
    return Refused(code=code, text=text, gone=status == 410)


def retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Read `Retry-After` (RFC 9110, 10.2.3): seconds, or a moment. At most a day; None when it says nothing usable.

    A moment is measured against the answer's own `Date`, so that neither side's clock has to be right.
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return min(timedelta(seconds=int(value[:9])), MAX_RETRY_AFTER)
    until, sent = _moment(value), _moment(headers.get("Date", ""))
    if until is None or sent is None:
        return None
    return min(max(until - sent, timedelta()), MAX_RETRY_AFTER)


def _moment(value: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(value)
    except (ValueError, OverflowError):  # the latter for a year or a zone of twenty digits
        return None
    return moment if moment.tzinfo else None


def seconds(value: object) -> timedelta | None:
    """The pause that an answer's body asks for in seconds. At most a day; None when it says nothing usable."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:  # NaN is not
        return None
    return timedelta(seconds=min(value, MAX_RETRY_AFTER.total_seconds()))


def object_of(body: bytes) -> Mapping[str, Any]:
    """The JSON object that an answer is; an empty one where it is something else."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return answer if isinstance(answer, dict) else {}


def excerpt(body: bytes) -> str:
    """The beginning of an answer, fit for a log and a page."""
    return cut(one_line(body[:4096].decode("utf-8", "replace")), 500)
