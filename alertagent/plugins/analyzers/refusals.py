"""What an AI provider's refusal means for a run: try later, come back when told, or never. Pure.

Messages are the provider's, shortened and without the credential: some repeat the key that they refuse.
"""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

from alertagent.kernel.errors import External, Permanent, Problem, RateLimited
from alertagent.plugins.analyzers.answers import object_of
from alertagent.plugins.outcome import excerpt, retry_after
from alertagent.plugins.text import cut, one_line

# A concurrency limit is over when another run ends; nobody says when.
COME_BACK = timedelta(seconds=10)

_MAX_WORDS = 300


def by_status(status: int, headers: Mapping[str, str], message: str, *, code: str) -> Problem:
    """What an HTTP status says that no code of the provider's own overrules."""
    text = f"{message} ({code})" if code else message
    if status == 429:
        return RateLimited(text, code=code or "analyzer.busy", retry_after=retry_after(headers) or COME_BACK)
    if status in {408, 425} or status >= 500:
        return External(text, code=code or f"http.{status}", retry_after=retry_after(headers))
    return Permanent(text, code=code or f"http.{status}")


def words(status: int, body: bytes, secrets: Iterable[str] = ()) -> str:
    """The provider's own message: `message`, that of an `error` object, or the beginning of whatever came."""
    answer: Mapping[str, Any] = object_of(body) or {}
    inner = answer.get("error")
    source = inner if isinstance(inner, Mapping) else answer
    message = source.get("message") or (inner if isinstance(inner, str) else None)
    text = message if isinstance(message, str) else _beginning(answer, body)
    return redacted(cut(one_line(text), _MAX_WORDS) or f"HTTP status {status}", secrets)


def redacted(text: str, secrets: Iterable[str]) -> str:
    for secret in secrets:
        if len(secret) >= 4:
            text = text.replace(secret, "***")
    return text


def _beginning(answer: Mapping[str, Any], body: bytes) -> str:
    """Of an object nothing is known to be fit for showing: n8n, for one, puts its stack traces there."""
    return "" if answer else excerpt(body)
