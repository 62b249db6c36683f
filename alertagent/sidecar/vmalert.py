"""What is special about vmalert: its groups take a new file one by one.

It answers a reload before it has read anything. Having read the file, and found all of it good, it hands each changed
group its new rules, and a group that has not been evaluated since vmalert started takes them at its first evaluation
only, up to an interval later. So the marker proves that the file was accepted; that every group runs it must be seen
from the groups themselves.
"""

import re
from collections.abc import Iterable, Sequence

from alertagent.kernel.durations import parse_duration
from alertagent.sidecar.rule_target import Group, RuleTarget, RunningRule
from alertagent.sidecar.tree import Tree, parsed

# version="vmalert-20260105-100000-tags-v1.133.0-enterprise-0-g1a2b3c4": the release stands behind "tags".
_VERSION = re.compile(
    rb'^vm_app_version\{[^}\n]*version="[^"]*?\bv([0-9]+\.[0-9]+\.[0-9]+(?:-enterprise)?)', re.MULTILINE
)


class Vmalert(RuleTarget):
    async def version(self) -> str | None:
        """From its metrics; a build that was not released, such as a distribution's, does not say."""
        status, body = await self._site.get("metrics")
        return version_in(body) if status == 200 else None

    async def lagging(self, main: bytes) -> frozenset[str]:
        return lagging(main, await self.groups())


def version_in(metrics: bytes) -> str | None:
    """The release that `vm_app_version` shows, with `-enterprise` where it is that."""
    found = _VERSION.search(metrics)
    return found[1].decode() if found else None


def lagging(main: bytes, running: Iterable[Group]) -> frozenset[str]:
    """The groups of a file that do not run as it says."""
    shown: dict[str, list[Group]] = {}
    for group in running:
        shown.setdefault(group.name, []).append(group)
    return frozenset(
        name
        for name, rules in _groups_in(main).items()
        if not any(_are_shown(rules, group.rules) for group in shown.get(name, ()))
    )


def _groups_in(main: bytes) -> dict[str, list[Tree]]:
    groups = [group for group in _under(parsed(main), "groups") if isinstance(group, dict)]
    return {str(group.get("name")): _under(group, "rules") for group in groups}


def _under(tree: Tree, key: str) -> list[Tree]:
    found = tree.get(key) if isinstance(tree, dict) else None
    return found if isinstance(found, list) else []


def _are_shown(rules: Sequence[Tree], shown: Sequence[RunningRule]) -> bool:
    return len(rules) == len(shown) and all(map(_is_shown, rules, shown))


def _is_shown(rule: Tree, shown: RunningRule) -> bool:
    """Whether these are the same, but for labels that vmalert adds of its own."""
    return (
        isinstance(rule, dict)
        and (rule.get("alert") or rule.get("record")) == shown.name
        and str(rule.get("expr")).strip() == shown.query.strip()
        and _lasts(rule.get("for"), shown.duration)
        and _pairs(rule.get("annotations")) == shown.annotations
        and _pairs(rule.get("labels")).items() <= shown.labels.items()
    )


def _pairs(tree: Tree | None) -> dict[str, Tree]:
    return tree if isinstance(tree, dict) else {}


def _lasts(tree: Tree | None, seconds: float) -> bool:
    """vmalert reads durations that Prometheus does not, such as 1.5h; those are not compared."""
    try:
        return not isinstance(tree, str) or parse_duration(tree).total_seconds() == seconds
    except ValueError:
        return True
