"""Rule files: what is read, where mistakes are, and that nothing is lost on the way there and back."""

import subprocess
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from alertagent.core.rules.files import Format, RuleFile, read_rules, write_rules
from alertagent.core.rules.model import Dialect, GroupOptions, Kind, RuleContent
from alertagent.kernel.errors import Invalid
from tests.core.configs.samples import NASTY

PROMTOOL = "/usr/bin/promtool"
VMALERT = "/usr/bin/vmalert"

SAMPLE = """\
# Kept by the team of the nodes.
groups:
- name: node
  interval: 30s  # twice a minute
  rules:
  # Somebody must get up.
  - alert: HostDown
    expr: |
      up{job="node"}  # not a comment of YAML
        == 0
    for: 5m
    labels: {severity: critical, 1: 2, empty: }
    annotations:
      summary: "{{ $labels.instance }} is down"
    # keep_firing_for: 10m
  - record: job:up:sum
    expr: sum by (job) (up)
# The end.
"""

MINUTE = timedelta(minutes=1)


def read(text: str, dialect: Dialect = Dialect.PROMQL) -> RuleFile:
    return read_rules(text.encode(), dialect)


def contents(file: RuleFile) -> list[RuleContent]:
    assert file.errors == ()
    return [rule.content for rule in file.rules]


def group(*lines: str, dialect: Dialect = Dialect.PROMQL) -> RuleFile:
    """A file of one group with these lines and one rule."""
    return read("\n".join(["groups:", "- name: g", *(f"  {line}" for line in lines), RULE]), dialect)


def rule(*lines: str, dialect: Dialect = Dialect.PROMQL) -> RuleFile:
    """A file of one rule with these lines, the first of which is in line 4."""
    return read(
        "\n".join(["groups:", "- name: g", "  rules:", f"  - {lines[0]}", *(f"    {line}" for line in lines[1:])])
    )


RULE = "  rules:\n  - {alert: A, expr: up}"


def test_rules_are_read_with_their_lines_groups_and_comments() -> None:
    file = read(SAMPLE)

    assert [placed.line for placed in file.rules] == [7, 16]
    assert contents(file) == [
        RuleContent(
            name="HostDown",
            expression='up{job="node"}  # not a comment of YAML\n  == 0\n',
            duration=5 * MINUTE,
            labels={"severity": "critical", "1": "2", "empty": ""},
            annotations={"summary": "{{ $labels.instance }} is down"},
            group="node",
            interval=timedelta(seconds=30),
            notes="Kept by the team of the nodes.\ntwice a minute\nSomebody must get up.\nkeep_firing_for: 10m",
        ),
        RuleContent(
            name="job:up:sum",
            kind=Kind.RECORDING,
            record="job:up:sum",
            expression="sum by (job) (up)",
            labels={},
            annotations={},
            group="node",
            interval=timedelta(seconds=30),
            notes="The end.",
        ),
    ]


def test_a_label_name_that_older_releases_refuse_is_warned_of_at_its_place() -> None:
    assert [(found.line, found.column) for found in read(SAMPLE).warnings] == [(12, 34)]


def test_anchors_and_merges_are_understood() -> None:
    text = "groups:\n- name: g\n  rules:\n  - &a {alert: A, expr: up, labels: {b: c}}\n  - {<<: *a, alert: B}\n"

    assert [(found.name, found.labels) for found in contents(read(text))] == [("A", {"b": "c"}), ("B", {"b": "c"})]


def test_the_options_of_a_group_are_read() -> None:
    file = group("limit: 5", "query_offset: 0s", "labels: {a: 1}", "interval: 0s")

    assert contents(file)[0].interval is None
    assert contents(file)[0].group_options == GroupOptions(limit=5, query_offset=timedelta(), labels={"a": "1"})


