"""A stored Alertmanager configuration, its versions, and how two of them differ. Pure."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from difflib import unified_diff

from alertagent.core.rules.model import version_name

MAX_TEMPLATES = 100
# In characters.
MAX_TEMPLATE = 256 * 1024

VERSION_PATTERN = r"^v1\.0\.[0-9]{1,9}$"
_VERSION = re.compile(VERSION_PATTERN)

SNAPSHOT_ID = "alertmanager"
"""Under this id a snapshot says which revision it is made of, as it says it of rules."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Texts:
    """The configuration and the template files that go with it, by name."""

    config: str = field(repr=False)
    templates: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a cluster's Alertmanager must run now. `mask_key` makes the masks of its secrets."""

    cluster_id: str
    revision: int
    texts: Texts
    mask_key: bytes = field(repr=False)
    updated_by: str
    updated_at: datetime

    @property
    def version(self) -> str:
        return version_name(self.revision)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One change. `texts` is None where the configuration was deleted."""

    revision: int
    change: str
    texts: Texts | None
    author: str
    comment: str
    at: datetime

    @property
    def name(self) -> str:
        return version_name(self.revision)


def revision_named(version: str) -> int:
    """The revision of `v1.0.3`; 0, which none has, where the text is no version."""
    return int(version.rpartition(".")[2]) + 1 if _VERSION.fullmatch(version) else 0


def diff(before: Texts | None, after: Texts | None) -> str:
    """A unified diff of all files; empty where nothing differs."""
    old, new = _files(before), _files(after)
    return "".join(line for name in sorted(old | new) for line in _diff(name, old.get(name), new.get(name)))


def _files(texts: Texts | None) -> dict[str, str]:
    if texts is None:
        return {}
    return {"alertmanager.yml": texts.config} | {f"templates/{name}": text for name, text in texts.templates.items()}


def _diff(name: str, before: str | None, after: str | None) -> Iterator[str]:
    lines = unified_diff(
        (before or "").splitlines(keepends=True),
        (after or "").splitlines(keepends=True),
        "/dev/null" if before is None else f"a/{name}",
        "/dev/null" if after is None else f"b/{name}",
    )
    for line in lines:
        yield line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
