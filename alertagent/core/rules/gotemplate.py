"""Whether a text is a template that Go's text/template takes, and where it is not. Pure.

Prometheus and vmalert parse every label and annotation when they load a file, and refuse the whole file for one bad
template. The lexer and the parser are those of Go in small: they build nothing and stop at the first mistake.
"""

import re
from collections.abc import Collection, Generator, Iterator
from typing import NamedTuple

MAX_DEPTH = 100

GO_FUNCTIONS = frozenset({
    "and", "or", "not", "len", "index", "slice", "print", "printf", "println", "html", "js", "urlquery", "call",
    "eq", "ne", "lt", "le", "gt", "ge",
})  # fmt: skip
_KEYWORDS = frozenset({
    "block", "break", "continue", "define", "else", "end", "if", "nil", "range", "template", "with",
})  # fmt: skip

_TOKEN = re.compile(
    r"""
      (?P<right>[ \t\r\n]-\}\}|\}\})
    | (?P<space>(?:[ \t\r\n](?!-\}\}))+)
    | (?P<string>"(?:[^"\\\n]|\\[^\n])*"|`[^`]*`)
    | (?P<rune>'(?:[^'\\\n]|\\[^\n])*')
    | (?P<variable>\$\w*)
    | (?P<field>\.(?![0-9])\w*)
    | (?P<number>[-+]?(?:0[xX][0-9a-fA-F_]*(?:\.[0-9a-fA-F_]*)?(?:[pP][-+]?[0-9_]*)?|0[oObB][0-9_]*
        |(?=[-+.0-9])[-+]?[0-9_]*(?:\.[0-9_]*)?(?:[eE][-+]?[0-9_]*)?)i?)
    | (?P<word>\w+)
    | (?P<declare>:=)
    | (?P<sign>[=|()])
    | (?P<char>[!-~])
    """,
    re.VERBOSE,
)
_DIGITS = "[0-9]+(?:_[0-9]+)*"
_NUMBER = re.compile(
    rf"""[-+]?(?:0[xX](?:_?[0-9a-fA-F])+(?:(?:\.[0-9a-fA-F]*)?[pP][-+]?[0-9]+)?|0[oO]?(?:_?[0-7])*|0[bB](?:_?[01])+
        |[1-9](?:_?[0-9])*|{_DIGITS}(?=[.eEi])(?:\.[0-9]*)?(?:[eE][-+]?{_DIGITS})?
        |\.[0-9]+(?:[eE][-+]?{_DIGITS})?)i?""",
    re.VERBOSE,
)
_ESCAPE = r"""\\(?:[abfnrtv\\%s]|[0-7]{3}|x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})"""
_STRING = re.compile(r'"(?:[^"\\\n]|' + _ESCAPE % '"' + ')*"|`[^`]*`')
_RUNE = re.compile(r"'(?:[^'\\\n]|" + _ESCAPE % "'" + ")'")
_TERMINATORS = frozenset(" \t\r\n.,|:)(")
_CONSTANTS = frozenset({"string", "rune", "number", "bool", "nil", "dot"})
_OPERANDS = _CONSTANTS | {"variable", "field", "word", "("}
_CLAUSES = _KEYWORDS - {"define", "nil"}
_QUOTES = frozenset("\"'`")


class Mistake(NamedTuple):
    """Line and column count from 1 inside the text."""

    message: str
    line: int
    column: int


class Reading(NamedTuple):
    """The first mistake, if there is one, and the functions that stand before it."""

    mistake: Mistake | None
    functions: frozenset[str]


def read_template(text: str, functions: Collection[str], variables: Collection[str]) -> Reading:
    """Read a text as a template. `variables` are those that the server defines before it."""
    parser = _Parser(text, functions, variables)
    mistake = None
    try:
        parser.template()
    except _SyntaxError as error:
        before = text[: error.offset]
        mistake = Mistake(str(error), before.count("\n") + 1, error.offset - before.rfind("\n"))
    return Reading(mistake, frozenset(parser.used))


class _SyntaxError(Exception):
    def __init__(self, message: str, offset: int) -> None:
        super().__init__(message)
        self.offset = offset


class _Token(NamedTuple):
    """`kind` is the name of a group of _TOKEN, a keyword or sign itself, or one of the four that _tokens makes."""

    kind: str
    value: str
    offset: int


def _tokens(text: str) -> Iterator[_Token]:
    """Texts, and what stands in actions. A mistake comes as a token: the parser may find another before it."""
    end = 0
    while True:
        start = text.find("{{", end)
        if text[end : start if start >= 0 else None].strip(" \t\r\n"):
            yield _Token("text", "", end)
        if start < 0:
            yield _Token("end of text", "", len(text))
            return
        offset = start + 2
        if text[offset : offset + 1] == "-" and text[offset + 1 : offset + 2] in set(" \t\r\n"):
            offset += 2
        if text.startswith("/*", offset):
            end = yield from _comment(text, offset)
        else:
            yield _Token("{{", "{{", start)
            end = yield from _action(text, offset)
        if end < 0:
            return