def test_the_fields_of_vmalert_are_read_in_its_dialect() -> None:
    text = """
groups:
- name: g
  type: prometheus
  interval: 1.5h
  concurrency: 2
  params: {nocache: ["1"], extra_label: [a=b]}
  extra_filter_labels: {env: dev}
  headers: ["A: b"]
  notifier_headers: ["C: d"]
  eval_offset: 90
  eval_delay: 12h1d
  eval_alignment: no
  tenant: 1:2
  debug: true
  rules:
  - {alert: A, expr: up default 0, for: 1.5m, debug: false, update_entries_limit: -1}
---
groups:
- {name: h, rules: [{record: r, expr: "now()", annotations: {a: b}}]}
"""

    file = read(text, Dialect.METRICSQL)
    alert, record = contents(file)

    assert alert.interval == timedelta(hours=1, minutes=30)
    assert alert.duration == timedelta(seconds=90)
    assert (alert.debug, alert.update_entries_limit) == (False, -1)
    assert alert.group_options == GroupOptions(
        type="prometheus",
        concurrency=2,
        params={"nocache": ("1",), "extra_label": ("a=b", "env=dev")},
        headers=("A: b",),
        notifier_headers=("C: d",),
        eval_offset=timedelta(seconds=90),
        eval_delay=timedelta(days=1, hours=12),
        eval_alignment=False,
        tenant="1:2",
        debug=True,
    )
    assert (record.group, record.annotations) == ("h", {"a": "b"})
    assert [warning.message.split(" ")[0] for warning in file.warnings] == ["extra_filter_labels", "vmalert", "only"]


OBJECT = """\
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata: {name: a, labels: {role: alert-rules}}
spec:
  groups:
  - name: g
    partial_response_strategy: Warn
    rules: [{alert: A, expr: up}]
"""


def test_a_prometheusrule_object_is_read() -> None:
    (found,) = contents(read(OBJECT))

    assert (found.name, found.group_options.partial_response_strategy) == ("A", "warn")


def test_objects_may_come_as_documents_or_in_a_list() -> None:
    documents = f"{OBJECT}---\n{OBJECT.replace('name: g', 'name: h')}---\n"
    objects = [yaml.safe_load(text) for text in documents.split("---\n")[:2]]
    listed = yaml.safe_dump({"apiVersion": "v1", "kind": "List", "items": objects}, sort_keys=False)

    assert [found.group for found in contents(read(documents))] == ["g", "h"]
    assert [found.group for found in contents(read(listed))] == ["g", "h"]


def test_groups_of_one_name_in_several_objects_become_one_with_a_warning() -> None:
    file = read(f"{OBJECT}---\n{OBJECT.replace('alert: A', 'alert: B')}")

    assert [found.group for found in contents(file)] == ["g", "g"]
    assert [(warning.line, warning.message) for warning in file.warnings] == [
        (15, 'the group "g" stands in line 6 too; the two become one')
    ]


def test_the_group_of_the_marker_is_left_out() -> None:
    text = "# managed by AlertAgent; cluster=c1\ngroups:\n- name: g\n" + RULE
    marker = "\n- name: alertagent:meta\n  rules:\n  - {alert: AlertAgentConfig, expr: vector(0) > 1}\n"

    file = read(text + marker)

    assert [(found.group, found.notes) for found in contents(file)] == [("g", "")]
    assert [warning.line for warning in file.warnings] == [6]


@pytest.mark.parametrize(
    "text", ["groups:\n", "groups: []\n", "groups: [{name: g}]", "groups:\n- name: g\n  rules: []\n"]
)
def test_a_file_without_rules_is_no_mistake(text: str) -> None:
    assert contents(read(text)) == []


def test_the_same_alert_twice_is_a_warning_and_for_vmalert_a_mistake() -> None:
    text = (
        "groups:\n- name: g\n  rules:\n  - {alert: A, expr: up}\n  - {alert: A, expr: up}\n  - {alert: A, expr: down}\n"
    )

    prometheus, vmalert = read(text), read(text, Dialect.METRICSQL)

    assert [(warning.line, prometheus.errors) for warning in prometheus.warnings] == [(5, ()), (6, ())]
    assert [error.line for error in vmalert.errors] == [5]


