"""Alerts that others hold back."""

from tests.acceptance.parity.scenario import Fire, Hears, Quiet, Resolve, Scenario, alert

SOURCE, TARGET = alert("Down", host="a"), alert("Slow", host="a")
ELSEWHERE = alert("Slow", host="b")
LATER = alert("Slow", host="a", disk="1")
NOWHERE = alert("Down"), alert("Slow")

RULE = {"source_matchers": ['alertname="Down"'], "target_matchers": ['alertname="Slow"'], "equal": ["host"]}

SCENARIOS = [
    Scenario(
        "a source that fires already holds its target back",
        [Fire([SOURCE]), Hears([SOURCE]), Fire([TARGET]), Quiet(3)],
        inhibit_rules=[RULE],
    ),
    Scenario(
        "source and target in one post: only the source is told",
        [Fire([TARGET, SOURCE]), Hears([SOURCE]), Quiet(2)],
        {"group_wait": "1s"},
        [RULE],
    ),
    Scenario(
        "the end of the source lets its target be told",
        [
            Fire([SOURCE]),
            Hears([SOURCE]),
            Fire([TARGET]),
            Quiet(2),
            Resolve([SOURCE]),
            Hears(resolved=[SOURCE]),
            Hears([TARGET]),
        ],
        inhibit_rules=[RULE],
    ),
    Scenario(
        "a source that ends by itself lets its target be told",
        [Fire([SOURCE], ends_in=6), Hears([SOURCE]), Fire([TARGET]), Hears(resolved=[SOURCE]), Hears([TARGET])],
        inhibit_rules=[RULE],
    ),
    Scenario(
        "alerts that differ in an equal label do not concern each other",
        [Fire([SOURCE]), Hears([SOURCE]), Fire([TARGET, ELSEWHERE]), Hears([ELSEWHERE]), Quiet(2)],
        inhibit_rules=[RULE],
    ),
    Scenario(
        "an equal label that both lack is equal",
        [Fire([NOWHERE[0]]), Hears([NOWHERE[0]]), Fire([NOWHERE[1]]), Quiet(3)],
        inhibit_rules=[RULE],
    ),
    Scenario(
        "an equal label that one lacks is not equal",
        [Fire([NOWHERE[0]]), Hears([NOWHERE[0]]), Fire([TARGET]), Hears([TARGET])],
        inhibit_rules=[RULE],
    ),
    Scenario(
        "without equal labels a source holds back all targets",
        [Fire([SOURCE]), Hears([SOURCE]), Fire([TARGET, ELSEWHERE]), Quiet(3)],
        inhibit_rules=[{**RULE, "equal": []}],
    ),
    Scenario(
        "a target that was told before is not repeated while a source fires",
        [
            Fire([TARGET]),
            Hears([TARGET]),
            Fire([SOURCE]),
            Hears([SOURCE]),
            Quiet(8),
            Resolve([SOURCE]),
            Hears(resolved=[SOURCE]),
            Hears([TARGET]),
            Resolve([TARGET]),
            Hears(resolved=[TARGET]),
        ],
        {
            "routes": [
                {"matchers": ['alertname="Slow"'], "repeat_interval": "6s"},
            ]
        },
        [RULE],
    ),
    Scenario(
        "the end of a target is not told while a source fires, nor afterwards",
        [
            Fire([TARGET]),
            Hears([TARGET]),
            Fire([SOURCE]),
            Hears([SOURCE]),
            Resolve([TARGET]),
            Quiet(3),
            Resolve([SOURCE]),
            Hears(resolved=[SOURCE]),
            Quiet(3),
        ],
        inhibit_rules=[RULE],
    ),
    Scenario(
        "a target that is held back is not named in its group's message",
        [
            Fire([SOURCE]),
            Hears([SOURCE]),
            Fire([TARGET]),
            Fire([ELSEWHERE]),
            Hears([ELSEWHERE]),
            Resolve([SOURCE]),
            Hears(resolved=[SOURCE]),
            Hears([TARGET, ELSEWHERE]),
        ],
        {"group_wait": "1s"},
        [RULE],
    ),
    Scenario(
        "source and target end together: of a target that was held back nothing is told",
        [
            Fire([SOURCE]),
            Hears([SOURCE]),
            Fire([TARGET]),
            Quiet(2),
            Resolve([TARGET, SOURCE]),
            Hears(resolved=[SOURCE]),
            Quiet(2),
        ],
        inhibit_rules=[RULE],
    ),
    Scenario(
        "source and target in one group: the target takes over",
        [Fire([SOURCE, TARGET]), Hears([SOURCE]), Resolve([SOURCE]), Hears([TARGET], [SOURCE])],
        {"group_by": ["host"]},
        [RULE],
    ),
    Scenario(
        "a source joins the group of its target and leaves it again",
        [
            Fire([TARGET]),
            Hears([TARGET]),
            Fire([SOURCE]),
            Hears([SOURCE]),
            Resolve([SOURCE]),
            Hears([TARGET], [SOURCE]),
        ],
        {"group_by": ["host"]},
        [RULE],
    ),
    Scenario(
        "a source that comes and goes between two looks changes nothing",
        [
            Fire([TARGET]),
            Hears([TARGET]),
            Fire([SOURCE]),
            Hears([SOURCE]),
            Resolve([TARGET]),
            Resolve([SOURCE]),
            Hears(resolved=[SOURCE]),
            Hears(resolved=[TARGET]),
        ],
        {"routes": [{"matchers": ['alertname="Slow"'], "group_interval": "6s"}]},
        [RULE],
    ),
    Scenario(
        "several equal labels must all agree, and what both lack agrees",
        [
            Fire([SOURCE]),
            Hears([SOURCE]),
            Fire([TARGET, {**TARGET, "rack": "1"}, ELSEWHERE]),
            Hears([{**TARGET, "rack": "1"}, ELSEWHERE]),
            Quiet(2),
        ],
        inhibit_rules=[{**RULE, "equal": ["host", "rack"]}],
    ),
    Scenario(
        "targets are whatever is not the source",
        [
            Fire([SOURCE]),
            Hears([SOURCE]),
            Fire([TARGET, alert("Late", host="a"), alert("Late")]),
            Hears([alert("Late")]),
            Quiet(2),
        ],
        inhibit_rules=[{**RULE, "target_matchers": ['alertname!="Down"']}],
    ),
    Scenario(
        "a source whose route is muted holds its target back all the same",
        [Fire([SOURCE]), Quiet(2), Fire([TARGET]), Quiet(2)],
        {"routes": [{"matchers": ['alertname="Down"'], "mute_time_intervals": ["always"]}]},
        [RULE],
    ),
    Scenario(
        "one source of two goes on: the target stays held back",
        [
            Fire([SOURCE, {**SOURCE, "rack": "1"}]),
            Hears([SOURCE, {**SOURCE, "rack": "1"}]),
            Fire([TARGET]),
            Resolve([SOURCE]),
            Hears([{**SOURCE, "rack": "1"}], [SOURCE]),
            Quiet(3),
            Resolve([{**SOURCE, "rack": "1"}]),
            Hears(resolved=[{**SOURCE, "rack": "1"}]),
            Hears([TARGET]),
        ],
        inhibit_rules=[RULE],
    ),
    Scenario(
        "an alert that is source and target does not hold itself back",
        [Fire([SOURCE]), Hears([SOURCE])],
        inhibit_rules=[
            {"source_matchers": ['alertname="Down"'], "target_matchers": ['host="a"'], "equal": ["host"]},
        ],
    ),
    Scenario(
        "alerts that are both source and target do not hold each other back",
        [Fire([SOURCE]), Hears([SOURCE]), Fire([TARGET]), Hears([TARGET])],
        inhibit_rules=[{"source_matchers": ['host="a"'], "target_matchers": ['host="a"'], "equal": ["host"]}],
    ),
    Scenario(
        "a source that is itself held back holds back all the same",
        [
            Fire([SOURCE]),
            Hears([SOURCE]),
            Fire([TARGET]),
            Quiet(2),
            Fire([alert("Late", host="a")]),
            Quiet(2),
        ],
        inhibit_rules=[
            RULE,
            {"source_matchers": ['alertname="Slow"'], "target_matchers": ['alertname="Late"'], "equal": ["host"]},
        ],
    ),
    Scenario(
        "rules in the old spelling",
        [Fire([SOURCE]), Hears([SOURCE]), Fire([TARGET]), Quiet(3)],
        inhibit_rules=[
            {
                "source_match": {"alertname": "Down"},
                "target_match_re": {"alertname": "Slow|Late"},
                "source_matchers": [],
                "target_matchers": [],
                "equal": ["host"],
            }
        ],
    ),
]
