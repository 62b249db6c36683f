"""The analyzer that needs no network: what a colleague sees at first glance, and no more confident than that.

Pure. Three hints are weighed: the rule was changed shortly before, the alert keeps coming and going, and other
alerts fire on the same thing. Two independent hints make a little more certain; nothing here exceeds 0.6.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated

from alertagent import __version__
from alertagent.kernel.durations import format_duration
from alertagent.kernel.language import Language
from alertagent.kernel.message import MessageAlert
from alertagent.plugins.analysis import Analysis, AnalysisContext, Analyzer, Run
from alertagent.plugins.config import PluginConfig, described
from alertagent.plugins.languages import Bilingual
from alertagent.plugins.text import one_line
from alertagent.plugins.transport import Transport

RECENT = timedelta(hours=1)
FLAPPING = 3
MAX_CONFIDENCE = 0.6

# From the narrowest to the widest: two alerts on one instance say more than two in one cluster.
_SHARED = ("instance", "pod", "node", "service", "namespace", "cluster")


@dataclass(frozen=True, slots=True, kw_only=True)
class Hint:
    """One thing that may explain the alert, and how much it counts."""

    weight: float
    cause: Bilingual
    evidence: Bilingual
    action: Bilingual


class HeuristicConfig(PluginConfig):
    language: Annotated[
        Language,
        described(
            Bilingual(zh="语言", en="Language"),
            Bilingual(zh="分析结果使用的语言", en="The language of the answer"),
        ),
    ] = Language.ZH


class Heuristic(Analyzer[HeuristicConfig]):
    """Reads the context and nothing else."""

    name = "heuristic"
    version = __version__
    display_name = Bilingual(zh="内置规则分析", en="Built-in heuristic")
    description = Bilingual(
        zh="不联网：相关告警、近期规则变更、抖动", en="Without network: related alerts, recent rule changes, flapping"
    )
    Config = HeuristicConfig

    async def analyze(
        self, config: HeuristicConfig, context: AnalysisContext, transport: Transport, run: Run
    ) -> Analysis:
        return explain(context, config.language)


def explain(context: AnalysisContext, language: Language) -> Analysis:
    """The analysis, in one language."""
    hints = sorted(_hints(context), key=lambda hint: -hint.weight) or [_NO_HINT]
    best = hints[0]
    return Analysis(
        summary=_summary(context.alert, best).to(language),
        root_cause=best.cause.to(language),
        confidence=_confidence(hints),
        provider=Heuristic.name,
        evidence=tuple(hint.evidence.to(language) for hint in hints),
        actions=tuple(hint.action.to(language) for hint in hints),
        runbook=_runbook(context.alert),
    )


def _hints(context: AnalysisContext) -> Iterable[Hint]:
    for look in (_changed_rule, _flapping, _neighbours):
        hint = look(context)
        if hint:
            yield hint


def _confidence(hints: list[Hint]) -> float:
    return round(min(hints[0].weight + 0.1 * (len(hints) - 1), MAX_CONFIDENCE), 2)


def _changed_rule(context: AnalysisContext) -> Hint | None:
    recent = [
        change
        for change in context.rule_changes
        if timedelta() <= context.alert.starts_at - change.changed_at <= RECENT
    ]
    if not recent:
        return None
    last = max(recent, key=lambda change: change.changed_at)
    before = format_duration(_whole_seconds(context.alert.starts_at - last.changed_at))
    rule, version, by = one_line(last.rule), one_line(last.version), one_line(last.changed_by)
    return Hint(
        weight=0.5,
        cause=Bilingual(
            zh=f"规则 {rule} 在告警前 {before} 刚被修改，可能是新的表达式或阈值触发了告警",
            en=f"The rule {rule} was changed {before} before the alert: its new expression or threshold may be why",
        ),
        evidence=Bilingual(
            zh=f"规则 {rule} 变更为 {version}" + (f"（{by}）" if by else ""),
            en=f"The rule {rule} became {version}" + (f" by {by}" if by else ""),
        ),
        action=Bilingual(
            zh=f"对比规则 {rule} 的最近两个版本，必要时回滚",
            en=f"Compare the last two versions of {rule}; roll back if the change was not meant",
        ),
    )


def _flapping(context: AnalysisContext) -> Hint | None:
    if context.episodes < FLAPPING:
        return None
    return Hint(
        weight=0.4,
        cause=Bilingual(
            zh="指标在阈值附近反复波动（抖动），不像一次独立的故障",
            en="The value keeps crossing the threshold (flapping) rather than failing once",
        ),
        evidence=Bilingual(
            zh=f"24 小时内触发了 {context.episodes} 次", en=f"It fired {context.episodes} times within 24 hours"
        ),
        action=Bilingual(
            zh="延长规则的 for 或使用 keep_firing_for，或调整阈值",
            en="Lengthen the rule's `for`, use `keep_firing_for`, or move the threshold",
        ),
    )


def _neighbours(context: AnalysisContext) -> Hint | None:
    """Other alerts on the same thing; the one that started first is the likelier cause."""
    label, sharing = _narrowest(context)
    if not sharing:
        return None
    first = min(sharing, key=lambda alert: (alert.starts_at, alert.fingerprint))
    earlier = first.starts_at < context.alert.starts_at
    place = f"{label}={one_line(context.alert.labels[label])}"
    name, names = _name(first), ", ".join(sorted({_name(alert) for alert in sharing})[:5])
    return Hint(
        weight=0.4 if earlier else 0.2,
        cause=Bilingual(
            zh=f"{place} 上的 {name} 更早触发，本告警可能是它的后果"
            if earlier
            else f"{place} 上同时有其他告警，可能有共同的原因",
            en=f"{name} on {place} fired earlier: this alert may follow from it"
            if earlier
            else f"Other alerts fire on {place}: they may have a cause in common",
        ),
        evidence=Bilingual(
            zh=f"{place} 上还有 {len(sharing)} 条告警：{names}", en=f"{len(sharing)} more alerts on {place}: {names}"
        ),
        action=Bilingual(zh=f"先查看 {place} 上的 {name}", en=f"Look at {name} on {place} first"),
    )


def _narrowest(context: AnalysisContext) -> tuple[str, list[MessageAlert]]:
    """The first label of _SHARED by which other firing alerts belong to this one, and those alerts."""
    others = [
        alert
        for alert in context.related
        if alert.status == "firing" and alert.fingerprint != context.alert.fingerprint
    ]
    for label in _SHARED:
        value = context.alert.labels.get(label)
        sharing = [alert for alert in others if value and alert.labels.get(label) == value]
        if sharing:
            return label, sharing
    return "", []


_NO_HINT = Hint(
    weight=0.1,
    cause=Bilingual(zh="没有找到明显的关联", en="Nothing obvious is connected with it"),
    evidence=Bilingual(
        zh="近期没有规则变更、抖动或相关告警", en="No recent rule change, no flapping, no related alert"
    ),
    action=Bilingual(zh="查看指标走势和该对象的日志", en="Look at the graph and at the logs of what it is about"),
)


def _summary(alert: MessageAlert, best: Hint) -> Bilingual:
    name, severity = _name(alert), one_line(alert.labels.get("severity", ""))
    return Bilingual(
        zh=f"{name}" + (f"（{severity}）" if severity else "") + f"：{best.cause.zh}",
        en=f"{name}" + (f" ({severity})" if severity else "") + f": {best.cause.en}",
    )


def _name(alert: MessageAlert) -> str:
    return one_line(alert.labels.get("alertname", alert.fingerprint))


def _runbook(alert: MessageAlert) -> str | None:
    url = alert.annotations.get("runbook_url", "")
    return url if url.startswith(("http://", "https://")) else None


def _whole_seconds(duration: timedelta) -> timedelta:
    return timedelta(seconds=int(duration.total_seconds()))
