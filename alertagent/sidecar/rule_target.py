"""Prometheus and vmalert, which speak the same API.

Prometheus answers a reload with 200 after it has read everything, and with 500 when it kept its old rules; but a
200 may also mean that it found no rule file at all. vmalert answers 200 before it has read anything. So for both
only the marker in `/api/v1/rules` counts as a proof.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

from alertagent.core.configs import marker
from alertagent.sidecar.site import Site


class RuleTarget:
    """A server that evaluates one generated rule file, perhaps beside others."""

    def __init__(self, site: Site) -> None:
        self._site = site

    def mark_of(self, main: bytes) -> str | None:
        return marker.revision_of(main)

    async def running(self) -> frozenset[str]:
        # Targets too old for the filter ignore it and answer with every rule.
        body = await self._site.page("api/v1/rules", **{"type": "alert", "rule_group[]": marker.GROUP})
        try:
            return revisions(_groups(json.loads(body)))
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._site.misdirected("does not list rules as Prometheus does") from error

    async def reload(self) -> None:
        await self._site.reload()

    async def version(self) -> str | None:
        """None where it does not say; vmalert has no such page."""
        status, body = await self._site.get("api/v1/status/buildinfo")
        try:
            return str(json.loads(body)["data"]["version"]) if status == 200 else None
        except (ValueError, LookupError, TypeError):
            return None

    async def files_by_group(self) -> Mapping[str, str]:
        """The groups that run, and the file that each comes from as the target names it."""
        try:
            groups = _groups(json.loads(await self._site.page("api/v1/rules")))
            return {str(group["name"]): str(group["file"]) for group in groups}
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise self._site.misdirected("does not list rules as Prometheus does") from error


def revisions(groups: Iterable[Any]) -> frozenset[str]:
    """The revisions that the markers among these groups show."""
    return frozenset(
        rule["annotations"]["revision"]
        for group in groups
        if group["name"] == marker.GROUP
        for rule in group["rules"]
        if rule["name"] == marker.ALERT
    )


def _groups(answer: Any) -> Iterable[Any]:
    """vmalert says null where it has none."""
    return answer["data"]["groups"] or ()
