"""The kinds of values in an Alertmanager configuration, and what every section of it has in common. Pure.

Values come as texts (see `kernel/yaml_guard`) and are read as Alertmanager's own YAML reader would read them where
each stands: `on` is a truth in `send_resolved` and a word in `channel`. No message repeats a value, for any of them
may be a secret that was put into the wrong field.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Annotated, Any, ClassVar, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict

from alertagent.core.alertmanager.actions import OPEN, has_open_action
from alertagent.kernel.durations import parse_duration
from alertagent.kernel.yaml_guard import Plain

PLACEHOLDER = "<secret>"
"""What Alertmanager shows in place of a secret; it accepts this where a secret URL stands."""

_TRUE = frozenset({"y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "true", "True", "TRUE"})
_FALSE = frozenset({"n", "N", "no", "No", "NO", "off", "Off", "OFF", "false", "False", "FALSE"})
_INTEGER = re.compile(r"[-+]?[0-9][0-9_]{0,18}")
_NUMBER = re.compile(r"[-+]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]+)?")
_GO_DURATION = re.compile(r"[-+]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:ns|us|µs|μs|ms|s|m|h))+)")
_NO_HOST = re.compile(r"[\s<>\"{}|\\^`]")


@dataclass(frozen=True, slots=True)
class Since:
    """The first Alertmanager release that knows a field; older ones refuse the whole file because of it.

    Where only a range is known it is the earliest, so that nothing is refused that might work.
    """

    version: str


class Confidential:
    """The mark of a field whose value nobody may read back."""


SECRET = Confidential()


class Section(BaseModel):
    """One mapping. A field that is absent, null or empty counts as not given, as in Alertmanager.

    It is compiled when it is first used: there are many sections, and most documents have few of them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    at_most_one: ClassVar[tuple[tuple[str, ...], ...]] = ()
    at_least_one: ClassVar[tuple[tuple[str, ...], ...]] = ()

    def has(self, *names: str) -> bool:
        """Whether any of these fields is given."""
        return any(getattr(self, name) not in (None, "", ()) for name in names)

    def problems(self) -> Iterator[tuple[str | None, str]]:
        """What is wrong beyond each field by itself: the field to look at (None: the section) and why."""
        for names in self.at_least_one:
            if not self.has(*names):
                yield None, f"needs {' or '.join(names)}"
        for names in self.at_most_one:
            given = [name for name in names if self.has(name)]
            if len(given) > 1:
                yield given[-1], f"at most one of {' and '.join(given)} may be given"

    @classmethod
    @cache
    def keys(cls) -> Mapping[str, str]:
        """The attributes by the keys that stand in the file."""
        return {field.alias or name: name for name, field in cls.model_fields.items()}


def _text(value: Any) -> Any:
    if not isinstance(value, str):
        raise ValueError("must be a text")  # noqa: TRY004 - pydantic wants ValueError
    return str(value)


def _template(value: Any) -> Any:
    text: str = _text(value)
    if has_open_action(text):
        raise ValueError(OPEN)
    return text


def _flag(value: Any) -> Any:
    if isinstance(value, Plain) and value in _TRUE | _FALSE:
        return value in _TRUE
    raise ValueError("must be true or false, without quotes")


def _integer(value: Any) -> Any:
    if isinstance(value, Plain) and _INTEGER.fullmatch(value):
        return int(value.replace("_", ""))
    raise ValueError("must be a whole number, without quotes")


def _count(value: Any) -> Any:
    number: int = _integer(value)
    if number < 0:
        raise ValueError("must not be negative")
    return number


def _number(value: Any) -> Any:
    if isinstance(value, Plain) and _NUMBER.fullmatch(value):
        return float(value)
    raise ValueError("must be a number, without quotes")


def _duration(value: Any) -> Any:
    try:
        return parse_duration(_text(value))
    except ValueError:
        raise ValueError("not a duration; write it as 30s, 5m or 1d12h, largest unit first") from None


def _go_duration(value: Any) -> Any:
    """These few are read by Go itself, which knows neither days nor weeks."""
    text: str = _text(value)
    if not _GO_DURATION.fullmatch(text):
        raise ValueError("not a duration of this field; write it as 10s, 1m30s or 1.5h")
    return text


def _url(value: Any) -> Any:
    text: str = _text(value)
    try:
        parts = urlsplit(text)
        # The port is only looked at when it is asked for.
        is_web = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
        is_web = is_web and not _NO_HOST.search(parts.netloc)
    except ValueError:
        is_web = False
    if not is_web or any(character < " " for character in text):
        raise ValueError("not a URL with http:// or https:// and a host")
    return text


def _secret_url(value: Any) -> Any:
    return value if value == PLACEHOLDER else _url(value)


def _templated_url(value: Any) -> Any:
    return _template(value) if isinstance(value, str) and "{{" in value else _url(value)


def _host_and_port(value: Any) -> Any:
    text: str = _text(value)
    host, colon, port = text.rpartition(":")
    if text and (not colon or not port or (":" in host and not (host.startswith("[") and host.endswith("]")))):
        raise ValueError("must be HOST:PORT")
    return text


T = TypeVar("T")

Text = Annotated[str, BeforeValidator(_text)]
Template = Annotated[str, BeforeValidator(_template)]
File = Annotated[str, BeforeValidator(_text)]
Flag = Annotated[bool, BeforeValidator(_flag)]
Integer = Annotated[int, BeforeValidator(_integer)]
Count = Annotated[int, BeforeValidator(_count)]
Number = Annotated[float, BeforeValidator(_number)]
Duration = Annotated[timedelta, BeforeValidator(_duration)]
GoDuration = Annotated[str, BeforeValidator(_go_duration)]
Url = Annotated[str, BeforeValidator(_url)]
HostPort = Annotated[str, BeforeValidator(_host_and_port)]
Secret = Annotated[str, BeforeValidator(_text), SECRET]
SecretUrl = Annotated[str, BeforeValidator(_secret_url), SECRET]
SecretTemplateUrl = Annotated[str, BeforeValidator(_templated_url), SECRET]
Texts = tuple[Text, ...]
Pairs = Mapping[str, Template | None]
