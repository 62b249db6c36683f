"""Who can inhibit whom, as Alertmanager has it."""

from collections.abc import Mapping

import pytest

from alertagent.core.routing.inhibition import as_source, as_target
from alertagent.core.routing.model import Inhibition
from alertagent.kernel.matchers import parse_matcher


def inhibition(source: str, target: str, *equal: str) -> Inhibition:
    return Inhibition(source=(parse_matcher(source),), target=(parse_matcher(target),), equal=equal)


CRITICAL = inhibition('severity="critical"', 'severity="warning"', "cluster")
BOTH = inhibition('severity=~"critical|warning"', 'severity=~"warning|info"')


def inhibits(rule: Inhibition, source: Mapping[str, str], target: Mapping[str, str]) -> bool:
    return any(
        theirs.rule == ours.rule and theirs.agreed == ours.agreed and not (ours.is_both and theirs.is_both)
        for theirs in as_source([rule], source)
        for ours in as_target([rule], target)
    )


@pytest.mark.parametrize(
    ("rule", "source", "target", "expected"),
    [
        (CRITICAL, {"severity": "critical", "cluster": "a"}, {"severity": "warning", "cluster": "a"}, True),
        (CRITICAL, {"severity": "critical", "cluster": "a"}, {"severity": "warning", "cluster": "b"}, False),
        (CRITICAL, {"severity": "critical", "cluster": "a"}, {"severity": "warning"}, False),
        # A label that both lack is one in which they agree.
        (CRITICAL, {"severity": "critical"}, {"severity": "warning"}, True),
        (CRITICAL, {"severity": "critical", "cluster": ""}, {"severity": "warning"}, True),
        (CRITICAL, {"severity": "critical"}, {"severity": "critical"}, False),
        (CRITICAL, {"severity": "info"}, {"severity": "warning"}, False),
        (BOTH, {"severity": "critical"}, {"severity": "warning"}, True),
        (BOTH, {"severity": "warning"}, {"severity": "info"}, True),
        # Two that fit both sides do not silence each other, nor does one itself.
        (BOTH, {"severity": "warning", "a": "1"}, {"severity": "warning", "a": "2"}, False),
    ],
)
def test_whether_one_alert_inhibits_another(
    rule: Inhibition, source: Mapping[str, str], target: Mapping[str, str], expected: bool
) -> None:
    assert inhibits(rule, source, target) is expected


def test_values_that_look_alike_side_by_side_do_not_agree() -> None:
    rule = inhibition('a="1"', 'a="2"', "x", "y")

    assert not inhibits(rule, {"a": "1", "x": "p', 'q"}, {"a": "2", "x": "p", "y": "q"})


def test_an_inhibition_keeps_its_key_for_as_long_as_it_means_the_same() -> None:
    one = Inhibition(source=(parse_matcher("a=1"), parse_matcher("b=2")), target=(), equal=("x", "y"))
    same = Inhibition(source=(parse_matcher("b=2"), parse_matcher("a=1")), target=(), equal=("y", "x", "y"), name="n")
    other = Inhibition(source=(), target=(parse_matcher("a=1"), parse_matcher("b=2")), equal=("x", "y"))

    assert one.key == same.key != other.key