@pytest.mark.parametrize(
    ("text", "line", "column", "words"),
    [
        ("", 1, 1, "the file is empty"),
        ("# only this\n", 1, 1, "the file is empty"),
        ("- a\n", 1, 1, "must be a mapping"),
        ("group:\n- a\n", 1, 1, 'unknown field "group"'),
        ("groups: 5\n", 1, 9, "must be a list of groups"),
        ("groups:\n- 5\n", 2, 3, "must be a group"),
        ("groups:\n- rules: []\n", 2, 3, "the group needs a name"),
        ("groups:\n- name: g\n  rules: {}\n", 3, 10, "must be a list of rules"),
        ("groups:\n- name: g\n  rules:\n  - up\n", 4, 5, "must be a rule"),
        ("groups:\n- name: g\n- name: g\n", 3, 9, "a second time"),
        ("groups:\n- name: [g]\n", 2, 9, "name: must be a text"),
        ("groups:\n- name: g\n  name: h\n", 3, 3, '"name" stands here a second time'),
        ("groups: []\n---\ngroups: []\n", 3, 1, "a second document"),
        ("groups: [\n", 2, 1, "did not find"),
        ("groups: *x\n", 1, 9, "anchor"),
        (OBJECT.replace("PrometheusRule", "ConfigMap"), 2, 7, '"ConfigMap" holds no rules'),
        (OBJECT.replace("PrometheusRule", "VMRule"), 2, 7, "dialect metricsql"),
        (OBJECT.replace("spec:", "data:"), 1, 1, "needs a spec"),
        (OBJECT.replace("Warn", "maybe"), 7, 32, "must be warn or abort"),
        ("kind: List\nitems: 5\n", 1, 1, "needs the field items"),
        ("kind: List\nitems: [{kind: List, items: []}]\n", 2, 9, "must be an object"),
    ],
)
def test_what_is_no_rule_file_is_refused_with_its_place(text: str, line: int, column: int, words: str) -> None:
    found = read(text).errors[0]

    assert words in found.message
    assert (found.line, found.column) == (line, column)


@pytest.mark.parametrize(
    ("line", "column", "words"),
    [
        ("interval: 90", 13, "not a duration"),
        ("interval: [1m]", 13, "must be a text"),
        ("limit: '5'", 10, "whole number"),
        ("limit: -1", 3, "between 0"),
        ("labels: [a]", 11, "mapping of names to texts"),
        ("labels: {a: [b]}", 15, "must be a text"),
        ("labels: {__name__: b}", 12, "the name of the metric"),
        ("concurrency: 5", 3, "vmalert has it"),
        ("partial_response_strategy: warn", 3, "Thanos has it"),
        ("owner: me", 3, 'unknown field "owner" of a group'),
    ],
)
def test_a_mistake_in_a_group_has_its_place(line: str, column: int, words: str) -> None:
    (found,) = group(line).errors

    assert words in found.message
    assert (found.line, found.column) == (3, column)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("query_offset: 5m", "Prometheus has it"),
        ("eval_offset: 5m", "not be more than the interval"),
        ("debug: 'true'", "true or false"),
        ("params: {a: b}", "list of texts"),
        ("headers: [nothing]", "Name: value"),
        ("interval: -5m", "not a duration"),
        ("interval: 0.0001s", "no whole number of milliseconds"),
    ],
)
def test_a_mistake_in_a_group_for_vmalert_is_told(line: str, words: str) -> None:
    (found,) = group(line, dialect=Dialect.METRICSQL).errors

    assert words in found.message
    assert found.line == 3


@pytest.mark.parametrize(
    ("lines", "line", "column", "words"),
    [
        (("expr: up",), 4, 5, "needs alert or record"),
        (("alert: A", "record: a", "expr: up"), 4, 5, "either an alert or a record"),
        (("alert: A",), 4, 5, "needs an expr"),
        (("alert: A", "expr:"), 5, 10, "needs an expr"),
        (("alert: A", "expr: up", "fro: 5m"), 6, 5, 'unknown field "fro" of a rule'),
        (("alert: A", "expr: up", "debug: true"), 6, 5, "vmalert has it"),
        (("alert: A", "expr: up", "for: 90"), 6, 10, "not a duration"),
        (("record: a", "expr: up", "for: 5m"), 6, 5, "a recording rule has none"),
        (("record: a{b='c'}", "expr: up"), 4, 5, "the name of a metric"),
        (("alert: A", "expr: up", "labels: {'': b}"), 6, 14, "not a name"),
        (("alert: A", "expr: sum(up"), 5, 14, "never closed"),
        (("alert: A", "expr: 'sum(up'"), 5, 15, "never closed"),
        (("alert: A", "expr: |", "  up", "    + foo)"), 7, 14, 'unexpected ")"'),
        (("alert: A", "expr: |-2", "   up", "    + foo)"), 7, 14, 'unexpected ")"'),
        (("alert: A", "expr: >", "  up", "  + foo)"), 5, 11, "line 1, column 9 of the text"),
        (("alert: A", 'expr: "up{a=\\"b\\"} )"'), 5, 11, "line 1, column 11 of the text"),
        (("alert: A", "expr: up", "annotations:", "  a: '{{ $x }}'"), 7, 14, 'undefined variable "$x"'),
        (("alert: A", "expr: up", "annotations:", "  a: |", "    b", "    {{ end }}"), 9, 9, "unexpected {{end}}"),
    ],
)
def test_a_mistake_in_a_rule_has_its_place(lines: tuple[str, ...], line: int, column: int, words: str) -> None:
    (found,) = rule(*lines).errors

    assert words in found.message
    assert (found.line, found.column) == (line, column)


