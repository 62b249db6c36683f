import yaml

from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs import marker
from alertagent.core.configs.render import render
from tests.core.configs.samples import make_cluster, make_rule


def test_the_revision_shown_by_the_target_is_the_one_computed_from_the_file() -> None:
    body = render(make_cluster(), ConfigType.PROMETHEUS, [make_rule()]).body

    (alert,) = yaml.safe_load(body)["groups"][-1]["rules"]

    assert alert["alert"] == marker.ALERT
    assert alert["annotations"] == {"cluster_id": "c1", "revision": marker.revision_of(body)}


def test_any_change_above_the_mark_changes_it() -> None:
    bodies = [
        render(make_cluster(), ConfigType.PROMETHEUS, rules).body
        for rules in ([], [make_rule()], [make_rule(expression="up == 1")])
    ]

    assert len({marker.revision_of(body) for body in bodies}) == 3


def test_a_rule_that_imitates_the_mark_does_not_move_it() -> None:
    text = "x\n" + marker.START.decode() + "  rules: []\n"
    body = render(make_cluster(), ConfigType.PROMETHEUS, [make_rule(annotations={"a": text})]).body

    assert yaml.safe_load(body)["groups"][-1]["rules"][0]["annotations"]["revision"] == marker.revision_of(body)


def test_a_file_of_somebody_else_carries_no_mark() -> None:
    assert marker.revision_of(b"groups: []\n") is None
