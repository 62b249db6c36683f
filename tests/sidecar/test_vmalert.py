"""vmalert's groups take a new file one by one, so each must be looked at."""

import pytest

from alertagent.sidecar.rule_target import Group
from alertagent.sidecar.vmalert import lagging, version_in

FILE = b"""\
groups:
- name: node
  rules:
  - alert: HostDown
    expr: |
      up == 0
    for: 1m30s
    labels: {severity: critical}
    annotations: {summary: '{{ $labels.instance }}'}
  - record: up:sum
    expr: sum(up)
- name: empty
  rules: []
"""
HOST_DOWN = {
    "name": "HostDown",
    "query": "up == 0\n",
    "duration": 90,
    "labels": {"severity": "critical", "dc": "added by vmalert"},
    "annotations": {"summary": "{{ $labels.instance }}"},
}
RECORDED = {"name": "up:sum", "query": "sum(up)"}


def shown(*rules: object) -> list[Group]:
    groups = [{"name": "node", "file": "/r.yml", "rules": list(rules)}, {"name": "empty", "rules": None}]
    return [Group.read(group) for group in groups]


def test_what_runs_as_the_file_says_does_not_lag() -> None:
    assert lagging(FILE, shown(HOST_DOWN, RECORDED)) == frozenset()


@pytest.mark.parametrize(
    "change",
    [
        {"query": "up == 1"},
        {"name": "Other"},
        {"duration": 60},
        {"labels": {"severity": "warning"}},
        {"labels": None},
        {"annotations": {}},
        {"annotations": {"summary": "{{ $labels.instance }}", "more": "x"}},
    ],
)
def test_whatever_differs_shows_that_a_group_lags(change: dict[str, object]) -> None:
    assert lagging(FILE, shown(HOST_DOWN | change, RECORDED)) == {"node"}


def test_a_rule_too_few_or_too_many_or_out_of_order_is_seen() -> None:
    for rules in ([HOST_DOWN], [HOST_DOWN, RECORDED, RECORDED], [RECORDED, HOST_DOWN]):
        assert lagging(FILE, shown(*rules)) == {"node"}


def test_a_group_that_is_not_there_lags() -> None:
    assert lagging(FILE, []) == {"node", "empty"}


def test_of_several_files_with_a_group_of_that_name_one_is_enough() -> None:
    assert lagging(FILE, [*shown(RECORDED), *shown(HOST_DOWN, RECORDED)]) == frozenset()


def test_durations_that_only_vmalert_reads_are_not_compared() -> None:
    odd = FILE.replace(b"1m30s", b"1.5h")

    assert lagging(odd, shown(HOST_DOWN | {"duration": 5400}, RECORDED)) == frozenset()


@pytest.mark.parametrize(
    ("labels", "version"),
    [
        ('version="vmalert-20260105-100000-tags-v1.133.0-0-g1a2b3c4", short_version="v1.133.0"', "1.133.0"),
        ('version="vmalert-20260105-100000-tags-v1.133.0-enterprise-0-g1a2b3c4"', "1.133.0-enterprise"),
        ('short_version="v1.93.0",version=""', "1.93.0"),
        ('version="", short_version=""', None),
        ('version="vmalert-20260105-100000-heads-master-0-g1a2b3c4", short_version=""', None),
    ],
)
def test_its_metrics_tell_the_release(labels: str, version: str | None) -> None:
    page = f"vm_app_start_timestamp 1\nvm_app_version{{{labels}}} 1\nvm_app_uptime_seconds 1\n"

    assert version_in(page.encode()) == version
