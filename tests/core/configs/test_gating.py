"""What targets of each release get, and what the real ones of this machine say to it."""

import subprocess
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from alertagent.core.clusters.model import ConfigType
from alertagent.core.configs.gating import OLDEST, SINCE, Feature, Treatment, fit, gate_for, version_of
from alertagent.core.configs.render import render
from alertagent.core.rules.model import Dialect, GroupOptions, Kind, Rule
from tests.core.configs.samples import make_cluster, make_rule

PROMETHEUS, VMALERT = ConfigType.PROMETHEUS, ConfigType.VMALERT

EVERYTHING = GroupOptions(
    query_offset=timedelta(seconds=30),
    limit=10,
    labels={"tier": "1"},
    type="prometheus",
    concurrency=2,
    params={"nocache": ("1",), "extra": ("a: b", "on")},
    headers=("X-Scope-OrgID: 7",),
    notifier_headers=("X-From: alertagent",),
    eval_offset=timedelta(seconds=5),
    eval_alignment=False,
    debug=True,
)


def full(position: int = 1, **content: Any) -> Rule:
    values = {
        "interval": timedelta(minutes=1),
        "keep_firing_for": timedelta(minutes=10),
        "debug": True,
        "update_entries_limit": 40,
        "notes": "why: \x00 \u2028it is\n\nsecond %{HOME}",
        "group_options": EVERYTHING,
    }
    return make_rule(position, **{**values, **content})


def group_of(config_type: ConfigType, *versions: str | None) -> dict[str, Any]:
    body = render(make_cluster(), config_type, [full()], gate_for(config_type, versions)).body
    group: dict[str, Any] = yaml.safe_load(body)["groups"][0]
    return group


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("2.42.0+ds", (2, 42)),
        ("3.1.0-rc.0", (3, 1)),
        ("v1.93.5", (1, 93)),
        ("1.102.1-enterprise", (1, 102)),
        ("vmalert-20230812-173043-tags-v1.93.0-0-g1a2b3c4d", (1, 93)),
        ("vmalert-20230812-173043-heads-master-0-g1a2b3c4d", None),
        ("", None),
        (None, None),
        ("unknown", None),
    ],
)
def test_a_version_is_read_from_what_a_target_calls_itself(text: str | None, version: tuple[int, int] | None) -> None:
    assert version_of(text) == version


@pytest.mark.parametrize(
    ("config_type", "version", "understood", "left_out"),
    [
        (PROMETHEUS, "2.30.3", set(), {"limit", "query_offset", "labels"}),
        (PROMETHEUS, "2.42.0+ds", {"limit"}, {"query_offset", "labels"}),
        (PROMETHEUS, "2.53.1", {"limit", "query_offset"}, {"labels"}),
        (PROMETHEUS, "3.0.0", {"limit", "query_offset", "labels"}, {"concurrency", "params", "headers", "type"}),
        (VMALERT, "1.79.5", {"limit", "labels", "concurrency", "params", "type"}, {"headers", "eval_offset", "debug"}),
        (VMALERT, "1.94.0", {"headers", "notifier_headers", "eval_offset"}, {"eval_alignment", "query_offset"}),
        (VMALERT, "1.120.0", {"eval_offset", "eval_alignment", "debug"}, {"query_offset", "tenant"}),
    ],
)
def test_a_group_says_what_the_release_understands(
    config_type: ConfigType, version: str, understood: set[str], left_out: set[str]
) -> None:
    group = group_of(config_type, version)

    assert understood <= group.keys()
    assert not left_out & group.keys()


def test_a_target_that_has_not_told_its_version_is_taken_for_the_oldest() -> None:
    for config_type, (major, minor) in OLDEST.items():
        assert gate_for(config_type, [None]) == gate_for(config_type, []) == gate_for(config_type, [f"{major}.{minor}"])


def test_of_several_instances_the_oldest_decides() -> None:
    assert gate_for(PROMETHEUS, ["3.1.0", "2.53.0"]) == gate_for(PROMETHEUS, ["2.53.0"])
    assert gate_for(PROMETHEUS, ["3.1.0", None]) == gate_for(PROMETHEUS, [None])


def test_the_group_of_a_rule_does_not_hang_on_the_release() -> None:
    rules = [full(1), full(2, group_options=GroupOptions())]

    old, new = (
        render(make_cluster(), PROMETHEUS, rules, gate_for(PROMETHEUS, [v])).layout for v in ("2.42.0", "3.1.0")
    )

    assert old == new
    assert len(old) == 2


def test_what_was_left_out_is_told_with_the_release_that_knows_it() -> None:
    notes = fit(full().content, {}, gate_for(PROMETHEUS, ["2.42.0"])).notes

    told = {note.field: note.message for note in notes}
    assert "since 2.53" in told["group_options.query_offset"]
    assert told["group_options.concurrency"] == "Prometheus does not know concurrency"
    assert "keep_firing_for" not in told
    assert {note.kind for note in notes} == {Treatment.OMITTED}


