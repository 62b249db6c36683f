"""Before the first file of ours takes its place, the server gets what runs here, so that nothing is lost.

The server imports rules with this cluster as their target, or stores the Alertmanager configuration with its
templates. Until it has answered, nothing is fetched and nothing is written.
"""

from glob import glob
from hashlib import sha256
from pathlib import Path

import structlog

from alertagent.core.configs import marker
from alertagent.sidecar.bundle import MAX_FILE, MAX_FILES, packed
from alertagent.sidecar.client import Server
from alertagent.sidecar.content import TEMPLATES, Content, is_template_name
from alertagent.sidecar.files import LiveFile
from alertagent.sidecar.model import Failed, Unadopted
from alertagent.sidecar.targets import Kind, Target
from alertagent.sidecar.tree import Malformed, Tree, parsed

_log = structlog.get_logger()


class Adoption:
    """Asks once. Raises Failed, and then wants to be asked again."""

    def __init__(self, server: Server, live: LiveFile, kind: Kind, target: Target) -> None:
        self._server = server
        self._live = live
        self._kind = kind
        self._target = target

    async def run(self) -> None:
        content = self._live.read()
        if content is None or not content.main.strip():
            await self._warn_of_others(b"")
        elif marker.revision_of(content.main) is None:
            await self._adopt(content)
            await self._warn_of_others(content.main)

    async def _adopt(self, content: Content) -> None:
        if self._kind.has_templates:
            content = bundled(content.main, self._live.path.parent)
        if await self._server.adopt(packed(content)):
            _log.info("config.adopted", path=str(self._live.path), templates=len(content.templates))
        else:
            _log.info("adoption.declined", path=str(self._live.path))

    async def _warn_of_others(self, main: bytes) -> None:
        """Rules that the target loads from other files stay with them, and would run twice once they are here too."""
        try:
            running = await self._target.files_by_group()
        except Failed as failure:
            _log.warning("adoption.unchecked", error=failure.message)
            return
        elsewhere = {file for group, file in running.items() if group not in _groups_in(main)}
        if elsewhere:
            _log.warning("adoption.incomplete", files=sorted(elsewhere))


def bundled(main: bytes, home: Path) -> Content:
    """An Alertmanager configuration as it stands, with the templates that it names, as a bundle carries them.

    The configuration still names them by their old paths. Raises Unadopted where they cannot travel.
    """
    paths = sorted({Path(found) for pattern in _patterns_in(main) for found in _matches(home, pattern)})
    templates = {path.name: _template(path) for path in paths}
    if len(templates) < len(paths):
        raise _unfit("two templates have the same name in different directories: rename one")
    if len(templates) >= MAX_FILES:
        raise _unfit(f"there are more than {MAX_FILES - 1} templates")
    directory = f"{TEMPLATES}/{_digest_of(templates)}"
    return Content(main, {f"{directory}/{name}": body for name, body in templates.items()})


def _matches(home: Path, pattern: str) -> list[str]:
    """As Alertmanager expands it: relative to the configuration, and dotfiles too."""
    return glob(str(home / pattern), include_hidden=True)  # noqa: PTH207 - Path.glob takes no absolute patterns


def _template(path: Path) -> bytes:
    if not is_template_name(path.name):
        raise _unfit(f"the template {path} must have a name of letters, digits, dots, dashes and underscores")
    try:
        body = path.read_bytes()
    except OSError as error:
        raise _unfit(f"the template {path} cannot be read: {error.strerror}") from error
    if len(body) > MAX_FILE:
        raise _unfit(f"the template {path} is larger than {MAX_FILE >> 20} MiB")
    return body


def _patterns_in(main: bytes) -> list[str]:
    patterns = _top(main, "templates")
    return [pattern for pattern in patterns if isinstance(pattern, str) and pattern]


def _groups_in(main: bytes) -> set[str]:
    names = (group.get("name") for group in _top(main, "groups") if isinstance(group, dict))
    return {name for name in names if isinstance(name, str)}


def _top(main: bytes, key: str) -> list[Tree]:
    """A list at the top of the file; the server says what is wrong with a file that has none."""
    try:
        root = parsed(main)
    except Malformed:
        return []
    found = root.get(key) if isinstance(root, dict) else None
    return found if isinstance(found, list) else []


def _digest_of(templates: dict[str, bytes]) -> str:
    lines = (f"{name} {sha256(body).hexdigest()}\n" for name, body in sorted(templates.items()))
    return sha256("".join(lines).encode()).hexdigest()[:16]


def _unfit(words: str) -> Unadopted:
    return Unadopted(f"what runs here cannot be adopted: {words}")
