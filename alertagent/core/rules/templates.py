"""What labels and annotations may say: templates, with the variables and functions of the server that fills them. Pure.

Every table is what the servers' own sources and documents list. A rule in PromQL may go to both servers, so it must
be a template for Prometheus; one in MetricsQL goes to vmalert only.
"""

import re
from collections.abc import Iterator
from functools import lru_cache

from alertagent.core.rules.gotemplate import GO_FUNCTIONS, Mistake, Reading, read_template
from alertagent.core.rules.model import Dialect

# Longer texts are read each time anew, so that strangers cannot fill the memory.
MAX_CACHED = 1_000

_SHARED = frozenset({
    "query", "first", "label", "value", "strvalue", "args", "reReplaceAll", "safeHtml", "match", "title",
    "toUpper", "toLower", "sortByLabel", "stripPort", "stripDomain", "humanize", "humanize1024",
    "humanizeDuration", "humanizePercentage", "humanizeTimestamp", "toTime", "pathPrefix", "externalURL",
    "parseDuration",
})  # fmt: skip
_NEW_IN_PROMETHEUS = frozenset({"toDuration", "now", "urlQueryEscape"})
_PROMETHEUS = _NEW_IN_PROMETHEUS | {"graphLink", "tableLink"}
_VMALERT = frozenset({
    "pathEscape", "queryEscape", "jsonEscape", "htmlEscape", "crlfEscape", "quotesEscape", "parseDurationTime",
    "formatTime", "now",
})  # fmt: skip
_FUNCTIONS = {
    Dialect.PROMQL: GO_FUNCTIONS | _SHARED | _PROMETHEUS,
    Dialect.METRICSQL: GO_FUNCTIONS | _SHARED | _PROMETHEUS | _VMALERT,
}
_PROMETHEUS_VARIABLES = ("$labels", "$externalLabels", "$externalURL", "$value")
_VMALERT_VARIABLES = ("$expr", "$alertID", "$groupID", "$activeAt", "$for", "$type", "$isPartial")
_VARIABLES = {
    Dialect.PROMQL: _PROMETHEUS_VARIABLES,
    Dialect.METRICSQL: _PROMETHEUS_VARIABLES + _VMALERT_VARIABLES,
}

# Nearly every template holds only such actions, and this expression is a hundred times faster than the parser. Atomic
# and not possessive: Python before 3.11.5 gets that wrong for what has alternatives.
_COMMON = re.compile(
    r"""(?>(?:[^{]++|\{(?!\{)|
        \{\{[ ]*(?:(?:\$labels|\$externalLabels|\.Labels)(?:\.[^\W\d]\w*)?|\$value|\$externalURL|\.Value)
        (?:[ ]*\|[ ]*(?:humanize(?:1024|Duration|Percentage|Timestamp)?|title|toUpper|toLower|stripPort
            |printf[ ]"[^"\\\n]*"))*[ ]*\}\}
    )*)""",
    re.VERBOSE,
)


def check_text(text: str, dialect: Dialect) -> Mistake | None:
    """The first mistake of a label's or an annotation's value."""
    if _COMMON.fullmatch(text):
        return None
    mistake = _reading(text, dialect).mistake
    if mistake is not None and dialect is Dialect.PROMQL and _reading(text, Dialect.METRICSQL).mistake != mistake:
        return mistake._replace(message=f"{mistake.message}; only vmalert knows it, in rules of the dialect metricsql")
    return mistake


def text_warnings(text: str, dialect: Dialect) -> Iterator[str]:
    """What another release or another server may not know."""
    if _COMMON.fullmatch(text):
        return
    functions = _reading(text, dialect).functions
    if dialect is Dialect.PROMQL:
        for name in sorted(functions & _NEW_IN_PROMETHEUS):
            yield f'only newer releases of Prometheus know the function "{name}"'
    else:
        for name in sorted(functions & (_PROMETHEUS - _VMALERT)):
            yield f'vmalert may not know the function "{name}"'
        for name in sorted(functions & _VMALERT):
            yield f'only vmalert knows the function "{name}"'


def _reading(text: str, dialect: Dialect) -> Reading:
    reading = _long_reading if len(text) > MAX_CACHED else _cached_reading
    return reading(text, dialect)


def _long_reading(text: str, dialect: Dialect) -> Reading:
    return read_template(text, _FUNCTIONS[dialect], _VARIABLES[dialect])


_cached_reading = lru_cache(maxsize=4096)(_long_reading)