def _comment(text: str, start: int) -> Generator[_Token, None, int]:
    """Where it ends, or -1."""
    end = text.find("*/", start + 2)
    if end < 0:
        yield _Token("mistake", "this comment is never closed", start)
        return -1
    right = _TOKEN.match(text, end + 2)
    if right is None or right.lastgroup != "right":
        yield _Token("mistake", "a comment must fill its action: */ and then }}", end)
        return -1
    return right.end()


def _action(text: str, offset: int) -> Generator[_Token, None, int]:
    """Where it ends, or -1."""
    depth = 0
    while (match := _TOKEN.match(text, offset)) is not None:
        kind, value = match.lastgroup or "", match[0]
        mistake = _lexical_mistake(kind, value, text[match.end() : match.end() + 2])
        depth += (value == "(") - (value == ")")
        if depth < 0:
            mistake = 'unexpected ")"'
        elif kind == "right" and depth:
            mistake = '"(" is never closed'
        if mistake:
            break
        yield _Token(_kind(kind, value), value, offset)
        offset = match.end()
        if kind == "right":
            return offset
    else:
        mistake = f"unexpected {text[offset]!r}" if offset < len(text) else "this action is never closed"
    yield _Token("mistake", mistake, offset)
    return -1


def _lexical_mistake(kind: str, value: str, following: str) -> str:
    if kind == "char" and value in _QUOTES:
        return "this string is never closed"
    if kind == "number" and (following[:1].isalnum() or not _is_number(value)):
        return f'"{value}" is no number'
    if (kind == "string" and not _STRING.fullmatch(value)) or (kind == "rune" and not _RUNE.fullmatch(value)):
        return "a string with an escape that Go does not know" if kind == "string" else "not one character"
    ends = not following or following[0] in _TERMINATORS or following == "}}"
    if kind in {"word", "variable", "field"} and not ends:
        return f"unexpected {following[0]!r} after {value}"
    return ""


def _is_number(text: str) -> bool:
    """Go takes no integer that fits into none of its types."""
    if not _NUMBER.fullmatch(text):
        return False
    digits = text.replace("_", "")
    return not digits.lstrip("+-").isdecimal() or -(2**63) <= int(digits) < 2**64


def _kind(group: str, value: str) -> str:
    if group == "sign" or value in _KEYWORDS:
        return value
    if value in {"true", "false"}:
        return "bool"
    return "dot" if value == "." else group


