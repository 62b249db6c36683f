from datetime import timedelta
from typing import Any

import pytest

from alertagent.kernel.language import Language
from alertagent.plugins.addresses import AddressGuard
from alertagent.plugins.analysis import AnalysisContext, RuleChange
from alertagent.plugins.analyzers.heuristic import MAX_CONFIDENCE, Heuristic, explain
from alertagent.plugins.transport import Transport
from tests.support.messages import NOON, make_alert
from tests.support.runs import Notebook

ALERT = make_alert(severity="critical", instance="a", cluster="bj")
CHANGED = RuleChange(
    rule="HighCPU", version="v1.0.1", changed_at=NOON - timedelta(minutes=12, seconds=3.5), changed_by="li"
)
EARLIER = make_alert("DiskFull", instance="a", starts_at=NOON - timedelta(minutes=3))


def context(**fields: Any) -> AnalysisContext:
    return AnalysisContext(**{"alert": ALERT, "now": NOON + timedelta(minutes=1), **fields})


def test_a_rule_changed_just_before_is_suspected() -> None:
    analysis = explain(context(rule_changes=(CHANGED,)), Language.EN)

    assert analysis.root_cause.startswith("The rule HighCPU was changed 12m3s before the alert")
    assert analysis.evidence == ("The rule HighCPU became v1.0.1 by li",)
    assert analysis.confidence == 0.5


@pytest.mark.parametrize("before", [timedelta(minutes=61), timedelta(minutes=-1)])
def test_a_change_long_before_or_after_is_not_suspected(before: timedelta) -> None:
    change = RuleChange(rule="HighCPU", version="v2", changed_at=NOON - before)

    assert explain(context(rule_changes=(change,)), Language.EN).confidence == 0.1


@pytest.mark.parametrize(("episodes", "flapping"), [(1, False), (2, False), (3, True), (40, True)])
def test_an_alert_that_keeps_coming_back_flaps(episodes: int, flapping: bool) -> None:
    analysis = explain(context(episodes=episodes), Language.EN)

    assert ("flapping" in analysis.root_cause) == flapping


def test_what_fired_earlier_on_the_same_instance_is_the_likelier_cause() -> None:
    later = make_alert("HighLoad", instance="a", starts_at=NOON + timedelta(seconds=5))

    analysis = explain(context(related=(later, EARLIER)), Language.EN)

    assert analysis.root_cause == "DiskFull on instance=a fired earlier: this alert may follow from it"
    assert analysis.evidence == ("2 more alerts on instance=a: DiskFull, HighLoad",)
    assert analysis.confidence == 0.4


def test_the_narrowest_thing_in_common_counts() -> None:
    elsewhere = make_alert("ApiDown", instance="b", cluster="bj", starts_at=NOON - timedelta(hours=1))

    assert "instance=a" in explain(context(related=(elsewhere, EARLIER)), Language.EN).root_cause
    assert "cluster=bj" in explain(context(related=(elsewhere,)), Language.EN).root_cause


@pytest.mark.parametrize(
    "other",
    [ALERT, make_alert("DiskFull", instance="a", status="resolved"), make_alert("Elsewhere", instance="z")],
    ids=["itself", "resolved", "elsewhere"],
)
def test_what_has_nothing_to_do_with_it_is_left_out(other: Any) -> None:
    analysis = explain(context(related=(other,)), Language.EN)

    assert analysis.root_cause == "Nothing obvious is connected with it"
    assert analysis.confidence == 0.1


def test_hints_that_agree_never_exceed_the_honest_bound() -> None:
    analysis = explain(context(rule_changes=(CHANGED,), related=(EARLIER,), episodes=9), Language.EN)

    assert analysis.confidence == MAX_CONFIDENCE
    assert len(analysis.evidence) == len(analysis.actions) == 3


def test_it_speaks_chinese() -> None:
    analysis = explain(context(rule_changes=(CHANGED,), related=(EARLIER,)), Language.ZH)

    assert (
        analysis.summary
        == "HighCPU（critical）：规则 HighCPU 在告警前 12m3s 刚被修改，可能是新的表达式或阈值触发了告警"
    )
    assert analysis.evidence == ("规则 HighCPU 变更为 v1.0.1（li）", "instance=a 上还有 1 条告警：DiskFull")


@pytest.mark.parametrize(
    ("url", "runbook"),
    [("https://wiki/cpu", "https://wiki/cpu"), ("javascript:alert(1)", None), ("", None)],
)
def test_a_runbook_is_a_web_address(url: str, runbook: str | None) -> None:
    alert = make_alert(annotations={"runbook_url": url})

    assert explain(context(alert=alert), Language.EN).runbook == runbook


async def test_the_plugin_needs_no_network() -> None:
    heuristic = Heuristic()
    config = heuristic.validate_config({"language": "en"})

    analysis = await heuristic.analyze(config, context(), Transport(AddressGuard()), Notebook())

    assert (analysis.provider, analysis.tokens, analysis.duration) == ("heuristic", None, None)
    assert analysis.summary == "HighCPU (critical): Nothing obvious is connected with it"
