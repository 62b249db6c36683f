"""How Alertmanager reads `matchers`: one text may hold several, in one of two grammars. Pure.

Releases before 0.27 know the classic grammar only. Later ones read both; where both can read a text and differ,
the classic one counts, so a text means what the classic grammar says whenever that can read it.
"""

import re
from collections.abc import Callable, Iterator

from alertagent.kernel.matchers import Matcher, Operator

# Lists of names grow long in configurations, which few people write; queries, which anyone may send, stay shorter.
MAX_PATTERN = 16_384

_CLASSIC = re.compile(r"\s*([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(=~|!=|!~|=)\s*(.*?)\s*", re.DOTALL | re.ASCII)
_CLASSIC_ESCAPE = re.compile(r"\\([n\"\\])")
_CLASSIC_ESCAPED = {"n": "\n", '"': '"', "\\": "\\"}
_CLASSIC_QUOTED = re.compile(r'"((?:[^"\\]|\\.)*)"', re.DOTALL)
_CLASSIC_BARE = re.compile(r'((?:[^"\\]|\\.)*\\?)', re.DOTALL)

_SPACE = re.compile(r"\s*")
_WORD = re.compile(r"[^\s{}!=~,\\\"'`]+")
_QUOTED = re.compile(r'"(?:[^"\\\n]|\\.)*"')
_OPERATOR = re.compile(r"=~|!=|!~|=")
_GO_ESCAPE = re.compile(r"\\(?:([abfnrtv\\\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.))")
_GO_ESCAPED = dict(zip('abfnrtv\\"', '\a\b\f\n\r\t\v\\"', strict=True))


class ConfigMatcher(Matcher):
    """A matcher of a configuration."""

    max_pattern = MAX_PATTERN


def parse_matchers(text: str, *, utf8: bool = True) -> tuple[Matcher, ...]:
    """The matchers of one text, all of which must hold. Raises ValueError. `utf8`: the target is 0.27 or newer."""
    if not utf8:
        return _classic(text)
    for grammar in (_classic, _modern):
        if (found := _attempt(grammar, text)) is not None:
            return found
    return _modern(text)


def parse_filter(text: str) -> tuple[Matcher, ...]:
    """What a filter of the API says, which is one matcher: commas and braces belong to its value. Raises ValueError.

    Only the later grammar, which comes second here too, can find several. Source: prometheus/alertmanager,
    `matcher/compat/parse.go`.
    """
    found = _attempt(lambda one: (_classic_matcher(one),), text)
    return _modern(text) if found is None else found


def _attempt(grammar: Callable[[str], tuple[Matcher, ...]], text: str) -> tuple[Matcher, ...] | None:
    try:
        return grammar(text)
    except ValueError:
        return None


def _classic(text: str) -> tuple[Matcher, ...]:
    # A brace beside a blank is no brace: `{a=b} ` wants the value `b}`.
    return tuple(_classic_matcher(part) for part in _parts(text.removeprefix("{").removesuffix("}")))


def _parts(text: str) -> Iterator[str]:
    """Split at commas outside of quotes; what is left after the last one may be blank."""
    part, is_quoted, is_escaped = "", False, False
    for character in text:
        if character == "," and not is_quoted:
            yield part
            part = ""
            continue
        if character == '"' and not is_escaped:
            is_quoted = not is_quoted
        is_escaped = character == "\\" and not is_escaped
        part += character
    if part.strip():
        yield part


def _classic_matcher(text: str) -> Matcher:
    found = _CLASSIC.fullmatch(text)
    if found is None:
        raise ValueError('not a matcher; write it as name="value", with =, !=, =~ or !~')
    name, operator, value = found.groups()
    form = _CLASSIC_QUOTED if value.startswith('"') else _CLASSIC_BARE
    inner = form.fullmatch(value)
    if inner is None:
        raise ValueError('quotes stand around the whole value or not at all; one inside is written as \\"')
    value = _CLASSIC_ESCAPE.sub(lambda match: _CLASSIC_ESCAPED[match[1]], inner[1])
    return ConfigMatcher(name, Operator(operator), value)


def _modern(text: str) -> tuple[Matcher, ...]:
    return _Reader(text).matchers()


class _Reader:
    """The grammar of 0.27 and later, read from left to right."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def matchers(self) -> tuple[Matcher, ...]:
        opened = self._take("{")
        found: list[Matcher] = []
        while not self._is_over(opened=opened):
            found.append(self._matcher())
            if not self._take(","):
                break
        if opened and not self._take("}"):
            raise ValueError("a brace is opened and never closed")
        self._skip()
        if self._at < len(self._text):
            raise ValueError(f"unexpected text after {len(found)} matchers; separate them by commas")
        return tuple(found)

    def _matcher(self) -> Matcher:
        name = self._token("the name of a label")
        self._skip()
        operator = _OPERATOR.match(self._text, self._at)
        if operator is None:
            raise ValueError('not a matcher; write it as name="value", with =, !=, =~ or !~')
        self._at = operator.end()
        return ConfigMatcher(name, Operator(operator[0]), self._token("a value; an empty one is written as two quotes"))

    def _token(self, what: str) -> str:
        self._skip()
        for form in (_QUOTED, _WORD):
            if found := form.match(self._text, self._at):
                self._at = found.end()
                return _unquoted(found[0]) if form is _QUOTED else found[0]
        raise ValueError(f"expected {what}")

    def _is_over(self, *, opened: bool) -> bool:
        self._skip()
        return self._at >= len(self._text) or (opened and self._text[self._at] == "}")

    def _take(self, character: str) -> bool:
        self._skip()
        if not self._text.startswith(character, self._at):
            return False
        self._at += 1
        return True

    def _skip(self) -> None:
        found = _SPACE.match(self._text, self._at)
        self._at = found.end() if found else self._at


def _unquoted(text: str) -> str:
    """The value of a string literal of Go, in which `\\xf0` is a byte and `\\u00e9` a character."""
    try:
        return _GO_ESCAPE.sub(_unescaped, text[1:-1]).encode("utf-8", "surrogateescape").decode()
    except UnicodeDecodeError:
        raise ValueError("the value is not UTF-8") from None


def _unescaped(found: re.Match[str]) -> str:
    plain, byte, short, long, octal, unknown = found.groups()
    if plain:
        return _GO_ESCAPED[plain]
    if unknown is not None:
        raise ValueError("a backslash inside quotes must be written twice")
    if byte or octal:
        return bytes([int(byte, 16) if byte else int(octal, 8) & 255]).decode("ascii", "surrogateescape")
    return chr(int(short or long, 16))
