"""All that a configuration depends on, and which rules of it a checker meant. Pure."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from alertagent.core.clusters.model import Cluster, ConfigType
from alertagent.core.configs.gating import Gate
from alertagent.core.configs.model import Report
from alertagent.core.configs.refusals import bearable, named
from alertagent.core.configs.render import Pieces, Refusal, Rendered, render
from alertagent.core.rules.model import Rule


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """`refused` are the rules that a checker would not have; `pieces` only makes it faster."""

    cluster: Cluster
    config_type: ConfigType
    rules: Sequence[Rule]
    gate: Gate
    refused: Mapping[str, Refusal]
    pieces: Pieces

    def rendered(self) -> Rendered:
        return render(self.cluster, self.config_type, self.rules, self.gate, refused=self.refused, pieces=self.pieces)

    def bears(self, found: Collection[str], rendered: Rendered) -> bool:
        """Whether so many rules may be missing. A refusal of what was mended or removed since keeps nothing out."""
        out = {id for id, refusal in self.refused.items() if refusal.keeps_out(rendered.notes.get(id, ()))}
        return len(out.union(found)) <= bearable(len(rendered.revisions))

    def refused_by(self, report: Report, rendered: Rendered) -> dict[str, Refusal]:
        """The rules that a checker named when it refused exactly this file."""
        if rendered.hash != report.rejected_hash:
            return {}
        rules = {rule.id: rule for rule in self.rules if rule.id in rendered.rules}
        names = {id: rule.content.record or rule.content.name for id, rule in rules.items()}
        found = named(report.error_message or "", rendered.body, rendered.layout, names)
        texts = self.pieces.of([rules[id] for id in found], self.cluster.parameters, self.gate)
        tool = report.checker or "the checker"
        return {id: Refusal(digest=texts[id].digest, message=f"{tool}: {why}") for id, why in found.items()}
