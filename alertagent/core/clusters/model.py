"""A monitored cluster, and how a rule's target names clusters. Pure."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from functools import lru_cache

from alertagent.kernel.errors import Conflict
from alertagent.kernel.matchers import Matcher, parse_matcher

ID_PATTERN = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$"
_ID = re.compile(ID_PATTERN)
_COMMA = re.compile(r',(?=(?:[^"]*"[^"]*")*[^"]*$)')


class ConfigType(StrEnum):
    """The kinds of server whose configuration a sidecar may keep."""

    PROMETHEUS = "prometheus"
    ALERTMANAGER = "alertmanager"
    VMALERT = "vmalert"


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    id: str
    name: str
    labels: Mapping[str, str]
    parameters: Mapping[str, str]
    config_types: tuple[ConfigType, ...]
    query_url: str | None
    revision: int
    created_at: datetime
    updated_at: datetime


def require_type(cluster: Cluster, config_type: ConfigType) -> None:
    """Raises Conflict when the cluster has no such server."""
    if config_type not in cluster.config_types:
        raise Conflict(
            f'cluster "{cluster.id}" has no {config_type}; add it to its config_types', code="config.type_not_enabled"
        )


def is_cluster_id(text: str) -> bool:
    return _ID.fullmatch(text) is not None


def check_target(target: str) -> None:
    """Raises ValueError when this is neither a cluster's id nor a label selector."""
    if not is_cluster_id(target):
        selector(target)


@lru_cache(maxsize=4096)
def selector(target: str) -> tuple[Matcher, ...]:
    """The matchers of `env="prod", region=~"cn-.*"`; all must hold."""
    return tuple(parse_matcher(part) for part in _COMMA.split(target.strip().removeprefix("{").removesuffix("}")))


def is_targeted(cluster: Cluster, target: str) -> bool:
    """Whether a rule with this target is for this cluster; selectors see its labels, `id` and `name`."""
    if is_cluster_id(target):
        return target == cluster.id
    labels = {"name": cluster.name, **cluster.labels, "id": cluster.id}
    return all(matcher.matches(labels) for matcher in selector(target))
