"""One routing document for all scenarios, and the same once more as Alertmanager's configuration. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from math import ceil
from typing import Any

import yaml

from alertagent.kernel.durations import parse_duration
from tests.acceptance.parity.scenario import Differs, Quiet, Scenario, Step

SENTINEL = "sentinel"
RECEIVERS = ("one", "two", "three", "four")
NO_ENDS = "no-ends"
"""A receiver that does not want to hear of ends."""

USUAL = {"receiver": "one", "group_by": ["alertname"], "group_wait": "500ms", "group_interval": "1s"}

TIME_INTERVALS = [
    {"name": "always", "time_intervals": [{"times": [{"start_time": "00:00", "end_time": "24:00"}]}]},
    {"name": "never", "time_intervals": [{"years": ["1999"]}]},
]


def document(scenarios: Sequence[Scenario]) -> dict[str, Any]:
    """Each scenario has a branch of the tree and inhibitions of its own."""
    quiet = {step.seconds for scenario in scenarios for step in flat(scenario.steps) if isinstance(step, Quiet)}
    waits = sorted(quiet | {longest_interval(scenario) + 1 for scenario in scenarios})
    routes = [*map(_sentinel, waits), *map(_branch, scenarios)]
    return {
        "route": {"receiver": "one", "repeat_interval": "1h", "routes": routes},
        "inhibit_rules": [_scoped(rule, scenario) for scenario in scenarios for rule in scenario.inhibit_rules],
        "time_intervals": TIME_INTERVALS,
    }


def alertmanager_config(scenarios: Sequence[Scenario], sink: str, *, resolve_timeout: str) -> str:
    """The document with receivers that post to `sink`."""
    config = document(scenarios) | {
        "global": {"resolve_timeout": resolve_timeout},
        "receivers": [
            {"name": name, "webhook_configs": [{"url": sink, "send_resolved": name != NO_ENDS}]}
            for name in (*RECEIVERS, NO_ENDS, SENTINEL)
        ],
    }
    return yaml.safe_dump(config, sort_keys=False)


def flat(steps: Iterable[Step]) -> Iterable[Step]:
    """All steps that somebody plays."""
    for step in steps:
        if isinstance(step, Differs):
            yield from flat([*step.alertmanager, *step.alertagent])
        else:
            yield step


def longest_interval(scenario: Scenario) -> int:
    """The longest time in seconds between two looks at a group, but for those that nobody is meant to wait for."""
    own = {**USUAL, **scenario.route}
    routes = [own, *own.get("routes", ())]
    intervals = [parse_duration(route["group_interval"]) for route in routes if "group_interval" in route]
    return max(ceil(each.total_seconds()) for each in intervals if each < timedelta(minutes=1))


def _sentinel(seconds: int) -> Mapping[str, Any]:
    """Whatever enters here is heard of after so many seconds, alone."""
    matchers = [f'{SENTINEL}="{seconds}s"']
    return {"receiver": SENTINEL, "matchers": matchers, "group_by": ["..."], "group_wait": f"{seconds}s"}


def _branch(scenario: Scenario) -> Mapping[str, Any]:
    return {"matchers": [_own(scenario)], **USUAL, **scenario.route}


def _scoped(rule: Mapping[str, Any], scenario: Scenario) -> Mapping[str, Any]:
    sides = ("source_matchers", "target_matchers")
    return {**rule, **{side: [_own(scenario), *rule[side]] for side in sides}}


def _own(scenario: Scenario) -> str:
    return f'scenario="{scenario.label}"'
