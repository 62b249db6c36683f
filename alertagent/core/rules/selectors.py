"""What the parser of expressions need not see: the matchers of selectors that have a name, and plain numbers. Pure.

`up{job=~"a.*"} > 5` is PromQL exactly if `up > 1` is and the regular expression is one. Expressions of a large
installation differ in little else, so that few different ones remain to be parsed; and the regular expressions are
judged by RE2, which is what Prometheus matches with.
"""

import re
from functools import lru_cache
from typing import NamedTuple

import re2

# Atomic groups, and possessive only where there are no alternatives: Python before 3.11.5 gets that wrong.
_VALUE = r""""(?>(?:[^"\\\n]|\\[\\"nt])*)"|'(?>(?:[^'\\\n]|\\[\\'nt])*)'|`[^`]*+`"""
_MATCHER = rf"\s*+(?!__name__)[a-zA-Z_][a-zA-Z0-9_]*+\s*+(?:=~|!~|!=|=)\s*+(?:{_VALUE})\s*+"
_WORDS = "inf|nan|and|or|unless|atan2|bool|offset|group_left|group_right"
_METRIC = rf"(?<![\w:.])(?!(?i:{_WORDS})\b)[a-zA-Z_:][a-zA-Z0-9_:]*+"
_TOKEN = re.compile(
    rf"""
      (?P<comment>\#[^\n]*)
    | (?P<selector>{_METRIC})\s*+\{{(?P<matchers>(?:{_MATCHER}(?>(?:,{_MATCHER})*),?\s*+)?)\}}(?![\w:]|\s*[{{\#])
    | (?P<string>{_VALUE}|["'`](?s:.*))
    | (?<![\w:.])[1-9][0-9]*(?P<fraction>\.[0-9]+)?(?![\w:.])
    """,
    re.VERBOSE,
)
_PATTERN = re.compile(rf"[=!]~\s*+({_VALUE})")
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t"}

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


class Reduced(NamedTuple):
    """What remains of an expression, and the first regular expression that is none: why, and at which offset."""

    text: str
    mistake: tuple[str, int] | None


def reduce(expression: str) -> Reduced:
    """Take out what the grammar does not depend on."""
    mistakes: list[tuple[str, int]] = []

    def keep(found: re.Match[str]) -> str:
        name = found["selector"]
        if name is not None:
            if "~" in found["matchers"]:
                mistakes.extend(_mistakes(found["matchers"], found.start("matchers")))
            return name
        if found.lastgroup in {"comment", "string"}:
            return found[0]
        return "1.5" if found["fraction"] else "1"

    text = _TOKEN.sub(keep, expression)
    return Reduced(text, mistakes[0] if mistakes else None)


def _mistakes(matchers: str, offset: int) -> list[tuple[str, int]]:
    found = ((_regex_mistake(_unquoted(each[1])), offset + each.start(1)) for each in _PATTERN.finditer(matchers))
    return [(reason, at) for reason, at in found if reason is not None]


def _unquoted(string: str) -> str:
    inner = string[1:-1]
    if string[0] == "`" or "\\" not in inner:
        return inner
    return _ESCAPE.sub(lambda found: _ESCAPED.get(found[1], found[1]), inner)


@lru_cache(maxsize=4096)
def _regex_mistake(pattern: str) -> str | None:
    try:
        re2.compile(pattern, _OPTIONS)
    except re2.error as error:
        reason = error.args[0] if error.args else "not RE2"
        reason = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        return f"bad regular expression: {reason}"
    return None
