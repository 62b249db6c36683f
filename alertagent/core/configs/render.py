"""The rule file of one cluster: the same rules always give the same bytes. Pure.

File, group and rule identities depend on nothing but the rules themselves, because Prometheus resets a pending
alert when its file, its group or one of its labels is renamed.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from hashlib import sha256
from operator import attrgetter

from alertagent.core.clusters.model import Cluster, ConfigType, is_targeted
from alertagent.core.configs import marker
from alertagent.core.rules.model import Dialect, Kind, Rule
from alertagent.kernel.durations import format_duration
from alertagent.kernel.yaml_text import scalar


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendered:
    """A configuration, and which revision of which rule is in it."""

    body: bytes
    rules: Mapping[str, int]

    @property
    def hash(self) -> str:
        return sha256(self.body).hexdigest()


def belongs(rule: Rule, cluster: Cluster, config_type: ConfigType) -> bool:
    """Whether this cluster's server of this type runs the rule."""
    content = rule.content
    speaks = content.dialect is Dialect.PROMQL or config_type is ConfigType.VMALERT
    return content.enabled and speaks and any(is_targeted(cluster, target) for target in content.targets)


def render(cluster: Cluster, config_type: ConfigType, rules: Iterable[Rule]) -> Rendered:
    """The file for Prometheus or vmalert. A cluster without rules gets one that holds only the marker."""
    chosen = sorted((rule for rule in rules if belongs(rule, cluster, config_type)), key=attrgetter("position"))
    above = "".join(_lines(cluster, config_type, chosen)).encode()
    return Rendered(body=above + _marker(cluster, above), rules={rule.id: rule.revision for rule in chosen})


def _lines(cluster: Cluster, config_type: ConfigType, rules: list[Rule]) -> Iterator[str]:
    yield f"# managed by AlertAgent; cluster={cluster.id} type={config_type}; do not edit\n"
    yield "groups:\n"
    for name, members in _groups(rules).items():
        yield f"- name: {scalar(name, 4)}\n"
        if members[0].content.interval is not None:
            yield f"  interval: {format_duration(members[0].content.interval)}\n"
        yield "  rules:\n"
        for rule in members:
            yield from _rule(rule)


def _groups(rules: list[Rule]) -> dict[str, list[Rule]]:
    """Rules by group, groups in the order of their first rule.

    A group has one interval. Rules of one group that want another than its first rule form a group beside it,
    so that adding such a rule moves no other.
    """
    taken = {rule.content.group for rule in rules}
    intervals: dict[str, timedelta | None] = {}
    groups: dict[str, list[Rule]] = {}
    for rule in rules:
        name, interval = rule.content.group, rule.content.interval
        if intervals.setdefault(name, interval) != interval:
            name = _beside(name, interval, taken)
        groups.setdefault(name, []).append(rule)
    return groups


def _beside(name: str, interval: timedelta | None, taken: Collection[str]) -> str:
    """The name of the group beside this one for rules of another interval, which no group has by itself."""
    suffix = f"/{format_duration(interval) if interval is not None else 'default'}"
    name += suffix
    while name in taken:
        name += suffix
    return name


def _rule(rule: Rule) -> Iterator[str]:
    content = rule.content
    recording = content.kind is Kind.RECORDING
    head = ("record", content.record or "") if recording else ("alert", content.name)
    yield f"  - {head[0]}: {scalar(head[1], 6)}\n"
    yield f"    expr: {scalar(content.expression, 6)}\n"
    if content.duration:
        yield f"    for: {format_duration(content.duration)}\n"
    if content.keep_firing_for:
        yield f"    keep_firing_for: {format_duration(content.keep_firing_for)}\n"
    yield from _mapping("labels", content.all_labels)
    yield from _mapping("annotations", content.annotations)


def _mapping(name: str, values: Mapping[str, str]) -> Iterator[str]:
    if values:
        yield f"    {name}:\n"
        for key, value in sorted(values.items()):
            yield f"      {scalar(key, 8)}: {scalar(value, 8)}\n"


def _marker(cluster: Cluster, above: bytes) -> bytes:
    return (
        marker.START
        + (
            "  interval: 1m\n"
            "  rules:\n"
            f"  - alert: {marker.ALERT}\n"
            "    expr: vector(0) > 1\n"
            "    annotations:\n"
            f"      cluster_id: {scalar(cluster.id, 8)}\n"
            f"      revision: '{marker.revision(above)}'\n"
        ).encode()
    )
