"""Rendered rule files: golden bytes, what promtool says of them, and what never moves."""

import random
import subprocess
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs import marker
from alertagent.core.configs.gating import gate_for
from alertagent.core.configs.render import Pieces, Refusal, Rendered, belongs, render
from alertagent.core.rules.model import Dialect, Kind, Rule
from tests.core.configs.samples import NASTY, make_cluster, make_rule

PROMTOOL = "/usr/bin/promtool"
GOLDEN = Path(__file__).with_name("rules.golden.yml")


def body_of(rules: Sequence[Rule]) -> bytes:
    return render(make_cluster(), ConfigType.PROMETHEUS, rules).body


def loaded(rules: Sequence[Rule]) -> list[dict[str, Any]]:
    """The groups as any YAML reader sees them, without the marker."""
    groups: list[dict[str, Any]] = yaml.safe_load(body_of(rules))["groups"]
    assert groups[-1]["name"] == marker.GROUP
    return groups[:-1]


def names(groups: Sequence[dict[str, Any]]) -> dict[str, list[str]]:
    return {group["name"]: [rule.get("alert", rule.get("record")) for rule in group["rules"]] for group in groups}


SAMPLE = [
    make_rule(
        1,
        group="node",
        interval=timedelta(seconds=30),
        duration=timedelta(minutes=5),
        keep_firing_for=timedelta(minutes=10),
        severity="critical",
        labels={"zone": "cn", "team": "sre"},
        annotations={"summary": "{{ $labels.instance }} down", "description": "line one\nline two\n"},
    ),
    make_rule(2, group="node", interval=timedelta(minutes=1), name="on", expression="up{a=~`b`}\n  == 0"),
    make_rule(3, kind=Kind.RECORDING, record="job:up:sum", expression="sum by (job) (up)", labels={"a": "1e3"}),
    make_rule(4, group="node", interval=timedelta(seconds=30)),
    make_rule(5, targets=("elsewhere",)),
    make_rule(6, enabled=False),
]


def test_the_file_is_the_golden_one() -> None:
    assert body_of(SAMPLE).decode() == GOLDEN.read_text()


def test_the_order_in_which_rules_come_changes_nothing() -> None:
    shuffled = SAMPLE.copy()
    random.Random(7).shuffle(shuffled)

    assert body_of(shuffled) == body_of(SAMPLE)


def test_a_cluster_without_rules_gets_a_file_that_says_so() -> None:
    rendered = render(make_cluster(), ConfigType.PROMETHEUS, [])

    assert [group["name"] for group in yaml.safe_load(rendered.body)["groups"]] == [marker.GROUP]
    assert rendered.rules == {}


def test_what_is_rendered_is_told_with_its_revisions() -> None:
    rules = [make_rule(1, revision=3), make_rule(2, targets=()), make_rule(3, enabled=False)]

    assert render(make_cluster(), ConfigType.PROMETHEUS, rules).rules == {"r1": 3}


def test_the_revision_of_a_rule_alone_changes_no_byte() -> None:
    assert body_of([make_rule(1, revision=1)]) == body_of([make_rule(1, revision=2)])


def test_adding_a_rule_moves_no_other_group() -> None:
    before = [make_rule(1, group="a"), make_rule(2, group="b"), make_rule(3, group="a")]

    after = [*before, make_rule(4, group="b"), make_rule(5, group="a", interval=timedelta(seconds=5))]

    assert names(loaded(before)) == {"a": ["Rule1", "Rule3"], "b": ["Rule2"]}
    assert names(loaded(after)) == {"a": ["Rule1", "Rule3"], "b": ["Rule2", "Rule4"], "a/5s": ["Rule5"]}


def test_rules_of_one_group_with_other_intervals_get_a_group_beside_it() -> None:
    intervals = [None, timedelta(seconds=30), None, timedelta(seconds=30), timedelta(minutes=1)]

    groups = loaded([make_rule(number, group="g", interval=interval) for number, interval in enumerate(intervals)])

    assert names(groups) == {"g": ["Rule0", "Rule2"], "g/30s": ["Rule1", "Rule3"], "g/1m": ["Rule4"]}
    assert [group.get("interval") for group in groups] == [None, "30s", "1m"]


def test_a_group_beside_another_never_takes_the_name_of_a_third() -> None:
    rules = [
        make_rule(1, group="g"),
        make_rule(2, group="g", interval=timedelta(seconds=30)),
        make_rule(3, group="g/30s", interval=timedelta(minutes=5)),
    ]

    groups = loaded(rules)

    assert {group["name"]: group.get("interval") for group in groups} == {"g": None, "g/30s/30s": "30s", "g/30s": "5m"}


