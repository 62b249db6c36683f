"""The tar in which a sidecar sends an Alertmanager configuration with its templates. Pure.

The templates lie in `alertagent-templates/<16 hex digits>/`, and the configuration still names them by their old
paths: only the last part of a path counts here.
"""

import io
import re
import tarfile
from collections.abc import Iterator

from alertagent.core.alertmanager.bundle import MAIN
from alertagent.core.alertmanager.model import MAX_TEMPLATE, MAX_TEMPLATES, Texts
from alertagent.core.alertmanager.templates import DIRECTORY
from alertagent.kernel.errors import Detail, Invalid

_TEMPLATE = re.compile(rf"{DIRECTORY}/[0-9a-f]{{16}}/([^/]+)")
_PLAIN = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})

# What tarfile raises for a tar that is none, or that was made to hurt.
_BROKEN = (tarfile.TarError, ValueError, OverflowError, EOFError, RecursionError)


def unpacked(body: bytes) -> Texts:
    """The configuration and its templates. Raises Invalid with the file in question."""
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as tar:
            files = dict(_files(tar))
    except _BROKEN as error:
        raise Invalid(f"the body is no proper tar: {error}", code="adopt.bundle_invalid") from error
    config = files.pop(MAIN, None)
    if config is None:
        raise _unfit(MAIN, "is missing from the tar")
    return Texts(config=config, templates=files)


def text_of(name: str, body: bytes) -> str:
    """The text of a file. Raises Invalid where it cannot be stored as one."""
    try:
        text = body.decode()
    except UnicodeDecodeError as error:
        raise _unfit(name, f"is not UTF-8: {error.reason} at byte {error.start}") from error
    if "\0" in text:
        raise _unfit(name, "holds the character U+0000, which cannot be stored")
    return text


def _files(tar: tarfile.TarFile) -> Iterator[tuple[str, str]]:
    """Each file by its own name, in the order of the tar."""
    seen: set[str] = set()
    for member in tar:
        name = _name(member)
        if name in seen:
            raise _unfit(name, "stands in the tar twice")
        if len(seen) > MAX_TEMPLATES:
            raise _unfit(name, f"is one too many: at most {MAX_TEMPLATES} templates can be kept")
        seen.add(name)
        file = tar.extractfile(member)
        text = text_of(name, file.read() if file is not None else b"")
        if name != MAIN and len(text) > MAX_TEMPLATE:
            raise _unfit(name, f"is longer than the {MAX_TEMPLATE:,} characters that a template may have")
        yield name, text


def _name(member: tarfile.TarInfo) -> str:
    if member.type not in _PLAIN or member.issparse():
        raise _unfit(member.name, "is no plain file")
    if member.name == MAIN:
        return MAIN
    match = _TEMPLATE.fullmatch(member.name)
    if match is None or match[1] == MAIN:
        raise _unfit(member.name, "is in no place for a template")
    return match[1]


def _unfit(name: str, what: str) -> Invalid:
    # A name comes from the tar and may hold anything.
    shown = name[:200].encode("utf-8", "replace").decode()
    message = f"{shown!r} {what}"
    return Invalid(message, code="adopt.bundle_invalid", details=[Detail((shown,), message)])
