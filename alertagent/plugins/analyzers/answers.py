"""Reading what an analyzer answered: an object, or a text that was asked to be one and rarely quite is. Pure.

Whatever comes is only text for people. Controls are taken out, everything is cut to a size that a page and a chat bear,
and nothing in it is a link, a command or an instruction to anybody.
"""

import re
from collections.abc import Iterable, Mapping
from typing import Any

import orjson

from alertagent.plugins.analysis import Analysis
from alertagent.plugins.text import cut, one_line, printable

MAX_SUMMARY = 500
MAX_ROOT_CAUSE = 4_000
MAX_LINE = 500
MAX_LINES = 10

# What a model thought before it answered. Of some, the mark that begins it is part of the question and does not come.
_THOUGHTS = re.compile(r"<think>.*?(?:</think>|\Z)", re.DOTALL)
_END_OF_THOUGHTS = "</think>"
_TRAILING_COMMA = re.compile(r",(\s*[}\]])")
_STRING = r'"(?P<value>(?:[^"\\]|\\.)*)"?'

_NAMES: Mapping[str, tuple[str, ...]] = {
    "summary": ("summary", "conclusion", "摘要"),
    "root_cause": ("root_cause", "rootCause", "cause", "reason", "根因"),
    "confidence": ("confidence", "置信度"),
    "evidence": ("evidence", "evidences", "依据"),
    "actions": ("actions", "suggested_actions", "suggestions", "recommendations", "建议"),
    "runbook": ("runbook", "runbook_url"),
}


def read_text(text: str, *, provider: str, tokens: int | None = None) -> Analysis | None:
    """The analysis inside a text; one without any structure is itself the root cause. None when nothing was said."""
    text = _THOUGHTS.sub("", text).rpartition(_END_OF_THOUGHTS)[2].strip()
    found = _object_in(text)
    if found is not None:
        return read_object(found, provider=provider, tokens=tokens)
    salvaged = {name: value for name in ("summary", "root_cause") if (value := _salvaged(text, name))}
    return read_object(salvaged or {"root_cause": text}, provider=provider, tokens=tokens)


def read_object(answer: Mapping[str, Any], *, provider: str, tokens: int | None = None) -> Analysis | None:
    """The analysis that an object holds under one of the usual names. None when it says neither what nor why."""
    inner = answer.get("analysis")
    if isinstance(inner, Mapping):
        answer = inner
    elif isinstance(inner, str):
        return read_text(inner, provider=provider, tokens=tokens)
    root_cause = _text(_found(answer, "root_cause"), MAX_ROOT_CAUSE)
    summary = one_line(_text(_found(answer, "summary"), MAX_SUMMARY))
    if not root_cause and not summary:
        return None
    return Analysis(
        summary=summary or cut(one_line(root_cause), MAX_SUMMARY),
        root_cause=root_cause or summary,
        confidence=_confidence(_found(answer, "confidence")),
        provider=provider,
        evidence=_lines(_found(answer, "evidence")),
        actions=_lines(_found(answer, "actions")),
        runbook=_text(_found(answer, "runbook"), MAX_LINE) or None,
        tokens=tokens,
    )


def object_of(body: bytes) -> Mapping[str, Any] | None:
    """The JSON object of a body, or the first of a list of them."""
    try:
        document = orjson.loads(body)
    except ValueError:
        return None
    if isinstance(document, list) and document:
        document = document[0]
    return document if isinstance(document, Mapping) else None


def count_of(value: object) -> int | None:
    """A number of tokens, whatever it was written as."""
    try:
        count = int(value) if isinstance(value, int | float | str) else -1
    except (ValueError, OverflowError):
        return None
    return count if 0 <= count < 2**53 else None


def _object_in(text: str) -> Mapping[str, Any] | None:
    """The outermost braces of a text, also inside a fence of Markdown or behind a preface."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        return None
    inside = text[start : end + 1].encode("utf-8", "replace")
    return object_of(inside) or object_of(_TRAILING_COMMA.sub(r"\1", inside.decode()).encode())


def _salvaged(text: str, name: str) -> str:
    """One string of an object that is broken off or has its quotes wrong."""
    names = "|".join(map(re.escape, _NAMES[name]))
    match = re.search(rf'"(?:{names})"\s*:\s*{_STRING}', text)
    if match is None:
        return ""
    try:
        value: str = orjson.loads(f'"{match["value"]}"'.encode("utf-8", "replace"))
    except ValueError:
        return match["value"]
    return value


def _found(answer: Mapping[str, Any], name: str) -> object:
    return next((answer[alias] for alias in _NAMES[name] if answer.get(alias) is not None), None)


def _text(value: object, limit: int) -> str:
    if isinstance(value, str):
        text = value
    elif isinstance(value, Mapping | list):
        text = _json(value)
    else:
        text = "" if value is None else str(value)
    return cut(printable(text).strip(), limit)


def _json(value: Mapping[str, Any] | list[Any]) -> str:
    """Empty for what is nested so deep that it can be read and not written."""
    try:
        return orjson.dumps(value, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        return ""


def _lines(value: object) -> tuple[str, ...]:
    parts: Iterable[object] = (
        value if isinstance(value, list) else printable(value).splitlines() if isinstance(value, str) else ()
    )
    lines = (one_line(_text(part, MAX_LINE)).lstrip("-*• ") for part in parts)
    return tuple(line for line in lines if line)[:MAX_LINES]


def _confidence(value: object) -> float:
    """Between 0 and 1, also where it was written as `85%` or `0.85`; 0 where nothing was said."""
    text = str(value).strip() if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    try:
        number = float(text.removesuffix("%"))
    except ValueError:
        return 0.0
    if text.endswith("%") or 1 < number <= 100:
        number /= 100
    return round(min(max(number, 0.0), 1.0), 2) if number == number else 0.0  # noqa: PLR0124 - NaN differs from itself
