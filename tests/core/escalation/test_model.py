"""Which channels an alert reaches, as tables."""

from datetime import datetime, timedelta

import pytest

from alertagent.core.alerts.model import Alert, AlertStatus
from alertagent.core.escalation.model import (
    EscalationRule,
    Policy,
    due_channels,
    is_open,
    next_due,
    read_rule,
    require_known,
)
from alertagent.kernel.errors import Invalid
from tests.core.routing.test_plan import acknowledged, alert, at, over


def rule(after: int, *channels: str, fits: str = 'alertname="a"') -> EscalationRule:
    return EscalationRule(matchers=(fits,), after=timedelta(minutes=after), channels=channels)


SECOND, THIRD = rule(15, "second", "pager"), rule(30, "third", "second")
OTHER = rule(5, "other", fits='alertname="b"')


@pytest.mark.parametrize(
    ("minutes", "reached", "next_one"),
    [
        (0, [], at(minutes=15)),
        (14.99, [], at(minutes=15)),
        (15, ["second", "pager"], at(minutes=30)),
        (30, ["second", "pager", "third"], None),
        (99999, ["second", "pager", "third"], None),
    ],
)
def test_the_channels_that_an_alert_has_reached_and_when_the_next_ones_follow(
    minutes: float, reached: list[str], next_one: datetime | None
) -> None:
    rules, now = (THIRD, OTHER, SECOND), at(minutes=minutes)

    assert due_channels(rules, alert(), now) == reached
    assert next_due(rules, alert(), now) == next_one


def test_all_matchers_of_a_rule_must_fit() -> None:
    both = EscalationRule(matchers=('alertname="a"', 'team="db"'), after=timedelta(minutes=1), channels=("x",))

    assert due_channels([both], alert(), at(days=1)) == []
    assert next_due([both], alert(), at()) is None


@pytest.mark.parametrize(("candidate", "is_one"), [(alert(), True), (acknowledged(), False), (over(), False)])
def test_only_what_fires_and_nobody_acknowledged_is_escalated(candidate: Alert, is_one: bool) -> None:
    assert is_open(candidate) is is_one
    assert candidate.status in AlertStatus


def test_a_rule_is_kept_as_json() -> None:
    assert read_rule(SECOND.as_json()) == SECOND
    assert SECOND.as_json() == {"matchers": ['alertname="a"'], "after": "15m", "channels": ["second", "pager"]}


def test_a_rule_cannot_have_what_is_no_matcher() -> None:
    with pytest.raises(ValueError, match="not a matcher"):
        rule(1, "x", fits="a")


def test_channels_must_exist() -> None:
    assert Policy(rules=(SECOND, THIRD)).channels == ["second", "pager", "third"]
    require_known([SECOND], ["pager", "second"])
    with pytest.raises(Invalid, match='there is no channel "third"') as refused:
        require_known([SECOND, THIRD], ["pager", "second"])
    assert refused.value.details[0].loc == ("rules", 1, "channels", 0)
    require_known([rule(1, "user:alice")], ["user:alice"])
    with pytest.raises(Invalid, match='"user:bob" leads to nobody: no channel has this "user_id"'):
        require_known([rule(1, "user:bob")], ["user:alice"])
