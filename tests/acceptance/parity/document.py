"""One routing document for all scenarios, and the same once more as Alertmanager's configuration. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

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
    waits = sorted({step.seconds for scenario in scenarios for step in flat(scenario.steps) if isinstance(step, Quiet)})
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
