"""What an alert's expression gave around its start, read out of a Prometheus answer. Pure.

Around a start the comparison of `cpu > 90` leaves nothing to see before it, so its left side is asked for.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import promql_parser

from alertagent.kernel.labels import Labels
from alertagent.plugins.analysis import Series

BEFORE, AFTER = timedelta(minutes=30), timedelta(minutes=10)
STEP = timedelta(minutes=1)
MAX_SERIES = 5

# Longer expressions are asked for as they are: the parser recurses.
MAX_PARSED = 2_000

_COMPARISONS = frozenset({"==", "!=", ">", "<", ">=", "<="})


def measured(expression: str) -> str:
    """The side of a comparison with a number that is measured; any other expression as it is."""
    if len(expression) > MAX_PARSED:
        return expression
    try:
        parsed = promql_parser.parse(expression)
    except ValueError:  # MetricsQL, or parameters in it
        return expression
    if not isinstance(parsed, promql_parser.BinaryExpr) or str(parsed.op) not in _COMPARISONS:
        return expression
    sides = (parsed.lhs, parsed.rhs)
    found = [side for side in sides if not isinstance(side, promql_parser.NumberLiteral)]
    return str(found[0].prettify()) if len(found) == 1 else expression


def span(starts_at: datetime, now: datetime) -> Mapping[str, str]:
    """The parameters of `query_range` around a start."""
    return {
        "start": f"{(starts_at - BEFORE).timestamp():.0f}",
        "end": f"{min(starts_at + AFTER, now).timestamp():.0f}",
        "step": f"{STEP.total_seconds():.0f}",
    }


def read_series(body: bytes, labels: Labels) -> tuple[Series, ...]:
    """The series of a matrix that do not contradict the alert's labels; those that share most with it first."""
    try:
        answer = orjson.loads(body)
        found = [_series(one) for one in answer["data"]["result"]]
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, OSError):
        return ()
    fitting = [one for one in found if one.points and all(labels.get(k, v) == v for k, v in one.labels.items())]
    fitting.sort(key=lambda one: -sum(labels.get(name) == value for name, value in one.labels.items()))
    return tuple(fitting[:MAX_SERIES])


def _series(one: Mapping[str, Any]) -> Series:
    labels = {str(name): str(value) for name, value in one["metric"].items() if name != "__name__"}
    points = [(datetime.fromtimestamp(float(at), UTC), str(value)[:40]) for at, value in one["values"] if _is_time(at)]
    return Series(labels=labels, points=tuple(points[:100]))


def _is_time(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