def test_all_mistakes_of_a_file_are_told_but_not_without_end() -> None:
    text = "groups:\n- name: g\n  rules:\n" + "  - {alert: A, expr: up >}\n" * 5_000

    errors = read(text).errors

    assert [error.line for error in errors[:3]] == [4, 5, 6]
    assert len(errors) == 101
    assert "there may be more" in errors[-1].message


def test_what_is_no_text_is_refused() -> None:
    (found,) = read_rules(b"groups: []\n# \xff\n").errors

    assert (found.message, found.line) == ("this is no UTF-8", 2)


def test_a_byte_order_mark_is_passed_over() -> None:
    assert contents(read("\ufeffgroups: []\n")) == []


def make(number: int = 1, **values: Any) -> RuleContent:
    return RuleContent(
        **{"name": f"Rule{number}", "expression": "up", "labels": {}, "annotations": {}, "group": "g", **values}
    )


def test_a_file_is_written_as_a_person_would_write_it() -> None:
    rules = [
        make(
            group="node",
            interval=30 * MINUTE,
            group_options=GroupOptions(limit=5, labels={"a": "b"}),
            notes="Wakes people.\n\n  Often.",
            expression="up{job='node'}\n  == 0\n",
            duration=MINUTE,
            keep_firing_for=2 * MINUTE,
            severity="critical",
            labels={"team": "sre"},
            annotations={"summary": "{{ $labels.instance }}", "on": "1"},
        ),
        make(2, kind=Kind.RECORDING, record="a:b", expression="${x} + up", parameters={"x": "5"}),
    ]

    assert (
        write_rules(rules).decode()
        == """\
groups:
- name: node
  interval: 30m
  limit: 5
  labels:
    a: b
  rules:
  # Wakes people.
  #
  #   Often.
  - alert: Rule1
    expr: |
      up{job='node'}
        == 0
    for: 1m
    keep_firing_for: 2m
    labels:
      severity: critical
      team: sre
    annotations:
      'on': '1'
      summary: '{{ $labels.instance }}'
- name: g
  rules:
  - record: a:b
    expr: '5 + up'
"""
    )


def test_no_rules_are_a_file_that_says_so() -> None:
    assert write_rules([]) == b"groups: []\n"


def test_rules_of_one_group_that_want_other_options_stand_beside_it() -> None:
    rules = [
        make(1),
        make(2, interval=MINUTE),
        make(3),
        make(4, group="g/2"),
        make(5, group_options=GroupOptions(limit=1)),
    ]

    read_back = contents(read_rules(write_rules(rules)))

    assert [(found.name, found.group) for found in read_back] == [
        ("Rule1", "g"),
        ("Rule3", "g"),
        ("Rule2", "g/3"),
        ("Rule4", "g/2"),
        ("Rule5", "g/4"),
    ]


def test_an_object_has_its_name_and_its_own_field() -> None:
    rules = [make(group_options=GroupOptions(partial_response_strategy="abort"), expression="up\n== 0\n")]

    body = write_rules(rules, Format.PROMETHEUSRULE, name="node-rules")

    assert yaml.safe_load(body) == {
        "apiVersion": "monitoring.coreos.com/v1",
        "kind": "PrometheusRule",
        "metadata": {"name": "node-rules"},
        "spec": {
            "groups": [
                {
                    "name": "g",
                    "partial_response_strategy": "abort",
                    "rules": [{"alert": "Rule1", "expr": "up\n== 0\n"}],
                }
            ]
        },
    }
    assert contents(read_rules(body)) == rules


