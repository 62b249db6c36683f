"""What a change would do to the configurations of clusters, as a dry run tells it. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from alertagent.core.clusters.model import ConfigType
from alertagent.core.rules.edits import Edit


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigChange:
    """One configuration: how many rules come, change and go in it, and the difference as a unified diff.

    `note` says what the diff leaves out, if it does.
    """

    cluster_id: str
    config_type: ConfigType
    added: int
    changed: int
    removed: int
    diff: str
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """Every configuration that would change, and what is worth knowing before one goes on."""

    clusters: tuple[ConfigChange, ...]
    warnings: tuple[str, ...]


class Previews(Protocol):
    """Who knows what clusters run and would run."""

    async def of(self, edits: Sequence[Edit]) -> Preview: ...
