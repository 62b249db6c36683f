"""What a change would do to clusters, told before it is made."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alertagent.core.clusters.model import Cluster, ConfigType
from alertagent.core.configs.preview import MAX_DIFF, preview
from alertagent.core.rules.edits import Change, Edit
from alertagent.core.rules.model import Kind, Rule
from alertagent.core.rules.preview import ConfigChange, Preview
from tests.core.configs.samples import NOON, make_cluster, make_rule


def edit(before: Rule | None, after: Rule | None) -> Edit:
    change = Change.CREATED if before is None else Change.DELETED if after is None else Change.UPDATED
    return Edit(change=change, before=before, after=after, at=NOON)


def revised(rule: Rule, **values: Any) -> Edit:
    return edit(rule, replace(rule, revision=rule.revision + 1, content=replace(rule.content, **values)))


def counts(found: Preview) -> dict[str, tuple[int, int, int]]:
    return {each.cluster_id: (each.added, each.changed, each.removed) for each in found.clusters}


C1, C2 = (make_cluster(id, labels={"env": "prod"}) for id in ("c1", "c2"))


def shown(edits: Sequence[Edit], rules: Sequence[Rule], *clusters: Cluster) -> Preview:
    return preview(edits, clusters or (C1, C2), rules, {})


def only(found: Preview) -> ConfigChange:
    (change,) = found.clusters
    return change


def test_a_rule_that_comes_changes_or_goes_is_counted_where_it_does() -> None:
    a = make_rule(targets=('env="prod"',))

    assert counts(shown([edit(None, a)], [])) == {"c1": (1, 0, 0), "c2": (1, 0, 0)}
    assert counts(shown([edit(a, None)], [a])) == {"c1": (0, 0, 1), "c2": (0, 0, 1)}
    assert counts(shown([revised(a, expression="up == 1")], [a])) == {"c1": (0, 1, 0), "c2": (0, 1, 0)}
    assert counts(shown([revised(a, targets=("c2",))], [a])) == {"c1": (0, 0, 1)}
    assert counts(shown([revised(a, enabled=False)], [a])) == {"c1": (0, 0, 1), "c2": (0, 0, 1)}


def test_the_difference_is_that_of_the_rendered_group_without_the_marker() -> None:
    a, b, other = make_rule(1), make_rule(2), make_rule(3, group="elsewhere")

    found = only(shown([revised(b, expression="up == 1")], [a, b, other]))

    assert found.diff.splitlines() == [
        "--- now/alertagent",
        "+++ then/alertagent",
        "@@ -3,4 +3,4 @@",
        "   - alert: Rule1",
        "     expr: up == 0",
        "   - alert: Rule2",
        "-    expr: up == 0",
        "+    expr: up == 1",
    ]
    assert found.note == ""


def test_a_configuration_that_stays_as_it_is_is_not_listed() -> None:
    a = make_rule()
    unchanged = Edit(change=Change.UNCHANGED, before=a, after=a, at=NOON)

    assert shown([unchanged], [a]).clusters == ()
    assert shown([revised(a, targets=("c1", "c9"))], [a]).clusters == ()
    assert shown([edit(None, make_rule(2, targets=()))], [a]).clusters == ()


def test_a_rule_in_metricsql_shows_for_vmalert_only() -> None:
    both = make_cluster(config_types=(ConfigType.PROMETHEUS, ConfigType.VMALERT))
    rule = make_rule(dialect="metricsql")

    found = only(shown([edit(None, rule)], [], both))

    assert (found.config_type, found.added) == (ConfigType.VMALERT, 1)


def test_a_target_that_nobody_is_yet_is_worth_a_warning() -> None:
    found = shown([edit(None, make_rule(targets=("c1", "c9", 'env="test"')))], [])

    assert [warning.split(" yet")[0] for warning in found.warnings] == [
        "no cluster is c9",
        'no cluster is env="test"',
    ]


def test_a_long_difference_is_cut_and_says_so() -> None:
    rules = [make_rule(n, group=f"g{n % 10}", annotations={"summary": "x" * 40}) for n in range(2_000)]

    found = only(shown([edit(None, rule) for rule in rules], [], C1))

    assert found.added == 2_000
    assert MAX_DIFF - 100 < len(found.diff) <= MAX_DIFF
    assert found.note == "cut; not shown: the rest of g1, g2, g3 and 6 more groups"


def test_one_change_in_a_large_group_shows_and_many_do_not() -> None:
    rules = [make_rule(n, kind=Kind.RECORDING, record=f"r{n}", expression=f"up == {n}") for n in range(3_000)]

    one = only(shown([revised(rules[7], expression="down"), revised(rules[9], expression="down")], rules, C1))
    many = only(shown([revised(rules[n], expression="down") for n in (0, 2_999)], rules, C1))

    assert [line for line in one.diff.splitlines() if line.startswith(("-  ", "+  "))] == [
        "-    expr: up == 7",
        "+    expr: down",
        "-    expr: up == 9",
        "+    expr: down",
    ]
    assert (many.changed, many.diff, many.note) == (2, "", "cut; not shown: alertagent")


def test_more_configurations_than_one_wants_to_wait_for_are_counted() -> None:
    rules = [make_rule(n, targets=('env="prod"',)) for n in range(4_000)]
    clusters = [make_cluster(f"c{n}", labels={"env": "prod"}) for n in range(30)]

    found = shown([edit(None, rule) for rule in rules], [], *clusters)

    assert len(found.clusters) == 25
    assert found.warnings[-1].startswith("5 more configurations")


def test_rules_that_only_change_places_show_in_the_difference() -> None:
    a, b = make_rule(1), make_rule(2)
    moved = Edit(change=Change.MOVED, before=a, after=replace(a, position=3), at=NOON)

    found = only(shown([moved], [a, b]))

    assert (found.added, found.changed, found.removed) == (0, 0, 0)
    assert [line for line in found.diff.splitlines() if "alert: Rule2" in line] == [
        "+  - alert: Rule2",
        "-  - alert: Rule2",
    ]
