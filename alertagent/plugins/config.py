"""How a plugin describes its settings, and how their secrets stay secret.

Settings travel in three shapes: *raw* (a JSON object as a client sends it and as it is stored), *parsed* (the
plugin's frozen model) and *masked* (raw with `"***"` in place of every secret, which is all that is ever read
back). `"***"` sent back means "the one you have".
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import asdict
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, ValidationError

from alertagent.kernel.errors import Detail, Invalid
from alertagent.plugins.addresses import parse_url
from alertagent.plugins.languages import Bilingual

MASK = "***"

ADDRESSES = ("base_url", "host", "url", "webhook_url")
"""The settings that say where secrets are sent."""

_MOST = 20
"""How many findings are told: a body can hold a hundred thousand, and nobody reads on."""

_HEADER_VALUE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?")


class PluginConfig(BaseModel):
    """The base of every plugin's settings: frozen, and unknown keys are errors.

    They are compiled when they are first used: there are many plugins, and most of them have no channel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True, defer_build=True)


ConfigT = TypeVar("ConfigT", bound=PluginConfig)


def described(title: Bilingual, description: Bilingual, *, secret: bool = False, **constraints: Any) -> Any:
    """What forms show for a setting, in both languages; stands inside `Annotated[...]`.

    `title` and `description` of the JSON Schema are English; `x-title` and `x-description` have both. A secret is
    `writeOnly` and `x-secret`; type it SecretStr, or as a mapping to SecretStr.
    """
    extra: dict[str, Any] = {"x-title": asdict(title), "x-description": asdict(description)}
    if secret:
        extra |= {"writeOnly": True, "x-secret": True}
    return Field(title=title.en, description=description.en, json_schema_extra=extra, **constraints)


def _callable_url(url: str) -> str:
    parse_url(url)
    return url


def _callable_secret(url: SecretStr) -> SecretStr:
    parse_url(url.get_secret_value())
    return url


def _base(url: str) -> str:
    parsed = parse_url(url)
    if parsed.raw_query_string or parsed.raw_fragment or parsed.raw_user or parsed.raw_password:
        raise ValueError("a base URL has no query, no fragment and no user")
    return url.rstrip("/")


def _header_value(secret: SecretStr) -> SecretStr:
    if not _HEADER_VALUE.fullmatch(secret.get_secret_value()):
        raise ValueError("this is empty, longer than 4096 characters or not printable ASCII, so no header can hold it")
    return secret


Url = Annotated[str, AfterValidator(_callable_url)]
SecretUrl = Annotated[SecretStr, AfterValidator(_callable_secret)]
SecretHeader = Annotated[SecretStr, AfterValidator(_header_value)]

BaseUrl = Annotated[
    str,
    AfterValidator(_base),
    described(
        Bilingual(zh="基础地址", en="Base URL"),
        Bilingual(
            zh="服务商地址，其他区域或中继时修改",
            en="The provider's address; another one for its other regions or a relay",
        ),
    ),
]


def parse(model: type[ConfigT], raw: object) -> ConfigT:
    """Check raw settings. Raises Invalid with one detail for each finding; no value is ever repeated in it."""
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)
    details = [Detail(finding["loc"], _wording(finding["type"], finding["msg"])) for finding in found[:_MOST]]
    summary = "; ".join(": ".join(filter(None, (_path(detail.loc), detail.message))) for detail in details)
    more = f" (and {len(found) - _MOST} more)" if len(found) > _MOST else ""
    raise Invalid(f"the configuration is not valid: {summary}{more}", code="config.invalid", details=details)


def _wording(kind: str, message: str) -> str:
    if kind == "extra_forbidden":
        return "there is no such setting"
    if kind == "tuple_type":
        return "Input should be a valid list"  # JSON knows no tuples
    return message.removeprefix("Value error, ")


def _path(loc: tuple[str | int, ...]) -> str:
    return ".".join(map(str, loc))


def secret_fields(model: type[PluginConfig]) -> frozenset[str]:
    """The names of the settings that must never be read back."""
    return frozenset(name for name, field in model.model_fields.items() if _is_secret(field.json_schema_extra))


def _is_secret(extra: object) -> bool:
    return isinstance(extra, Mapping) and extra.get("x-secret") is True


def mask(raw: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """Raw settings fit for reading. Of a secret mapping the keys stay visible."""
    return {name: _masked(value) if name in secrets else value for name, value in raw.items()}


def _masked(value: Any) -> Any:
    if isinstance(value, Mapping):
        return dict.fromkeys(value, MASK)
    return MASK if value else value


def merge(new: Mapping[str, Any], stored: Mapping[str, Any], secrets: Collection[str]) -> dict[str, Any]:
    """The new raw settings, with each `"***"` replaced by the stored secret.

    Raises Invalid where there is none, and where the address is another one: who may change settings must not be able
    to have a secret sent to a place of his own.
    """
    if any(new.get(name) not in (None, MASK, stored.get(name)) for name in ADDRESSES):
        stored = {name: value for name, value in stored.items() if name not in secrets}
        absent = f'"{MASK}" keeps no secret when the address changes; give it again'
    else:
        absent = f'"{MASK}" stands for the stored secret, and none is stored'
    return {
        name: _kept(value, stored.get(name), (name,), absent) if name in secrets else value
        for name, value in new.items()
    }


def _kept(value: Any, stored: Any, loc: tuple[str, ...], absent: str) -> Any:
    if isinstance(value, Mapping):
        old = stored if isinstance(stored, Mapping) else {}
        return {key: _kept(part, old.get(key), (*loc, str(key)), absent) for key, part in value.items()}
    if value != MASK:
        return value
    if not stored:
        raise Invalid(f"{_path(loc)}: {absent}", code="config.invalid", details=[Detail(loc, absent)])
    return stored
