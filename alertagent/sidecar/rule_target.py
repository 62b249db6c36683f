"""Prometheus and vmalert, which speak the same API.

Prometheus answers a reload with 200 after it has read everything, and with 500 when it kept its old rules; but a
200 may also mean that it found no rule file at all. vmalert answers 200 before it has read anything. So for both
only the marker in `/api/v1/rules` counts as a proof.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Self

from alertagent.core.configs import marker
from alertagent.kernel.strange_json import decoded
from alertagent.sidecar.site import Site


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningRule:
    """A rule as a target shows it. `duration` is in seconds, `labels` may hold more than the rule was given."""

    name: str
    query: str
    duration: float
    labels: Mapping[str, str]
    annotations: Mapping[str, str]

    @classmethod
    def read(cls, rule: Any) -> Self:
        return cls(
            name=str(rule["name"]),
            query=str(rule.get("query", "")),
            duration=float(rule.get("duration") or 0),
            labels=dict(rule.get("labels") or {}),
            annotations=dict(rule.get("annotations") or {}),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """A group as a target shows it; `file` is where the target, which may see other paths than we do, has it from."""

    name: str
    file: str
    rules: tuple[RunningRule, ...]

    @classmethod
    def read(cls, group: Any) -> Self:
        rules = tuple(map(RunningRule.read, group["rules"] or ()))
        return cls(name=str(group["name"]), file=str(group.get("file", "")), rules=rules)


class RuleTarget:
    """A server that evaluates one generated rule file, perhaps beside others."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def mark_of(self, main: bytes) -> str | None:
        return marker.revision_of(main)

    async def running(self) -> frozenset[str]:
        # Targets too old for the filter ignore it and answer with every rule.
        return revisions(await self.groups(**{"type": "alert", "rule_group[]": marker.GROUP}))

    async def lagging(self, main: bytes) -> frozenset[str]:
        """None: Prometheus takes all groups at once."""
        return frozenset()

    async def reload(self) -> None:
        await self._site.reload()

    async def version(self) -> str | None:
        """None where it does not say."""
        status, body = await self._site.get("api/v1/status/buildinfo")
        try:
            return str(decoded(body)["data"]["version"]) if status == 200 else None
        except (ValueError, LookupError, TypeError):
            return None

    async def files_by_group(self) -> Mapping[str, str]:
        """The groups that run, and the file that each comes from as the target names it."""
        return {group.name: group.file for group in await self.groups()}

    async def groups(self, **query: str) -> list[Group]:
        """What `/api/v1/rules` lists. Raises Undecided when it is another page that stands there."""
        body = await self._site.page("api/v1/rules", **query)
        try:
            # vmalert says null where it has none.
            return [Group.read(group) for group in decoded(body)["data"]["groups"] or ()]
        except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
            raise self._site.misdirected("does not list rules as Prometheus does") from error


def revisions(groups: Iterable[Group]) -> frozenset[str]:
    """The revisions that the markers among these groups show."""
    return frozenset(
        rule.annotations.get("revision", "")
        for group in groups
        if group.name == marker.GROUP
        for rule in group.rules
        if rule.name == marker.ALERT
    )
