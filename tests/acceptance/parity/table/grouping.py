"""Which alerts are told together."""

from tests.acceptance.parity.scenario import Differs, Fire, Hears, Quiet, Resolve, Scenario, alert

A1, A2 = alert("A", zone="1"), alert("A", zone="2")
B1, B2 = alert("B", zone="1"), alert("B", zone="2")
PLAIN = alert("A")
TOGETHER = [A1, A2, B1, B2]

SCENARIOS = [
    Scenario(
        "grouped by one label",
        [Fire(TOGETHER), Hears([A1, A2]), Hears([B1, B2])],
    ),
    Scenario(
        "grouped by several labels",
        [Fire([A1, A2, B1, {**B1, "host": "x"}]), Hears([A1]), Hears([A2]), Hears([B1, {**B1, "host": "x"}])],
        {"group_by": ["zone", "alertname"]},
    ),
    Scenario(
        "grouped by all labels",
        [Fire(TOGETHER), Hears([A1]), Hears([A2]), Hears([B1]), Hears([B2])],
        {"group_by": ["..."]},
    ),
    Scenario(
        "an empty group_by is the parent's",
        [Fire(TOGETHER), Hears([A1, B1]), Hears([A2, B2])],
        {"group_by": ["zone"], "routes": [{"matchers": ['alertname=~"A|B"'], "group_by": []}]},
    ),
    Scenario(
        "grouped by the scenario alone, all are together",
        [Fire(TOGETHER), Hears(TOGETHER)],
        {"group_by": ["scenario"]},
    ),
    Scenario(
        "grouped by a label that nobody has, all are together",
        [Fire(TOGETHER), Hears(TOGETHER)],
        {"group_by": ["nothing"]},
    ),
    Scenario(
        "alerts without the label make a group of their own",
        [Fire([A1, PLAIN, alert("B")]), Hears([A1]), Hears([PLAIN, alert("B")])],
        {"group_by": ["zone"]},
    ),
    Scenario(
        "a label without a value is no label",
        [Fire([{**PLAIN, "zone": ""}]), Hears([PLAIN])],
        {"group_by": ["zone"]},
    ),
    Scenario(
        "the label that groups has quotation marks, a backslash, a line break and more",
        [Fire([odd := alert("A", path='C:\\x "y"\n{},= é 中')]), Hears([odd])],
        {"group_by": ["path"]},
    ),
    Scenario(
        "the labels that group are very long",
        [
            Fire([long := alert("A", path="x" * 600)]),
            Differs(
                "AlertAgent shortens a long group key and ends it with a digest",
                alertmanager=[Hears([long])],
                alertagent=[Hears([long])],
            ),
        ],
        {"group_by": ["path"]},
    ),
    Scenario(
        "annotations without a value stay",
        [Fire([A1], {"summary": "", "runbook": "x"}), Hears([A1], annotations={"summary": "", "runbook": "x"})],
    ),
    Scenario(
        "common labels and annotations are those that all have alike",
        [
            Fire([{**A1, "team": "x", "host": "a"}], {"summary": "same", "value": "1"}),
            Fire([{**A2, "team": "x"}], {"summary": "same", "value": "2", "more": "m"}),
            Hears([{**A1, "team": "x", "host": "a"}, {**A2, "team": "x"}]),
            Resolve([{**A2, "team": "x"}]),
            Hears([{**A1, "team": "x", "host": "a"}], [{**A2, "team": "x"}]),
        ],
        {"group_wait": "3s"},
    ),
    Scenario(
        "groups keep their own time",
        [
            Fire([A1]),
            Hears([A1]),
            Fire([B1]),
            Hears([B1]),
            Resolve([A1]),
            Hears(resolved=[A1]),
            Fire([B2]),
            Hears([B1, B2]),
            Quiet(2),
        ],
    ),
]
