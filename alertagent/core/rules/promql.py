"""Whether an expression is PromQL that an alert or a recording can be made of, and where it is not. Pure.

The grammar is promql-parser's. Three things it leaves to us: it refuses strings in backticks, which Prometheus
takes; it tells no position; and it recurses, so that a deep expression would crash the process (measured: 20,000
parentheses or 6,000 chained operators). So a text that is not short is read by a small scanner first, and so is one
with a mistake. What was found is remembered by the text: of ten thousand rules, those are judged that changed.
"""

import re
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

import promql_parser

from alertagent.core.rules.selectors import reduce
from alertagent.kernel.errors import Detail

MAX_LENGTH = 16_384
MAX_DEPTH = 100
MAX_OPERATORS = 1_000

# Longer texts are judged each time anew, so that strangers cannot fill the memory.
SHORT = 1_000

# The place of a mistake is searched for by parsing beginnings, which costs too much in longer chains.
MAX_OPERATORS_TO_SEARCH = 100

_OPENING = {"(": ")", "[": "]", "{": "}"}
_CLOSING = {closing: opening for opening, closing in _OPENING.items()}
_TOKEN = re.compile(
    r"""
      (?P<comment>\#[^\n]*)
    | (?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*')
    | (?P<raw>`[^`]*`)
    | (?P<quote>["'`])
    | (?P<bracket>[()\[\]{}])
    | (?P<operator>[-+*/%^]|==|!=|<=|>=|<|>|\b(?:and|or|unless|atan2)\b)
    | (?P<word>[A-Za-z_:][\w:]*|\d[\w.]*|\s+)
    | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL | re.IGNORECASE,
)
# What could stand between a beginning and its closing brackets, and behind them, in an expression that goes on.
_MIDDLES = ("", " x", " (x)", " a) (x", ' a="b"', '="b"', ' "b"', "5m", ":5m", " 5m", " 1", " bool x", " by (x) (x)")
_ENDS = ("", " x", "(x)")
# Prometheus 2 has it by the first name alone, Prometheus 3 and the parser by the second.
_OLD_NAME, _NEW_NAME = "holt_winters", "double_exponential_smoothing"
_OLD_CALL = re.compile(rf"(?<![\w:]){_OLD_NAME}(?=\s*\()")
# All that the parser says of most mistakes.
_NO_REASON = "invalid promql query"
_METRICSQL_WORDS = frozenset({"default", "if", "ifnot", "keep_metric_names", "limit"})
_LONGEST_WORD = 100
_QUOTED = re.compile(r"'([^']*)'")


@dataclass(slots=True)
class _Scan:
    """What the scanner saw: the text without backticks, and the first thing that cannot be."""

    text: list[str] = field(default_factory=list)
    open: list[tuple[str, int]] = field(default_factory=list)
    operators: int = 0
    depth: int = 0
    mistake: tuple[str, int] | None = None


def check_promql(expression: str) -> list[Detail]:
    """The findings; empty when Prometheus would take the expression and could evaluate it as a rule."""
    judge = _remembered if len(expression) <= SHORT else _judge
    return list(judge(expression))


def check_balance(expression: str) -> list[Detail]:
    """Whether strings and brackets are closed, which is all that can be said of a language without a parser."""
    if not expression.strip():
        return [_finding("the expression is empty")]
    if len(expression) > MAX_LENGTH:
        return [_finding(f"the expression is longer than {MAX_LENGTH} characters")]
    scan = _scan(expression)
    return [_at(expression, *scan.mistake)] if scan.mistake is not None else []


def _judge(expression: str) -> tuple[Detail, ...]:
    reduced = reduce(expression)
    if reduced.mistake is None and _is_shallow(reduced.text) and _is_sound(reduced.text):
        return ()
    findings = check_balance(expression)
    if findings:
        return tuple(findings)
    if reduced.mistake is not None:
        return (_at(expression, *reduced.mistake),)
    return tuple(_check_grammar(expression))


_remembered = lru_cache(maxsize=16_384)(_judge)


def _is_shallow(expression: str) -> bool:
    """Whether the parser may have it as it is: so short that it cannot be deep."""
    return len(expression) <= SHORT and sum(map(expression.count, _OPENING)) <= MAX_DEPTH


@lru_cache(maxsize=8_192)
def _is_sound(expression: str) -> bool:
    try:
        return _unusable_type(_parse(expression)) is None
    except ValueError:
        return False


def _check_grammar(expression: str) -> list[Detail]:
    scan = _scan(expression)
    if scan.depth > MAX_DEPTH or scan.operators > MAX_OPERATORS:
        return [_finding(f"the expression is too complex: over {MAX_DEPTH} brackets deep or {MAX_OPERATORS} operators")]
    text = "".join(scan.text)
    try:
        tree = _parse(text)
    except ValueError as error:
        # RE2 takes a few regular expressions that the parser does not.
        return [] if _is_sound(reduce(text).text) else [_explained(scan, expression, str(error))]
    unusable = _unusable_type(tree)
    return [_at(expression, f"a rule needs an instant vector or a scalar; this is {unusable}", 0)] if unusable else []


def _scan(expression: str) -> _Scan:
    scan = _Scan()
    for match in _TOKEN.finditer(expression):
        kind, token = match.lastgroup, match[0]
        scan.text.append(_quoted(token) if kind == "raw" else token)
        scan.operators += kind == "operator"
        if kind == "quote":
            scan.mistake = ("this string is never closed", match.start())
        elif kind == "bracket":
            _bracket(scan, token, match.start())
        if scan.mistake is not None:
            return scan
    if scan.open:
        bracket, offset = scan.open[-1]
        scan.mistake = (f'"{bracket}" is never closed', offset)
    return scan


def _bracket(scan: _Scan, token: str, offset: int) -> None:
    if token in _OPENING:
        scan.open.append((token, offset))
        scan.depth = max(scan.depth, len(scan.open))
    elif scan.open and scan.open[-1][0] == _CLOSING[token]:
        scan.open.pop()
    else:
        scan.mistake = (f'unexpected "{token}"', offset)


def _quoted(raw: str) -> str:
    """A string in backticks as one in double quotes: nothing inside backticks is an escape."""
    content = raw[1:-1].replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{content}"'


def _explained(scan: _Scan, expression: str, message: str) -> Detail:
    """Give the parser's words a place: where what they quote stands, or the first token that nothing could follow."""
    quoted = _QUOTED.search(message)
    if quoted is not None and quoted[1]:
        word = re.search(rf"(?<![\w:]){re.escape(quoted[1])}(?![\w:])", expression)
        if word is not None:
            return _at(expression, message, word.start())
    if scan.operators > MAX_OPERATORS_TO_SEARCH:
        return _finding(message)
    offset = _first_misfit(scan.text)
    if offset == len(expression.rstrip()):
        return _at(expression, f"{message}: it ends too early", offset)
    return _at(expression, _misfit(expression, offset) if message == _NO_REASON else message, offset)


def _misfit(expression: str, offset: int) -> str:
    """What the parser should have said, and whose word it is that PromQL does not know."""
    token = _TOKEN.match(expression, offset)
    word = token[0] if token is not None else ""
    hint = "; vmalert knows it, in rules of the dialect metricsql" if word.lower() in _METRICSQL_WORDS else ""
    return f'unexpected "{word[:_LONGEST_WORD]}"{hint}'


def _first_misfit(tokens: Sequence[str]) -> int:
    """The offset of the first token after which no ending makes an expression.

    Whatever begins a valid expression has only beginnings of that kind before it, so the place is found by halves.
    """
    size = bisect_left(range(1, len(tokens) + 1), True, key=lambda count: not _can_go_on(tokens[:count]))
    return len("".join(tokens[:size]).rstrip()) if size == len(tokens) else len("".join(tokens[:size]))


def _can_go_on(tokens: Sequence[str]) -> bool:
    """Whether some ending makes this beginning an expression, as far as grammar goes."""
    beginning = "".join(tokens)
    open_brackets: list[str] = []
    for token in tokens:
        if token in _OPENING:
            open_brackets.append(_OPENING[token])
        elif token in _CLOSING and open_brackets:
            open_brackets.pop()
    closing = "".join(reversed(open_brackets))
    return any(_is_grammatical(f"{beginning}{middle}{closing}{end}") for middle in _MIDDLES for end in _ENDS)


def _is_grammatical(text: str) -> bool:
    try:
        _parse(text)
    except ValueError as error:
        # Too few arguments, or arguments of another type, only say that the beginning is not the whole.
        return "argument" in str(error) or "in call to function" in str(error)
    return True


def _parse(text: str) -> Any:
    """The parser's tree. Raises ValueError, also where the parser panics: over a duration that is NaN or endless."""
    renamed = _OLD_CALL.sub(_NEW_NAME, text)
    try:
        return promql_parser.parse(renamed)
    except BaseException as error:
        if type(error).__name__ != "PanicException" and not isinstance(error, ValueError):
            raise
        message = str(error)
        raise ValueError(message if renamed == text else message.replace(_NEW_NAME, _OLD_NAME)) from error


def _unusable_type(tree: Any) -> str | None:
    """promtool takes `foo[5m]` and `"text"` as a rule's expression; no evaluation of them can ever succeed."""
    while isinstance(tree, promql_parser.ParenExpr | promql_parser.UnaryExpr):
        tree = tree.expr
    if isinstance(tree, promql_parser.MatrixSelector | promql_parser.SubqueryExpr):
        return "a range vector"
    return "a string" if isinstance(tree, promql_parser.StringLiteral) else None


def _at(expression: str, message: str, offset: int) -> Detail:
    line = expression.count("\n", 0, offset) + 1
    column = offset - (expression.rfind("\n", 0, offset) + 1) + 1
    return Detail(("expression",), message, line=line, column=column)


def _finding(message: str) -> Detail:
    return Detail(("expression",), message)