@pytest.mark.parametrize(
    ("content", "config_type", "version", "field"),
    [
        ({"dialect": Dialect.METRICSQL}, PROMETHEUS, "3.1.0", "dialect"),
        ({"labels": {"a.b": "c"}}, PROMETHEUS, "2.53.0", "a.b"),
        ({"annotations": {"größe": "c"}}, PROMETHEUS, None, "größe"),
        ({"kind": Kind.RECORDING, "record": "a b"}, PROMETHEUS, "2.53.0", "a b"),
        ({"group_options": GroupOptions(type="graphite")}, PROMETHEUS, "3.1.0", "group_options.type"),
        ({"group_options": GroupOptions(type="vlogs")}, VMALERT, "1.79.5", "group_options.type"),
        ({"group_options": GroupOptions(tenant="1:2")}, VMALERT, "1.120.0", "group_options.tenant"),
        ({"annotations": {"a": "is %{HOME}"}}, VMALERT, "1.120.0", "annotations"),
        ({"expression": "a${t}", "parameters": {"t": " > 1"}}, PROMETHEUS, "3.1.0", "expression"),
        ({"duration_parameter": "t", "parameters": {"t": "5m"}}, PROMETHEUS, "3.1.0", "duration"),
    ],
)
def test_a_rule_that_cannot_be_said_is_held_back(
    content: dict[str, Any], config_type: ConfigType, version: str | None, field: str
) -> None:
    fitted = fit(make_rule(**content).content, {"t": " > > 1"}, gate_for(config_type, [version]))

    assert fitted.content is None
    assert [(note.kind, note.field) for note in fitted.notes] == [(Treatment.QUARANTINED, field)]


@pytest.mark.parametrize(
    ("content", "config_type", "version"),
    [
        ({"labels": {"a.b": "c"}, "annotations": {"größe": "c"}}, PROMETHEUS, "3.0.0"),
        ({"kind": Kind.RECORDING, "record": "job:up:sum"}, PROMETHEUS, "2.42.0"),
        ({"annotations": {"a": "is %{HOME} or 5%{{ $value }}"}}, PROMETHEUS, "2.42.0"),
        ({"annotations": {"a": "5%{{ $value }}"}}, VMALERT, "1.79.5"),
        ({"group_options": GroupOptions(tenant="1:2")}, VMALERT, "v1.120.0-enterprise"),
        ({"dialect": Dialect.METRICSQL}, VMALERT, None),
    ],
)
def test_a_rule_that_can_be_said_goes_out(
    content: dict[str, Any], config_type: ConfigType, version: str | None
) -> None:
    assert fit(make_rule(**content).content, {}, gate_for(config_type, [version])).content is not None


def test_the_others_go_out_where_one_is_held_back() -> None:
    rules = [make_rule(1), make_rule(2, labels={"a.b": "c"}), make_rule(3)]

    rendered = render(make_cluster(), PROMETHEUS, rules)

    assert set(rendered.rules) == {"r1", "r3"}
    assert rendered.layout == {"alertagent": ("r1", "r3")}
    assert [note.kind for note in rendered.notes["r2"]] == [Treatment.QUARANTINED]


def test_options_that_contradict_each_other_are_not_said() -> None:
    delayed = GroupOptions(eval_offset=timedelta(seconds=5), eval_delay=timedelta(seconds=5))
    gate = gate_for(VMALERT, ["1.120.0"])

    both = fit(make_rule(interval=timedelta(minutes=1), group_options=delayed).content, {}, gate)
    alone = fit(make_rule(group_options=delayed).content, {}, gate)

    assert [note.field for note in both.notes] == ["group_options.eval_delay"]
    assert [note.field for note in alone.notes] == ["group_options.eval_offset"]


def test_every_option_of_a_group_has_its_feature() -> None:
    options = set(GroupOptions.__dataclass_fields__) - {"type", "debug", "partial_response_strategy"}

    assert options <= {feature.value for feature in Feature}
    assert Feature.GROUP_DEBUG in SINCE[VMALERT]


def test_the_real_targets_of_this_machine_take_a_rule_with_everything(tmp_path: Path) -> None:
    path = tmp_path / "rules.yml"
    twin = full(2, annotations={"a": "{{ $value }}"}, name="Rule1")
    rules = [full(1), twin, full(3, notes="#" * 50), full(4, labels={"no": "1e3"})]
    commands = {PROMETHEUS: ["/usr/bin/promtool", "check", "rules", str(path)]}
    commands[VMALERT] = ["/usr/bin/vmalert", "-dryRun", f"-rule={path}"]

    for config_type, command in commands.items():
        path.write_bytes(render(make_cluster(), config_type, rules).body)
        checked = subprocess.run(command, capture_output=True, text=True, check=False)
        assert checked.returncode == 0, checked.stdout + checked.stderr


def test_vmalert_gets_a_rule_once_that_a_group_has_twice() -> None:
    rules = [make_rule(1, name="Same"), make_rule(2, name="Same"), make_rule(3, name="Same", group="other")]

    vmalert, prometheus = (render(make_cluster(), each, rules) for each in (VMALERT, PROMETHEUS))

    assert set(vmalert.rules) == {"r1", "r3"}
    assert "the same as rule r1" in vmalert.notes["r2"][0].message
    assert set(prometheus.rules) == {"r1", "r2", "r3"}
