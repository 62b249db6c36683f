"""Kinds of problems to HTTP statuses, and the one envelope of every error."""

import difflib
import re
import time
from collections.abc import Iterable, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

import orjson
from aiohttp import web
from pydantic import BaseModel, ValidationError

from alertagent.kernel.durations import format_duration
from alertagent.kernel.errors import Delayed, Detail, Invalid, MethodNotAllowed, Problem, Unauthorized

STATUS = {
    "validation": 400,
    "unauthorized": 401,
    "forbidden": 403,
    "not_found": 404,
    "method_not_allowed": 405,
    "timeout": 408,
    "conflict": 409,
    "precondition": 412,
    "too_large": 413,
    "unsupported_media": 415,
    "rate_limit": 429,
    "internal": 500,
    "external": 502,
    "unavailable": 503,
}

# A body can hold a hundred thousand mistakes; nobody reads past the first few, and each costs time to word.
MAX_DETAILS = 100

# Messages quote what was sent, and that may be a megabyte.
MAX_MESSAGE = 4096
MAX_PLACE = 200

_DEFAULT_RETRY = timedelta(seconds=5)
_NO_TIME = {"datetime_from_date_parsing", "datetime_parsing", "datetime_type"}
_NO_OBJECT = {"dict_type", "model_attributes_type", "model_type"}
_A_TIME = "2026-12-24T18:00:00+08:00"
_OF_MANY = {"too_short", "too_long"}
_PYTHONS = re.compile(r"datetime\.timedelta\((?:0|(?:days=(\d+))?(?:, )?(?:seconds=(\d+))?)\)")
_POSITION = re.compile(r" at line (\d+) column (\d+)$")


def envelope(problem: Problem, *, path: str, request_id: str) -> web.Response:
    """The answer that tells of a problem."""
    error = {
        "type": problem.type,
        "code": problem.code,
        "message": clip(problem.message, MAX_MESSAGE),
        "details": [_shown(detail) for detail in problem.details],
    }
    body = {"error": error, "timestamp": int(time.time()), "path": path, "request_id": request_id}
    return web.Response(
        status=STATUS[problem.type],
        body=orjson.dumps(body),
        content_type="application/json",
        headers=_headers(problem),
    )


def bare(problem: Invalid) -> web.Response:
    """The reason alone, as Alertmanager's API v2 gives it."""
    body = orjson.dumps(clip(problem.message, MAX_MESSAGE))
    return web.Response(status=STATUS[problem.type], body=body, content_type="application/json")


def refusal(error: ValidationError, model: type[BaseModel] | None = None) -> Invalid:
    """Pydantic's findings as one problem with the place of each, or of the first hundred."""
    findings = _unrepeated(error.errors(include_url=False, include_input=False))
    details = [_detail(finding, model) for finding in findings[:MAX_DETAILS]]
    first = details[0]
    place = ".".join(map(str, first.loc))
    more = f" (and {len(findings) - 1} more)" if len(findings) > 1 else ""
    code = "request.json_invalid" if findings[0]["type"] == "json_invalid" else "request.invalid"
    return Invalid(f"{place}: {first.message}{more}" if place else first.message + more, code=code, details=details)


def clip(text: str, longest: int) -> str:
    """The text, or its beginning when it is longer; what a header had that is no UTF-8 becomes question marks."""
    shown = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return shown.encode(errors="replace").decode()


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """` Did you mean "expression"?`, or nothing when no known name comes close."""
    close = difflib.get_close_matches(name, list(known), n=1)
    return f' Did you mean "{close[0]}"?' if close else ""


def _unrepeated(findings: Sequence[Any]) -> list[Any]:
    """A list whose only entry is wrong is not also too short, as pydantic has it."""
    outer = {tuple(finding["loc"][:depth]) for finding in findings for depth in range(len(finding["loc"]))}
    return [finding for finding in findings if finding["type"] != "too_short" or tuple(finding["loc"]) not in outer]


def _detail(finding: Any, model: type[BaseModel] | None) -> Detail:
    loc, message = tuple(finding["loc"]), str(finding["msg"])
    if finding["type"] == "extra_forbidden":
        known = model.model_fields if model is not None and len(loc) == 1 else ()
        message = f'unknown field "{str(loc[-1])[:80]}".{did_you_mean(str(loc[-1]), known)}'
    elif finding["type"] == "union_tag_invalid":
        told_by = finding["ctx"]["discriminator"].strip("'")
        return Detail((*loc, told_by), f"Input should be one of {finding['ctx']['expected_tags']}")
    elif finding["type"] == "union_tag_not_found":
        return Detail((*loc, finding["ctx"]["discriminator"].strip("'")), "Field required")
    elif finding["type"] == "json_invalid" and (position := _POSITION.search(message)):
        return Detail(loc, message, line=int(position[1]), column=int(position[2]))
    elif finding["type"] in _NO_TIME:
        reason = message.partition(", ")[2]
        message = f"not a time{reason and f' ({reason})'}; write it as {_A_TIME}"
    elif finding["type"] == "timezone_aware":
        message = f"its time zone is missing; write the time as {_A_TIME}"
    elif finding["type"] in _NO_OBJECT:
        message = "Input should be an object"
    elif finding["type"] in _OF_MANY:
        message = message.replace("Tuple", "Array").replace("Dictionary", "Object")
    if loc[-1:] == ("[key]",):
        loc, message = loc[:-1], f"as a name: {message}"
    return Detail(loc, _PYTHONS.sub(_as_prometheus, message.removeprefix("Value error, ")))


def _as_prometheus(duration: re.Match[str]) -> str:
    days, seconds = (int(count or 0) for count in duration.groups())
    return format_duration(timedelta(days=days, seconds=seconds))


def _shown(detail: Detail) -> dict[str, Any]:
    shown: dict[str, Any] = {
        "loc": [clip(part, MAX_PLACE) if isinstance(part, str) else part for part in detail.loc],
        "message": clip(detail.message, MAX_MESSAGE),
    }
    if detail.line is not None:
        shown["line"] = detail.line
    if detail.column is not None:
        shown["column"] = detail.column
    return shown


def _headers(problem: Problem) -> dict[str, str]:
    if isinstance(problem, MethodNotAllowed):
        return {"Allow": ", ".join(problem.allowed)}
    if isinstance(problem, Unauthorized):
        return {"WWW-Authenticate": 'Bearer realm="alertagent"'}
    if isinstance(problem, Delayed) and STATUS[problem.type] in {429, 503}:
        return {"Retry-After": str(max(1, ceil((problem.retry_after or _DEFAULT_RETRY).total_seconds())))}
    return {}
