"""Logging: structlog, one record a line; JSON for machines, colours on a terminal."""

import json
import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any

import orjson
import structlog

from alertagent import __version__

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def configure(*, level: str, format: str) -> None:
    """Set up structlog, and let the standard library's loggers (aiohttp, asyncio) end in the same stream."""
    as_json = format == "json" or (format == "auto" and not sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _without_control_characters,
    ]
    ending: list[Any] = (
        [structlog.processors.format_exc_info, _as_json]
        if as_json
        else [structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())]
    )
    structlog.configure(
        processors=[*shared, *ending],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=(
            structlog.BytesLoggerFactory(sys.stderr.buffer) if as_json else structlog.PrintLoggerFactory(sys.stderr)
        ),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    foreign = [*shared, _on_one_line]
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=foreign, processors=_foreign(ending)))
    logging.basicConfig(handlers=[handler], level=max(logging.WARNING, logging.getLevelName(level.upper())), force=True)
    # It warns with a traceback for each second of an outage, of which our own lines say more.
    logging.getLogger("asyncpg").setLevel(logging.ERROR)
    structlog.get_logger().debug("log.configured", version=__version__)


def _foreign(ending: list[Any]) -> list[Any]:
    return [structlog.stdlib.ProcessorFormatter.remove_processors_meta, *ending, _as_text]


def _as_json(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(event, default=_described, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # a lone surrogate, a number beyond 64 bits, a key that is a tuple
        return json.dumps(_plain(event)).encode()


def _described(value: object) -> str:
    return str(_cleaned(repr(value)))


def _as_text(_logger: Any, _name: str, line: str | bytes) -> str:
    return line.decode() if isinstance(line, bytes) else line


def _plain(value: Any) -> Any:
    """What json takes without a question."""
    if isinstance(value, Mapping):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if isinstance(value, str | int | float | None) else _described(value)


def _without_control_characters(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A label must not be able to forge a second line or to write escape sequences to a terminal."""
    for key, value in event.items():
        event[key] = _cleaned(value)
    return event


def _on_one_line(_logger: Any, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Our own events are constants; those of libraries repeat what they were sent, and the console prints them bare."""
    event["event"] = str(event["event"]).replace("\n", "\\n")
    return event


def _cleaned(value: Any) -> Any:
    if isinstance(value, str):
        return value if value.isprintable() else _CONTROL.sub("�", value)  # the first is nearly always so, and cheap
    if isinstance(value, Mapping):
        return {_cleaned(key) if isinstance(key, str) else key: _cleaned(each) for key, each in value.items()}
    return [_cleaned(each) for each in value] if isinstance(value, list | tuple) else value
