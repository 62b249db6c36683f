"""What a configuration is on disk: the file that the target is told of, and the templates that this file names. Pure.

Templates lie in directories that are named after their content, `alertagent-templates/<16 hex digits>/`, and the
configuration names that very path. So nothing is rewritten on the way, the text of a configuration says which
templates belong to it, and new templates never change those of the configuration that runs.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256

from alertagent.sidecar.model import digest

TEMPLATES = "alertagent-templates"

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_PATH = re.compile(rf"{TEMPLATES}/[0-9a-f]{{16}}/{_NAME.pattern}")
_DIRECTORY = re.compile(rf"({TEMPLATES}/[0-9a-f]{{16}})/".encode())
# A bracket alone is the end of a YAML list.
_REFERENCE = re.compile(rf"{TEMPLATES}/[0-9a-f]{{16}}/(?:[A-Za-z0-9._*?-]|\[[A-Za-z0-9._*?^-]+\])+".encode())


@dataclass(frozen=True, slots=True)
class Content:
    """The main file's bytes, and those of each template by its path relative to the main file."""

    main: bytes
    templates: Mapping[str, bytes] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """The main file's SHA-256 or, with templates, one over the hashes of all files."""
        if not self.templates:
            return digest(self.main)
        total = sha256(f"{digest(self.main)}\n".encode())
        for path, body in sorted(self.templates.items()):
            total.update(f"{path} {digest(body)}\n".encode())
        return total.hexdigest()

    @property
    def missing(self) -> tuple[str, ...]:
        """What the main file names below `alertagent-templates/` and nothing matches.

        Alertmanager answers a reload with 200 even when a template is not there.
        """
        named = sorted({found.decode() for found in _REFERENCE.findall(self.main)})
        return tuple(name for name in named if not any(fnmatchcase(path, name) for path in self.templates))


def directories_in(main: bytes) -> frozenset[str]:
    """The template directories that a main file names."""
    return frozenset(found.decode() for found in _DIRECTORY.findall(main))


def is_template_name(text: str) -> bool:
    return bool(_NAME.fullmatch(text))


def is_template_path(text: str) -> bool:
    return bool(_PATH.fullmatch(text))
