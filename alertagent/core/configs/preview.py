"""What a change of rules would do to the configuration of each cluster, before anybody makes it.

Groups do not depend on each other, so only those are rendered that a changed rule is or was in. The marker at the
end of a file changes with every byte above it and is left out.
"""

import asyncio
import difflib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from alertagent.core.clusters.model import Cluster, ConfigType, is_targeted
from alertagent.core.clusters.service import Clusters
from alertagent.core.configs import marker
from alertagent.core.configs.gating import Gate
from alertagent.core.configs.model import RULE_TYPES, Gates
from alertagent.core.configs.render import Rendered, render
from alertagent.core.configs.service import Configs
from alertagent.core.rules.edits import Change, Edit
from alertagent.core.rules.model import Rule
from alertagent.core.rules.preview import ConfigChange, Preview
from alertagent.core.rules.service import Rules

# The text of one configuration's difference, and the lines, old times new, that are compared in one group.
MAX_DIFF = 32 * 1024
MAX_COMPARED = 25_000_000

# Rules rendered for one answer, at some 20 µs each.
MAX_RENDERED = 100_000

CONTEXT = 3

_GROUP = "- name: "

Groups = Mapping[str, Sequence[str]]


class ConfigPreviews:
    """Renders twice and compares."""

    def __init__(self, clusters: Clusters, rules: Rules, configs: Configs) -> None:
        self._clusters = clusters
        self._rules = rules
        self._configs = configs

    async def of(self, edits: Sequence[Edit]) -> Preview:
        """Every configuration that the edits would change."""
        clusters, gates = await self._clusters.all(), await self._configs.gates()
        rules = await self._rules.enabled_in(_groups_of(edits))
        return await asyncio.to_thread(preview, edits, clusters, rules, gates)


def preview(edits: Sequence[Edit], clusters: Sequence[Cluster], rules: Sequence[Rule], gates: Gates) -> Preview:
    """The same, of these clusters and of the enabled rules as they are. Pure."""
    edits = [edit for edit in edits if edit.change is not Change.UNCHANGED]
    before, after = _before_and_after(edits, rules)
    targets = {target for edit in edits for target in edit.targets}
    changes, size, left_out = list[ConfigChange](), 0, 0
    for cluster, config_type in _places(clusters, targets):
        size += len(before) + len(after)
        if size > MAX_RENDERED and changes:
            left_out += 1
        elif (change := _change(cluster, config_type, gates.get((cluster.id, config_type)), before, after)) is not None:
            changes.append(change)
    return Preview(clusters=tuple(changes), warnings=(*_waiting(edits, clusters), *_left_out(left_out)))


def _groups_of(edits: Iterable[Edit]) -> set[str]:
    changed = (edit for edit in edits if edit.change is not Change.UNCHANGED)
    return {rule.content.group for edit in changed for rule in (edit.before, edit.after) if rule is not None}


def _before_and_after(edits: Sequence[Edit], rules: Sequence[Rule]) -> tuple[list[Rule], list[Rule]]:
    """The rules of the groups that change, as they are and as they would be."""
    groups = _groups_of(edits)
    gone = {edit.before.id for edit in edits if edit.before is not None}
    before = [rule for rule in rules if rule.content.group in groups]
    stay = [rule for rule in before if rule.id not in gone]
    return before, stay + [edit.after for edit in edits if edit.after is not None]


def _places(clusters: Sequence[Cluster], targets: set[str]) -> Iterator[tuple[Cluster, ConfigType]]:
    for cluster in clusters:
        if any(is_targeted(cluster, target) for target in targets):
            for config_type in RULE_TYPES:
                if config_type in cluster.config_types:
                    yield cluster, config_type


def _change(
    cluster: Cluster, config_type: ConfigType, gate: Gate | None, before: Sequence[Rule], after: Sequence[Rule]
) -> ConfigChange | None:
    """None when the configuration stays as it is."""
    old, new = render(cluster, config_type, before, gate), render(cluster, config_type, after, gate)
    if old.body == new.body:
        return None
    diff, note = _diff(_groups(old), _groups(new))
    return ConfigChange(
        cluster_id=cluster.id,
        config_type=config_type,
        added=len(new.rules.keys() - old.rules.keys()),
        changed=sum(new.rules[id] != old.rules[id] for id in new.rules.keys() & old.rules.keys()),
        removed=len(old.rules.keys() - new.rules.keys()),
        diff=diff,
        note=note,
    )


def _groups(rendered: Rendered) -> Groups:
    """The lines of each group, by its name as it is written."""
    groups: dict[str, list[str]] = {}
    lines = list[str]()
    for line in rendered.body.decode().splitlines(keepends=True):
        if line.startswith(_GROUP):
            lines = groups.setdefault(line.removeprefix(_GROUP).strip(), [])
        lines.append(line)
    groups.pop(marker.GROUP, None)
    return groups


def _diff(before: Groups, after: Groups) -> tuple[str, str]:
    """Each group as a file of its own, and a note on what is left out."""
    text, left_out = list[str](), list[str]()
    room = MAX_DIFF
    for name in {**before, **after}:
        old, new = before.get(name, ()), after.get(name, ())
        if old == new:
            continue
        if len(old) * len(new) > MAX_COMPARED:
            old, new = _trimmed(old, new)
        if room <= 0 or len(old) * len(new) > MAX_COMPARED:
            left_out.append(name)
            continue
        for line in difflib.unified_diff(old, new, f"now/{name}", f"then/{name}"):
            room -= len(line)
            if room <= 0:
                left_out.append(f"the rest of {name}")
                break
            text.append(line)
    return "".join(text), _cut(left_out)


def _trimmed(old: Sequence[str], new: Sequence[str]) -> tuple[Sequence[str], Sequence[str]]:
    """Without what is the same at both ends, but for the lines that a diff shows around a difference."""
    start = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(old, new, strict=False)))
    old, new = old[max(0, start - CONTEXT) :], new[max(0, start - CONTEXT) :]
    backwards = zip(reversed(old[CONTEXT:]), reversed(new[CONTEXT:]), strict=False)
    end = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], backwards))
    drop = max(0, end - CONTEXT)
    return old[: len(old) - drop], new[: len(new) - drop]


def _cut(left_out: Sequence[str]) -> str:
    if not left_out:
        return ""
    more = f" and {len(left_out) - 3} more groups" if len(left_out) > 3 else ""
    return f"cut; not shown: {', '.join(left_out[:3])}{more}"


def _waiting(edits: Sequence[Edit], clusters: Sequence[Cluster]) -> Iterator[str]:
    targets = {target for edit in edits if edit.after is not None for target in edit.after.content.targets}
    for target in sorted(targets):
        if not any(is_targeted(cluster, target) for cluster in clusters):
            yield f"no cluster is {target} yet; the rule waits for one"


def _left_out(number: int) -> Iterator[str]:
    if number:
        yield f"{number} more configurations may change; they are not shown, because they would take too long"