@pytest.mark.parametrize(
    ("values", "name", "words"),
    [
        ({"group_options": GroupOptions(concurrency=2)}, "a", 'no field "concurrency"'),
        ({"debug": True}, "a", 'no field "debug"'),
        ({}, "No Name", "no name of a Kubernetes object"),
    ],
)
def test_what_an_object_cannot_say_is_refused(values: dict[str, Any], name: str, words: str) -> None:
    with pytest.raises(Invalid, match=words):
        write_rules([make(**values)], Format.PROMETHEUSRULE, name=name)


def test_what_is_written_is_read_by_the_real_servers(tmp_path: Path) -> None:
    texts = [text for text in NASTY if "{{" not in text and text.isprintable() and len(text) < 500]
    options = GroupOptions(limit=3)
    rules = [
        make(
            number,
            name=text,
            labels={"on": text},
            annotations={"null": text, "y": "{{ $value }}"},
            notes=text.rstrip(),
            group_options=options,
        )
        for number, text in enumerate(texts)
    ]
    path = tmp_path / "rules.yml"
    path.write_bytes(write_rules(rules))

    promtool = subprocess.run([PROMTOOL, "check", "rules", str(path)], capture_output=True, text=True, check=False)
    vmalert = subprocess.run([VMALERT, "-dryRun", f"-rule={path}"], capture_output=True, text=True, check=False)

    assert f"{len(texts)} rules found" in promtool.stdout, promtool.stdout + promtool.stderr
    assert vmalert.returncode == 0, vmalert.stderr
    assert contents(read_rules(path.read_bytes())) == rules


names = st.text(min_size=1, max_size=20).filter(str.isprintable)
texts = st.one_of(
    st.sampled_from(NASTY), st.text(alphabet=st.characters(exclude_categories=["Cs"], exclude_characters="\x00"))
).filter(lambda text: "{{" not in text)
lines = st.text(alphabet=st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp", "Zs"]), max_size=10).filter(
    lambda text: not set(text) & {"\ufeff", "\ufffe", "\uffff"}
)
durations = st.integers(1, 10**9).map(lambda milliseconds: timedelta(milliseconds=milliseconds))
labels = st.dictionaries(names.filter(lambda name: name not in {"__name__", "<<"}), texts, max_size=3)
options = st.builds(
    GroupOptions,
    query_offset=st.none() | durations | st.just(timedelta()),
    limit=st.none() | st.integers(0, 100),
    labels=labels,
    partial_response_strategy=st.sampled_from([None, "warn", "abort"]),
)
alerts = st.builds(
    RuleContent,
    name=names,
    expression=st.sampled_from(["up", "up\n== 0", "  up\n", "up # a\n", "up{a='#'}"]),
    duration=durations | st.just(timedelta()),
    keep_firing_for=st.none() | durations,
    labels=labels,
    annotations=labels,
    notes=st.lists(lines, max_size=3).map("\n".join),
)
groups = st.lists(st.tuples(st.none() | durations, options, st.lists(alerts, min_size=1, max_size=3)), max_size=3)


@settings(deadline=None)
@given(groups, st.sampled_from(Format))
def test_what_is_written_reads_back_as_the_same(
    groups: list[tuple[timedelta | None, GroupOptions, list[RuleContent]]], format: Format
) -> None:
    rules = [
        _in_group(alert, f"group {number}", interval, found, format)
        for number, (interval, found, members) in enumerate(groups)
        for alert in members
    ]

    assert contents(read_rules(write_rules(rules, format))) == rules


def _in_group(
    alert: RuleContent, group: str, interval: timedelta | None, options: GroupOptions, format: Format
) -> RuleContent:

    if format is Format.PROMETHEUS:
        options = replace(options, partial_response_strategy=None)
    return replace(alert, group=group, interval=interval, group_options=options)


@given(
    st.one_of(
        st.binary(max_size=100), st.text(alphabet="groups: -[]{}nameltxp#|>'\"\n&*!?", max_size=100).map(str.encode)
    )
)
def test_no_file_at_all_brings_it_down(body: bytes) -> None:
    for dialect in Dialect:
        file = read_rules(body, dialect)
        assert all(error.message for error in file.errors)