def test_a_cluster_s_parameters_stand_in_its_file() -> None:
    rule = make_rule(
        expression="up < ${least}", parameters={"least": "1", "patience": "5m"}, duration_parameter="patience"
    )
    cluster = make_cluster(parameters={"least": "0.5", "patience": "10m"})

    (group, _) = yaml.safe_load(render(cluster, ConfigType.PROMETHEUS, [rule]).body)["groups"]

    assert group["rules"] == [{"alert": "Rule1", "expr": "up < 0.5", "for": "10m"}]


def test_what_is_remembered_of_rules_changes_no_byte() -> None:
    pieces = Pieces(capacity=2)
    rules = [*SAMPLE, make_rule(7, expression="up > ${a}", parameters={"a": "1"}, labels={"b": "c"})]
    clusters = [make_cluster(), make_cluster(parameters={"a": "2"}), make_cluster("c2", parameters={"a": "2"})]

    for cluster in [*clusters, *clusters]:
        for config_type in (ConfigType.PROMETHEUS, ConfigType.VMALERT):
            remembered = render(cluster, config_type, rules, pieces=pieces)
            assert remembered == render(cluster, config_type, rules)


def test_a_rule_that_a_tool_would_not_have_is_left_out_until_its_text_changes() -> None:
    bad = make_rule(2, expression="up > 1")
    digest = Pieces().of([bad], {}, gate_for(ConfigType.PROMETHEUS, ()))["r2"].digest
    refused = {"r2": Refusal(digest=digest, message="promtool: no")}

    def rendered(expression: str) -> Rendered:
        rules = [make_rule(1), make_rule(2, expression=expression)]
        return render(make_cluster(), ConfigType.PROMETHEUS, rules, refused=refused)

    assert set(rendered("up > 1").rules) == {"r1"}
    assert [note.message for note in rendered("up > 1").notes["r2"]] == ["promtool: no"]
    assert set(rendered("up > 2").rules) == {"r1", "r2"}


def test_notes_stand_above_their_rule() -> None:
    lines = body_of([make_rule(notes="Ask the team first.\n\nsee: #1\r\nlast")]).decode().splitlines()

    start = lines.index("  # Ask the team first.")
    assert lines[start : start + 5] == ["  # Ask the team first.", "  #", "  # see: #1", "  # last", "  - alert: Rule1"]


@pytest.mark.parametrize(
    ("content", "config_type", "fits"),
    [
        ({}, ConfigType.PROMETHEUS, True),
        ({}, ConfigType.VMALERT, True),
        ({"dialect": Dialect.METRICSQL}, ConfigType.PROMETHEUS, False),
        ({"dialect": Dialect.METRICSQL}, ConfigType.VMALERT, True),
        ({"enabled": False}, ConfigType.PROMETHEUS, False),
        ({"targets": ()}, ConfigType.PROMETHEUS, False),
        ({"targets": ("c2", 'env="prod"')}, ConfigType.PROMETHEUS, True),
        ({"targets": ('env="prod",region="us"',)}, ConfigType.PROMETHEUS, False),
        ({"targets": ('name="c1"',)}, ConfigType.PROMETHEUS, True),
    ],
)
def test_a_rule_belongs_where_its_targets_say(content: dict[str, Any], config_type: ConfigType, fits: bool) -> None:
    assert belongs(make_rule(**content), make_cluster(labels={"env": "prod", "region": "cn"}), config_type) is fits


def test_prometheus_takes_names_and_texts_of_any_kind(tmp_path: Path) -> None:
    texts = [text for text in NASTY if "{{" not in text]
    rules = [
        make_rule(
            number,
            name=text,
            group=f"g{number}-{text}",
            expression=f"up == {number}",
            labels={"on": text.strip() or "x", "no": "yes"},
            annotations={"null": text, "a": "{{ $value }}"},
        )
        for number, text in enumerate(texts)
    ]
    path = tmp_path / "rules.yml"
    path.write_bytes(body_of(rules))

    checked = subprocess.run([PROMTOOL, "check", "rules", str(path)], capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(texts) + 1} rules found" in checked.stdout
    assert [group["name"] for group in loaded(rules)] == [f"g{number}-{text}" for number, text in enumerate(texts)]
    assert [group["rules"][0]["alert"] for group in loaded(rules)] == texts
    assert [group["rules"][0]["annotations"]["null"] for group in loaded(rules)] == texts


def test_prometheus_reads_the_very_names_and_expressions_that_went_in(tmp_path: Path) -> None:
    """A unit test of promtool evaluates the rules: it finds each alert under its name only if both came through."""
    rules = [make_rule(number, name=text, expression=f"vector({number})") for number, text in enumerate(NASTY)]
    (tmp_path / "rules.yml").write_bytes(body_of(rules))
    cases = [
        {"eval_time": "0m", "alertname": text, "exp_alerts": [{"exp_labels": {}, "exp_annotations": {}}]}
        for text in NASTY
    ]
    test = {"rule_files": ["rules.yml"], "tests": [{"interval": "1m", "input_series": [], "alert_rule_test": cases}]}
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test))

    checked = subprocess.run(
        [PROMTOOL, "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
