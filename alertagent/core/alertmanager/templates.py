"""Template files that are stored with a configuration, and the paths under which the target finds them. Pure.

Every set of templates has a directory of its own, named by its digest, so that a target never reads half of an old
set: the configuration names the files of one set, and it is swapped in one step.
"""

import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from hashlib import sha256
from posixpath import basename

from alertagent.core.alertmanager.actions import OPEN, has_open_action
from alertagent.core.alertmanager.document import Document
from alertagent.core.alertmanager.walk import Loc
from alertagent.kernel.yaml_guard import Node, Scalar, Sequence, find

DIRECTORY = "alertagent-templates"

Finding = tuple[Loc, str]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


def directory_of(templates: Mapping[str, str]) -> str:
    """Where this set of templates goes, relative to the configuration."""
    digest = sha256()
    for name, text in sorted(templates.items()):
        for part in (name.encode(), text.encode()):
            digest.update(len(part).to_bytes(8, "big") + part)
    return f"{DIRECTORY}/{digest.hexdigest()[:16]}"


def check_templates(document: Document, templates: Mapping[str, str]) -> Iterator[Finding]:
    entries = document.templates or ()
    for name, text in templates.items():
        if not _NAME.fullmatch(name):
            yield ("templates", name), "not a file name; at most 100 letters, digits, '.', '_' and '-'"
        elif not any(_names(entry, name) for entry in entries):
            yield ("templates", name), "no entry of `templates:` in the configuration names this file"
        if has_open_action(text):
            yield ("templates", name), OPEN


def with_paths(text: str, root: Node, templates: Mapping[str, str]) -> str:
    """The configuration with its entries for stored templates turned into their paths, all other bytes as given.

    An entry with a wildcard becomes one entry for each stored template that it names and no entry above did.
    """
    listed = find(root, ("templates",))
    if not templates or not isinstance(listed, Sequence):
        return text
    directory, left = directory_of(templates), sorted(templates)
    is_flow = text.startswith("[", listed.start.offset)
    pieces, end = [], 0
    for item in listed.items:
        named = [name for name in sorted(templates) if isinstance(item, Scalar) and _names(item.value, name)]
        if not named:
            continue
        paths = [f"{directory}/{name}" for name in named if name in left] or [f"{directory}/{named[0]}"]
        left = [name for name in left if name not in named]
        between = ", " if is_flow else "\n" + " " * (listed.start.column - 1) + "- "
        pieces += [text[end : item.start.offset], between.join(paths)]
        end = item.end.offset
    return "".join(pieces) + text[end:]


def _names(entry: str, name: str) -> bool:
    """Whether an entry means a stored template: by its last part, which may have wildcards."""
    return fnmatchcase(name, basename(entry))
