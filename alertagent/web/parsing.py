"""From bytes to typed arguments, and every way that can fail to a 400 with its place."""

import asyncio
import contextlib
import re
import zlib
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar, get_origin

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from alertagent.kernel.errors import Detail, Invalid, TooLarge, UnsupportedMedia
from alertagent.web.errors import did_you_mean, refusal
from alertagent.web.room import Entry
from alertagent.web.routes import Route

# What zlib calls them. We decompress ourselves: aiohttp takes half a gzip for a whole one, answers a broken deflate
# by hanging up, and passes an encoding it does not know on as if it were none.
_ENCODINGS = {"identity": None, "gzip": 16 + zlib.MAX_WBITS, "deflate": zlib.MAX_WBITS}

# Bodies are taken in steps of this: what has no room yet stays with the connection, which then stops reading.
_STEP = 64 * 1024

# PostgreSQL cannot keep U+0000 in text; an even number of backslashes before it means a literal backslash.
_NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")

M = TypeVar("M", bound=BaseModel)


async def read_body(request: web.Request, route: Route, entry: Entry) -> bytes:
    """The body as sent, decompressed, within the route's limit and of a kind that it reads.

    It takes its room by `entry` as it comes, and once it is whole. Raises Unavailable where there is none.
    """
    if route.body is None or not request.body_exists:
        return b""
    accepted = route.reads if route.body is bytes else ("application/json",)
    if accepted and request.content_type not in accepted:
        raise UnsupportedMedia(f'content type "{request.content_type}" is not read here; send {" or ".join(accepted)}')
    encoding = request.headers.get("Content-Encoding", "identity").lower()
    if encoding not in _ENCODINGS:
        raise UnsupportedMedia(f'content encoding "{encoding}" is not read here; send gzip, deflate or none')
    window = _ENCODINGS[encoding]
    unpacker = zlib.decompressobj(window) if window is not None else None
    body = await _read(request, route.body_limit, unpacker, entry)
    await entry.take_whole(body)
    return body


def parse_body(raw: bytes, route: Route) -> object:
    """What the handler gets as `body`."""
    if isinstance(route.body, type) and issubclass(route.body, BaseModel):
        return parse_json(raw, route.body)
    return raw


def parse_json(raw: bytes, model: type[M]) -> M:
    """Validate JSON. Raises Invalid with the place."""
    if not raw.strip():
        if any(field.is_required() for field in model.model_fields.values()):
            raise Invalid("the request has no body; send a JSON object", code="request.body_missing")
        raw = b"{}"
    if _NUL_ESCAPE.search(raw):
        raise Invalid("the body holds the character U+0000, which cannot be stored", code="request.nul")
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise refusal(error, model) from error


def read_query(request: web.BaseRequest, route: Route) -> BaseModel | None:
    """The query string as a model; a parameter that the route does not know is refused by name.

    Of a foreign route's, what is not known is ignored, and of a parameter that is repeated the last one counts.
    """
    values, model = _grouped(request), route.query
    known = model.model_fields if model is not None else {}
    fields = {field.alias or name: field for name, field in known.items()}
    unknown = [name for name in values if name not in fields]
    if unknown and not route.foreign:
        raise _unknown_parameter(unknown[0], fields)
    if model is None:
        return None
    given = {name: given for name, given in values.items() if name in fields}
    try:
        return model.model_validate(_scalars(given, fields, last_counts=route.foreign))
    except ValidationError as error:
        raise refusal(error, model) from error


def read_path(request: web.Request, names: tuple[str, ...]) -> Mapping[str, str]:
    """The named parts of the path."""
    for name in names:
        _refuse_nul(name, request.match_info[name])
    return {name: request.match_info[name] for name in names}


async def _read(request: web.Request, limit: int, unpacker: Any, entry: Entry) -> bytes:
    """Read at most `limit` bytes after decompression."""
    received, is_empty = bytearray(), True
    is_here = request.content.is_eof()  # as most bodies are: nothing will be waited for
    try:
        async with contextlib.nullcontext() if is_here else entry.arriving():
            while chunk := await request.content.read(_STEP):
                is_empty = False
                for part in (chunk,) if unpacker is None else _unpacked(chunk, unpacker):
                    if len(received) + len(part) > limit:
                        raise TooLarge(f"the body is over the limit of {limit} bytes")
                    await entry.take(len(part))
                    received += part
                    if unpacker is not None:
                        await asyncio.sleep(0)  # others go on beside what takes a tenth of a second
    except ConnectionError as error:
        raise Invalid("the sender hung up before its body was whole", code="request.body_unreadable") from error
    except (web.RequestPayloadError, HttpProcessingError, zlib.error) as error:
        raise Invalid(f"the body cannot be decoded: {error}", code="request.body_unreadable") from error
    if unpacker is not None and not is_empty and not unpacker.eof:
        raise _not_whole()
    return bytes(received)


def _unpacked(chunk: bytes, unpacker: Any) -> Iterator[bytes]:
    """What a part of a compressed body holds, in steps: a few bytes can stand for megabytes."""
    while chunk:
        yield unpacker.decompress(chunk, _STEP)
        chunk = unpacker.unconsumed_tail
    if unpacker.unused_data:
        raise _not_whole()


def _not_whole() -> Invalid:
    return Invalid("the compressed body is not whole, or more follows it", code="request.body_unreadable")


def _grouped(request: web.BaseRequest) -> dict[str, list[str]]:
    values: dict[str, list[str]] = {}
    for name, value in request.query.items():
        _refuse_nul(name, value)
        values.setdefault(name, []).append(value)
    return values


def _scalars(values: Mapping[str, list[str]], fields: Mapping[str, FieldInfo], *, last_counts: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, given in values.items():
        if get_origin(fields[name].annotation) is tuple:
            found[name] = given
        elif len(given) > 1 and not last_counts:
            raise Invalid(f'the parameter "{name}" stands {len(given)} times', details=[Detail((name,), "repeated")])
        else:
            found[name] = given[-1]
    return found


def _unknown_parameter(name: str, known: Mapping[str, object]) -> Invalid:
    message = f'unknown parameter "{name[:80]}".{did_you_mean(name, known)}'
    return Invalid(message, code="request.parameter_unknown", details=[Detail((name,), message)])


def _refuse_nul(name: str, value: str) -> None:
    if "\x00" in value or "\x00" in name:
        raise Invalid(f'"{name}" holds the character U+0000', code="request.nul", details=[Detail((name,), "NUL")])