class _Parser:
    """Goes through the tokens once. Its recursion is bounded by MAX_DEPTH."""

    def __init__(self, text: str, functions: Collection[str], variables: Collection[str]) -> None:
        self._tokens = list(_tokens(text))
        self._at = 0
        self._functions = functions
        self._variables = ["$", *variables]
        self._depth = 0
        self._loops = 0
        self._definitions: set[str] = set()
        self.used: set[str] = set()

    def template(self) -> None:
        while (token := self._next()).kind != "end of text":
            if token.kind == "{{" and self._peek_solid().kind == "define":
                self._next_solid()
                self._define("define clause")
            elif (ending := self._node(token)) is not None:
                raise _SyntaxError(f"unexpected {{{{{ending}}}}}", token.offset)

    def _next(self) -> _Token:
        token = self._tokens[self._at]
        if token.kind == "mistake":
            raise _SyntaxError(token.value, token.offset)
        self._at += token.kind != "end of text"
        return token

    def _next_solid(self) -> _Token:
        token = self._next()
        while token.kind == "space":
            token = self._next()
        return token

    def _peek_solid(self) -> _Token:
        at = self._at
        token = self._next_solid()
        self._at = at
        return token

    def _expect(self, kind: str, context: str) -> _Token:
        token = self._next_solid()
        if token.kind != kind:
            raise _unexpected(token, context)
        return token

    def _list(self) -> tuple[str, bool]:
        """Up to an `end` or `else`; which of them it was, and whether anything but space stood before it."""
        self._depth += 1
        is_filled = False
        while True:
            token = self._next()
            if token.kind == "end of text":
                raise _SyntaxError("the text ends before {{end}}", token.offset)
            if self._depth > MAX_DEPTH:
                raise _SyntaxError(f"nested more than {MAX_DEPTH} deep", token.offset)
            ending = self._node(token)
            if ending is not None:
                self._depth -= 1
                return ending, is_filled
            is_filled = True

    def _node(self, token: _Token) -> str | None:
        """One text or action; `end` and `else` are for the caller."""
        if token.kind == "text":
            return None
        word = self._peek_solid()
        if word.kind in _CLAUSES:
            self._next_solid()
            return self._clause(word)
        self._pipeline("command", "right")
        return None

    def _clause(self, word: _Token) -> str | None:
        match word.kind:
            case "end":
                self._expect("right", "end")
                return "end"
            case "else":
                if self._peek_solid().kind != "if":
                    self._expect("right", "else")
                return "else"
            case "if" | "with" | "range":
                self._control(word.kind)
            case "break" | "continue":
                self._expect("right", f"{{{{{word.kind}}}}}")
                if not self._loops:
                    raise _SyntaxError(f"{{{{{word.kind}}}}} outside {{{{range}}}}", word.offset)
            case "template":
                self._expect("string", "template clause")
                if self._peek_solid().kind == "right":
                    self._next_solid()
                else:
                    self._pipeline("template clause", "right")
            case "block":
                self._define("block clause")
        return None

    def _control(self, context: str) -> None:
        known = len(self._variables)
        self._pipeline(context, "right")
        self._loops += context == "range"
        ending, _ = self._list()
        self._loops -= context == "range"
        while ending == "else":
            word = self._peek_solid()
            is_chained = word.kind == "if"
            if is_chained and context == "if":
                self._next_solid()
                self._pipeline("if", "right")
            elif is_chained:
                raise _unexpected(word, "else")
            ending, _ = self._list()
            if ending == "else" and not is_chained:
                raise _SyntaxError("expected {{end}}; found {{else}}", self._tokens[self._at - 1].offset)
        del self._variables[known:]

    def _define(self, context: str) -> None:
        """A template of its own, which knows none of the variables around it."""
        name = self._expect("string", context)
        if context == "block clause":
            self._pipeline(context, "right")
        else:
            self._expect("right", context)
        outside = self._variables, self._loops
        self._variables, self._loops = ["$"], 0
        ending, is_filled = self._list()
        if ending != "end":
            raise _SyntaxError(f"unexpected {{{{{ending}}}}} in {context}", name.offset)
        self._variables, self._loops = outside
        if is_filled and name.value[1:-1] in self._definitions:
            raise _SyntaxError(f"a second definition of the template {name.value}", name.offset)
        if is_filled:
            self._definitions.add(name.value[1:-1])

    def _pipeline(self, context: str, end: str) -> None:
        self._declarations(context)
        stage = 0
        while (token := self._next_solid()).kind != end:
            if token.kind not in _OPERANDS:
                raise _unexpected(token, context)
            stage += 1
            self._at -= 1
            first = self._command()
            if stage > 1 and first in _CONSTANTS:
                raise _SyntaxError(f"a value can only begin a pipeline; this is stage {stage}", token.offset)
        if not stage:
            raise _SyntaxError(f"missing value for {context}", token.offset)

    def _declarations(self, context: str) -> None:
        """`$x :=`, `$x =` and, in a range, `$i, $x :=`."""
        names: list[str] = []
        while (variable := self._peek_solid()).kind == "variable":
            at = self._at
            self._next_solid()
            sign = self._peek_solid()
            if sign.kind in {"=", "declare"}:
                self._next_solid()
                self._variables += [*names, variable.value]
                return
            if sign.value != ",":
                self._at = at
                if names and context != "range":
                    raise _unexpected(sign, context)
                break
            if context != "range" or names:
                raise _SyntaxError(f"too many declarations in {context}", sign.offset)
            self._next_solid()
            names.append(variable.value)
        self._variables += names

    def _command(self) -> str:
        """Operands up to a pipe or to the end; what kind the first one is."""
        first = ""
        while True:
            kind = self._operand()
            first = first or kind
            token = self._next()
            if token.kind == "|":
                break
            if token.kind in {"right", ")"}:
                self._at -= 1
                break
            if token.kind != "space":
                raise _unexpected(token, "operand")
        if not first:
            raise _SyntaxError("empty command", token.offset)
        return first

    def _operand(self) -> str:
        """Its kind; empty when none stands here."""
        token = self._next_solid()
        if token.kind not in _OPERANDS:
            self._at -= token.kind != "end of text"
            return ""
        if token.kind == "word" and token.value not in self._functions:
            raise _SyntaxError(f'function "{token.value}" not defined', token.offset)
        if token.kind == "word":
            self.used.add(token.value)
        if token.kind == "variable" and token.value not in self._variables:
            raise _SyntaxError(f'undefined variable "{token.value}"', token.offset)
        if token.kind == "(":
            self._depth += 1
            if self._depth > MAX_DEPTH:
                raise _SyntaxError(f"nested more than {MAX_DEPTH} deep", token.offset)
            self._pipeline("parenthesized pipeline", ")")
            self._depth -= 1
        following = self._tokens[self._at]
        while self._tokens[self._at].kind == "field":
            self._at += 1
        if following.kind == "field" and token.kind in _CONSTANTS:
            raise _SyntaxError(f"unexpected . after {token.value}", following.offset)
        return token.kind


def _unexpected(token: _Token, context: str) -> _SyntaxError:
    what = "end of action" if token.kind == "right" else f'"{token.value[:20]}"'
    return _SyntaxError(f"unexpected {what} in {context}", token.offset)
