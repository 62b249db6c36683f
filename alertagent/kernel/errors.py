"""Everything that can go wrong on purpose, as one tree.

A kind says what went wrong for the caller; only `web` turns kinds into HTTP statuses and only the queue's
policy turns them into retries. The message is written for the person who reads it at 3 a.m.: what failed,
where, what to do.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class Detail:
    """One finding and its place.

    `loc` walks into the input (`("labels", "severity")`); `line` and `column` count from 1 inside a text
    such as an expression or a YAML file.
    """

    loc: tuple[str | int, ...]
    message: str
    line: int | None = None
    column: int | None = None


class Problem(Exception):
    """The root. `code` is stable for programs, `message` is for people and may change."""

    type: ClassVar[str] = "internal"
    default_code: ClassVar[str] = "internal"

    def __init__(self, message: str, *, code: str | None = None, details: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.code = code or self.default_code
        self.details = tuple(details)


class Invalid(Problem):
    """The input cannot be accepted as it is."""

    type = "validation"
    default_code = "request.invalid"


class Unauthorized(Problem):
    """Nobody knows who is calling."""

    type = "unauthorized"
    default_code = "auth.required"


class Forbidden(Problem):
    """The caller is known and may not do this."""

    type = "forbidden"
    default_code = "auth.forbidden"


class NotFound(Problem):
    """The thing named does not exist."""

    type = "not_found"
    default_code = "not_found"


class MethodNotAllowed(Problem):
    """The path exists, the method does not. `allowed` goes into the `Allow` header."""

    type = "method_not_allowed"
    default_code = "request.method_not_allowed"

    def __init__(self, message: str, *, allowed: Sequence[str]) -> None:
        super().__init__(message)
        self.allowed = tuple(allowed)


class TimedOut(Problem):
    """The caller was too slow in sending its request."""

    type = "timeout"
    default_code = "request.timeout"


class Conflict(Problem):
    """What is asked contradicts what is stored."""

    type = "conflict"
    default_code = "conflict"


class Stale(Problem):
    """The caller's `If-Match` names a version that is no longer the current one."""

    type = "precondition"
    default_code = "request.precondition_failed"


class TooLarge(Problem):
    """The body is over its limit."""

    type = "too_large"
    default_code = "request.too_large"


class UnsupportedMedia(Problem):
    """The body is of a kind that this route does not read."""

    type = "unsupported_media"
    default_code = "request.unsupported_media"


class Delayed(Problem):
    """A failure that time may heal. `retry_after` is the least wait that makes sense, where it is known."""

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        details: Sequence[Detail] = (),
        retry_after: timedelta | None = None,
    ) -> None:
        super().__init__(message, code=code, details=details)
        self.retry_after = retry_after


class RateLimited(Delayed):
    """Too many calls."""

    type = "rate_limit"
    default_code = "rate_limit"


class External(Delayed):
    """Another system answered wrongly or not at all."""

    type = "external"
    default_code = "external"


class Postponed(External):
    """Nothing was tried, because it could not help before `retry_after`: that spends none of a task's attempts."""

    default_code = "postponed"


class Unavailable(Delayed):
    """A part of AlertAgent's own that is needed is away: the database, the queue, the process while it stops."""

    type = "unavailable"
    default_code = "unavailable"


class Permanent(Problem):
    """A task that can never succeed: trying again cannot help and would hide the cause."""

    default_code = "permanent"


class Fatal(Problem):
    """The process cannot start or go on. One clear line on stderr and exit status 1, never a traceback."""

    default_code = "fatal"
