"""A configuration with templates as one tar, as the server sends it and as the last good one is kept. Pure.

The tar comes from a server that is trusted, over a line that is not: nothing in it may reach a path of its own
choosing, and nothing may be larger when unpacked than it looks.
"""

import io
import tarfile
from collections.abc import Iterator

from alertagent.sidecar.content import Content, directories_in, is_template_path
from alertagent.sidecar.model import Discarded

MAIN = "alertmanager.yml"
MAX_FILES = 200
MAX_FILE = 8 << 20

_PLAIN = frozenset({tarfile.REGTYPE, tarfile.AREGTYPE})
_MAGIC = slice(257, 262)
_HEADER = 512


def is_tar(body: bytes) -> bool:
    """YAML cannot be taken for one: it may hold no zero bytes."""
    return body[_MAGIC] == b"ustar" and b"\0" in body[:_HEADER]


def unpacked(body: bytes) -> Content:
    """A bundle's content, or a plain file as it is. Raises Discarded for a bundle with anything unexpected in it.

    Templates in a directory that the configuration does not name are left out: nobody would load them.
    """
    if not is_tar(body):
        return Content(body)
    try:
        with tarfile.open(fileobj=io.BytesIO(body), mode="r:") as tar:
            files = dict(_files(tar))
    except (tarfile.TarError, ValueError, OverflowError, EOFError) as error:
        raise Discarded(f"the bundle is no proper tar: {error}") from error
    if MAIN not in files:
        raise Discarded(f"the bundle holds no {MAIN}")
    main = files.pop(MAIN)
    named = directories_in(main)
    return Content(main, {path: text for path, text in files.items() if path.rpartition("/")[0] in named})


def packed(content: Content) -> bytes:
    """The same content, the same bytes: sorted, and without times and owners."""
    if not content.templates:
        return content.main
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path, body in [(MAIN, content.main), *sorted(content.templates.items())]:
            member = tarfile.TarInfo(path)
            member.size = len(body)
            tar.addfile(member, io.BytesIO(body))
    return buffer.getvalue()


def _files(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    seen: set[str] = set()
    for member in tar:
        _admit(member, seen)
        seen.add(member.name)
        file = tar.extractfile(member)
        yield member.name, file.read() if file else b""


def _admit(member: tarfile.TarInfo, seen: set[str]) -> None:
    name = member.name[:200]
    if member.type not in _PLAIN or member.issparse():
        raise Discarded(f"the bundle holds {name!r}, which is no plain file")
    if member.name != MAIN and not is_template_path(member.name):
        raise Discarded(f"the bundle holds {name!r}, which is no place for a template")
    if member.name in seen:
        raise Discarded(f"the bundle holds {name!r} twice")
    if len(seen) == MAX_FILES:
        raise Discarded(f"the bundle holds more than {MAX_FILES} files")
    if not 0 <= member.size <= MAX_FILE:
        raise Discarded(f"{name!r} in the bundle is larger than {MAX_FILE >> 20} MiB")
